"""How far the stage is, for the operator (GET /progress) and for Prometheus (GET /metrics)."""

import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from distillery_api.distillationjob_status import Progress as Report
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

log = logging.getLogger(__name__)


class Progress:
    """Counts of the running stage. Thread-safe; the rate is measured from the first count of the phase."""

    def __init__(self, stage: str = "") -> None:
        self.stage = stage
        self.registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._done = Gauge("distillery_stage_done", "Units done.", ["stage", "unit"], registry=self.registry)
        self._total = Gauge("distillery_stage_total", "Units in all.", ["stage", "unit"], registry=self.registry)
        self.start(0, "steps")

    def start(self, total: int, unit: str) -> None:
        """A new phase of so many units."""
        with self._lock:
            self._unit, self._all, self._now, self._before = unit, total, 0, 0
            self._began = time.monotonic()
        self._publish()

    def advance(self, count: int = 1) -> None:
        """That many more units are done."""
        with self._lock:
            self._now += count
        self._publish()

    def resume(self, count: int) -> None:
        """That many units were done by an earlier process; they do not count towards the rate."""
        with self._lock:
            self._now += count
            self._before += count
        self._publish()

    def _publish(self) -> None:
        self._done.labels(self.stage, self._unit).set(self._now)
        self._total.labels(self.stage, self._unit).set(self._all)

    def report(self) -> Report:
        """Counts, units per second, and seconds to go."""
        with self._lock:
            elapsed, fresh = time.monotonic() - self._began, self._now - self._before
            rate = fresh / elapsed if fresh and elapsed > 0 else None
            eta = round((self._all - self._now) / rate) if rate else None
            return Report(done=self._now, total=self._all, unit=self._unit, rate_per_second=rate, eta_seconds=eta)


def serve(progress: Progress, port: int) -> ThreadingHTTPServer | None:
    """Answer on the port (0: any free one) from a daemon thread. None, with a warning, when the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/progress":
                body = {"stage": progress.stage, **progress.report().dump()}
                self.answer(200, "application/json", json.dumps(body).encode())
            elif self.path == "/metrics":
                self.answer(200, CONTENT_TYPE_LATEST, generate_latest(progress.registry))
            else:
                self.answer(404, "text/plain", b"GET /progress or /metrics\n")

        def answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are no news."""

    try:
        server = ThreadingHTTPServer(("", port), Handler)
    except OSError as error:
        log.warning("progress is not served", extra={"port": port, "error": str(error)})
        return None
    threading.Thread(target=server.serve_forever, name="progress", daemon=True).start()
    return server
