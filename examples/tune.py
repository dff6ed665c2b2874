"""Compares learning rates by student and control on dev.parquet: rows that no job of the example reads.

    python examples/tune.py JOB FOLDER [--learning-rate 0.0015 ...] [--seed 0 ...] [--workdir DIR]

JOB is the job.yaml of an example, FOLDER what its prepare.py printed. Each combination runs the worker's own preflight,
label and train stages, with student and control at this rate and the rest as in the job, and prints one JSON object:
the task's metric (accuracy, mean absolute error, perplexity) for each.
Soft labels and trained models stay in the workdir and are reused, as they are in a cluster: an interrupted comparison
goes on where it was.
"""

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from distillery_api.distillationjob import Control, DistillationJobSpec
from distillery_api.run import JobRef, LabelRun, PreflightRun, TrainRun
from distillery_api.sources import ModelSource
from distillery_api.teachers import Teacher
from distillery_gate import items_of
from distillery_storage import Prefix, open_prefix
from distillery_worker.artifacts.records import ModelRecord, TrainRecord, fetch_model, read_record, student_prefix
from distillery_worker.context import Context, usable_threads
from distillery_worker.devices import best_device
from distillery_worker.evaluation.recorded import recorded
from distillery_worker.runner import configure_libraries
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from distillery_worker.tasks.registry import TASKS
from distillery_worker.teachers.teacher import outputs_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--learning-rate", type=float, nargs="+", default=[0.001, 0.0015, 0.002, 0.003, 0.005])
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--workdir", type=Path, default=Path("build/tune"))
    arguments = parser.parse_args()
    configure_libraries(usable_threads())
    spec = DistillationJobSpec.model_validate(yaml.safe_load(arguments.job.read_text())["spec"])
    folder, workdir = arguments.folder.resolve(), arguments.workdir.resolve()
    for seed in arguments.seed:
        for rate in arguments.learning_rate:
            print(json.dumps(compare(spec, folder, workdir, rate, seed)), flush=True)


def compare(spec: DistillationJobSpec, folder: Path, workdir: Path, rate: float, seed: int) -> dict[str, Any]:
    """Train student and control; their metrics on the dev rows, and what both cost."""
    (workdir / "storage").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        context = Context(workdir=Path(scratch), threads=usable_threads())
        student, record = trained(spec, folder, f"file://{workdir}/storage", context, rate, seed)
        models = {"student": record.student, "control": record.control}
        scores = {
            name: on_dev(spec, folder, fetch_model(student, model, context.folder(f"dev/{name}")), record, context)
            for name, model in models.items()
            if model
        }
        return {"learning_rate": rate, "seed": seed, **scores, "cpu_seconds": cpu_seconds(models)}


def trained(
    spec: DistillationJobSpec, folder: Path, storage: str, context: Context, rate: float, seed: int
) -> tuple[Prefix, TrainRecord]:
    """Run the stages up to train, or find what they made before; the student's prefix and its record."""
    changes = {"learning_rate": rate, "seed": seed, "control": Control(learning_rate=rate)}
    recipe: dict[str, Any] = {
        "student": spec.student, "objective": spec.objective, "training": spec.training.model_copy(update=changes)
    }  # fmt: skip
    names = [name for name in ("train", "unlabelled", "test") if getattr(spec.dataset, name)]
    files = {name: f"file://{folder}/{name}.parquet" for name in names}
    common: dict[str, Any] = {
        "task": spec.task,
        "job": JobRef(namespace="local", name="tune", uid=f"{rate}-{seed}"), "attempt": 1, "storage": storage,
        "teachers": [Teacher(model=ModelSource(uri=f"file://{folder}/teacher"))], "soft_labels": spec.soft_labels,
        "dataset": spec.dataset.model_copy(update=files),
    }  # fmt: skip
    found = preflight(PreflightRun(**common, **recipe), context)
    if found.missing_rows:
        label(LabelRun(**common, labels_key=found.labels_key), context)
    train(TrainRun(**common, **recipe, labels_key=found.labels_key, student_key=found.student_key), context)
    student = student_prefix(open_prefix(storage), found.student_key)
    record = read_record(student)
    assert record is not None  # noqa: S101 - train has published it
    return student, record


def on_dev(spec: DistillationJobSpec, folder: Path, model: Path, record: TrainRecord, context: Context) -> float:
    """The metric of a trained model on the dev rows."""
    task = TASKS[spec.task]
    head, encoder = task.head_of(record.labels), task.encoder(model, record.preprocessing)
    rows = task.load_rows(f"file://{folder}/dev.parquet", "dev", spec.dataset.columns, head, context.folder("dev"))
    dev = task.units(rows, encoder)
    predict = partial(task.predict, task.load_student(model).to(best_device()))
    answers = head.answers(outputs_of(predict, encoder, dev.inputs, head.outputs, context.progress.advance))
    # Beside itself: items have a teacher.
    items = items_of(head.metric, recorded(head, dev, range(len(dev)), {"teacher": answers, "student": answers}))
    return round(items.measure(items.student, 0.05)[0], 4)


def cpu_seconds(models: dict[str, ModelRecord | None]) -> dict[str, int]:
    """Of each model's training."""
    return {name: round(model.cpu_seconds) for name, model in models.items() if model}


if __name__ == "__main__":
    main()
