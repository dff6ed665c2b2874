"""What a codec stores comes back as it was, takes the bytes it promises, and is refused where it would mislead."""

import hashlib
import io

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from distillery_worker.errors import InputRefused
from distillery_worker.judging.grades import Grade
from distillery_worker.judging.judge import stored_grade
from distillery_worker.labels.codecs import (
    Codec,
    Column,
    GradesCodec,
    HiddenCodec,
    LogitsCodec,
    SampledCodec,
    TextCodec,
    TopKCodec,
    admits,
)
from distillery_worker.labels.measuring import label_rows
from distillery_worker.labels.sampling import draw, uniforms
from distillery_worker.labels.segments import decode_segment, encode_segment
from distillery_worker.teachers.writing_teacher import text_labels
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

VOCABULARY, WIDTH = 600, 16
DIGEST = "sha256:" + "0" * 64
SAMPLED = SampledCodec(vocabulary=VOCABULARY)
TOP_K = TopKCodec(vocabulary=VOCABULARY, k=5)
LOGITS = LogitsCodec(vocabulary=VOCABULARY, alignment="position i predicts token i+1")
HIDDEN = HiddenCodec(vocabulary=VOCABULARY, width=WIDTH, head=DIGEST)
CODECS = [SAMPLED, TOP_K, LOGITS, HIDDEN]
TEXT = TextCodec(max_new_tokens=8, temperature=0.7, seed=1)
GRADES = GradesCodec(answers=DIGEST)
HEAD = torch.randn(VOCABULARY, WIDTH, generator=torch.Generator().manual_seed(1))


def states(positions: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(positions, WIDTH, generator=torch.Generator().manual_seed(seed))


def names(codec: Codec) -> str:
    return codec.kind


@st.composite
def segments(choose):
    codec = choose(st.sampled_from(CODECS))
    keys = choose(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=5))
    positions = [choose(st.integers(0, 4)) for _ in keys]
    generator = np.random.default_rng(choose(st.integers(0, 2**32 - 1)))
    return codec, keys, [{c.name: numbers(generator, c, count) for c in codec.columns} for count in positions]


def numbers(generator: np.random.Generator, column: Column, positions: int) -> np.ndarray:
    shape = (positions, column.width)
    if column.holds == "ids":
        return np.sort(generator.random((positions, VOCABULARY)).argsort(axis=1)[:, : column.width]).astype(np.int32)
    if column.holds == "repeated ids":
        return np.sort(generator.integers(0, VOCABULARY, shape) // 40 * 40, axis=1).astype(np.int32)
    return generator.normal(scale=100, size=shape).astype(column.dtype)


@settings(max_examples=60, deadline=None)
@given(segments())
def test_segments_come_back_as_they_were(segment) -> None:
    codec, keys, rows = segment
    found_keys, found = decode_segment(codec, encode_segment(codec, keys, rows))
    assert found_keys == keys
    assert len(found) == len(rows)
    for before, after in zip(rows, found, strict=True):
        for name, values in before.items():
            assert values.dtype == after[name].dtype
            np.testing.assert_array_equal(values, after[name])


@pytest.mark.parametrize("codec", CODECS, ids=names)
def test_equal_seeds_give_equal_bytes(codec: Codec) -> None:
    rows = [("a", 3), ("b", 1), ("c", 4)]
    segments = [encode_segment(codec, ["a", "b", "c"], label_rows(codec, states(8), HEAD, rows)) for _ in range(2)]
    assert hashlib.sha256(segments[0]).digest() == hashlib.sha256(segments[1]).digest()


def test_a_rows_draws_do_not_depend_on_the_rows_beside_it() -> None:
    eye = torch.eye(VOCABULARY)  # states that are the logits themselves, so that no sum depends on the batch's shape
    logits = torch.randn(8, VOCABULARY, generator=torch.Generator().manual_seed(0)).mul(3)
    together = label_rows(SAMPLED, logits, eye, [("a", 3), ("b", 1), ("c", 4)])
    (alone,) = label_rows(SAMPLED, logits[3:4], eye, [("b", 1)])
    np.testing.assert_array_equal(together[1]["draws"], alone["draws"])


def test_draws_depend_on_the_row_and_the_seed() -> None:
    row = uniforms("a", 0, 2, 50)
    assert (row != uniforms("b", 0, 2, 50)).any()
    assert (row != uniforms("a", 1, 2, 50)).any()
    assert row.min() >= 0
    assert row.max() < 1


def test_the_random_numbers_are_those_of_every_version() -> None:
    """Labels that are stored already go with these numbers."""
    assert uniforms("row", 7, 1, 3).tolist() == [[0.09446848770815441, 0.6952615015972295, 0.9293108338026563]]


def test_the_share_of_draws_is_without_bias_the_probability() -> None:
    logits = torch.randn(1, 1000, generator=torch.Generator().manual_seed(0)).mul(3)
    draws, temperature = 50_000, 2.0
    ids = draw(logits, torch.from_numpy(uniforms("row", 0, 1, draws)), temperature)
    share = torch.bincount(ids[0], minlength=1000).double() / draws
    expected = torch.softmax(logits[0].double() / temperature, dim=0)
    deviations = (share - expected) / (expected * (1 - expected) / draws).sqrt()
    assert deviations.abs().max() < 4.5  # of 1,000 normal deviations
    assert deviations.square().mean() == pytest.approx(1, abs=0.2)


def test_ids_without_probability_are_never_drawn() -> None:
    logits = torch.full((2, 300), -torch.inf)
    logits[0, [0, 255, 299]] = 0.0
    logits[1, 256] = 0.0
    extremes = torch.tensor([0.0, 1 / 3, 2 / 3, 1 - 2.0**-53], dtype=torch.float64).expand(2, 4)
    ids = draw(logits, extremes, 1.0)
    assert set(ids[0].tolist()) <= {0, 255, 299}
    assert ids[1].tolist() == [256] * 4


def test_top_k_keeps_the_most_probable_ids_and_the_mass_of_the_rest() -> None:
    (row,) = label_rows(TOP_K, states(4), HEAD, [("a", 4)])
    expected = torch.softmax(states(4) @ HEAD.T, dim=-1)
    best = expected.topk(5).indices.sort().values
    np.testing.assert_array_equal(row["ids"], best)
    np.testing.assert_allclose(np.exp(row["log_probs"].astype(float)), expected.gather(1, best), rtol=0.01)
    tail = 1 - expected.gather(1, best).sum(dim=1)
    np.testing.assert_allclose(np.exp(row["log_tail"][:, 0].astype(float)), tail, rtol=0.01)


def test_states_that_are_no_numbers_are_refused_by_every_codec() -> None:
    for codec in CODECS:
        with pytest.raises(InputRefused, match="upload sound weights"):
            label_rows(codec, torch.full((2, WIDTH), torch.nan), HEAD, [("a", 2)])


def test_an_id_is_drawn_from_any_part_of_the_vocabulary() -> None:
    """Also from blocks that are not full, and at another temperature than 1."""
    logits = torch.full((1, 1001), 0.0)
    ids = draw(logits, torch.from_numpy(uniforms("row", 0, 1, 20_000)), 2.0)
    assert set(ids[0].tolist()) == set(range(1001))


def test_hidden_states_that_float16_cannot_hold_are_refused() -> None:
    with pytest.raises(InputRefused, match="65,504"):
        label_rows(HIDDEN, states(2) * 1e6, HEAD, [("a", 2)])


def test_fifty_draws_take_at_most_40_bytes_a_token_at_49k_ids() -> None:
    """Twelve different ids in 50 draws, as in arXiv 2503.16870, and no id likelier than another to be among them."""
    generator = np.random.default_rng(0)
    ids = generator.integers(0, 49152, (512, 12))
    shares = np.sort(generator.integers(0, 12, (512, 50)), axis=1)
    draws = np.sort(np.take_along_axis(ids, shares, axis=1), axis=1).astype(np.int32)
    segment = encode_segment(SampledCodec(vocabulary=49152), ["0" * 64], [{"draws": draws}])
    assert len(segment) / len(draws) <= 40


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8")), st.booleans(), st.floats(max_value=0, width=32)), max_size=5
    )
)
def test_texts_come_back_as_they_were(written: list[tuple[str, bool, float]]) -> None:
    keys = [str(number) for number in range(len(written))]
    found_keys, found = decode_segment(TEXT, encode_segment(TEXT, keys, [text_labels(*each) for each in written]))
    assert found_keys == keys
    assert [tuple(row[column.name].item() for column in TEXT.columns) for row in found] == written


