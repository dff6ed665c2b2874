"""A manifest means the same here as at the API server: defaults, refusals and their words."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distillery.__main__ import main
from distillery.admission import admitted, read_manifests
from distillery.admission.manifests import Manifest
from distillery.admission.rules import RULES, compiled
from distillery.errors import Refused
from distillery_api.crd import distillationjobs, distilledmodels
from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distilledmodel import DistilledModelSpec
from distillery_api.quantities import is_quantity, quantity
from stage_results import job_spec

ROOT = Path(__file__).parents[3]
REJECTED = sorted((ROOT / "tests/rejected").glob("*.yaml"))
EXAMPLES = sorted((ROOT / "examples").glob("*/*.yaml"))
SPECS = {"DistillationJob": DistillationJobSpec, "DistilledModel": DistilledModelSpec}


def expected(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^# (error|names): (.+)$", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", REJECTED, ids=lambda path: path.stem)
def test_a_wrong_manifest_is_refused_in_the_words_of_the_api_server(path: Path) -> None:
    (manifest,) = read_manifests([str(path)])
    with pytest.raises(Refused) as refusal:
        admitted(manifest)
    assert expected(path)["error"] in str(refusal.value)
    assert expected(path)["names"] in str(refusal.value)


@pytest.mark.parametrize("path", [path for path in REJECTED if "job" in path.stem], ids=lambda path: path.stem)
def test_a_wrong_job_is_never_planned(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", str(path)]) == 3
    shown = capsys.readouterr()
    assert expected(path)["error"] in shown.err
    assert shown.out == ""


def test_a_command_given_a_wrong_manifest_says_so_and_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    path = ROOT / "tests/rejected/distillationjob-test-is-train.yaml"
    assert main(["run", "-f", str(path)]) == 3
    fix = "test must not be the train file; name a file of held-out rows: they decide the verdict"
    words = f'The DistillationJob "wrong" is invalid: spec.dataset.test: Invalid value: {fix}'
    assert capsys.readouterr().err.strip() == words


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_example_is_stored_as_the_operator_reads_it(path: Path) -> None:
    for manifest in read_manifests([str(path)]):
        spec = admitted(manifest)["spec"]
        assert spec == SPECS[manifest.kind].model_validate(manifest.body["spec"]).dump()


def rules_in(schema: Any) -> Iterator[str]:
    """Every CEL rule, at any depth, but those about updates."""
    if isinstance(schema, dict):
        yield from (rule["rule"] for rule in schema.get(RULES, ()) if "oldSelf" not in rule["rule"])
        for item in schema.values():
            yield from rules_in(item)


@pytest.mark.parametrize("crd", [distillationjobs(), distilledmodels()], ids=lambda crd: crd["spec"]["names"]["kind"])
def test_every_rule_of_a_crd_compiles_here(crd: dict[str, Any]) -> None:
    rules = set(rules_in(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]))
    assert len(rules) > 5
    assert all(compiled(rule) for rule in rules)


def job(name: Any = "small", **changes: Any) -> Manifest:
    body = {"apiVersion": "distillery.dev/v1alpha1", "kind": "DistillationJob", "metadata": {"name": name}}
    return Manifest("job.yaml", {**body, "spec": job_spec(**changes), "status": {"invented": True}})


def test_a_job_gets_the_default_namespace_and_loses_its_status() -> None:
    stored = admitted(job())
    assert stored["metadata"] == {"name": "small", "namespace": "default"}
    assert "status" not in stored


def test_null_stands_for_a_default_and_nowhere_else() -> None:
    assert admitted(job(softLabels=None))["spec"]["softLabels"]["shards"] == 1
    with pytest.raises(Refused, match=r"spec\.promoteTo in body must be of type object"):
        admitted(job(promoteTo=None))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"storage": {"uri": "file:///s/../t"}}, "write the path without '..'", id="climbing"),
        pytest.param({"storage": {"uri": "file://host/s"}}, "write s3://bucket/path or pvc://", id="another host"),
        pytest.param(
            {"dataset": {"train": "file:///d/train.txt", "test": "file:///d/test.csv"}}, "name a .parquet", id="suffix"
        ),
    ],
)
def test_a_local_address_keeps_the_rules_of_others(change: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=re.escape(words)):
        admitted(job(**change))


def test_local_addresses_are_taken_as_they_are_written() -> None:
    dataset = {"train": "file:///d/train.csv", "test": "file:///d/test.csv"}
    assert admitted(job(dataset=dataset))["spec"]["dataset"]["train"] == "file:///d/train.csv"


def test_several_findings_are_listed_and_rules_wait_for_a_sound_object() -> None:
    with pytest.raises(Refused) as refusal:
        admitted(job(training={"epochs": "3", "seed": -1}, gate={"minRetention": 95}))
    lines = str(refusal.value).splitlines()
    assert lines[0] == 'The DistillationJob "small" is invalid: '
    assert [line.split(":")[0] for line in lines[1:3]] == ["* spec.training.epochs", "* spec.training.seed"]
    assert "* some validation rules were not checked" in lines[-1]
    assert "write a share of 1" not in str(refusal.value)


@pytest.mark.parametrize("name", [None, "", 7])
def test_an_object_needs_a_name(name: Any) -> None:
    with pytest.raises(Refused, match="resource name may not be empty"):
        admitted(job(name))


def test_another_version_is_unknown() -> None:
    manifest = Manifest("job.yaml", {**job().body, "apiVersion": "distillery.dev/v1"})
    with pytest.raises(Refused, match='no matches for kind "DistillationJob" in version'):
        admitted(manifest)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("500m", 0.5),
        ("2", 2),
        ("4Gi", 4 * 2**30),
        ("1.5k", 1500),
        ("1E3", 1000),
        ("1E", 10**18),
        ("-1", -1),
        ("3n", 3e-9),
    ],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str, amount: float) -> None:
    assert float(quantity(text)) == amount


@pytest.mark.parametrize("text", ["4 GB", "", "1KiB", "1ki", "m", "1.2.3"])
def test_what_is_no_quantity_is_known(text: str) -> None:
    assert not is_quantity(text)
    with pytest.raises(ValueError, match="no Kubernetes quantity"):
        quantity(text)


@pytest.mark.parametrize(
    ("jobs", "arguments", "words"),
    [
        pytest.param([], [], "the files hold no DistillationJob", id="none"),
        pytest.param(["one", "two"], [], "name one of one, two", id="two and no choice"),
        pytest.param(["one", "two"], ["--name", "three"], "0 of the DistillationJobs", id="a wrong name"),
    ],
)
def test_the_job_must_be_clear(
    jobs: list[str], arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies = [{"apiVersion": "v1", "kind": "Secret"}, *(job(name).body for name in jobs)]
    (tmp_path / "job.yaml").write_text("\n---\n".join(map(json.dumps, bodies)))
    assert main(["run", "-f", str(tmp_path / "job.yaml"), *arguments]) == 3
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"suspend": True}, "spec.suspend: is true", id="suspended"),
        pytest.param({"managedBy": "example.org/other"}, "spec.managedBy: leaves the job", id="another controller's"),
    ],
)
def test_a_job_that_no_operator_would_run_is_refused(
    change: dict[str, Any], words: str, job_file: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "-f", job_file(**change)]) == 3
    assert words in capsys.readouterr().err


def test_wrong_defaults_are_refused(
    job_file: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "operator.json").write_text('{"workerImage": ""}')
    assert main(["run", "-f", job_file(), "--defaults", str(tmp_path / "operator.json")]) == 3
    assert "--defaults" in capsys.readouterr().err


def test_wrong_arguments_never_look_like_a_verdict() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--fast"])
    assert ended.value.code == 3


COMMIT, DIGEST = "c" * 40, "sha256:" + "d" * 64
ALONE = {"name": "big", "endpoint": {"url": "https://host/v1", "model": "m", "labels": ["a", "b"]}}


@pytest.mark.parametrize(
    "uri",
    [
        "hf://org/name@main", "hf://org-1/Name_2.5@refs/pr/1", f"hf://org/name@{COMMIT}", "oci://ghcr.io/org/name:v1.0",
        "oci://localhost:5000/name:v1", f"oci://ghcr.io/a/b/c@{DIGEST}", "pvc://claim/model", "s3://bucket/model",
    ],
)  # fmt: skip
def test_teachers_and_given_students_come_from_storage_hubs_and_registries(uri: str) -> None:
    model = {"uri": uri}
    stored = admitted(job(teachers=[{"model": model}], student={"model": model}))
    assert stored["spec"]["student"]["model"] == stored["spec"]["teachers"][0]["model"] == model


def test_endpoints_alone_teach_a_given_student() -> None:
    stored = admitted(job(teachers=[ALONE], student={"model": {"uri": "s3://bucket/small"}}))
    assert "model" not in stored["spec"]["teachers"][0]
