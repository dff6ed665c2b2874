"""`make demo`: from `kubectl apply` to a served student on the embedded cluster, shown as it goes.

With --json (`make bench-demo`) the last line is one JSON object with what was measured.
"""

import argparse
import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from embedded import Embedded, connect

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples/wordnet"
NAMESPACE = "wordnet"
INPUTS = "s3://distillery/inputs/wordnet"
QUESTION = "a large wild cat of Asia with a striped coat"
WIDTH = 28
PATIENCE = 45 * 60  # seconds for one job


def main() -> int:
    """Run the demo; exit 1 when it does not end as the README says."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with the figures as one JSON object")
    options = parser.parse_args()
    started = time.monotonic()
    cluster = connect()
    say("cluster and images are ready")
    cluster.install()
    say("chart is installed")
    cluster.upload("full", INPUTS)
    say("data and teacher are in the object store")
    fresh_namespace(cluster)
    cluster.kubectl("-n", NAMESPACE, "apply", "-f", str(EXAMPLE / "model.yaml"), "-f", str(EXAMPLE / "job.yaml"))
    say("applied examples/wordnet/model.yaml and job.yaml")
    first = follow(cluster, "wordnet")
    wait_until_served(cluster, first)
    cluster.kubectl("-n", NAMESPACE, "apply", "-f", str(EXAMPLE / "job-too-small.yaml"))
    say("applied examples/wordnet/job-too-small.yaml: the same soft labels, a student that is too small")
    second = follow(cluster, "wordnet-too-small")
    show(cluster, first, second)
    say(f"done after {(time.monotonic() - started) / 60:.1f} min; `make down` stops the cluster")
    if options.json:
        print(json.dumps(figures(first)))
    return 0 if verdict_of(first) == "Pass" and verdict_of(second) == "Fail" else 1


def fresh_namespace(cluster: Embedded) -> None:
    """A namespace without an earlier demo's objects; what that one stored is left out by an empty storage prefix."""
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true", "--timeout=120s")
    cluster.empty("s3://distillery/wordnet")
    cluster.namespace(NAMESPACE)


def follow(cluster: Embedded, name: str) -> dict[str, Any]:
    """Draw a bar for each stage until the job has ended; returns the job."""
    deadline = time.monotonic() + PATIENCE
    shown: dict[str, str] = {}
    while True:
        job: dict[str, Any] = cluster.get("-n", NAMESPACE, "dj", name)
        for stage in job.get("status", {}).get("stages", []):
            draw(stage, shown)
        if job.get("status", {}).get("finishedAt"):
            return job
        if time.monotonic() > deadline:
            raise SystemExit(f"{name} did not end; see: kubectl -n {NAMESPACE} describe dj {name}")
        time.sleep(2)


def draw(stage: dict[str, Any], shown: dict[str, str]) -> None:
    """One line for a stage: redrawn in place on a terminal, printed at its end elsewhere."""
    line, ended = bar(stage), stage["state"] in ("Done", "Skipped", "Failed")
    if stage["state"] == "Pending" or shown.get(stage["name"]) == line:
        return
    shown[stage["name"]] = line
    if sys.stdout.isatty():
        print(f"\r\033[K{line}", end="\n" if ended else "", flush=True)
    elif ended:
        print(line, flush=True)


def bar(stage: dict[str, Any]) -> str:
    """Name, bar and what is left."""
    state, progress = stage["state"], stage.get("progress")
    share = 1.0 if state == "Done" else progress["done"] / max(progress["total"], 1) if progress else 0.0
    filled = round(WIDTH * min(share, 1.0))
    words = {"Skipped": "skipped: " + stage.get("message", ""), "Failed": stage.get("message", "failed")}.get(state, "")
    if state == "Done":
        words = f"done in {seconds_of(stage):.0f} s"
    elif not words and progress:
        eta = f", {progress['etaSeconds']} s left" if progress.get("etaSeconds") is not None else ""
        words = f"{progress['done']:,} of {progress['total']:,} {progress['unit']}{eta}"
    return f"  {stage['name']:<10} [{'█' * filled}{'░' * (WIDTH - filled)}] {words or 'starting'}"


