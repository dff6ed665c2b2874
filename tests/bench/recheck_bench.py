"""`make bench-recheck`: what moves stored labels, beside what their re-check allows. The last line is JSON.

Labels of each kind are computed once, and again under a disturbance: row by row in place of in batches, on two
threads, with another implementation of attention, with weights rounded as TF32 and bfloat16 round them (activations
are not), and with noise on the weights, as a teacher has that was trained a little further. Each number is the largest
distance of a row divided by the one that is allowed: above 1 the re-check refuses the stored labels. Teachers are those
of the small WordNet and SOTU cases.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from distillery_api.run import RUN
from distillery_worker.context import Context
from distillery_worker.labels.codecs import Codec
from distillery_worker.labels.comparing import compare
from distillery_worker.labels.segments import RowLabels
from distillery_worker.stages.dataset import load_files
from distillery_worker.tasks.registry import task_of
from distillery_worker.teachers.panel import fetch_panel

ROWS = 64
KINDS: dict[str, tuple[dict[str, Any], ...]] = {
    "text-classification": ({},),
    "causal-lm": ({"kind": "sampled"}, {"kind": "topK", "k": 12}, {"kind": "hidden"}, {"kind": "logits"}),
}
Teacher = Any  # of any task, with a torch model
Disturbance = Callable[[torch.Tensor], torch.Tensor]


def labelling(
    task: str, folder: Path, soft_labels: dict[str, Any], scratch: Path
) -> tuple[Teacher, Codec, dict[str, Any]]:
    """The case's teacher, its codec, and the first rows by key."""
    run = RUN.validate_python({
        "stage": "label", "job": {"namespace": "bench", "name": "recheck", "uid": "uid"}, "attempt": 1,
        "storage": (scratch / "storage").as_uri(), "task": task,
        "teachers": [{"model": {"uri": (folder / "teacher").as_uri()}}],
        "dataset": {name: (folder / f"{name}.parquet").as_uri() for name in ("train", "test")},
        "softLabels": soft_labels, "labelsKey": "sha256:" + "0" * 64,
    })  # fmt: skip
    context = Context(workdir=scratch / "work")
    panel = fetch_panel(run, context)
    rows = load_files(run, panel.head, ("train",), context)["train"]
    views = task_of(run).views(run.soft_labels, panel.local).all(rows)
    member = panel.members[0]
    return member.teacher, member.labels.codec, dict(list(views)[:ROWS])


def answers(teacher: Teacher, codec: Codec, rows: dict[str, Any]) -> Sequence[RowLabels]:
    """Labels of the rows, computed together."""
    return teacher.labels(codec, list(rows), list(rows.values()), lambda _: None)


def one_by_one(teacher: Teacher, codec: Codec, rows: dict[str, Any]) -> Sequence[RowLabels]:
    """Labels of the rows, each in a batch of its own."""
    return [label for key, row in rows.items() for label in answers(teacher, codec, {key: row})]


@contextmanager
def changed(model: torch.nn.Module, change: Disturbance) -> Iterator[None]:
    """The model with other weights, for a while."""
    kept = [weight.detach().clone() for weight in model.parameters()]
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(change(weight))
        yield
        for weight, before in zip(model.parameters(), kept, strict=True):
            weight.copy_(before)


def tf32(weight: torch.Tensor) -> torch.Tensor:
    """Rounded to 10 bits of mantissa."""
    return ((weight.view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def noisy(scale: float) -> Disturbance:
    """Normal noise of that share of each weight's standard deviation."""
    random = torch.Generator().manual_seed(0)

    def add(weight: torch.Tensor) -> torch.Tensor:
        spread = weight.std() if weight.numel() > 1 else torch.tensor(0.0)
        return weight + torch.randn(weight.shape, generator=random) * spread * scale

    return add


WEIGHTS: dict[str, Disturbance] = {
    "TF32 weights": tf32,
    "bfloat16 weights": lambda weight: weight.bfloat16().float(),
    "noise of 1 % on weights": noisy(0.01),
    "noise of 10 % on weights": noisy(0.1),
}


def measured(task: str, folder: Path, soft_labels: dict[str, Any]) -> tuple[str, dict[str, float]]:
    """The codec's kind, and by disturbance the largest distance in units of the allowed one."""
    with tempfile.TemporaryDirectory() as scratch:
        teacher, codec, rows = labelling(task, folder, soft_labels, Path(scratch))
        torch.set_num_threads(1)
        stored = answers(teacher, codec, rows)
        live = {"row by row": one_by_one(teacher, codec, rows)}
        torch.set_num_threads(2)
        live["two threads"] = answers(teacher, codec, rows)
        torch.set_num_threads(1)
        teacher.model.set_attn_implementation("eager")
        live["another attention"] = answers(teacher, codec, rows)
        for name, change in WEIGHTS.items():
            with changed(teacher.model, change):
                live[name] = answers(teacher, codec, rows)
    found = {name: compare(codec, stored, labels) for name, labels in live.items()}
    return codec.kind, {
        name: float(f"{each.distances.max() / each.allowed.distance:.2g}") for name, each in found.items()
    }


def main() -> None:
    """Measure every kind of label, and print."""
    parser = argparse.ArgumentParser(description="What moves stored labels, beside what their re-check allows.")
    parser.add_argument("wordnet", type=Path, help="folder of the small WordNet case")
    parser.add_argument("sotu", type=Path, help="folder of the small SOTU case")
    chosen = parser.parse_args()
    folders = {"text-classification": chosen.wordnet, "causal-lm": chosen.sotu}
    found: dict[str, dict[str, float]] = {}
    for task, kinds in KINDS.items():
        for soft_labels in kinds:
            kind, distances = measured(task, folders[task], soft_labels)
            found[f"{task}, {kind}"] = distances
    print(json.dumps(found))


if __name__ == "__main__":
    main()
