"""What the chart installs: CRDs that stay, rights that are few, and a pod that any namespace takes."""

import tomllib
from typing import Any

import pytest
import yaml
from chart_render import CHART, NAMESPACE, RELEASE, ROOT, Helm, Manifest, one
from distillery_api.distilledmodel import DistilledModelSpec
from distillery_api.run import ArtifactRef
from distillery_operator import names
from distillery_operator.model_manifests import build_deployment
from distillery_operator.settings import Settings

CLUSTER_KINDS = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}

# Resource -> verbs: what the operator's code calls.
RIGHTS = {
    "distillery.dev/distillationjobs": {"get", "list", "watch"},
    "distillery.dev/distilledmodels": {"get", "list", "watch", "patch"},
    "distillery.dev/distillationjobs/status": {"update"},
    "distillery.dev/distilledmodels/status": {"update"},
    "distillery.dev/distillationjobs/finalizers": {"update"},
    "distillery.dev/distilledmodels/finalizers": {"update"},
    "batch/jobs": {"get", "list", "watch", "create", "delete"},
    "/pods": {"list", "watch"},
    "apps/deployments": {"get", "list", "watch", "create", "delete"},
    "apps/deployments/scale": {"patch"},
    "/services": {"get", "list", "watch", "create", "patch"},
    "autoscaling/horizontalpodautoscalers": {"get", "list", "watch", "create", "patch", "delete"},
    "/events": {"create", "list"},
}
ONE_NAMESPACE = {"watchNamespace": "team"}
CRDS_ROLE = f"{RELEASE}-crds-{NAMESPACE}"


