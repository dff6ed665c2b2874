"""Models at a revision of a repository on a hub: resolved, fetched in part, pinned, refused by name."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from distillery_api.sources import ModelSource
from distillery_storage import Unavailable
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused
from distillery_worker.model_folders import download
from distillery_worker.stages.label import label
from hub_server import Hub, hub
from huggingface_hub import close_session, constants
from panel_job import Job

OLD, NEW = "a" * 40, "b" * 40
FIELD = "teachers[0].model"
SMALL = {"config.json": b"{}", "model.safetensors": b"weights", "chat_template.jinja": b"x"}
UNWANTED = {"README.md": b"# Words", "pytorch_model.bin": b"pickle", "onnx/model.onnx": b"graph"}


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The library reads these from the environment once, when it is imported."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    yield
    close_session()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """org/small, whose main branch is at NEW."""
    commits = {OLD: SMALL, NEW: SMALL | UNWANTED | {"model.safetensors": b"newer weights"}}
    with hub("org/small", commits, {"main": NEW, "refs/pr/1": OLD}) as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield running


def refusal(uri: str, dest: Path) -> InputRefused:
    with pytest.raises(InputRefused) as refused:
        download(ModelSource(uri=uri), FIELD, dest)
    assert refused.value.message.startswith(f"{FIELD}.uri: {uri} ") or f"{FIELD}.uri: {uri}:" in refused.value.message
    return refused.value


def test_a_branch_is_resolved_to_its_commit_and_only_a_models_files_are_fetched(served: Hub, tmp_path: Path) -> None:
    found = download(ModelSource(uri="hf://org/small@main"), FIELD, tmp_path / "model")
    assert found.uri == f"hf://org/small@{NEW}"
    assert sorted(found.files) == sorted(SMALL) == sorted(served.fetched)
    assert (tmp_path / "model/model.safetensors").read_bytes() == b"newer weights"


def test_a_commit_is_fetched_as_it_is_and_has_the_digest_of_the_same_files_in_a_folder(
    served: Hub, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    for name, data in SMALL.items():
        (tmp_path / "folder" / name).write_bytes(data)
    found = download(ModelSource(uri=f"hf://org/small@{OLD}"), FIELD, tmp_path / "model")
    copied = download(ModelSource(uri=f"file://{tmp_path}/folder"), FIELD, tmp_path / "copy")
    assert (found.files, found.digest, found.uri) == (copied.files, copied.digest, f"hf://org/small@{OLD}")


def test_a_revision_may_have_slashes(served: Hub, tmp_path: Path) -> None:
    assert download(ModelSource(uri="hf://org/small@refs/pr/1"), FIELD, tmp_path / "m").uri.endswith(OLD)


def test_content_that_is_not_that_of_the_pinned_digest_is_refused(served: Hub, tmp_path: Path) -> None:
    pinned = download(ModelSource(uri="hf://org/small@main"), FIELD, tmp_path / "model").digest
    served.branches["main"] = OLD
    with pytest.raises(InputRefused) as refused:
        download(ModelSource(uri="hf://org/small@main", digest=pinned), FIELD, tmp_path / "again")
    assert refused.value.reason == "DigestMismatch"


@pytest.mark.parametrize("uri", ["hf://org/none@main", "hf://org/small@none"])
def test_a_missing_repository_or_revision_is_refused_with_the_field(served: Hub, tmp_path: Path, uri: str) -> None:
    assert refusal(uri, tmp_path / "model").reason == "SourceNotFound"


def test_the_token_of_the_environment_opens_a_private_repository(
    served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.token = "sesame"
    refused = refusal("hf://org/small@main", tmp_path / "model")
    assert refused.reason == "SourceNotFound"
    assert "HF_TOKEN" in refused.message
    monkeypatch.setenv("HF_TOKEN", "sesame")
    assert download(ModelSource(uri="hf://org/small@main"), FIELD, tmp_path / "model").files


def test_a_refused_token_is_about_rights(served: Hub, tmp_path: Path) -> None:
    served.status = 403
    assert refusal("hf://org/small@main", tmp_path / "model").reason == "AccessDenied"


def test_a_hub_that_is_down_is_tried_again_later(served: Hub, tmp_path: Path) -> None:
    served.status = 503
    with pytest.raises(Unavailable, match="status 503"):
        download(ModelSource(uri="hf://org/small@main"), FIELD, tmp_path / "model")


def test_a_hub_that_nobody_runs_is_tried_again_later(
    served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="does not answer"):
        download(ModelSource(uri="hf://org/small@main"), FIELD, tmp_path / "model")


def test_several_gguf_files_are_refused_before_one_is_fetched(served: Hub, tmp_path: Path) -> None:
    served.commits[NEW] = {"q4.gguf": b"4", "q8.gguf": b"8"}
    refused = refusal("hf://org/small@main", tmp_path / "model")
    assert refused.reason == "ModelUnsupported"
    assert "2 .gguf files" in refused.message
    assert served.fetched == []


def test_offline_a_cached_model_is_used_and_another_is_refused_by_the_variables_name(
    served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = download(ModelSource(uri="hf://org/small@main"), FIELD, tmp_path / "online")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    offline = download(ModelSource(uri="hf://org/small@main"), FIELD, tmp_path / "offline")
    assert offline == online
    refused = refusal(f"hf://org/small@{OLD}", tmp_path / "other")
    assert refused.reason == "SourceNotFound"
    assert "HF_HUB_OFFLINE" in refused.message


def test_preflight_reports_the_commit_of_the_teacher_and_label_reads_it_there(
    served: Hub, source: Path, storage: Path, context: Context
) -> None:
    files = {path.name: path.read_bytes() for path in (source / "teacher").iterdir()}
    served.commits[NEW] = files | UNWANTED
    local = Job(source, storage, context, [{"model": {"uri": f"file://{source}/teacher"}}])
    job = Job(source, storage, context, [{"model": {"uri": "hf://org/small@main"}}])
    assert (local.found.teacher_revisions, job.found.teacher_revisions) == (None, [NEW])
    assert job.found.teacher_digest == local.found.teacher_digest
    served.branches["main"] = OLD
    pinned = {"uri": f"hf://org/small@{NEW}", "digest": job.found.teacher_digest}
    run = job.run("label", labelsKey=job.found.labels_key, teachers=[{"model": pinned}])
    assert label(run, context).labelled_rows == 140
