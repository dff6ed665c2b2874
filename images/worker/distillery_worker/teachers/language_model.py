"""A teacher that is a causal language model: a Hugging Face folder, checked before anything runs on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from distillery_api.digests import digest_bytes
from distillery_api.soft_labels import NEW_TOKENS, SoftLabels
from distillery_api.sources import ModelSource
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from ..data.blocks import Block
from ..data.language_tokenizer import LanguageTokenizer
from ..errors import InputRefused
from ..evaluation.likelihood import batches, head_of, hidden_states, mean_losses, model_inputs
from ..labels.codecs import Codec, DistributionCodec, HiddenCodec, LogitsCodec, SampledCodec, TextCodec, TopKCodec
from ..labels.measuring import label_rows
from ..labels.segments import RowLabels
from ..labels.store import LabelSet
from ..model_folders import TOKENIZER, TOKENIZER_CONFIG, download, load_weights, read_folder
from ..tasks.head import Head
from .gguf import read_gguf
from .local import FIELD, LocalTeacher, check_finite
from .text import length_limit

SEQUENCE_LENGTH = 512  # tokens of a block where the spec says nothing and the teacher takes more

IDS = 50  # draws, or ids of the top, by position where the spec says nothing
T = TypeVar("T", bound="LanguageModelTeacher")


@dataclass
class LanguageModelTeacher(LocalTeacher):
    """Predicts the tokens of blocks."""

    tokenizer_digest: str
    length: int  # tokens of a block

    @cached_property
    def encoder(self) -> LanguageTokenizer:
        """The tokenizer that teacher and student share."""
        return LanguageTokenizer(self.path, self.length)

    def load(self) -> PreTrainedModel:
        """The model, without what pads its vocabulary. Raises InputRefused (WeightsCorrupt, TokenizerMismatch)."""
        model, lacking = load_weights(AutoModelForCausalLM, self.path, self.uri, FIELD)
        if lacking:
            raise InputRefused(
                "WeightsCorrupt",
                f"teachers[0].model: the weights at {self.uri} lack {lacking[0]} or have it in another shape than"
                " config.json says; upload a causal language model with all its weights",
            )
        cut_vocabulary(model, self.encoder.vocabulary, f"teachers[0].model: {self.uri}")
        return model

    @property
    def output_weight(self) -> Tensor:
        """What turns final states into logits: [vocabulary, width]."""
        return head_of(self.model).detach()

    def label_set(self, soft_labels: SoftLabels) -> LabelSet:
        """The distributions after each token; blocks say themselves how long they are."""
        codec = self.codec_of(soft_labels)
        return LabelSet(codec=codec, teacher=self.digest, tokenizer=self.tokenizer_digest)

    def codec_of(self, soft_labels: SoftLabels) -> DistributionCodec | TextCodec:
        """The codec that the spec asks for, with its defaults."""
        vocabulary, temperature = self.encoder.vocabulary, soft_labels.temperature or 1.0
        match soft_labels.kind:
            case None | "sampled":
                samples, seed = soft_labels.samples or IDS, soft_labels.seed or 0
                return SampledCodec(vocabulary=vocabulary, samples=samples, temperature=temperature, seed=seed)
            case "topK":
                return TopKCodec(vocabulary=vocabulary, k=soft_labels.k or IDS, temperature=temperature)
            case "logits":
                return LogitsCodec(vocabulary=vocabulary, alignment="position i predicts token i+1")
            case "hidden":
                weight = self.output_weight
                digest = digest_bytes(weight.cpu().numpy().tobytes())
                return HiddenCodec(vocabulary=vocabulary, width=weight.shape[1], head=digest)
            case "text":
                return text_codec(soft_labels)

    def labels(
        self, codec: Codec, keys: Sequence[str], inputs: Sequence[Block], done: Callable[[int], None]
    ) -> list[RowLabels]:
        """What the codec keeps of each block's predicted positions. Raises InputRefused (WeightsCorrupt)."""
        found: dict[int, RowLabels] = {}
        for chosen in batches(inputs):
            part = [inputs[index] for index in chosen]
            with torch.inference_mode():
                states = hidden_states(self.model, part, model_inputs(self.model, part))
            check_finite(states.sum(dim=1).cpu().numpy(), self.uri)
            rows = [(keys[index], inputs[index].predicted) for index in chosen]
            found |= zip(chosen, label_rows(codec, states, self.output_weight, rows), strict=True)
            done(len(chosen))
        return [found[index] for index in range(len(inputs))]

    def positions(self, row: Block) -> int:
        """The tokens that are predicted."""
        return row.predicted

    def answers(self, inputs: Sequence[Any], done: Callable[[int], None]) -> NDArray[np.float32]:
        """Mean NLL of each block's predicted tokens: [blocks, 1]."""
        found = np.empty((len(inputs), 1), dtype=np.float32)
        for chosen in batches(inputs):
            found[chosen, 0] = mean_losses(self.model, [inputs[index] for index in chosen])
            done(len(chosen))
        return found


def text_codec(soft_labels: SoftLabels) -> TextCodec:
    """How answers are written; without a temperature nothing is drawn, and no seed counts."""
    drawn = soft_labels.temperature is not None
    return TextCodec(
        max_new_tokens=soft_labels.max_new_tokens or NEW_TOKENS,
        temperature=soft_labels.temperature,
        seed=(soft_labels.seed or 0) if drawn else None,
    )


def fetch_language_model(kind: type[T], source: ModelSource, length: int | None, head: Head, dest: Path) -> T:
    """Download the folder and check it; `length` is dataset.sequenceLength. Raises InputRefused and storage errors."""
    downloaded, needed = download(source, FIELD, dest), (TOKENIZER, TOKENIZER_CONFIG)
    folder = read_gguf(FIELD, downloaded, dest) or read_folder(FIELD, needed, downloaded, dest)
    limit = length_limit(folder.config, folder.read_json(TOKENIZER_CONFIG))
    if length and length > limit:
        raise InputRefused(
            "ModelUnsupported",
            f"dataset.sequenceLength: {length:,} tokens are more than the {limit:,} that the teacher at {folder.uri}"
            " takes; lower it",
        )
    return kind(
        path=folder.path,
        uri=folder.uri,
        digest=folder.digest,
        head=head,
        tokenizer_digest=folder.files[TOKENIZER],
        length=length or min(limit, SEQUENCE_LENGTH),
    )


def cut_vocabulary(model: PreTrainedModel, vocabulary: int, what: str) -> None:
    """Drop embeddings beyond the tokenizer's ids, which no text has. Raises InputRefused (TokenizerMismatch)."""
    rows = len(model.get_input_embeddings().weight)
    if vocabulary > rows:
        raise InputRefused(
            "TokenizerMismatch",
            f"{what} has embeddings for {rows:,} tokens, and the tokenizer gives ids up to {vocabulary - 1:,};"
            " use the tokenizer that the model was trained with",
        )
    if vocabulary < rows:
        model.resize_token_embeddings(vocabulary)
