"""`make bench-label`: what labelling costs beside the teacher's forward pass. The last line is one JSON object.

`bare_tokens_per_s` is the teacher's forward pass to its logits, in batches of 4 rows, of which nothing is kept.
`labelled_tokens_per_s` is what the label stage does with the same rows, until their sampled labels (50 draws) lie in
storage, a folder. Each is the best of some passes taken by turns. `bytes_per_token` is the segments' size. The teacher
is a small Llama with 49,152 ids and random weights, or --teacher with --text.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from distillery_storage import open_prefix
from distillery_worker.context import Context
from distillery_worker.data.blocks import Block
from distillery_worker.labels.codecs import SampledCodec
from distillery_worker.labels.store import SEGMENTS, LabelSet, LabelStore
from distillery_worker.labels.writer import SegmentWriter
from distillery_worker.tasks.next_token import NextToken
from distillery_worker.teachers.language_model import LanguageModelTeacher
from small_llama import TEACHER, small_llama
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

VOCABULARY = 49152
LOGIT_DEVIATION = 6.0  # 12 different ids in 50 draws, as in arXiv 2503.16870
LENGTH = 128  # tokens of a row
BATCH = 4  # rows of a bare pass: neither fewer nor more are faster
DIGEST = "sha256:" + "0" * 64


@torch.inference_mode()
def bare(model: PreTrainedModel, rows: torch.Tensor) -> None:
    """The logits of all rows, of which nothing is kept."""
    for batch in rows.split(BATCH):
        model(input_ids=batch)


def label(teacher: LanguageModelTeacher, blocks: dict[str, Block], store: LabelStore) -> None:
    """What the label stage does with blocks by key."""
    teacher.label(blocks, SegmentWriter(store, "bench"), Context(teacher.path))


def store_in(folder: Path, model: PreTrainedModel) -> LabelStore:
    """An empty store of the model's sampled labels."""
    codec = SampledCodec(vocabulary=model.get_output_embeddings().weight.shape[0])
    return LabelStore.at(open_prefix(f"file://{folder}"), LabelSet(codec=codec, teacher=DIGEST, tokenizer=DIGEST))


def teacher_of(model: PreTrainedModel, folder: Path) -> LanguageModelTeacher:
    """A model that is in memory, as a teacher."""
    teacher = LanguageModelTeacher(folder, "bench", DIGEST, NextToken(), DIGEST, LENGTH)
    teacher.__dict__["model"] = model  # nothing is read from the folder
    return teacher


def measure(model: PreTrainedModel, rows: torch.Tensor, passes: int, folder: Path) -> dict[str, float]:
    """Rates, bytes, and how many different ids the draws hit, which the bytes depend on."""
    teacher, blocks = teacher_of(model, folder), [Block(row) for row in rows.numpy().astype(np.int32)]
    keyed = {block.key: block for block in blocks}
    stores = [store_in(folder / str(number), model) for number in range(passes)]
    taken = [(seconds(bare, model, rows), seconds(label, teacher, keyed, store)) for store in stores]
    bare_s, labelled_s = (min(each) for each in zip(*taken, strict=True))
    draws = np.concatenate([row["draws"] for _, labels in stores[0].segments() for row in labels])
    size = sum(entry.size for entry in stores[0].prefix.entries(SEGMENTS) if entry.path.endswith(".parquet"))
    return {
        "bare_tokens_per_s": round(rows.numel() / bare_s, 1),
        "labelled_tokens_per_s": round(rows.numel() / labelled_s, 1),
        "bytes_per_token": round(size / len(draws), 2),
        "share_of_bare": round(bare_s / labelled_s, 3),
        "different_ids_per_token": round(float((np.diff(draws, axis=1) > 0).sum(axis=1).mean() + 1), 2),
    }


def seconds(work: Callable[..., None], *arguments: Any) -> float:
    """Seconds of a run."""
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def rows_of(text: str, folder: str, count: int) -> torch.Tensor:
    """The first `count` rows of LENGTH tokens of a text."""
    ids = AutoTokenizer.from_pretrained(folder)(text[: count * LENGTH * 20])["input_ids"]
    return torch.tensor(ids[: count * LENGTH]).view(-1, LENGTH)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="What labelling costs beside the teacher's forward pass.")
    parser.add_argument("--teacher", help="folder of a causal language model, in place of a random one")
    parser.add_argument("--text", type=Path, help="text that it labels")
    parser.add_argument("--rows", type=int, default=128, help=f"rows of {LENGTH} tokens")
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
