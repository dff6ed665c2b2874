"""Which labelled rows only choose the checkpoint: a share of every stratum, and whole groups."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from distillery_api.digests import digest_of
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..errors import InputRefused

VALIDATION_SHARE = 0.1


def validation_rows(
    keys: Sequence[str], strata: Sequence[int], groups: Sequence[str] | None, seed: int
) -> NDArray[np.bool_]:
    """A tenth of the distinct rows, at least one: bool [rows]. The same arguments give the same rows.

    Equal rows have equal keys and stay together, and so do the rows of a group. Each stratum gives a tenth of its rows,
    as nearly as that allows. Raises InputRefused (EmptyTrainSet) when nothing can be set aside.
    """
    units = [Unit(keys, strata, rows, seed) for rows in together(keys, groups)]
    if len(units) < 2:
        raise InputRefused(
            "EmptyTrainSet",
            "dataset.train: all rows are one group, so none can be set aside to choose the checkpoint;"
            " correct dataset.columns.group or add rows of other groups",
        )
    units.sort(key=lambda unit: (unit.stratum, unit.draw))
    chosen = list(spread(units)) or [min(units, key=lambda unit: (unit.size, unit.draw))]
    held = np.zeros(len(keys), dtype=bool)
    held[[row for unit in chosen for row in unit.rows]] = True
    return held


class Unit:
    """Rows that stay together."""

    def __init__(self, keys: Sequence[str], strata: Sequence[int], rows: list[int], seed: int) -> None:
        distinct = {keys[row] for row in rows}
        self.rows, self.size = rows, len(distinct)
        self.stratum = Counter(strata[row] for row in rows).most_common(1)[0][0]
        self.draw = digest_of([seed, min(distinct)])  # a shuffle that no other unit has a part in


def together(keys: Sequence[str], groups: Sequence[str] | None) -> list[list[int]]:
    """Row indices that must not be parted. A row that stands in two groups joins them."""
    _, row_of_key = np.unique(np.array(keys), return_inverse=True)
    units = row_of_key if groups is None else joined(row_of_key, np.unique(np.array(groups), return_inverse=True)[1])
    members = defaultdict[int, list[int]](list)
    for row, unit in enumerate(units.tolist()):
        members[unit].append(row)
    return list(members.values())


def joined(keys: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Component of each row in the graph whose edges are its rows: from key to group."""
    nodes = int(keys.max()) + int(groups.max()) + 2
    edges = (np.ones(len(keys)), (keys, int(keys.max()) + 1 + groups))
    _, component = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    return np.asarray(component[keys], dtype=np.int64)


def spread(units: list[Unit]) -> Iterator[Unit]:
    """Units at even distances, so that at every place about VALIDATION_SHARE of the rows so far are taken."""
    seen = taken = 0
    for unit in units:
        seen += unit.size
        if taken + unit.size / 2 <= VALIDATION_SHARE * seen:
            taken += unit.size
            yield unit
