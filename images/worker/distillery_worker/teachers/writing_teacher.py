"""A language model that answers prompts: its texts are what a student learns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputRefused
from ..labels.codecs import Codec, TextCodec
from ..labels.segments import RowLabels
from .language_checks import stops_of
from .language_model import LanguageModelTeacher
from .writing import Written, batches, write


@dataclass
class WritingTeacher(LanguageModelTeacher):
    """Writes after each prompt what it finds likely, up to its end token or the limit."""

    segment_rows, rechecked_rows, tried_rows = 256, 16, 4  # an answer costs as much as many labels

    @property
    def ends(self) -> list[int]:
        """Tokens that end its answers. Raises InputRefused (ModelUnsupported) where there is none."""
        end = self.encoder.end
        ends = stops_of(self.model) | (set() if end is None else {end})
        if not ends:
            raise InputRefused(
                "ModelUnsupported",
                f"teachers[0].model: nothing ends an answer of {self.uri}: its tokenizer has no eos_token and its"
                " generation_config.json no eos_token_id; add the one with which it was trained",
            )
        return sorted(ends)

    def labels(
        self, codec: Codec, keys: Sequence[str], inputs: Sequence[Any], done: Callable[[int], None]
    ) -> list[RowLabels]:
        """Its answer to each row's prompt, which comes first there. Raises InputRefused (ModelUnsupported)."""
        assert isinstance(codec, TextCodec)  # noqa: S101 - the kind of labels that makes this teacher
        prompts = [self.encoder.asked(row[0]) for row in inputs]
        found: dict[int, RowLabels] = {}
        for chosen in batches(prompts, codec.max_new_tokens):
            part, names = [prompts[index] for index in chosen], [keys[index] for index in chosen]
            written = write(self.model, self.ends, codec, names, part)
            found |= zip(chosen, map(self.stored, written), strict=True)
            done(len(chosen))
        return [found[index] for index in range(len(inputs))]

    def positions(self, row: Any) -> int:
        """An answer is one."""
        return 1

    def stored(self, written: Written) -> RowLabels:
        """An answer as it is stored."""
        return text_labels(self.encoder.words(written.ids), written.finished, written.log_likelihood)


def text_labels(answer: str, finished: bool, log_likelihood: float) -> dict[str, np.ndarray[Any, Any]]:
    """A row's labels of the text codec. log_likelihood: of a token, the mean, in nats"""
    return {
        "answer": np.array([[answer]], dtype=object),
        "finished": np.array([[finished]]),
        "log_likelihood": np.array([[log_likelihood]], dtype=np.float32),
    }
