"""What a student costs is measured on its artifact, and its memory without torch."""

import gc
import json
from pathlib import Path
from typing import Any

import micro
import numpy as np
import pytest
from distillery_api.artifact import MANIFEST, ArtifactManifest, File, Provenance, TextPreprocessing
from distillery_api.gate import GateSpec
from distillery_engine import TextModel
from distillery_worker.artifacts.onnx_export import MODEL_FILE, export_text_model
from distillery_worker.errors import Interrupted
from distillery_worker.evaluation import costs, latency, serving_process
from distillery_worker.evaluation.costs import answers_to_time, peak_memory, processor, reading
from distillery_worker.students.bert import load_student

DIGEST = "sha256:" + "0" * 64
TEXTS = [text for text, _ in micro.sentences()[:30]]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier as it serves."""
    teacher, folder = tmp_path_factory.mktemp("made") / "teacher", tmp_path_factory.mktemp("artifact")
    micro.write_teacher(teacher)
    export_text_model(load_student(teacher), folder / MODEL_FILE)
    (folder / "tokenizer.json").write_bytes((teacher / "tokenizer.json").read_bytes())
    manifest = ArtifactManifest(
        labels=micro.ANIMALS, preprocessing=TextPreprocessing(max_length=micro.MAX_LENGTH), parameters=1,
        files={MODEL_FILE: File(sha256=DIGEST, size=(folder / MODEL_FILE).stat().st_size)},
        provenance=Provenance(teacher=DIGEST, labels_key=DIGEST, student_key=DIGEST, job_uid="uid"),
    )  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(manifest.dump()))
    return folder


def nothing() -> None:
    """Between answers."""


def test_memory_is_that_of_a_process_without_torch(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", "transformers"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    found = peak_memory(artifact, TEXTS, nothing)
    assert 2**24 < found < 2**30
    assert found > (artifact / MODEL_FILE).stat().st_size


def test_memory_grows_with_what_the_inputs_need(artifact: Path) -> None:
    spoken = ["cat " * 400_000]  # tokenized whole, before it is cut
    assert peak_memory(artifact, TEXTS[:1] + spoken, nothing) > peak_memory(artifact, TEXTS[:1], nothing) + 2**23


def test_a_model_that_does_not_load_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="memory ended with 1; the log has its errors"):
        peak_memory(tmp_path, TEXTS, nothing)


def test_a_stop_ends_the_process_that_measures(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = list[Any]()

    class Watched(costs.subprocess.Popen):  # type: ignore[type-arg, misc]
        def __init__(self, *args: Any, **fields: Any) -> None:
            super().__init__(*args, **fields)
            started.append(self)

    def stop() -> None:
        raise Interrupted("nothing is kept")

    monkeypatch.setattr(costs.subprocess, "Popen", Watched)
    with pytest.raises(Interrupted):
        peak_memory(artifact, TEXTS, stop)
    assert [process.returncode for process in started] == [-9]


@pytest.mark.parametrize(("code", "error"), [(-9, MemoryError), (-11, RuntimeError), (1, RuntimeError)])
def test_a_process_that_was_killed_had_too_little_memory(code: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        reading(code, "")


def test_the_last_line_is_the_measurement() -> None:
    assert reading(0, "a warning of a library\n4096\n") == 4096


def test_the_peak_is_read_from_proc() -> None:
    assert serving_process.peak_bytes("Name:\tpython\nVmPeak:\t 99 kB\nVmHWM:\t   12 kB\nVmRSS:\t 8 kB\n") == 12 * 1024


@pytest.mark.parametrize(("answers", "inputs"), [(5, 5), (30, 30), (100, 30)])
def test_answers_are_timed_to_rows_in_turn(artifact: Path, answers: int, inputs: int) -> None:
    asked = list[str]()

    class Engine(TextModel):
        def outputs(self, texts: Any) -> Any:
            asked.extend(texts)
            return super().outputs(texts)

    manifest = ArtifactManifest.model_validate_json((artifact / MANIFEST).read_bytes())
    between = list[int]()
    found = latency.measure(Engine(artifact, manifest), TEXTS, answers, lambda: between.append(1))
    assert (len(found.latency_ms), len(found.cpu_ms), len(between)) == (answers,) * 3
    timed = asked[min(inputs, latency.WARM_UP) :]
    assert found.inputs == len(set(timed)) == inputs
    assert timed == [latency.spread(TEXTS, answers)[place % inputs] for place in range(answers)]
    assert found.percentile(99) == float(np.percentile(found.latency_ms, 99))


def test_rows_are_taken_from_all_over_the_file() -> None:
    assert latency.spread(range(100), 5) == [0, 24, 49, 74, 99]
    assert latency.spread(range(3), 5) == [0, 1, 2]


def test_python_collects_the_garbage_of_the_worker_again_afterwards(artifact: Path) -> None:
    manifest = ArtifactManifest.model_validate_json((artifact / MANIFEST).read_bytes())
    frozen = list[int]()
    latency.measure(TextModel(artifact, manifest), TEXTS, 3, lambda: frozen.append(gc.get_freeze_count()))
    assert min(frozen) > 0
    assert gc.get_freeze_count() == 0


def test_as_many_answers_are_timed_as_the_gate_asks_for() -> None:
    asked = {"maxP99Ms": 9}
    assert answers_to_time(GateSpec.model_validate({"cost": asked})) == 1000
    assert answers_to_time(GateSpec.model_validate({"cost": asked | {"minMeasurements": 5000}})) == 5000
    assert answers_to_time(GateSpec()) == latency.ANSWERS


def test_the_processor_is_named_by_its_model_or_else_its_kind() -> None:
    assert processor("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t: a\n") == "Some CPU @ 2 GHz"
    assert processor("BogoMIPS\t: 50.00\n")
    assert len(processor(f"model name\t: {'x' * 500}\n")) == 128
