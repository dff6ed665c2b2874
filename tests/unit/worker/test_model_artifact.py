"""Models as OCI artifacts: named as ORAS, ModelPack and KitOps do, checked by digest, pinned, refused by name."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from distillery_api.sources import ModelSource
from distillery_storage import DigestMismatch, Unavailable
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused
from distillery_worker.model_folders import download
from distillery_worker.model_sources.registry import protocol_of
from panel_job import Job
from registry_server import FILEPATH, REPOSITORY, OciRegistry, oci_registry

FIELD = "teachers[0].model"
SMALL = {"config.json": b"{}", "model.safetensors": b"weights"}


@pytest.fixture
def registry() -> Iterator[OciRegistry]:
    with oci_registry() as running:
        yield running


@pytest.fixture
def artifact(registry: OciRegistry) -> str:
    """The address of a model with one layer for each file."""
    layers = [registry.file(name, data) for name, data in SMALL.items()]
    registry.push([*layers, registry.file("README.md", b"# Words")])
    return f"oci://{registry.host}/{REPOSITORY}:v1"


def fetch(uri: str, dest: Path) -> dict[str, bytes]:
    download(ModelSource(uri=uri), FIELD, dest)
    return {path.name: path.read_bytes() for path in dest.iterdir()}


def refusal(uri: str, dest: Path) -> InputRefused:
    with pytest.raises(InputRefused) as refused:
        download(ModelSource(uri=uri), FIELD, dest)
    return refused.value


def test_a_tag_is_resolved_to_its_manifest_and_only_a_models_files_are_fetched(
    registry: OciRegistry, artifact: str, tmp_path: Path
) -> None:
    assert fetch(artifact, tmp_path / "model") == SMALL
    assert len([path for path, _ in registry.asked if "/blobs/" in path]) == len(SMALL)
    found = download(ModelSource(uri=artifact), FIELD, tmp_path / "model")
    assert found.uri == f"oci://{registry.host}/{REPOSITORY}@{registry.tags['v1']}"
    registry.push([], "v1")
    assert download(ModelSource(uri=found.uri), FIELD, tmp_path / "again") == found


def test_an_artifact_has_the_digest_of_the_same_files_in_a_folder(artifact: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, data in SMALL.items():
        (tmp_path / "folder" / name).write_bytes(data)
    copied = download(ModelSource(uri=f"file://{tmp_path}/folder"), FIELD, tmp_path / "copy")
    assert download(ModelSource(uri=artifact), FIELD, tmp_path / "model").digest == copied.digest


@pytest.mark.parametrize("media_type", ["application/vnd.kitops.modelkit.model.v1.tar", "application/x.tar+gzip"])
def test_archives_are_unpacked_but_for_what_does_not_lie_at_the_top(
    registry: OciRegistry, tmp_path: Path, media_type: str
) -> None:
    files = {f"./{name}": data for name, data in SMALL.items()} | {"../evil.json": b"{}", "/evil.json": b"{}"}
    registry.push([registry.archive(files, media_type, **{"org.opencontainers.image.title": ".", **UNPACKED})])
    assert fetch(f"oci://{registry.host}/{REPOSITORY}:v1", tmp_path / "model") == SMALL
    assert not list(tmp_path.rglob("evil.json"))


UNPACKED = {"io.deis.oras.content.unpack": "true"}


def test_names_of_model_pack_count_and_titles_lead_nowhere_else(registry: OciRegistry, tmp_path: Path) -> None:
    raw = "application/vnd.cncf.model.weight.v1.raw"
    layers = [registry.file(name, data, FILEPATH, raw) for name, data in SMALL.items()]
    registry.push([*layers, registry.file("../evil.json", b"{}"), registry.file("sub/evil.json", b"{}")])
    assert fetch(f"oci://{registry.host}/{REPOSITORY}:v1", tmp_path / "model") == SMALL
    assert not list(tmp_path.rglob("evil.json"))


def test_a_blob_with_other_bytes_than_its_digest_is_refused(
    registry: OciRegistry, artifact: str, tmp_path: Path
) -> None:
    weights = next(digest for digest, data in registry.contents.items() if data == SMALL["model.safetensors"])
    registry.contents[weights] = b"other weights"
    with pytest.raises(DigestMismatch, match=weights):
        fetch(artifact, tmp_path / "model")
    assert not (tmp_path / "model/model.safetensors").exists()


def test_a_manifest_with_other_bytes_than_its_digest_is_refused(
    registry: OciRegistry, artifact: str, tmp_path: Path
) -> None:
    digest = registry.tags["v1"]
    registry.contents[digest] += b" "
    with pytest.raises(DigestMismatch):
        fetch(f"oci://{registry.host}/{REPOSITORY}@{digest}", tmp_path / "model")


@pytest.mark.parametrize("path", ["team/small:v2", "team/none:v1", f"team/small@sha256:{'0' * 64}"])
def test_a_missing_repository_or_tag_is_refused_with_the_field(
    registry: OciRegistry, artifact: str, tmp_path: Path, path: str
) -> None:
    refused = refusal(f"oci://{registry.host}/{path}", tmp_path / "model")
    assert refused.reason == "SourceNotFound"
    assert refused.message.startswith(f"{FIELD}.uri: oci://{registry.host}/{path} is not there")


def test_an_index_of_several_manifests_is_refused(registry: OciRegistry, tmp_path: Path) -> None:
    registry.tags["v1"] = registry.add(json.dumps({"schemaVersion": 2, "manifests": []}).encode())
    assert refusal(f"oci://{registry.host}/{REPOSITORY}:v1", tmp_path / "model").reason == "ModelUnsupported"


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
@pytest.mark.parametrize("form", ["auth", "password"])
def test_the_docker_configuration_of_the_environment_opens_a_private_registry(
    registry: OciRegistry, artifact: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, form: str
) -> None:
    registry.user, registry.scheme = "me:secret", scheme
    refused = refusal(artifact, tmp_path / "model")
    assert refused.reason == "AccessDenied"
    assert "DOCKER_AUTH_CONFIG" in refused.message
    pair = {"auth": base64.b64encode(b"me:secret").decode()}
    entry = pair if form == "auth" else {"username": "me", "password": "secret"}
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {f"https://{registry.host}/v2/": entry}}))
    assert fetch(artifact, tmp_path / "model") == SMALL


def test_a_docker_configuration_that_is_none_is_refused(
    artifact: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", "me:secret")
    refused = refusal(artifact, tmp_path / "model")
    assert refused.reason == "AccessDenied"
    assert "secret" not in refused.message.replace("secretRef", "")


def test_a_store_that_blobs_are_redirected_to_is_not_told_who_asks(
    registry: OciRegistry, artifact: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.user = "me:secret"
    auths = {registry.host: {"auth": base64.b64encode(b"me:secret").decode()}}
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": auths}))
    with oci_registry() as store:
        store.contents = registry.contents
        registry.elsewhere = f"http://{store.host}"
        assert fetch(artifact, tmp_path / "model") == SMALL
        assert {authorization for _, authorization in store.asked} == {""}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_registry_that_is_down_is_tried_again_later(
    registry: OciRegistry, artifact: str, tmp_path: Path, status: int
) -> None:
    registry.status = status
    with pytest.raises(Unavailable, match=f"status {status}"):
        fetch(artifact, tmp_path / "model")


def test_a_registry_that_nobody_runs_is_tried_again_later(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        fetch("oci://127.0.0.1:1/team/small:v1", tmp_path / "model")


def test_only_this_machine_and_registries_that_are_listed_are_asked_over_plain_http(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OCI_PLAIN_HTTP", "registry.lab:5000, other.lab")
    hosts = ("localhost:5000", "127.0.0.1:80", "registry.lab:5000", "other.lab", "registry.lab", "ghcr.io")
    assert [protocol_of(host) for host in hosts] == ["http", "http", "http", "http", "https", "https"]


def test_preflight_reports_the_digest_of_the_teachers_and_the_students_manifest(
    registry: OciRegistry, source: Path, storage: Path, context: Context
) -> None:
    files = {path.name: path.read_bytes() for path in (source / "teacher").iterdir()}
    digest = registry.push([registry.file(name, data) for name, data in files.items()])
    model = {"uri": f"oci://{registry.host}/{REPOSITORY}:v1"}
    job = Job(source, storage, context, [{"model": model}], student={"model": model})
    assert (job.found.teacher_revisions, job.found.student_model_revision) == ([digest], digest)
    assert job.found.student_model_digest == job.found.teacher_digest
