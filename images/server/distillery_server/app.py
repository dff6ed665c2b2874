"""The ASGI application: routes over a State, nothing about processes or signals."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from distillery_engine import ImageUnreadable
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from .admission import Admission, QueueFull
from .classify import classify_results, parse_classify
from .connections import BoundedConnections
from .errors import Refused
from .fields import parse_object
from .inference_protocol import infer_response, model_metadata, parse_infer
from .limits import Limits
from .metrics import Metrics
from .model import Model, Prediction
from .score import parse_score, score_results
from .state import State

log = logging.getLogger(__name__)

# Parses a body and gives its inputs, and how a prediction becomes the answer.
Exchange = tuple[list[Any], Callable[[Prediction], dict[str, Any]]]
Parse = Callable[[dict[str, Any], Model], Exchange]


class Application:
    """Handlers of all routes. `workers` requests run at once, each on one thread."""

    def __init__(self, state: State, workers: int, limits: Limits) -> None:
        self._state = state
        self._limits = limits
        self._metrics = Metrics(state.run)
        self._admission = Admission(workers, limits.max_waiting)
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="infer")
        self._metrics.watch_queue(lambda: self._admission.waiting)

    async def server_metadata(self, request: Request) -> Response:
        """GET /v2."""
        return JSONResponse({"name": "distillery-server", "version": self._state.run.revision, "extensions": []})

    async def live(self, request: Request) -> Response:
        """GET /v2/health/live: the event loop turns. Says nothing about the model."""
        return JSONResponse({"live": True})

    async def ready(self, request: Request) -> Response:
        """GET /v2/health/ready: 200 when new traffic should come here, else 503 with the reason."""
        failure = self._state.unready()
        if failure:
            return JSONResponse({"ready": False, **failure.dump()}, 503)
        return JSONResponse({"ready": True})

    async def model_ready(self, request: Request) -> Response:
        """GET /v2/models/{name}/ready."""
        self._check_name(request)
        failure = self._state.unready()
        body = {"name": self._state.run.model, "ready": failure is None}
        return JSONResponse({**body, **failure.dump()}, 503) if failure else JSONResponse(body)

    async def model_metadata(self, request: Request) -> Response:
        """GET /v2/models/{name}."""
        self._check_name(request)
        return JSONResponse(model_metadata(self._state.run.model, self._state.version, self._model().manifest))

    async def infer(self, request: Request) -> Response:
        """POST /v2/models/{name}/infer."""

        def parse(body: dict[str, Any], model: Model) -> Exchange:
            self._check_name(request)
            parsed = parse_infer(body, model.manifest, self._limits)
            name, version = self._state.run.model, self._state.version
            return parsed.inputs, lambda done: infer_response(parsed, name, version, model.labels, done.values)

        return await self._answer(request, "infer", parse)

    async def classify(self, request: Request) -> Response:
        """POST /classify."""

        def parse(body: dict[str, Any], model: Model) -> Exchange:
            if not model.labels:
                raise Refused(400, "this model gives scores; use POST /score")
            parsed = parse_classify(body, model.inputs, len(model.labels), self._limits)
            head = {"model": self._state.run.model, "version": self._state.version}
            return parsed.inputs, lambda done: {
                **head,
                "results": classify_results(done.values, model.labels, parsed.top_k),
            }

        return await self._answer(request, "classify", parse)

    async def score(self, request: Request) -> Response:
        """POST /score."""

        def parse(body: dict[str, Any], model: Model) -> Exchange:
            if model.labels:
                raise Refused(400, "this model gives labels; use POST /classify")
            head = {"model": self._state.run.model, "version": self._state.version}
            texts = parse_score(body, model.takes_query, self._limits)
            return texts, lambda done: {**head, "results": score_results(done.values)}

        return await self._answer(request, "score", parse)

    async def metrics(self, request: Request) -> Response:
        """GET /metrics."""
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _answer(self, request: Request, route: str, parse: Parse) -> Response:
        started = time.perf_counter()
        with self._metrics.in_flight.track_inprogress():
            try:
                response, inputs = await self._predict(request, parse)
            except QueueFull:
                self._metrics.count(route, "rejected")
                error = f"{self._limits.max_waiting} requests wait already; try again, or add replicas"
                return JSONResponse({"error": error}, 429, {"Retry-After": "1"})
            except ClientDisconnect:
                self._metrics.count(route, "abandoned")
                return Response(status_code=499)
            except ImageUnreadable as error:
                self._metrics.count(route, "invalid")
                return JSONResponse({"error": f"image {error.index}, counted from 0, {error}; send another"}, 400)
            except Refused as error:
                self._metrics.count(route, "unready" if error.status == 503 else "invalid")
                return JSONResponse({"error": str(error)}, error.status)
            except Exception:
                log.exception("prediction failed")
                self._metrics.count(route, "error")
                return JSONResponse({"error": "the server failed on this request; its log says why"}, 500)
        self._metrics.answered(route, inputs, time.perf_counter() - started)
        return response

    async def _predict(self, request: Request, parse: Parse) -> tuple[Response, int]:
        model = self._model()
        inputs, render = parse(parse_object(await self._body(request)), model)
        arrived = time.perf_counter()
        async with self._admission.slot():
            if await request.is_disconnected():  # its client gave up in the queue: leave the worker to others
                raise ClientDisconnect
            queued = time.perf_counter() - arrived
            done = await asyncio.get_running_loop().run_in_executor(self._executor, model.predict, inputs)
        self._metrics.queue.observe(queued)
        self._metrics.preprocess.observe(done.preprocess_seconds)
        self._metrics.infer.observe(done.infer_seconds)
        return JSONResponse(render(done), headers={"Server-Timing": server_timing(queued, done)}), len(inputs)

    async def _body(self, request: Request) -> bytes:
        limit = self._limits.max_body_bytes
        if "inference-header-content-length" in request.headers:
            raise Refused(400, "Inference-Header-Content-Length: binary tensor data is not supported; send JSON")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise Refused(413, f"the body is over {limit} bytes; send fewer or smaller inputs in one request")
        return bytes(body)

    def _model(self) -> Model:
        if self._state.model is None:
            failure = self._state.unready()
            raise Refused(503, f"not ready: {failure.message if failure else 'no model'}")
        return self._state.model

    def _check_name(self, request: Request) -> None:
        name, version = request.path_params["name"], request.path_params.get("version")
        served = self._state.run.model
        if name != served:
            raise Refused(404, f"model {name!r} is not served here; use {served!r}")
        if version not in (None, self._state.version):
            raise Refused(404, f"version {version!r} of {name!r} is not served here; use {self._state.version!r}")


def server_timing(queued: float, done: Prediction) -> str:
    """A Server-Timing header: milliseconds in the queue, in preprocessing and in the model."""
    parts = {"queue": queued, "preprocess": done.preprocess_seconds, "infer": done.infer_seconds}
    return ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in parts.items())


async def refused(request: Request, error: Exception) -> Response:
    """The JSON answer of an error that a handler or the router raised."""
    if isinstance(error, Refused):
        return JSONResponse({"error": str(error)}, error.status)
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these two types alone
    detail = f"{request.method} {request.url.path}: {error.detail}; see GET /v2, POST /classify and POST /score"
    return JSONResponse({"error": detail}, error.status_code, error.headers)


def create_app(state: State, workers: int, limits: Limits) -> ASGIApp:
    """The application over a state; nothing starts until a request comes."""
    handlers = Application(state, workers, limits)
    model = ["/v2/models/{name}", "/v2/models/{name}/versions/{version}"]
    routes = [
        Route("/v2", handlers.server_metadata),
        Route("/v2/health/live", handlers.live),
        Route("/v2/health/ready", handlers.ready),
        *(Route(path, handlers.model_metadata) for path in model),
        *(Route(f"{path}/ready", handlers.model_ready) for path in model),
        *(Route(f"{path}/infer", handlers.infer, methods=["POST"]) for path in model),
        Route("/classify", handlers.classify, methods=["POST"]),
        Route("/score", handlers.score, methods=["POST"]),
        Route("/metrics", handlers.metrics),
    ]
    app = Starlette(routes=routes, exception_handlers={Refused: refused, HTTPException: refused})
    return BoundedConnections(app, state, limits.connection_seconds)
