"""`make bench-label`: what labelling costs beside the teacher's forward pass. The last line is one JSON object.

`bare_tokens_per_s` is the teacher's forward pass to its logits, `labelled_tokens_per_s` the same tokens until their
sampled labels (50 draws) lie in a Parquet file, each the best of some passes taken by turns; `bytes_per_token` is the
file's size. The teacher is a small Llama with 49,152 ids and random weights, or --teacher with --text.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from distillery_worker.labels.codecs import SampledCodec
from distillery_worker.labels.measuring import label_rows
from distillery_worker.labels.segments import encode_segment
from small_llama import TEACHER, small_llama
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

VOCABULARY = 49152
LOGIT_DEVIATION = 6.0  # 12 different ids in 50 draws, as in arXiv 2503.16870
LENGTH, BATCH = 128, 8  # tokens, rows


@torch.inference_mode()
def bare(model: PreTrainedModel, rows: torch.Tensor) -> None:
    """The logits of all rows, of which nothing is kept."""
    for batch in rows.split(BATCH):
        model(input_ids=batch)


@torch.inference_mode()
def labelled(model: PreTrainedModel, rows: torch.Tensor, codec: SampledCodec, path: Path) -> list[np.ndarray]:
    """Write the labels of all rows; gives their draws."""
    head = model.get_output_embeddings().weight
    labels = []
    for number, batch in enumerate(rows.split(BATCH)):
        hidden = model.get_decoder()(input_ids=batch).last_hidden_state.flatten(0, 1)
        keys = [f"{number * BATCH + row:064x}" for row in range(len(batch))]
        labels += label_rows(codec, hidden, head, [(key, LENGTH) for key in keys])
    path.write_bytes(encode_segment(codec, [f"{row:064x}" for row in range(len(rows))], labels))
    return [row["draws"] for row in labels]


def measure(model: PreTrainedModel, rows: torch.Tensor, passes: int, folder: Path) -> dict[str, float]:
    """Rates, bytes, and how many different ids the draws hit, which the bytes depend on."""
    codec = SampledCodec(vocabulary=model.get_output_embeddings().weight.shape[0])
    path = folder / "segment.parquet"
    seconds: dict[str, list[float]] = {"bare": [], "labelled": []}
    for _ in range(passes):
        seconds["bare"].append(timed(lambda: bare(model, rows)))
        seconds["labelled"].append(timed(lambda: labelled(model, rows, codec, path)))
    draws = np.concatenate(labelled(model, rows, codec, path))
    best = {name: rows.numel() / min(times) for name, times in seconds.items()}
    return {
        "bare_tokens_per_s": round(best["bare"], 1),
        "labelled_tokens_per_s": round(best["labelled"], 1),
        "bytes_per_token": round(path.stat().st_size / rows.numel(), 2),
        "share_of_bare": round(best["labelled"] / best["bare"], 3),
        "different_ids_per_token": round(float((np.diff(draws, axis=1) > 0).sum(axis=1).mean() + 1), 2),
    }


def timed(work: Callable[[], object]) -> float:
    """Seconds of a run."""
    start = time.perf_counter()
    work()
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
