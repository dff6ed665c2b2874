"""Rows that a teacher wrote: what each filter drops, how diversity is measured, and how categories are balanced."""

from dataclasses import replace

import pytest
from distillery_worker.data.generated import (
    GeneratedRow,
    Standards,
    balanced,
    distinct,
    is_refusal,
    repetition,
    select,
)

PROMPT = "Why does the sea look blue on a clear day?"
ANSWER = "Water takes up red light more than blue light, so what comes back to the eye is mostly blue."
GOOD = GeneratedRow(PROMPT, ANSWER, "science", finished=True, score=0.9)
STANDARDS = Standards(min_words=5, min_score=0.5)


@pytest.mark.parametrize(
    ("fault", "row"),
    [
        pytest.param("unfinished", GOOD._replace(finished=False), id="cut at the limit of tokens"),
        pytest.param("short", GOOD._replace(answer="Light."), id="fewer words than wanted"),
        pytest.param("short", GOOD._replace(answer="... --- ... --- ... ---"), id="no words at all"),
        pytest.param("refusals", GOOD._replace(answer="I’m sorry, but I can't help with that."), id="a refusal"),
        pytest.param("echoes", GOOD._replace(answer=f"{PROMPT}\n"), id="the prompt again"),
        pytest.param("repetition", GOOD._replace(answer="so it is and " * 20), id="the same words over and over"),
        pytest.param("judge", GOOD._replace(score=0.4), id="scored too low"),
        pytest.param("judge", GOOD._replace(score=None), id="not scored"),
    ],
)
def test_a_row_that_falls_short_is_dropped_and_counted(fault: str, row: GeneratedRow) -> None:
    kept, dropped = select([row], [], STANDARDS)
    assert kept == []
    assert {name: count for name, count in dropped.items() if count} == {fault: 1}


def test_a_good_row_passes_every_filter() -> None:
    assert select([GOOD], [], replace(STANDARDS, max_category=1.0))[0] == [GOOD]


@pytest.mark.parametrize("known", [[PROMPT], [PROMPT.upper()], [PROMPT.replace("clear", "cloudy")]])
def test_a_prompt_that_was_there_before_is_no_news(known: list[str]) -> None:
    assert select([GOOD], known, STANDARDS)[1]["duplicates"] == 1


def test_of_prompts_that_are_alike_the_first_stays() -> None:
    again = GOOD._replace(prompt=PROMPT.replace("clear", "cloudy"), score=1.0)
    other = GOOD._replace(prompt="How do bees find their way home?")
    assert select([GOOD, again, other], [], STANDARDS)[0] == [GOOD, other]


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ("I cannot help with this request.", True),
        ("As an AI, I have no opinion.", True),
        ("Sorry, but I do not know that.", True),
        ("As an aid to memory, write it down.", False),
        ("He said: I cannot help you.", False),
        ("I cannot stress enough how deep it is.", False),
    ],
)
def test_a_refusal_is_told_from_an_answer(answer: str, refused: bool) -> None:
    assert is_refusal(answer) is refused


@pytest.mark.parametrize(
    ("text", "share"),
    [
        pytest.param("a b c", 0.0, id="too short to repeat anything"),
        pytest.param("a b c d e f g", 0.0, id="four runs, all different"),
        pytest.param("a b c d a b c d", 1 / 5, id="one of five runs came before"),
        pytest.param("a a a a a a", 2 / 3, id="two of three runs came before"),
    ],
)
def test_repetition_is_the_share_of_runs_that_came_before(text: str, share: float) -> None:
    assert repetition(text) == pytest.approx(share)


def test_diversity_is_the_share_of_different_pairs_of_words() -> None:
    assert distinct(["a b c", "a b d"]) == pytest.approx(3 / 4)
    assert distinct(["one", ""]) == 0.0


def test_a_frequent_category_is_cut_to_its_best_rows() -> None:
    sizes = {"a": 6, "b": 2, "c": 2}
    rows = [GOOD._replace(category=name, score=number / 10) for name, count in sizes.items() for number in range(count)]
    kept = [row for row, stays in zip(rows, balanced(rows, 1.5), strict=True) if stays]
    assert [row.score for row in kept if row.category == "a"] == [0.3, 0.4, 0.5]
    assert [row.category for row in kept] == [*"aaabbcc"]
    assert balanced([], 1.5) == []
