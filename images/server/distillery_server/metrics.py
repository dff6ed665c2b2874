"""Prometheus metrics of one served student; every series carries its model, version and variant."""

from collections.abc import Callable

from distillery_api.run import ServeRun
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LABELS = ("model_name", "model_version", "variant")
PREFIX = "distillery_server"


def short_version(digest: str) -> str:
    """The first 12 hex digits of an artifact's digest: its version in metrics and answers."""
    return digest.removeprefix("sha256:")[:12]


class Metrics:
    """Counters, gauges and histograms with the labels of the run filled in."""

    def __init__(self, run: ServeRun) -> None:
        self._registry = CollectorRegistry()
        self._values = (run.model, short_version(run.artifact.digest), "active")
        self._requests = Counter(
            f"{PREFIX}_requests",
            "Inference requests by outcome.",
            (*LABELS, "route", "outcome"),
            registry=self._registry,
        )
        self._inputs = Counter(f"{PREFIX}_inputs", "Texts or images answered.", LABELS, registry=self._registry)
        self._duration = Histogram(
            f"{PREFIX}_request_duration_seconds",
            "From the first byte read to the answer, for requests that were answered with a prediction.",
            (*LABELS, "route"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self.queue = self._histogram("queue_seconds", "Wait of a request for a worker.")
        self.preprocess = self._histogram("preprocess_seconds", "Tokenizing texts or decoding images.")
        self.infer = self._histogram("infer_seconds", "Runs of the model for a request.")
        self.in_flight = self._gauge("requests_in_flight", "Requests that are read, wait or run.")
        self._queue_depth = self._gauge("queue_requests", "Requests that wait for a worker.")
        info = Gauge(
            f"{PREFIX}_model_info",
            "What is served.",
            (*LABELS, "digest", "revision", "namespace"),
            registry=self._registry,
        )
        info.labels(*self._values, run.artifact.digest, run.revision, run.namespace).set(1)

    def _histogram(self, name: str, documentation: str) -> Histogram:
        metric = Histogram(f"{PREFIX}_{name}", documentation, LABELS, buckets=SECONDS, registry=self._registry)
        return metric.labels(*self._values)

    def _gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", documentation, LABELS, registry=self._registry).labels(*self._values)

    def watch_queue(self, depth: Callable[[], float]) -> None:
        """Read the queue's depth whenever metrics are scraped."""
        self._queue_depth.set_function(depth)

    def answered(self, route: str, inputs: int, seconds: float) -> None:
        """One request that got its prediction."""
        self._duration.labels(*self._values, route).observe(seconds)
        self._inputs.labels(*self._values).inc(inputs)
        self.count(route, "ok")

    def count(self, route: str, outcome: str) -> None:
        """One finished request: ok, invalid, rejected (queue full), unready, abandoned (client gone), error."""
        self._requests.labels(*self._values, route, outcome).inc()

    def text(self) -> bytes:
        """The exposition in Prometheus' text format."""
        return generate_latest(self._registry)