def rights(role: Manifest) -> dict[str, set[str]]:
    """`group/resource` -> verbs."""
    found: dict[str, set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault(f"{group}/{resource}", set()).update(rule["verbs"])
    return found


def crds(manifests: list[Manifest]) -> dict[str, Manifest]:
    """CRDs by file name."""
    return {m["spec"]["names"]["plural"] + ".yaml": m for m in manifests if m["kind"] == "CustomResourceDefinition"}


def pod(manifests: list[Manifest]) -> dict[str, Any]:
    """The operator's pod template."""
    return dict(one(manifests, "Deployment")["spec"]["template"])


def test_lint_finds_nothing(helm: Helm) -> None:
    result = helm.run("lint", "--strict", str(CHART))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "[WARNING]" not in result.stdout


def test_the_chart_has_the_project_s_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


def test_crds_are_installed_as_generated_and_kept(manifests: list[Manifest]) -> None:
    installed = crds(manifests)
    files = {path.name: yaml.safe_load(path.read_text()) for path in (CHART / "files/crds").glob("*.yaml")}
    assert {name: crd["spec"] for name, crd in installed.items()} == {name: crd["spec"] for name, crd in files.items()}
    assert all(crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"} for crd in installed.values())


def test_crds_go_with_the_release_where_the_user_says_so(helm: Helm) -> None:
    installed = crds(helm.template({"crds": {"keep": False}}))
    assert len(installed) == 2
    assert not any("annotations" in crd["metadata"] for crd in installed.values())


def test_crds_can_be_left_to_others(helm: Helm) -> None:
    assert crds(helm.template({"crds": {"enabled": False}})) == {}


def test_the_operator_has_the_rights_that_its_code_uses_and_no_others(manifests: list[Manifest]) -> None:
    assert rights(one(manifests, "ClusterRole")) == RIGHTS
    assert rights(one(manifests, "ClusterRole", CRDS_ROLE)) == {
        "apiextensions.k8s.io/customresourcedefinitions": {"get"}
    }


def test_the_operator_has_one_lease_where_it_runs(manifests: list[Manifest]) -> None:
    create, keep = one(manifests, "Role", f"{RELEASE}-lease")["rules"]
    assert (create["resources"], create["verbs"]) == (["leases"], ["create"])
    assert (keep["resources"], keep["verbs"], keep["resourceNames"]) == (["leases"], ["get", "patch"], [RELEASE])
    (container,) = pod(manifests)["spec"]["containers"]
    assert f"--lease={NAMESPACE}/{RELEASE}" in container["args"]


def test_in_one_namespace_the_operator_has_the_same_rights_there_and_reads_the_crds(helm: Helm) -> None:
    manifests = helm.template(ONE_NAMESPACE)
    role, binding = one(manifests, "Role"), one(manifests, "RoleBinding")
    assert rights(role) == RIGHTS
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "team"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": RELEASE, "namespace": NAMESPACE}]
    assert [m["metadata"]["name"] for m in manifests if m["kind"] == "ClusterRole"] == [CRDS_ROLE]
    assert [m["metadata"]["name"] for m in manifests if m["kind"] == "ClusterRoleBinding"] == [CRDS_ROLE]


def test_in_one_namespace_nothing_of_the_cluster_is_needed(helm: Helm) -> None:
    manifests = helm.template({**ONE_NAMESPACE, "crds": {"enabled": False, "check": False}})
    assert {m["kind"] for m in manifests}.isdisjoint(CLUSTER_KINDS)


def test_in_one_namespace_only_its_servers_are_scraped(helm: Helm) -> None:
    manifests = helm.template({**ONE_NAMESPACE, "podMonitor": {"enabled": True}})
    assert one(manifests, "PodMonitor", f"{RELEASE}-server")["spec"]["namespaceSelector"] == {"matchNames": ["team"]}


def test_workloads_of_kueue_are_listed_only_where_it_is_enabled(helm: Helm) -> None:
    role = one(helm.template({"settings": {"kueue": {"enabled": True}}}), "ClusterRole")
    assert rights(role) == RIGHTS | {"kueue.x-k8s.io/workloads": {"list"}}


def test_the_operator_may_watch_every_kind_that_it_watches() -> None:
    for kind in (*names.PARENTS, *names.CHILDREN):
        assert RIGHTS[f"{kind.group}/{kind.plural}"] >= {"list", "watch"}, kind


def test_no_role_has_a_wildcard_or_reaches_secrets_or_logs(manifests: list[Manifest]) -> None:
    roles = [m for m in manifests if m["kind"] in ("ClusterRole", "Role")]
    assert len(roles) == 5
    for rule in (rule for role in roles for rule in role["rules"]):
        assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]
        assert not {"secrets", "pods/log", "pods/exec"} & set(rule["resources"])


def test_of_crds_the_operator_reads_its_own_two(manifests: list[Manifest]) -> None:
    (rule,) = (r for r in one(manifests, "ClusterRole", CRDS_ROLE)["rules"])
    assert rule["resourceNames"] == [m["metadata"]["name"] for m in crds(manifests).values()]


def test_the_rights_are_bound_to_the_operator_s_account(manifests: list[Manifest]) -> None:
    account = pod(manifests)["spec"]["serviceAccountName"]
    assert one(manifests, "ServiceAccount")["metadata"]["name"] == account
    bindings = [m for m in manifests if m["kind"] in ("ClusterRoleBinding", "RoleBinding")]
    assert len(bindings) == 3
    for binding in bindings:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]


@pytest.mark.parametrize(("name", "account"), [("", "default"), ("mine", "mine")])
def test_an_account_of_the_user_s_own_is_used(name: str, account: str, helm: Helm) -> None:
    manifests = helm.template({"serviceAccount": {"create": False, "name": name}})
    assert pod(manifests)["spec"]["serviceAccountName"] == account
    assert one(manifests, "ClusterRoleBinding")["subjects"][0]["name"] == account
    assert not [m for m in manifests if m["kind"] == "ServiceAccount"]


def test_users_roles_extend_the_cluster_s_own(manifests: list[Manifest]) -> None:
    aggregated = {
        role: {
            label.rsplit("-", 1)[1]
            for label in one(manifests, "ClusterRole", f"{RELEASE}-{role}")["metadata"]["labels"]
            if "aggregate-to-" in label
        }
        for role in ("view", "edit")
    }
    assert aggregated == {"view": {"view", "edit", "admin"}, "edit": {"edit", "admin"}}
    verbs = set.union(*rights(one(manifests, "ClusterRole", f"{RELEASE}-view")).values())
    assert verbs == {"get", "list", "watch"}


