"""Two operators and one Lease: one acts, the other takes over in time, and no write of the first comes after."""

import contextlib
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from audit import Audit
from chart_render import NAMESPACE, RELEASE
from controlplane import ControlPlane
from kubelet import Kubelet
from kubernetes import client
from namespaces import Namespace
from operator_process import OperatorProcess, account
from relay import Relay
from waiting import eventually

STAGES = ["compress", "evaluate", "label", "preflight", "train"]
HAND_OVER = 2.0  # seconds that the docs promise after SIGTERM
FAIL_OVER = 20.0  # and after SIGKILL, or when the leader is cut off


class Contender(OperatorProcess):
    """An operator that wants the Lease, under a token of its own."""

    def __init__(self, kubeconfig: Path, folder: Path, identity: str) -> None:
        super().__init__(kubeconfig, folder, f"--lease={NAMESPACE}/{RELEASE}", f"--identity={identity}")
        self.identity = identity
        self.token: str = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]

    def leads(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(re.search(r"^distillery_operator_leading 1\.0$", self.ask(self.metrics_port, "metrics"), re.M))
        return False

    def ready(self) -> bool:
        with contextlib.suppress(OSError):
            return "ok" in self.ask(self.health_port, "healthz")
        return False

    def ask(self, port: int, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as response:
            text: str = response.read().decode()
            return text

    def ends(self) -> int:
        assert self.process is not None
        return self.process.wait(40)


class Pair:
    """`first` leads behind a relay, `second` stands by."""

    def __init__(self, plane: ControlPlane, audit: Audit, folder: Path) -> None:
        self.audit = audit
        self.relay = Relay(api_port(plane))
        self.first = self._contender(plane, folder / "first", "first", self.relay.port)
        self.second = self._contender(plane, folder / "second", "second")

    def _contender(self, plane: ControlPlane, folder: Path, identity: str, port: int | None = None) -> Contender:
        folder.mkdir()
        return Contender(account(plane, folder, port=port), folder, identity)

    def start(self) -> None:
        self.first.start()
        eventually(self.first.leads, bool)
        self.second.start()
        eventually(self.second.ready, bool)

    def stop(self) -> None:
        for each in (self.first, self.second):
            if each.process is not None and each.process.poll() is None:
                each.kill()
            print(each.identity, each.log.read_text()[-3000:])
        self.relay.close()

    def acted_by(self, each: Contender, namespace: Namespace, job: str, since: float) -> float:
        """Seconds from `since` until `each` created the job's first stage."""
        wanted = f"{job}-"
        eventually(lambda: [n for n in namespace.job_names() if n.startswith(wanted)], bool)
        waited = time.monotonic() - since
        assert each.leads()
        return waited

    def assert_none_wrote_after_the_other_began(self) -> None:
        first, second = self.audit.writes(self.first.token), self.audit.writes(self.second.token)
        assert first
        assert second
        assert first[-1].at < second[0].at, [w for w in first if w.at >= second[0].at]


def api_port(plane: ControlPlane) -> int:
    server: str = yaml.safe_load(plane.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    return int(server.rsplit(":", 1)[1])


@pytest.fixture
def pair(
    plane: ControlPlane, audit: Audit, api: client.ApiClient, operator_kubeconfig: Path, tmp_path: Path
) -> Iterator[Pair]:
    with contextlib.suppress(client.ApiException):  # of the test before
        client.CoordinationV1Api(api).delete_namespaced_lease(RELEASE, NAMESPACE)
    pair = Pair(plane, audit, tmp_path)
    pair.start()
    yield pair
    pair.stop()


@pytest.fixture
def training(pair: Pair, kubelet: Kubelet, namespace: Namespace) -> Namespace:
    """A namespace with a job in its train stage, which goes on when the kubelet holds nothing."""
    kubelet.hold = {"train"}
    namespace.job("running")
    eventually(namespace.stages_run, lambda stages: "train" in stages)
    return namespace


def test_one_acts_while_the_other_is_ready_and_writes_nothing(pair: Pair, kubelet: Kubelet, namespace: Namespace):
    namespace.model()
    namespace.job("first")
    assert namespace.ended("first")["status"]["verdict"]["result"] == "Pass"
    assert namespace.stages_run() == STAGES
    assert pair.first.leads()
    assert pair.second.ready()
    assert not pair.second.leads()
    assert pair.audit.writes(pair.first.token)
    assert pair.audit.writes(pair.second.token) == []


def test_on_sigterm_the_other_goes_on_within_two_seconds(pair: Pair, kubelet: Kubelet, training: Namespace):
    since = time.monotonic()
    assert pair.first.process is not None
    pair.first.process.send_signal(signal.SIGTERM)
    training.job("next")
    waited = pair.acted_by(pair.second, training, "next", since)
    print(f"hand-over after SIGTERM: {waited:.2f} s")
    assert waited <= HAND_OVER
    assert pair.first.ends() == 0
    kubelet.hold = set()
    training.ended("running")
    assert len([name for name in training.job_names() if name.startswith("running-")]) == len(STAGES)
    pair.assert_none_wrote_after_the_other_began()


def test_after_sigkill_the_other_goes_on_within_twenty_seconds(pair: Pair, kubelet: Kubelet, training: Namespace):
    pair.first.kill()
    since = time.monotonic()
    training.job("next")
    waited = pair.acted_by(pair.second, training, "next", since)
    print(f"fail-over after SIGKILL: {waited:.2f} s")
    assert waited <= FAIL_OVER
    kubelet.hold = set()
    training.ended("running")
    pair.assert_none_wrote_after_the_other_began()


def test_a_process_that_starts_again_under_its_name_goes_on_at_once(pair: Pair, kubelet: Kubelet, namespace: Namespace):
    pair.first.kill()
    pair.first.start()
    namespace.job("first")
    namespace.ended("first")
    assert pair.audit.writes(pair.second.token) == []


def test_a_leader_that_was_stopped_and_wakes_up_writes_nothing_more(pair: Pair, kubelet: Kubelet, training: Namespace):
    assert pair.first.process is not None
    pair.first.process.send_signal(signal.SIGSTOP)
    since = time.monotonic()
    training.job("next")  # and whatever follows waits in the sockets of the stopped one
    assert pair.acted_by(pair.second, training, "next", since) <= FAIL_OVER
    kubelet.hold = set()
    training.ended("running")
    training.job("last")
    pair.first.process.send_signal(signal.SIGCONT)
    assert pair.first.ends() == 1
    assert "was not renewed" in pair.first.log.read_text()
    training.ended("last")
    pair.assert_none_wrote_after_the_other_began()


def test_a_leader_that_is_cut_off_ends_itself_and_the_other_goes_on(pair: Pair, kubelet: Kubelet, training: Namespace):
    pair.relay.cut()
    since = time.monotonic()
    training.job("next")
    waited = pair.acted_by(pair.second, training, "next", since)
    print(f"fail-over after a cut: {waited:.2f} s")
    assert waited <= FAIL_OVER
    assert pair.first.ends() == 1
    kubelet.hold = set()
    training.ended("running")
    pair.assert_none_wrote_after_the_other_began()