def test_grades_come_back_as_they_were() -> None:
    rows = [stored_grade(Grade(value, "")) for value in (0, 7, 10)]
    keys, found = decode_segment(GRADES, encode_segment(GRADES, ["a", "b", "c"], rows))
    assert keys == ["a", "b", "c"]
    assert [row["grade"].item() for row in found] == [0, 7, 10]


@pytest.mark.parametrize("codec", [TEXT, GRADES], ids=names)
def test_texts_and_grades_have_no_positions_to_measure(codec: Codec) -> None:
    with pytest.raises(TypeError, match=f"{codec.kind} labels are written, not measured"):
        label_rows(codec, states(1), HEAD, [("a", 1)])


@pytest.mark.parametrize("codec", [*CODECS, TEXT, GRADES], ids=names)
def test_a_description_leads_back_to_its_codec(codec: Codec) -> None:
    assert TypeAdapter(Codec).validate_json(codec.model_dump_json(by_alias=True)) == codec


@pytest.mark.parametrize("codec", [*CODECS, TEXT], ids=names)
def test_every_codec_admits_forward_kl_at_its_temperature(codec: Codec) -> None:
    assert admits(codec, "forward", 1.0) is None


@pytest.mark.parametrize(
    ("codec", "admitted"), [(SAMPLED, False), (TOP_K, False), (LOGITS, True), (HIDDEN, True), (TEXT, False)]
)
def test_a_few_ids_and_texts_admit_no_other_divergence_and_no_other_temperature(codec: Codec, admitted: bool) -> None:
    answers = [admits(codec, "reverse", 1.0), admits(codec, "jsd", 1.0), admits(codec, "forward", 2.0)]
    assert [answer is None for answer in answers] == [admitted] * 3


def test_a_refusal_names_the_field_and_what_to_change() -> None:
    assert "objective.divergence: reverse" in (admits(SAMPLED, "reverse", 1.0) or "")
    assert "use forward" in (admits(TOP_K, "jsd", 1.0) or "")
    assert "use 1, label again with softLabels.temperature 2" in (admits(SAMPLED, "forward", 2.0) or "")


def test_any_parquet_reader_finds_rows_and_columns() -> None:
    data = encode_segment(TOP_K, ["a"], label_rows(TOP_K, states(2), HEAD, [("a", 2)]))
    table = pq.read_table(io.BytesIO(data))
    assert table.column_names == ["row_key", "ids_gaps", "log_probs", "log_tail"]
    assert [len(table[name][0]) for name in table.column_names[1:]] == [10, 10, 2]


def test_any_parquet_reader_reads_texts() -> None:
    table = pq.read_table(io.BytesIO(encode_segment(TEXT, ["a"], [text_labels("Über den Wolken.", True, -0.5)])))
    row = {"row_key": "a", "answer": "Über den Wolken.", "finished": [True], "log_likelihood": [-0.5]}
    assert table.to_pylist() == [row]
