"""One run: two jobs one after the other, one fault, and what is to hold in the end."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from disturbances import Alongside, AtEvent, AtRead, AtWrite, Reachable
from end_state import State, difference, end_state, essence, traces, without_attempts
from fault import ALONGSIDE, AT_EVENTS, AT_READS, AT_WRITES, WITH_LEASE, Fault
from journal import Tally
from kubernetes import client
from namespaces import Namespace, new_namespace
from players import ARTIFACTS, Nodes, Observer
from proxy import Disturbance, Proxy, Upstream
from succession import Succession
from supervised import Supervised
from world import LEASE, MODELS, World

PATIENCE = 180.0  # seconds for a whole run, outages aside; bounds a hang
QUIET = 5.0  # seconds without a write before a run counts as settled: a full resync takes 4

# A stage may have to run once more: its Job, its pod or the object was taken away before the result was stored.
MAY_REPEAT_ONE = ("delete-job", "delete-pod", "vanish", "restore-job-status", "restore-all-status")
# Without its status a job is a new one: it runs again, and its student has to pass against what serves.
RUNS_AGAIN = ("restore-job", "restore-model", "restore-all")
# The operator may end, and be started anew as the kubelet would, when it cannot reach the API server.
MAY_EXIT = ("cut", "silence", "read-error", "read-reset", "gone", "break-watch", "tear-event")
# With what code the operator that led has to end; under any other fault it may only be killed.
HAS_TO_EXIT = {
    "leader-kill-before": -9, "leader-kill-after": -9, "leader-late": -9, "leader-term": 0,
    "leader-freeze": 1, "leader-cut": 1, "leader-silence": 1, "lease-error": 1, "lease-lost": 1,
}  # fmt: skip


@dataclass
class Arena:
    """What all runs share."""

    api: client.ApiClient
    upstream: Upstream
    account: Path  # kubeconfig of the operator
    folder: Path
    nodes: Nodes
    observer: Observer
    outage: float  # seconds that the operator is cut off


@dataclass
class Outcome:
    """What came of a run."""

    fault: Fault
    violations: list[str] = field(default_factory=list)
    void: str | None = None  # why the fault could not happen
    state: State = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    exits: list[int] = field(default_factory=list)
    seconds: float = 0.0
    log: str = ""

    def report(self) -> str:
        """Everything that is needed to understand the run and to repeat it."""
        writes = "\n".join(map(str, self.tally.lines))
        violations = "\n".join(self.violations)
        return (
            f"fault {self.fault} (run it again: make faults FAULT={self.fault})\n{violations}\n"
            f"exits of the operator: {self.exits}\nwrites:\n{writes}\nend of its log:\n{self.log}"
        )


def run(arena: Arena, fault: Fault, undisturbed: State | None) -> Outcome:
    """Run the two jobs with the fault, and judge against the end of the undisturbed run."""
    began, outcome = time.monotonic(), Outcome(fault)
    namespace = new_namespace(arena.api, "f")
    folder = arena.folder / namespace.name
    world = World(namespace, arena.outage, outcome.tally)
    disturbed = disturbance(fault, world)
    try:
        with ExitStack() as stack:
            lease = f"{namespace.name}/{LEASE}" if fault.kind in WITH_LEASE else None
            proxies = [Proxy(arena.upstream, namespace.name, disturbed, outcome.tally) for _ in range(players(fault))]
            world.operators = [
                Supervised(number, stack.enter_context(proxy), arena.account, folder / str(number), lease)
                for number, proxy in enumerate(proxies)
            ]
            for operator in world.operators:
                stack.enter_context(operator)
            with judged(outcome, world):
                play(namespace, outcome.tally, world, PATIENCE + arena.outage)
                outcome.state = end_state(namespace, world.restored)
        outcome.exits = [code for operator in world.operators for code in operator.exits]
        if outcome.void is None and not disturbed.fired:
            outcome.void = "the run has no such point"
        if outcome.void is None and not outcome.violations:
            outcome.violations = violations(arena, outcome, namespace.name, undisturbed)
        outcome.log = "".join(operator.log.read_text()[-6000:] for operator in world.operators)
    finally:
        namespace.core.delete_namespace(namespace.name)
        arena.observer.forget(namespace.name)
    outcome.seconds = time.monotonic() - began
    return outcome


def players(fault: Fault) -> int:
    """How many operators there are."""
    return 2 if fault.kind in ALONGSIDE + WITH_LEASE else 1


def disturbance(fault: Fault, world: World) -> Disturbance:
    """The fault, ready to happen."""
    made: dict[tuple[str, ...], type[Reachable]] = {
        AT_WRITES: AtWrite, AT_EVENTS: AtEvent, AT_READS: AtRead, ALONGSIDE: Alongside, WITH_LEASE: Succession,
    }  # fmt: skip
    return next((made[kinds] for kinds in made if fault.kind in kinds), Reachable)(fault, world)


class VoidError(Exception):
    """The fault cannot happen at its point."""


class StuckError(Exception):
    """The run does not get where it should."""


@contextmanager
def judged(outcome: Outcome, world: World) -> Iterator[None]:
    """Turn what ends a run early into its outcome."""
    try:
        yield
    except VoidError:
        outcome.void = world.void
    except StuckError as error:
        outcome.violations.append(str(error))


def play(namespace: Namespace, tally: Tally, world: World, seconds: float) -> None:
    """A job that passes and promotes; a second one that passes against it and replaces it; silence."""
    deadline = time.monotonic() + seconds

    def until(what: str, check: Callable[[], bool]) -> None:
        while not reached(check):
            if world.void:
                raise VoidError
            world.delete_forgotten()
            if time.monotonic() > deadline:
                raise StuckError(f"not within {seconds:.0f} s: {what}\n{situation(namespace)}")
            time.sleep(0.5)

    namespace.model(
        serving={"autoscaling": {"minReplicas": 1, "maxReplicas": 3}, "resources": {"requests": {"cpu": "1"}}}
    )
    namespace.job("first")
    until("the first student serves", lambda: serves(namespace, "first"))
    namespace.job("second")
    until("the second student serves", lambda: serves(namespace, "second") and over(namespace))
    until("one Deployment is left", lambda: len(namespace.apps.list_namespaced_deployment(namespace.name).items) == 1)
    until("the fault is over, and nothing more is written", lambda: not world.under_way and tally.quiet_for > QUIET)
    if not (serves(namespace, "second") and over(namespace)):
        raise StuckError(f"it settled elsewhere\n{situation(namespace)}")


def reached(check: Callable[[], bool]) -> bool:
    """Whether it is so; an object that is being restored is not there."""
    try:
        return check()
    except client.ApiException as error:
        if error.status != 404:
            raise
        return False


def over(namespace: Namespace) -> bool:
    """Whether both jobs have ended."""
    return all(
        "finishedAt" in namespace.get("distillationjobs", name).get("status", {}) for name in ("first", "second")
    )


def serves(namespace: Namespace, job: str) -> bool:
    """Whether that job has ended and its student serves, with nothing under way."""
    status = namespace.get(MODELS, "served").get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", ())}
    settled = conditions.get("Ready") == "True" and conditions.get("Reconciling") == "False"
    ended = "finishedAt" in namespace.get("distillationjobs", job).get("status", {})
    return settled and ended and status.get("active", {}).get("digest") == ARTIFACTS[job]


def situation(namespace: Namespace) -> str:
    """Conditions and children as they stand, in a few lines."""
    lines = [f"Jobs: {' '.join(namespace.job_names())}"]
    for plural, names in (("distillationjobs", ("first", "second")), (MODELS, ("served",))):
        for name in names:
            try:
                status: dict[str, Any] = namespace.get(plural, name).get("status", {})
            except client.ApiException as error:
                lines.append(f"{plural}/{name}: {error.reason}")
                continue
            words = ", ".join(f"{c['type']}={c['status']} {c['reason']}" for c in status.get("conditions", ()))
            lines.append(f"{plural}/{name}: {words}")
    return "\n".join(lines)


def violations(arena: Arena, outcome: Outcome, namespace: str, undisturbed: State | None) -> list[str]:
    """What does not hold."""
    kind = outcome.fault.kind
    found = [*arena.observer.overlaps[namespace], *traces(outcome.state), *repeated(arena, kind, namespace)]
    wrong = [code for code in outcome.exits if code != HAS_TO_EXIT.get(kind, -9)]
    if wrong and kind not in MAY_EXIT:
        found.append(f"the operator ended by itself: {wrong}")
    if kind in WITH_LEASE:
        found += [f"{w.holder or 'nobody'} held the Lease: {w}" for w in outcome.tally.trespasses()]
    if undisturbed is None:
        return found
    view: Callable[[State], State] = lambda state: state  # noqa: E731
    if kind in RUNS_AGAIN:
        view = essence
    elif kind in MAY_REPEAT_ONE or kind == "restore-model-status":
        view = without_attempts
    return found + difference(view(undisturbed), view(outcome.state))


def repeated(arena: Arena, kind: str, namespace: str) -> list[str]:
    """Stages that ran more than once, beyond what the fault forces."""
    jobs = Counter((job.owner, job.stage) for job in arena.observer.seen[namespace].values())
    more = [f"{stage} had {count} Jobs" for (_, stage), count in jobs.items() if count > 1]
    pods = Counter(
        name for name in arena.nodes.ran if name in {j.name for j in arena.observer.seen[namespace].values()}
    )
    more += [f"{count} pods of {name} worked" for name, count in pods.items() if count > 1]
    allowed = 1 if kind in MAY_REPEAT_ONE or kind in RUNS_AGAIN else 0
    return more if len(more) > allowed or any(count > 2 for count in jobs.values()) else []
