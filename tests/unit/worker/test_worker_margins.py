"""Rerankers: differences between texts of a query, batches that keep these together, and measures of a ranking."""

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from distillery_api.objective import Margin, Objective
from distillery_engine import TextTokenizer
from distillery_worker.context import Context
from distillery_worker.data.text import query_numbers
from distillery_worker.evaluation.ranking import pairwise_accuracy, ranking
from distillery_worker.losses.margins import margin_loss
from distillery_worker.stages import train as train_stage
from distillery_worker.stages.compress import compress
from distillery_worker.stages.evaluate import evaluate
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.tasks.scoring import Scoring
from distillery_worker.training.examples import Examples, Split, epoch_batches, micro_batches
from distillery_worker.training.fitting import Fit, Schedule
from distillery_worker.training.learner import Learner
from distillery_worker.training.ranks import Ranks
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

NAN = float("nan")
QUERIES = torch.tensor([0, 1, 0, 1, 2, 0])
STUDENT = torch.tensor([0.5, 2.0, -1.0, 0.0, 3.0, 1.5])
TARGET = torch.tensor([1.0, 1.0, 2.0, 4.0, 0.0, NAN])
COUNTS = ~TARGET.isnan()


def by_hand(student: Tensor, target: Tensor, queries: Tensor) -> list[float]:
    """Squared error of each pair's margin, written out."""
    pairs = itertools.combinations(range(len(student)), 2)
    return [
        ((student[i] - student[j]) - (target[i] - target[j])).item() ** 2
        for i, j in pairs
        if queries[i] == queries[j] and not (target[i].isnan() or target[j].isnan())
    ]


def test_the_loss_is_the_mean_over_pairs_of_a_query_of_the_margins_squared_error() -> None:
    errors = by_hand(STUDENT, TARGET, QUERIES)
    assert errors == pytest.approx([(1.5 + 1.0) ** 2, (2.0 + 3.0) ** 2])
    everything = torch.arange(6)
    assert margin_loss(STUDENT, TARGET, QUERIES, COUNTS, everything).item() == pytest.approx(sum(errors) / 2)
    shifted = STUDENT + 7 * QUERIES
    assert margin_loss(shifted, TARGET, QUERIES, COUNTS, everything).item() == pytest.approx(sum(errors) / 2)


def test_losses_of_whole_queries_add_up_and_a_batch_without_pairs_has_none() -> None:
    whole = margin_loss(STUDENT, TARGET, QUERIES, COUNTS, torch.arange(6)).item()
    parts = [torch.tensor([0, 2, 5]), torch.tensor([1, 3]), torch.tensor([4])]
    losses = [margin_loss(STUDENT[rows], TARGET, QUERIES, COUNTS, rows).item() for rows in parts]
    assert sum(losses) == pytest.approx(whole)
    assert losses[2] == 0
    assert margin_loss(STUDENT, TARGET, torch.arange(6), COUNTS, torch.arange(6)).item() == 0


def test_a_row_without_a_target_gets_no_gradient() -> None:
    student = STUDENT.clone().requires_grad_()
    torch.autograd.backward(margin_loss(student, TARGET, QUERIES, COUNTS, torch.arange(6)))
    assert student.grad is not None
    assert student.grad[[4, 5]].tolist() == [0, 0]
    assert bool(student.grad[:4].all())


