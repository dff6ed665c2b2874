"""What the API server takes and refuses, in the words that a user of kubectl reads."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from controlplane import ControlPlane
from distillery_api.crd import distillationjobs, distilledmodels
from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distillationjob_status import DistillationJobStatus
from distillery_api.distilledmodel import DistilledModelSpec, DistilledModelStatus
from distillery_api.schema import Model
from kubernetes import client
from namespaces import Namespace
from operator_process import ROOT
from stage_results import job_spec
from tools import ensure_tools
from waiting import eventually

REJECTED = sorted((ROOT / "tests/rejected").glob("*.yaml"))
EXAMPLES = sorted((ROOT / "examples").glob("*/*.yaml"))
KINDS: dict[str, type[Model]] = {"DistillationJob": DistillationJobSpec, "DistilledModel": DistilledModelSpec}
STATUSES: dict[str, type[Model]] = {"DistillationJob": DistillationJobStatus, "DistilledModel": DistilledModelStatus}
MINIMAL = {"DistillationJob": job_spec(), "DistilledModel": {"task": "text-classification"}}
DIGEST = "sha256:" + "0" * 64
Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def kubectl(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl against the plane, with a cache of its own: ports come again, what is behind them changes."""
    options = [f"--kubeconfig={plane.kubeconfig}", f"--cache-dir={tmp_path_factory.mktemp('kubectl')}"]
    program = [str(ensure_tools() / "kubectl"), *options]

    # Another test may have changed a CRD of the shared plane: these tests are about the files as they stand.
    for name in ("distillationjobs", "distilledmodels"):
        crd = ["-f", str(ROOT / f"crds/{name}.yaml")]
        subprocess.run([*program, "apply", "--server-side", "--force-conflicts", *crd], check=True, capture_output=True)

    def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*program, *arguments], capture_output=True, text=True, input=stdin, check=False)

    return run


def read(kubectl: Kubectl, *arguments: str, stdin: str | None = None) -> str:
    """The output of a command that succeeds."""
    result = kubectl(*arguments, stdin=stdin)
    assert result.returncode == 0, result.stderr
    return result.stdout


