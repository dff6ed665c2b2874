"""Items as an evaluation records them: a row for each, with what it is judged by and every model's answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import checked_numbers, checked_results
from .clusters import by_cluster
from .errors import GateInputError
from .f1 import F1Items
from .items import ErrorItems, EvaluationItems, Items
from .paired_likelihood import LikelihoodItems
from .ranking import RankingItems, ranked
from .scores import ScoreItems
from .wins import WinItems, points_of

MODELS = ("teacher", "student", "incumbent", "control")
PERTURBATIONS = ("typos", "case", "truncation", "noise", "blur")
Columns = Mapping[str, Sequence[Any]]


def items_of(metric: str, columns: Columns) -> Items:
    """The items of recorded columns, of equal length.

    Args:
        metric: "accuracy", "macro F1", "mean absolute error", "NDCG@10", "perplexity", "exact match", "mean score" or
            "win rate".
        columns: `teacher` and `student`, and `incumbent` and `control` where there are such: labels, scores, or a
            text's mean negative log-likelihood of a token; `gold`: the right label or score; `tokens`, of a text: how
            many are predicted; `query`, of NDCG: what the row's text is ranked for; `student_confidence` and those of
            other models, optional: the probability of a label; `student_typos` and the like, optional: its answers to
            the rows as a perturbation changes them; `cluster`, optional: what the row belongs to, such as its group or
            document; `slice`, optional; `contaminated`, optional: whether the row stands in what the student learned
            from.
            For "exact match" the models have 1 where they are right and 0 where they are wrong, for "mean
            score" their scores, larger being better; neither has `gold`. "win rate" has in place of models `judge`,
            whose answer is better: "student", "tie" or "reference"; and, optional, `judge_swapped`, the same where the
            answers were shown in the other order.

    Raises:
        GateInputError: naming the column and the fix.
    """
    if metric not in READERS:
        raise GateInputError(f"metric: {metric!r} is none of {', '.join(READERS)}")
    counted = "judge" if metric == WinItems.metric else "student"
    rows = len(column(columns, counted))
    for name, values in columns.items():
        if len(values) != rows:
            raise GateInputError(
                f"{name}: has {len(values):,} values for {rows:,} of {counted}; record a value per row"
            )
    return READERS[metric](columns, rows)


def column(columns: Columns, name: str) -> Sequence[Any]:
    """One that has to be there. Raises GateInputError."""
    if name not in columns:
        raise GateInputError(f"{name}: no such column, only {', '.join(columns)}; record it, or name the right metric")
    return columns[name]


def right_answers(columns: Columns, rows: int) -> EvaluationItems:
    """Which labels are the gold one, and which wrong ones are the teacher's."""
    return EvaluationItems(ids=range(rows), **compared_answers(columns))


def answered_labels(columns: Columns, rows: int) -> F1Items:
    """The same, with the labels."""
    answers = {name: columns[name] for name in named(columns)}
    return F1Items(ids=range(rows), gold=column(columns, "gold"), answers=answers, **compared_answers(columns))


def compared_answers(columns: Columns) -> dict[str, Any]:
    """What of labels EvaluationItems take."""
    gold, teacher, given = column(columns, "gold"), column(columns, "teacher"), beside(columns)
    for name in named(columns):
        given[name] = [answer == label for answer, label in zip(columns[name], gold, strict=True)]
    for name in ("student", "control"):
        if name in columns:
            answers = zip(columns[name], teacher, gold, strict=True)
            given[f"{name}_copies"] = [answer == taught != label for answer, taught, label in answers]
    told = [name for name in named(columns) if f"{name}_confidence" in columns]
    given["confidences"] = {name: columns[f"{name}_confidence"] for name in told}
    changed = {name: columns[f"student_{name}"] for name in PERTURBATIONS if f"student_{name}" in columns}
    given["perturbed"] = {
        name: [answer == label for answer, label in zip(each, gold, strict=True)] for name, each in changed.items()
    }
    return given


