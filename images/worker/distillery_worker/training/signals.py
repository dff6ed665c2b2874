"""What a student learns from inside its teacher, which runs beside it on every batch."""

from collections.abc import Mapping

import torch
from distillery_api.objective import Attention, HiddenStates, Objective
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..errors import InputRefused
from ..layers import Recorder, first_layers, layer_at, layers_of, projections_of
from ..losses.attention_relations import attention_relation_loss
from ..losses.hidden_states import Projections, hidden_state_loss
from ..teachers.local import LocalTeacher

HIDDEN, ATTENTION = "objective.hiddenStates.layers", "objective.attention"


class HiddenStateSignal:
    """Hidden states of pairs of layers, with the projections between them."""

    def __init__(self, spec: HiddenStates, student: PreTrainedModel, teacher: PreTrainedModel, seed: int) -> None:
        self.spec = spec
        self.student = Recorder(student, [pair.student for pair in spec.layers], [], f"{HIDDEN}[].student")
        self.teacher = Recorder(teacher, [pair.teacher for pair in spec.layers], [], f"{HIDDEN}[].teacher")
        widths = (student.config.hidden_size, teacher.config.hidden_size)
        self.projections = Projections([widths] * len(spec.layers), seed)

    def losses(self, mask: Tensor) -> Tensor:
        """The mean over the pairs: [rows]."""
        found = [
            hidden_state_loss(
                self.projections(index, self.student.hidden[pair.student]), self.teacher.hidden[pair.teacher], mask
            )
            for index, pair in enumerate(self.spec.layers)
        ]
        return torch.stack(found).mean(dim=0)


class AttentionSignal:
    """Attention relations of a layer of the teacher and the student's last."""

    def __init__(self, spec: Attention, student: PreTrainedModel, teacher: PreTrainedModel) -> None:
        self.spec = spec
        self.last = len(layers_of(student, ATTENTION))
        check_relation_heads(student, self.last, spec.relation_heads, "student")
        check_relation_heads(teacher, spec.teacher_layer, spec.relation_heads, "teacher")
        self.student = Recorder(student, [], [self.last], ATTENTION)
        self.teacher = Recorder(teacher, [], [spec.teacher_layer], f"{ATTENTION}.teacherLayer")

    def losses(self, mask: Tensor) -> Tensor:
        """Relations compared: [rows]."""
        student, teacher = self.student.projected(self.last), self.teacher.projected(self.spec.teacher_layer)
        return attention_relation_loss(student, teacher, mask, self.spec.relation_heads)


class Signals:
    """Losses between layers of a student and of a teacher that get the same tokens.

    Raises InputRefused (ModelUnsupported) when one of them has not the layers that the objective names.
    """

    def __init__(self, student: PreTrainedModel, teacher: PreTrainedModel, objective: Objective, seed: int) -> None:
        hidden, attention = objective.hidden_states, objective.attention
        self.teacher = first_layers(teacher, deepest_layer(objective), "objective").eval()
        self.parts: list[tuple[float, HiddenStateSignal | AttentionSignal]] = []
        self.projections: nn.Module = nn.Identity()
        if hidden:
            compared = HiddenStateSignal(hidden, student, self.teacher, seed)
            self.projections = compared.projections
            self.parts.append((hidden.weight, compared))
        if attention:
            self.parts.append((attention.weight, AttentionSignal(attention, student, self.teacher)))

    def losses(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum [rows] for the batch that has just gone through the student."""
        with torch.no_grad():
            self.teacher(**inputs)
        mask = inputs["attention_mask"]
        return torch.stack([weight * part.losses(mask) for weight, part in self.parts]).sum(dim=0)


def signals_of(student: PreTrainedModel, teacher: LocalTeacher, objective: Objective, seed: int) -> Signals | None:
    """The signals that the objective asks for, if any."""
    if objective.hidden_states or objective.attention:
        return Signals(student, teacher.model, objective, seed)
    return None


def deepest_layer(objective: Objective) -> int:
    """The last layer of the teacher that is looked at."""
    pairs = objective.hidden_states.layers if objective.hidden_states else []
    return max([*(pair.teacher for pair in pairs), objective.attention.teacher_layer if objective.attention else 0])


def check_relation_heads(model: PreTrainedModel, layer: int, heads: int, who: str) -> None:
    """Refuse a number of relation heads that does not divide the widths of queries, keys and values."""
    for module in projections_of(layer_at(model, layer, ATTENTION), ATTENTION):
        width = getattr(module, "out_features", 0)
        if width % heads:
            raise InputRefused(
                "ModelUnsupported",
                f"objective.attention.relationHeads: {heads} does not divide the {who}'s {width};"
                " give a number that divides the widths of both models",
            )
