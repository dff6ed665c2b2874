"""What is kept of the teacher's distribution, and how labelling is spread out."""

from typing import Annotated, Literal

from pydantic import Field

from .images import Augmentation
from .schema import Model, rules

NEW_TOKENS = 256  # of an answer, where the spec says nothing


class SoftLabels(Model):
    """How the teacher's distribution is stored. Kinds other than logits are for causal-lm."""

    kind: (
        Annotated[
            Literal["sampled", "topK", "logits", "hidden", "text"],
            Field(description="sampled if absent for causal-lm, logits for every other task."),
        ]
        | None
    ) = None
    samples: Annotated[int, Field(ge=1, le=1000, description="For sampled: draws per token; 50 if absent.")] | None = (
        None
    )
    k: Annotated[int, Field(ge=1, le=1000, description="For topK: ids per token; 50 if absent.")] | None = None
    temperature: (
        Annotated[
            float,
            Field(
                gt=0,
                le=100,
                description="For sampled and topK: of the teacher; 1 if absent. For text: at which it draws each token;"
                " if absent it writes the likeliest.",
            ),
        ]
        | None
    ) = None
    seed: (
        Annotated[int, Field(ge=0, le=2147483647, description="For sampled and text: of the draws; 0 if absent.")]
        | None
    ) = None
    max_new_tokens: (
        Annotated[
            int, Field(ge=1, le=32768, description="For text: tokens that the teacher writes at most; 256 if absent.")
        ]
        | None
    ) = None
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
        "!has(self.samples) || !has(self.kind) || self.kind == 'sampled'",
        "samples is for kind sampled; remove it",
        ".samples",
    ),
    (
        "!has(self.seed) || !has(self.kind) || self.kind == 'sampled'"
        " || (self.kind == 'text' && has(self.temperature))",
        "seed is for kind sampled, and for kind text with a temperature; remove it",
        ".seed",
    ),
    (
        "!has(self.maxNewTokens) || (has(self.kind) && self.kind == 'text')",
        "maxNewTokens is for kind text; set kind or remove it",
        ".maxNewTokens",
    ),
    ("!has(self.k) || (has(self.kind) && self.kind == 'topK')", "k is for kind topK; set kind or remove it", ".k"),
    (
        "!has(self.temperature) || !has(self.kind) || self.kind in ['sampled', 'topK', 'text']",
        "temperature is for kinds sampled, topK and text; logits and hidden states have any, see objective.temperature",
        ".temperature",
    ),
)
