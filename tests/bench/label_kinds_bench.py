"""`make bench-label-kinds`: sampled labels against top-k at equal bytes. The last line is one JSON object.

The claim of arXiv 2503.16870 on a small language model: students of equal size, steps and seeds learn from labels
alone: of 50 draws a token, of as many most probable ids as fit into the same bytes, and of the whole distribution; one
more learns from the text alone. Teacher and speeches are those of examples/sotu. `perplexity` and `ece_percent` are on
held-out speeches, one number a seed: how surprised the student is by a token, and how far its confidence in its first
answer is from how often that is right (15 bins of equal size).
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from distillery_worker.data.blocks import Block, cut
from distillery_worker.labels.codecs import Codec, HiddenCodec, SampledCodec, TopKCodec
from distillery_worker.labels.measuring import label_rows
from distillery_worker.labels.segments import RowLabels, encode_segment
from distillery_worker.losses.token_objective import token_objective
from distillery_worker.training.stored_targets import targets_of
from numpy.typing import NDArray
from small_llama import STUDENT, small_llama
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

LENGTH, BATCH = 128, 8  # tokens, blocks
LEARNING_RATE = 3e-3
BINS = 15
SAMPLE = 64  # blocks by which k is chosen


@dataclass(frozen=True)
class Case:
    """Labels that students learn from; without a codec, from the text alone."""

    name: str
    alpha: float
    codec: Codec
    rows: list[RowLabels]
    bytes_per_token: float | None = None


def blocks_of(folder: Path, part: str) -> list[Block]:
    """Whole blocks of a part of the speeches."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "teacher")
    texts = pq.ParquetFile(folder / f"{part}.parquet").read()["text"].to_pylist()
    blocks = [block for text in texts for block in cut(tokenizer(text, verbose=False)["input_ids"], LENGTH)]
    return [block for block in blocks if len(block) == LENGTH]


@torch.inference_mode()
def labels_of(teacher: LlamaForCausalLM, blocks: list[Block], codec: Codec) -> list[RowLabels]:
    """The teacher's labels of all blocks."""
    rows: list[RowLabels] = []
    for start in range(0, len(blocks), BATCH):
        part = blocks[start : start + BATCH]
        hidden = teacher.get_decoder()(input_ids=ids_of(part)).last_hidden_state[:, :-1].flatten(0, 1)
        head = teacher.get_output_embeddings().weight
        rows += label_rows(codec, hidden, head, [(block.key, LENGTH - 1) for block in part])
    return rows


def ids_of(blocks: list[Block]) -> torch.Tensor:
    """Token ids: [blocks, LENGTH]."""
    return torch.from_numpy(np.stack([block.ids for block in blocks])).long()


def bytes_per_token(codec: Codec, blocks: list[Block], rows: list[RowLabels]) -> float:
    """Of one segment of all rows."""
    segment = encode_segment(codec, [block.key for block in blocks], rows)
    return round(len(segment) / (len(blocks) * (LENGTH - 1)), 2)


def cases(teacher: LlamaForCausalLM, blocks: list[Block]) -> list[Case]:
    """The text alone, 50 draws, the ids that fit into their bytes, and whole distributions."""
    vocabulary, width = teacher.get_output_embeddings().weight.shape
    sampled = SampledCodec(vocabulary=vocabulary)
    draws = labels_of(teacher, blocks, sampled)
    budget = bytes_per_token(sampled, blocks, draws)
    best = TopKCodec(vocabulary=vocabulary, k=most_ids(teacher, blocks[:SAMPLE], vocabulary, budget))
    tops = labels_of(teacher, blocks, best)
    hidden = HiddenCodec(vocabulary=vocabulary, width=width, head="sha256:" + "0" * 64)
    states = labels_of(teacher, blocks, hidden)
    return [
        Case("text alone", 0.0, sampled, draws),
        Case("sampled, 50 draws", 1.0, sampled, draws, budget),
        Case(f"topK, k = {best.k}", 1.0, best, tops, bytes_per_token(best, blocks, tops)),
        Case("hidden states", 1.0, hidden, states, bytes_per_token(hidden, blocks, states)),
    ]