def manifest(kind: str, name: str, spec: dict[str, Any]) -> str:
    return json.dumps({"apiVersion": "distillery.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})


def example(schema: dict[str, Any]) -> Any:
    """A value that fills every field of a structural schema."""
    if "properties" in schema:
        return {name: example(sub) for name, sub in schema["properties"].items()}
    if "additionalProperties" in schema:
        return {"train": example(schema["additionalProperties"])}
    if schema.get("x-kubernetes-int-or-string"):
        return 3
    if schema["type"] == "array":
        return [example(schema["items"])]
    if schema["type"] == "string":
        text = DIGEST if "sha256" in str(schema.get("x-kubernetes-validations")) else None
        fits = (value for value in ("text", "True", "Reason") if re.search(schema.get("pattern", ""), value))
        return schema.get("enum", [text or next(fits)])[0]
    if schema["type"] == "boolean":
        return True
    least = schema.get("minimum", 0)
    return max(3, least) if schema["type"] == "integer" else least + 0.5


def full_status(crd: dict[str, Any]) -> dict[str, Any]:
    """A status with every field, and the conditions that the columns read."""
    status: dict[str, Any] = example(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"])
    conditions = (("Ready", "Promoted"), ("Reconciling", "Training"))
    status["conditions"] = [status["conditions"][0] | {"type": kind, "reason": reason} for kind, reason in conditions]
    if "verdict" in status:
        status["verdict"]["criteria"][0]["name"] = "retention"
    return status


def write_full_status(namespace: Namespace) -> dict[str, dict[str, Any]]:
    """One object of each kind, named `full`, with every field of its status written as the operator writes it."""
    namespace.job("full")
    namespace.model("full")
    wanted = {crd["spec"]["names"]["plural"]: full_status(crd) for crd in (distillationjobs(), distilledmodels())}
    for plural, status in wanted.items():
        namespace.custom.patch_namespaced_custom_object_status(
            "distillery.dev", "v1alpha1", namespace.name, plural, "full", {"status": status}
        )
    return wanted


@pytest.mark.parametrize("path", REJECTED, ids=lambda path: path.stem)
def test_a_wrong_manifest_is_refused_in_words_that_name_the_field_and_the_fix(kubectl: Kubectl, path: Path):
    expected = dict(re.findall(r"^# (error|names): (.+)$", path.read_text(), re.MULTILINE))
    result = kubectl("apply", "-f", str(path))
    assert result.returncode != 0
    assert expected["error"] in result.stderr
    assert expected["names"] in result.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_minimal_manifest_gets_exactly_the_defaults_of_its_model(kubectl: Kubectl, kind: str):
    text = manifest(kind, "minimal", MINIMAL[kind])
    stored = json.loads(read(kubectl, "apply", "--dry-run=server", "-o", "json", "-f", "-", stdin=text))
    assert stored["spec"] == KINDS[kind].model_validate(MINIMAL[kind]).dump()
    assert stored["status"] == STATUSES[kind]().dump()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_example_is_accepted_as_the_operator_reads_it(kubectl: Kubectl, path: Path):
    written = yaml.safe_load(path.read_text())
    stored = json.loads(read(kubectl, "apply", "--dry-run=server", "-o", "json", "-f", str(path)))
    assert stored["spec"] == KINDS[written["kind"]].model_validate(written["spec"]).dump()


@pytest.mark.parametrize("crd", [distillationjobs(), distilledmodels()], ids=lambda crd: crd["spec"]["names"]["kind"])
def test_the_server_stores_the_schema_as_it_was_generated(kubectl: Kubectl, crd: dict[str, Any]):
    stored = json.loads(read(kubectl, "get", "crd", crd["metadata"]["name"], "-o", "json"))
    assert stored["spec"]["versions"][0]["schema"] == crd["spec"]["versions"][0]["schema"]


def test_no_field_of_a_status_is_lost(namespace: Namespace):
    wanted = write_full_status(namespace)
    for plural, model in (("distillationjobs", DistillationJobStatus), ("distilledmodels", DistilledModelStatus)):
        stored = namespace.get(plural, "full")["status"]
        assert stored == wanted[plural]
        assert model.model_validate(stored).dump() == stored


def test_a_status_is_owned_as_one_field(namespace: Namespace):
    for plural in write_full_status(namespace):
        owners = namespace.get(plural, "full")["metadata"]["managedFields"]
        assert [owner["fieldsV1"] for owner in owners if owner.get("subresource") == "status"] == [{"f:status": {}}]


def test_kubectl_get_shows_stage_verdict_and_retention(kubectl: Kubectl, namespace: Namespace):
    write_full_status(namespace)
    listed = eventually(
        lambda: read(kubectl, "get", "dj,dm", "-n", namespace.name),
        lambda text: "VERDICT" in text and "REVISION" in text,
    )
    jobs, models = listed.split("\n\n")
    head, row = (line.split() for line in jobs.splitlines())
    assert head == ["NAME", "STAGE", "READY", "VERDICT", "RETENTION", "REASON", "AGE"]
    assert row[:-1] == ["distillationjob.distillery.dev/full", "Training", "True", "Pass", "0.5", "Promoted"]
    head, row = (line.split() for line in models.splitlines())
    assert head == ["NAME", "READY", "REVISION", "RETENTION", "REPLICAS", "REASON", "AGE"]
    assert row[:-1] == ["distilledmodel.distillery.dev/full", "True", "text", "0.5", "3", "Promoted"]


def test_the_category_lists_both_kinds_and_wide_shows_model_and_url(kubectl: Kubectl, namespace: Namespace):
    write_full_status(namespace)
    eventually(
        lambda: read(kubectl, "get", "distillery", "-n", namespace.name, "-o", "wide"),
        lambda text: "MODEL" in text and "URL" in text,
    )


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("dj.spec.objective", "KL(teacher || student)"),
        ("dj.spec.gate.minRetention", "Share of the teacher's quality that the student must"),
        ("dm.spec.serving.drainSeconds", "stopping pod goes on answering"),
    ],
)
def test_kubectl_explains_a_field(kubectl: Kubectl, field: str, words: str):
    eventually(lambda: kubectl("explain", field).stdout, lambda text: words in " ".join(text.split()))


@pytest.mark.parametrize(
    "change",
    [{"training": {"seed": 1}}, {"promoteTo": {"name": "other"}}, {"stages": {"train": {"gpus": 1}}}],
    ids=lambda change: next(iter(change)),
)
def test_the_spec_of_a_job_cannot_be_changed(kubectl: Kubectl, namespace: Namespace, change: dict[str, Any]):
    read(kubectl, "apply", "-n", namespace.name, "-f", "-", stdin=manifest("DistillationJob", "fixed", job_spec()))
    changed = manifest("DistillationJob", "fixed", job_spec(**change))
    result = kubectl("apply", "-n", namespace.name, "-f", "-", stdin=changed)
    assert result.returncode != 0
    words = f"{next(iter(change))} is immutable: apply another job under another name; it reuses the soft labels"
    assert words in result.stderr


def test_a_job_can_be_applied_again_and_labelled(kubectl: Kubectl, namespace: Namespace):
    text = manifest("DistillationJob", "again", job_spec())
    read(kubectl, "apply", "-n", namespace.name, "-f", "-", stdin=text)
    read(kubectl, "apply", "-n", namespace.name, "-f", "-", stdin=text)
    read(kubectl, "label", "-n", namespace.name, "dj", "again", "team=a")
    assert namespace.get("distillationjobs", "again")["metadata"]["generation"] == 1


def test_the_number_of_replicas_is_read_and_set_by_scale(kubectl: Kubectl, namespace: Namespace):
    namespace.model("scaled", serving={"replicas": 2})
    read(kubectl, "scale", "-n", namespace.name, "dm", "scaled", "--replicas=3")
    write = namespace.custom.patch_namespaced_custom_object_status
    status = {"replicas": 2, "selector": "distillery.dev/model=scaled"}
    write("distillery.dev", "v1alpha1", namespace.name, "distilledmodels", "scaled", {"status": status})
    scale = json.loads(read(kubectl, "get", "-n", namespace.name, "dm", "scaled", "--subresource=scale", "-o", "json"))
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 2, "selector": "distillery.dev/model=scaled"}
    assert namespace.get("distilledmodels", "scaled")["spec"]["serving"]["replicas"] == 3


def test_an_autoscaled_model_cannot_be_scaled_by_hand(kubectl: Kubectl, namespace: Namespace):
    namespace.model("automatic", serving={"autoscaling": {"maxReplicas": 3}})
    result = kubectl("scale", "-n", namespace.name, "dm", "automatic", "--replicas=3")
    assert result.returncode != 0
    assert "set replicas or autoscaling, not both" in result.stderr


def test_a_fresh_object_does_not_look_finished(namespace: Namespace):
    namespace.job("fresh")
    namespace.model("fresh")
    for plural in ("distillationjobs", "distilledmodels"):
        assert namespace.get(plural, "fresh")["status"]["observedGeneration"] == -1


def test_a_status_that_no_operator_wrote_is_refused(namespace: Namespace):
    namespace.job("claims")
    with pytest.raises(client.ApiException, match="supported values"):
        namespace.custom.patch_namespaced_custom_object_status(
            "distillery.dev", "v1alpha1", namespace.name, "distillationjobs", "claims",
            {"status": {"stages": [{"name": "train", "state": "Dreaming"}]}},
        )  # fmt: skip
