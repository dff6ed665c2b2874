"""The CronJobs that collect garbage: one for each prefix, in its namespace, with the fewest rights."""

from typing import Any

import pytest
from chart_render import RELEASE, Helm, Manifest, Values, one
from distillery.__main__ import parser

NAME = f"{RELEASE}-gc-words"


def collecting(**prefix: Any) -> Values:
    """Values with one prefix."""
    default = {"name": "words", "namespace": "team", "uri": "s3://bucket/team"}
    return {"garbageCollection": {"prefixes": [{**default, **prefix}]}}


def pod(manifests: list[Manifest]) -> dict[str, Any]:
    """The collector's pod."""
    template = one(manifests, "CronJob", NAME)["spec"]["jobTemplate"]["spec"]["template"]
    return dict(template["spec"])


def test_nothing_is_collected_where_no_prefix_is_named(manifests: list[Manifest]) -> None:
    assert not [m for m in manifests if m["kind"] == "CronJob"]


def test_the_collector_may_read_jobs_and_models_of_its_namespace_and_nothing_else(helm: Helm) -> None:
    manifests = helm.template(collecting())
    found = [one(manifests, kind, NAME) for kind in ("ServiceAccount", "Role", "RoleBinding", "CronJob")]
    assert {each["metadata"]["namespace"] for each in found} == {"team"}
    assert found[1]["rules"] == [
        {
            "apiGroups": ["distillery.dev"],
            "resources": ["distillationjobs", "distilledmodels"],
            "verbs": ["get", "list"],
        }
    ]
    assert found[2]["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": "team"}]
    assert pod(manifests)["serviceAccountName"] == NAME


def test_the_collector_runs_a_command_that_the_client_takes(helm: Helm) -> None:
    (container,) = pod(helm.template(collecting()))["containers"]
    options = parser().parse_args(container["args"])
    assert (options.uri, options.apply, options.in_cluster, options.min_age.days) == ("s3://bucket/team", True, True, 7)


def test_the_pod_is_restricted_under_any_uid(helm: Helm) -> None:
    spec = pod(helm.template(collecting()))
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert [container["securityContext"] for container in spec["containers"]] == [
        {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    ]


def test_a_secret_gives_keys_and_a_claim_is_mounted_where_storage_looks_for_it(helm: Helm) -> None:
    (container,) = pod(helm.template(collecting(secretName="storage")))["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "storage"}}]
    assert "volumeMounts" not in container
    spec = pod(helm.template(collecting(uri="pvc://claim/team/runs")))
    assert spec["volumes"] == [{"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}}]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "claim", "mountPath": "/mnt/pvc/claim"}]
    assert "envFrom" not in spec["containers"][0]


def test_each_prefix_has_its_own_and_images_come_with_the_pods_secrets(helm: Helm) -> None:
    prefixes = [
        *collecting()["garbageCollection"]["prefixes"],
        *collecting(name="two")["garbageCollection"]["prefixes"],
    ]
    values = {"garbageCollection": {"prefixes": prefixes}, "settings": {"pods": {"imagePullSecrets": ["login"]}}}
    manifests = helm.template(values)
    assert len([m for m in manifests if m["kind"] == "CronJob"]) == 2
    assert pod(manifests)["imagePullSecrets"] == [{"name": "login"}]


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ({"uri": "file:///x"}, "uri"),
        ({"name": "A"}, "name"),
        ({"secretRef": {}}, "secretRef"),
        ({"namespace": None}, "namespace"),
    ],
)
def test_a_wrong_prefix_is_refused(prefix: dict[str, Any], words: str, helm: Helm) -> None:
    assert words in helm.refusal(collecting(**prefix))
