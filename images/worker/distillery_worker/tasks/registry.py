"""The tasks by the name that spec.task gives them."""

from typing import Any

from .causal_lm import CausalLm
from .classification import Classification, read_classification
from .image_task import ImageTask
from .scoring import head_of, read_scoring
from .task import Task
from .text_task import TextTask

TASKS: dict[str, Task[Any]] = {
    task.name: task
    for task in (
        TextTask("text-classification", read_classification, Classification),
        TextTask("text-scoring", read_scoring, head_of),
        ImageTask("image-classification", read_classification, Classification),
        CausalLm(),
    )
}
