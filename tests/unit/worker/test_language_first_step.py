"""What stored labels say of a language model's tokens before the first step, whatever their codec."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from distillery_api.objective import Objective
from distillery_worker.data.blocks import Block
from distillery_worker.errors import InputRefused
from distillery_worker.labels.codecs import Codec, HiddenCodec, LogitsCodec, SampledCodec, TopKCodec
from distillery_worker.labels.measuring import label_rows
from distillery_worker.losses.token_targets import HiddenTargets, LogitsTargets, SampledTargets, TopKTargets
from distillery_worker.training.first_step import ROWS
from distillery_worker.training.language_learner import BlockExamples, LanguageLearner
from torch import Tensor

VOCABULARY, WIDTH, TOKENS = 12, 6, 9
HEAD = torch.randn(VOCABULARY, WIDTH, generator=torch.Generator().manual_seed(1))
CODECS: list[Codec] = [
    SampledCodec(vocabulary=VOCABULARY, samples=20),
    TopKCodec(vocabulary=VOCABULARY, k=3),
    LogitsCodec(alignment="position i predicts token i+1", vocabulary=VOCABULARY),
    HiddenCodec(vocabulary=VOCABULARY, width=WIDTH, head="sha256:" + "0" * 64),
]
by_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.kind)


def examples(codec: Codec, states_of: Callable[[Tensor], Tensor]) -> BlockExamples:
    """30 blocks, and the labels of a teacher with these states [positions, width] at tokens' ids [positions]."""
    draw = np.random.default_rng(0)
    blocks = [Block(draw.integers(0, VOCABULARY, TOKENS).astype(np.int32), first=2) for _ in range(30)]
    states = torch.cat([states_of(torch.from_numpy(block.ids[2:]).long()) for block in blocks])
    labels = label_rows(codec, states, HEAD, [(str(number), block.predicted) for number, block in enumerate(blocks)])
    return BlockExamples(blocks, labels)


def knowing(ids: Tensor) -> Tensor:
    """States whose likeliest token is often the id."""
    return 0.8 * HEAD[ids]


def learner(codec: Codec, temperature: float | None = None) -> LanguageLearner:
    return LanguageLearner(Objective(temperature=temperature), codec, HEAD if codec.kind == "hidden" else None)


@by_codec
def test_labels_of_the_tokens_that_come_pass_and_those_of_the_tokens_beside_are_refused(codec: Codec) -> None:
    learner(codec).check_answers(examples(codec, knowing))
    for shift in (1, -1):
        off_by_one = examples(codec, lambda ids, shift=shift: knowing(ids.roll(shift)))
        with pytest.raises(InputRefused, match=r"112 tokens of dataset\.train .* the tokens beside them") as caught:
            learner(codec).check_answers(off_by_one)
        assert caught.value.reason == "TeacherUnfit"


@by_codec
def test_few_tokens_show_nothing(codec: Codec) -> None:
    wrong = examples(codec, lambda ids: knowing(ids.roll(1)))
    learner(codec).check_answers(wrong.take(np.arange(10)))


def test_probabilities_of_ids_are_those_that_the_labels_keep() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0], [0.0, 0.0, 3.0, 1.0]])
    ids, tokens = torch.tensor([1, 3]), torch.tensor([0, 1])
    p = logits.softmax(-1).numpy()
    assert LogitsTargets(logits).probability(ids, tokens).tolist() == pytest.approx([p[0, 1], p[1, 3]])
    hidden = HiddenTargets(logits, torch.eye(4))
    assert hidden.probability(ids.flip(0), tokens).tolist() == pytest.approx([p[0, 3], p[1, 1]])
    draws = SampledTargets(torch.tensor([[0, 1, 1, 2], [2, 2, 2, 3]], dtype=torch.int32))
    assert draws.probability(ids, tokens).tolist() == [0.5, 0.25]
    masses = torch.tensor([[0.7, 0.2, 0.1], [0.8, 0.1, 0.1]])
    top = TopKTargets(torch.tensor([[0, 1], [2, 0]], dtype=torch.int32), masses.log())
    assert top.probability(ids, tokens).tolist() == pytest.approx([0.2, 0.0])  # 3 is in the tail


@by_codec
def test_exchanged_labels_are_those_of_the_position_before(codec: Codec) -> None:
    given = examples(codec, knowing)
    moved = learner(codec).exchanged(given)
    for column in codec.columns:
        before, after = ([row[column.name] for row in each.teacher] for each in (given, moved))
        assert [len(rows) for rows in before] == [len(rows) for rows in after]
        np.testing.assert_array_equal(np.concatenate(after)[1:], np.concatenate(before)[:-1])
        np.testing.assert_array_equal(after[0][0], before[-1][-1])


def test_blocks_are_looked_at_from_the_first_to_the_last() -> None:
    given = examples(CODECS[0], knowing)
    few = learner(CODECS[0]).sample(given)
    assert len(few) == ROWS
    assert (few.rows[0], few.rows[-1]) == (given.rows[0], given.rows[-1])


@pytest.mark.parametrize("divergence", [float("nan"), 13.0])
def test_a_student_that_begins_far_worse_than_guessing_is_refused(divergence: float) -> None:
    learner(CODECS[0]).check_start(float(np.log(VOCABULARY)) + 1, examples(CODECS[0], knowing))
    with pytest.raises(InputRefused, match=r"guessing is at most 2\.48") as caught:
        learner(CODECS[0]).check_start(divergence, examples(CODECS[0], knowing))
    assert caught.value.reason == "StudentUnfit"


class Tokens(torch.nn.Module):
    """A stand-in for a causal model: final states by token."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.states = torch.nn.Parameter(torch.randn(VOCABULARY, WIDTH, generator=generator))


def test_the_divergence_is_a_token_s_mean_kl_at_the_labels_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts, without the factor of T squared, whatever alpha is."""
    codec, temperature = CODECS[2], 2.0
    given, model = examples(codec, knowing), Tokens()
    module = "distillery_worker.training.language_learner"
    monkeypatch.setattr(f"{module}.model_inputs", lambda *_: {})
    monkeypatch.setattr(f"{module}.head_of", lambda _: HEAD)
    monkeypatch.setattr(
        f"{module}.hidden_states",
        lambda model, blocks, _: torch.cat([model.states[block.ids[1:-1].astype(np.int64)] for block in blocks]),
    )
    work = replace(learner(codec, temperature), objective=Objective(alpha=0.3, temperature=temperature))
    found = [work.divergence(model, given, rows).item() for rows in (np.arange(12), np.arange(12, 30))]
    states = torch.cat([model.states.detach()[block.ids[1:-1].astype(np.int64)] for block in given.rows])
    logits = torch.from_numpy(np.concatenate([row["logits"] for row in given.teacher]))
    p, q = (logits / temperature).softmax(-1), (states @ HEAD.T / temperature).softmax(-1)
    assert sum(found) == pytest.approx(float((p * (p / q).log()).sum(-1).mean()), rel=1e-4)
