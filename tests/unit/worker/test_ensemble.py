"""Several teachers as one: golden values, and what must hold for any teachers."""

import numpy as np
import pytest
from distillery_worker.errors import InputRefused
from distillery_worker.teachers.ensemble import (
    align,
    answered,
    common_labels,
    disagreement,
    mean_log_probabilities,
    route,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax

Floats = NDArray[np.float64]


def teachers(*probabilities: list[list[float]]) -> NDArray[np.float32]:
    """Logits [teachers, rows, labels] with these probabilities, each row shifted as a model's may be."""
    return (np.log(np.array(probabilities)) + 3.0).astype(np.float32)


def weights(*given: float, rows: int = 1) -> Floats:
    return np.repeat(np.array(given)[:, None], rows, axis=1)


@st.composite
def ensembles(draw: st.DrawFn) -> tuple[NDArray[np.float32], Floats]:
    """Logits of up to four teachers and weights that are not all zero."""
    count, rows, labels = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(2, 5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = generator.normal(scale=draw(st.sampled_from([0.1, 3, 50])), size=(count, rows, labels))
    own = generator.random((count, rows)) * (generator.random((count, rows)) < 0.8)
    own[0] += own.sum(axis=0) == 0
    return logits.astype(np.float32), own


def test_the_mean_is_of_probabilities_not_of_logits() -> None:
    mixed = mean_log_probabilities(teachers([[0.9, 0.1]], [[0.3, 0.7]]), weights(1, 1))
    np.testing.assert_allclose(softmax(mixed, axis=1), [[0.6, 0.4]], rtol=1e-6)
    np.testing.assert_allclose(mixed, np.log([[0.6, 0.4]]), rtol=1e-6)


def test_weights_count_in_proportion() -> None:
    logits = teachers([[0.9, 0.1]], [[0.3, 0.7]])
    np.testing.assert_allclose(mean_log_probabilities(logits, weights(30, 10)), np.log([[0.75, 0.25]]), rtol=1e-6)
    np.testing.assert_allclose(mean_log_probabilities(logits, weights(0, 5)), np.log([[0.3, 0.7]]), rtol=1e-6)


def test_a_temperature_softens_the_mixture_not_the_teachers() -> None:
    logits = teachers([[0.9, 0.1]], [[0.3, 0.7]])
    softened = softmax(mean_log_probabilities(logits, weights(1, 1)) / 2, axis=1)
    root = np.sqrt([0.6, 0.4])
    np.testing.assert_allclose(softened, [root / root.sum()], rtol=1e-6)
    mean_of_softened = softmax(logits / 2, axis=2).mean(axis=0)
    assert abs(softened[0, 0] - mean_of_softened[0, 0]) > 0.01


@given(ensembles())
@settings(max_examples=60, deadline=None)
def test_softmax_gives_the_weighted_mean_back(ensemble: tuple[NDArray[np.float32], Floats]) -> None:
    logits, own = ensemble
    wanted = (softmax(logits.astype(np.float64), axis=2) * own[:, :, None]).sum(axis=0) / own.sum(axis=0)[:, None]
    np.testing.assert_allclose(softmax(mean_log_probabilities(logits, own), axis=1), wanted, atol=1e-6)


@given(ensembles())
@settings(max_examples=60, deadline=None)
def test_the_order_of_teachers_and_the_scale_of_weights_change_nothing(
    ensemble: tuple[NDArray[np.float32], Floats],
) -> None:
    logits, own = ensemble
    for measure in (mean_log_probabilities, disagreement):
        np.testing.assert_allclose(measure(logits[::-1], 7 * own[::-1]), measure(logits, own), atol=1e-5)


@given(ensembles())
@settings(max_examples=60, deadline=None)
def test_a_teacher_that_stands_twice_is_one_with_twice_the_weight(
    ensemble: tuple[NDArray[np.float32], Floats],
) -> None:
    logits, own = ensemble
    twice = mean_log_probabilities(np.concatenate([logits, logits[:1]]), np.concatenate([own, own[:1]]))
    own[0] *= 2
    np.testing.assert_allclose(twice, mean_log_probabilities(logits, own), atol=1e-5)


def test_a_row_without_a_usable_answer_goes_to_the_other_teachers() -> None:
    logits = teachers([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]], [[0.3, 0.7], [0.3, 0.7], [0.3, 0.7]])
    logits[0, 1] = logits[:, 2] = np.nan
    own = weights(1, 1, rows=3)
    assert answered(logits, own).tolist() == [[1, 0, 0], [1, 1, 0]]
    mixed = mean_log_probabilities(logits, own)
    np.testing.assert_allclose(softmax(mixed[:2], axis=1), [[0.6, 0.4], [0.3, 0.7]], rtol=1e-6)
    assert np.isnan(mixed[2]).all()
    assert np.isnan(disagreement(logits, own)).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("probabilities", "given_weights", "value"),
    [
        pytest.param([[0.7, 0.3], [0.7, 0.3]], [1, 1], 0.0, id="the same answer"),
        pytest.param([[1 - 1e-9, 1e-9], [1e-9, 1 - 1e-9]], [1, 1], 1.0, id="certain of different labels"),
        pytest.param([[1 - 1e-9, 1e-9], [1e-9, 1 - 1e-9]], [9, 1], 1.0, id="the same with unequal weights"),
        # H(0.6) - (H(0.9) + H(0.3)) / 2, over ln 2, by hand
        pytest.param([[0.9, 0.1], [0.3, 0.7]], [1, 1], 0.295807, id="in between"),
        pytest.param([[0.9, 0.1], [0.3, 0.7]], [1, 0], 0.0, id="one teacher counts"),
    ],
)
def test_disagreement_runs_from_none_to_complete(
    probabilities: list[list[float]], given_weights: list[float], value: float
) -> None:
    logits = teachers(*[[row] for row in probabilities])
    assert disagreement(logits, weights(*given_weights))[0] == pytest.approx(value, abs=1e-6)


