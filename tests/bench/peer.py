"""The peer: Kubeflow Trainer v2.2.0, a controller in Go, under the same load on the same machine.

It is built once from peer/go.mod. TrainJobs become JobSets; no JobSet controller runs, the bench ends JobSets itself.

children_per_s    500 TrainJobs are created, 20 in flight; JobSets by the seconds from the answer to the first create to
                  the sight of the last JobSet
p50_ms, p99_ms    without a queue: 100 JobSets, one at a time, from the answer to the write that completed it to the
                  sight of its TrainJob's status that says so
rss_mib           resident memory of its process at the end
"""

import asyncio
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from api import kubectl
from connection import MERGE, Connection, connect
from controlplane import DEFAULT_CONTROLLERS, ControlPlane, free_ports
from measures import latencies_ms, quantile, rate, rss_mib
from observer import Event, Observer, Sightings, note_job
from settings import CACHE
from tools import ensure_tools, exclusive

MODULE = Path(__file__).parent / "peer"
BURST, UNQUEUED, IN_FLIGHT = 500, 100, 20
SYSTEM, ACCOUNT = "kubeflow-system", "kubeflow-trainer-controller-manager"
CERTIFICATES = Path("/tmp/k8s-webhook-server/serving-certs")  # fixed in the controller
TRAINJOBS = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/default/trainjobs"
JOBSETS = "/apis/jobset.x-k8s.io/v1alpha2/namespaces/default/jobsets"
RUNTIME = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "ClusterTrainingRuntime",
    "metadata": {"name": "bench", "labels": {"trainer.kubeflow.org/framework": "torch"}},
    "spec": {
        "mlPolicy": {"numNodes": 1, "torch": {}},
        "template": {"spec": {"replicatedJobs": [{
            "name": "node",
            "template": {
                "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
                "spec": {"template": {"spec": {"containers": [{"name": "node", "image": "example.com/train:0"}]}}},
            },
        }]}},
    },
}  # fmt: skip


def build() -> Path:
    """The folder with the controller and its manifests; minutes the first time."""
    pins = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    folder = CACHE / "bench" / f"peer-{hashlib.sha256(pins).hexdigest()[:16]}"
    with exclusive(CACHE / "bench/.lock"):
        if not folder.is_dir():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            work = partial / "go"
            compile_into(partial, work)
            shutil.rmtree(work)
            partial.rename(folder)
    return folder


