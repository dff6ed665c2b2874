"""MarginMSE (arXiv 2010.02666): differences between scores of the same query, over all pairs of a batch."""

import torch
from torch import Tensor


def margin_loss(student: Tensor, target: Tensor, queries: Tensor, counts: Tensor, rows: Tensor) -> Tensor:
    """What some rows of a batch add to its mean over pairs of ((s_i - s_j) - (t_i - t_j))^2, a scalar.

    student: scores [len(rows)]; target, queries, counts (whether a row has a target): [batch]; rows: indices. A pair is
    two rows that count with the same query; the whole batch's losses are added up where each query's rows come
    together. A batch without a pair has the loss 0.
    """
    pairs = pairs_of(queries, counts)
    first, second = pairs_of(queries[rows], counts[rows]).to(student.device).unbind(dim=1)
    errors = student - target[rows].to(student.device)  # of rows that do not count it may be NaN, which nobody takes
    return (errors[first] - errors[second]).square().sum() / max(1, len(pairs))


def pairs_of(queries: Tensor, counts: Tensor) -> Tensor:
    """Indices (i, j), i < j, of rows that count with the same query: int64 [pairs, 2]. queries, counts: [rows]"""
    same = (queries[:, None] == queries) & counts[:, None] & counts
    return torch.triu(same, diagonal=1).nonzero()
