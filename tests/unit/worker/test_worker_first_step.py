"""Before the first step: what is measured leaves no trace, and what nothing would be learned from is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro
import numpy as np
import pytest
import torch
from distillery_api.objective import Objective
from distillery_engine import TextTokenizer
from distillery_storage import open_prefix
from distillery_worker.artifacts.records import read_record, student_prefix
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused, Interrupted
from distillery_worker.labels.segments import RowLabels
from distillery_worker.losses.objective import NO_GOLD
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from distillery_worker.tasks.classification import Classification
from distillery_worker.tasks.scoring import Scoring
from distillery_worker.teachers.panel import Panel
from distillery_worker.training.checkpoints import Standing
from distillery_worker.training.examples import Examples, Split
from distillery_worker.training.first_step import ROWS, signal_of, spread
from distillery_worker.training.fitting import Fit, Schedule
from distillery_worker.training.learner import Learner
from distillery_worker.training.ranks import Ranks
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput

HEAD = Classification(micro.ANIMALS)
SCHEDULE = Schedule(steps=6, validate_every=6, checkpoint_every=1, batch_size=8, learning_rate=0.01, seed=0)
NAN = float("nan")


class Noisy(nn.Module):
    """Logits of a text's words through what training changes by the way: dropout's noise and running means."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.EmbeddingBag(32, 8, mode="sum", padding_idx=0)
        self.normalisation, self.dropout, self.classifier = nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(self.normalisation(self.words(input_ids)))))


class Kept:
    """Checkpoints in memory."""

    def __init__(self) -> None:
        self.saved: list[tuple[Standing, dict[str, Tensor]]] = []

    def newest(self) -> tuple[Standing, dict[str, Tensor]] | None:
        return self.saved[-1] if self.saved else None

    def save(self, standing: Standing, tensors: dict[str, Tensor]) -> None:
        self.saved.append((standing, {name: tensor.clone() for name, tensor in tensors.items()}))


@pytest.fixture
def encoder(source: Path) -> TextTokenizer:
    return TextTokenizer(source / "teacher" / "tokenizer.json", micro.MAX_LENGTH, 0)


@pytest.fixture
def examples(encoder: TextTokenizer) -> Examples:
    """40 rows with gold, and a teacher that is right."""
    rows = micro.sentences()[:40]
    gold = torch.tensor([micro.ANIMALS.index(label) for _, label in rows])
    noise = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    return Examples(encoder.encode([text for text, _ in rows]), gold, 4.0 * functional.one_hot(gold, 3) + noise)


def fit(encoder: TextTokenizer, examples: Examples, **objective: Any) -> Fit[Examples]:
    learner = Learner(encoder, HEAD, Objective(temperature=2.0, **objective))
    model: Any = Noisy()
    return Fit(model, Split(examples, examples), learner, SCHEDULE, Ranks())