@given(ensembles())
@settings(max_examples=60, deadline=None)
def test_disagreement_stays_between_zero_and_one(ensemble: tuple[NDArray[np.float32], Floats]) -> None:
    values = disagreement(*ensemble)
    assert ((values >= 0) & (values <= 1)).all()


def test_teachers_whose_labels_stand_in_another_order_are_aligned_by_name() -> None:
    wanted = common_labels({"a": ["cat", "dog", "owl"], "b": ["owl", "cat", "dog"]})
    assert wanted == ("cat", "dog", "owl")
    owl_first = np.array([[3, 1, 2]], dtype=np.float32)
    assert align(owl_first, ["owl", "cat", "dog"], wanted).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("others", "words"),
    [
        pytest.param(["cat"], r"'b' lacks 'dog', other than 'a'", id="one too few"),
        pytest.param(["cat", "dog", "owl"], r"'b' knows 'owl' too, other than 'a'", id="one too many"),
        pytest.param(["cat", "Dog"], r"'b' lacks 'dog'", id="another spelling"),
    ],
)
def test_teachers_with_other_labels_are_refused_by_name(others: list[str], words: str) -> None:
    with pytest.raises(InputRefused, match=words) as refused:
        common_labels({"a": ["cat", "dog"], "b": others})
    assert refused.value.reason == "LabelsDiffer"


def test_rows_go_to_the_teachers_that_list_their_slice_and_the_rest_to_those_without() -> None:
    own = route([1, 2, 3, 4], [["de"], ["de", "fr"], [], []], ["de", "fr", "en", "de"])
    assert own.tolist() == [[1, 0, 0, 1], [2, 2, 0, 2], [0, 0, 3, 0], [0, 0, 4, 0]]


@pytest.mark.parametrize(
    ("given_weights", "slices"),
    [
        pytest.param([1, 1], [["de"], ["fr"]], id="a slice that nobody lists"),
        pytest.param([1, 0], [["de"], ["en"]], id="a slice whose teacher has no weight"),
    ],
)
def test_a_slice_without_a_teacher_is_refused(given_weights: list[float], slices: list[list[str]]) -> None:
    with pytest.raises(InputRefused, match="slice 'en' go to no teacher") as refused:
        route(given_weights, slices, ["de", "en"])
    assert refused.value.reason == "SliceWithoutTeacher"
