"""A language model that answers prompts: the same words whoever shares its batch, and where they end."""

import json
import shutil
from pathlib import Path

import micro_language as micro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from distillery_api.dataset import Columns
from distillery_api.soft_labels import SoftLabels
from distillery_api.sources import ModelSource
from distillery_worker.data.prompts import PromptViews, load_prompts
from distillery_worker.errors import InputRefused
from distillery_worker.tasks.next_token import NextToken
from distillery_worker.teachers.language_model import fetch_language_model, text_codec
from distillery_worker.teachers.writing import BATCH_ROWS, BATCH_TOKENS, batches, written
from distillery_worker.teachers.writing_teacher import WritingTeacher
from test_language_blocks import TEMPLATE

PROMPTS = ["the cat sees", "the old", "the dog sees the small", "the owl"]
KEYS = [f"{number:064x}" for number in range(len(PROMPTS))]


def teacher_at(folder: Path, dest: Path, length: int = 24) -> WritingTeacher:
    return fetch_language_model(WritingTeacher, ModelSource(uri=f"file://{folder}"), length, NextToken(), dest)


@pytest.fixture(scope="module")
def teacher(writing_source: Path, tmp_path_factory: pytest.TempPathFactory) -> WritingTeacher:
    return teacher_at(writing_source / "teacher", tmp_path_factory.mktemp("teacher"))


def answers(teacher: WritingTeacher, prompts: list[str], keys: list[str], **settings: object) -> list[tuple[str, bool]]:
    codec = text_codec(SoftLabels.model_validate({"kind": "text", "maxNewTokens": 12} | settings))
    rows = teacher.labels(codec, keys, [(prompt,) for prompt in prompts], lambda _: None)
    return [(row["answer"].item(), row["finished"].item()) for row in rows]


def test_an_answer_is_what_is_likeliest_up_to_the_end_token(teacher: WritingTeacher) -> None:
    asked = teacher.encoder.asked(PROMPTS[0])
    ids = list(asked)
    while ids[-1] != teacher.encoder.end and len(ids) < len(asked) + 12:
        with torch.inference_mode():
            ids.append(int(teacher.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    expected = (teacher.encoder.words(ids[len(asked) :]), ids[-1] == teacher.encoder.end)
    assert answers(teacher, PROMPTS[:1], KEYS[:1]) == [expected]


@pytest.mark.parametrize("settings", [{}, {"temperature": 1.0}], ids=["the likeliest words", "drawn words"])
def test_an_answer_does_not_depend_on_the_prompts_beside_it(
    teacher: WritingTeacher, settings: dict[str, float]
) -> None:
    together = answers(teacher, PROMPTS, KEYS, **settings)
    alone = [answers(teacher, [prompt], [key], **settings)[0] for prompt, key in zip(PROMPTS, KEYS, strict=True)]
    assert together == alone
    assert len(set(together)) > 1


def test_drawn_words_depend_on_the_row_and_the_seed(teacher: WritingTeacher) -> None:
    keys = [f"{number:064x}" for number in range(30)]
    drawn = [answers(teacher, ["the"] * 30, keys, temperature=1.0, seed=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) > 5


def test_words_are_drawn_as_often_as_they_are_probable(teacher: WritingTeacher) -> None:
    keys = [f"{number:064x}" for number in range(400)]
    drawn = [text for text, _ in answers(teacher, ["the cat"] * 400, keys, temperature=2.0, maxNewTokens=1)]
    with torch.inference_mode():
        logits = teacher.model(input_ids=torch.tensor([teacher.encoder.asked("the cat")])).logits[0, -1]
    share = torch.softmax(logits / 2, dim=-1)[teacher.encoder.asked("sees")[0]].item()
    assert drawn.count("sees") / 400 == pytest.approx(share, abs=0.08)


def test_an_answer_that_reaches_the_limit_is_not_finished(teacher: WritingTeacher) -> None:
    whole, cut = (answers(teacher, PROMPTS[:1], KEYS[:1], maxNewTokens=most)[0] for most in (12, 2))
    assert whole[0].startswith(cut[0])
    assert (whole[1], cut[1]) == (True, False)
    assert len(cut[0].split()) == 2


def test_what_generation_config_says_beside_the_end_does_not_count(
    teacher: WritingTeacher, writing_source: Path, tmp_path: Path
) -> None:
    shutil.copytree(writing_source / "teacher", tmp_path / "copy")
    path = tmp_path / "copy" / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"repetition_penalty": 9.0, "min_new_tokens": 11}))
    other = teacher_at(tmp_path / "copy", tmp_path / "other")
    assert answers(other, PROMPTS, KEYS) == answers(teacher, PROMPTS, KEYS)
    assert other.model.generation_config.repetition_penalty == 9.0


