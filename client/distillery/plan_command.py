"""`distillery plan`: stages, rows, label bytes, time and cost before anything runs, and what storage holds already."""

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from distillery_api.summary import PreflightResult
from distillery_storage import Entry, Prefix, StorageError, open_prefix

from .estimate.amounts import HOUR, Sizes, Work, label_bytes, stage_work, total
from .estimate.data_files import DataFile, measure_file
from .estimate.models import ModelFolder, measure_model, student_parameters
from .labels.label_sets import LabelSet
from .local.preflight import run_preflight
from .request import read_request
from .retention.garbage import Folders, folders_of
from .run_command import require_worker
from .screen import duration
from .sizes import bytes_text
from .verdict_table import table

UNKNOWN = "unknown"


def plan(options: argparse.Namespace) -> int:
    """Print the plan; 0."""
    request = read_request(options.files, options.name, options.storage, options.defaults)
    spec = request.job["spec"]
    checked: PreflightResult | None = None
    if options.preflight:
        require_worker()
        with tempfile.TemporaryDirectory(prefix="distillery-") as folder:
            checked = run_preflight(request, Path(folder), len(os.sched_getaffinity(0)))
    files = measured_files(spec["dataset"])
    teachers = [measure_model(each["model"]["uri"]) for each in spec["teachers"] if each.get("model")]
    sizes = sizes_of(spec, files, teachers, checked)
    sections = (
        [f"{request.job['metadata']['name']}: {spec['task']}, storage {spec['storage']['uri']}"],
        stage_lines(stage_work(spec, sizes), options.tflops, options.price_per_gpu_hour, spec),
        [*file_lines(files), *dropped_lines(checked)],
        label_lines(spec, sizes, teachers, checked),
        list(storage_lines(spec, checked)),
    )
    print("\n\n".join("\n".join(lines) for lines in sections))
    return 0


def measured_files(dataset: Mapping[str, Any]) -> dict[str, DataFile]:
    """Every file of the dataset by its field."""
    column = str(dataset["columns"].get("text"))
    named = {field: dataset[field] for field in ("train", "unlabelled", "test") if dataset.get(field)}
    return {field: measure_file(uri, column) for field, uri in named.items()}


def sizes_of(
    spec: Mapping[str, Any], files: Mapping[str, DataFile], teachers: Sequence[ModelFolder],
    checked: PreflightResult | None,
) -> Sizes:  # fmt: skip
    """What the estimates start from. A teacher that is no folder makes the teachers' size unknown."""
    learned = [files[field] for field in ("train", "unlabelled") if field in files]
    known = len(teachers) == len(spec["teachers"])
    rows = total(*(file.rows for file in learned))
    return Sizes(
        learned_rows=rows,
        learned_bytes=total(*(file.text_bytes for file in learned)),
        tested_bytes=files["test"].text_bytes,
        teacher=total(*(each.parameters for each in teachers)) if known else None,
        student=student_parameters(spec["student"], teachers[0].vocabulary if teachers else None),
        missing=checked.missing_rows / rows if checked and rows and spec["task"] != "causal-lm" else 1.0,
    )


def stage_lines(
    works: Sequence[Work], tera_operations: float | None, gpu_hour: float | None, spec: Mapping[str, Any]
) -> list[str]:
    """A table of the stages, the whole cost, and the limit that holds whatever the estimates say."""
    rows, costs = [], []
    for work in works:
        seconds = work.seconds(tera_operations)
        costs.append(work.cost(seconds, gpu_hour))
        pods = f"{work.pods} of {spec['softLabels']['shards']}" if work.stage == "label" else str(work.pods)
        amounts = operations(work.operations), estimate(seconds), money(costs[-1])
        rows.append((work.stage, pods, str(work.gpus), *amounts))
    lines = table(("STAGE", "PODS", "GPUS", "OPERATIONS", "TIME", "GPU COST"), rows)
    known = [cost for cost in costs if cost is not None]
    lines.append(f"GPU cost in all: {money(sum(known) if len(known) == len(costs) else None)}")
    if tera_operations is None:
        lines.append("Times are known with --tflops: 10^12 operations a second that a device sustains.")
    if limit := (spec.get("limits") or {}).get("gpuSeconds"):
        at_most = f", which is {money(limit / HOUR * gpu_hour)}" if gpu_hour is not None else ""
        lines.append(f"spec.limits.gpuSeconds ends the run at {limit} GPU-seconds{at_most}.")
    return lines


