"""What the routes of the student's server answer."""

import asyncio
import json
import threading
from collections.abc import Callable, MutableMapping
from typing import Any

import httpx
import numpy as np
import pytest
from distillery_api.schema import Failure
from distillery_server.app import create_app
from distillery_server.limits import Limits
from distillery_server.model import Model, Prediction
from distillery_server.state import State

INFER = "/v2/models/sentiment/infer"


def tensor(*texts: Any, **changes: Any) -> dict[str, Any]:
    """An inference request for the texts."""
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": [*texts], **changes}]}


async def test_classify_gives_the_label_name_and_score_of_each_text(client: httpx.AsyncClient, state: State) -> None:
    answer = await client.post("/classify", json={"texts": ["good good", "so bad", "fine"]})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["model"], body["version"]) == ("sentiment", state.run.artifact.digest[7:19])
    assert [result["label"] for result in body["results"]] == ["positive", "negative", "neutral"]
    assert body["results"][0]["score"] == pytest.approx(np.exp(4) / (np.exp(4) + 2), abs=1e-6)
    assert "scores" not in body["results"][0]


async def test_classify_takes_one_text_and_lists_the_best_k_labels(client: httpx.AsyncClient) -> None:
    answer = await client.post("/classify", json={"text": "good good fine", "top_k": 2})
    [result] = answer.json()["results"]
    assert [score["label"] for score in result["scores"]] == ["positive", "neutral"]
    assert result["scores"][0] == {"label": result["label"], "score": result["score"]}


async def test_infer_gives_labels_and_probabilities_in_the_order_of_the_texts(
    client: httpx.AsyncClient, state: State
) -> None:
    answer = await client.post(INFER, json={"id": "42", **tensor("fine", "bad bad bad", "good")})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["id"], body["model_name"], body["model_version"]) == ("42", "sentiment", state.version)
    label, probabilities = body["outputs"]
    assert label == {"name": "label", "datatype": "BYTES", "shape": [3], "data": ["neutral", "negative", "positive"]}
    assert (probabilities["datatype"], probabilities["shape"]) == ("FP32", [3, 3])
    rows = np.array(probabilities["data"]).reshape(3, 3)
    assert rows.argmax(axis=1).tolist() == [1, 0, 2]
    assert rows.sum(axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        pytest.param({"outputs": [{"name": "label"}]}, ["label"], id="one output"),
        pytest.param(
            {"outputs": [{"name": "probabilities"}, {"name": "label"}]}, ["probabilities", "label"], id="order"
        ),
        pytest.param({"outputs": []}, ["label", "probabilities"], id="no choice"),
    ],
)
async def test_infer_honours_requested_outputs(
    client: httpx.AsyncClient, changes: dict[str, Any], names: list[str]
) -> None:
    answer = await client.post(INFER, json={**tensor("good"), **changes})
    assert [output["name"] for output in answer.json()["outputs"]] == names
    assert "id" not in answer.json()


async def test_infer_takes_a_column_of_texts_and_the_versioned_path(client: httpx.AsyncClient, state: State) -> None:
    path = f"/v2/models/sentiment/versions/{state.version}/infer"
    answer = await client.post(path, json=tensor(["good"], ["bad"], shape=[2, 1]))
    assert answer.json()["outputs"][0]["data"] == ["positive", "negative"]


