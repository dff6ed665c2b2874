"""What a person decides where the evidence does not: annotations of a DistilledModel, bound to one verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from distillery_api.distillationjob_status import VerdictStatus

from .names import PROMOTE_ANNOTATION, REJECT_ANNOTATION


@dataclass(frozen=True)
class ByHand:
    """The evidence that a person promotes a student on, and that on which one is turned down."""

    promote: str | None = None
    reject: str | None = None

    @classmethod
    def read(cls, annotations: Mapping[str, str]) -> "ByHand":
        """As they stand on the model."""
        return cls(annotations.get(PROMOTE_ANNOTATION), annotations.get(REJECT_ANNOTATION))

    def says(self, verdict: VerdictStatus | None) -> Literal["Promote", "Reject"] | None:
        """What it decides on that verdict, if anything; a student that it both promotes and rejects is rejected."""
        named = verdict and evidence_of(verdict)
        if named is None or named not in (self.promote, self.reject):
            return None
        return "Reject" if named == self.reject else "Promote"


def evidence_of(verdict: VerdictStatus) -> str:
    """What a decision names: the student, and the report that did not decide."""
    return f"{verdict.artifact_digest}@{verdict.report_digest}"


def how_to_decide(verdict: VerdictStatus) -> str:
    """The words that tell a person what to write."""
    named = evidence_of(verdict)
    return f"to decide, annotate the model with {PROMOTE_ANNOTATION}={named}, or with {REJECT_ANNOTATION} and the same"
