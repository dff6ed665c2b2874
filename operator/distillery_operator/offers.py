"""Which finished job's student a model takes: a pure choice over jobs that promote to it."""

from collections.abc import Sequence
from dataclasses import dataclass

from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distillationjob_status import DistillationJobStatus
from distillery_api.distilledmodel import DecisionStatus, DistilledModelSpec, RevisionStatus

from .by_hand import ByHand, evidence_of, how_to_decide
from .job_results import gate_failure
from .resolve import effective_gate

HISTORY = 20  # decisions kept in status
UNDECIDED = "Inconclusive"  # reason of a student that waits for a person
NAMED = 3  # jobs that a message names


@dataclass(frozen=True)
class Offer:
    """A finished DistillationJob that names this model."""

    name: str
    uid: str
    spec: DistillationJobSpec
    status: DistillationJobStatus

    @property
    def at(self) -> str:
        """When it ended (RFC 3339)."""
        return self.status.finished_at or ""


@dataclass(frozen=True)
class Unreadable:
    """A finished DistillationJob that names this model, and that this version's schema cannot read: no offer."""

    name: str
    uid: str
    at: str  # when it ended (RFC 3339)
    why: str  # field and message


@dataclass(frozen=True)
class Choice:
    """The offer to roll out, if any, and decisions on the others."""

    offer: Offer | None
    decisions: tuple[DecisionStatus, ...]


def choose(
    spec: DistilledModelSpec, active: RevisionStatus | None, history: Sequence[DecisionStatus],
    offers: Sequence[Offer], by_hand: ByHand, now: str,
) -> Choice:  # fmt: skip
    """The newest student that may serve. Only evidence against what serves now counts."""
    open_offers = [
        offer for offer in sorted(offers, key=lambda offer: offer.at)
        if offer.at >= decided_before(history) and (not decided(offer, history) or reopened(offer, history, by_hand))
    ]  # fmt: skip
    decisions: list[DecisionStatus] = []
    chosen: Offer | None = None
    for offer in open_offers:
        if active is not None and serves_already(offer, active):
            # The cut-over is noted on the object before the status, which an ended process never wrote.
            decisions.append(promoted(offer, active, now))
            continue
        refused = refusal(spec, active, offer, by_hand)
        if refused is None and active is not None and same_student(offer, active):
            # Another run made the student that serves: nothing to roll out, and no reason to pass others over.
            decisions.append(promoted(offer, active, now))
        elif refused is None:
            if chosen is not None:
                decisions.append(decision(chosen, "Rejected", "Superseded", f"job {offer.name} finished later", now))
            chosen = offer
        else:
            decisions.append(decision(offer, *refused, now))
    return Choice(chosen, tuple(decisions))


def decided_before(history: Sequence[DecisionStatus]) -> str:
    """Jobs that ended before this time are decided: decisions that fell off a full history stay so."""
    return min(entry.time for entry in history) if len(history) >= HISTORY else ""


def decided(offer: Offer | Unreadable, history: Sequence[DecisionStatus]) -> bool:
    """Whether the model decided on that run."""
    return any(names(entry, offer) for entry in history)


def names(entry: DecisionStatus, offer: Offer | Unreadable) -> bool:
    """Whether the decision is on that run. A job restored from a backup has another uid, and ended when it did."""
    return entry.job_uid == offer.uid or (entry.job == offer.name and entry.time >= offer.at)


def reopened(offer: Offer, history: Sequence[DecisionStatus], by_hand: ByHand) -> bool:
    """Whether a person decides on a student that waits for it; what came after that wait stands."""
    last = next(entry for entry in reversed(history) if names(entry, offer))
    return last.reason == UNDECIDED and by_hand.says(offer.status.verdict) is not None


def unread(jobs: Sequence[Unreadable], history: Sequence[DecisionStatus]) -> str | None:
    """Names the jobs that cannot be read, the newest first; what was decided on one before stands."""
    undecided = sorted((job for job in jobs if not decided(job, history)), key=lambda job: job.at, reverse=True)
    if not undecided:
        return None
    words = "; ".join(f"job {job.name} cannot be read: {job.why[:256]}" for job in undecided[:NAMED])
    more = f"; and {len(undecided) - NAMED} more" if len(undecided) > NAMED else ""
    return f"{words}{more}; no offer until it can be read: apply it under another name, or delete it"