def most_ids(teacher: LlamaForCausalLM, blocks: list[Block], vocabulary: int, budget: float) -> int:
    """The largest k whose labels take no more bytes than these a token."""
    k = 1
    while True:
        codec = TopKCodec(vocabulary=vocabulary, k=k + 1)
        if bytes_per_token(codec, blocks, labels_of(teacher, blocks, codec)) > budget:
            return k
        k += 1


def trained(case: Case, blocks: list[Block], head: torch.Tensor, steps: int, seed: int) -> LlamaForCausalLM:
    """A student after `steps` updates; seeds differ in initial weights and in the order of the blocks."""
    student = small_llama(len(head), STUDENT, seed=seed).train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    order = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = order.choice(len(blocks), BATCH, replace=False)
        ids = ids_of([blocks[index] for index in chosen])
        hidden = student.get_decoder()(input_ids=ids).last_hidden_state[:, :-1].flatten(0, 1)
        targets = targets_of(case.codec, [case.rows[index] for index in chosen], head, "forward")
        gold = ids[:, 1:].flatten()
        own_head = student.get_output_embeddings().weight
        token_objective(hidden, own_head, targets, torch.ones(len(gold)), gold, case.alpha, 1.0).backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return student.eval()


@torch.inference_mode()
def judged(model: LlamaForCausalLM, blocks: list[Block]) -> tuple[float, float]:
    """Perplexity, and the calibration error of the first answer in percent."""
    losses, confidences, right = [], [], []
    for start in range(0, len(blocks), BATCH):
        ids = ids_of(blocks[start : start + BATCH])
        log_probs = torch.log_softmax(model(input_ids=ids).logits[:, :-1].flatten(0, 1), dim=-1)
        gold = ids[:, 1:].flatten()
        losses.append(-log_probs.gather(1, gold[:, None]).squeeze(1))
        best = log_probs.max(dim=1)
        confidences.append(best.values.exp())
        right.append(best.indices == gold)
    error = calibration_error(torch.cat(confidences).numpy(), torch.cat(right).numpy())
    return round(float(torch.cat(losses).double().mean().exp()), 3), round(100 * error, 3)


def calibration_error(confidences: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """Mean distance of confidence and accuracy over bins of equal size (adaptive ECE, arXiv 1904.01685)."""
    order = np.argsort(confidences, kind="stable")
    bins = zip(np.array_split(confidences[order], BINS), np.array_split(right[order], BINS), strict=True)
    return float(sum(len(part) * abs(part.mean() - hits.mean()) for part, hits in bins) / len(right))


def main() -> None:
    """Train all students, and print."""
    parser = argparse.ArgumentParser(description="Sampled labels against top-k at equal bytes.")
    parser.add_argument("folder", type=Path, help="what examples/sotu/prepare.py has built")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    learn, test = blocks_of(options.folder, "train"), blocks_of(options.folder, "test")
    teacher = AutoModelForCausalLM.from_pretrained(options.folder / "teacher", dtype=torch.float32).eval()
    head = teacher.get_output_embeddings().weight.detach()
    found: list[dict[str, object]] = [dict(zip(("perplexity", "ece_percent"), judged(teacher, test), strict=True))]
    found[0]["name"] = "teacher"
    for case in cases(teacher, learn):
        scores = [judged(trained(case, learn, head, options.steps, seed), test) for seed in range(options.seeds)]
        found.append(
            {
                "name": case.name,
                "bytes_per_token": case.bytes_per_token,
                "perplexity": [perplexity for perplexity, _ in scores],
                "ece_percent": [error for _, error in scores],
            }
        )
        print(json.dumps(found[-1]), file=sys.stderr)
    print(json.dumps({"steps": options.steps, "cases": found}))


if __name__ == "__main__":
    main()
