"""The example's manifests are what the API accepts, and its data has no row on both sides of a split."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distilledmodel import DistilledModelSpec

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


@pytest.fixture
def glosses(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("glosses", EXAMPLE / "glosses.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "glosses", module)
    spec.loader.exec_module(module)
    return module


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
