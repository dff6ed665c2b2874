"""`make bench-label`: what labelling costs beside the teacher's forward pass. The last line is one JSON object.

`bare_tokens_per_s` is the teacher's forward pass to its logits, `labelled_tokens_per_s` the same tokens until their
sampled labels (50 draws) lie in a Parquet file: sums over batches, each the best of some passes taken by turns.
`bytes_per_token` is the file's size. The teacher is a small Llama with 49,152 ids and random weights, or --teacher with
--text.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from distillery_worker.labels.codecs import SampledCodec
from distillery_worker.labels.measuring import label_rows
from distillery_worker.labels.segments import RowLabels, encode_segment
from small_llama import TEACHER, small_llama
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

VOCABULARY = 49152
LOGIT_DEVIATION = 6.0  # 12 different ids in 50 draws, as in arXiv 2503.16870
LENGTH, BATCH = 128, 4  # tokens, rows
Made = TypeVar("Made")


@torch.inference_mode()
def bare(model: PreTrainedModel, batches: Sequence[torch.Tensor]) -> list[float]:
    """The logits of all rows, of which nothing is kept: seconds of each batch."""
    return [timed(lambda batch=batch: model(input_ids=batch))[0] for batch in batches]


@torch.inference_mode()
def labelled(
    model: PreTrainedModel, batches: Sequence[torch.Tensor], codec: SampledCodec, path: Path
) -> tuple[list[float], list[RowLabels]]:
    """Write the labels of all rows: seconds of each batch and of the file, and the labels."""
    head = model.get_output_embeddings().weight

    def label(number: int, batch: torch.Tensor) -> list[RowLabels]:
        hidden = model.get_decoder()(input_ids=batch).last_hidden_state.flatten(0, 1)
        return label_rows(codec, hidden, head, [(key_of(number * BATCH + row), LENGTH) for row in range(len(batch))])

    done = [timed(lambda number=number, batch=batch: label(number, batch)) for number, batch in enumerate(batches)]
    labels = [row for _, rows in done for row in rows]
    keys = [key_of(row) for row in range(len(labels))]
    written, _ = timed(lambda: path.write_bytes(encode_segment(codec, keys, labels)))
    return [*(seconds for seconds, _ in done), written], labels


def key_of(row: int) -> str:
    """A row's key, as random as real ones are."""
    return hashlib.sha256(str(row).encode()).hexdigest()


def measure(model: PreTrainedModel, rows: torch.Tensor, passes: int, folder: Path) -> dict[str, float]:
    """Rates, bytes, and how many different ids the draws hit, which the bytes depend on."""
    codec = SampledCodec(vocabulary=model.get_output_embeddings().weight.shape[0])
    batches, path = rows.split(BATCH), folder / "segment.parquet"
    taken = [(bare(model, batches), labelled(model, batches, codec, path)) for _ in range(passes)]
    bare_s = sum(map(min, zip(*(seconds for seconds, _ in taken), strict=True)))
    labelled_s = sum(map(min, zip(*(seconds for _, (seconds, _) in taken), strict=True)))
    draws = np.concatenate([row["draws"] for row in taken[-1][1][1]])
    return {
        "bare_tokens_per_s": round(rows.numel() / bare_s, 1),
        "labelled_tokens_per_s": round(rows.numel() / labelled_s, 1),
        "bytes_per_token": round(path.stat().st_size / rows.numel(), 2),
        "share_of_bare": round(bare_s / labelled_s, 3),
        "different_ids_per_token": round(float((np.diff(draws, axis=1) > 0).sum(axis=1).mean() + 1), 2),
    }


def timed(work: Callable[[], Made]) -> tuple[float, Made]:
    """Seconds of a run, and what it made."""
    start = time.perf_counter()
    made = work()
    return time.perf_counter() - start, made


def rows_of(text: str, folder: str, count: int) -> torch.Tensor:
    """The first `count` rows of LENGTH tokens of a text."""
    ids = AutoTokenizer.from_pretrained(folder)(text[: count * LENGTH * 20])["input_ids"]
    return torch.tensor(ids[: count * LENGTH]).view(-1, LENGTH)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="What labelling costs beside the teacher's forward pass.")
    parser.add_argument("--teacher", help="folder of a causal language model, in place of a random one")
    parser.add_argument("--text", type=Path, help="text that it labels")
    parser.add_argument("--rows", type=int, default=32, help=f"rows of {LENGTH} tokens")
    parser.add_argument("--passes", type=int, default=5)
    options = parser.parse_args()
    if options.teacher:
        model = AutoModelForCausalLM.from_pretrained(options.teacher, dtype=torch.float32).eval()
        rows = rows_of(options.text.read_text(), options.teacher, options.rows)
    else:
        model = small_llama(VOCABULARY, TEACHER, LOGIT_DEVIATION)
        rows = torch.randint(VOCABULARY, (options.rows, LENGTH), generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(model, rows, options.passes, Path(folder))))


if __name__ == "__main__":
    main()
