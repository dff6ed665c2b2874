"""Faults that somebody plants in a job: each is caught by the stages and the gate as they are, and says what it is."""

from pathlib import Path

import micro
import numpy as np
import pytest
from distillery.__main__ import main
from distillery_engine import ArtifactInvalid
from distillery_worker.errors import InputRefused
from planted import HELD_OUT, QUICK, Job, Ref, Row, Weights, criterion, embedding, word_id

FEW_OWLS = [row for row in HELD_OUT if row[1] != "owl"] + [row for row in HELD_OUT if row[1] == "owl"][:16]
EXCHANGED = {"cat": "dog", "dog": "cat", "owl": "owl"}


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, Ref]:
    """A job with the artifact of a student that is right on all rows."""
    job = Job(source, tmp_path_factory.mktemp("planted"))
    job.preflight(HELD_OUT)
    return job, job.make()


@pytest.fixture
def sound(made: tuple[Job, Ref]) -> tuple[Job, Ref]:
    """The same, with its own held-out rows."""
    made[0].preflight(HELD_OUT)
    return made


def test_without_a_fault_the_student_passes(sound: tuple[Job, Ref]) -> None:
    job, artifact = sound
    verdict = job.evaluate(artifact, {"minRetention": 0.9, "maxContamination": 0.0})
    assert (verdict.result, criterion(verdict, "retention").value) == ("Pass", 1)
    assert main(["gate", verdict.report_uri]) == 0


def test_a_slice_that_collapsed_fails_a_student_whose_average_passes(sound: tuple[Job, Ref]) -> None:
    def owls_are_cats(weights: Weights) -> None:
        embedding(weights)[word_id("owl")] = embedding(weights)[word_id("cat")]

    job, artifact = sound
    job.preflight(FEW_OWLS)
    gate = {"minRetention": 0.7, "slices": {"minRetention": 0.7, "minItems": 10}}
    verdict = job.evaluate(job.spoilt(artifact, owls_are_cats), gate, dataset=job.dataset(slice="kind"))
    assert criterion(verdict, "retention").verdict == "Pass"
    assert (verdict.result, criterion(verdict, "worstSlice").verdict) == ("Fail", "Fail")
    assert "Of 2 slices 'night' is worst" in criterion(verdict, "worstSlice").message


def test_an_artifact_whose_label_names_are_permuted_fails(sound: tuple[Job, Ref]) -> None:
    job, artifact = sound
    verdict = job.evaluate(job.spoilt(artifact, labels=["dog", "cat", "owl"]))
    assert (verdict.result, criterion(verdict, "retention").verdict) == ("Fail", "Fail")
    assert criterion(verdict, "retention").value < 0.4


def test_held_out_rows_whose_labels_are_exchanged_are_not_judged_by(sound: tuple[Job, Ref]) -> None:
    """The student errs as its teacher does, and would keep all of its accuracy."""
    job, artifact = sound
    other = {"cat": "dog", "dog": "cat", "owl": "owl"}
    job.preflight([(text, other[label]) for text, label in HELD_OUT])
    with pytest.raises(
        InputRefused, match=r"rows of dataset\.test are answered 'cat' as 'dog', 'dog' as 'cat'"
    ) as caught:
        job.evaluate(artifact)
    assert caught.value.reason == "TeacherUnfit"


def test_held_out_rows_on_which_the_teacher_only_guesses_are_not_judged_by(sound: tuple[Job, Ref]) -> None:
    job, artifact = sound
    job.preflight([(text, micro.ANIMALS[number % 3]) for number, (text, _) in enumerate(HELD_OUT)])
    with pytest.raises(
        InputRefused, match=r"200 rows of dataset\.test agree with 63 gold .* no more than chance"
    ) as caught:
        job.evaluate(artifact)
    assert caught.value.reason == "TeacherUnfit"


def test_a_teacher_that_is_not_above_the_chance_that_the_gate_names_gives_no_verdict(sound: tuple[Job, Ref]) -> None:
    """It is right on two rows of five, and on the others as often wrong in one way as in the other."""
    job, artifact = sound
    turns = [0, 0, 1, 1, 2, 0, 0, 1, 2, 2]
    labels = [(micro.ANIMALS.index(label) + turns[number % 10]) % 3 for number, (_, label) in enumerate(HELD_OUT)]
    job.preflight([(text, micro.ANIMALS[label]) for (text, _), label in zip(HELD_OUT, labels, strict=True)])
    with pytest.raises(
        InputRefused, match=r"teacher: accuracy 0\.400 .* is not shown to be above chance, 0\.4"
    ) as caught:
        job.evaluate(artifact, {"minRetention": 0.8, "chanceAccuracy": 0.4})
    assert caught.value.reason == "GateInput"