async def test_answers_say_where_the_time_went(client: httpx.AsyncClient) -> None:
    answer = await client.post("/classify", json={"text": "good"})
    parts = [part.split(";")[0] for part in answer.headers["server-timing"].split(", ")]
    assert parts == ["queue", "preprocess", "infer"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        pytest.param(b"{", 400, "the body is not JSON", id="broken JSON"),
        pytest.param(b"[" * 299, 400, "the body is not JSON", id="nested without end"),
        pytest.param(b"[]", 400, "the body is a JSON array", id="no object"),
        pytest.param({}, 400, 'either "text"', id="nothing to classify"),
        pytest.param({"text": "a", "texts": ["b"]}, 400, 'either "text"', id="text and texts"),
        pytest.param({"text": 1}, 400, "text[0]: is a number", id="text no string"),
        pytest.param({"texts": "good"}, 400, "texts: must be a list", id="texts no list"),
        pytest.param({"texts": []}, 400, "texts: must be a list of at least one", id="no texts"),
        pytest.param({"texts": ["a", None]}, 400, "texts[1]: is a null", id="null among texts"),
        pytest.param({"text": "a", "topk": 1}, 400, "topk: no such field", id="misspelt field"),
        pytest.param({"text": "a", "top_k": 4}, 400, "top_k: must be a whole number from 1 to 3", id="top_k too big"),
        pytest.param({"text": "a", "top_k": True}, 400, "top_k: must be", id="top_k boolean"),
        pytest.param({"texts": ["a"] * 4}, 413, "texts: 4 texts; send at most 3", id="too many texts"),
        pytest.param({"text": "a" * 21}, 413, "21 characters; send at most 20", id="text too long"),
        pytest.param(b'{"text": "' + b" " * 300, 413, "the body is over 300 bytes", id="body too big"),
        pytest.param(b'{"text": "\\ud800"}', 400, "half a surrogate pair", id="invalid Unicode"),
    ],
)
async def test_classify_refuses(client: httpx.AsyncClient, body: Any, status: int, says: str) -> None:
    answer = await client.post("/classify", content=body if isinstance(body, bytes) else json.dumps(body))
    assert answer.status_code == status
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        pytest.param({}, 400, "inputs: must be a list of one tensor", id="no inputs"),
        pytest.param({"inputs": [1]}, 400, "inputs: must be", id="input no object"),
        pytest.param(tensor("a", name="x"), 400, "inputs[0].name: 'x'", id="wrong name"),
        pytest.param(tensor("a", datatype="FP32"), 400, "inputs[0].datatype: 'FP32'; text is BYTES", id="wrong type"),
        pytest.param(tensor("a", data=None), 400, "inputs[0].data: must be a list", id="no data"),
        pytest.param(tensor("a", shape=[2]), 400, "for 1 texts it is [1] or [1, 1]", id="wrong shape"),
        pytest.param(tensor(1), 400, "inputs[0].data[0]: is a number", id="number for text"),
        pytest.param(tensor(*"abcd"), 413, "4 texts; send at most 3", id="too many"),
        pytest.param({**tensor("a"), "id": 7}, 400, "id: is a number", id="numeric id"),
        pytest.param({**tensor("a"), "outputs": [{"name": "x"}]}, 400, "outputs[0].name: 'x'", id="no such output"),
        pytest.param({**tensor("a"), "outputs": "label"}, 400, "outputs: must be a list", id="outputs no list"),
    ],
)
async def test_infer_refuses(client: httpx.AsyncClient, body: Any, status: int, says: str) -> None:
    answer = await client.post(INFER, json=body)
    assert answer.status_code == status
    assert says in answer.json()["error"]


async def test_infer_refuses_binary_tensor_data(client: httpx.AsyncClient) -> None:
    answer = await client.post(INFER, content=b"x", headers={"Inference-Header-Content-Length": "1"})
    assert answer.status_code == 400
    assert "binary tensor data is not supported" in answer.json()["error"]


@pytest.mark.parametrize("path", ["", "/ready", "/infer", "/versions/1"])
async def test_an_unknown_model_is_answered_with_the_served_one(client: httpx.AsyncClient, path: str) -> None:
    method = "POST" if path == "/infer" else "GET"
    answer = await client.request(method, f"/v2/models/other{path}", json=tensor("a"))
    assert answer.status_code == 404
    assert "use 'sentiment'" in answer.json()["error"]


