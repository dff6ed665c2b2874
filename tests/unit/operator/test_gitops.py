"""Every state of both kinds, as kstatus, Argo CD and Flux read it: with their own libraries and languages."""

import functools
import json
import subprocess
from typing import Any

import pytest
import yaml
from distillery_operator.names import PROMOTE_ANNOTATION, REJECT_ANNOTATION
from docs_markdown import DOCS, ROOT, named, tables
from recorded_states import FIXTURES, STATES, State
from tools import health_program

ARGOCD = yaml.safe_load((ROOT / "integrations/argocd/argocd-cm.yaml").read_text())["data"]
ACTIONS = yaml.safe_load(ARGOCD["resource.customizations.actions.distillery.dev_DistillationJob"])
MODEL_ACTIONS = yaml.safe_load(ARGOCD["resource.customizations.actions.distillery.dev_DistilledModel"])
DEFINITIONS = ACTIONS["definitions"]
FLUX = yaml.safe_load((ROOT / "integrations/flux/kustomization.yaml").read_text())["spec"]["healthCheckExprs"]
# Argo CD's interpreter has neither files nor processes, and the scripts may not count on more than this.
SANDBOX = """
local script = assert(loadstring(%s))
setfenv(script, {ipairs = ipairs, obj = %s})
local answer = script()
%s
"""
each = pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)


@functools.cache
def objects() -> dict[str, dict[str, Any]]:
    return {path.stem: yaml.load(path.read_text(), yaml.CSafeLoader) for path in sorted(FIXTURES.glob("*.yaml"))}


@pytest.fixture(scope="module")
def readings() -> dict[str, dict[str, str]]:
    """What hack/health makes of every fixture."""
    expressions = {entry["kind"]: entry for entry in FLUX}
    asked = json.dumps({"objects": objects(), "expressions": expressions})
    answer = subprocess.run([health_program()], input=asked, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    read: dict[str, dict[str, str]] = json.loads(answer.stdout)
    return read


def lua(value: Any) -> str:
    """The value as Lua writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{lua(key)}] = {lua(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(lua, value)) + "}"
    return json.dumps(value, ensure_ascii=False)


def run(script: str, obj: dict[str, Any], *shown: str) -> list[str]:
    """Lines with the given parts of the script's `answer`."""
    prints = "\n".join(f"print({expression})" for expression in shown)
    program = SANDBOX % (lua(script), lua(obj), prints)
    answer = subprocess.run(["lua5.1", "-"], input=program, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()


def argocd(obj: dict[str, Any]) -> tuple[str, str]:
    """Status and message of Argo CD's script for the kind."""
    script = ARGOCD[f"resource.customizations.health.distillery.dev_{obj['kind']}"]
    status, *message = run(script, obj, "answer.status", "answer.message")
    return status, "\n".join(message)


@each
def test_the_recorded_object_is_what_the_operator_plans_today(state: State):
    path = FIXTURES / f"{state.name}.yaml"
    assert path.exists(), "run `make fixtures`"
    assert path.read_text() == state.text(), "run `make fixtures`"


def test_no_object_of_a_former_state_is_left():
    assert set(objects()) == {state.name for state in STATES}


@each
def test_reconciling_and_stalled_are_never_true_together(state: State):
    true = {c["type"] for c in objects()[state.name]["status"].get("conditions", ()) if c["status"] == "True"}
    assert not {"Reconciling", "Stalled"} <= true


@each
def test_kstatus_reads_the_state(state: State, readings: dict[str, dict[str, str]]):
    assert readings[state.name]["kstatus"] == state.kstatus


@each
def test_flux_reads_the_state_by_our_expressions(state: State, readings: dict[str, dict[str, str]]):
    assert readings[state.name]["flux"] == state.flux


@each
def test_argocd_reads_the_state_and_says_why(state: State):
    status, message = argocd(objects()[state.name])
    assert status == state.argocd
    assert len(message) > 20


def test_argocd_tells_of_a_refused_candidate_while_the_model_is_healthy():
    status, message = argocd(objects()["model-whose-candidate-was-rejected"])
    assert status == "Healthy"
    assert "RetentionBelowThreshold" in message


@pytest.mark.parametrize(
    ("name", "actions"),
    [("job-training", {"suspend"}), ("job-queued", {"suspend"}), ("job-suspended", {"resume"}),
     ("job-stopping", {"resume"}), ("job-passed", set()), ("job-not-seen-yet", {"suspend"})],
)  # fmt: skip
def test_argocd_offers_the_actions_that_the_state_allows(name: str, actions: set[str]):
    shown = ("answer.suspend.disabled", "answer.resume.disabled")
    disabled = run(ACTIONS["discovery.lua"], objects()[name], *shown)
    assert {action for action, off in zip(("suspend", "resume"), disabled, strict=True) if off == "false"} == actions


def test_argocds_actions_switch_the_job():
    job = objects()["job-training"]
    switched = {d["name"]: run(d["action.lua"], job, "answer.spec.suspend", "answer.spec.task") for d in DEFINITIONS}
    assert switched == {"suspend": ["true", job["spec"]["task"]], "resume": ["false", job["spec"]["task"]]}


@pytest.mark.parametrize(
    ("name", "open_to_decide"),
    [("model-whose-candidate-waits-for-a-person", True), ("model-whose-candidate-was-rejected", False),
     ("model-serving", False), ("model-without-a-student", False)],
)  # fmt: skip
def test_argocd_offers_to_decide_on_a_student_that_waits_for_a_person(name: str, open_to_decide: bool):
    disabled = run(MODEL_ACTIONS["discovery.lua"], objects()[name], "answer.promote.disabled", "answer.reject.disabled")
    assert disabled == ["false" if open_to_decide else "true"] * 2


@pytest.mark.parametrize("action", ["promote", "reject"])
def test_argocds_decision_is_the_annotation_that_the_operator_reads(action: str):
    model = objects()["model-whose-candidate-waits-for-a-person"]
    [script] = [entry["action.lua"] for entry in MODEL_ACTIONS["definitions"] if entry["name"] == action]
    key = {"promote": PROMOTE_ANNOTATION, "reject": REJECT_ANNOTATION}[action]
    written = run(
        script, model, f'answer.metadata.annotations["{key}"]', 'answer.metadata.annotations["distillery.dev/active"]'
    )
    assert written == [
        model["status"]["history"][-1]["evidence"],
        model["metadata"]["annotations"]["distillery.dev/active"],
    ]


@pytest.mark.parametrize("kind", ["DistillationJob", "DistilledModel"])
def test_argocd_calls_an_object_without_status_or_conditions_progressing(kind: str):
    bare = {"kind": kind, "metadata": {"generation": 1}}
    assert argocd(bare)[0] == "Progressing"
    assert argocd({**bare, "status": {"observedGeneration": 1}})[0] == "Progressing"


def test_the_page_lists_every_state_as_it_is_read():
    rows = [row for table in tables(DOCS / "gitops.md") if table[0][-1] == "Recorded" for row in table[1:]]
    listed = {name: tuple(row[1:4]) for row in rows for name in named(row[4])}
    assert listed == {state.name: (state.kstatus, state.argocd, state.flux) for state in STATES}
