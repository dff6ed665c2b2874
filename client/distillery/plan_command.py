"""`distillery plan`: stages, rows, label bytes, time and cost before anything runs, and what storage holds already."""

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from distillery_api.summary import PreflightResult
from distillery_storage import Entry, Prefix, StorageError, open_prefix

from .estimate.amounts import (
    HOUR,
    Rates,
    Sizes,
    Work,
    answer_bytes,
    label_bytes,
    stage_work,
    token_label_bytes,
    total,
)
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
    files = measured_files(spec["dataset"], spec["task"])
    teachers = [measure_model(each["model"]["uri"]) for each in spec["teachers"] if each.get("model")]
    sizes = sizes_of(spec, files, teachers, checked)
    rates = Rates(options.tflops, options.cpu_tflops)
    sections = (
        [f"{request.job['metadata']['name']}: {spec['task']}, storage {spec['storage']['uri']}"],
        stage_lines(stage_work(spec, sizes), rates, options.price_per_gpu_hour, spec),
        [*file_lines(files), *dropped_lines(checked)],
        label_lines(spec, sizes, teachers, checked),
        list(storage_lines(spec, checked)),
    )
    print("\n\n".join("\n".join(lines) for lines in sections))
    return 0


def measured_files(dataset: Mapping[str, Any], task: str) -> dict[str, DataFile]:
    """Every file of the dataset by its field."""
    named = {field: dataset[field] for field in ("train", "unlabelled", "test") if dataset.get(field)}
    return {field: measure_file(uri, read_columns(dataset["columns"], task, field)) for field, uri in named.items()}


def read_columns(columns: Mapping[str, str], task: str, field: str) -> list[str]:
    """Columns of a file with the text that models read; images have none, and unlabelled prompts no response."""
    if task == "image-classification":
        return []
    if "prompt" in columns:
        return [columns["prompt"]] if field == "unlabelled" else [columns["prompt"], columns["response"]]
    return [columns[kind] for kind in ("query", "text") if kind in columns]


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
        student=student_parameters(spec["student"], teachers[0] if teachers else None, spec["task"]),
        missing=checked.missing_rows / rows if checked and rows and not labels_blocks(spec) else 1.0,
    )


def labels_blocks(spec: Mapping[str, Any]) -> bool:
    """Whether what is labelled are no rows but blocks of texts."""
    return bool(spec["task"] == "causal-lm" and spec["softLabels"].get("kind") != "text")


def stage_lines(works: Sequence[Work], rates: Rates, gpu_hour: float | None, spec: Mapping[str, Any]) -> list[str]:
    """A table of the stages, what all of them take, and the limit that holds whatever the estimates say."""
    shards = spec["softLabels"]["shards"]
    rows = [stage_row(work, rates, gpu_hour, shards) for work in works]
    seconds = total(*(work.seconds(rates) for work in works))
    used = total(*(work.gpu_seconds(rates) for work in works))
    lines = table(("STAGE", "PODS", "GPUS", "OPERATIONS", "TIME", "GPU-SECONDS", "GPU COST"), rows)
    lines.append(
        f"Estimated in all: {time_text(seconds)}, one stage after another;"
        f" GPU-seconds: {amount(used)}; GPU cost: {cost(used, gpu_hour)}"
    )
    lines.append(
        f"Assumed: {rates.gpu:g} * 10^12 operations a second on a GPU (--tflops),"
        f" {rates.cpu:g} * 10^12 in a pod without (--cpu-tflops)"
    )
    if limit := (spec.get("limits") or {}).get("gpuSeconds"):
        at_most = f", which is {cost(limit, gpu_hour)}" if gpu_hour is not None else ""
        lines.append(f"spec.limits.gpuSeconds ends the run at {limit} GPU-seconds{at_most}.")
    return lines


def stage_row(work: Work, rates: Rates, gpu_hour: float | None, shards: int) -> tuple[str, ...]:
    """What one stage takes."""
    pods = f"{work.pods} of {shards}" if work.stage == "label" else str(work.pods)
    used = work.gpu_seconds(rates)
    amounts = operations(work.operations), time_text(work.seconds(rates)), amount(used), cost(used, gpu_hour)
    return work.stage, pods, str(work.gpus), *amounts


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
    rows = checked.missing_rows if checked else sizes.learned_rows
    size = checked.label_bytes if checked else unchecked_bytes(spec, sizes, teachers[0] if teachers else ModelFolder())
    most = "" if checked else "at most "
    words = UNKNOWN if size is None else f"{most}{bytes_text(size)} for {most}{rows} rows"
    kind = spec["softLabels"].get("kind") or ("sampled" if spec["task"] == "causal-lm" else "logits")
    return [f"Soft labels ({kind}): {words}", *(each.unknown for each in teachers if each.unknown)]


def unchecked_bytes(spec: Mapping[str, Any], sizes: Sizes, teacher: ModelFolder) -> float | None:
    """Bytes of soft labels by the sizes alone."""
    if spec["softLabels"].get("kind") == "text":
        return answer_bytes(spec["softLabels"], sizes.learned_rows)
    if spec["task"] == "causal-lm":
        return token_label_bytes(spec["softLabels"], sizes.learned_bytes, teacher.vocabulary, teacher.hidden)
    return label_bytes(spec, sizes.learned_rows, teacher.outputs)


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
    ungraded = f", {checked.ungraded_rows} of them without a grade" if checked.ungraded_rows else ""
    yield f"Reused: soft labels of all but {checked.missing_rows} of {learned} rows{ungraded}; " + (
        "the trained student" if trained else "no student: train runs" + (", from a checkpoint" if student else "")
    )


def reused_perhaps(storage: Prefix, folders: Folders, spec: Mapping[str, Any]) -> Iterator[str]:
    """By the teacher's digest, where the spec pins it: rows and student keys are for preflight to find."""
    number, asked = next((number, each) for number, each in enumerate(spec["teachers"]) if each["weight"] > 0)
    if (folder := asked.get("model")) is None:
        yield "Reused: unknown; --preflight tells."
        return
    if (pinned := folder.get("digest")) is None:
        field = f"teachers[{number}].model.digest"
        yield f"Reused: unknown; --preflight tells, or pin {field} to see its stored labels here."
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


def operations(number: float | None) -> str:
    """Operations in powers of ten; a dash where they do not count."""
    if number is None:
        return UNKNOWN
    return f"about {number:.1e}" if number else "-"


def time_text(seconds: float | None) -> str:
    """A time that is no promise; a dash where it does not count."""
    if seconds is None:
        return UNKNOWN
    return f"about {duration(max(1.0, seconds))}" if seconds else "-"


def amount(gpu_seconds: float | None) -> str:
    """GPU-seconds that are no promise, in two digits; a dash where there are none."""
    if gpu_seconds is None:
        return UNKNOWN
    return f"about {float(f'{max(1.0, gpu_seconds):.1e}'):.0f}" if gpu_seconds else "-"


def cost(gpu_seconds: float | None, gpu_hour: float | None) -> str:
    """In whatever currency the price was given; nothing without GPUs."""
    if gpu_seconds is None or (gpu_seconds and gpu_hour is None):
        return UNKNOWN
    return f"{gpu_seconds / HOUR * (gpu_hour or 0.0):.2f}"


def count(number: int | None) -> str:
    """A number, or unknown."""
    return UNKNOWN if number is None else str(number)
