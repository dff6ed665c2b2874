"""The friendly route: texts or images in, label names and scores out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import Refused
from .inputs import Inputs
from .limits import Limits


@dataclass(frozen=True)
class ClassifyRequest:
    """Inputs to classify; with `top_k`, each result lists that many labels with their scores."""

    inputs: list[Any]
    top_k: int | None


def parse_classify(body: dict[str, Any], kind: Inputs, labels: int, limits: Limits) -> ClassifyRequest:
    """Read {"text": …} or {"texts": […]}, or the same of images, with an optional "top_k". Raises Refused."""
    one, many = kind.one, kind.many
    if unknown := sorted(set(body) - {one, many, "top_k"}):
        raise Refused(400, f"{unknown[0]}: no such field; use {one} or {many}, and top_k")
    if (one in body) == (many in body):
        raise Refused(400, f'send either "{one}" (a string) or "{many}" (a list of strings)')
    inputs = kind.read([body[one]], one, limits) if one in body else kind.read(body[many], many, limits)
    return ClassifyRequest(inputs, _top_k(body.get("top_k"), labels))


def _top_k(value: Any, labels: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= labels:
        raise Refused(400, f"top_k: must be a whole number from 1 to {labels}, the number of labels")
    return value


def classify_results(probabilities: NDArray[np.float32], labels: list[str], top_k: int | None) -> list[dict[str, Any]]:
    """The best label of each input and its score; `scores` best first where `top_k` is set."""
    return [_result(row, labels, top_k) for row in probabilities]


def _result(row: NDArray[np.float32], labels: list[str], top_k: int | None) -> dict[str, Any]:
    best = np.argsort(-row, kind="stable")[: top_k or 1]
    scores = [{"label": labels[index], "score": round(float(row[index]), 6)} for index in best]
    return {**scores[0], "scores": scores} if top_k else dict(scores[0])
