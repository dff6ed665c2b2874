"""What is kept of the teacher's distribution, and how labelling is spread out."""

from typing import Annotated, Literal

from pydantic import Field

from .images import Augmentation
from .schema import Model, rules


class SoftLabels(Model):
    """How the teacher's distribution is stored. Kinds other than logits are for causal-lm."""

    kind: (
        Annotated[
            Literal["sampled", "topK", "logits", "hidden"],
            Field(description="sampled if absent for causal-lm, logits for every other task."),
        ]
        | None
    ) = None
    samples: Annotated[int, Field(ge=1, le=1000, description="For sampled: draws per token; 50 if absent.")] | None = (
        None
    )
    k: Annotated[int, Field(ge=1, le=1000, description="For topK: ids per token; 50 if absent.")] | None = None
    temperature: (
        Annotated[float, Field(gt=0, le=100, description="For sampled and topK: of the teacher; 1 if absent.")] | None
    ) = None
    seed: Annotated[int, Field(ge=0, le=2147483647, description="For sampled: of the draws; 0 if absent.")] | None = (
        None
    )
    views: Annotated[
        int,
        Field(ge=1, le=1000, description="Views of each image that are labelled; each epoch trains on the next one."),
    ] = 1
    augmentation: (
        Annotated[
            Augmentation,
            Field(
                json_schema_extra=rules(
                    ("self.shift > 0 || self.horizontalFlip", "set shift or horizontalFlip, or leave augmentation out")
                )
            ),
        ]
        | None
    ) = None
    shards: Annotated[int, Field(ge=1, le=1000, description="Pods that share the labelling.")] = 1
    parallelism: Annotated[int, Field(ge=1, le=1000, description="Shards that run at once.")] = 1


SOFT_LABEL_RULES = rules(
    ("self.parallelism <= self.shards", "parallelism must not exceed shards; lower it or add shards", ".parallelism"),
    (
        "self.views == 1 || has(self.augmentation)",
        "without softLabels.augmentation all views are alike; set it, or leave views at 1",
        ".views",
    ),
    (
        "!has(self.kind) || self.kind == 'sampled' || (!has(self.samples) && !has(self.seed))",
        "samples and seed are for kind sampled; remove them",
        ".kind",
    ),
    ("!has(self.k) || (has(self.kind) && self.kind == 'topK')", "k is for kind topK; set kind or remove it", ".k"),
    (
        "!has(self.temperature) || !has(self.kind) || self.kind in ['sampled', 'topK']",
        "temperature is for kinds sampled and topK; logits and hidden states have any, see objective.temperature",
        ".temperature",
    ),
)