def absolute_errors(columns: Columns, rows: int) -> ErrorItems:
    """How far scores are from the gold ones."""
    gold = checked_numbers("gold", column(columns, "gold"), n=rows, wanted="the gold score")
    given = beside(columns)
    for name in named(columns):
        given[name] = np.abs(checked_numbers(name, columns[name], n=rows, wanted="the score") - gold)
    return ErrorItems(ids=range(rows), **given)


def rankings(columns: Columns, rows: int) -> RankingItems:
    """How well scores rank the texts of each query."""
    gold = checked_numbers("gold", column(columns, "gold"), n=rows, wanted="the gold score")
    scores = {name: checked_numbers(name, columns[name], n=rows, wanted="the score") for name in named(columns)}
    known = columns.get("contaminated")
    contaminated = None if known is None else checked_results("contaminated", known, n=rows)
    return ranked(column(columns, "query"), gold, scores, columns.get("cluster"), columns.get("slice"), contaminated)


def likelihoods(columns: Columns, rows: int) -> LikelihoodItems:
    """Sums over texts, of which each row is a part. A text's slice is that of its first row."""
    texts, first, places = np.unique(np.array(column(columns, "cluster")), return_index=True, return_inverse=True)
    tokens = checked_numbers("tokens", column(columns, "tokens"), n=rows, wanted="the number of predicted tokens")

    def total(name: str) -> NDArray[np.float64]:
        return by_cluster(tokens * checked_numbers(name, columns[name], n=rows, wanted="nats per token"), places)

    slices = [columns["slice"][row] for row in first] if "slice" in columns else None
    totals = {name: total(name) for name in named(columns)}
    return LikelihoodItems(
        ids=texts.tolist(),
        tokens=by_cluster(tokens, places),
        slices=slices,
        contaminated=contaminated_texts(columns, places),
        **totals,
    )


def contaminated_texts(columns: Columns, places: NDArray[np.intp]) -> NDArray[np.bool_] | None:
    """Texts of which any row is. places: the number of each row's text, [rows]"""
    if "contaminated" not in columns:
        return None
    return by_cluster(checked_results("contaminated", columns["contaminated"], n=len(places)), places) > 0


def results(columns: Columns, rows: int) -> EvaluationItems:
    """Right and wrong answers, found by any rule."""
    given: dict[str, Any] = {name: columns[name] for name in named(columns)}
    return EvaluationItems(ids=range(rows), **given, **beside(columns))


def scores(columns: Columns, rows: int) -> ScoreItems:
    """Scores as they are."""
    given: dict[str, Any] = {name: columns[name] for name in named(columns)}
    return ScoreItems(ids=range(rows), **given, **beside(columns))


def wins(columns: Columns, rows: int) -> WinItems:
    """Whose answer is better. Raises GateInputError beside models that no judge compared."""
    if others := [name for name in ("incumbent", "control") if name in columns]:
        raise GateInputError(f"{others[0]}: a win rate has no such model; judge the student against it by itself")
    points = np.array(points_of(column(columns, "judge"), columns.get("judge_swapped")))
    return WinItems(ids=range(rows), student=points, **beside(columns))


def named(columns: Columns) -> list[str]:
    """The models that there are. Raises GateInputError without a teacher."""
    column(columns, "teacher")
    return [name for name in MODELS if name in columns]


def beside(columns: Columns) -> dict[str, Any]:
    """What items belong to."""
    return {
        "clusters": columns.get("cluster"),
        "slices": columns.get("slice"),
        "contaminated": columns.get("contaminated"),
    }


READERS: dict[str, Callable[[Columns, int], Items]] = {
    EvaluationItems.metric: right_answers,
    F1Items.metric: answered_labels,
    ErrorItems.metric: absolute_errors,
    RankingItems.metric: rankings,
    LikelihoodItems.metric: likelihoods,
    "exact match": results,
    ScoreItems.metric: scores,
    WinItems.metric: wins,
}
