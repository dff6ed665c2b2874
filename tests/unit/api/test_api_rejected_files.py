"""The manifests in tests/rejected: what each file must say about itself."""

import re
from pathlib import Path

import pytest
import yaml

FILES = sorted((Path(__file__).parents[2] / "rejected").glob("*.yaml"))


def test_there_are_wrong_manifests_of_both_kinds():
    assert len(FILES) >= 34
    assert {path.name.split("-")[0] for path in FILES} == {"distillationjob", "distilledmodel"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_wrong_manifest_begins_with_the_error_and_the_field(path: Path):
    first, second = path.read_text().splitlines()[:2]
    assert re.fullmatch("# error: .+", first)
    assert re.fullmatch(r"# names: (spec|metadata)[\w.\[\]]*", second)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_wrong_manifest_is_one_object_of_the_kind_that_its_file_names(path: Path):
    (manifest,) = yaml.safe_load_all(path.read_text())
    assert manifest["kind"].lower() == path.name.split("-")[0]
    assert manifest["apiVersion"] == "distillery.dev/v1alpha1"