def test_held_out_rows_that_are_learned_in_another_form_fail_the_gate_that_asks(sound: tuple[Job, Ref]) -> None:
    job, artifact = sound
    known = [(text.replace(" ", "  "), label) for text, label in micro.sentences()[30:50]]  # half of them unlabelled
    leaked = [*known, *HELD_OUT[20:]]
    with pytest.raises(InputRefused, match=r"20 of 200 rows stand in dataset\.train or unlabelled") as caught:
        job.preflight(leaked, gate={"maxContamination": 0.05})
    assert caught.value.reason == "TestInTraining"
    verdict = job.evaluate(artifact, {"minRetention": 0.8, "maxContamination": 0.05})
    assert (verdict.result, criterion(verdict, "retention").verdict) == ("Fail", "Pass")
    assert criterion(verdict, "contamination").message.startswith("20 of 200 items, a share of 0.100, stand in")
    assert job.items(verdict)["contaminated"] == [True] * 20 + [False] * 180
    assert main(["gate", verdict.report_uri]) == 1
    told = job.report(job.evaluate(artifact))["verdict"]["comparisons"]
    assert next(each for each in told if each["name"] == "contamination")["value"] == 0.1


def test_held_out_rows_that_are_learned_letter_by_letter_are_refused(sound: tuple[Job, Ref]) -> None:
    job, _ = sound
    with pytest.raises(InputRefused, match="the student would be judged on what it learned from") as caught:
        job.preflight([*micro.sentences()[:5], *HELD_OUT])
    assert caught.value.reason == "TestInTraining"


def test_held_out_rows_that_are_exchanged_for_learned_ones_after_preflight_are_not_judged_by(
    sound: tuple[Job, Ref],
) -> None:
    job, artifact = sound
    micro.write_rows(job.source / "test.parquet", micro.sentences()[:40])
    with pytest.raises(InputRefused, match=r"dataset\.test: .* is not the file that preflight read") as caught:
        job.evaluate(artifact)
    assert caught.value.reason == "DigestMismatch"


def test_a_student_that_learned_from_another_file_than_preflight_read_is_not_judged(
    source: Path, tmp_path: Path
) -> None:
    job = Job(source, tmp_path)
    job.recipe["training"] = QUICK
    micro.write_rows(job.source / "train.parquet", micro.sentences()[:39])
    job.preflight()
    micro.write_rows(job.source / "train.parquet", micro.sentences()[:180])
    artifact = job.make()
    with pytest.raises(
        InputRefused, match=r"the student learned from train sha256:.* and preflight read train"
    ) as caught:
        job.evaluate(artifact)
    assert caught.value.reason == "DigestMismatch"


def test_an_int8_artifact_that_fell_apart_fails_although_the_student_passes(sound: tuple[Job, Ref]) -> None:
    """One outlier sets the scale of each matrix, and the rest is rounded to nothing."""

    def quantise(weights: Weights) -> None:
        for name, array in weights.items():
            if array.ndim == 2 and "embeddings" not in name:
                scale = 400 * np.abs(array).max() / 127
                weights[name] = (np.clip(np.round(array / scale), -127, 127) * scale).astype(np.float32)

    job, artifact = sound
    assert job.evaluate(artifact).result == "Pass"
    verdict = job.evaluate(job.spoilt(artifact, quantise))
    assert (verdict.result, criterion(verdict, "retention").verdict) == ("Fail", "Fail")


@pytest.mark.parametrize("word", micro.ANIMALS)
def test_an_artifact_that_answers_nan_is_wrong_there(word: str, sound: tuple[Job, Ref]) -> None:
    def spoil(weights: Weights) -> None:
        embedding(weights)[word_id(word)] = np.nan

    job, artifact = sound
    verdict = job.evaluate(job.spoilt(artifact, spoil))
    rows = sum(label == word for _, label in HELD_OUT)
    assert (verdict.result, criterion(verdict, "retention").value) == ("Fail", pytest.approx(1 - rows / 200))
    items = job.items(verdict)
    assert {answer for answer, gold in zip(items["student"], items["gold"], strict=True) if gold == word} == {""}


def test_an_artifact_that_answers_nothing_but_nan_fails(sound: tuple[Job, Ref]) -> None:
    def spoil(weights: Weights) -> None:
        embedding(weights)[:] = np.nan

    job, artifact = sound
    verdict = job.evaluate(job.spoilt(artifact, spoil))
    assert (verdict.result, criterion(verdict, "retention").value) == ("Fail", 0)


def test_an_artifact_with_fewer_labels_than_the_rows_is_refused(sound: tuple[Job, Ref]) -> None:
    job, artifact = sound
    fewer = job.spoilt(artifact, labels=["cat", "dog"])
    with pytest.raises(InputRefused, match="has label 'owl'") as caught:
        job.evaluate(fewer)
    assert caught.value.reason == "UnknownLabel"
    without_owls: list[Row] = [row for row in HELD_OUT if row[1] != "owl"]
    job.preflight(without_owls)
    with pytest.raises(ArtifactInvalid, match="the manifest wants 'logits', 2 a row"):
        job.evaluate(fewer)
