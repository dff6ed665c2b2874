"""The token objective: each loss as written out in float64, in chunks as without, with masks that reach it."""

import math

import pytest
import torch
from distillery_worker.labels.codecs import HiddenCodec, LogitsCodec, SampledCodec, TopKCodec
from distillery_worker.labels.measuring import label_rows
from distillery_worker.losses.objective import NO_GOLD
from distillery_worker.losses.token_objective import token_objective
from distillery_worker.losses.token_targets import HiddenTargets, LogitsTargets, SampledTargets, TopKTargets
from distillery_worker.training.stored_targets import targets_of
from torch import Tensor
from torch.nn import functional

TOKENS, WIDTH, TEACHER_WIDTH, VOCABULARY = 11, 4, 6, 23
CHUNK = 3 * VOCABULARY  # logits: 11 tokens in 4 chunks


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


HIDDEN, HEAD = random(TOKENS, WIDTH, seed=1), random(VOCABULARY, WIDTH, seed=2)
TEACHER_HIDDEN, TEACHER_HEAD = random(TOKENS, TEACHER_WIDTH, seed=3), random(VOCABULARY, TEACHER_WIDTH, seed=4)
STUDENT, TEACHER = HIDDEN @ HEAD.T, TEACHER_HIDDEN @ TEACHER_HEAD.T
GOLD = torch.arange(TOKENS)
WEIGHTS = torch.ones(TOKENS)
DRAWS = torch.arange(TOKENS * 4).reshape(TOKENS, 4) % VOCABULARY
LIVE = HiddenTargets(TEACHER_HIDDEN, TEACHER_HEAD)


def soft(targets: object, temperature: float = 1.0, weights: Tensor = WEIGHTS) -> float:
    return token_objective(HIDDEN, HEAD, targets, weights, GOLD, 1.0, temperature, CHUNK).item()


def distribution(logits: Tensor, temperature: float) -> list[list[float]]:
    rows = [[math.exp(x / temperature) for x in row] for row in logits.double().tolist()]
    return [[x / sum(row) for x in row] for row in rows]


def mean_over_tokens(per_token, temperature: float) -> float:
    """T^2 times the mean of a function of the teacher's and the student's probabilities."""
    pairs = zip(distribution(TEACHER, temperature), distribution(STUDENT, temperature), strict=True)
    return temperature**2 * sum(per_token(p, q) for p, q in pairs) / TOKENS


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def jsd(p: list[float], q: list[float]) -> float:
    m = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return (kl(p, m) + kl(q, m)) / 2


REFERENCES = {"forward": kl, "reverse": lambda p, q: kl(q, p), "jsd": jsd}


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("kind", REFERENCES)
def test_whole_distributions_give_each_divergence(kind: str, temperature: float) -> None:
    expected = mean_over_tokens(REFERENCES[kind], temperature)
    assert soft(LogitsTargets(TEACHER, kind), temperature) == pytest.approx(expected, rel=1e-5)
    assert soft(HiddenTargets(TEACHER_HIDDEN, TEACHER_HEAD, kind), temperature) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_draws_give_their_cross_entropy(temperature: float) -> None:
    answers = distribution(STUDENT, temperature)
    each = [-sum(math.log(q[i]) for i in ids) / 4 for ids, q in zip(DRAWS.tolist(), answers, strict=True)]
    expected = temperature**2 * sum(each) / TOKENS
    assert soft(SampledTargets(DRAWS), temperature) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_top_k_gives_the_kl_of_its_buckets(temperature: float) -> None:
    def bucketed(p: list[float], q: list[float]) -> float:
        best = sorted(range(VOCABULARY), key=lambda i: -p[i])[:5]
        return kl(*([*(x[i] for i in best), 1 - sum(x[i] for i in best)] for x in (p, q)))

    codec = TopKCodec(vocabulary=VOCABULARY, k=5, temperature=temperature)
    rows = label_rows(codec, TEACHER_HIDDEN, TEACHER_HEAD, [("row", TOKENS)])
    expected = mean_over_tokens(bucketed, temperature)
    assert soft(targets_of(codec, rows, None, "forward"), temperature) == pytest.approx(expected, rel=2e-3)
    assert expected < mean_over_tokens(kl, temperature)


