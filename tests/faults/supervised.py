"""Operators that are started again whenever they end."""

import contextlib
import itertools
import signal
import socket
import threading
from pathlib import Path

import yaml
from operator_process import OperatorProcess
from proxy import Proxy

HEALTH_PORTS = itertools.count(20000)  # below those that the kernel hands out


def health_port() -> int:
    """The next port that is free on every address: another run of the harness may hold the first ones."""
    for port in HEALTH_PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port
    raise AssertionError("unreachable: the ports are counted without end")


class Supervised(OperatorProcess):
    """An operator of a run, by its number, behind its proxy. Each start has an identity of its own, as a new pod."""

    def __init__(self, number: int, proxy: Proxy, account: Path, folder: Path, lease: str | None) -> None:
        folder.mkdir(parents=True)
        super().__init__(folder / "kubeconfig", folder)
        self.settings |= {"healthPort": health_port(), "metricsPort": 0, "resyncSeconds": 0.5}
        self.proxy, self.exits = proxy, list[int]()
        self._number, self._account, self._lease, self._starts = number, account, lease, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Supervised":
        self.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.send(signal.SIGKILL)
        self._thread.join(20)

    def start(self) -> None:
        """A process whose API server is the proxy, under a path by which the proxy knows who calls."""
        self._starts += 1
        identity = f"{self._number}-{self._starts}"
        content = yaml.safe_load(self._account.read_text())
        for cluster in content["clusters"]:
            cluster["cluster"] = {"server": f"http://127.0.0.1:{self.proxy.port}/{identity}"}
        self.kubeconfig.write_text(yaml.safe_dump(content))
        if self._lease:
            self.flags = (f"--lease={self._lease}", f"--identity={identity}")
        super().start()

    def send(self, number: int) -> None:
        """A signal, between two instructions of the process."""
        if self.process is not None:
            self.process.send_signal(number)

    def _watch(self) -> None:
        while self.process is not None:
            code = self.process.wait()
            if self._over.is_set():
                return
            self.exits.append(code)
            self.start()
