"""`make bench-quality`: what distillation brings on the examples, with intervals. The last line is one JSON object.

Each seed of a case is one `distillery run` of the example's job: teacher, student and control (gold labels alone, the
same initial weights and as many steps) answer the same held-out rows. `gain` is what the student has over the control:
accuracy, mean absolute error less, or nats per token; its 95 % interval counts both what other held-out items and
what other seeds would change. Trained students stay in --workdir: a run that was ended goes on where it was.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from distillery.local.local_run import LocalRun
from distillery.request import read_request
from distillery.run_command import stoppable
from distillery.screen import Screen
from distillery.verdict_table import ending
from distillery_api.distillationjob_status import VerdictStatus
from distillery_gate.sums import jackknife
from distillery_storage import open_prefix
from numpy.typing import NDArray
from scipy.special import stdtrit

EXAMPLES = Path(__file__).parents[2] / "examples"
CASES = ("wordnet", "sotu", "cmudict", "fashion-mnist", "vader")
INPUTS = "s3://distillery/inputs/"
LEVEL = 0.95

Gains = NDArray[np.float64]  # [items]: what each says of the gain, which is their mean


@dataclass(frozen=True)
class Estimate:
    """A gain and its interval."""

    gain: float
    low: float
    high: float


def by_accuracy(items: pa.Table) -> Gains:
    """1 where the student alone is right, -1 where the control alone is."""
    gold, student, control = (items[name].to_numpy(zero_copy_only=False) for name in ("gold", "student", "control"))
    return (student == gold).astype(np.float64) - (control == gold)


def by_error(items: pa.Table) -> Gains:
    """How much nearer to the gold score the student is."""
    gold, student, control = (items[name].to_numpy() for name in ("gold", "student", "control"))
    return np.abs(control - gold) - np.abs(student - gold)


def by_likelihood(items: pa.Table) -> Gains:
    """Nats per token, document by document: what the jackknife makes of their totals."""
    texts, places = np.unique(items["cluster"].to_numpy(zero_copy_only=False), return_inverse=True)
    tokens = items["tokens"].to_numpy().astype(np.float64)
    gained = tokens * (items["control"].to_numpy() - items["student"].to_numpy())
    totals = [np.bincount(places, values, len(texts)).astype(np.float64) for values in (gained, tokens)]
    return jackknife(*totals)


GAINS: Mapping[str, Callable[[pa.Table], Gains]] = {
    "accuracy": by_accuracy, "mean absolute error": by_error, "perplexity": by_likelihood
}  # fmt: skip


def estimate(gains: NDArray[np.float64]) -> Estimate:
    """The mean gain over seeds and items, and its interval. gains: [seeds, items]

    Its variance is that of the items' means over seeds, by their number, plus that of the seeds' means, by theirs: too
    wide rather than too narrow, since what seeds and items share is counted twice. Student's t has the degrees of
    freedom of Satterthwaite (1946, Biometrics Bulletin 2:110).
    """
    parts = [means.var(ddof=1) / len(means) for means in (gains.mean(axis=0), gains.mean(axis=1))]
    freedom = sum(parts) ** 2 / sum(part**2 / (size - 1) for part, size in zip(parts, gains.shape[::-1], strict=True))
    reach = float(stdtrit(freedom, (1 + LEVEL) / 2) * np.sqrt(sum(parts)))
    mean = float(gains.mean())
    return Estimate(mean, mean - reach, mean + reach)


def prepared(case: str) -> Path:
    """What the example's prepare.py has built."""
    command = [sys.executable, str(EXAMPLES / case / "prepare.py")]
    return Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def job_of(case: str, seed: int, folder: Path) -> Path:
    """The example's job with this seed, its inputs on a volume called `inputs`."""
    job = yaml.safe_load((EXAMPLES / case / "job.yaml").read_text().replace(f"{INPUTS}{case}/", "pvc://inputs/"))
    job["spec"]["training"]["seed"] = seed
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


def run(case: str, seed: int, inputs: Path, workdir: Path) -> tuple[VerdictStatus, pa.Table]:
    """The verdict of one job, and what the models answered. SystemExit where it fails."""
    storage = workdir / case
    storage.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "volumes").mkdir()
        (Path(scratch) / "volumes" / "inputs").symlink_to(inputs)
        os.environ["DISTILLERY_PVC_ROOT"] = str(Path(scratch) / "volumes")
        request = read_request([str(job_of(case, seed, Path(scratch)))], None, storage, None)
        local = LocalRun(request, Path(scratch) / "run", len(os.sched_getaffinity(0)), Screen(sys.stderr))
        with stoppable(local):
            status = local.run()
    if status.verdict is None:
        raise SystemExit(f"{case}: {ending(status)}" if status.finished_at else f"{case}: stopped")
    evaluation = status.verdict.report_uri.rsplit("/", 1)[0]
    return status.verdict, pq.ParquetFile(io.BytesIO(open_prefix(evaluation).read("items.parquet"))).read()


def measure(case: str, seeds: int, workdir: Path) -> dict[str, Any]:
    """One case of the JSON object."""
    inputs = prepared(case)
    runs = [run(case, seed, inputs, workdir) for seed in range(seeds)]
    verdicts = [verdict for verdict, _ in runs]
    metric = verdicts[0].measured[0].metric
    found = estimate(np.stack([GAINS[metric](items) for _, items in runs]))
    models = {
        name: [round(each.value, 5) for verdict in verdicts for each in verdict.measured if each.name == name]
        for name in ("teacher", "student", "control")
    }
    return {
        "name": case,
        "metric": metric,
        "seeds": seeds,
        **{name: round(float(np.mean(values)), 5) for name, values in models.items()},
        "gain": round(found.gain, 5),
        "gain_low": round(found.low, 5),
        "gain_high": round(found.high, 5),
        "by_seed": models,
        "verdicts": [verdict.result for verdict in verdicts],
    }


def main() -> None:
    """Run all cases, and print."""
    parser = argparse.ArgumentParser(description="What distillation brings on the examples.")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workdir", type=Path, default=Path("build/quality"))
    options = parser.parse_args()
    found = []
    for case in options.cases:
        found.append(measure(case, options.seeds, options.workdir.resolve()))
        print(json.dumps(found[-1]), file=sys.stderr)
    print(json.dumps({"cases": found}))


if __name__ == "__main__":
    main()
