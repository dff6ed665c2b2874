"""A bounded closed-loop client: so many callers, each with a kept-alive connection, until stopped."""

import threading
import time
from collections import Counter
from typing import Self

import httpx

TEXTS = [
    "a large cat with stripes",
    "the capital city of a country",
    "a woman who writes novels",
    "a tall evergreen tree",
]
LONGEST = 300.0  # seconds after which callers give up by themselves


class Load:
    """Calls `/classify` of a model inside the embedded cluster's namespace; use as a context manager."""

    def __init__(self, address: str, callers: int, pause: float = 0.0) -> None:
        self.address, self.pause = address, pause
        self.outcomes: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(i,), daemon=True) for i in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _call(self, number: int) -> None:
        end = time.monotonic() + LONGEST
        with httpx.Client(base_url=self.address, timeout=10, trust_env=False) as client:
            while not self._stop.is_set() and time.monotonic() < end:
                self._once(client, TEXTS[number % len(TEXTS)])
                if self.pause:
                    time.sleep(self.pause)

    def _once(self, client: httpx.Client, text: str) -> None:
        version = ""
        try:
            answer = client.post("/classify", json={"text": text})
            outcome = str(answer.status_code)
            version = answer.json()["version"] if answer.status_code == 200 else ""
        except httpx.HTTPError as error:
            outcome = type(error).__name__
        with self._lock:
            self.outcomes[outcome] += 1
            if version:
                self.versions[version] += 1
