"""Processes that train one model together: the same student as by one, whatever happens to one of them."""

import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import micro
import numpy as np
import pytest
import torch
from distillery_api import exits
from distillery_api.objective import Objective
from distillery_api.student import StudentConfig
from distillery_api.summary import parse
from distillery_engine import TextTokenizer
from distillery_storage import open_prefix
from distillery_worker.artifacts.records import TrainRecord, read_record, student_prefix
from distillery_worker.context import Context
from distillery_worker.errors import Interrupted, PeerLost
from distillery_worker.launching import rendezvous
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from distillery_worker.students.bert import build_student
from distillery_worker.tasks.classification import Classification
from distillery_worker.training.checkpoints import Standing
from distillery_worker.training.examples import Examples, Split
from distillery_worker.training.fitting import Fit, Schedule
from distillery_worker.training.learner import Learner
from distillery_worker.training.ranks import Ranks, joined
from safetensors.torch import load_file
from torch import Tensor

ROWS, BATCH, STEPS = 33, 8, 10  # each epoch's last batch is of one row: a process has none of it
SCHEDULE = Schedule(STEPS, validate_every=5, checkpoint_every=100, batch_size=BATCH, learning_rate=0.01, seed=0)
Result = tuple[int, list[np.ndarray[Any, Any]]]
Work = Callable[[Ranks, Path], Result]


class Kept:
    """Checkpoints in memory."""

    def __init__(self) -> None:
        self.saved: list[Standing] = []

    def newest(self) -> None:
        return None

    def save(self, standing: Standing, tensors: dict[str, Tensor]) -> None:
        self.saved.append(standing)


def fit(ranks: Ranks, teacher: Path) -> Fit:
    """A training whose result depends on its arguments alone."""
    encoder = TextTokenizer(teacher / "tokenizer.json", micro.MAX_LENGTH, 0)
    rows = micro.sentences()[:ROWS]
    gold = torch.tensor([micro.ANIMALS.index(label) for _, label in rows])
    logits = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(1))
    examples = Examples(encoder.encode([text for text, _ in rows]), gold, logits)
    head = Classification(micro.ANIMALS)
    config = StudentConfig(hidden_size=8, layers=1, attention_heads=2, intermediate_size=8)
    model = build_student(config, head, torch.eye(19), max_length=micro.MAX_LENGTH, pad_token_id=0, seed=0)
    return Fit(model, Split(examples, examples), Learner(encoder, head, Objective()), SCHEDULE, ranks)


def weights(work: Fit) -> list[np.ndarray[Any, Any]]:
    return [weight.detach().numpy() for weight in work.model.parameters()]


def undisturbed(ranks: Ranks, teacher: Path) -> Result:
    work = fit(ranks, teacher)
    kept = Kept()
    for batch in batches(work):
        work.train_step(batch)
    return len(kept.saved), weights(work)


def with_little_memory(ranks: Ranks, teacher: Path) -> Result:
    """The second process does not hold more than one row at once."""
    loss = Learner.loss

    def small(self: Learner, model: Any, batch: Examples, rows: Any) -> Tensor:
        if ranks.rank == 1 and len(rows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss(self, model, batch, rows)

    Learner.loss = small  # type: ignore[method-assign]  # in a process that ends with this test
    work = fit(ranks, teacher)
    for batch in batches(work):
        work.train_step(batch)
    return work.standing.micro_batch, weights(work)


def batches(work: Fit) -> list[Examples]:
    order = [np.arange(start, min(start + BATCH, ROWS)) for start in range(0, ROWS, BATCH)]
    return [work.split.learn.take(rows) for rows in order]


def stopped(ranks: Ranks, teacher: Path) -> Result:
    """The second process gets SIGTERM in its third step."""
    context, work, kept = Context(workdir=teacher), fit(ranks, teacher), Kept()
    step = work.train_step

    def train_step(batch: Examples) -> None:
        step(batch)
        if ranks.rank == 1 and work.standing.step == 3:
            context.stop.set()

    work.train_step = train_step  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="step 3 of 10"):
        work.run(kept, context)  # type: ignore[arg-type]
    return len(kept.saved), weights(work)


def deserted(ranks: Ranks, teacher: Path) -> Result:
    """The second process ends before it has come where the first one waits for it once more."""
    ranks.wait()
    if ranks.rank == 0:
        with pytest.raises(PeerLost, match="another process of this training is gone"):
            ranks.wait()
    return ranks.rank, []