class Sums(nn.Module):
    """Scores that are sums over a text's words."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.EmbeddingBag(32, 1, mode="sum", padding_idx=0)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        return SequenceClassifierOutput(logits=self.words(input_ids))


@pytest.fixture
def encoder(source: Path) -> TextTokenizer:
    return TextTokenizer(source / "teacher" / "tokenizer.json", micro.MAX_LENGTH, 0)


@pytest.fixture
def examples(encoder: TextTokenizer) -> Examples:
    """30 rows of 7 queries; every third without gold, every seventh without an answer."""
    draw = torch.Generator().manual_seed(0)
    teacher, gold = torch.randn(30, 1, generator=draw), torch.randn(30, generator=draw)
    teacher[::7], gold[::3] = NAN, NAN
    rows = encoder.encode([text for text, _ in micro.sentences()[:30]])
    return Examples(rows, gold, teacher, queries=torch.arange(30) * 5 % 7)


def learner(encoder: TextTokenizer, **objective: Any) -> Learner:
    return Learner(encoder, Scoring(), Objective(**objective))


def test_both_terms_have_the_error_of_their_margins(encoder: TextTokenizer, examples: Examples) -> None:
    model, everything = Sums(), np.arange(30)

    def loss(**objective: Any) -> float:
        return learner(encoder, **objective).loss(model, examples, everything).item()

    inputs = torch.from_numpy(encoder.collate(examples.rows).input_ids)
    scores = model.words(inputs).detach().squeeze(-1)
    assert examples.queries is not None
    soft = np.mean(by_hand(scores, examples.teacher.squeeze(-1), examples.queries))
    gold = np.mean(by_hand(scores, examples.gold, examples.queries))
    added = loss(alpha=0.7, margin=Margin(weight=3.0)) - loss(alpha=0.7)
    assert added == pytest.approx(3 * (0.7 * soft + 0.3 * gold), rel=1e-4)


@pytest.mark.parametrize("size", [1, 4, 30])
@pytest.mark.parametrize("processes", [1, 3])
def test_processes_and_micro_batches_add_up_to_the_gradient_of_the_batch(
    size: int, processes: int, encoder: TextTokenizer, examples: Examples
) -> None:
    whole: Any = Sums()
    target = learner(encoder, alpha=0.7, margin=Margin())
    torch.autograd.backward(target.loss(whole, examples, np.arange(30)))
    schedule = Schedule(steps=1, validate_every=1, checkpoint_every=1, batch_size=size, learning_rate=0.1, seed=0)
    together: Any = Sums()
    for rank in range(processes):
        work = Fit(together, Split(examples, examples), target, schedule, Ranks(rank, processes))
        assert work.accumulate(examples, work.own_rows(examples))
    torch.testing.assert_close(together.words.weight.grad, whole.words.weight.grad, rtol=1e-4, atol=1e-6)


def test_without_margins_rows_are_shared_one_by_one(encoder: TextTokenizer, examples: Examples) -> None:
    schedule = Schedule(steps=1, validate_every=1, checkpoint_every=1, batch_size=4, learning_rate=0.1, seed=0)
    model: Any = Sums()
    work = Fit(model, Split(examples, examples), learner(encoder), schedule, Ranks(1, 3))
    assert work.own_rows(examples).tolist() == list(range(1, 30, 3))


def test_micro_batches_part_no_query() -> None:
    rows, units = np.array([3, 5, 7, 8, 9, 11]), np.array([2, 0, 2, 1, 2, 0])
    assert [part.tolist() for part in micro_batches(rows, units, 3)] == [[5, 11, 8], [3, 7, 9]]
    assert [part.tolist() for part in micro_batches(rows, units, 1)] == [[5, 11], [8], [3, 7, 9]]
    assert [part.tolist() for part in micro_batches(rows, np.arange(6), 4)] == [[3, 5, 7, 8], [9, 11]]
    assert micro_batches(rows[:0], units[:0], 3) == []


def test_an_epoch_keeps_the_rows_of_a_query_together_but_where_a_batch_ends() -> None:
    queries = np.arange(90) % 18
    lengths = np.random.default_rng(0).integers(3, 12, 90)
    batches = epoch_batches(lengths, queries, 20, seed=0, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(90))
    assert sorted(map(len, batches)) == [10, 20, 20, 20, 20]
    for batch in batches:
        found = queries[batch]
        assert (np.diff(found) != 0).sum() == len(set(found.tolist())) - 1  # each query's rows are side by side
        assert len(set(found.tolist())) <= 5
    again = epoch_batches(lengths, queries, 20, seed=0, epoch=0)
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]
    assert [batch.tolist() for batch in batches] != [
        batch.tolist() for batch in epoch_batches(lengths, queries, 20, seed=0, epoch=1)
    ]


def test_rows_have_the_number_of_their_query() -> None:
    numbers = query_numbers([("a", "x"), ("b", "x"), ("a", "y")])
    assert numbers is not None
    assert numbers.tolist() == [0, 1, 0]
    assert query_numbers(["x", "y"]) is None
    assert query_numbers([]) is None


def test_pairs_of_equal_gold_do_not_count_and_equal_scores_count_half() -> None:
    gold = np.array([2.0, 1.0, 1.0, 0.0])
    assert pairwise_accuracy(gold, gold) == 1
    assert pairwise_accuracy(gold, -gold) == 0
    assert pairwise_accuracy(gold, np.zeros(4)) == 0.5
    assert pairwise_accuracy(gold, np.array([1.0, 2.0, 0.0, -1.0])) == pytest.approx(4 / 5)


def test_a_ranking_is_the_mean_over_queries_that_have_something_to_rank() -> None:
    queries = ["a", "b", "a", "c", "b", "d", "d"]
    gold = np.array([1.0, 1.0, 0.0, 5.0, 0.0, 2.0, 2.0])
    scores = np.array([0.9, 0.1, 0.3, 0.0, 0.8, 1.0, 0.0])
    found = ranking(queries, gold, scores)
    assert found is not None
    assert (found.queries, found.pairwise_accuracy) == (2, 0.5)
    assert found.ndcg_at_10 == pytest.approx((1 + 1 / math.log2(3)) / 2)
    negative = ranking(queries, gold - 1, scores)
    assert negative is not None
    assert (negative.ndcg_at_10, negative.pairwise_accuracy) == (None, 0.5)
    assert ranking(["a", "b"], gold[:2], scores[:2]) is None


def write_pairs(folder: Path) -> None:
    """Scores as in micro, with the text's first word as its query."""
    micro.write_scores(folder)
    for name in ("train", "unlabelled", "test"):
        table = pq.read_table(folder / f"{name}.parquet").to_pydict()
        queries = {"query": [text.split()[0] for text in table["text"]]}
        pq.write_table(pa.table({**queries, **table}), folder / f"{name}.parquet")


