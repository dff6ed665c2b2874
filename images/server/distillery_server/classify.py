"""The friendly route: texts in, label names and scores out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import Refused
from .fields import check_texts
from .limits import Limits

FIELDS = {"text", "texts", "top_k"}


@dataclass(frozen=True)
class ClassifyRequest:
    """Texts to classify; with `top_k`, each result lists that many labels with their scores."""

    texts: list[str]
    top_k: int | None


def parse_classify(body: dict[str, Any], labels: int, limits: Limits) -> ClassifyRequest:
    """Read {"text": …} or {"texts": […]}, with an optional "top_k". Raises Refused."""
    if unknown := sorted(set(body) - FIELDS):
        raise Refused(400, f"{unknown[0]}: no such field; use text or texts, and top_k")
    if ("text" in body) == ("texts" in body):
        raise Refused(400, 'send either "text" (a string) or "texts" (a list of strings)')
    texts = check_texts([body["text"]], "text", limits) if "text" in body else body["texts"]
    return ClassifyRequest(check_texts(texts, "texts", limits), _top_k(body.get("top_k"), labels))


def _top_k(value: Any, labels: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= labels:
        raise Refused(400, f"top_k: must be a whole number from 1 to {labels}, the number of labels")
    return value


def classify_results(probabilities: NDArray[np.float32], labels: list[str], top_k: int | None) -> list[dict[str, Any]]:
    """The best label of each text and its score; `scores` best first where `top_k` is set."""
    return [_result(row, labels, top_k) for row in probabilities]


def _result(row: NDArray[np.float32], labels: list[str], top_k: int | None) -> dict[str, Any]:
    best = np.argsort(-row, kind="stable")[: top_k or 1]
    scores = [{"label": labels[index], "score": round(float(row[index]), 6)} for index in best]
    return {**scores[0], "scores": scores} if top_k else dict(scores[0])