def seconds_of(stage: dict[str, Any]) -> float:
    """Wall seconds of a stage, its pod's start included."""
    times = [time.mktime(time.strptime(stage[key], "%Y-%m-%dT%H:%M:%SZ")) for key in ("startedAt", "finishedAt")]
    return times[1] - times[0]


def wait_until_served(cluster: Embedded, job: dict[str, Any]) -> None:
    """Until the model serves the job's student."""
    digest = job["status"].get("artifacts", {}).get("artifactDigest")
    deadline = time.monotonic() + 180
    while verdict_of(job) == "Pass":
        status = cluster.get("-n", NAMESPACE, "dm", "wordnet").get("status", {})
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
        if ready and status.get("active", {}).get("digest") == digest:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"the student does not serve; see: kubectl -n {NAMESPACE} describe dm wordnet")
        time.sleep(1)


def show(cluster: Embedded, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Verdicts with their numbers, what kubectl prints, one answer, and latencies."""
    print()
    for job in (first, second):
        status = job["status"]
        print(f"{job['metadata']['name']}: {verdict_of(job) or 'no verdict'}")
        for criterion in status.get("verdict", {}).get("criteria", []):
            print(f"  {criterion['name']}: {criterion['message']}")
        if not status.get("verdict"):
            print("  " + next(c["message"] for c in status["conditions"] if c["type"] == "Ready"))
    print("\nmodel      accuracy (interval)          parameters   p50 of one item")
    for model in first["status"].get("verdict", {}).get("measured", []):
        print(measured_line(model))
    print("\n$ kubectl get dj,dm\n" + cluster.kubectl("-n", NAMESPACE, "get", "dj,dm"))
    if verdict_of(first) != "Pass":
        print("no student passed its gate, so nothing serves")
        return
    address = cluster.get("-n", NAMESPACE, "service", "wordnet")["spec"]["clusterIP"]
    answer = ask(f"http://{address}/classify", {"text": QUESTION})
    print(f"$ curl http://{address}/classify -d '{json.dumps({'text': QUESTION})}'\n{json.dumps(answer)}\n")


def figures(job: dict[str, Any]) -> dict[str, Any]:
    """What the job's status holds, under the bench's names. Latency: one item, one thread, the serving engine."""
    verdict = job["status"].get("verdict", {})
    retention: dict[str, Any] = next((c for c in verdict.get("criteria", []) if c["name"] == "retention"), {})
    models = {
        model["name"]: {
            "accuracy": model["value"], "parameters": model.get("parameters"), "p50_ms": model.get("p50Ms"),
        }
        for model in verdict.get("measured", [])
    }  # fmt: skip
    return {
        **models,
        "retention": {name: retention.get(name) for name in ("value", "low", "high")},
        "verdict": verdict.get("result"),
        "stage_seconds": {s["name"]: seconds_of(s) for s in job["status"]["stages"] if s["state"] == "Done"},
    }


def measured_line(model: dict[str, Any]) -> str:
    """One row of the table."""
    interval = f"{model['value']:.3f} ({model['low']:.3f} to {model['high']:.3f})"
    parameters = f"{model['parameters']:,}" if model.get("parameters") else "-"
    latency = f"{model['p50Ms']:.2f} ms" if model.get("p50Ms") else "-"
    return f"{model['name']:<10} {interval:<28} {parameters:>10}   {latency:>10}"


def verdict_of(job: dict[str, Any]) -> str | None:
    """Pass, Fail or Inconclusive, where the gate has spoken."""
    verdict: str | None = job["status"].get("verdict", {}).get("result")
    return verdict


def ask(url: str, body: dict[str, str]) -> Any:
    """POST JSON."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def say(words: str) -> None:
    """A line of the demo's own."""
    print(f"demo: {words}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
