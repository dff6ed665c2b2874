"""The friendly route of a model that scores: texts in, one number each out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import Refused
from .fields import check_texts
from .limits import Limits


def parse_score(body: dict[str, Any], takes_query: bool, limits: Limits) -> list[Any]:
    """Read {"text": …} or {"texts": […]}, with the "query" that they are scored against where the model takes one.

    Raises Refused.
    """
    fields = {"text", "texts"} | ({"query"} if takes_query else set())
    if unknown := sorted(set(body) - fields):
        raise Refused(400, f"{unknown[0]}: no such field; use {', '.join(sorted(fields))}")
    if ("text" in body) == ("texts" in body):
        raise Refused(400, 'send either "text" (a string) or "texts" (a list of strings)')
    if "text" in body:
        texts = check_texts([body["text"]], "text", limits)
    else:
        texts = check_texts(body["texts"], "texts", limits)
    if not takes_query:
        return texts
    if "query" not in body:
        raise Refused(400, "query: missing; send the string that the texts are scored against")
    [query] = check_texts([body["query"]], "query", limits)
    return [(query, text) for text in texts]


def score_results(scores: NDArray[np.float32]) -> list[dict[str, float]]:
    """One object a text. scores: [texts, 1]"""
    return [{"score": round(float(score), 6)} for score in scores[:, 0]]
