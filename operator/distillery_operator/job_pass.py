"""One pass over a DistillationJob: what it sees, and the state that planning moves on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distillationjob_status import (
    Artifacts,
    DistillationJobStatus,
    Progress,
    Resolved,
    StageStatus,
    VerdictStatus,
)
from distillery_api.distilledmodel import DistilledModelSpec, RevisionStatus
from distillery_api.pods import EvaluateStage
from distillery_api.run import ArtifactRef, JobRef
from distillery_api.schema import Failure

from .plans import Draft
from .settings import Settings
from .store import Object

NOT_CREATED = "JobNotCreated"  # reason of a refusal that may pass: a quota, a webhook or the API server itself


@dataclass(frozen=True)
class ModelView:
    """The DistilledModel that the job promotes to."""

    spec: DistilledModelSpec
    active: RevisionStatus | None


@dataclass(frozen=True)
class Words:
    """Why Jobs wait, in the words of others, by Job name."""

    queue: dict[str, str] = field(default_factory=dict)  # Kueue's, where it is asked
    pods: dict[str, str] = field(default_factory=dict)  # the Job controller's, where it makes none


@dataclass(frozen=True)
class JobView:
    """A DistillationJob and everything the plan may look at."""

    ref: JobRef
    owner: Mapping[str, object]  # the ownerReference for children
    generation: int
    spec: DistillationJobSpec
    status: DistillationJobStatus
    jobs: Sequence[Object]
    pods: Sequence[Object]
    refused: Mapping[str, Failure] = field(default_factory=dict)  # children that the API server would not have
    model: ModelView | None = None
    model_unreadable: str | None = None  # field and message, where the model is there and cannot be read
    progress: Mapping[str, Progress] = field(default_factory=dict)  # by Job name
    words: Words = field(default_factory=Words)
    created: str | None = None  # name of the newest Job that this process has seen come into being


@dataclass(frozen=True)
class Ended:
    """The run is over."""

    failure: Failure | None = None


@dataclass
class Pass:
    """The state of one pass over a job: starts from the held status, ends as the new one."""

    view: JobView
    settings: Settings
    now: str
    resolved: Resolved | None  # None while a job that was created suspended has not begun
    draft: Draft = field(default_factory=Draft)
    stages: dict[str, StageStatus] = field(default_factory=dict)
    made: Artifacts = field(default_factory=Artifacts)
    verdict: VerdictStatus | None = None
    ended: Ended | None = None
    waiting: tuple[str, str] | None = None
    requeue_after: float | None = None

    @property
    def snapshot(self) -> Resolved:
        """What the run was resolved to. A stage never runs before it is stored."""
        assert self.resolved is not None  # noqa: S101
        return self.resolved

    def pods_of(self, stage: str) -> EvaluateStage:
        """What the spec says of the stage's pods."""
        settings: EvaluateStage = getattr(self.view.spec.stages, stage)
        return settings

    def change(self, stage: str, **fields: object) -> None:
        """Set fields of a stage's status."""
        self.stages[stage] = self.stages[stage].model_copy(update=fields)

    def wake(self, seconds: float) -> None:
        """Ask for another pass after so many seconds at the latest."""
        seconds = max(seconds, 0.1)
        self.requeue_after = seconds if self.requeue_after is None else min(self.requeue_after, seconds)

    def incumbent(self) -> ArtifactRef | None:
        """What serves now."""
        model = self.view.model
        if model is None or model.active is None:
            return None
        return ArtifactRef(uri=model.active.uri, digest=model.active.digest)
