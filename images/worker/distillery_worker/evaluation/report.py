"""report.json: what a verdict was taken on, with digests, complete enough to take it again."""

from typing import Any, Literal

from distillery_api.distillationjob_status import CriterionStatus, Measured, VerdictStatus
from distillery_api.gate import GateSpec
from distillery_api.run import ArtifactRef, JobRef
from distillery_api.schema import Digest, Model
from distillery_api.tasks import TaskName
from distillery_gate import Costs, Criterion, Verdict

from .ranking import Ranking

LONGEST = 512  # characters of a sentence in the status


class Content(Model):
    """Something that was read, by address and content."""

    uri: str
    digest: Digest


class Report(Model):
    """Inputs, measurements, gate and verdict of one evaluation."""

    schema_version: Literal["distillery.dev/report/v1"] = "distillery.dev/report/v1"
    job: JobRef
    attempt: int
    task: TaskName
    teacher: Content
    writer: Content | None = None  # of the answers, where it is an endpoint and the teacher is the folder beside it
    test: Content
    artifact: ArtifactRef
    incumbent: ArtifactRef | None = None
    control: Content | None = None
    training_data: dict[str, Content] | None = None  # by field of the dataset, as the training has recorded it
    training: dict[str, Any]  # student's and control's rows, passes, steps and CPU seconds
    items: Content
    examples: Content | None = None  # rows worth looking at, where spec.report asks for them
    gate: GateSpec
    gate_hash: Digest
    verdict: Verdict
    measured: list[Measured]
    costs: Costs
    ranking: dict[str, Ranking] | None = None  # by model, where texts are scored against queries

    def status(self, uri: str, digest: str) -> VerdictStatus:
        """The verdict as the job's status holds it."""
        return VerdictStatus(
            result=self.verdict.verdict,
            look=self.verdict.look.number,
            criteria=[criterion_status(criterion) for criterion in self.verdict.criteria],
            measured=self.measured,
            gate_hash=self.gate_hash,
            artifact_digest=self.artifact.digest,
            incumbent_digest=self.incumbent.digest if self.incumbent else None,
            report_uri=uri,
            report_digest=digest,
        )


def criterion_status(criterion: Criterion) -> CriterionStatus:
    """A criterion as the job's status holds it: `n` is `items` there, since YAML reads a bare n as false.

    The number of clusters stands in its message.
    """
    fields = criterion.model_dump(by_alias=False, exclude={"clusters"})
    # For the eye: the report keeps every digit, and the verdict was taken on those.
    fields |= {name: round(fields[name], 6) for name in ("value", "low", "high")}
    if len(criterion.message) > LONGEST:  # a slice may have any name
        fields["message"] = criterion.message[: LONGEST - 1] + "…"
    return CriterionStatus(items=fields.pop("n"), **fields)
