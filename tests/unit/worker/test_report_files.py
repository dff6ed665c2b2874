"""What stands beside a report where the job asks for it: rows to look at, and a signature."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro
import micro_images
import micro_language
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from distillery.__main__ import main as gate_again
from distillery.report_page.examples import KINDS
from distillery_api.digests import digest_bytes
from distillery_api.reporting import SIGNING_KEY, SIGNING_KEY_VARIABLE
from distillery_storage.signatures import public_half, sign
from distillery_worker.context import Context
from distillery_worker.data.language_tokenizer import LanguageTokenizer
from distillery_worker.errors import InputRefused
from distillery_worker.evaluation.examples import EACH, LONGEST, SIDE, chosen, content
from distillery_worker.stages.compress import compress
from distillery_worker.stages.evaluate import evaluate
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from PIL import Image, PngImagePlugin

SIGNED = {"signing": {"secretName": "keys"}}
Evaluate = Callable[..., tuple[Path, dict[str, Any]]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows with queries, which are their groups too, and a teacher that scores them; read only."""
    folder = tmp_path_factory.mktemp("pairs") / "source"
    micro.write_scores(folder)
    for path in folder.glob("*.parquet"):
        columns = pq.read_table(path).to_pydict()
        queries = [f"who is {text.split()[1]} {len(text) % 3} of {path.stem}" for text in columns["text"]]
        pq.write_table(pa.table({"query": queries, **columns}), path)
    return folder


