"""A student that scores: its own route, its tensors, and what it says to callers of the other kind."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from distillery_server.model import Model
from distillery_server.state import State

INFER = "/v2/models/sentiment/infer"


@pytest.fixture(params=[False, True], ids=["alone", "with query"])
def query(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def served(
    query: bool, state: State, scorer: Callable[[bool], Model], connect: Callable[..., httpx.AsyncClient]
) -> httpx.AsyncClient:
    state.model = scorer(query)
    return connect()


def tensor(name: str, *texts: str) -> dict[str, Any]:
    return {"name": name, "datatype": "BYTES", "shape": [len(texts)], "data": [*texts]}


async def test_each_text_gets_its_score(served: httpx.AsyncClient, query: bool) -> None:
    asked = {"query": "good"} if query else {}
    answer = await served.post("/score", json={"texts": ["good good", "bad"], **asked})
    assert answer.status_code == 200
    worth = 2.0 if query else 0.0  # of the query, which is part of the input
    assert answer.json()["results"] == [{"score": 4.0 + worth}, {"score": worth}]


async def test_infer_gives_one_tensor_of_scores(served: httpx.AsyncClient, query: bool) -> None:
    inputs = [tensor("text", "good", "bad", "fine")] + ([tensor("query", "x", "good", "y")] if query else [])
    answer = await served.post(INFER, json={"inputs": inputs})
    scores = [2.0, 2.0 if query else 0.0, 0.0]
    assert answer.json()["outputs"] == [{"name": "score", "datatype": "FP32", "shape": [3], "data": scores}]
    metadata = (await served.get("/v2/models/sentiment")).json()
    assert [field["name"] for field in metadata["inputs"]] == (["query", "text"] if query else ["text"])
    assert metadata["outputs"] == [{"name": "score", "datatype": "FP32", "shape": [-1]}]


async def test_a_scorer_sends_callers_of_classify_to_score(served: httpx.AsyncClient) -> None:
    answer = await served.post("/classify", json={"text": "good"})
    assert (answer.status_code, answer.json()["error"]) == (400, "this model gives scores; use POST /score")


async def test_a_classifier_sends_callers_of_score_to_classify(client: httpx.AsyncClient) -> None:
    answer = await client.post("/score", json={"text": "good"})
    assert (answer.status_code, answer.json()["error"]) == (400, "this model gives labels; use POST /classify")


async def test_a_query_is_asked_for_where_it_belongs(served: httpx.AsyncClient, query: bool) -> None:
    body = {"text": "good"} if query else {"text": "good", "query": "bad"}
    answer = await served.post("/score", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("query: missing" if query else "query: no such field; use text, texts")


@pytest.mark.parametrize("query", [True], ids=["with query"], indirect=True)
async def test_queries_and_texts_come_in_equal_numbers(served: httpx.AsyncClient) -> None:
    answer = await served.post(INFER, json={"inputs": [tensor("text", "good", "bad"), tensor("query", "x")]})
    assert answer.json()["error"] == "inputs: query and text must have as many strings each"
    answer = await served.post(INFER, json={"inputs": [tensor("text", "good"), tensor("text", "x")]})
    assert answer.json()["error"] == "inputs[1].name: 'text'; there is one query and one text"
