"""The tasks by the name that spec.task gives them."""

from typing import Any

from distillery_api.run import StageRun

from .causal_lm import CausalLm
from .causal_lm_from_text import CausalLmFromText
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
FROM_TEXT = CausalLmFromText()


def task_of(run: StageRun) -> Task[Any]:
    """The task of a run: a language model that learns texts has other rows than one that learns distributions."""
    return FROM_TEXT if run.soft_labels.kind == "text" else TASKS[run.task]
