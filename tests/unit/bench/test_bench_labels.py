"""The benches of labelling and of learning from labels, small: what they measure is there and of the right order."""

from pathlib import Path

import label_bench
import label_kinds_bench
import losses_bench
import numpy as np
import pytest
import torch
import train_bench
from distillery_worker.data.blocks import Block
from distillery_worker.losses.divergence import Divergence, divergence
from small_llama import small_llama

TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def test_labelling_is_measured_beside_the_bare_forward_pass(tmp_path: Path) -> None:
    model = small_llama(300, TINY, logit_deviation=4.0)
    rows = torch.randint(300, (9, label_bench.LENGTH))
    found = label_bench.measure(model, rows, passes=1, folder=tmp_path)
    assert {"bare_tokens_per_s", "labelled_tokens_per_s", "bytes_per_token"} <= set(found)
    assert found["share_of_bare"] == pytest.approx(
        found["labelled_tokens_per_s"] / found["bare_tokens_per_s"], abs=0.01
    )
    assert found["different_ids_per_token"] < found["bytes_per_token"] < 40


def test_each_way_of_learning_is_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(train_bench, "TEACHER", TINY)
    monkeypatch.setattr(train_bench, "STUDENT", TINY)
    found = train_bench.times(steps=1, passes=1, folder=tmp_path)
    assert set(found) == {"ce_s", "cached_s", "online_s"}
    assert min(found.values()) > 0


@pytest.mark.parametrize("name", train_bench.LOSSES)
def test_both_losses_have_gradients_of_the_states_and_the_head(name: str) -> None:
    hidden, head = torch.randn(8, 4, requires_grad=True), torch.randn(60, 4, requires_grad=True)
    train_bench.LOSSES[name](hidden, head, torch.arange(8)).backward()
    assert hidden.grad.abs().sum() > 0
    assert head.grad.abs().sum() > 0


def test_memory_is_read_in_mib() -> None:
    assert 10 < train_bench.resident_mib("VmRSS") <= train_bench.resident_mib("VmHWM") < 100_000


def test_kinds_of_labels_are_compared_at_equal_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_kinds_bench, "STUDENT", TINY)
    teacher = small_llama(300, TINY, logit_deviation=4.0)
    ids = np.random.default_rng(0).integers(0, 300, (9, label_kinds_bench.LENGTH)).astype(np.int32)
    blocks = [Block(row) for row in ids]
    text, sampled, top_k, hidden = label_kinds_bench.cases(teacher, blocks)
    assert top_k.bytes_per_token <= sampled.bytes_per_token < hidden.bytes_per_token
    assert [case.alpha for case in (text, sampled, top_k, hidden)] == [0, 1, 1, 1]
    head = teacher.get_output_embeddings().weight.detach()
    scores = [label_kinds_bench.trained(case, blocks, head, 2, seed=0) for case in (text, sampled, top_k, hidden)]
    assert len({label_kinds_bench.judged(student, blocks)[0] for student in scores}) == 4


def test_calibration_error_is_how_far_confidence_is_from_being_right() -> None:
    right = np.arange(3000) % 4 > 0
    assert label_kinds_bench.calibration_error(np.full(3000, 0.75), right) == pytest.approx(0, abs=0.01)
    assert label_kinds_bench.calibration_error(np.full(3000, 0.95), right) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("kind", losses_bench.BETAS)
def test_our_exact_losses_are_the_divergence_of_whole_matrices(kind: Divergence) -> None:
    given = losses_bench.inputs(tokens=8, vocabulary=60)
    hidden, head, teacher, teacher_head = given
    wanted = divergence(hidden @ head.T, teacher @ teacher_head.T, 1.0, kind).mean()
    found, *gradients = losses_bench.valued(losses_bench.ours_hidden(kind), given)
    torch.testing.assert_close([found, *gradients], [wanted.detach(), *torch.autograd.grad(wanted, given[:2])])


@pytest.mark.parametrize("name", ["hidden", "sampled"])
def test_our_losses_are_measured_with_their_gradients(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = dict.fromkeys(("PEAK_TOKENS", "PEAK_VOCABULARY"), 2048)  # 16 MiB of logits
    for size, number in sizes.items():
        monkeypatch.setattr(losses_bench, size, number)
    found = losses_bench.measured(name, passes=1)
    assert found["name"] == name
    assert float(found["seconds"]) > 0


def test_distances_are_relative_to_the_other() -> None:
    assert losses_bench.relative(torch.tensor([3.0, 0.0]), torch.tensor([2.0, 0.0])) == 0.5
