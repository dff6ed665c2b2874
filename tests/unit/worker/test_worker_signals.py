"""Hidden states and attention relations against references that are written out, and what padding does to them."""

import math

import pytest
import torch
from distillery_worker.errors import InputRefused
from distillery_worker.layers import Projected, Recorder, first_layers, layer_at, projections_of
from distillery_worker.losses.attention_relations import attention_relation_loss, relation_divergence
from distillery_worker.losses.hidden_states import Projections, hidden_state_loss
from torch import Tensor
from transformers import AlbertConfig, BertConfig, DistilBertConfig, GPT2Config, PreTrainedModel, RobertaConfig
from transformers import AutoModelForSequenceClassification as Classifier

MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
SIZE = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 8}


def states(width: int, seed: int) -> Tensor:
    return torch.randn(2, 4, width, generator=torch.Generator().manual_seed(seed))


def bert(**fields: int) -> PreTrainedModel:
    torch.manual_seed(0)
    return Classifier.from_config(BertConfig(**SIZE | fields)).eval()


def batch(extra: int = 0) -> dict[str, Tensor]:
    """Two rows of 3 and 4 tokens, with `extra` positions of padding more than they need."""
    ids = torch.tensor([[5, 6, 7, 0], [8, 9, 10, 11]])
    padding = torch.full((2, extra), 3)
    return {
        "input_ids": torch.cat([ids, padding], dim=1),
        "attention_mask": torch.cat([MASK, torch.zeros_like(padding)], dim=1),
    }


def softmax(scores: list[float]) -> list[float]:
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


def relation(rows: list[list[float]], head: slice) -> list[list[float]]:
    """softmax(A A^T / sqrt(d)) of one head, in plain Python."""
    parts = [row[head] for row in rows]
    size = math.sqrt(len(parts[0]))
    return [softmax([sum(a * b for a, b in zip(x, y, strict=True)) / size for y in parts]) for x in parts]


