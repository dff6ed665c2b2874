"""The perplexity criterion: against a hand-written reference, its error rate, and what it says."""

import math
import re

import numpy as np
import pytest
from distillery_gate import Gate, GateInputError, LikelihoodItems, decide
from distillery_gate.paired_likelihood import LikelihoodPair
from distillery_gate.sums import mean_of_units_interval
from scipy import stats

LEVEL = 0.05
TOKENS = [100, 300, 250, 50]
TEACHER = [400.0, 1150.0, 990.0, 210.0]
STUDENT = [410.0, 1170.0, 1010.0, 212.0]
CONTROL = [430.0, 1250.0, 1050.0, 220.0]


def items(**changes: object) -> LikelihoodItems:
    fields = {"ids": ["a", "b", "c", "d"], "tokens": TOKENS, "teacher": TEACHER, "student": STUDENT}
    return LikelihoodItems(**(fields | changes))


def test_ratio_and_interval_are_those_of_a_jackknife_written_out():
    gains = [teacher - student for teacher, student in zip(TEACHER, STUDENT, strict=True)]
    mean = sum(gains) / sum(TOKENS)
    without = [(sum(gains) - gain) / (sum(TOKENS) - tokens) for gain, tokens in zip(gains, TOKENS, strict=True)]
    texts, centre = len(TOKENS), sum(without) / len(TOKENS)
    error = math.sqrt((texts - 1) / texts * sum((value - centre) ** 2 for value in without))
    degrees = sum(TOKENS) ** 2 / sum(tokens**2 for tokens in TOKENS) - 1
    reach = stats.t.ppf(0.95, degrees) * error

    pair = items().pair(np.array(TEACHER))
    assert pair.ratio() == pytest.approx(math.exp(mean))
    assert pair.ratio_interval(LEVEL) == pytest.approx((math.exp(mean - reach), math.exp(mean + reach)))
    assert pair.difference() == pytest.approx(mean)
    assert pair.difference_interval(LEVEL) == pytest.approx((mean - reach, mean + reach))


def test_the_verdict_names_perplexities_and_compares_the_control():
    verdict = decide(items(control=CONTROL), Gate(min_retention=0.9, level=0.1))
    assert verdict.verdict == "Pass"
    assert [model.name for model in verdict.measurements] == ["teacher", "student", "control"]
    assert {model.metric for model in verdict.measurements} == {"perplexity"}
    assert verdict.measurements[0].value == pytest.approx(math.exp(sum(TEACHER) / sum(TOKENS)))
    assert "The teacher's perplexity is 0.928 of the student's" in verdict.criteria[0].message
    assert verdict.comparisons[0].value == pytest.approx((sum(CONTROL) - sum(STUDENT)) / sum(TOKENS))


def test_models_that_are_alike_on_every_text_keep_everything():
    criterion = decide(items(student=TEACHER), Gate(min_retention=0.99)).criteria[0]
    assert (criterion.verdict, criterion.value, criterion.low) == ("Pass", 1.0, 1.0)


def test_the_order_of_texts_does_not_matter():
    turned = items(ids=["d", "c", "b", "a"], tokens=TOKENS[::-1], teacher=TEACHER[::-1], student=STUDENT[::-1])
    first, second = (decide(given, Gate(min_retention=0.95)).criteria[0] for given in (items(), turned))
    assert (first.value, first.low, first.high) == pytest.approx((second.value, second.low, second.high))


def simulated(texts: int, spread: float, draws: int = 1500) -> list[tuple[np.ndarray, np.ndarray]]:
    """Gains and tokens of texts whose lengths spread log-normally and whose true gain is -0.1 nats per token."""
    rng = np.random.default_rng(20240607)
    found = []
    for _ in range(draws):
        tokens = np.round(np.exp(rng.normal(6, spread, texts))) + 5
        gains = rng.normal(-0.1, 0.03, texts) * tokens + rng.normal(0, 1, texts) * np.sqrt(tokens)
        found.append((gains, tokens))
    return found


@pytest.mark.parametrize(("texts", "spread"), [(5, 0.0), (5, 1.0), (10, 0.5), (20, 1.0), (100, 0.5)])
def test_a_student_exactly_at_the_threshold_passes_at_most_at_the_level(texts: int, spread: float):
    promoted = [mean_of_units_interval(gains, tokens, LEVEL).low > -0.1 for gains, tokens in simulated(texts, spread)]
    assert np.mean(promoted) < LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / len(promoted))


def test_the_planned_number_of_texts_gives_the_planned_power():
    (gains, tokens), *_ = simulated(400, 0.5, draws=1)
    pair = LikelihoodPair(np.zeros(400), gains, tokens)
    needed = pair.ratio_items_needed(math.exp(-0.112), LEVEL)
    assert needed is not None
    passed = [mean_of_units_interval(*given, LEVEL).low > -0.112 for given in simulated(needed, 0.5)]
    assert np.mean(passed) == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"tokens": [1, 2, 3, 0]}, "tokens: text 3 has 0", id="a text without tokens"),
        pytest.param({"tokens": [1.5, 2, 3, 1]}, "tokens: text 0 has 1.5", id="half a token"),
        pytest.param({"tokens": None}, "tokens: missing", id="no counts"),
        pytest.param({"student": [1, 2, 3, math.inf]}, "student: text 3 is inf", id="an impossible text"),
        pytest.param({"student": [1, 2, 3, -1]}, "student: text 3 is -1", id="a likelihood above one"),
        pytest.param({"student": [1, 2, 3]}, "3 results for 4 ids", id="a text is missing"),
        pytest.param(
            {"ids": ["a"], "tokens": [9], "teacher": [1.0], "student": [1.0]}, "one text says nothing", id="one text"
        ),
    ],
)
def test_results_that_show_nothing_are_refused(changes: dict[str, object], words: str):
    with pytest.raises(GateInputError, match=re.escape(words)):
        items(**changes)