def test_the_checks_change_nothing_of_the_training(
    encoder: TextTokenizer, examples: Examples, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the order of batches, dropout, gradients, running means or the optimiser's moments."""
    checked, unchecked, kept, alone = fit(encoder, examples), fit(encoder, examples), Kept(), Kept()
    checked.run(kept, context)  # type: ignore[arg-type]
    monkeypatch.setattr(Fit, "check_start", lambda self: None)
    unchecked.run(alone, context)  # type: ignore[arg-type]
    assert checked.standing.signal is not None
    assert unchecked.standing.signal is None
    assert kept.saved[-1][1].keys() == alone.saved[-1][1].keys()
    for name, tensor in kept.saved[-1][1].items():
        torch.testing.assert_close(alone.saved[-1][1][name], tensor, rtol=0, atol=0, msg=name)


def test_a_resumed_training_measures_nothing_again_and_keeps_what_was_measured(
    encoder: TextTokenizer, examples: Examples, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, kept = fit(encoder, examples), Kept()
    context.stop.set()
    with pytest.raises(Interrupted):
        first.run(kept, context)  # type: ignore[arg-type]
    context.stop.clear()
    monkeypatch.setattr(Learner, "sample", lambda *_: pytest.fail("measured twice"))
    resumed = fit(encoder, examples)
    assert resumed.run(kept, context) == 1  # type: ignore[arg-type]
    assert resumed.standing.initial_divergence == first.standing.initial_divergence
    assert resumed.standing.signal == first.standing.signal


def test_a_model_that_learns_from_gold_alone_is_not_measured(
    encoder: TextTokenizer, examples: Examples, context: Context
) -> None:
    silent = replace(examples, teacher=torch.full((40, 3), NAN))
    work = fit(encoder, silent, alpha=0.0)
    work.run(Kept(), context)  # type: ignore[arg-type]
    assert work.standing.signal is None


def test_the_divergence_is_the_mean_kl_of_the_sampled_rows(encoder: TextTokenizer, examples: Examples) -> None:
    learner, model = Learner(encoder, HEAD, Objective(temperature=3.0, divergence="reverse")), Noisy().eval()
    batch = learner.sample(examples)
    inputs = {name: torch.from_numpy(array) for name, array in encoder.collate(batch.rows)._asdict().items()}
    p, q = batch.teacher.softmax(-1), model(**inputs).logits.detach().softmax(-1)
    parts = [learner.divergence(model, batch, rows).item() for rows in (np.arange(5), np.arange(5, ROWS))]
    assert sum(parts) == pytest.approx(float((p * (p / q).log()).sum(-1).mean()), rel=1e-5)


def test_the_signal_is_the_share_of_the_gradient_that_the_answers_decide() -> None:
    gradient, other = torch.tensor([3.0, 4.0]), torch.tensor([3.0, 0.0])
    assert signal_of(gradient, other) == pytest.approx(4 / (5 + 3))
    assert signal_of(gradient, -gradient) == pytest.approx(1.0)


def test_rows_are_looked_at_from_one_end_of_the_answers_to_the_other(
    encoder: TextTokenizer, examples: Examples
) -> None:
    """So that one row in a thousand that is answered otherwise is among them."""
    assert spread(np.arange(1000))[[0, -1]].tolist() == [0, 999]
    assert spread(np.arange(3)).tolist() == [0, 1, 2]
    almost = torch.zeros(40, 3).index_fill_(0, torch.tensor(17), 1.0)
    batch = Learner(encoder, HEAD, Objective()).sample(replace(examples, teacher=almost))
    assert (len(batch), int(batch.teacher.sum())) == (ROWS, 3)


def constant(teacher: Tensor) -> Tensor:
    return torch.tensor([2.0, 0.0, -1.0]).repeat(len(teacher), 1)


@pytest.mark.parametrize(
    ("spoil", "objective", "words"),
    [
        pytest.param(torch.zeros_like, {}, "teach nothing", id="uniform"),
        pytest.param(constant, {}, "teach nothing", id="the same for all"),
        pytest.param(torch.clone, {"alpha": 1e-6}, "raise alpha", id="of almost no weight"),
        pytest.param(lambda teacher: teacher * NAN, {}, "no row to learn from", id="not a number"),
        pytest.param(torch.neg, {"mask_teacher_mistakes": True}, "no row to learn from", id="all masked"),
    ],
)
def test_answers_that_teach_nothing_are_refused(
    spoil: Callable[[Tensor], Tensor],
    objective: dict[str, Any],
    words: str,
    encoder: TextTokenizer,
    examples: Examples,
    context: Context,
) -> None:
    work = fit(encoder, replace(examples, teacher=spoil(examples.teacher)), **objective)
    with pytest.raises(InputRefused, match=words) as caught:
        work.run(Kept(), context)  # type: ignore[arg-type]
    assert (caught.value.reason, work.standing.step) == ("NoSignal", 0)


def test_a_student_that_already_answers_like_its_teacher_gets_a_signal(
    encoder: TextTokenizer, examples: Examples, context: Context
) -> None:
    work = fit(encoder, examples, alpha=1.0)
    work.model.dropout, work.model.normalisation = nn.Identity(), nn.Identity()
    sampled = work.learner.sample(examples)
    inputs = {name: torch.from_numpy(array) for name, array in encoder.collate(sampled.rows)._asdict().items()}
    equal = work.model.train()(**inputs).logits.detach()
    work.split = Split(replace(sampled, teacher=equal), examples)
    work.check_start()
    assert work.standing.initial_divergence == pytest.approx(0.0, abs=1e-5)
    assert work.standing.signal is not None
    assert work.standing.signal > 0.1


@pytest.mark.parametrize("weight", [NAN, 1e4])
def test_a_student_that_begins_absurdly_is_refused(
    weight: float, encoder: TextTokenizer, examples: Examples, context: Context
) -> None:
    work = fit(encoder, examples)
    with torch.no_grad():
        work.model.classifier.weight.mul_(weight)  # type: ignore[union-attr]
    with pytest.raises(InputRefused, match=r"begins .* nats .* at most 1.10 from any") as caught:
        work.run(Kept(), context)  # type: ignore[arg-type]
    assert caught.value.reason == "StudentUnfit"


def test_scores_far_from_the_student_for_their_variance_are_refused() -> None:
    scores = np.random.default_rng(0).normal(2000.0, 10.0, size=(50, 1)).astype(np.float32)
    with pytest.raises(InputRefused, match="centre and scale the scores") as caught:
        Scoring().check_start(2000.0**2, scores)
    assert caught.value.reason == "StudentUnfit"
    with pytest.raises(InputRefused):
        Scoring().check_start(NAN, scores - 2000)
    Scoring().check_start(100.0, scores - 2000)
    Scoring().check_start(100.0, np.ones((50, 1), dtype=np.float32))  # which has no signal


GOLD = np.arange(60) % 3


def logits(answers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return 5 * np.eye(3, dtype=np.float32)[answers]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ((GOLD + 1) % 3, "'cat' as 'dog', 'dog' as 'owl', 'owl' as 'cat'; correct id2label"),
        (np.array([1, 0, 2])[GOLD], "'cat' as 'dog', 'dog' as 'cat'; correct id2label"),
        (np.arange(60) // 20, "agree with 20 gold labels, no more than chance .20.0."),
        (np.zeros(60, dtype=np.int64), "agree with 20 gold labels, no more than chance"),
    ],
)
def test_a_teacher_that_does_not_know_the_labels_is_refused(answers: np.ndarray[Any, Any], words: str) -> None:
    with pytest.raises(InputRefused, match=words) as caught:
        HEAD.check_answers(logits(answers), GOLD)
    assert caught.value.reason == "TeacherUnfit"


@pytest.mark.parametrize(
    ("answers", "gold"),
    [
        (np.where(np.arange(60) % 4 == 0, 0, GOLD), GOLD),  # often wrong, and better than chance
        ((GOLD[:12] + 1) % 3, GOLD[:12]),  # too few to tell
        (np.zeros(60, dtype=np.int64), np.zeros(60, dtype=np.int64)),  # one label alone
        (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)),
    ],
)
def test_a_teacher_that_may_know_the_labels_is_not_refused(
    answers: np.ndarray[Any, Any], gold: np.ndarray[Any, Any]
) -> None:
    HEAD.check_answers(logits(answers), gold)


def test_scores_that_fall_where_gold_rises_are_refused() -> None:
    gold = np.linspace(0, 5, 30, dtype=np.float32)
    Scoring().check_answers(100 * gold[:, None] - 7, gold)
    Scoring().check_answers(-gold[:10, None], gold[:10])
    Scoring().check_answers(np.ones((30, 1), dtype=np.float32), gold)  # which has no signal
    with pytest.raises(InputRefused, match=r"correlation of -1\.00") as caught:
        Scoring().check_answers(-gold[:, None], gold)
    assert caught.value.reason == "TeacherUnfit"


def test_labels_that_are_exchanged_are_refused_by_name_before_a_filter_drops_them(
    source: Path, storage: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    filters = {"filters": {"teacherMistakes": "Drop"}}
    dataset = micro.make_run("preflight", source, storage).dataset.dump() | filters
    found = preflight(micro.make_run("preflight", source, storage, dataset=dataset), context)
    label(micro.make_run("label", source, storage, labelsKey=found.labels_key), context)
    stored = Panel.stored

    def permuted(self: Panel, *arguments: Any) -> list[RowLabels | None]:
        rows = stored(self, *arguments)
        return [row and {"logits": np.roll(row["logits"], 1, axis=1)} for row in rows]

    monkeypatch.setattr(Panel, "stored", permuted)
    keys = {"labelsKey": found.labels_key, "studentKey": found.student_key}
    with pytest.raises(InputRefused, match="'cat' as 'dog', 'dog' as 'owl', 'owl' as 'cat'") as caught:
        train(micro.make_run("train", source, storage, dataset=dataset, **keys), context)
    assert caught.value.reason == "TeacherUnfit"


def test_the_record_says_where_the_student_began_and_what_the_teacher_told_it(
    source: Path, storage: Path, context: Context
) -> None:
    training = micro.TRAINING | {"epochs": 1, "control": {"learningRate": 0.01}}
    found = preflight(micro.make_run("preflight", source, storage, training=training), context)
    label(micro.make_run("label", source, storage, labelsKey=found.labels_key), context)
    keys = {"labelsKey": found.labels_key, "studentKey": found.student_key}
    train(micro.make_run("train", source, storage, training=training, **keys), context)
    record = read_record(student_prefix(open_prefix(f"file://{storage}"), found.student_key))
    assert record is not None
    assert record.control is not None
    assert record.student.initial_divergence is not None
    assert 0 < record.student.initial_divergence < np.log(3) + 0.1  # it begins by guessing
    assert record.student.signal is not None
    assert 0.1 < record.student.signal <= 1
    assert record.control.signal is None


def test_rows_without_gold_are_no_evidence_against_a_teacher(encoder: TextTokenizer, examples: Examples) -> None:
    learner = Learner(encoder, HEAD, Objective())
    exchanged = replace(examples, teacher=examples.teacher.roll(1, dims=1))
    with pytest.raises(InputRefused, match="exchanged"):
        learner.check_answers(exchanged)
    learner.check_answers(replace(exchanged, gold=torch.full((40,), NO_GOLD)))
    learner.check_answers(replace(exchanged, teacher=exchanged.teacher * NAN))
