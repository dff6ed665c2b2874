"""Storage behaves alike on a mounted claim and on a local folder."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from distillery_api.artifact import ArtifactManifest
from distillery_api.digests import digest_bytes
from distillery_storage import (
    Conflict,
    DigestMismatch,
    NotFound,
    Prefix,
    StorageError,
    download_folder,
    download_uri,
    fetch_artifact,
    open_prefix,
    publish_folder,
    read_uri,
)

ZERO = "sha256:" + "0" * 64


@pytest.fixture(params=["file", "pvc"])
def prefix(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prefix:
    """An empty prefix of either kind."""
    root = tmp_path / "storage"
    (root / "claim").mkdir(parents=True)
    monkeypatch.setenv("DISTILLERY_PVC_ROOT", str(root))
    return open_prefix(f"file://{root}/claim/runs" if request.param == "file" else "pvc://claim/runs")


def artifact(folder: Path, **files: bytes) -> bytes:
    """Write an artifact's files into `folder`; gives the manifest's bytes."""
    contents = {"model.onnx": b"weights", "tokenizer.json": b"{}", **files}
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    manifest = {
        "labels": ["no", "yes"],
        "preprocessing": {"maxLength": 16},
        "parameters": 1,
        "files": {n: {"sha256": digest_bytes(d), "size": len(d)} for n, d in contents.items()},
        "provenance": {"teacher": ZERO, "labelsKey": ZERO, "studentKey": ZERO, "jobUid": "u"},
    }
    return ArtifactManifest.model_validate(manifest).model_dump_json(by_alias=True).encode()


def test_the_end_of_an_object_is_read_alone(prefix: Prefix) -> None:
    prefix.write("file", b"0123456789")
    assert prefix.tail("file", 3) == (b"789", 10)
    assert prefix.tail("file", 30) == (b"0123456789", 10)
    with pytest.raises(NotFound):
        prefix.tail("nothing", 3)


def test_entries_have_sizes_and_times_and_go_when_they_are_deleted(prefix: Prefix) -> None:
    prefix.write("a/1.json", b"one")
    prefix.write("b.json", b"three")
    entries = prefix.entries()
    assert [(entry.path, entry.size) for entry in entries] == [("a/1.json", 3), ("b.json", 5)]
    assert all(abs(datetime.now(UTC) - entry.modified) < timedelta(minutes=1) for entry in entries)
    prefix.delete("a/1.json")
    prefix.delete("a/1.json")
    assert prefix.list() == ["b.json"]


def test_what_is_written_is_read_and_listed_relative_to_the_prefix(prefix: Prefix) -> None:
    prefix.write("b/2.json", b"two")
    prefix.child("a").write("1.json", b"one")
    assert prefix.read("b/2.json") == b"two"
    assert prefix.list() == ["a/1.json", "b/2.json"]
    assert prefix.list("b") == ["b/2.json"]
    assert prefix.child("b").list() == ["2.json"]
    assert prefix.list("nothing/here") == []


def test_create_writes_once_and_never_over_an_object(prefix: Prefix) -> None:
    assert prefix.create("report.json", b"first")
    assert not prefix.create("report.json", b"second")
    assert prefix.read("report.json") == b"first"


def test_exists_is_true_for_objects_and_false_for_folders(prefix: Prefix) -> None:
    prefix.write("folder/file", b"x")
    assert prefix.exists("folder/file")
    assert not prefix.exists("folder")
    assert not prefix.exists("other")


def test_a_big_file_streams_up_and_down_unchanged(prefix: Prefix, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(hashlib.shake_128(b"seed").digest(20 * 1024 * 1024))
    prefix.upload(big, "big.bin")
    prefix.download("big.bin", tmp_path / "deep" / "copy")
    assert (tmp_path / "deep" / "copy").read_bytes() == big.read_bytes()


def test_a_failed_download_leaves_no_file(prefix: Prefix, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        prefix.download("absent", tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def test_one_object_is_read_by_its_full_uri(prefix: Prefix, tmp_path: Path) -> None:
    prefix.write("data/train.csv", b"text,label")
    assert read_uri(f"{prefix.uri}/data/train.csv") == b"text,label"
    download_uri(f"{prefix.uri}/data/train.csv", tmp_path / "train.csv")
    assert (tmp_path / "train.csv").read_bytes() == b"text,label"


def test_a_missing_object_is_named_with_its_uri(prefix: Prefix) -> None:
    with pytest.raises(NotFound, match=f"{prefix.uri}/a/b.json: not found; check"):
        prefix.read("a/b.json")
    with pytest.raises(NotFound, match=r"runs/c\.csv"):
        read_uri(f"{prefix.uri}/c.csv")


def test_a_folder_comes_with_the_digest_of_each_file(prefix: Prefix, tmp_path: Path) -> None:
    prefix.write("teacher/config.json", b"{}")
    prefix.write("teacher/sub/x", b"x")
    digests = download_folder(f"{prefix.uri}/teacher", tmp_path / "teacher")
    assert digests == {"config.json": digest_bytes(b"{}"), "sub/x": digest_bytes(b"x")}
    assert (tmp_path / "teacher" / "sub" / "x").read_bytes() == b"x"


def test_an_empty_folder_is_not_found(prefix: Prefix, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="empty or missing"):
        download_folder(f"{prefix.uri}/teacher", tmp_path / "teacher")


def test_a_published_artifact_is_fetched_and_checked(prefix: Prefix, tmp_path: Path) -> None:
    manifest = artifact(tmp_path / "made")
    digest = publish_folder(tmp_path / "made", prefix.child("students/x"), manifest)
    fetched = fetch_artifact(f"{prefix.uri}/students/x", digest, tmp_path / "got")
    assert fetched.labels == ["no", "yes"]
    assert (tmp_path / "got" / "model.onnx").read_bytes() == b"weights"


def test_publishing_twice_is_fine_and_a_different_manifest_is_refused(prefix: Prefix, tmp_path: Path) -> None:
    manifest = artifact(tmp_path / "made")
    digest = publish_folder(tmp_path / "made", prefix, manifest)
    assert publish_folder(tmp_path / "made", prefix, manifest) == digest
    with pytest.raises(Conflict, match=r"manifest\.json: a different one is published"):
        publish_folder(tmp_path / "other", prefix, artifact(tmp_path / "other", **{"model.onnx": b"new"}))
    assert prefix.read("model.onnx") == b"weights"


def test_a_manifest_that_is_not_the_one_asked_for_is_refused(prefix: Prefix, tmp_path: Path) -> None:
    publish_folder(tmp_path / "made", prefix, artifact(tmp_path / "made"))
    with pytest.raises(DigestMismatch, match="was asked for"):
        fetch_artifact(prefix.uri, ZERO, tmp_path / "got")


def test_a_changed_file_is_refused_and_not_kept(prefix: Prefix, tmp_path: Path) -> None:
    digest = publish_folder(tmp_path / "made", prefix, artifact(tmp_path / "made"))
    prefix.write("model.onnx", b"wEights")
    with pytest.raises(DigestMismatch, match=r"model\.onnx"):
        fetch_artifact(prefix.uri, digest, tmp_path / "got")
    assert not (tmp_path / "got" / "model.onnx").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(("tokenizer.json", "../../etc/x"), r"files: '\.\./\.\./etc/x'", id="climbs out"),
        pytest.param(('"tokenizer.json":{', '"other.json":{'), "'tokenizer.json' is used", id="has no tokenizer"),
        pytest.param(('"parameters":1', '"parameters":"many"'), "parameters", id="has a wrong type"),
    ],
)
def test_a_manifest_that(prefix: Prefix, tmp_path: Path, change: tuple[str, str], says: str) -> None:
    data = artifact(tmp_path / "made").decode().replace(*change).encode()
    prefix.write("manifest.json", data)
    with pytest.raises(StorageError, match=says):
        fetch_artifact(prefix.uri, digest_bytes(data), tmp_path / "got")


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../other", "a/../../b"])
def test_no_path_leaves_the_prefix(prefix: Prefix, path: str) -> None:
    with pytest.raises(StorageError, match="relative one"):
        prefix.read(path)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("gs://bucket/x", "write s3://bucket/path"),
        ("s3:///x", "write s3://bucket/path"),
        ("file://host/x", "write s3://bucket/path"),
        ("s3://bucket/a/../b", "must not contain"),
        ("s3://bucket/a?x=1", "must not contain"),
        ("pvc://absent/x", "claim 'absent' is not mounted"),
    ],
)
def test_an_address_that_names_no_store_says_what_to_write(
    uri: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISTILLERY_PVC_ROOT", str(tmp_path))
    with pytest.raises(StorageError, match=says):
        open_prefix(uri)


@pytest.mark.parametrize("uri", ["file.csv", "s3://bucket", "s3://bucket/folder/"])
def test_a_uri_that_is_no_object_says_so(uri: str) -> None:
    with pytest.raises(StorageError, match="name one object"):
        read_uri(uri)
