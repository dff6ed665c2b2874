"""The termination message of a stage: never over 4,096 bytes, and read back without trust."""

import pytest
from distillery_api.distillationjob_status import Measured, VerdictStatus
from distillery_api.schema import Failure
from distillery_api.summary import LIMIT, CompressResult, LabelResult, PreflightResult, Summary, TrainResult, parse
from stage_results import DIGESTS, RESULTS, criterion

TEXTS = {"ascii": "x", "two bytes": "é", "three bytes": "文", "four bytes": "😀", "quotes": '"', "control": "\x01"}


def verdict(criteria: int, measured: int, message: str) -> Summary:
    """What evaluate says, with that many criteria and measured models."""
    models = [
        Measured(
            name=f"model-{i}", metric="accuracy", value=0.8234567, low=0.81, high=0.83, items=10000,
            parameters=22_700_000, p50_ms=12.34567, p99_ms=23.45678,
        )
        for i in range(measured)
    ]  # fmt: skip
    result = VerdictStatus(
        result="Pass", measured=models, gate_hash=DIGESTS["labels"], artifact_digest=DIGESTS["artifact"],
        incumbent_digest=DIGESTS["incumbent"], report_uri="s3://bucket/" + "r" * 500, report_digest=DIGESTS["report"],
        criteria=[criterion("Pass", f"criterion-{i}").model_copy(update={"message": message}) for i in range(criteria)],
    )  # fmt: skip
    return Summary(stage="evaluate", evaluate=result)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("length", [1, 100, 1000, 1024])
def test_a_failure_fits_and_can_be_read_back(text: str, length: int):
    failure = Failure(reason="MissingColumn", message=text * length)
    message = Summary(stage="preflight", failure=failure).message()
    assert len(message.encode()) <= LIMIT
    read = parse(message)
    assert read is not None
    assert read.failure is not None
    assert read.failure.reason == "MissingColumn"


def test_a_message_that_fits_is_whole():
    summary = Summary(stage="train", failure=Failure(reason="OutOfMemory", message="é" * 1024))
    assert parse(summary.message()) == summary


def test_a_message_that_is_cut_keeps_its_beginning_and_shows_the_cut():
    said = Summary(stage="train", failure=Failure(reason="OutOfMemory", message="😀" * 1024)).message()
    read = parse(said)
    assert read is not None
    assert read.failure is not None
    assert read.failure.message.startswith("😀" * 500)
    assert read.failure.message.endswith("…")


@pytest.mark.parametrize("criteria", [1, 2, 3])
@pytest.mark.parametrize("measured", [0, 4, 8])
def test_a_verdict_of_the_criteria_that_exist_fits(criteria: int, measured: int):
    said = verdict(criteria, measured, "m" * 400).message()
    assert len(said.encode()) <= LIMIT
    assert parse(said) is not None


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("criteria", [1, 3, 8, 16])
@pytest.mark.parametrize("measured", [0, 4, 8])
def test_the_longest_verdict_in_any_script_fits(text: str, criteria: int, measured: int):
    said = verdict(criteria, measured, text * 512).message()
    assert len(said.encode()) <= LIMIT
    assert parse(said) is not None


def test_a_long_verdict_shortens_its_messages_and_keeps_every_measured_model():
    whole = verdict(3, 8, "é" * 300)
    read = parse(whole.message())
    assert whole.evaluate is not None
    assert read is not None
    assert read.evaluate is not None
    assert read.evaluate.measured == whole.evaluate.measured
    assert all(len(c.message) > 200 and c.message.endswith("…") for c in read.evaluate.criteria)


def test_the_criterion_that_decides_keeps_its_sentence_where_many_pass():
    told = verdict(12, 4, "m" * 300)
    assert told.evaluate is not None
    criteria = [*told.evaluate.criteria[:-1], told.evaluate.criteria[-1].model_copy(update={"verdict": "Fail"})]
    read = parse(
        told.model_copy(update={"evaluate": told.evaluate.model_copy(update={"criteria": criteria})}).message()
    )
    assert read is not None
    assert read.evaluate is not None
    assert read.evaluate.criteria[-1].message == "m" * 300
    assert read.evaluate.criteria[0].message.endswith("…")


def test_a_failure_of_control_characters_keeps_what_fits():
    read = parse(Summary(stage="train", failure=Failure(reason="Crashed", message="\x01" * 1024)).message())
    assert read is not None
    assert read.failure is not None
    assert len(read.failure.message) > 600


@pytest.mark.parametrize("stage", ["preflight", "label", "train", "compress"])
def test_the_result_of_a_stage_is_read_back_as_it_was_written(stage: str):
    summary = Summary.model_validate({"stage": stage, stage: RESULTS[stage]})
    assert parse(summary.message()) == summary


def test_the_longest_uris_of_a_result_fit():
    result = CompressResult(
        artifact_uri="s3://" + "文" * 1019, artifact_digest=DIGESTS["artifact"], interface=DIGESTS["interface"],
        max_abs_difference=1e-6,
    )  # fmt: skip
    assert len(Summary(stage="compress", compress=result).message().encode()) <= LIMIT


def test_what_preflight_finds_of_eight_teachers_with_the_longest_names_fits():
    named = {f"{place}" + "n" * 62: DIGESTS["labels"] for place in range(8)}
    found = PreflightResult(
        teacher_digest=DIGESTS["teacher"], teacher_digests=named, teacher_revisions=[DIGESTS["artifact"]] * 8,
        student_model_digest=DIGESTS["student"], student_model_revision=DIGESTS["artifact"],
        labels_key=DIGESTS["labels"], labels_keys=named, student_key=DIGESTS["student"],
        selection_key=DIGESTS["report"], missing_rows=10**9, label_bytes=10**15,
        rows=dict.fromkeys(("train", "unlabelled", "test"), 10**9),
        dropped_rows=dict.fromkeys(("length", "language", "contamination", "dedupe", "teacherConfidence"), 10**9),
    )  # fmt: skip
    assert parse(Summary(stage="preflight", preflight=found).message()) is not None


def test_absent_parts_are_left_out():
    said = Summary(stage="label", label=LabelResult(shard=0, labelled_rows=1, reused_rows=2)).message()
    assert said == '{"stage":"label","label":{"shard":0,"labelledRows":1,"reusedRows":2}}'


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "null", "[]", "{}", "killed", "{", '{"stage": "train"', '"train"', "\x00", "é" * 5000,
        '{"stage": "dream"}', '{"stage": "train", "extra": 1}', '{"stage": "label", "label": {"shard": "none"}}',
        '{"stage": "train", "failure": {"reason": "not camel case", "message": ""}}', "[" * 10_000,
        '{"stage": "preflight", "failure": {"reason": "Bad", "message": "' + "x" * 2000 + '"}}',
    ],
)  # fmt: skip
def test_what_is_no_summary_is_none(text: str):
    assert parse(text) is None


def test_a_train_result_keeps_its_numbers_exactly():
    result = TrainResult(student="students/c", parameters=1, steps=2, validation_score=0.1 + 0.2)
    read = parse(Summary(stage="train", train=result).message())
    assert read is not None
    assert read.train == result
