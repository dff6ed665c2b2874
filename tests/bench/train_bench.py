"""`make bench-train`: what learning from labels costs beside cross-entropy. The last line is one JSON object.

`ce_s`, `cached_s` and `online_s` are seconds of the same steps (16 rows of 64 tokens, 2,048 ids): plain cross-entropy;
with sampled labels, copied from their store at the start and read as training reads them; with a live teacher of nine
times the student's size. They are sums over steps, each the best of some passes taken by turns. `sparse_peak_mib` and
`dense_peak_mib` are what the loss and its gradients add to the resident memory of a process at its peak (VmHWM, a
process each) for 1,024 tokens and 49,152 ids: of sampled labels in chunks, and of whole matrices of the teacher's and
the student's logits.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from distillery_storage import open_prefix
from distillery_worker.labels.codecs import SampledCodec
from distillery_worker.labels.local_copy import local_copy
from distillery_worker.labels.measuring import label_rows
from distillery_worker.labels.store import LabelSet, LabelStore
from distillery_worker.losses.divergence import divergence
from distillery_worker.losses.token_objective import token_objective
from distillery_worker.losses.token_targets import HiddenTargets, SampledTargets, TokenTargets
from distillery_worker.training.stored_targets import targets_of
from small_llama import STUDENT, TEACHER, small_llama
from torch.nn import functional
from transformers import LlamaForCausalLM

VOCABULARY, ROWS, LENGTH = 2048, 16, 64
ALPHA = 0.5
TEACHER_DEVIATION = 4.0  # of its logits
PEAK_VOCABULARY, PEAK_TOKENS, PEAK_WIDTH = 49152, 1024, 256
Loss = Callable[[LlamaForCausalLM, torch.Tensor, int], torch.Tensor]  # of a student, a batch's rows, and its number


def cross_entropy(student: LlamaForCausalLM, rows: torch.Tensor, step: int) -> torch.Tensor:
    """As anyone would write it."""
    logits = student(input_ids=rows).logits[:, :-1]
    return functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def distilled(student: LlamaForCausalLM, rows: torch.Tensor, targets: TokenTargets) -> torch.Tensor:
    """The objective on these targets."""
    hidden = student.get_decoder()(input_ids=rows).last_hidden_state[:, :-1].flatten(0, 1)
    head, gold = student.get_output_embeddings().weight, rows[:, 1:].flatten()
    return token_objective(hidden, head, targets, torch.ones(len(gold)), gold, ALPHA, 1.0)


def online(teacher: LlamaForCausalLM) -> Loss:
    """With the teacher's forward pass in each step."""
    head = teacher.get_output_embeddings().weight.detach()
    return lambda student, rows, _: distilled(student, rows, HiddenTargets(states_of(teacher, rows), head))


def cached(store: LabelStore, keys: list[str], folder: Path) -> Loss:
    """With the labels of these rows."""
    labels = local_copy(store, keys, folder)

    def loss(student: LlamaForCausalLM, rows: torch.Tensor, number: int) -> torch.Tensor:
        mine = labels.at(np.arange(number * ROWS, (number + 1) * ROWS))
        return distilled(student, rows, targets_of(labels.codec, mine, None, "forward"))

    return loss


@torch.inference_mode()
def states_of(teacher: LlamaForCausalLM, rows: torch.Tensor) -> torch.Tensor:
    """The final states of all positions but the rows' last ones: [tokens, width]."""
    return teacher.get_decoder()(input_ids=rows).last_hidden_state[:, :-1].flatten(0, 1)


def label(teacher: LlamaForCausalLM, batches: torch.Tensor, keys: list[str], folder: Path) -> LabelStore:
    """Store the labels of all batches, by the keys of their rows."""
    codec, digest = SampledCodec(vocabulary=VOCABULARY), "sha256:" + "0" * 64
    store = LabelStore.at(open_prefix(f"file://{folder}"), LabelSet(codec=codec, teacher=digest, tokenizer=digest))
    states = torch.cat([states_of(teacher, batch) for batch in batches])
    rows = [(key, LENGTH - 1) for key in keys]
    store.append(keys, label_rows(codec, states, teacher.get_output_embeddings().weight, rows), 0, "bench")
    return store


def seconds(loss_of: Callable[[], Loss], batches: torch.Tensor) -> list[float]:
    """Train a fresh student on all batches, an update each; what each took, reading included in the first."""
    student = small_llama(VOCABULARY, STUDENT).train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, fused=True)
    ends = [time.perf_counter()]
    loss = loss_of()
    for number, rows in enumerate(batches):
        loss(student, rows, number).backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        ends.append(time.perf_counter())
    return [end - start for start, end in pairwise(ends)]


def times(steps: int, passes: int, folder: Path) -> dict[str, float]:
    """Seconds of `steps` updates, by what they learn from."""
    batches = torch.randint(VOCABULARY, (steps, ROWS, LENGTH), generator=torch.Generator().manual_seed(0))
    teacher, keys = small_llama(VOCABULARY, TEACHER, TEACHER_DEVIATION), [f"{row:064x}" for row in range(steps * ROWS)]
    store = label(teacher, batches, keys, folder)
    ways: dict[str, Callable[[], Loss]] = {
        "ce_s": lambda: cross_entropy,
        "cached_s": lambda: cached(store, keys, folder),
        "online_s": lambda: online(teacher),
    }
    taken = [{name: seconds(way, batches) for name, way in ways.items()} for _ in range(passes)]
    return {name: round(sum(map(min, zip(*(each[name] for each in taken), strict=True))), 3) for name in ways}


def sparse_loss(hidden: torch.Tensor, head: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """In chunks, on 50 draws a token."""
    draws = torch.randint(len(head), (len(hidden), 50), dtype=torch.int32)
    return token_objective(hidden, head, SampledTargets(draws), torch.ones(len(gold)), gold, ALPHA, 1.0)


def dense_loss(hidden: torch.Tensor, head: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """On all logits of student and teacher."""
    student, teacher = hidden @ head.T, hidden.detach() @ head.detach().flip(0).T
    soft = divergence(student, teacher, 1.0, "forward").mean()
    return ALPHA * soft + (1 - ALPHA) * functional.cross_entropy(student, gold)


LOSSES = {"sparse": sparse_loss, "dense": dense_loss}


def peak_mib(loss: str) -> float:
    """What a loss and its gradients add to this process's resident memory."""
    hidden = torch.randn(PEAK_TOKENS, PEAK_WIDTH, requires_grad=True)
    head = torch.randn(PEAK_VOCABULARY, PEAK_WIDTH, requires_grad=True)
    before = resident_mib("VmRSS")
    LOSSES[loss](hidden, head, torch.arange(PEAK_TOKENS)).backward()
    return round(resident_mib("VmHWM") - before, 1)


def resident_mib(field: str) -> float:
    """VmRSS: resident memory now; VmHWM: at its peak so far."""
    lines: Iterator[str] = iter(Path("/proc/self/status").read_text().splitlines())
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="What learning from labels costs beside cross-entropy.")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--peak", choices=LOSSES, help="the peak of one loss alone, in this process")
    options = parser.parse_args()
    if options.peak:
        print(peak_mib(options.peak))
        return
    again = [sys.executable, __file__, "--peak"]
    peaks = {
        f"{name}_peak_mib": float(subprocess.run([*again, name], check=True, capture_output=True, text=True).stdout)
        for name in LOSSES
    }
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(times(options.steps, options.passes, Path(folder)) | peaks))


if __name__ == "__main__":
    main()
