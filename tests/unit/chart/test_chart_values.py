"""Every value has a reader, every reader has a value, and wrong values are refused by name."""

import json
import re
from typing import Any

import pytest
from chart_render import CHART, Helm, Manifest, Values, default_values, leaves, nested, one
from distillery_operator.settings import Settings

DIGEST = "sha256:" + "0" * 64
COLLECTED = {"garbageCollection": {"prefixes": [{"name": "team", "namespace": "team", "uri": "s3://bucket/team"}]}}
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
HELM_ITSELF = {"enabled"}  # read by Helm, as an umbrella chart's condition
UNREAD = {"global"}

# Another value for each leaf of values.yaml, and what must be set beside it to see a difference.
OTHER: dict[str, tuple[Any, Values]] = {
    "fullnameOverride": ("other", {}),
    "watchNamespace": ("team", {}),
    "crds.enabled": (False, {}),
    "crds.keep": (False, {}),
    "crds.check": (False, {}),
    "rbac.aggregate": (False, {}),
    "serviceAccount.create": (False, {}),
    "serviceAccount.name": ("other", {}),
    "serviceAccount.annotations": ({"a": "b"}, {}),
    **{f"images.{name}.repository": ("registry:5000/other", {}) for name in ("operator", "worker", "server")},
    "images.client.repository": ("registry:5000/other", COLLECTED),
    **{f"images.{name}.tag": ("other", {}) for name in ("operator", "worker", "server")},
    "images.client.tag": ("other", COLLECTED),
    **{f"images.{name}.digest": (DIGEST, {}) for name in ("operator", "worker", "server")},
    "images.client.digest": (DIGEST, COLLECTED),
    "operator.replicas": (2, {}),
    "operator.imagePullPolicy": ("Always", {}),
    "operator.imagePullSecrets": ([{"name": "login"}], {}),
    "operator.resources.requests.cpu": ("2", {}),
    "operator.resources.requests.memory": ("1Gi", {}),
    "operator.resources.limits.memory": ("1Gi", {}),
    "operator.nodeSelector": ({"a": "b"}, {}),
    "operator.tolerations": ([{"operator": "Exists"}], {}),
    "operator.affinity": ({"nodeAffinity": {}}, {}),
    "operator.priorityClassName": ("system-cluster-critical", {}),
    "operator.podLabels": ({"a": "b"}, {}),
    "operator.podAnnotations": ({"a": "b"}, {}),
    "settings.gpuResource": ("amd.com/gpu", {}),
    "settings.pods.imagePullPolicy": ("Always", {}),
    "settings.pods.imagePullSecrets": (["login"], {}),
    "settings.kueue.enabled": (True, {}),
    "settings.progressSeconds": (0.5, {}),
    "settings.resyncSeconds": (60, {}),
    "settings.workers": (64, {}),
    "settings.healthPort": (9001, {}),
    "settings.metricsPort": (9002, {}),
    "settings.logLevel": ("DEBUG", {}),
    "garbageCollection.prefixes": (COLLECTED["garbageCollection"]["prefixes"], {}),
    "garbageCollection.schedule": ("0 0 * * *", COLLECTED),
    "garbageCollection.minAge": ("12h", COLLECTED),
    "podMonitor.enabled": (True, {}),
    "podMonitor.labels": ({"release": "prometheus"}, nested("podMonitor.enabled", True)),
}


def combined(first: Values, second: Values) -> Values:
    """Both, the second over the first."""
    both = dict(first)
    for key, value in second.items():
        held = both.get(key)
        both[key] = combined(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return both


def schema_paths(schema: dict[str, Any], prefix: str = "") -> set[str]:
    """Dotted path of every key that the schema lists by name."""
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]]
    found: set[str] = set()
    for key, sub in schema.get("properties", {}).items():
        found |= schema_paths(sub, f"{prefix}{key}.") or {f"{prefix}{key}"}
    return found


def operator_settings(manifests: list[Manifest]) -> Settings:
    """The operator's file, as the operator reads it."""
    return Settings.model_validate_json(one(manifests, "ConfigMap")["data"]["operator.json"])


def test_every_value_is_covered_by_the_table_of_other_values() -> None:
    assert set(OTHER) == set(leaves(default_values())) - UNREAD


@pytest.mark.parametrize("path", OTHER)
def test_another_value_makes_other_manifests(path: str, helm: Helm) -> None:
    value, beside = OTHER[path]
    assert helm.template(combined(beside, nested(path, value))) != helm.template(beside)


