"""The scoring example's manifests are what the API accepts, and its files share no document."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest
import yaml
from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distilledmodel import DistilledModelSpec

EXAMPLE = Path(__file__).parents[3] / "examples" / "vader"


@pytest.fixture
def snippets(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("snippets", EXAMPLE / "snippets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "snippets", module)
    spec.loader.exec_module(module)
    return module


def ratings(folder: Path, lines: str) -> Path:
    """The four files of ratings, with these lines of the editorials."""
    for name in ("amazonReviewSnippets", "movieReviewSnippets", "tweets"):
        (folder / f"{name}_GroundTruth.txt").write_text("")
    (folder / "nytEditorialSnippets_GroundTruth.txt").write_text(lines, encoding="latin-1")
    return folder


def test_the_manifests_are_valid_and_short() -> None:
    texts = {name: (EXAMPLE / name).read_text() for name in ("job.yaml", "model.yaml")}
    job, model = (yaml.safe_load(text)["spec"] for text in texts.values())
    assert DistillationJobSpec.model_validate(job).training.control is not None
    assert DistilledModelSpec.model_validate(model).task == job["task"] == "text-scoring"
    assert all(len(text.splitlines()) < 30 for text in texts.values())


def test_a_sentence_has_its_rating_and_its_document_and_stands_once(snippets: ModuleType, tmp_path: Path) -> None:
    lines = "12_1\t0.4\tA caf\xe9.\n12_2\t-1.5\tIt rained\tall day.\n13_1\t2\ta caf\xe9.\n"
    read = snippets.read_snippets(ratings(tmp_path, lines))
    assert sorted(read) == [("A caf\xe9.", 0.4, "nyt/12"), ("It rained\tall day.", -1.5, "nyt/12")]


def test_no_document_is_in_two_files_and_unlabelled_rows_lose_their_scores(
    snippets: ModuleType, tmp_path: Path
) -> None:
    lines = "".join(f"{number // 3}_{number % 3}\t{number / 10}\tsentence {number}\n" for number in range(30))
    sizes = {"test": 8, "train": 6, "dev": 4}
    snippets.write_splits(tmp_path, snippets.read_snippets(ratings(tmp_path, lines)), sizes)
    files = {name: pq.read_table(tmp_path / f"{name}.parquet").to_pydict() for name in (*sizes, "unlabelled")}
    assert {name: len(file["text"]) for name, file in files.items()} == {
        "test": 9, "train": 6, "dev": 6, "unlabelled": 9
    }  # fmt: skip
    assert sorted(text for file in files.values() for text in file["text"]) == sorted(
        f"sentence {number}" for number in range(30)
    )
    documents = [set(file["document"]) for file in files.values()]
    assert sum(map(len, documents)) == len(set.union(*documents))
    assert [name for name, file in files.items() if "score" not in file] == ["unlabelled"]


def test_sentences_that_leave_none_without_scores_are_refused(snippets: ModuleType) -> None:
    with pytest.raises(SystemExit, match="1 sentences do not fill"):
        snippets.split([snippets.Snippet("so it goes", 0.5, "nyt/1")], {"test": 1})