def compile_into(folder: Path, work: Path) -> None:
    """Build with exactly the modules of go.sum, and keep the manifests that they carry."""
    environment = {
        **os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-modcacherw", "GOCACHE": str(work / "build"),
        "GOMODCACHE": str(work / "modules"),
    }  # fmt: skip

    def go(*arguments: str) -> str:
        done = subprocess.run(
            ["go", *arguments], cwd=MODULE, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.strip()

    package = "github.com/kubeflow/trainer/v2"
    go(
        "build",
        "-trimpath",
        "-ldflags",
        "-s -w",
        "-o",
        str(folder / "trainer"),
        f"{package}/cmd/trainer-controller-manager",
    )
    trainer, jobset = (Path(go("list", "-m", "-f", "{{.Dir}}", module)) for module in (package, "sigs.k8s.io/jobset"))
    (folder / "crds").mkdir()
    for crd in (*trainer.glob("manifests/base/crds/trainer*.yaml"), *jobset.glob("config/components/crd/bases/*.yaml")):
        shutil.copy(crd, folder / "crds" / crd.name)
    shutil.copy(trainer / "manifests/base/rbac/role.yaml", folder)
    shutil.copy(trainer / "manifests/base/manager/controller_manager_config.yaml", folder / "config.yaml")


def note_train_job(seen: Sightings, at: float, event: Event) -> None:
    """A TrainJob whose status says Complete."""
    name, status = event["object"]["metadata"]["name"], event["object"].get("status", {})
    if any(c["type"] == "Complete" and c["status"] == "True" for c in status.get("conditions", ())):
        seen.ended.setdefault(name, at)


def account(plane: ControlPlane, folder: Path, work: Path) -> Path:
    """The controller's own ServiceAccount with the rights that its release gives it."""
    tools = ensure_tools()

    def run(*arguments: str, **more: str) -> str:
        return kubectl(tools, plane.kubeconfig, *arguments, **more)

    run("create", "namespace", SYSTEM)
    run("-n", SYSTEM, "create", "serviceaccount", ACCOUNT)
    run("create", "-f", str(folder / "role.yaml"))
    run("create", "clusterrolebinding", "trainer", f"--clusterrole={ACCOUNT}", f"--serviceaccount={SYSTEM}:{ACCOUNT}")
    run("-n", SYSTEM, "create", "secret", "generic", "kubeflow-trainer-webhook-cert")
    run("create", "-f", "-", stdin=json.dumps(RUNTIME))
    content = yaml.safe_load(plane.kubeconfig.read_text())
    content["users"][0]["user"] = {"token": run("-n", SYSTEM, "create", "token", ACCOUNT, "--duration=2h").strip()}
    path = work / "kubeconfig"
    path.write_text(json.dumps(content))
    return path


def configuration(folder: Path, work: Path) -> tuple[Path, int]:
    """The shipped configuration on ports that are free, and the port of its probes."""
    content = yaml.safe_load((folder / "config.yaml").read_text())
    probes, metrics, webhook, status = free_ports(4)
    content["health"]["healthProbeBindAddress"] = f"127.0.0.1:{probes}"
    content["metrics"]["bindAddress"] = f"127.0.0.1:{metrics}"
    content["webhook"]["port"], content["statusServer"]["port"] = webhook, status
    content["leaderElection"]["resourceNamespace"] = SYSTEM
    path = work / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path, probes


@contextmanager
def controller(plane: ControlPlane, folder: Path, work: Path) -> Iterator[int]:
    """The running controller's process id. It begins only once certificates lie at a fixed place."""
    config, probes = configuration(folder, work)
    CERTIFICATES.mkdir(parents=True)
    try:
        for kind in ("crt", "key"):
            shutil.copy(plane.directory / f"certificates/apiserver.{kind}", CERTIFICATES / f"tls.{kind}")
        environment = {**os.environ, "KUBECONFIG": str(account(plane, folder, work))}
        with (work / "trainer.log").open("wb") as log:
            process = subprocess.Popen(
                [folder / "trainer", f"--config={config}"], env=environment, stdout=log, stderr=log
            )
        try:
            ready(process, probes, work / "trainer.log")
            yield process.pid
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(CERTIFICATES.parent)


def ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait for its readiness, and for its caches to come to rest."""
    while not listens(port):
        if process.poll() is not None:
            raise AssertionError(f"the peer ended: {log.read_text()[-2000:]}")
        time.sleep(0.2)
    time.sleep(8)


def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    with closing(socket.socket()) as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


async def create(api: Connection, name: str) -> float:
    """A TrainJob; when it was answered."""
    trainer = {"numNodes": 1, "image": "example.com/train:1", "command": ["true"]}
    spec = {"runtimeRef": {"name": "bench"}, "trainer": trainer}
    body = {"apiVersion": RUNTIME["apiVersion"], "kind": "TrainJob", "metadata": {"name": name}, "spec": spec}
    await api.send("POST", TRAINJOBS, body)
    return time.monotonic()


async def complete(api: Connection, name: str) -> float:
    """End a JobSet well; when that was answered."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    condition = {
        "type": "Completed",
        "status": "True",
        "reason": "AllJobsCompleted",
        "message": "ended",
        "lastTransitionTime": at,
    }
    await api.send("PATCH", f"{JOBSETS}/{name}/status", {"status": {"conditions": [condition]}}, MERGE)
    return time.monotonic()


async def burst(api: Connection, observer: Observer) -> float:
    """JobSets a second."""
    left, answered = iter(range(BURST)), list[float]()

    async def some() -> None:
        for number in left:
            answered.append(await create(api, f"burst-{number:04d}"))

    await asyncio.gather(*(some() for _ in range(IN_FLIGHT)))
    await until(partial(observer.reached, children=BURST))
    return rate(BURST, answered[0], max(observer.sightings().children.values()))


async def one_by_one(api: Connection, observer: Observer) -> list[float]:
    """Milliseconds from a JobSet's end to its TrainJob's."""
    ends: dict[str, float] = {}
    for number in range(UNQUEUED):
        name = f"single-{number:04d}"
        await create(api, name)
        await until(partial(observer.reached, children=BURST + number + 1))
        await asyncio.sleep(0.1)
        ends[name] = await complete(api, name)
        await until(partial(observer.reached, ended=number + 1))
    return latencies_ms(ends, observer.sightings().ended)


async def until(done: Callable[[], bool]) -> None:
    """Wait; AssertionError after two minutes."""
    deadline = time.monotonic() + 120
    while not done():
        if time.monotonic() > deadline:
            raise AssertionError("the peer does not go on")
        await asyncio.sleep(0.05)


async def measure(work: Path) -> dict[str, Any]:
    """The peer's numbers, on a control plane of its own in `work`."""
    folder = build()
    plane = ControlPlane(
        work / "plane", controllers=DEFAULT_CONTROLLERS, manifests=sorted((folder / "crds").iterdir())
    ).start()
    try:
        with controller(plane, folder, work) as pid:
            observer = Observer(plane.kubeconfig, {JOBSETS: note_job, TRAINJOBS: note_train_job})
            async with connect(plane.kubeconfig) as api:
                per_second = await burst(api, observer)
                latencies = await one_by_one(api, observer)
            observer.stop()
            return {
                "children_per_s": per_second, "p50_ms": round(quantile(latencies, 0.5), 1),
                "p99_ms": round(quantile(latencies, 0.99), 1), "rss_mib": rss_mib(pid),
            }  # fmt: skip
    finally:
        plane.stop()
