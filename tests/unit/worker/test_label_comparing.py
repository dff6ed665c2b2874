"""Two labellings of the same rows agree where rounding parts them, and differ where another teacher does."""

import numpy as np
import pytest
import torch
from distillery_worker.labels.codecs import Codec, HiddenCodec, LogitsCodec, SampledCodec, TextCodec, TopKCodec
from distillery_worker.labels.comparing import Comparison, compare
from distillery_worker.labels.measuring import label_rows
from distillery_worker.labels.segments import RowLabels
from distillery_worker.teachers.writing_teacher import text_labels

VOCABULARY, WIDTH, POSITIONS = 300, 16, 40
KEYS = [f"row {number}" for number in range(6)]
HEAD = torch.randn(VOCABULARY, WIDTH, generator=torch.Generator().manual_seed(1))
ROW_LOGITS = LogitsCodec(vocabulary=2, alignment="one position per row")
CODECS = [
    SampledCodec(vocabulary=VOCABULARY),
    TopKCodec(vocabulary=VOCABULARY, k=8),
    LogitsCodec(vocabulary=VOCABULARY, alignment="position i predicts token i+1"),
    HiddenCodec(vocabulary=VOCABULARY, width=WIDTH, head="sha256:" + "0" * 64),
]
of_each_kind = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.kind)


def labelled(codec: Codec, noise: float = 0.0) -> list[RowLabels]:
    """Labels from random states, with noise of this share of their size."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(POSITIONS * len(KEYS), WIDTH, generator=generator)
    states += noise * torch.randn(states.shape, generator=generator)
    return label_rows(codec, states, HEAD, [(key, POSITIONS) for key in KEYS])


def rows(*logits: tuple[float, float]) -> list[RowLabels]:
    return [{"logits": np.array([row], dtype=np.float32)} for row in logits]


def top(ids: list[int], probabilities: list[float]) -> list[RowLabels]:
    tail = np.log([[1 - sum(probabilities)]]).astype(np.float16)
    log_probs = np.log([probabilities]).astype(np.float16)
    return [{"ids": np.array([ids], dtype=np.int32), "log_probs": log_probs, "log_tail": tail}]


def draws(*ids: int) -> list[RowLabels]:
    return [{"draws": np.array([ids], dtype=np.int32)}]


def compared_draws(stored: list[RowLabels], live: list[RowLabels]) -> Comparison:
    return compare(SampledCodec(vocabulary=9, samples=stored[0]["draws"].size), stored, live)


@of_each_kind
def test_the_rounding_of_other_hardware_passes(codec: Codec) -> None:
    found = compare(codec, labelled(codec), labelled(codec, noise=1e-4))
    assert (found.agrees, found.differing) == (True, 0)


@of_each_kind
def test_a_teacher_whose_states_moved_by_a_tenth_is_found_in_every_row(codec: Codec) -> None:
    found = compare(codec, labelled(codec), labelled(codec, noise=0.1))
    assert (found.agrees, found.differing) == (False, len(KEYS))


@of_each_kind
def test_one_row_of_another_is_found_among_rows_that_agree(codec: Codec) -> None:
    stored = labelled(codec)
    found = compare(codec, [*stored[1:2], *stored[1:]], stored)
    assert (found.agrees, found.differing) == (False, 1)


def test_a_row_of_other_positions_or_of_nan_agrees_with_nothing() -> None:
    one, two = rows((1, -1), (2, -2))
    longer: RowLabels = {"logits": np.ones((2, 2), dtype=np.float32)}
    not_usable: RowLabels = {"logits": np.full((1, 2), np.nan, dtype=np.float32)}
    found = compare(ROW_LOGITS, [longer, not_usable, two], [one, two, two])
    assert (found.differing, found.distances.max()) == (2, np.inf)


def test_numbers_near_zero_are_not_measured_by_their_own_size() -> None:
    assert compare(ROW_LOGITS, rows((1e-6, -1e-6)), rows((2e-6, 5e-5))).agrees
    assert not compare(ROW_LOGITS, rows((1e-6, -1e-6)), rows((1e-3, 1e-3))).agrees


def test_a_score_is_measured_beside_the_others() -> None:
    codec = LogitsCodec(vocabulary=1, alignment="one position per row")
    stored, live = ([{"logits": np.array([[v]], dtype=np.float32)} for v in vs] for vs in ((0.0, 9.0), (0.03, 9.0)))
    assert compare(codec, stored, live).agrees


def test_equally_likely_ids_may_take_turns_at_the_end_of_the_top() -> None:
    codec = TopKCodec(vocabulary=9, k=2)
    assert compare(codec, top([1, 4], [0.5, 0.2]), top([1, 7], [0.5, 0.2])).agrees
    assert not compare(codec, top([1, 4], [0.5, 0.2]), top([1, 7], [0.5, 0.1])).agrees
    assert not compare(codec, top([1, 4], [0.5, 0.2]), top([1, 7], [0.5, 0.3])).agrees


def test_of_the_top_ids_the_same_ones_must_be_as_likely_and_the_rest_too() -> None:
    codec = TopKCodec(vocabulary=9, k=2)
    stored, lighter = top([1, 4], [0.5, 0.2]), top([1, 4], [0.5, 0.2])
    assert compare(codec, stored, top([1, 4], [0.5, 0.18])).distances == pytest.approx(0.02, rel=0.01)
    lighter[0]["log_tail"] -= np.float16(1)
    assert not compare(codec, stored, lighter).agrees


def test_a_draw_in_ten_may_fall_on_another_id() -> None:
    stored = draws(*range(40))
    assert compared_draws(stored, draws(*range(36), 99, 99, 99, 99)).agrees
    assert not compared_draws(stored, draws(*range(35), 99, 99, 99, 99, 99)).agrees


def test_two_draws_of_a_short_row_say_nothing_and_three_do() -> None:
    assert compared_draws(draws(1, 2, 3, 4), draws(1, 2, 5, 6)).agrees
    assert not compared_draws(draws(1, 2, 3, 4), draws(1, 7, 7, 7)).agrees


def test_half_of_the_answers_may_be_other_words() -> None:
    codec = TextCodec(max_new_tokens=4)
    stored = [text_labels(f"word {number}", True, -1.0) for number in range(4)]
    others = [text_labels("another", True, -1.0), text_labels("word 1", False, -1.0)]
    rounded = [text_labels(f"word {number}", True, -1.0000001) for number in (2, 3)]
    assert compare(codec, stored, [*others, *rounded]).agrees
    found = compare(codec, stored, [*others, text_labels("other", True, -1.0), stored[3]])
    assert (found.agrees, found.differing) == (False, 3)


def test_the_words_tell_the_distance_beside_what_is_allowed() -> None:
    found = compare(ROW_LOGITS, rows((1, -1), (1, -1)), rows((1, -1), (0.75, -0.75)))
    assert found.words == "by up to 0.25 of their root mean square, of which 0.01 is allowed"
