"""The example's manifests are what the API accepts, and its data has no row on both sides of a split."""

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import micro
import pyarrow.parquet as pq
import pytest
import yaml
from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distilledmodel import DistilledModelSpec
from distillery_worker.training.fitting import Fit

EXAMPLE = Path(__file__).parents[3] / "examples" / "wordnet"


def spec_of(name: str) -> object:
    return yaml.safe_load((EXAMPLE / name).read_text())["spec"]


@pytest.mark.parametrize("name", ["job.yaml", "job-too-small.yaml"])
def test_the_jobs_are_valid_and_short(name: str) -> None:
    DistillationJobSpec.model_validate(spec_of(name))
    assert len((EXAMPLE / name).read_text().splitlines()) < 30


def test_the_model_is_valid() -> None:
    assert DistilledModelSpec.model_validate(spec_of("model.yaml")).serving.autoscaling is not None


def test_the_second_job_reuses_the_soft_labels_of_the_first() -> None:
    first, second = (DistillationJobSpec.model_validate(spec_of(name)) for name in ("job.yaml", "job-too-small.yaml"))
    assert (first.teachers, first.dataset, first.storage) == (second.teachers, second.dataset, second.storage)
    assert first.student != second.student


def load(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path = EXAMPLE) -> ModuleType:
    """A script of the example as a module."""
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def glosses(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("glosses", monkeypatch)


def test_a_gloss_that_two_synsets_share_stands_once(glosses: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text(
        "  1 This software and database is being provided to you\n"
        "00001740 03 n 01 entity 0 000 | that which exists  \n"
        '00002137 05 n 01 cat 0 000 | a small animal; "the cat"\n'
        '00002684 18 n 01 cat 0 000 | A small animal; "the cat"\n'
    )
    rows = glosses.read_glosses(tmp_path / "data.noun")
    assert [(row.text, row.label) for row in rows] == [
        ("that which exists", "tops"),
        ('a small animal; "the cat"', "animal"),
    ]


def test_every_file_has_its_own_rows_and_unlabelled_rows_lose_their_labels(glosses: ModuleType, tmp_path: Path) -> None:
    rows = [glosses.Gloss(f"gloss {number}", "animal") for number in range(10)]
    glosses.write_splits(tmp_path, rows, {"test": 4, "unlabelled": 3, "dev": 2})
    files = {name: pq.read_table(tmp_path / f"{name}.parquet").to_pydict() for name in ("test", "unlabelled", "dev")}
    texts = [text for file in files.values() for text in file["text"]]
    assert texts == [f"gloss {number}" for number in range(9)]
    assert [sorted(file) for file in files.values()] == [["label", "text"], ["text"], ["label", "text"]]


def test_more_rows_than_glosses_are_refused(glosses: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="1 glosses do not fill"):
        glosses.write_splits(tmp_path, [glosses.Gloss("a cat", "animal")], {"test": 1, "train": 1})


def test_tuning_scores_student_and_control_on_rows_of_its_own(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "prepared"
    shutil.copytree(source, folder)
    micro.write_rows(folder / "dev.parquet", micro.sentences()[340:])
    job = yaml.safe_load((EXAMPLE / "job.yaml").read_text())
    job["spec"] |= {"student": micro.STUDENT, "training": micro.TRAINING}
    tune, spec = load("tune", monkeypatch, EXAMPLE.parent), DistillationJobSpec.model_validate(job["spec"])

    first = tune.compare(spec, folder, tmp_path / "work", 0.02, seed=0)
    assert all(1 / 3 < first[name] <= 1 for name in ("student", "control"))  # better than guessing
    monkeypatch.delattr(Fit, "train_step")
    assert tune.compare(spec, folder, tmp_path / "work", 0.02, seed=0) == first  # trained once, then only scored