def top_k_targets() -> TopKTargets:
    best = torch.log_softmax(TEACHER, dim=-1).topk(3)
    tail = (1 - best.values.exp().sum(dim=1, keepdim=True)).log()
    return TopKTargets(best.indices, torch.cat([best.values, tail], dim=1))


TARGETS = {
    "sampled": SampledTargets(DRAWS),
    "topK": top_k_targets(),
    "logits": LogitsTargets(TEACHER, "reverse"),
    "hidden": HiddenTargets(TEACHER_HIDDEN, TEACHER_HEAD, "jsd"),
}


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("name", TARGETS)
def test_chunks_have_the_loss_and_the_gradients_of_the_whole(name: str, temperature: float) -> None:
    targets, alpha = TARGETS[name], 0.7
    hidden, head = HIDDEN.clone().requires_grad_(), HEAD.clone().requires_grad_()
    gold = GOLD.clone()
    gold[[0, 4]] = NO_GOLD
    chunked = token_objective(hidden, head, targets, WEIGHTS, gold, alpha, temperature, CHUNK)
    logits = hidden @ head.T
    log_probs = torch.log_softmax(logits / temperature, dim=-1)
    taught = temperature**2 * targets.loss(log_probs, torch.arange(TOKENS), temperature).mean()
    whole = alpha * taught + (1 - alpha) * functional.cross_entropy(logits, gold, ignore_index=NO_GOLD)
    assert chunked.item() == pytest.approx(whole.item(), rel=1e-5)
    expected = torch.autograd.grad(3 * whole, [hidden, head])
    for ours, theirs in zip(torch.autograd.grad(3 * chunked, [hidden, head]), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_loss_without_gradients_is_the_same() -> None:
    with torch.no_grad():
        assert soft(LIVE) == pytest.approx(mean_over_tokens(kl, 1.0), rel=1e-5)


def test_a_frozen_head_leaves_the_gradient_of_the_states() -> None:
    hidden = HIDDEN.clone().requires_grad_()
    token_objective(hidden, HEAD, LIVE, WEIGHTS, GOLD, 0.5, 1.0, CHUNK).backward()
    both = HIDDEN.clone().requires_grad_()
    token_objective(both, HEAD.clone().requires_grad_(), LIVE, WEIGHTS, GOLD, 0.5, 1.0, CHUNK).backward()
    torch.testing.assert_close(hidden.grad, both.grad)


def gradient(targets: object, temperature: float = 1.0) -> Tensor:
    hidden = HIDDEN.clone().requires_grad_()
    token_objective(hidden, HEAD, targets, WEIGHTS, GOLD, 1.0, temperature, CHUNK).backward()
    return hidden.grad


def test_sampled_labels_follow_the_teacher_without_bias() -> None:
    """The mean over seeds comes to the whole distribution's gradient as 1 / sqrt(draws); that of top-k does not."""
    codecs = [SampledCodec(vocabulary=VOCABULARY, samples=50, seed=seed) for seed in range(200)]
    rows = [("row", TOKENS)]
    stored = [(codec, label_rows(codec, TEACHER_HIDDEN, TEACHER_HEAD, rows)) for codec in codecs]
    each = torch.stack([gradient(targets_of(codec, labels, None, "forward")) for codec, labels in stored])
    error = each.mean(dim=0) - gradient(LIVE)
    assert error.square().mean().sqrt() < 1.5 * each.std(dim=0).square().mean().sqrt() / math.sqrt(len(each))
    assert error.norm() < 0.02 * gradient(LIVE).norm()
    assert (gradient(TARGETS["topK"]) - gradient(LIVE)).norm() > 0.1 * gradient(LIVE).norm()


def test_the_sampled_loss_is_kl_plus_the_teachers_entropy() -> None:
    codec = SampledCodec(vocabulary=VOCABULARY, samples=1000)
    labels = label_rows(codec, TEACHER_HIDDEN, TEACHER_HEAD, [("row", TOKENS)])
    entropy = mean_over_tokens(lambda p, q: -sum(a * math.log(a) for a in p), 1.0)
    value = soft(targets_of(codec, labels, None, "forward"))
    assert value == pytest.approx(mean_over_tokens(kl, 1.0) + entropy, rel=0.02)


@pytest.mark.parametrize("temperature", [4.0, 8.0])
def test_the_temperatures_square_keeps_the_gradients_size(temperature: float) -> None:
    """At high temperatures T^2 * KL turns into half the squared difference of the centred logits (arXiv 1503.02531)."""
    ratio = gradient(LIVE, 2 * temperature).norm() / gradient(LIVE, temperature).norm()
    assert ratio == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("name", TARGETS)
def test_a_token_of_weight_zero_teaches_nothing_and_the_rest_are_a_weighted_mean(name: str) -> None:
    weights = torch.zeros(TOKENS)
    weights[[2, 7]] = torch.tensor([3.0, 1.0])
    only = [torch.zeros(TOKENS).index_fill(0, torch.tensor(token), 1.0) for token in (2, 7)]
    both = [soft(TARGETS[name], weights=one) for one in only]
    assert soft(TARGETS[name], weights=weights) == pytest.approx((3 * both[0] + both[1]) / 4, rel=1e-5)


def test_each_codec_brings_its_labels_to_the_loss() -> None:
    codecs = [
        SampledCodec(vocabulary=VOCABULARY, samples=1000),
        TopKCodec(vocabulary=VOCABULARY, k=VOCABULARY - 1),
        LogitsCodec(vocabulary=VOCABULARY, alignment="position i predicts token i+1"),
        HiddenCodec(vocabulary=VOCABULARY, width=TEACHER_WIDTH, head="sha256:" + "0" * 64),
    ]
    rows = [("a", 5), ("b", TOKENS - 5)]
    for codec in codecs:
        labels = label_rows(codec, TEACHER_HIDDEN, TEACHER_HEAD, rows)
        ours = gradient(targets_of(codec, labels, TEACHER_HEAD, "forward"))
        swapped = gradient(targets_of(codec, labels[::-1], TEACHER_HEAD, "forward"))
        assert (ours - gradient(LIVE)).norm() < 0.1 * gradient(LIVE).norm(), codec.kind
        assert (swapped - gradient(LIVE)).norm() > 0.5 * gradient(LIVE).norm(), codec.kind


def test_alpha_weighs_teacher_and_gold_and_gold_is_a_mean_over_its_own_tokens() -> None:
    gold = torch.full((TOKENS,), NO_GOLD)
    gold[3] = 8
    value = token_objective(HIDDEN, HEAD, LIVE, WEIGHTS, gold, 0.25, 2.0, CHUNK).item()
    nll = -math.log(distribution(STUDENT, 1.0)[3][8])
    assert value == pytest.approx(0.25 * mean_over_tokens(kl, 2.0) + 0.75 * nll, rel=1e-5)


def test_alpha_zero_is_plain_cross_entropy() -> None:
    value = token_objective(HIDDEN, HEAD, LIVE, WEIGHTS, GOLD, 0.0, 2.0, CHUNK).item()
    assert value == pytest.approx(functional.cross_entropy(STUDENT, GOLD).item(), rel=1e-5)


def test_a_batch_in_which_nothing_counts_has_no_loss_and_no_gradient() -> None:
    hidden = HIDDEN.clone().requires_grad_()
    loss = token_objective(hidden, HEAD, LIVE, torch.zeros(TOKENS), torch.full((TOKENS,), NO_GOLD), 0.5, 1.0)
    loss.backward()
    assert loss.item() == 0
    assert hidden.grad.abs().max() == 0
