"""What a student can be made for."""

from typing import Literal

TaskName = Literal["text-classification", "text-scoring"]