def in_two_processes(work: Work, teacher: Path) -> list[Result]:
    """What each of two connected processes gives."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    fork = multiprocessing.get_context("fork")  # a new interpreter would import torch for seconds
    ends = [fork.Pipe(duplex=False) for _ in range(2)]
    processes = [
        fork.Process(target=run_rank, args=(work, teacher, rank, port, writer)) for rank, (_, writer) in enumerate(ends)
    ]
    for process in processes:
        process.start()
    try:
        assert all(reader.poll(60) for reader, _ in ends)
        return [reader.recv() for reader, _ in ends]
    finally:
        for process in processes:
            process.kill()
            process.join()


def run_rank(work: Work, teacher: Path, rank: int, port: int, writer: Connection) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE="2", RANK=str(rank))
    with joined() as ranks:
        writer.send(work(ranks, teacher))


@pytest.mark.parametrize("work", [undisturbed, with_little_memory])
def test_both_processes_end_with_the_weights_of_one_alone(work: Work, source: Path) -> None:
    _, expected = undisturbed(Ranks(), source / "teacher")
    results = in_two_processes(work, source / "teacher")
    for _, found in results:
        for mine, others, alone in zip(found, results[0][1], expected, strict=True):
            np.testing.assert_array_equal(mine, others)
            np.testing.assert_allclose(mine, alone, atol=2e-5)


def test_a_process_without_memory_takes_smaller_parts_and_the_other_does_not(source: Path) -> None:
    assert [size for size, _ in in_two_processes(with_little_memory, source / "teacher")] == [BATCH, 1]


def test_a_stop_of_one_process_stops_both_after_the_same_step_with_one_checkpoint(source: Path) -> None:
    (saved, first), (saved_by_second, second) = in_two_processes(stopped, source / "teacher")
    assert (saved, saved_by_second) == (1, 0)
    for mine, others in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine, others)


def test_a_process_whose_peer_is_gone_says_so_and_ends(source: Path) -> None:
    assert [rank for rank, _ in in_two_processes(deserted, source / "teacher")] == [0, 1]


def test_every_row_of_a_batch_is_of_one_process() -> None:
    shares = [Ranks(rank, 3).share(8).tolist() for rank in range(3)]
    assert sorted(row for share in shares for row in share) == list(range(8))


def test_pods_meet_at_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "job-0.job")
    assert rendezvous(nodes=3, index=2)[:2] == ("static", "job-0.job:29500")
    assert rendezvous(nodes=3, index=2)[2]["rank"] == 2
    assert rendezvous(nodes=1, index=0)[1] == "localhost:0"


RECIPE: dict[str, Any] = {
    "student": {"config": {"hiddenSize": 8, "layers": 1, "attentionHeads": 2, "intermediateSize": 8}},
    "objective": {"hiddenStates": {"layers": [{"teacher": 1, "student": 1}]}},
}


def prepare(source: Path, storage: Path, context: Context, training: dict[str, Any]) -> Any:
    """Preflight and label; train's run.json."""
    recipe = RECIPE | {"training": micro.TRAINING | training}
    found = preflight(micro.make_run("preflight", source, storage, **recipe), context)
    label(micro.make_run("label", source, storage, labelsKey=found.labels_key), context)
    keys = {"labelsKey": found.labels_key, "studentKey": found.student_key}
    return micro.make_run("train", source, storage, **recipe, **keys)


def trained(run: Any, storage: Path) -> tuple[TrainRecord, dict[str, torch.Tensor]]:
    prefix = student_prefix(open_prefix(f"file://{storage}"), run.student_key)
    record = read_record(prefix)
    assert record is not None
    return record, load_file(Path(prefix.uri.removeprefix("file://")) / record.student.folder / "model.safetensors")


def start(run: Any, folder: Path) -> subprocess.Popen[str]:
    """The worker as a pod starts it."""
    folder.mkdir()
    (folder / "run.json").write_text(run.model_dump_json(by_alias=True))
    places = ["--run", folder / "run.json", "--termination-log", folder / "message", "--workdir", folder / "work"]
    return subprocess.Popen(
        [sys.executable, "-m", "distillery_worker", *map(str, places), "--progress-port", "0"],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_train_the_student_that_one_does(source: Path, tmp_path: Path, context: Context) -> None:
    alone = prepare(source, tmp_path / "alone", context, {"epochs": 1})
    train(alone, context)
    together = prepare(source, tmp_path / "together", context, {"epochs": 1, "processesPerNode": 2})
    assert together.student_key == alone.student_key  # who shares the work is no part of what a student is
    process = start(together, tmp_path / "pod")
    _, errors = process.communicate(timeout=100)
    assert process.returncode == exits.DONE, errors
    summary = parse((tmp_path / "pod" / "message").read_text())
    assert summary is not None
    assert summary.train is not None
    (one, expected), (two, found) = trained(alone, tmp_path / "alone"), trained(together, tmp_path / "together")
    assert two.student.steps == one.student.steps
    assert two.student.initial_weights == one.student.initial_weights
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-4, rtol=1e-3, msg=name)
    assert len(list((tmp_path / "together").rglob("train.json"))) == 1
