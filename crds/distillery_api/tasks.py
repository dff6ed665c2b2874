"""The tasks that a job may have."""

from typing import Literal

TaskName = Literal["text-classification", "text-scoring", "image-classification", "causal-lm"]
ServedTask = Literal["text-classification", "text-scoring", "image-classification"]
