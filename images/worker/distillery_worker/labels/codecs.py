"""What a label set keeps of the teacher's distribution: a codec, described so that readers need nothing else.

A row has one label per position. Of a text with n tokens a language model labels the first n - 1: position i holds the
distribution of token i+1. A classifier labels one position, the row itself.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from distillery_api.schema import Digest, Model
from pydantic import Field

from ..losses.divergence import Divergence

Shifted = Literal["position i predicts token i+1"]
Temperature = Annotated[float, Field(gt=0, le=100)]
Vocabulary = Annotated[int, Field(ge=2, le=2**31 - 1)]


@dataclass(frozen=True)
class Column:
    """A column of a codec: `width` numbers per position, or as many ids in ascending order, which may repeat; or text.

    A row has one text, as an object array [1, 1].
    """

    name: str
    dtype: Literal["int32", "float16", "float32", "bool", "string"]
    width: int
    holds: Literal["numbers", "ids", "repeated ids", "text"] = "numbers"


class SampledCodec(Model):
    """Ids drawn with replacement at `temperature`: an id's share of the draws is unbiased (arXiv 2503.16870)."""

    kind: Literal["sampled"] = "sampled"
    alignment: Shifted = "position i predicts token i+1"
    vocabulary: Vocabulary
    samples: Annotated[int, Field(ge=1, le=1000, description="Draws per position.")] = 50
    temperature: Temperature = 1.0
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    @property
    def columns(self) -> tuple[Column, ...]:
        """draws: the ids drawn, an id as often as it was drawn."""
        return (Column("draws", "int32", self.samples, holds="repeated ids"),)


class TopKCodec(Model):
    """The k most probable ids at `temperature`, and the rest as one bucket: nothing is known of the tail's shape."""

    kind: Literal["topK"] = "topK"
    alignment: Shifted = "position i predicts token i+1"
    vocabulary: Vocabulary
    k: Annotated[int, Field(ge=1, le=1000)]
    temperature: Temperature = 1.0

    @property
    def columns(self) -> tuple[Column, ...]:
        """ids, their log_probs, and log_tail: the log of the mass of all other ids."""
        return (
            Column("ids", "int32", self.k, holds="ids"),
            Column("log_probs", "float16", self.k),
            Column("log_tail", "float16", 1),
        )


class LogitsCodec(Model):
    """Every logit, before any temperature."""

    kind: Literal["logits"] = "logits"
    alignment: Shifted | Literal["one position per row"]
    vocabulary: Annotated[int, Field(ge=1, le=2**31 - 1, description="Logits per position.")]

    @property
    def columns(self) -> tuple[Column, ...]:
        """logits."""
        return (Column("logits", "float32", self.vocabulary),)


class HiddenCodec(Model):
    """The final hidden states that the teacher's head turns into logits; the head is kept once, beside the segments."""

    kind: Literal["hidden"] = "hidden"
    alignment: Shifted = "position i predicts token i+1"
    vocabulary: Vocabulary
    width: Annotated[int, Field(ge=1, le=2**20)]
    head: Annotated[Digest, Field(description="Of the head's weight [vocabulary, width].")]

    @property
    def columns(self) -> tuple[Column, ...]:
        """hidden: states after the final norm."""
        return (Column("hidden", "float16", self.width),)


class TextCodec(Model):
    """What the teacher writes after a prompt: the likeliest token each time, or one drawn at `temperature`."""

    kind: Literal["text"] = "text"
    max_new_tokens: Annotated[int, Field(ge=1, le=32768)]
    temperature: Temperature | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """answer: its text; finished: whether the teacher ended it; log_likelihood: a token's mean at temperature 1."""
        return (
            Column("answer", "string", 1, holds="text"),
            Column("finished", "bool", 1),
            Column("log_likelihood", "float32", 1),
        )


class GradesCodec(Model):
    """What a judge thinks of the answers of a label set."""

    kind: Literal["grades"] = "grades"
    answers: Annotated[Digest, Field(description="Key of the set with the answers.")]

    @property
    def columns(self) -> tuple[Column, ...]:
        """grade: 1 to 10; 0 where the judge gave none."""
        return (Column("grade", "int32", 1),)


DistributionCodec = SampledCodec | TopKCodec | LogitsCodec | HiddenCodec
Codec = Annotated[DistributionCodec | TextCodec | GradesCodec, Field(discriminator="kind")]


def many_positions(codec: Codec) -> bool:
    """Whether a row has labels at each of its positions, and so many that those of all rows may not fit into memory."""
    return not isinstance(codec, TextCodec | GradesCodec) and codec.alignment != "one position per row"


def bytes_per_position(codec: Codec) -> int:
    """What the labels of a position take in memory; an answer at most, by 4 bytes a token."""
    if isinstance(codec, TextCodec):
        return 4 * codec.max_new_tokens
    return sum(column.width * np.dtype(column.dtype).itemsize for column in codec.columns)


def admits(codec: Codec, divergence: Divergence, temperature: float) -> str | None:
    """None where training on the codec's labels follows the teacher's distribution, else why not and what to change."""
    if isinstance(codec, LogitsCodec | HiddenCodec):
        return None  # the whole distribution can be computed again
    assert not isinstance(codec, GradesCodec)  # noqa: S101 - they choose what is learned, and are not learned
    if isinstance(codec, TextCodec):
        if (divergence, temperature) == ("forward", 1.0):
            return None
        return (
            "objective: of texts the student learns the words alone, and no distribution; leave divergence and"
            " temperature out, or use another softLabels.kind"
        )
    if divergence != "forward":
        return (
            f"objective.divergence: {divergence} needs the teacher's probability of every id, and {codec.kind} soft"
            " labels keep a few ids: its gradient would be biased; use forward, or softLabels.kind hidden or logits"
        )
    if temperature != codec.temperature:
        return (
            f"objective.temperature: {temperature:g} is not the {codec.temperature:g} at which {codec.kind} soft labels"
            f" were made, and they cannot be turned into another one's; use {codec.temperature:g}, label again with"
            f" softLabels.temperature {temperature:g}, or use softLabels.kind hidden or logits"
        )
    return None
