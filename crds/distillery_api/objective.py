"""What the student is trained to do: soft labels, gold labels, and what happens inside the teacher."""

from typing import Annotated, Literal

from pydantic import Field

from .schema import Model

LayerNumber = Annotated[int, Field(ge=1, le=1000)]  # counted from 1
Weight = Annotated[float, Field(gt=0, le=1e6)]


class LayerPair(Model):
    """A layer of the student and the layer of the teacher that it learns from."""

    teacher: LayerNumber
    student: LayerNumber


class HiddenStates(Model):
    """Adds weight * MSE between layers, through a learned projection where their widths differ."""

    layers: Annotated[
        list[LayerPair], Field(min_length=1, max_length=100, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ]
    weight: Weight = 1.0


class Attention(Model):
    """Adds weight * KL of self-attention relations (MiniLMv2) between a layer of the teacher and the student's last."""

    teacher_layer: LayerNumber
    relation_heads: Annotated[int, Field(ge=1, le=1024, description="Must divide the widths of both models.")]
    weight: Weight = 1.0


class Margin(Model):
    """Adds weight * MSE of the differences between scores of texts of the same query (MarginMSE) to both terms."""

    weight: Weight = 1.0


class Objective(Model):
    """alpha * T^2 * D(teacher, student) + (1 - alpha) * CE(gold); rows without gold get the first term alone.

    For text-scoring: alpha * MSE(teacher, student) + (1 - alpha) * MSE(gold, student).
    """

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.9
    temperature: (
        Annotated[
            float,
            Field(gt=0, le=100, description="T; if absent 2, for causal-lm that of the soft labels. Scores have none."),
        ]
        | None
    ) = None
    divergence: Annotated[
        Literal["forward", "reverse", "jsd"],
        Field(description="D: KL(teacher || student), KL(student || teacher), or Jensen-Shannon."),
    ] = "forward"
    mask_teacher_mistakes: Annotated[
        bool, Field(description="Rows whose gold label is not the teacher's first answer get no soft labels.")
    ] = False
    max_disagreement: (
        Annotated[
            float,
            Field(
                ge=0,
                le=1,
                description="Rows on which the teachers disagree more, 0 to 1, are learned from gold alone.",
            ),
        ]
        | None
    ) = None
    margin: Margin | None = None
    hidden_states: HiddenStates | None = None
    attention: Attention | None = None
