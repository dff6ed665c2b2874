"""What training sees: a fixed order, each row once, and validation rows that it never learns from."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from distillery_api.filters import Filters
from distillery_api.objective import Objective
from distillery_engine import TextTokenizer
from distillery_storage import open_prefix
from distillery_worker.data.files import Rows
from distillery_worker.data.text import row_key
from distillery_worker.data.views import Views
from distillery_worker.errors import InputRefused
from distillery_worker.labels.codecs import LogitsCodec
from distillery_worker.labels.segments import RowLabels
from distillery_worker.labels.store import LabelSet, LabelStore
from distillery_worker.losses.objective import NO_GOLD
from distillery_worker.tasks.classification import Classification
from distillery_worker.training.examples import Examples, Lookup, Split, collect, epoch_batches, kept_by_teacher
from distillery_worker.training.learner import Learner
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

HEAD = Classification(["cat", "dog"])
LENGTHS = np.array([3, 9, 4, 4, 7, 5, 3, 8, 6, 5])


def test_an_epoch_has_each_row_once_and_depends_on_seed_and_epoch_alone() -> None:
    alone = np.arange(10)
    batches, again, later = (
        [batch.tolist() for batch in epoch_batches(LENGTHS, alone, 4, seed=1, epoch=epoch)] for epoch in (0, 0, 1)
    )
    assert sorted(itertools.chain(*batches)) == list(range(10))
    assert batches == again
    assert batches != later


def rows(texts: list[str], gold: list[int] | None, groups: list[str] | None = None) -> Rows:
    """Rows of a file with these texts."""
    return Rows(texts, None if gold is None else np.array(gold), "d", [row_key(text) for text in texts], groups)


def stored(store: LabelStore) -> Lookup:
    """The store of one teacher as its panel reads it."""
    return lambda rows: store.rows(rows.keys)


@pytest.fixture
def tokenizer(source: Path) -> TextTokenizer:
    return TextTokenizer(source / "teacher" / "tokenizer.json", 12, 0)


@pytest.fixture
def store(tmp_path: Path) -> LabelStore:
    codec = LogitsCodec(alignment="one position per row", vocabulary=2)
    digest = "sha256:" + "0" * 64
    store = LabelStore.at(open_prefix(f"file://{tmp_path}"), LabelSet(codec=codec, teacher=digest, tokenizer=digest))
    texts = ["a cat", "a dog", "the owl", "the cat"]
    rows: list[RowLabels] = [{"logits": np.array([[number, -number]], dtype=np.float32)} for number in range(4)]
    store.append([row_key(text) for text in texts], rows, 0, "job")
    return store


def test_equal_texts_stay_together_and_an_unlabelled_copy_adds_nothing(
    store: LabelStore, tokenizer: TextTokenizer
) -> None:
    gold = rows(["a cat", "a dog", "a cat", "a dog"], [0, 1, 0, 1])
    split = collect(
        gold, rows(["the owl", "a dog", "the cat", "the owl"], None), tokenizer, HEAD, stored(store), Views(), seed=0
    )
    held = {tuple(row) for row in split.validation.rows}
    assert len(held) == 1
    assert len(split.validation) == 2
    assert not held & {tuple(row) for row in split.learn.rows}
    assert (split.learn.gold == NO_GOLD).sum() == 2
    assert len(split.learn.with_gold(HEAD)) == 2


def test_each_row_carries_its_own_soft_labels(store: LabelStore, tokenizer: TextTokenizer) -> None:
    gold = rows(["a cat", "a dog"], [0, 1])
    split = collect(gold, rows(["the cat", "the owl"], None), tokenizer, HEAD, stored(store), Views(), seed=0)
    unlabelled = split.learn.gold == NO_GOLD
    assert split.learn.teacher[unlabelled][:, 0].tolist() == [3.0, 2.0]


def test_rows_without_soft_labels_stop_the_training(store: LabelStore, tokenizer: TextTokenizer) -> None:
    with pytest.raises(InputRefused, match="1 of 3 rows") as caught:
        collect(rows(["a cat", "a dog", "no owl"], [0, 1, 1]), None, tokenizer, HEAD, stored(store), Views(), seed=0)
    assert caught.value.reason == "LabelsMissing"


def test_a_row_with_neither_gold_nor_a_usable_answer_is_left_out(store: LabelStore, tokenizer: TextTokenizer) -> None:
    unusable: RowLabels = {"logits": np.full((1, 2), np.nan, dtype=np.float32)}
    store.append([row_key("no owl"), row_key("no cat")], [unusable, unusable], 0, "job")
    gold = rows(["a cat", "a dog", "no cat"], [0, 1, 0])
    split = collect(gold, rows(["the cat", "no owl"], None), tokenizer, HEAD, stored(store), Views(), seed=1)
    learned = {tuple(row) for row in split.learn.rows}
    encoded = tokenizer.encode(["a cat", "a dog", "no cat", "the cat", "no owl"])
    assert tuple(encoded[4]) not in learned
    assert tuple(encoded[3]) in learned
    assert len(split.learn) + len(split.validation) == 4


class Bag(nn.Module):
    """Logits that are sums over a text's tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(32, 2)
        torch.manual_seed(0)
        nn.init.normal_(self.table.weight)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        return SequenceClassifierOutput(logits=(self.table(input_ids) * attention_mask.unsqueeze(-1)).sum(dim=1))