def test_a_reranker_learns_margins_and_the_report_ranks_every_model(
    storage: Path, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "pairs"
    write_pairs(source)
    files = {name: f"file://{source}/{name}.parquet" for name in ("train", "unlabelled", "test")}
    common = {"task": "text-scoring", "dataset": files | {"columns": {"query": "query"}}}
    recipe = {"objective": {"margin": {}}, "training": micro.TRAINING | {"control": {"learningRate": 0.01}}}

    def run(stage: Callable[..., Any], name: str, **fields: Any) -> Any:
        work = replace(context, workdir=context.workdir / name)
        return stage(micro.make_run(name, source, storage, **common, **fields), work)

    targets, fit = [], train_stage.fit

    def watched(training: Any, name: str, split: Any, schedule: Any, target: Objective) -> Any:
        targets.append((name, target.alpha, target.margin))
        return fit(training, name, split, schedule, target)

    monkeypatch.setattr(train_stage, "fit", watched)
    found = run(preflight, "preflight", **recipe)
    assert found.student_key != run(preflight, "preflight", **recipe | {"objective": {}}).student_key
    keys = {"labelsKey": found.labels_key, "studentKey": found.student_key}
    run(label, "label", labelsKey=found.labels_key)
    run(train_stage.train, "train", **keys, **recipe)
    assert targets == [("student", 0.9, Margin()), ("control", 0.0, Margin())]
    made = run(compress, "compress", **keys)
    artifact = {"uri": made.artifact_uri, "digest": made.artifact_digest}
    verdict = run(evaluate, "evaluate", studentKey=found.student_key, artifact=artifact, gate={})
    ranked = run(
        evaluate, "evaluate", studentKey=found.student_key, artifact=artifact, attempt=2,
        gate={"metric": "ndcg", "minRetention": 0.1, "minNdcg": 0.1},
    )  # fmt: skip
    report = json.loads(Path(verdict.report_uri.removeprefix("file://")).read_text())
    assert report["ranking"].keys() == {"teacher", "student", "control"}
    assert report["ranking"]["teacher"]["queries"] == 12
    assert 0.5 < report["ranking"]["student"]["pairwiseAccuracy"] <= report["ranking"]["teacher"]["pairwiseAccuracy"]
    assert 0.5 < report["ranking"]["student"]["ndcgAt10"] <= 1
    items = pq.read_table(report["items"]["uri"].removeprefix("file://")).to_pydict()
    assert items["cluster"] == items["query"]
    again = ranking(items["query"], np.array(items["gold"]), np.array(items["student"]))
    assert again is not None
    assert again.ndcg_at_10 == pytest.approx(report["ranking"]["student"]["ndcgAt10"])
    assert [(each.name, each.verdict, each.items) for each in ranked.criteria] == [
        ("retention", "Pass", 12), ("minNdcg", "Pass", 12)
    ]  # fmt: skip
    measured = {each.name: each for each in ranked.measured}
    assert {each.metric for each in measured.values()} == {"NDCG@10"}
    assert measured["student"].value == pytest.approx(report["ranking"]["student"]["ndcgAt10"])