def written_out(student: Tensor, teacher: Tensor, length: int, heads: int) -> float:
    """The relation loss of one row: mean over heads and tokens of sum p log(p / q)."""
    values = []
    for head in range(heads):
        target, answer = (
            relation(rows[:length].tolist(), slice(head * width // heads, (head + 1) * width // heads))
            for rows, width in ((teacher, teacher.shape[-1]), (student, student.shape[-1]))
        )
        for p, q in zip(target, answer, strict=True):
            values.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    return sum(values) / len(values)


def test_relations_of_different_widths_are_compared_as_the_paper_says() -> None:
    student, teacher = states(4, 1), states(12, 2)
    expected = [written_out(student[row], teacher[row], length, heads=2) for row, length in enumerate([3, 4])]
    assert relation_divergence(student, teacher, MASK, heads=2).tolist() == pytest.approx(expected, rel=1e-5)


def test_queries_keys_and_values_count_alike() -> None:
    student, teacher = Projected(*map(states, (4, 4, 4), (1, 2, 3))), Projected(*map(states, (8, 8, 8), (4, 5, 6)))
    parts = [relation_divergence(*pair, MASK, 2) for pair in zip(student, teacher, strict=True)]
    assert torch.allclose(attention_relation_loss(student, teacher, MASK, 2), parts[0] + parts[1] + parts[2])


def test_hidden_states_are_compared_token_by_token() -> None:
    student, teacher = states(3, 1), states(3, 2)
    squares = [
        [(s - t) ** 2 for token in range(length) for s, t in zip(student[row][token], teacher[row][token], strict=True)]
        for row, length in enumerate([3, 4])
    ]
    expected = [float(sum(row)) / len(row) for row in squares]
    assert hidden_state_loss(student, teacher, MASK).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("poison", [1e4, -3.0])
def test_what_stands_on_padding_reaches_neither_loss_nor_gradient(poison: float) -> None:
    teacher = states(4, 2)
    losses, gradients = [], []
    for value in (0.0, poison):
        student = states(4, 1)
        student[0, 3] = value
        student.requires_grad_()
        loss = hidden_state_loss(student, teacher, MASK) + relation_divergence(student, teacher, MASK, heads=2)
        loss.sum().backward()
        losses.append(loss.detach())
        gradients.append(student.grad)
    assert torch.equal(*losses)
    assert torch.equal(*gradients)
    assert not gradients[1][0, 3].any()


def test_a_signal_of_a_model_does_not_depend_on_how_far_its_batch_is_padded() -> None:
    student, teacher = bert(), bert(hidden_size=16, intermediate_size=4)
    losses = []
    for extra in (0, 5):
        recorders = [Recorder(model, [2], [3], "objective") for model in (student, teacher)]
        inputs = batch(extra)
        for model in (student, teacher):
            model(**inputs)
        mask = inputs["attention_mask"]
        wide = Projections([(8, 16)], seed=0)(0, recorders[0].hidden[2])
        losses.append(hidden_state_loss(wide, recorders[1].hidden[2], mask))
        losses.append(attention_relation_loss(recorders[0].projected(3), recorders[1].projected(3), mask, heads=4))
    assert torch.allclose(losses[0], losses[2], atol=1e-5)
    assert torch.allclose(losses[1], losses[3], atol=1e-5)
    assert (losses[1] > 0).all()


def test_a_recorder_sees_the_hidden_states_that_the_model_reports() -> None:
    model = bert()
    recorder = Recorder(model, [1, 3], [], "objective")
    reported = model(**batch(), output_hidden_states=True).hidden_states
    assert torch.equal(recorder.hidden[1], reported[1])
    assert torch.equal(recorder.hidden[3], reported[3])


def test_the_first_layers_give_the_same_states_and_share_their_weights() -> None:
    whole = bert()
    short = first_layers(whole, 2, "objective")
    recorders = [Recorder(model, [2], [2], "objective") for model in (whole, short)]
    whole(**batch())
    short(**batch())
    assert torch.equal(recorders[0].hidden[2], recorders[1].hidden[2])
    assert whole.config.num_hidden_layers == 3
    assert {id(weight) for weight in short.parameters()} < {id(weight) for weight in whole.parameters()}


def test_projections_stand_only_where_widths_differ_and_come_from_the_seed() -> None:
    first, second = Projections([(4, 4), (4, 8)], seed=3), Projections([(4, 4), (4, 8)], seed=3)
    equal = states(4, 0)
    assert first(0, equal) is equal
    assert first(1, equal).shape == (2, 4, 8)
    assert torch.equal(first(1, equal), second(1, equal))
    assert not torch.equal(first(1, equal), Projections([(4, 4), (4, 8)], seed=4)(1, equal))


@pytest.mark.parametrize(
    "config",
    [
        BertConfig(**SIZE),
        RobertaConfig(**SIZE),
        DistilBertConfig(vocab_size=20, dim=8, n_layers=3, n_heads=2, hidden_dim=8),
    ],
    ids=lambda config: config.model_type,
)
def test_layers_and_their_projections_are_found(config: BertConfig) -> None:
    model = Classifier.from_config(config)
    query, key, value = projections_of(layer_at(model, 3, "objective"), "objective")
    assert [tuple(part.weight.shape) for part in (query, key, value)] == [(8, 8)] * 3  # type: ignore[union-attr,arg-type]


def test_models_whose_layers_cannot_be_told_apart_are_refused() -> None:
    albert = Classifier.from_config(AlbertConfig(**SIZE | {"embedding_size": 8}))
    with pytest.raises(InputRefused, match="no single stack of 3 layers"):
        layer_at(albert, 1, "objective")
    gpt2 = Classifier.from_config(GPT2Config(vocab_size=20, n_embd=8, n_layer=2, n_head=2, pad_token_id=0))
    with pytest.raises(InputRefused, match="queries, keys and values"):
        projections_of(layer_at(gpt2, 1, "objective"), "objective.attention")


@pytest.mark.parametrize("number", [0, 4])
def test_a_layer_that_is_not_there_is_refused(number: int) -> None:
    with pytest.raises(InputRefused, match=f"no layer {number} in a model of 3; give a number from 1 to 3"):
        layer_at(bert(), number, "objective.hiddenStates")