async def test_an_unknown_version_is_answered_with_the_served_one(client: httpx.AsyncClient, state: State) -> None:
    answer = await client.get("/v2/models/sentiment/versions/1/ready")
    assert answer.status_code == 404
    assert f"use '{state.version}'" in answer.json()["error"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/classify", 405)])
async def test_wrong_routes_answer_in_json(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert path in answer.json()["error"]


async def test_metadata_names_tensors_and_labels(client: httpx.AsyncClient, state: State) -> None:
    body = (await client.get("/v2/models/sentiment")).json()
    assert body["versions"] == [state.version]
    assert body["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert [output["shape"] for output in body["outputs"]] == [[-1], [-1, 3]]
    assert body["parameters"]["labels"] == ["negative", "neutral", "positive"]
    assert (await client.get("/v2")).json()["name"] == "distillery-server"


@pytest.mark.parametrize(
    ("change", "reason", "infers"),
    [
        pytest.param({"model": None}, "Loading", 503, id="while loading"),
        pytest.param(
            {"model": None, "failure": Failure(reason="DigestMismatch", message="m")},
            "DigestMismatch",
            503,
            id="failed",
        ),
        pytest.param({"draining": True}, "Draining", 200, id="while draining"),
    ],
)
async def test_an_unready_server_is_live_and_says_why(
    client: httpx.AsyncClient, state: State, change: dict[str, Any], reason: str, infers: int
) -> None:
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}
    for name, value in change.items():
        setattr(state, name, value)
    assert (await client.get("/v2/health/live")).status_code == 200
    for path in ("/v2/health/ready", "/v2/models/sentiment/ready"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["ready"], answer.json()["reason"]) == (503, False, reason)
    assert (await client.post("/classify", json={"text": "good"})).status_code == infers


async def test_a_draining_server_closes_every_connection(client: httpx.AsyncClient, state: State) -> None:
    assert "connection" not in (await client.get("/v2")).headers
    state.draining = True
    assert (await client.get("/v2")).headers["connection"] == "close"


class SlowModel(Model):
    """A student whose predictions wait for the test."""

    def __init__(self, model: Model) -> None:
        self.__dict__.update(model.__dict__)
        self.go_on = threading.Event()

    def predict(self, texts: list[str]) -> Prediction:
        assert self.go_on.wait(10)
        return super().predict(texts)


async def test_a_full_queue_turns_requests_away_and_health_still_answers(
    connect: Callable[..., httpx.AsyncClient], state: State, model: Model
) -> None:
    state.model = slow = SlowModel(model)
    async with connect(max_waiting=1) as client:
        requests = [asyncio.create_task(client.post("/classify", json={"text": "good"})) for _ in range(3)]
        done, waiting = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)  # one runs, one waits
        [refused] = [task.result() for task in done]
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert (await client.get("/v2/health/live")).status_code == 200
        assert line(await metrics(client), "distillery_server_queue_requests{").endswith(" 1.0")
        slow.go_on.set()
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]


async def test_a_request_whose_client_left_the_queue_takes_no_worker(
    client: httpx.AsyncClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    predicted: list[list[str]] = []
    monkeypatch.setattr(state.model, "predict", predicted.append)
    app = create_app(state, workers=1, limits=Limits())
    messages = iter([{"type": "http.request", "body": b'{"text": "good"}'}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: MutableMapping[str, Any]) -> None:
        """Nobody listens."""

    scope = {"type": "http", "method": "POST", "path": "/classify", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    assert predicted == []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as same_app:
        assert line(await metrics(same_app), "distillery_server_requests_total{").endswith(" 1.0")
        assert 'outcome="abandoned"' in await metrics(same_app)


async def test_an_error_of_the_model_is_a_500_without_details(
    client: httpx.AsyncClient, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state.model, "predict", lambda texts: 1 / 0)
    answer = await client.post("/classify", json={"text": "good"})
    assert answer.status_code == 500
    assert "division" not in answer.text


async def metrics(client: httpx.AsyncClient) -> str:
    """The exposition."""
    return (await client.get("/metrics")).text


def line(text: str, start: str) -> str:
    """The one sample that starts like this."""
    [found] = [sample for sample in text.splitlines() if sample.startswith(start)]
    return found


async def test_metrics_count_requests_and_split_their_time(client: httpx.AsyncClient, state: State) -> None:
    await client.post("/classify", json={"texts": ["good", "bad"]})
    await client.post(INFER, json={})
    text = await metrics(client)
    common = f'model_name="sentiment",model_version="{state.version}"'
    samples = [sample for sample in text.splitlines() if not sample.startswith("#")]
    assert all(
        f'model_version="{state.version}"' in s and 'variant="active"' in s and 'model_name="sentiment"' in s
        for s in samples
    )
    requests = f"distillery_server_requests_total{{{common}"
    assert line(text, f'{requests},outcome="ok",route="classify"').endswith(" 1.0")
    assert line(text, f'{requests},outcome="invalid",route="infer"').endswith(" 1.0")
    assert line(text, "distillery_server_inputs_total{").endswith(" 2.0")
    for name in ("queue", "preprocess", "infer"):
        assert line(text, f"distillery_server_{name}_seconds_count{{").endswith(" 1.0")
    assert line(text, "distillery_server_requests_in_flight{").endswith(" 0.0")
    assert state.run.artifact.digest in line(text, "distillery_server_model_info{")
    assert "good" not in text
