"""The language example's manifest is what the API accepts, and its files share no speech."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest
import yaml
from distillery_api.distillationjob import DistillationJobSpec
from distillery_worker.data.language_tokenizer import LanguageTokenizer
from distillery_worker.students.llama import load_decoder

EXAMPLE = Path(__file__).parents[3] / "examples" / "sotu"


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
def speeches(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("speeches", monkeypatch)


def test_the_job_is_valid_and_short() -> None:
    job = DistillationJobSpec.model_validate(yaml.safe_load((EXAMPLE / "job.yaml").read_text())["spec"])
    assert job.task == "causal-lm"
    assert job.training.control is not None
    assert len((EXAMPLE / "job.yaml").read_text().splitlines()) < 30


def test_the_last_speeches_are_read_oldest_first(speeches: ModuleType, tmp_path: Path) -> None:
    for year in range(1900, 2002):
        (tmp_path / f"{year}_somebody_d.txt").write_text(f"my fellow citizens of {year}\n")
    read = speeches.read_speeches(tmp_path)
    assert (len(read), read[0], read[-1]) == (100, "my fellow citizens of 1902", "my fellow citizens of 2001")


def test_every_speech_is_in_one_file_and_each_file_has_some_of_all_years(speeches: ModuleType, tmp_path: Path) -> None:
    given = [f"{year} and so on" for year in range(1922, 2022)]
    speeches.write_splits(tmp_path, given, cut=4)
    files = {name: pq.read_table(tmp_path / f"{name}.parquet")["text"].to_pylist() for name in ("train", "test", "dev")}
    assert {name: len(texts) for name, texts in files.items()} == {"train": 80, "test": 10, "dev": 10}
    assert sorted(text for texts in files.values() for text in texts) == [text[:4] for text in given]
    assert all(min(texts) < "1932" and max(texts) > "2011" for texts in files.values())


def test_a_teacher_is_a_folder_that_a_job_takes(
    monkeypatch: pytest.MonkeyPatch, speeches: ModuleType, tmp_path: Path
) -> None:
    teacher = load("teacher", monkeypatch)
    speeches.write_splits(tmp_path, ["the state of the union is strong. " * 20] * 10, cut=None)
    recipe = teacher.Recipe(vocabulary=270, width=8, layers=1, heads=2, steps=2, tokens=16)
    teacher.train_teacher(tmp_path / "train.parquet", tmp_path / "teacher", recipe)
    tokenizer = LanguageTokenizer(tmp_path / "teacher", 16)
    assert tokenizer.vocabulary == len(load_decoder(tmp_path / "teacher").get_output_embeddings().weight)
    (block,) = tokenizer.blocks("the state")
    assert tokenizer.tokenizer.decode(block.ids) == f"the state{teacher.END}"
