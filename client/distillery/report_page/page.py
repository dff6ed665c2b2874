"""One self-contained HTML page of an evaluation: the verdict first, then what it rests on."""

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ..recorded_report import Recorded
from ..sizes import bytes_text
from .calibration_plot import calibration_plot
from .examples import examples
from .interval_plot import interval_plot

if TYPE_CHECKING:
    from distillery_gate import Verdict

TITLES = {
    "retention": "Retention", "incumbent": "Beside the incumbent", "minAccuracy": "Accuracy",
    "minF1": "Macro F1", "minNdcg": "NDCG@10",
    "maxMeanAbsoluteError": "Mean absolute error", "maxPerplexity": "Perplexity", "negativeFlips": "Negative flips",
    "copiedErrors": "Copied errors", "calibrationError": "Calibration error", "worstSlice": "Worst slice",
    "robustness": "Robustness", "contamination": "Known test rows",
    "latencyP50": "Half of the answers, ms", "latencyP99": "99 % of the answers, ms",
    "artifactBytes": "Artifact, bytes", "memoryBytes": "Memory, bytes", "costPerMillion": "Price of a million answers",
}  # fmt: skip
# What a metric's number is, what counts as one item, and what models answer a row with.
METRICS = {
    "accuracy": ("the share of right answers; larger is better", "rows", "labels"),
    "macro F1": ("the mean F1 of the labels that occur in gold; larger is better", "rows", "labels"),
    "NDCG@10": ("the mean over queries, from 0 to 1; larger is better", "queries", "scores"),
    "mean absolute error": ("in the unit of the scores; smaller is better", "rows", "scores"),
    "perplexity": (
        "e to the power of the mean nats per token; smaller is better", "texts",
        "nats per token of a block, which are its mean negative log-likelihood; smaller is better",
    ),
}  # fmt: skip
ORIGINS = ("teacher", "test", "artifact", "incumbent", "control", "writer", "items", "examples")


class Flips(NamedTuple):
    """On how many items another model and the student are right."""

    other: str
    both: int
    student: int
    other_alone: int
    neither: int


def page(recorded: Recorded, verdict: "Verdict") -> str:
    """The HTML. verdict: what the record gives, which is the report's own."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "number": number,
        "count": count,
        "bytes": bytes_text,
        "answer": answer,
        "headings": headings,
        "upper_first": upper_first,
    }
    environment.globals |= {"plot": interval_plot, "curve": calibration_plot}
    template = environment.from_string(files(__package__).joinpath("page.html.j2").read_text())
    report = recorded.report.model_dump(by_alias=True)
    meaning, counted, answers = METRICS[recorded.metric]
    return template.render(
        style=Markup(files(__package__).joinpath("page.css").read_text()),
        report=report, verdict=verdict, digest=recorded.digest, titles=TITLES, place=recorded.place,
        signed_by=recorded.signed_by,
        calibrations=ends(verdict.calibration), curves=curves(recorded, verdict),
        models=ends(verdict.measurements), slices=ends(verdict.slices), perturbations=ends(verdict.perturbations),
        confidence=f"{100 * (1 - 2 * verdict.level):.4g} %", flips=list(flips(recorded)),
        examples=list(examples(recorded)),
        meaning=meaning, counted=counted, answers=answers,
        origins=report.get("trainingData", {}) | {name: report[name] for name in ORIGINS if report.get(name)},
    )  # fmt: skip


def ends(lines: Sequence[Any]) -> list[float]:
    """The ends of intervals that share a scale."""
    return [end for each in lines for end in (each.low, each.high) if end is not None]


def curves(recorded: Recorded, verdict: "Verdict") -> dict[str, list[Any]]:
    """Bins of each model whose calibration was measured."""
    from distillery_gate import items_of
    from distillery_gate.calibration import bins

    items: Any = items_of(recorded.metric, recorded.columns)
    names = [each.name for each in verdict.calibration]
    return {name: list(bins(getattr(items, name), items.confidences[name])) for name in names}


def flips(recorded: Recorded) -> Iterator[Flips]:
    """Against every other model, where answers are right or wrong."""
    if recorded.metric not in ("accuracy", "macro F1"):
        return
    gold, columns = recorded.columns["gold"], recorded.columns
    student = [answer == label for answer, label in zip(columns["student"], gold, strict=True)]
    for other in ("teacher", "incumbent", "control"):
        if other in columns:
            right = [answer == label for answer, label in zip(columns[other], gold, strict=True)]
            found = Counter(zip(student, right, strict=True))
            yield Flips(other, found[True, True], found[True, False], found[False, True], found[False, False])


def number(value: Any) -> str:
    """Four decimals where there are some, three digits of what is too small for them, a dash where there is nothing."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if 0 < abs(value) < 0.001:
        return f"{value:.3g}"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}".removesuffix(".0")


def answer(value: Any) -> str:
    """A label as it is; a score or a loss as a number."""
    return value if isinstance(value, str) else number(value)


def headings(answers: dict[str, Any]) -> list[str]:
    """Those of columns with such answers; # before one of numbers."""
    return [label if isinstance(value, str) else f"#{label}" for label, value in answers.items()]


def upper_first(words: str) -> str:
    """The words as a heading: Accuracy, Macro F1, NDCG@10."""
    return words[:1].upper() + words[1:]


def count(value: int, of: int) -> str:
    """A count with its share."""
    return f"{value:,} ({100 * value / of:.1f} %)"