@pytest.fixture(scope="module")
def evaluated(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluate:
    """Evaluates a student of scores; gives the folder of the report, and the report."""
    root = tmp_path_factory.mktemp("evaluated")
    context, storage = Context(workdir=root / "work"), root / "storage"
    common = {"task": "text-scoring", "dataset": dataset(source)}

    def at(stage: str) -> Context:
        return replace(context, workdir=context.workdir / stage)

    found = preflight(micro.make_run("preflight", source, storage, **common), at("preflight"))
    keys = {"labelsKey": found.labels_key, "studentKey": found.student_key}
    label(micro.make_run("label", source, storage, **common, labelsKey=found.labels_key), at("label"))
    train(micro.make_run("train", source, storage, **common, **keys), at("train"))
    made = compress(micro.make_run("compress", source, storage, **common, **keys), at("compress"))
    artifact = {"uri": made.artifact_uri, "digest": made.artifact_digest}
    asked = {"studentKey": found.student_key, "artifact": artifact, "gate": {"minRetention": 0.05}}

    def work(**fields: Any) -> tuple[Path, dict[str, Any]]:
        verdict = evaluate(micro.make_run("evaluate", source, storage, **common, **asked, **fields), at("evaluate"))
        path = Path(verdict.report_uri.removeprefix("file://"))
        return path.parent, json.loads(path.read_text())

    return work


def dataset(source: Path) -> dict[str, Any]:
    files = {name: f"file://{source}/{name}.parquet" for name in ("train", "test")}
    return files | {"columns": {"query": "query", "group": "query"}}


def test_without_being_asked_no_rows_content_leaves_the_data(source: Path, evaluated: Evaluate) -> None:
    folder, report = evaluated(attempt=1)
    assert sorted(path.name for path in folder.iterdir()) == ["items.parquet", "report.json"]
    assert "examples" not in report
    rows = pq.read_table(source / "test.parquet").to_pydict()
    items = pq.read_table(folder / "items.parquet").to_pydict()
    told = json.dumps(report) + json.dumps(items)
    assert not [words for words in {*rows["query"], *rows["text"]} if words in told]
    # Which rows have one query can be told all the same.
    same = {(query, name) for query, name in zip(rows["query"], items["query"], strict=True)}
    assert len(same) == len(set(rows["query"])) == len(set(items["query"])) == len(set(items["cluster"]))


def test_a_report_tells_its_task_and_what_the_student_learned_from(source: Path, evaluated: Evaluate) -> None:
    _, report = evaluated(attempt=1)
    digest = digest_bytes((source / "train.parquet").read_bytes())
    assert report["trainingData"] == {"train": {"uri": f"file://{source}/train.parquet", "digest": digest}}
    assert report["task"] == "text-scoring"


def test_examples_are_the_worst_rows_with_their_text(source: Path, evaluated: Evaluate) -> None:
    folder, report = evaluated(attempt=2, report={"examples": True})
    data = (folder / "examples.parquet").read_bytes()
    assert report["examples"] == {"uri": f"file://{folder}/examples.parquet", "digest": digest_bytes(data)}
    shown = pq.ParquetFile(pa.BufferReader(data)).read().to_pylist()
    rows, items = (
        pq.read_table(source / "test.parquet").to_pylist(),
        pq.read_table(folder / "items.parquet").to_pydict(),
    )
    errors = np.abs(np.subtract(items["student"], items["gold"]))
    worst = [each["item"] for each in shown if "largestError" in each["kinds"]]
    assert sorted(errors[worst]) == sorted(errors)[-EACH:]
    for each in shown:
        row = rows[each["item"]]
        assert (each["text"], each["image"]) == (f"{row['query']}\n{row['text']}", None)


def test_of_labels_the_surest_mistakes_of_each_kind_are_chosen() -> None:
    rows = 40
    columns = {
        "gold": ["a"] * rows,
        "student": ["a", *["b"] * (rows - 1)],
        "teacher": ["a"] * 20 + ["b"] * 20,
        "student_confidence": np.linspace(0.99, 0.5, rows).tolist(),
        "slice": ["x"] * 30 + ["y"] * 10,
    }
    assert chosen("accuracy", columns, "y") == {
        **{key: ["negativeFlip", "confidentMistake"] for key in range(1, 6)},
        **{key: ["copiedError"] for key in range(20, 25)},
        **{key: ["worstSlice"] for key in range(30, 35)},
    }
    given = columns | {"incumbent": ["b"] * 39 + ["a"]}
    assert chosen("accuracy", given, None)[39] == ["negativeFlip"]  # what serves now was right
    assert chosen("accuracy", columns | {"student": ["a"] * rows}, "y") == {}


@pytest.mark.parametrize(
    ("metric", "gold", "kind"),
    [("mean absolute error", {"gold": [0.0] * 8}, "largestError"), ("perplexity", {}, "leastLikely")],
)
def test_of_errors_and_likelihoods_the_largest_are_chosen(metric: str, gold: dict[str, Any], kind: str) -> None:
    columns = {"student": [1.0, 9, 1, 8, 7, 6, 5, 4], "teacher": [9.0, 9, 0.5, 9, 9, 9, 9, 9], **gold}
    assert chosen(metric, columns, None) == {
        2: ["worseThanBefore"],
        **{key: [kind] for key in [1, 3, 4, 5, 6]},
    }


def test_a_long_text_is_cut_and_a_pair_is_told_whole() -> None:
    assert content("x" * 2 * LONGEST, None) == "x" * LONGEST + "…"
    assert content(("question", "answer"), None) == "question\nanswer"


def test_a_block_of_tokens_is_told_in_words(tmp_path: Path) -> None:
    micro_language.write_tokenizer(tmp_path)
    encoder = LanguageTokenizer(tmp_path, micro_language.LENGTH)
    assert content(encoder.blocks("the old cat sleeps")[0], encoder) == "the old cat sleeps"


def test_an_image_becomes_a_small_png_without_what_else_the_file_holds() -> None:
    picture, buffer = Image.fromarray(np.zeros((300, 200, 4), np.uint8)), io.BytesIO()
    words = PngImagePlugin.PngInfo()
    words.add_text("owner", "somebody")
    exif = Image.Exif()
    exif[0x010E] = "where it was taken"
    picture.save(buffer, "PNG", pnginfo=words, icc_profile=b"profile" * 9000, exif=exif)
    shown = content(buffer.getvalue(), None)
    assert isinstance(shown, bytes)
    assert b"somebody" not in shown
    assert b"where it was taken" not in shown
    small = Image.open(io.BytesIO(shown))
    assert (small.format, small.size) == ("PNG", (SIDE * 2 // 3, SIDE))
    assert small.info == {}
    tiny = micro_images.png(np.zeros((4, 4), np.uint8))
    assert Image.open(io.BytesIO(content(tiny, None))).size == (4, 4)  # type: ignore[arg-type]


def test_the_page_has_a_word_for_every_kind() -> None:
    columns = {"gold": ["a"] * 3, "student": ["b"] * 3, "teacher": ["a", "b", "a"], "slice": ["x"] * 3}
    labels = chosen("accuracy", columns | {"student_confidence": [0.5] * 3}, "x")
    numbers = {"student": [2.0], "teacher": [1.0]}
    scores, blocks = chosen("mean absolute error", numbers | {"gold": [0.0]}, None), chosen("perplexity", numbers, None)
    assert {kind for found in (labels, scores, blocks) for kinds in found.values() for kind in kinds} == set(KINDS)


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private key, where a run without a cluster finds it."""
    path = tmp_path / SIGNING_KEY
    monkeypatch.setenv(SIGNING_KEY_VARIABLE, str(path))
    private = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_a_signed_report_is_the_keys_own_and_is_published_once(key: Path, evaluated: Evaluate, tmp_path: Path) -> None:
    folder, report = evaluated(attempt=3, report=SIGNED)
    public = tmp_path / "key.pub"
    public.write_bytes(public_half(key))
    assert gate_again(["gate", str(folder / "report.json"), "--public-key", str(public)]) == 0
    (folder / "items.parquet").unlink()
    assert evaluated(attempt=3, report=SIGNED) == (folder, report)


def test_a_report_that_somebody_else_has_put_there_is_no_answer(key: Path, evaluated: Evaluate) -> None:
    folder, _ = evaluated(attempt=4)
    with pytest.raises(InputRefused, match=r"report.json: is not signed by the key of report.signing") as caught:
        evaluated(attempt=4, report=SIGNED)
    assert caught.value.reason == "ArtifactMismatch"
    (folder / "report.sig").write_bytes(sign(b"another", "report.json", key))
    with pytest.raises(InputRefused, match="Hash mismatch"):
        evaluated(attempt=4, report=SIGNED)


def test_a_key_that_cannot_sign_fails_the_stage_before_anything_is_asked(
    key: Path, evaluated: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    key.write_text("no key")
    monkeypatch.setattr("distillery_worker.stages.evaluate.fetch_artifact", pytest.fail)
    with pytest.raises(InputRefused, match=r"signing-key.pem of the Secret 'keys' is no private key") as caught:
        evaluated(attempt=5, report=SIGNED)
    assert caught.value.reason == "SigningKeyUnusable"
    monkeypatch.delenv(SIGNING_KEY_VARIABLE)
    with pytest.raises(InputRefused, match="cannot be read"):  # no Secret is mounted
        evaluated(attempt=5, report=SIGNED)