@pytest.mark.parametrize("settings", [{}, {"temperature": 2.0}], ids=["the likeliest words", "drawn words"])
@pytest.mark.parametrize("most", [12, 2], ids=["ended", "cut"])
def test_likelihoods_are_those_of_a_plain_forward_pass_whatever_stands_beside(
    teacher: WritingTeacher, settings: dict[str, float], most: int
) -> None:
    codec = text_codec(SoftLabels.model_validate({"kind": "text", "maxNewTokens": most} | settings))
    rows = teacher.labels(codec, KEYS, [(prompt,) for prompt in PROMPTS], lambda _: None)
    assert any(row["finished"].item() for row in rows) == (most == 12)
    for prompt, row in zip(PROMPTS, rows, strict=True):
        asked = teacher.encoder.asked(prompt)
        words = teacher.encoder.tokenizer.encode(row["answer"].item(), add_special_tokens=False)
        written = [*words, teacher.encoder.end] if row["finished"].item() else words
        with torch.inference_mode():
            logits = teacher.model(input_ids=torch.tensor([[*asked, *written]])).logits[0, len(asked) - 1 : -1]
        expected = -torch.nn.functional.cross_entropy(logits, torch.tensor(written))
        assert row["log_likelihood"].dtype == np.float32
        assert row["log_likelihood"].item() == pytest.approx(expected.item(), abs=1e-5)


def test_the_likelihood_of_an_answer_of_nothing_but_its_end_is_that_of_the_end() -> None:
    assert written([3, 0, 0], np.array([-0.25, -9.0, -9.0]), [3]) == ([], True, -0.25)


def test_a_teacher_that_nothing_ends_is_refused(writing_source: Path, tmp_path: Path) -> None:
    shutil.copytree(writing_source / "teacher", tmp_path / "copy")
    for name, field in {"tokenizer_config.json": "eos_token", "config.json": "eos_token_id"}.items():
        path = tmp_path / "copy" / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {field: None}))
    (tmp_path / "copy" / "generation_config.json").unlink()
    with pytest.raises(InputRefused, match="nothing ends an answer") as caught:
        answers(teacher_at(tmp_path / "copy", tmp_path / "other"), PROMPTS, KEYS)
    assert caught.value.reason == "ModelUnsupported"


def test_a_chat_model_is_asked_by_its_template(writing_source: Path, tmp_path: Path) -> None:
    shutil.copytree(writing_source / "teacher", tmp_path / "copy")
    micro.write_tokenizer(tmp_path / "copy", chat_template=TEMPLATE)
    encoder = teacher_at(tmp_path / "copy", tmp_path / "other").encoder
    assert encoder.tokenizer.decode(encoder.asked("the old cat")) == "<user> the old cat <model>"


def test_a_prompt_that_leaves_no_room_for_its_answer_is_refused(teacher: WritingTeacher) -> None:
    views = PromptViews(teacher.encoder, answer=18)
    assert views.shown(("the old cat sees the dog",), "key", 0) == ("the old cat sees the dog",)
    with pytest.raises(
        InputRefused, match=r"has 7 tokens, which with softLabels.maxNewTokens of 18 are more than the 24"
    ):
        views.shown(("the old cat sees the dog and",), "key", 0)


def test_prompts_are_answered_together_as_far_as_they_fit() -> None:
    assert batches([[1], [1, 2, 3], [1, 2]], 10) == [[1, 2, 0]]
    rows = BATCH_TOKENS // 1100
    assert [len(each) for each in batches([[1] * 100] * 40, 1000)] == [rows, 40 - rows]
    assert [len(each) for each in batches([[1]] * (BATCH_ROWS + 1), 1)] == [BATCH_ROWS, 1]
    assert batches([[1] * BATCH_TOKENS], 10) == [[0]]


def test_slices_are_read_where_their_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    pq.write_table(pa.table({"question": ["the owl", "the cat"], "kind": [1, 2]}), tmp_path / "source" / "rows.parquet")
    columns = Columns(prompt="question", response="answer", slice="kind")
    rows = load_prompts(f"file://{tmp_path}/source/rows.parquet", "unlabelled", columns, False, tmp_path)
    assert rows.slices == ["1", "2"]


def test_rows_are_named_by_their_prompts(writing_source: Path, tmp_path: Path) -> None:
    columns = Columns(prompt="question", response="answer")
    train, prompts = (
        load_prompts(f"file://{writing_source}/{name}.parquet", "train", columns, answered, tmp_path)
        for name, answered in (("answered", True), ("prompts", False))
    )
    again = load_prompts(f"file://{writing_source}/answered.parquet", "train", columns, False, tmp_path)
    assert train.keys == again.keys
    assert {len(row) for row in train.inputs} == {2}
    assert {len(row) for row in prompts.inputs} == {1}
