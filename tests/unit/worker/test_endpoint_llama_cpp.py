"""A teacher behind llama.cpp's own server: its answers are the model's, in words and in log-probabilities."""

import threading
from collections.abc import Iterator
from typing import Any

import micro
import numpy as np
import pytest
import tiny_llm
from distillery_api.soft_labels import SoftLabels
from distillery_api.teachers import Teacher
from distillery_worker.errors import InputRefused
from distillery_worker.tasks.next_token import NextToken
from distillery_worker.teachers.asking import Ask, Interview, Terms
from distillery_worker.teachers.chat_endpoint import Answer, ChatEndpoint, Message, Question
from distillery_worker.teachers.label_answers import LabelAnswer, LabelQuestions
from distillery_worker.teachers.outcomes import Outcome
from distillery_worker.teachers.writing_endpoint import WritingEndpoint, writing_endpoint
from scipy.special import softmax

LABELS = tiny_llm.QUESTIONS.labels
ROWS = dict(micro.sentences()[60:80])  # none of them was trained on


@pytest.fixture(scope="module")
def llm() -> tiny_llm.TinyLlm:
    return tiny_llm.TinyLlm()


@pytest.fixture(scope="module")
def url(llm: tiny_llm.TinyLlm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("llm") / "tiny.gguf"
    llm.write_gguf(path)
    with tiny_llm.served(path) as address:
        yield address


def interview(url: str, questions: LabelQuestions, texts: list[str], key: str = tiny_llm.KEY) -> dict[str, LabelAnswer]:
    written: dict[str, LabelAnswer] = {}
    asking = Interview(
        {text: text for text in texts},
        questions,
        lambda keys, results, tokens: written.update(zip(keys, results, strict=True)),
        lambda results: None,
        Terms(concurrency=2),
        threading.Event(),
    )
    asking.run(ChatEndpoint("teachers: 'tiny'", url, "tiny", key, timeout=20))
    return written


def test_it_names_the_animal_of_rows_that_it_has_not_seen(url: str) -> None:
    given = interview(url, tiny_llm.QUESTIONS, list(ROWS))
    assert {text: answer.said for text, answer in given.items()} == ROWS


def test_soft_answers_are_the_models_own_distribution(url: str, llm: tiny_llm.TinyLlm) -> None:
    soft = LabelQuestions(LABELS, tiny_llm.QUESTIONS.instruction, soft=True)
    given = interview(url, soft, list(ROWS))
    for text, answer in given.items():
        logs = llm.log_probabilities(tiny_llm.prompt_of(text))
        wanted = softmax([logs[label] for label in LABELS])
        # Other tokens that begin a label, such as a lone `c`, count for it too.
        np.testing.assert_allclose(softmax(answer.logits), wanted, atol=2e-3)


def test_a_text_answer_and_its_cost_come_back_as_the_server_counts_them(url: str, llm: tiny_llm.TinyLlm) -> None:
    answers: list[Answer] = []

    async def generate(ask: Ask, text: str) -> str:
        answers.append(await ask(Question((Message("user", text),), max_tokens=3)))
        return answers[-1].text

    Interview({"row": "the owl"}, generate, lambda *_: None, lambda results: None, Terms(), threading.Event()).run(
        ChatEndpoint("teachers: 'tiny'", url, "tiny", tiny_llm.KEY, timeout=20)
    )
    prompt = llm.tokenizer.encode(tiny_llm.rendered([Message("user", "the owl")])).ids
    assert answers[0].tokens is not None
    assert len(prompt) < answers[0].tokens <= len(prompt) + 3


def writer(url: str, instruction: str | None, **soft_labels: Any) -> WritingEndpoint:
    endpoint = {"url": url, "model": "tiny", "instruction": instruction, "minUsableShare": 0}
    spec = Teacher.model_validate({"name": "tiny", "endpoint": endpoint})
    return writing_endpoint(spec, SoftLabels(kind="text", **soft_labels), NextToken())


def answers(teacher: WritingEndpoint, rows: list[str], monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    monkeypatch.setenv("TEACHER_TINY_API_KEY", tiny_llm.KEY)
    found = teacher.check({row: (row,) for row in rows})
    return [(labels["answer"].item(), bool(labels["finished"].item())) for labels in found]


def test_it_writes_and_ends_its_answers_or_is_cut(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = writer(url, tiny_llm.QUESTIONS.prompt, max_new_tokens=8)
    assert answers(whole, list(ROWS)[:4], monkeypatch) == [(animal, True) for animal in list(ROWS.values())[:4]]
    cut = writer(url, tiny_llm.QUESTIONS.prompt, max_new_tokens=1)
    assert answers(cut, list(ROWS)[:4], monkeypatch) == [(animal, False) for animal in list(ROWS.values())[:4]]


def test_draws_come_again_by_their_seed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, drawn = ["a house", "xyz", "quietly", "garden"], {"max_new_tokens": 12, "temperature": 50.0}
    first, again, other = (answers(writer(url, None, seed=seed, **drawn), rows, monkeypatch) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_row_that_does_not_fit_its_context_is_refused_and_the_others_are_answered(url: str) -> None:
    long, short = "the owl " * tiny_llm.CONTEXT, next(iter(ROWS))
    given = interview(url, tiny_llm.QUESTIONS, [long, short])
    assert (given[long].outcome, given[short].outcome) == (Outcome.REFUSED, Outcome.ANSWERED)
    assert "context size" in given[long].said


def test_a_wrong_key_is_refused_in_its_words(url: str) -> None:
    with pytest.raises(InputRefused, match=r"401: Invalid API Key; .*secretRef") as refused:
        interview(url, tiny_llm.QUESTIONS, ["the owl"], key="wrong")
    assert refused.value.reason == "AccessDenied"
