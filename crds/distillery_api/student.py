"""The model to train: from scratch, layers of the teacher, or a given model; and adapters on the latter two."""

from typing import Annotated, Literal

from pydantic import Field

from .images import ImageConfig
from .schema import Model, Name, rules
from .sources import ModelSource


class StudentConfig(Model):
    """A BERT encoder, or for causal-lm a Llama decoder, trained from scratch with the teacher's tokenizer."""

    hidden_size: Annotated[int, Field(ge=8, le=4096)] = 64
    layers: Annotated[int, Field(ge=1, le=48)] = 2
    attention_heads: Annotated[int, Field(ge=1, le=64)] = 2
    intermediate_size: Annotated[int, Field(ge=8, le=16384)] = 256
    embeddings: Annotated[
        Literal["FromTeacher", "Random"],
        Field(
            description="How token embeddings start: the teacher's, cut to hiddenSize by a truncated SVD, or random."
        ),
    ] = "FromTeacher"


class LayersOfTeacher(Model):
    """A copy of the teacher that keeps some of its layers: embeddings and head are copied too."""

    teacher: Name = "main"
    layers: Annotated[
        list[Annotated[int, Field(ge=1, le=1000)]],
        Field(
            min_length=1,
            max_length=100,
            description="Layers that are kept, counted from 1.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]


class Lora(Model):
    """Low-rank adapters on the layers' linear modules, merged into them after training; heads are trained in full."""

    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    alpha: Annotated[float, Field(gt=0, le=4096, description="Adapters are scaled by alpha / rank.")] = 16.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64)]],
        Field(
            max_length=32,
            description="Names of linear modules in the layers, such as query; all of them when empty.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"}
            | rules(
                (
                    "!self.exists(t, t == 'lm_head')",
                    "lm_head takes no adapter: soft labels of the whole vocabulary need its own weights;"
                    " name modules of the layers",
                )
            ),
        ),
    ] = []


class Student(Model):
    """The model to train: exactly one of config, imageConfig, from and model."""

    config: (
        Annotated[
            StudentConfig,
            Field(
                json_schema_extra=rules(
                    (
                        "self.hiddenSize % self.attentionHeads == 0",
                        "hiddenSize must be a multiple of attentionHeads; change one of them",
                        ".hiddenSize",
                    )
                )
            ),
        ]
        | None
    ) = None
    image_config: ImageConfig | None = None
    from_: LayersOfTeacher | None = Field(default=None, alias="from")
    model: ModelSource | None = None
    lora: Lora | None = None


STUDENT_RULES = rules(
    (
        "[has(self.config), has(self.imageConfig), has(self.from), has(self.model)].filter(given, given).size() == 1",
        "give exactly one of config or imageConfig (from scratch), from (layers of the teacher) and model"
        " (a given one)",
    ),
    (
        "!has(self.lora) || !(has(self.config) || has(self.imageConfig))",
        "lora adapts weights that are there already; use it with from or model, or leave it out",
        ".lora",
    ),
)
