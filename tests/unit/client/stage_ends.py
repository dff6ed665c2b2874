"""How a scripted worker may end: its message and its exit code."""

from typing import Any

from distillery_api.distillationjob_status import VerdictStatus
from distillery_api.gate import GateSpec
from distillery_api.summary import Summary
from stage_results import DIGESTS, RESULTS, criterion


def verdict(result: str = "Pass") -> dict[str, Any]:
    """What an evaluate pod of the default gate leaves."""
    status = VerdictStatus(
        result=result, criteria=[criterion(result)], gate_hash=GateSpec().hash, artifact_digest=DIGESTS["artifact"],
        report_uri="file:///storage/evaluations/RUN_UID/1/report.json", report_digest=DIGESTS["report"],
    )  # fmt: skip
    return {"message": Summary(stage="evaluate", evaluate=status).model_dump(mode="json", by_alias=True)}


def success(stage: str) -> dict[str, Any]:
    """A stage's good end."""
    result = {"stage": stage, stage: RESULTS[stage]}
    return {"message": Summary.model_validate(result).model_dump(mode="json", by_alias=True)}


def failure(stage: str, reason: str, message: str, code: int) -> dict[str, Any]:
    """A stage's bad end."""
    return {"message": {"stage": stage, "failure": {"reason": reason, "message": message}}, "code": code}