def test_every_value_that_a_template_reads_is_in_values_yaml() -> None:
    read = {
        path
        for template in (CHART / "templates").iterdir()
        for path in re.findall(r"\.Values\.([A-Za-z.]+)", template.read_text())
    }
    known = set(leaves(default_values()))
    assert read
    assert {path for path in read if not any(f"{leaf}.".startswith(f"{path}.") for leaf in known)} == set()


def test_the_schema_lists_the_keys_of_values_yaml() -> None:
    listed = schema_paths(SCHEMA) - HELM_ITSELF
    # The resources of a pod are open maps: values.yaml names keys inside them.
    values = {re.sub(r"^(operator\.resources\.\w+)\..*", r"\1", path) for path in leaves(default_values())}
    assert listed == values


@pytest.mark.parametrize(
    ("values", "named"),
    [
        pytest.param({"operatr": {}}, "'operatr'", id="at the root"),
        pytest.param({"crds": {"keeep": True}}, "'keeep'", id="in a group"),
        pytest.param({"images": {"worker": {"pullPolicy": "Always"}}}, "'pullPolicy'", id="of an image"),
        pytest.param({"settings": {"retries": 1}}, "'retries'", id="in the operator's settings"),
        pytest.param({"settings": {"pods": {"nodeSelector": {}}}}, "'nodeSelector'", id="in the pods' settings"),
    ],
)
def test_an_unknown_key_is_refused_by_name(values: Values, named: str, helm: Helm) -> None:
    assert f"additional properties {named} not allowed" in helm.refusal(values)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("images.worker.repository", "registry/worker:1", id="a tag in the repository"),
        pytest.param("images.worker.repository", f"registry/worker@{DIGEST}", id="a digest in the repository"),
        pytest.param("images.worker.repository", "", id="no repository"),
        pytest.param("images.server.digest", "sha256:12", id="a short digest"),
        pytest.param("operator.replicas", 0, id="no operator"),
        pytest.param("watchNamespace", "Team", id="a namespace in upper case"),
        pytest.param("settings.workers", 0, id="no workers"),
        pytest.param("settings.workers", None, id="a setting taken away"),
        pytest.param("settings.logLevel", "debug", id="a level in lower case"),
        pytest.param("settings.progressSeconds", 0, id="a period of zero"),
        pytest.param("settings.metricsPort", 80, id="a port that only root may open"),
        pytest.param("operator.podAnnotations", {"a": 1}, id="an annotation that is no text"),
        pytest.param("garbageCollection.minAge", "7", id="an age without a unit"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(path: str, value: Any, helm: Helm) -> None:
    refusal = helm.refusal(nested(path, value))
    assert "/" + path.split(".")[0] in refusal
    assert path.rsplit(".", 1)[-1] in refusal


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"global": {"cattle": {"clusterName": "c"}}}, id="anything under global"),
        pytest.param({"enabled": True}, id="an umbrella chart's condition"),
        pytest.param({"operator": {"resources": None}}, id="no resources"),
    ],
)
def test_what_other_charts_and_users_add_is_let_through(values: Values, helm: Helm) -> None:
    helm.template(values)


def test_the_operator_reads_its_file_and_finds_every_setting(manifests: list[Manifest]) -> None:
    rendered = operator_settings(manifests)
    assert rendered.model_fields_set == set(Settings.model_fields)
    for group in (rendered.pods, rendered.kueue):
        assert group.model_fields_set == set(type(group).model_fields)


def test_defaults_of_the_chart_are_those_of_the_operator(manifests: list[Manifest]) -> None:
    rendered = operator_settings(manifests)
    assert rendered == Settings(worker_image=rendered.worker_image, server_image=rendered.server_image)


def test_limits_of_the_chart_are_those_of_the_operator() -> None:
    bounds = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    operator = Settings.model_json_schema(by_alias=True)["properties"]
    for name, chart in SCHEMA["properties"]["settings"]["properties"].items():
        if "$ref" not in chart:  # ports: a pod that is not root opens none below 1024
            assert {k: v for k, v in chart.items() if k in bounds} == {
                k: v for k, v in operator[name].items() if k in bounds
            }, name


def test_an_image_is_named_by_its_digest_where_there_is_one(helm: Helm) -> None:
    worker = {"repository": "registry:5000/worker", "tag": "1", "digest": DIGEST}
    server = {"repository": "registry:5000/server", "tag": "1"}
    rendered = operator_settings(helm.template({"images": {"worker": worker, "server": server}}))
    assert rendered.worker_image == f"registry:5000/worker@{DIGEST}"
    assert rendered.server_image == "registry:5000/server:1"


def test_the_readme_lists_every_value_with_its_default() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `(.*?)` \|", (CHART / "README.md").read_text(), re.MULTILINE)
    assert {path: json.loads(default) for path, default in rows} == leaves(default_values())