def serves_already(offer: Offer, active: RevisionStatus) -> bool:
    """Whether the job's own student is the one that serves: by its uid, or by the report of its evaluation."""
    verdict = offer.status.verdict
    evidence = (verdict.artifact_digest, verdict.report_uri) if verdict else None
    return active.job_uid == offer.uid or (active.digest, active.report_uri) == evidence


def same_student(offer: Offer, active: RevisionStatus) -> bool:
    """Whether the job, perhaps another than the one that was promoted, made the very bytes that serve."""
    return offer.status.artifacts is not None and offer.status.artifacts.artifact_digest == active.digest


def promoted(offer: Offer, active: RevisionStatus, now: str) -> DecisionStatus:
    """The decision that made the student the active one."""
    message = f"student {active.digest[:19]} serves as revision {active.revision}"
    if offer.status.verdict and offer.status.verdict.result != "Pass":
        return decision(offer, "Promoted", "PromotedByHand", f"{message}; a person decided, the evidence did not", now)
    return decision(offer, "Promoted", "Promoted", message, now)


def refusal(
    spec: DistilledModelSpec, active: RevisionStatus | None, offer: Offer, by_hand: ByHand
) -> tuple[str, str, str] | None:
    """Outcome, reason and message where the student may not serve."""
    verdict, artifacts = offer.status.verdict, offer.status.artifacts
    gate = effective_gate(offer.spec.gate, spec.promotion.gate)
    failure = gate_failure(verdict, gate)
    if failure is not None and (failure.reason != UNDECIDED or verdict is None):
        return "Rejected", failure.reason, failure.message
    if failure is not None and verdict is not None and by_hand.says(verdict) != "Promote":
        if by_hand.says(verdict) == "Reject":
            return "Rejected", "RejectedByHand", "a person decided against it, where the evidence did not decide"
        return "Held", UNDECIDED, f"{failure.message[:512]} {how_to_decide(verdict)}"
    if verdict is None or artifacts is None or artifacts.artifact_uri is None or artifacts.interface is None:
        return "Rejected", "NoVerdict", "the job ended without a verdict"
    if offer.spec.task != spec.task:
        return "Held", "InterfaceChanged", f"the job's task is {offer.spec.task}, the model's is {spec.task}"
    if verdict.gate_hash != gate.hash:
        return (
            "Held",
            "GateChanged",
            "the model's gate differs from the one that was evaluated; run the job again",
        )
    if verdict.incumbent_digest != (active.digest if active else None):
        return (
            "Held",
            "IncumbentChanged",
            "another student serves than the one it was compared with; run the job again",
        )
    if active is not None and artifacts.interface != active.interface:
        return (
            "Held", "InterfaceChanged",
            "its label names, their order or its length limit differ from those of the student that serves; "
            "serve it under another DistilledModel, and move callers over",
        )  # fmt: skip
    return None


def decision(offer: Offer, outcome: str, reason: str, message: str, now: str) -> DecisionStatus:
    """A line of the model's history."""
    return DecisionStatus(
        job=offer.name, job_uid=offer.uid, outcome=outcome, reason=reason, message=message[:1024], time=now,  # type: ignore[arg-type]
        digest=offer.status.artifacts.artifact_digest if offer.status.artifacts else None,
        evidence=evidence_of(offer.status.verdict) if offer.status.verdict and reason == UNDECIDED else None,
    )  # fmt: skip


def revision_status(offer: Offer, revision: str) -> RevisionStatus:
    """The student of an offer that `choose` let through, with its evidence."""
    verdict, artifacts = offer.status.verdict, offer.status.artifacts
    if verdict is None or artifacts is None:
        raise ValueError("an offer without evidence: `choose` lets none through")
    return RevisionStatus(
        revision=revision, uri=artifacts.artifact_uri or "", digest=verdict.artifact_digest,
        interface=artifacts.interface or "",
        job=offer.name, job_uid=offer.uid, report_uri=verdict.report_uri, report_digest=verdict.report_digest,
        gate_hash=verdict.gate_hash, by_hand=True if verdict.result != "Pass" else None,
        retention=next((c.value for c in verdict.criteria if c.name == "retention"), None),
    )  # fmt: skip