def file_lines(files: Mapping[str, DataFile]) -> list[str]:
    """Rows and text of each file."""
    rows = [
        (field, count(file.rows), UNKNOWN if file.text_bytes is None else bytes_text(file.text_bytes), file.unknown)
        for field, file in files.items()
    ]
    return table(("DATA", "ROWS", "TEXT", "NOTE"), rows)


def dropped_lines(checked: PreflightResult | None) -> list[str]:
    """Rows that dataset.filters leave out, by filter, where preflight counted them."""
    dropped = checked.dropped_rows if checked else {}
    return [f"Not learned from: {', '.join(f'{number} by {name}' for name, number in dropped.items())}"] * bool(dropped)


def label_lines(
    spec: Mapping[str, Any], sizes: Sizes, teachers: Sequence[ModelFolder], checked: PreflightResult | None
) -> list[str]:
    """Bytes of soft labels that would be written."""
    outputs = teachers[0].outputs if teachers else None
    rows = checked.missing_rows if checked else sizes.learned_rows
    size = checked.label_bytes if checked else label_bytes(spec, rows, outputs)
    most = "" if checked else "at most "
    words = UNKNOWN if size is None else f"{most}{bytes_text(size)} for {most}{rows} rows"
    kind = spec["softLabels"].get("kind") or ("sampled" if spec["task"] == "causal-lm" else "logits")
    return [f"Soft labels ({kind}): {words}", *(each.unknown for each in teachers if each.unknown)]


def storage_lines(spec: Mapping[str, Any], checked: PreflightResult | None) -> Iterator[str]:
    """What of the storage prefix is reused, and what it retains."""
    try:
        storage = open_prefix(spec["storage"]["uri"])
        entries = storage.entries()
    except StorageError as error:
        yield f"Storage: {error}"
        return
    folders = folders_of(entries)
    yield from reused_exactly(folders, checked) if checked else reused_perhaps(storage, folders, spec)
    yield "Storage retains:"
    for name, found in (("label sets", folders.labels), ("selections", folders.selections),
                        ("students", folders.students), ("evaluations", folders.evaluations)):  # fmt: skip
        yield f"  {len(found)} {name}, {bytes_text(sum(entry.size for each in found.values() for entry in each))}"
    yield "  distillery gc --dry-run tells what of it can go."


def reused_exactly(folders: Folders, checked: PreflightResult) -> Iterator[str]:
    """By the keys that preflight found."""
    learned = sum(rows for name, rows in checked.rows.items() if name != "test")
    student = folders.students.get(checked.student_key.removeprefix("sha256:"), ())
    trained = any(entry.path.endswith("/train.json") for entry in student)
    yield f"Reused: soft labels of all but {checked.missing_rows} of {learned} rows; " + (
        "the trained student" if trained else "no student: train runs" + (", from a checkpoint" if student else "")
    )


def reused_perhaps(storage: Prefix, folders: Folders, spec: Mapping[str, Any]) -> Iterator[str]:
    """By the teacher's digest, where the spec pins it: rows and student keys are for preflight to find."""
    pinned = (spec["teachers"][0].get("model") or {}).get("digest")
    if pinned is None:
        yield "Reused: unknown; --preflight tells, or pin teachers[0].model.digest to see its stored labels here."
        return
    rows = sum(stored_rows(storage, key, entries, pinned) for key, entries in folders.labels.items())
    yield f"Reused: up to {rows} rows that this teacher labelled; --preflight tells which, and whether a student is."


def stored_rows(storage: Prefix, key: str, entries: Sequence[Entry], teacher: str) -> int:
    """Rows of a label set, if it is that teacher's."""
    below = [Entry(entry.path.removeprefix(f"labels/{key}/"), entry.size, entry.modified) for entry in entries]
    labels = LabelSet(storage.child(f"labels/{key}"), below)
    try:
        if labels.codec().get("teacher") != teacher:
            return 0
        return sum(labels.record(segment).rows for segment in labels.segments)
    except (StorageError, ValueError):  # distillery labels verify names what is damaged
        return 0


def operations(amount: float | None) -> str:
    """Operations in powers of ten; a dash where they do not count."""
    if amount is None:
        return UNKNOWN
    return f"about {amount:.1e}" if amount else "-"


def estimate(seconds: float | None) -> str:
    """A time that is no promise; a dash where it does not count."""
    if seconds is None:
        return UNKNOWN
    return f"about {duration(max(1.0, seconds))}" if seconds else "-"


def money(amount: float | None) -> str:
    """In whatever currency the price was given."""
    return UNKNOWN if amount is None else f"{amount:.2f}"


def count(number: int | None) -> str:
    """A number, or unknown."""
    return UNKNOWN if number is None else str(number)
