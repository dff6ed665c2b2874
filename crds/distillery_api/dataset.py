"""The data of a DistillationJob: files, columns, and which rows are learned from."""

from typing import Annotated

from pydantic import Field

from .filters import Filters
from .schema import URI_RULES, Model, rules


class Columns(Model):
    """Column names in the data files."""

    text: Annotated[str, Field(min_length=1, max_length=128)] = "text"
    image: Annotated[str, Field(min_length=1, max_length=128)] = "image"
    label: Annotated[str, Field(min_length=1, max_length=128, description="The gold label, or the gold score.")] = (
        "label"
    )
    query: (
        Annotated[
            str,
            Field(min_length=1, max_length=128, description="For text-scoring: what the text is scored against."),
        ]
        | None
    ) = None
    prompt: (
        Annotated[str, Field(min_length=1, max_length=128, description="For causal-lm: what the response answers.")]
        | None
    ) = None
    response: (
        Annotated[str, Field(min_length=1, max_length=128, description="For causal-lm: the text that is learned.")]
        | None
    ) = None
    group: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=128,
                description="Rows with equal values, such as those of one document or customer, are never parted.",
            ),
        ]
        | None
    ) = None
    slice: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=128,
                description="Decides which teacher answers a row; of filters.answers, what counts together.",
            ),
        ]
        | None
    ) = None


DataFile = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        json_schema_extra=rules(
            *URI_RULES,
            (
                "self.endsWith('.parquet') || self.endsWith('.csv') || self.endsWith('.jsonl')",
                "name a .parquet, .csv or .jsonl file",
            ),
        ),
    ),
]


class Dataset(Model):
    """Rows to learn from and rows to be judged on. Labels are label names of the teacher, as text."""

    train: Annotated[DataFile, Field(description="Rows with text or image, and gold label.")]
    unlabelled: (
        Annotated[DataFile, Field(description="Rows with text or image alone; the teacher labels them.")] | None
    ) = None
    test: Annotated[DataFile, Field(description="Held-out rows like those of train. Never trained on.")]
    columns: Columns = Columns()
    filters: Filters | None = None
    sequence_length: (
        Annotated[
            int,
            Field(
                ge=8,
                le=131072,
                description="For causal-lm: tokens of the blocks that texts are cut into; at most 512 if absent.",
            ),
        ]
        | None
    ) = None

    @property
    def wanted_filters(self) -> Filters:
        """The filters, none where the field is absent."""
        return self.filters or Filters()


DATASET_RULES = rules(
    (
        "self.test != self.train",
        "test must not be the train file; name a file of held-out rows: they decide the verdict",
        ".test",
    ),
    (
        "!has(self.unlabelled) || self.unlabelled != self.test",
        "unlabelled must not be the test file, or the student trains on held-out rows; name another",
        ".unlabelled",
    ),
    (
        "has(self.columns.prompt) == has(self.columns.response)",
        "columns.prompt and columns.response go together; name both columns or neither",
        ".columns",
    ),
    (
        "!has(self.columns.prompt) || self.columns.prompt != self.columns.response",
        "columns.prompt and columns.response must differ; name the column with the responses",
        ".columns.response",
    ),
    (
        "!has(self.columns.group) || self.columns.group != self.columns.label",
        "columns.group must not be the column of the labels; name one whose equal values belong together",
        ".columns.group",
    ),
)
