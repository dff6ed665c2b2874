"""A model card of the student, in the format of Hugging Face's hub: nothing stands in it that the report lacks.

Fields: https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml
from distillery_api.gate import TASKS_OF, GateSpec, asked
from distillery_api.sources import HUB
from jinja2 import Environment, StrictUndefined

from ..errors import Refused
from ..recorded_report import Recorded
from .page import TITLES, number, upper_first

if TYPE_CHECKING:
    from distillery_gate import Verdict

PIPELINES = {
    "text-classification": "text-classification", "text-scoring": "text-classification",
    "image-classification": "image-classification", "causal-lm": "text-generation",
}  # fmt: skip
METRICS = {
    "accuracy": "accuracy", "macro F1": "f1", "NDCG@10": "ndcg", "mean absolute error": "mae",
    "perplexity": "perplexity",
}  # fmt: skip


def model_card(recorded: Recorded, verdict: "Verdict") -> str:
    """The card in Markdown. verdict: what the record gives. Raises Refused where the report is of an older worker."""
    from distillery_gate.wording import evidence

    # Markdown has no autoescape: `words` and `code` escape.
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"number": number, "words": words, "code": code, "upper_first": upper_first}
    report = recorded.report.model_dump(by_alias=True)
    if "task" not in report:
        raise Refused(f"{recorded.place}: does not tell its task, which a model card needs; evaluate the student again")
    student = next(each for each in verdict.measurements if each.name == "student")
    found = evidence(
        student.low, student.high, level=verdict.level, n=student.n, clusters=verdict.criteria[0].clusters, decimals=4
    )
    template = environment.from_string(files(__package__).joinpath("model_card.md.j2").read_text())
    return template.render(
        report=report, verdict=verdict, digest=recorded.digest, signed_by=recorded.signed_by, titles=TITLES,
        front=yaml.safe_dump(front_matter(report, student, found), sort_keys=False, allow_unicode=True),
        student=student, evidence=found, confidence=f"{100 * (1 - 2 * verdict.level):.4g} %", unasked=unasked(report),
    )  # fmt: skip


def front_matter(report: dict[str, Any], student: Any, found: str) -> dict[str, Any]:
    """The metadata that a hub reads. found: how sure the student's value is, in words"""
    task, metric, test = pipeline(report), METRICS[student.metric], report["test"]
    base = [match[1] for uri in report["teacher"]["uri"].split(", ") if (match := re.match(HUB, uri))]
    result = {
        "task": {"type": task},
        "dataset": {
            "type": test["uri"], "name": test["uri"].rpartition("/")[2], "split": "test", "revision": test["digest"],
        },
        "metrics": [{"type": metric, "value": student.value, "name": f"{upper_first(student.metric)} ({found})"}],
    }  # fmt: skip
    return {
        "pipeline_tag": task,
        "tags": ["distillation"],
        **({"base_model": base} if base else {}),
        "metrics": [metric],
        "model-index": [{"name": report["job"]["name"], "results": [result]}],
    }


def pipeline(report: dict[str, Any]) -> str:
    """The hub's name for the task."""
    return "text-ranking" if report.get("ranking") else PIPELINES[report["task"]]


def unasked(report: dict[str, Any]) -> list[str]:
    """Fields of the gate that it could have asked for in this task, and did not."""
    fields = asked({field.alias or name: field for name, field in GateSpec.model_fields.items()})
    of_task = (field for field in fields if report["task"] in TASKS_OF.get(field, (report["task"],)))
    return [field for field in of_task if field != "metric" and report["gate"].get(field) is None]


def words(text: Any) -> str:
    """Text that means itself in Markdown, in one line."""
    return re.sub(r"([\\`*_\[\]<>|#~&!])", r"\\\1", " ".join(str(text).split()))


def code(text: Any) -> str:
    """Text as code, in a cell of a table too."""
    return "`" + " ".join(str(text).replace("`", "'").replace("|", "\\|").split()) + "`"
