"""What gc deletes and, above all, what it does not: whatever a model holds, or a live job reads or writes."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import certifi
import pytest
from distillery.__main__ import main
from distillery.retention import in_cluster
from distillery.sizes import bytes_text
from distillery_api.digests import digest_bytes

DAY = 86400
OLD = 8 * DAY  # seconds: past the age floor
A, B, C = ("a" * 64, "b" * 64, "c" * 64)  # keys of students
LABELS, OTHER, SELECTION = ("d" * 64, "e" * 64, "f" * 64)
MANIFEST = {key: json.dumps({"student": key}).encode() for key in (A, B, C)}


class Storage:
    """A storage prefix in a folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.uri = root, f"file://{root}"

    def write(self, path: str, data: bytes = b"x", age: float = OLD) -> None:
        """An object of that age in seconds."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, (time.time() - age,) * 2)

    def student(self, key: str, labels: str = LABELS, age: float = OLD) -> None:
        """A student that one attempt published, beside another attempt that did not."""
        record = {"labelsKey": f"sha256:{labels}", "student": {"folder": "attempts/one/student"}}
        self.write(f"students/{key}/train.json", json.dumps(record).encode(), age)
        self.write(f"students/{key}/onnx-fp32/manifest.json", MANIFEST[key], age)
        for path in ("one/student/model.safetensors", "one/checkpoints/student/0/state.safetensors",
                     "two/student/model.safetensors", "two/checkpoints/student/0/checkpoint.json"):  # fmt: skip
            self.write(f"students/{key}/attempts/{path}", age=age)

    def labels(self, key: str, age: float = OLD) -> None:
        """A label set with a whole segment and half of one."""
        for path in ("codec.json", "segments/1.parquet", "segments/1.json", "segments/2.parquet"):
            self.write(f"labels/{key}/{path}", age=age)

    def left(self) -> set[str]:
        """Paths of everything that is there."""
        return {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """Two students from two label sets, a selection of rows, an evaluation, and data that is nobody's business."""
    storage = Storage(tmp_path / "storage")
    storage.student(A)
    storage.student(B, OTHER)
    storage.labels(LABELS)
    storage.labels(OTHER)
    storage.write(f"selections/{SELECTION}/rows.json")
    storage.write("evaluations/uid-old/1/report.json")
    storage.write("inputs/train.parquet")
    return storage


Collect = Callable[..., int]


@pytest.fixture
def collect(storage: Storage, tmp_path: Path) -> Collect:
    """Runs gc with a state of these objects."""

    def run(*objects: dict[str, Any], arguments: tuple[str, ...] = ("--apply",)) -> int:
        (tmp_path / "state.json").write_text(json.dumps({"kind": "List", "items": objects}))
        return main(["gc", storage.uri, *arguments, "--state", str(tmp_path / "state.json")])

    return run