def test_a_row_without_a_teachers_answer_is_learned_from_gold_alone(tokenizer: TextTokenizer) -> None:
    rows, gold = tokenizer.encode(["a cat", "a dog", "the owl"]), torch.tensor([0, 1, NO_GOLD])
    nothing = torch.full((2,), float("nan"))
    teacher = torch.stack([torch.tensor([1.0, 0.0]), nothing, torch.tensor([0.0, 2.0])])

    def loss(model: Bag, batch: Examples, alpha: float) -> Tensor:
        learner = Learner(tokenizer, HEAD, Objective(alpha=alpha, temperature=2.0), None)
        return learner.loss(model, batch, np.arange(len(batch)))

    model, batch = Bag(), Examples(rows, gold, teacher)
    answered = batch.take(np.array([0, 2]))
    soft, hard = loss(model, answered, 1.0).item(), loss(model, batch, 0.0).item()
    whole = loss(model, batch, 0.3)
    assert whole.item() == pytest.approx(0.3 * soft + 0.7 * hard, rel=1e-6)
    torch.autograd.backward(whole)
    assert model.table.weight.grad is not None
    assert bool(torch.isfinite(model.table.weight.grad).all())
    assert loss(model, Examples(rows, gold, nothing.repeat(3, 1)), 0.3).item() == pytest.approx(0.7 * hard, rel=1e-6)


def test_unlabelled_rows_of_a_validation_group_are_left_out(store: LabelStore, tokenizer: TextTokenizer) -> None:
    gold = rows(["a cat", "a dog"], [0, 1], ["x", "y"])
    split = collect(
        gold, rows(["the cat", "the owl"], None, ["x", "y"]), tokenizer, HEAD, stored(store), Views(), seed=0
    )
    numbers = {"x": {0.0, 3.0}, "y": {1.0, 2.0}}
    held = "xy"[int(split.validation.gold.item())]
    assert set(split.learn.teacher[:, 0].tolist()) == numbers["y" if held == "x" else "x"]


TEACHER_MISTAKES = Filters.model_validate({"teacherMistakes": "Drop"})


def test_the_teacher_s_filters_spare_validation_rows(store: LabelStore, tokenizer: TextTokenizer) -> None:
    """The teacher of the store answers 'cat' to each of these rows."""
    gold = rows(["a dog", "the owl", "the cat"], [0, 0, 1])
    splits = [collect(gold, None, tokenizer, HEAD, stored(store), Views(), seed) for seed in range(6)]
    kept = [kept_by_teacher(split, HEAD, TEACHER_MISTAKES) for split in splits]
    found = {(split.validation.gold.item(), len(split.learn), split.dropped["teacherMistakes"]) for split in kept}
    assert found == {(1, 2, 0), (0, 1, 1)}


def test_filters_that_leave_no_labelled_row_are_refused(store: LabelStore, tokenizer: TextTokenizer) -> None:
    split = collect(rows(["a dog", "the owl"], [1, 1]), None, tokenizer, HEAD, stored(store), Views(), seed=0)
    with pytest.raises(InputRefused, match="teacherMistakes 1") as caught:
        kept_by_teacher(split, HEAD, TEACHER_MISTAKES)
    assert caught.value.reason == "EmptyTrainSet"


def test_a_row_that_is_dropped_is_dropped_in_every_view() -> None:
    """The first row is a cat to the teacher in one view, and more surely a dog in the other."""
    gold, few = torch.tensor([0, 0]), torch.empty(1, 0)
    others = Examples([b"c", b"d"], gold, torch.tensor([[0.0, 3.0], [1.0, 0.0]]))
    learn = Examples([b"a", b"b"], gold, torch.tensor([[1.0, 0.0], [1.0, 0.0]]), (others,))
    split = kept_by_teacher(Split(learn, Examples([b"e"], torch.tensor([0]), few)), HEAD, TEACHER_MISTAKES)
    assert (split.learn.rows, split.learn.seen_in(1).rows) == ([b"b"], [b"d"])
    assert split.dropped == {"teacherMistakes": 1}
