"""Teachers: model folders and endpoints, alone or as an ensemble."""

from typing import Annotated, Literal

from pydantic import Field

from .chat_server import ChatServer
from .schema import Model, Name, rules
from .sources import ModelSource

TEACHERS = 8


class Endpoint(ChatServer):
    """A chat server that answers with a label."""

    labels: Annotated[
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
            description="Label names that it is asked to answer with.",
            json_schema_extra={
                "x-kubernetes-list-type": "atomic",
                **rules(("self.all(one, self.exists_one(other, other == one))", "name each label once")),
            },
        ),
    ]
    answers: Annotated[
        Literal["Text", "TopLogprobs"],
        Field(description="What is read: the label that it names, or the log-probabilities of the first token."),
    ] = "Text"
    instruction: Annotated[
        str, Field(min_length=1, max_length=8192, description="What it is told to do; the labels are told after it.")
    ] = "Classify the text that the user gives."
    min_usable_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="The job fails where fewer of the answers are one of the labels.",
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

# On the spec, where what teachers go with is in reach.
TEACHERS_RULES = (
    (
        "self.teachers.exists(one, has(one.model)) || has(self.student.model)",
        "an endpoint has no tokenizer for the student: set student.model, or add a teacher with model, of weight 0",
        ".teachers",
    ),
    (
        f"self.task == 'text-classification' || ({ONE_FOLDER})",
        "endpoints and several teachers are for task text-classification alone; name one teacher, with model",
        ".teachers",
    ),
    (
        "!(has(self.student.from) || has(self.objective.hiddenStates) || has(self.objective.attention))"
        f" || ({ONE_FOLDER})",
        "student.from and objective's hiddenStates and attention need one teacher, with model; name one, or omit them",
        ".teachers",
    ),
    (
        "self.task == 'text-classification' || !has(self.dataset.columns.slice)"
        " || (has(self.softLabels.kind) && self.softLabels.kind == 'text')",
        "dataset.columns.slice is for several teachers of text-classification and for softLabels.kind text; remove it",
        ".dataset.columns.slice",
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
