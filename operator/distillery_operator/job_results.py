"""What a stage that ended well leaves in the status, and when its word does not count."""

from distillery_api.distillationjob_status import VerdictStatus
from distillery_api.gate import GateSpec
from distillery_api.schema import Failure
from distillery_api.summary import PreflightResult, Summary

from .attempts import Attempt
from .job_pass import Pass


def keep(state: Pass, stage: str, summaries: list[Summary], attempt: Attempt) -> Failure | None:
    """Copy the stage's result into the status; returns why it is refused, if it is."""
    first = summaries[0]
    update: dict[str, object] = {}
    if first.preflight:
        found = first.preflight
        update = {
            "teacher_digest": found.teacher_digest, "teacher_digests": found.teacher_digests,
            "teacher_revisions": revisions(state, found.teacher_revisions),
            "student_model_digest": found.student_model_digest,
            "student_model_revision": found.student_model_revision,
            "labels_key": found.labels_key, "labels_keys": found.labels_keys, "grades_key": found.grades_key,
            "student_key": found.student_key,
            "rows": counted_rows(found), "label_bytes": found.label_bytes,
            "selection_key": found.selection_key, "dropped_rows": found.dropped_rows or None,
            "rechecked_rows": found.rechecked_rows,
        }  # fmt: skip
    elif first.label:
        shards = [summary.label for summary in summaries if summary.label]
        update = {
            "labelled_rows": sum(shard.labelled_rows for shard in shards),
            "reused_rows": sum(shard.reused_rows for shard in shards),
            "rechecked_rows": sum(shard.rechecked_rows or 0 for shard in shards) or None,
            "unusable_rows": sum(shard.unusable_rows or 0 for shard in shards) or None,
            "tokens": sum(shard.tokens or 0 for shard in shards) or None,
        }
    elif first.train:
        update = {"student": first.train.student, "dropped_rows": first.train.dropped_rows or None}
    elif first.compress:
        made = first.compress
        update = {
            "artifact_uri": made.artifact_uri,
            "artifact_digest": made.artifact_digest,
            "interface": made.interface,
        }
    elif first.evaluate:
        refused = refusal(state, first.evaluate, attempt)
        # A verdict that does not count must not stand anywhere: models promote by it.
        state.verdict = first.evaluate if refused is None else None
        return refused
    else:
        return Failure(reason="ResultUnreadable", message=f"the {stage} stage ended without its result")
    state.made = state.made.model_copy(update=update)
    return None


def counted_rows(found: PreflightResult) -> dict[str, int]:
    """Rows of each file, and what the label stage has to do."""
    ungraded = {} if found.ungraded_rows is None else {"ungraded": found.ungraded_rows}
    return found.rows | {"missing": found.missing_rows} | ungraded


def revisions(state: Pass, found: list[str] | None) -> dict[str, str] | None:
    """By the teachers' names, those that have one."""
    named = zip(state.view.spec.teachers, found or [], strict=False)
    return {teacher.name: revision for teacher, revision in named if revision} or None


def refusal(state: Pass, verdict: VerdictStatus, attempt: Attempt) -> Failure | None:
    """Why a verdict does not count: another image, artifact, gate or incumbent than this run's."""
    if attempt.image != state.snapshot.images.evaluate:
        return Failure(
            reason="VerdictUntrusted",
            message=f"the verdict comes from image {attempt.image}, not the chart's",
        )
    if verdict.gate_hash != state.snapshot.gate_hash or verdict.artifact_digest != state.made.artifact_digest:
        return Failure(reason="VerdictUntrusted", message="the verdict is about another artifact or another gate")
    incumbent = state.incumbent()
    if verdict.result == "Pass" and verdict.incumbent_digest != (incumbent.digest if incumbent else None):
        return Failure(reason="IncumbentChanged", message="another student began to serve while this one was evaluated")
    return None


# Reasons by the criterion that fails.
FAILED_BY = {
    "retention": "RetentionBelowThreshold",
    "incumbent": "WorseThanIncumbent",
    "minAccuracy": "QualityBelowLimit",
    "minF1": "QualityBelowLimit",
    "minNdcg": "QualityBelowLimit",
    "maxMeanAbsoluteError": "QualityBelowLimit",
    "maxPerplexity": "QualityBelowLimit",
    "negativeFlips": "TooManyFlips",
    "copiedErrors": "TeacherMistakesCopied",
    "calibrationError": "PoorlyCalibrated",
    "contamination": "TestSetLeaked",
    "worstSlice": "SliceBelowThreshold",
    "robustness": "NotRobust",
    "latencyP50": "TooSlow",
    "latencyP99": "TooSlow",
    "artifactBytes": "TooLarge",
    "memoryBytes": "TooMuchMemory",
    "costPerMillion": "TooExpensive",
}


def gate_failure(verdict: VerdictStatus | None, gate: GateSpec) -> Failure | None:
    """The gate's refusal as a failure; None for a Pass."""
    if verdict is None or verdict.result == "Pass":
        return None
    deciding = next((c for c in verdict.criteria if c.verdict == verdict.result), None)
    if verdict.result == "Inconclusive":
        reason = "InsufficientEvidence" if gate.refuses_undecided else "Inconclusive"
    else:
        reason = FAILED_BY.get(deciding.name, "GateFailed") if deciding else "GateFailed"
    return Failure(reason=reason, message=deciding.message if deciding else f"the gate says {verdict.result}")
