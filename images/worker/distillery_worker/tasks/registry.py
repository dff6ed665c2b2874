"""The tasks by the name that spec.task gives them."""

from .classification import Classification, read_classification
from .scoring import head_of, read_scoring
from .task import Task
from .text_task import TextTask

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        TextTask("text-classification", read_classification, Classification),
        TextTask("text-scoring", read_scoring, head_of),
    )
}