def test_the_next_operator_stands_by_before_the_last_one_goes(manifests: list[Manifest]) -> None:
    spec = one(manifests, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["rollingUpdate"]) == (1, {"maxSurge": 1, "maxUnavailable": 0})
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_several_operators_are_spread_and_drained_one_at_a_time(helm: Helm, manifests: list[Manifest]) -> None:
    assert not [m for m in manifests if m["kind"] == "PodDisruptionBudget"]
    assert "topologySpreadConstraints" not in pod(manifests)["spec"]
    several = helm.template({"operator": {"replicas": 2}})
    labels = pod(several)["metadata"]["labels"].items()
    assert one(several, "Deployment")["spec"]["replicas"] == 2
    assert one(several, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels
    (spread,) = pod(several)["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"].items() <= labels


def test_the_operator_is_no_child_of_its_own_watch(manifests: list[Manifest]) -> None:
    assert not names.MANAGED_BY.items() <= pod(manifests)["metadata"]["labels"].items()


def test_the_pod_is_restricted_under_any_uid(manifests: list[Manifest]) -> None:
    spec = pod(manifests)["spec"]
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert [container["securityContext"] for container in spec["containers"]] == [
        {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    ]
    assert all(set(volume) <= {"name", "configMap", "emptyDir"} for volume in spec["volumes"])
    # kopf asks for the user's name otherwise, and an arbitrary uid has none.
    assert "POD_ID" in [variable["name"] for variable in spec["containers"][0]["env"]]


def test_the_operator_s_name_in_the_lease_is_its_pod_s_and_lasts_as_long(manifests: list[Manifest]) -> None:
    (container,) = pod(manifests)["spec"]["containers"]
    fields = {variable["name"]: variable["valueFrom"]["fieldRef"]["fieldPath"] for variable in container["env"]}
    assert "--identity=$(POD_ID)_$(POD_UID)" in container["args"]
    assert fields == {"POD_ID": "metadata.name", "POD_UID": "metadata.uid"}


def test_the_operator_is_started_and_probed_where_it_listens(manifests: list[Manifest]) -> None:
    (container,) = pod(manifests)["spec"]["containers"]
    assert "--settings=/etc/distillery/operator.json" in container["args"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"metrics": 8080, "health": 8081}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "health"}


def test_changed_settings_restart_the_operator(helm: Helm, manifests: list[Manifest]) -> None:
    changed = helm.template({"settings": {"workers": 2}})
    assert pod(changed)["metadata"]["annotations"] != pod(manifests)["metadata"]["annotations"]


def test_a_user_s_annotations_win_and_labels_do_not(helm: Helm) -> None:
    mine = {"podAnnotations": {"prometheus.io/scrape": "false"}, "podLabels": {"app.kubernetes.io/name": "mine"}}
    metadata = pod(helm.template({"operator": mine}))["metadata"]
    assert metadata["annotations"]["prometheus.io/scrape"] == "false"
    assert metadata["labels"]["app.kubernetes.io/name"] == "distillery-operator"


def test_podmonitors_find_the_operator_and_every_server(helm: Helm) -> None:
    manifests = helm.template({"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}})
    operator = one(manifests, "PodMonitor", f"{RELEASE}-operator")
    server = one(manifests, "PodMonitor", f"{RELEASE}-server")
    assert operator["spec"]["selector"]["matchLabels"].items() <= pod(manifests)["metadata"]["labels"].items()
    assert server["spec"]["namespaceSelector"] == {"any": True}
    assert all(monitor["metadata"]["labels"]["release"] == "prometheus" for monitor in (operator, server))


def test_the_server_s_podmonitor_picks_the_pods_that_the_operator_makes(helm: Helm) -> None:
    made = build_deployment(
        "team", "served", "uid", DistilledModelSpec(task="text-classification"),
        ArtifactRef(uri="s3://bucket/artifact", digest="sha256:" + "a" * 64), "0123456789", 1,
        Settings(worker_image="worker", server_image="server"), {},
    )["spec"]["template"]  # fmt: skip
    monitor = one(helm.template({"podMonitor": {"enabled": True}}), "PodMonitor", f"{RELEASE}-server")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= made["metadata"]["labels"].items()
    ports = [port["name"] for container in made["spec"]["containers"] for port in container["ports"]]
    assert [endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]] == ports


def test_every_object_of_a_namespace_is_in_the_release_s(manifests: list[Manifest]) -> None:
    namespaces = {m["metadata"].get("namespace") for m in manifests if m["kind"] not in CLUSTER_KINDS}
    assert namespaces == {NAMESPACE}