def job(storage: Storage, uid: str = "uid-job", spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    """A DistillationJob as kubectl prints it."""
    metadata = {"namespace": "team", "name": "job", "uid": uid}
    spec = {"storage": {"uri": f"{storage.uri}/"}, "promoteTo": {"name": "served"}} | (spec or {})
    return {"kind": "DistillationJob", "metadata": metadata, "spec": spec, "status": status}


def keys(student: str = A, labels: str = LABELS) -> dict[str, str]:
    """What preflight of a job has found."""
    return {"studentKey": f"sha256:{student}", "labelsKey": f"sha256:{labels}"}


def model(active: dict[str, Any] | None = None, history: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A DistilledModel as kubectl prints it."""
    metadata = {"namespace": "team", "name": "served", "uid": "uid-model"}
    status = {"active": active, "history": history or []}
    return {"kind": "DistilledModel", "metadata": metadata, "spec": {"task": "text-classification"},
            "status": {name: value for name, value in status.items() if value}}  # fmt: skip


def serving(storage: Storage, key: str) -> dict[str, Any]:
    """The active revision of a model."""
    return {
        "revision": "1", "uri": f"{storage.uri}/students/{key}/onnx-fp32", "digest": digest_bytes(MANIFEST[key]),
        "interface": f"sha256:{'9' * 64}", "reportUri": f"{storage.uri}/evaluations/uid-old/1/report.json",
    }  # fmt: skip


def decision(key: str, outcome: str = "Promoted", uid: str = "uid-before") -> dict[str, str]:
    """An entry of a model's history."""
    return {"job": "before", "jobUid": uid, "digest": digest_bytes(MANIFEST[key]), "outcome": outcome,
            "reason": "R", "message": "m", "time": "2026-01-01T00:00:00Z"}  # fmt: skip


PUBLISHED = {"train.json", "onnx-fp32/manifest.json", "attempts/one/student/model.safetensors"}


def of_student(storage: Storage, key: str) -> set[str]:
    return {path.removeprefix(f"students/{key}/") for path in storage.left() if path.startswith(f"students/{key}/")}


def test_the_labels_of_each_teacher_of_a_served_student_stay(storage: Storage, collect: Collect) -> None:
    path = storage.root / f"students/{A}/train.json"
    record = json.loads(path.read_text()) | {"labelsKey": f"sha256:{C}"}
    teachers = {"main": f"sha256:{LABELS}", "other": f"sha256:{OTHER}"}
    storage.write(f"students/{A}/train.json", json.dumps(record | {"labelsKeys": teachers}).encode())
    assert collect(model(serving(storage, A))) == 0
    assert {f"labels/{key}/codec.json" for key in (LABELS, OTHER)} <= storage.left()


def test_the_grades_that_chose_what_a_served_student_learned_stay(storage: Storage, collect: Collect) -> None:
    record = json.loads((storage.root / f"students/{A}/train.json").read_text()) | {"gradesKey": f"sha256:{OTHER}"}
    storage.write(f"students/{A}/train.json", json.dumps(record).encode())
    assert collect(model(serving(storage, A))) == 0
    assert {f"labels/{key}/codec.json" for key in (LABELS, OTHER)} <= storage.left()


def test_what_a_model_serves_stays_with_its_labels_and_report_and_the_rest_goes(
    storage: Storage, collect: Collect
) -> None:
    assert collect(model(serving(storage, A))) == 0
    assert of_student(storage, A) == PUBLISHED
    assert of_student(storage, B) == set()
    assert {path for path in storage.left() if not path.startswith("students/")} == {
        f"labels/{LABELS}/codec.json", f"labels/{LABELS}/segments/1.parquet", f"labels/{LABELS}/segments/1.json",
        "evaluations/uid-old/1/report.json", "inputs/train.parquet",
    }  # fmt: skip


def test_what_a_model_served_before_stays_for_a_rollback(storage: Storage, collect: Collect) -> None:
    assert collect(model(serving(storage, A), [decision(B)])) == 0
    assert of_student(storage, B) == PUBLISHED
    assert f"labels/{OTHER}/segments/1.parquet" in storage.left()


def test_a_model_that_lost_its_status_keeps_what_its_annotation_names(storage: Storage, collect: Collect) -> None:
    restored = model()
    restored["metadata"]["annotations"] = {"distillery.dev/active": json.dumps(serving(storage, B))}
    assert collect(restored) == 0
    assert of_student(storage, B) == PUBLISHED


def test_a_live_job_keeps_all_attempts_of_its_student_and_its_labels(storage: Storage, collect: Collect) -> None:
    before = of_student(storage, A)
    assert collect(job(storage, artifacts=keys())) == 0
    assert of_student(storage, A) == before
    assert f"labels/{LABELS}/segments/1.parquet" in storage.left()
    assert f"labels/{OTHER}/segments/1.parquet" not in storage.left()


@pytest.mark.parametrize("used", [True, False])
def test_a_selection_of_rows_stays_while_a_live_job_uses_it(used: bool, storage: Storage, collect: Collect) -> None:
    selection = {"selectionKey": f"sha256:{SELECTION if used else C}"}
    assert collect(job(storage, artifacts=keys() | selection)) == 0
    assert (f"selections/{SELECTION}/rows.json" in storage.left()) is used


def test_a_live_job_before_its_preflight_may_reuse_anything(storage: Storage, collect: Collect) -> None:
    before = storage.left()
    assert collect(job(storage)) == 0
    gone = before - storage.left()
    assert gone == {f"labels/{LABELS}/segments/2.parquet", f"labels/{OTHER}/segments/2.parquet",
                    "evaluations/uid-old/1/report.json"}  # fmt: skip


def test_a_live_job_elsewhere_that_learns_from_a_student_keeps_it(storage: Storage, collect: Collect) -> None:
    teacher = {"uri": f"{storage.uri}/students/{B}/attempts/two/student"}
    before = of_student(storage, B)
    elsewhere = {"storage": {"uri": "s3://elsewhere"}, "teachers": [{"model": teacher}]}
    assert collect(job(storage, spec=elsewhere)) == 0
    assert of_student(storage, B) == before


def passed(storage: Storage, uid: str = "uid-job", **spec: Any) -> dict[str, Any]:
    """A finished job whose student passed."""
    verdict = {"result": "Pass"}
    return job(storage, uid, spec, artifacts=keys(), verdict=verdict, finishedAt="2026-02-01T00:00:00Z")


@pytest.mark.parametrize(
    ("others", "stays"),
    [
        pytest.param([], True, id="its model is not there yet"),
        pytest.param([model()], True, id="its model has not decided"),
        pytest.param([model(history=[decision(C, "Rejected", "uid-job")])], False, id="its model has decided on it"),
        pytest.param([model(history=[decision(C) | {"time": "2026-03-01T00:00:00Z"}] * 20)], False, id="long ago"),
    ],
)
def test_a_passed_student_stays_until_its_model_decided(
    others: list[dict[str, Any]], stays: bool, storage: Storage, collect: Collect
) -> None:
    assert collect(passed(storage), *others) == 0
    assert of_student(storage, A) == (PUBLISHED if stays else set())


def test_a_failed_job_keeps_its_report_alone(storage: Storage, collect: Collect) -> None:
    storage.write("evaluations/uid-job/1/report.json")
    failed = passed(storage)
    failed["status"]["verdict"]["result"] = "Fail"
    assert collect(failed) == 0
    assert of_student(storage, A) == set()
    assert "evaluations/uid-job/1/report.json" in storage.left()


def test_nothing_younger_than_the_floor_goes(storage: Storage, collect: Collect) -> None:
    storage.student(C, age=DAY)
    storage.write(f"labels/{OTHER}/segments/3.json", age=DAY)
    assert collect(model(serving(storage, A))) == 0
    assert len(of_student(storage, C)) == 6
    assert f"labels/{OTHER}/segments/1.parquet" in storage.left()
    assert collect(model(serving(storage, A)), arguments=("--apply", "--min-age", "12h")) == 0
    assert of_student(storage, C) == set()


def test_a_student_without_a_record_that_a_model_holds_keeps_everything(storage: Storage, collect: Collect) -> None:
    (storage.root / f"students/{A}/train.json").unlink()
    before = of_student(storage, A)
    assert collect(model(serving(storage, A))) == 0
    assert of_student(storage, A) == before


def test_a_dry_run_prints_bytes_and_deletes_nothing(
    storage: Storage, collect: Collect, capsys: pytest.CaptureFixture[str]
) -> None:
    before = storage.left()
    assert collect(model(serving(storage, A)), arguments=("--dry-run",)) == 0
    assert storage.left() == before
    shown = capsys.readouterr().out
    assert f"students/{B}" in shown
    assert "no model holds it and no live job uses it" in shown
    assert "2 label sets, 1 selections, 2 students, 1 evaluations" in shown
    assert "nothing was deleted" in shown.splitlines()[-1]


def test_a_dry_run_needs_no_state(storage: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc", storage.uri, "--dry-run"]) == 0
    assert "Without --state, nothing is known to be in use." in capsys.readouterr().out


def test_deleting_without_a_state_or_with_a_foreign_one_is_refused(
    storage: Storage, collect: Collect, capsys: pytest.CaptureFixture[str]
) -> None:
    before = storage.left()
    assert main(["gc", storage.uri, "--apply"]) == 3
    assert "--apply: needs --state" in capsys.readouterr().err
    foreign = job(storage, spec={"storage": {"uri": "s3://elsewhere"}})
    assert collect(foreign) == 3
    assert "is it of another cluster" in capsys.readouterr().err
    assert storage.left() == before
    assert collect(arguments=("--apply", "--unused")) == 0
    assert storage.left() == {"inputs/train.parquet"}


@pytest.mark.parametrize(("text", "words"), [("[", "is no JSON"), ('{"kind": "Status"}', "is no list")])
def test_a_state_that_cannot_be_read_is_refused(
    text: str, words: str, storage: Storage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state.json").write_text(text)
    assert main(["gc", storage.uri, "--apply", "--state", str(tmp_path / "state.json")]) == 3
    assert words in capsys.readouterr().err
    assert main(["gc", storage.uri, "--apply", "--state", str(tmp_path / "nowhere")]) == 3


def test_a_record_that_cannot_be_read_stops_everything(storage: Storage, collect: Collect) -> None:
    storage.write(f"students/{B}/train.json", b"{")
    before = storage.left()
    assert collect(model(serving(storage, A))) == 3
    assert storage.left() == before


def test_a_wrong_age_is_refused(storage: Storage) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["gc", storage.uri, "--dry-run", "--min-age", "7"])
    assert ended.value.code == 3


class ApiServer(BaseHTTPRequestHandler):
    """Two pages of jobs and no model, for the bearer of a token."""

    pages: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        page = self.pages.get(self.path) if self.headers["Authorization"] == "Bearer secret" else None
        self.send_response(200 if page else 403)
        self.end_headers()
        self.wfile.write(json.dumps(page).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def as_a_pod(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A ServiceAccount's files and an API server; gives the files' folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), ApiServer)
    Thread(target=server.serve_forever, daemon=True).start()
    account = tmp_path / "account"
    account.mkdir()
    shutil.copy(certifi.where(), account / "ca.crt")
    for name, text in {"namespace": "team", "token": "secret\n"}.items():
        (account / name).write_text(text)
    monkeypatch.setattr(in_cluster, "ACCOUNT", account)
    monkeypatch.setattr(in_cluster, "API", "http://{host}:{port}")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.server_port))
    live = job(storage, artifacts=keys())
    del live["kind"]
    root = "/apis/distillery.dev/v1alpha1/namespaces/team"
    monkeypatch.setattr(ApiServer, "pages", {
        f"{root}/distillationjobs?limit=500&continue=": {"items": [], "metadata": {"continue": "2"}},
        f"{root}/distillationjobs?limit=500&continue=2": {"items": [live], "metadata": {}},
        f"{root}/distilledmodels?limit=500&continue=": {"items": [], "metadata": {}},
    })  # fmt: skip
    yield account
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("as_a_pod")
def test_a_pod_asks_the_api_server_for_its_namespace(storage: Storage) -> None:
    before = of_student(storage, A)
    assert main(["gc", storage.uri, "--apply", "--in-cluster"]) == 0
    assert of_student(storage, A) == before
    assert of_student(storage, B) == set()


@pytest.mark.parametrize(("name", "text"), [("token", "wrong"), ("ca.crt", "")], ids=["no right", "no certificate"])
def test_a_pod_that_cannot_read_everything_deletes_nothing(
    name: str, text: str, as_a_pod: Path, storage: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    before = storage.left()
    (as_a_pod / name).write_text(text)
    assert main(["gc", storage.uri, "--apply", "--in-cluster"]) == 3
    assert "nothing was deleted" in capsys.readouterr().err
    assert storage.left() == before


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (200 * 2**20, "200 MiB")])
def test_bytes_are_told_with_their_unit(count: int, text: str) -> None:
    assert bytes_text(count) == text
