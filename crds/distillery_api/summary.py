"""The termination message of a stage's pod: at most 4,096 bytes, the only thing the operator reads from a worker."""

from typing import Annotated, Literal

from pydantic import Field

from .distillationjob_status import VerdictStatus
from .schema import Digest, Failure, Model
from .sources import Revision

LIMIT = 4096
LONGEST, SHORTEST = 1024, 8  # characters of a message: as the fields allow, and the least that says anything
TERMINATION_LOG = "/dev/termination-log"


class PreflightResult(Model):
    """What preflight resolved."""

    teacher_digest: Digest
    teacher_digests: Annotated[dict[str, Digest], Field(max_length=8)] | None = None  # of several, by name
    student_model_digest: Digest | None = None
    # Of each teacher in order, empty where its address has none: by name they might not fit the message.
    teacher_revisions: Annotated[list[Revision], Field(max_length=8)] | None = None
    student_model_revision: Revision | None = None
    labels_key: Digest
    labels_keys: Annotated[dict[str, Digest], Field(max_length=8)] | None = None  # of several teachers' sets, by name
    grades_key: Digest | None = None  # of the set with a judge's grades
    student_key: Digest
    selection_key: Digest | None = None  # of the rows that dataset.filters keep
    rows: Annotated[dict[str, int], Field(max_length=8)]  # train, unlabelled, test: what the filters left
    dropped_rows: Annotated[dict[str, int], Field(max_length=16)] = {}  # by filter
    missing_rows: Annotated[int, Field(ge=0)]  # distinct rows of train and unlabelled without soft labels
    rechecked_rows: int | None = None  # stored ones that were labelled again, where none is missing
    ungraded_rows: Annotated[int, Field(ge=0)] | None = None  # whose stored answer a judge has yet to grade
    label_bytes: Annotated[int, Field(ge=0)]  # that their soft labels will take in storage, by those of the first rows


class LabelResult(Model):
    """What one shard did."""

    shard: int
    labelled_rows: int
    reused_rows: int
    rechecked_rows: int | None = None  # of the reused, by each teacher with weights
    unusable_rows: int | None = None  # of the labelled: an endpoint's answer is no label, or text without end or words
    tokens: int | None = None  # that endpoints counted


class TrainResult(Model):
    """The trained student; `student` is the folder under the storage prefix."""

    student: str
    parameters: int
    steps: int
    dropped_rows: Annotated[dict[str, int], Field(max_length=16)] = {}  # by filter, those of preflight included
    validation_score: float
    control_validation_score: float | None = None
    resumed_from_step: int = 0


class CompressResult(Model):
    """The published artifact."""

    artifact_uri: str
    artifact_digest: Digest
    interface: Digest
    max_abs_difference: float  # largest |ONNX logit - torch logit| over the check rows


class Summary(Model):
    """Exactly one of `failure` and the stage's result is set."""

    stage: Literal["preflight", "label", "train", "compress", "evaluate"]
    failure: Failure | None = None
    preflight: PreflightResult | None = None
    label: LabelResult | None = None
    train: TrainResult | None = None
    compress: CompressResult | None = None
    evaluate: VerdictStatus | None = None

    def message(self) -> str:
        """The summary as JSON that fits the limit: messages shorten first, then `measured` goes."""
        return fit(self)


def fit(summary: Summary) -> str:
    """The JSON in at most LIMIT bytes: messages are cut, those of criteria that pass first, then `measured` goes.

    Raises ValueError.
    """
    # Characters, not bytes: JSON escapes one control character as six bytes.
    lengths = range(LONGEST, SHORTEST - 1, -SHORTEST)
    for passed, others in [*((length, LONGEST) for length in lengths), *((SHORTEST, length) for length in lengths)]:
        text = shortened(summary, passed, others).model_dump_json(by_alias=True, exclude_none=True)
        if len(text.encode()) <= LIMIT:
            return text
    if summary.evaluate and summary.evaluate.measured:
        return fit(summary.model_copy(update={"evaluate": summary.evaluate.model_copy(update={"measured": []})}))
    raise ValueError(f"a summary of {len(text.encode())} bytes does not fit a termination message")


def shortened(summary: Summary, passed: int, others: int) -> Summary:
    """The summary with messages of at most `others` characters, and `passed` of a criterion that passes.

    A message that is cut ends in an ellipsis.
    """

    def cut(message: str, length: int) -> dict[str, str]:
        return {"message": message if len(message) <= length else message[: length - 1] + "…"}

    changes: dict[str, Failure | VerdictStatus] = {}
    if summary.failure:
        changes["failure"] = summary.failure.model_copy(update=cut(summary.failure.message, others))
    if summary.evaluate:
        criteria = [
            each.model_copy(update=cut(each.message, passed if each.verdict == "Pass" else others))
            for each in summary.evaluate.criteria
        ]
        changes["evaluate"] = summary.evaluate.model_copy(update={"criteria": criteria})
    return summary.model_copy(update=changes)


def parse(text: str) -> Summary | None:
    """The summary in a termination message, or None where there is none that can be read."""
    try:
        return Summary.model_validate_json(text)
    except ValueError:
        return None
