"""The example that learns from text: its manifest, its files, its teacher, and how it counts words that are right."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import micro_language as micro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from distillery_api.distillationjob import DistillationJobSpec
from distillery_worker.context import Context
from distillery_worker.data.language_tokenizer import LanguageTokenizer
from distillery_worker.students.llama import load_decoder
from test_language_stages import Pipeline

EXAMPLE = Path(__file__).parents[3] / "examples" / "cmudict"
ENTRIES = """\
A  AH0
ACHE'S  EY1 K S
APT  AE1 P T
APT(1)  AA1 P T
SPEECH  S P IY1 CH
ULTRAMICROSCOPIC  AH2 L T R AH0 M AY2 K R AH0 S K AA1 P IH0 K
"""


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script of the example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("words", monkeypatch)


@pytest.fixture
def teacher(words: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("teacher", monkeypatch)


@pytest.fixture
def score(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("score", monkeypatch)


def job() -> DistillationJobSpec:
    return DistillationJobSpec.model_validate(yaml.safe_load((EXAMPLE / "job.yaml").read_text())["spec"])


def test_the_job_learns_filtered_answers_beside_a_control_and_is_short() -> None:
    assert (job().task, job().soft_labels.kind) == ("causal-lm", "text")
    assert job().dataset.filters.answers is not None
    assert job().training.control is not None
    assert len((EXAMPLE / "job.yaml").read_text().splitlines()) < 30


def test_scores_and_teacher_count_as_many_tokens_as_the_job(teacher: ModuleType, score: ModuleType) -> None:
    assert score.TOKENS == teacher.TOKENS == job().dataset.sequence_length
    assert score.WRITTEN.max_new_tokens == job().soft_labels.max_new_tokens


def test_words_of_letters_are_read_once_and_without_stress(words: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "dict.txt").write_text(ENTRIES)
    assert sorted(words.read_words(tmp_path / "dict.txt")) == [("apt", "AE P T"), ("speech", "S P IY CH")]


def test_every_file_has_its_own_words_and_prompts_alone_have_no_phonemes(words: ModuleType, tmp_path: Path) -> None:
    given = [words.Word(f"word{number}", "W") for number in range(10)]
    parts = words.split(given, {"test": 4, "unlabelled": 3, "teacher": 2})
    assert [word for part in parts.values() for word in part] == given[:9]
    for name in ("test", "unlabelled"):
        words.write(tmp_path / f"{name}.parquet", parts[name], answered=name != "unlabelled")
    files = [pq.read_table(tmp_path / f"{name}.parquet").to_pydict() for name in ("test", "unlabelled")]
    assert [(sorted(file), len(file["word"])) for file in files] == [(["phonemes", "word"], 4), (["word"], 3)]


def test_more_rows_than_words_are_refused(words: ModuleType) -> None:
    with pytest.raises(SystemExit, match="1 words do not fill"):
        words.split([words.Word("apt", "AE P T")], {"test": 1, "train": 1})


def test_a_batch_has_rows_of_like_length_and_an_epoch_has_every_row(teacher: ModuleType) -> None:
    rows = [(torch.full((1 + number % 10,), number), torch.zeros(1)) for number in range(101)]
    found = list(teacher.batches(rows, 10))
    assert [len(batch) for batch in found] == [10] * 10
    assert len({int(ids[0]) for batch in found for ids, _ in batch}) == 100
    assert all(max(map(len, ids)) - min(map(len, ids)) <= 1 for ids in ([ids for ids, _ in batch] for batch in found))


def test_a_teacher_learns_to_write_and_end_and_its_words_are_counted(
    words: ModuleType, teacher: ModuleType, score: ModuleType, tmp_path: Path
) -> None:
    gold = {"word": ["apt", "speech", "tap", "cheap"], "phonemes": ["AE P T", "S P IY CH", "T AE P", "CH IY P"]}
    learned = [words.Word(*pair) for pair in zip(*gold.values(), strict=True)]
    recipe = teacher.Recipe(width=32, layers=1, heads=2, epochs=60, learning_rate=0.01, batch_size=4)
    teacher.train_teacher(learned, tmp_path, recipe)

    tokenizer = LanguageTokenizer(tmp_path, teacher.TOKENS)
    assert tokenizer.vocabulary == len(load_decoder(tmp_path).get_output_embeddings().weight)
    assert tokenizer.words(tokenizer.pair("apt", "AE P T").ids) == "a p t AE P T"
    assert score.right(tmp_path, tokenizer, gold) == 1
    assert score.right(tmp_path, tokenizer, gold | {"phonemes": ["AE P T", "S P IY", "T AE P", ""]}) == 0.5


def test_student_and_control_of_a_job_are_scored(
    score: ModuleType,
    writing_source: Path,
    storage: Path,
    context: Context,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fields: dict[str, Any] = micro.from_text(writing_source)
    training = micro.TRAINING | {"control": {"learningRate": 0.02}}
    pipeline = Pipeline(writing_source, storage, context, training=training, **fields)
    pipeline.label()
    pipeline.train()
    asked, answered = pq.read_table(writing_source / "test-answered.parquet").to_pydict().values()
    pq.write_table(pa.table({"word": asked, "phonemes": answered}), tmp_path / "test.parquet")
    (tmp_path / "teacher").symlink_to(writing_source / "teacher")

    monkeypatch.setattr(sys, "argv", ["score.py", str(tmp_path), str(storage)])
    score.main()
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert f"sha256:{found.pop('student_key')}" == pipeline.found.student_key
    assert set(found) == {"teacher", "student", "control"}
    assert all(0 <= share <= 1 for share in found.values())
    assert found["teacher"] > 0
