"""Teachers: model folders and endpoints, alone or as an ensemble."""

from typing import Annotated, Literal

from pydantic import Field

from .causal_lm import FROM_TEXT
from .chat_server import ChatServer
from .schema import Model, Name, rules
from .sources import ModelSource

TEACHERS = 8


class Endpoint(ChatServer):
    """A chat server that names labels, or writes for softLabels.kind text."""

    labels: (
        Annotated[
            list[
                Annotated[
                    str,
                    Field(
                        min_length=1,
                        max_length=128,
                        json_schema_extra=rules(
                            (
                                r"self.matches('^\\S([^\\n\\r]*\\S)?$')",
                                "write a label in one line, without spaces around it",
                            )
                        ),
                    ),
                ]
            ],
            Field(
                min_length=2,
                max_length=100,
                description="Label names that it is asked to answer with; required for text-classification.",
                json_schema_extra={
                    "x-kubernetes-list-type": "atomic",
                    **rules(("self.all(one, self.exists_one(other, other == one))", "name each label once")),
                },
            ),
        ]
        | None
    ) = None
    answers: Annotated[
        Literal["Text", "TopLogprobs"],
        Field(description="What is read: the label that it names, or the log-probabilities of the first token."),
    ] = "Text"
    instruction: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=8192,
                description="What it is told to do, before the labels; if absent, to classify the text that the user"
                " gives. For kind text: the system turn; none if absent.",
            ),
        ]
        | None
    ) = None
    min_usable_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="The job fails where fewer of the answers are one of the labels, or for kind text finished.",
            json_schema_extra=rules(("self <= 1.0", "write a share of 1: 0.9, not 90")),
        ),
    ] = 0.9


class Teacher(Model):
    """A model whose answers the student learns: a folder, or a model behind an endpoint."""

    name: Name = "main"
    model: ModelSource | None = None
    endpoint: Endpoint | None = None
    weight: Annotated[
        float, Field(ge=0, le=1000000, description="Share in the mean of probabilities, in proportion to the others'.")
    ] = 1.0
    slices: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]],
        Field(
            max_length=64,
            description="Values of columns.slice whose rows it answers; without any, those that nobody lists.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ] = []

    @property
    def place(self) -> str:
        """Where it is: a folder's uri, or a model at an endpoint."""
        return (
            self.model.uri if self.model else f"{self.endpoint.model} at {self.endpoint.url}" if self.endpoint else ""
        )

    @property
    def api_key_variable(self) -> str:
        """The environment variable that holds the key of its endpoint."""
        return f"TEACHER_{self.name.upper().replace('-', '_')}_API_KEY"


Teachers = Annotated[
    list[
        Annotated[
            Teacher,
            Field(
                json_schema_extra=rules(
                    ("has(self.model) != has(self.endpoint)", "set one of model and endpoint", ".model")
                )
            ),
        ]
    ],
    Field(
        min_length=1,
        max_length=TEACHERS,
        json_schema_extra={
            "x-kubernetes-list-type": "atomic",
            **rules(
                (
                    "self.all(one, self.exists_one(other, other.name == one.name))",
                    "give each teacher a name of its own",
                ),
                ("self.exists(one, one.weight > 0.0)", "give at least one teacher a weight above 0"),
            ),
        },
    ),
]

ONE_FOLDER = "self.teachers.size() == 1 && has(self.teachers[0].model)"
# An endpoint writes what the student learns: a teacher for kind text.
WRITTEN = f"{FROM_TEXT} && self.teachers.exists(one, has(one.endpoint))"

# On the spec, where what teachers go with is in reach.
TEACHERS_RULES = (
    (
        "self.teachers.exists(one, has(one.model)) || has(self.student.model)",
        "an endpoint has no tokenizer for the student: set student.model, or add a teacher with model, of weight 0",
        ".teachers",
    ),
    (
        f"self.task == 'text-classification' || ({ONE_FOLDER}) || (self.task == 'causal-lm' && {WRITTEN})",
        "endpoints and several teachers are for text-classification and softLabels.kind text;"
        " name one teacher, with model",
        ".teachers",
    ),
    (
        f"self.task != 'causal-lm' || !({WRITTEN}) || self.teachers.exists(one, has(one.model))",
        "an endpoint gives no perplexity to compare with:"
        " add a teacher with model, of weight 0, for that and the tokenizer",
        ".teachers",
    ),
    (
        f"self.task != 'causal-lm' || !({WRITTEN}) || (self.teachers.exists_one(one, has(one.endpoint))"
        " && self.teachers.filter(one, has(one.model)).size() <= 1"
        " && self.teachers.all(one, has(one.endpoint) || one.weight == 0.0))",
        "one endpoint writes for kind text: name it, and beside it one teacher with model, of weight 0",
        ".teachers",
    ),
    (
        "self.task != 'text-classification' || self.teachers.all(one, !has(one.endpoint) || has(one.endpoint.labels))",
        "name in endpoint.labels the labels that it is asked to answer with",
        ".teachers",
    ),
    (
        f"!({FROM_TEXT}) || self.teachers.all(one, !has(one.endpoint) || !has(one.endpoint.labels))",
        "endpoint.labels are for text-classification alone; remove them: for kind text it writes what it likes",
        ".teachers",
    ),
    (
        f"!({FROM_TEXT}) || self.teachers.all(one, !has(one.endpoint) || one.endpoint.answers == 'Text')",
        "endpoint.answers: TopLogprobs is for text-classification alone; remove it: for kind text its words are read",
        ".teachers",
    ),
    (
        f"!({WRITTEN}) || !has(self.dataset.filters) || !has(self.dataset.filters.answers)"
        " || !has(self.dataset.filters.answers.minLikelihood)",
        "an endpoint does not tell how likely its answers are; remove minLikelihood, or have them graded by judge",
        ".dataset.filters.answers.minLikelihood",
    ),
    (
        "!(has(self.student.from) || has(self.objective.hiddenStates) || has(self.objective.attention))"
        f" || ({ONE_FOLDER}) || (self.task == 'causal-lm' && {WRITTEN})",
        "student.from and objective's hiddenStates and attention need one teacher, with model; name one, or omit them",
        ".teachers",
    ),
    (
        "!has(self.student.from) || self.teachers.all(one, one.name != self.student.from.teacher || has(one.model))",
        "an endpoint has no layers to give; name in student.from.teacher the teacher with model",
        ".student.from.teacher",
    ),
    (
        "!self.teachers.exists(one, has(one.slices) && one.slices.size() > 0) || has(self.dataset.columns.slice)",
        "name in dataset.columns.slice the column whose values the teachers' slices are",
        ".dataset.columns.slice",
    ),
    (
        "!has(self.objective.maxDisagreement) || self.teachers.size() > 1",
        "objective.maxDisagreement is for several teachers; add one, or remove it",
        ".objective.maxDisagreement",
    ),
)
