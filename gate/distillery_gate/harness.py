"""Per-sample logs of lm-evaluation-harness (`lm_eval --log_samples`) as items of the gate.

A log, samples_TASK_TIME.jsonl, has a line for each document and filter: doc_id, doc_hash, target_hash, prompt_hash,
filter, metrics (the names of the measures), and each measure's value. Read from lm-evaluation-harness 0.4.13.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import GateInputError
from .items import Items
from .recorded import items_of
from .tables import json_rows

FIELDS = ("filter", "doc_hash", "target_hash", "prompt_hash")  # what answers to the same document have alike
LIKELIHOODS = ("word_perplexity", "byte_perplexity")  # log-likelihood and number of words or bytes
NAME = re.compile(r"samples_(?P<task>.+)_\d{4}-\d\d-\d\dT[\d.-]+")

Key = tuple[str, int, int]  # task, doc_id, and how many answers to the same document come before


@dataclass(frozen=True)
class Sample:
    """One line of a log."""

    place: str  # file and line
    fields: Mapping[str, str]
    value: Any


def items_of_logs(
    logs: Mapping[str, Sequence[str]], measure: str, chosen: str | None, same: Sequence[str] = FIELDS
) -> Items:
    """The items of each model's logs, one file for each task; tasks become slices, and equal documents clusters.

    Args:
        logs: paths by model, teacher and student among them.
        measure: name of a metric that the logs have for each document. 0 and 1 alone are right and wrong answers, other
            numbers scores of which larger ones are better; word_perplexity, byte_perplexity and perplexity are
            likelihoods.
        chosen: the filter whose answers count; may be None where the logs have one.
        same: the fields that must be equal between models.

    Raises:
        GateInputError: naming the line, and the fix.
    """
    samples = {model: read_logs(paths, measure, chosen) for model, paths in logs.items()}
    student = samples["student"]
    for model, given in samples.items():
        check_same(student, given, model, same)
    metric, columns = measured(measure, {model: [given[key] for key in student] for model, given in samples.items()})
    columns["cluster"] = [each.fields["doc_hash"] for each in student.values()]
    columns["slice"] = [task for task, _, _ in student]
    return items_of(metric, columns)


def read_logs(paths: Sequence[str], measure: str, chosen: str | None) -> dict[Key, Sample]:
    """One model's samples in the order of their lines. Raises GateInputError."""
    found: dict[Key, Sample] = {}
    tasks: dict[str, str] = {}
    for path in paths:
        task = task_of(path)
        if task in tasks:
            raise GateInputError(f"{path}: is of task {task}, as {tasks[task]} is; name one log for each task")
        tasks[task] = path
        found.update(read_log(path, task, measure, chosen))
    return found


def task_of(path: str) -> str:
    """The task in a log's name, or the name where it has another form."""
    stem = Path(path).stem
    match = NAME.fullmatch(stem)
    return match["task"] if match else stem


def read_log(path: str, task: str, measure: str, chosen: str | None) -> dict[Key, Sample]:
    """The samples of one task. Raises GateInputError."""
    rows = list(json_rows(path))
    for number, row in rows:
        if lacking := [name for name in ("doc_id", *FIELDS) if name not in row]:
            raise GateInputError(
                f"{path}: line {number} has no {lacking[0]}; log with lm_eval --log_samples, such as version 0.4.13"
            )
    filters = sorted({row["filter"] for _, row in rows})
    if (chosen is None and len(filters) > 1) or (chosen is not None and chosen not in filters):
        raise GateInputError(f"--filter: {path} has answers by {', '.join(filters) or 'none'}; name one of them")
    answers = Counter[int]()
    found: dict[Key, Sample] = {}
    for number, row in rows:
        if chosen in (None, row["filter"]):
            found[task, row["doc_id"], answers[row["doc_id"]]] = sample(f"{path}: line {number}", row, measure)
            answers[row["doc_id"]] += 1
    return found


def sample(place: str, row: Mapping[str, Any], measure: str) -> Sample:
    """What of a line counts. Raises GateInputError where it lacks the measure."""
    if measure not in row:
        raise GateInputError(f"--measure: {place} has no {measure}, only {', '.join(row.get('metrics', ()))}; name one")
    return Sample(place, {name: row[name] for name in FIELDS}, row[measure])


def check_same(student: Mapping[Key, Sample], given: Mapping[Key, Sample], model: str, same: Sequence[str]) -> None:
    """Both answered the same documents, as often. Raises GateInputError at the first that differs."""
    for key in [*student, *given]:
        if key not in student or key not in given:
            has, lacks = (given, "student") if key in given else (student, model)
            raise GateInputError(f"--{lacks}: has no answer to {has[key].place}; evaluate all on the same documents")
    for key, one in student.items():
        for name in same:
            if one.fields[name] != given[key].fields[name]:
                raise GateInputError(
                    f"{name}: differs between {one.place} and {given[key].place}; evaluate both with the same task and"
                    " few-shot examples" + ("; --other-prompts takes other prompts" if name == "prompt_hash" else "")
                )


def measured(measure: str, samples: Mapping[str, Sequence[Sample]]) -> tuple[str, dict[str, list[Any]]]:
    """The metric of the gate, and its columns of the models. Raises GateInputError."""
    if measure in LIKELIHOODS:
        return "perplexity", likelihoods(measure, samples)
    values = {model: [number(measure, each) for each in given] for model, given in samples.items()}
    if measure == "perplexity":  # the log-likelihood of what is to be said, of which the task's is exp(-mean)
        words: list[Any] = [1] * len(values["student"])
        return "perplexity", {"tokens": words, **{model: [-each for each in given] for model, given in values.items()}}
    right_or_wrong = all(each in (0, 1) for given in values.values() for each in given)
    return "exact match" if right_or_wrong else "mean score", dict(values)


def number(measure: str, given: Sample) -> float:
    """A measure of one document. Raises GateInputError where there is none of one document alone."""
    if not isinstance(given.value, int | float):
        instead = "byte_perplexity" if measure == "bits_per_byte" else "a measure that each document has"
        raise GateInputError(
            f"--measure: {measure} of {given.place} is {str(given.value)[:40]}, of which the harness makes one value of"
            f" all documents; name {instead}"
        )
    return float(given.value)


def likelihoods(measure: str, samples: Mapping[str, Sequence[Sample]]) -> dict[str, list[Any]]:
    """Nats for each word or byte of a document, and their number. Raises GateInputError."""
    columns: dict[str, list[Any]] = {}
    for model, given in samples.items():
        pairs = [likelihood(measure, each) for each in given]
        units = [count for _, count in pairs]
        if columns.setdefault("tokens", units) != units:
            raise GateInputError(f"--{model}: {measure} counts other words or bytes; evaluate all with the same task")
        columns[model] = [-nats / count for nats, count in pairs]
    return columns


def likelihood(measure: str, given: Sample) -> tuple[float, float]:
    """Log-likelihood of a document, and its number of words or bytes. Raises GateInputError."""
    match given.value:
        case [int() | float() as nats, int() | float() as count] if count > 0:
            return nats, count
    raise GateInputError(
        f"--measure: {measure} of {given.place} is {str(given.value)[:40]}, not [log-likelihood, number of units]; log"
        " it again with lm_eval"
    )
