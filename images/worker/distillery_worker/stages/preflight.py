"""preflight: check every input for real, resolve digests and keys, and count the rows without soft labels."""

from collections.abc import Sequence
from typing import Any

from distillery_api.digests import digest_of
from distillery_api.run import PreflightRun
from distillery_api.summary import PreflightResult
from distillery_storage import open_prefix

from ..context import Context
from ..data.files import Rows, first_line, load_rows
from ..errors import InputRefused
from ..labels.store import LabelStore
from ..students.bert import MeanPooledBert, check_student
from ..teachers.local import TeacherFolder, config_of, fetch_teacher, load_teacher, predict


def preflight(run: PreflightRun, context: Context) -> PreflightResult:
    """Raises InputRefused with the first thing that is wrong."""
    teacher = fetch_teacher(run.teacher, context.folder("teacher"))
    files = load_dataset(run, teacher.labels, context)
    check_rows(files)
    try_teacher(run, teacher, files["train"])
    labels_key = teacher.codec(run.soft_labels.kind).key
    wanted = {key for field in ("train", "unlabelled") if field in files for key in files[field].keys}
    missing = wanted - LabelStore.at(open_prefix(run.storage), labels_key).keys()
    return PreflightResult(
        teacher_digest=teacher.digest,
        labels_key=labels_key,
        student_key=student_key(run, labels_key, files),
        rows={field: len(rows.texts) for field, rows in files.items()},
        missing_rows=len(missing),
    )


def load_dataset(run: PreflightRun, labels: Sequence[str], context: Context) -> dict[str, Rows]:
    """The files of the dataset, by field name."""
    columns, folder = run.dataset.columns, context.folder("data")
    files = {"train": load_rows(run.dataset.train, "train", columns, labels, folder)}
    if run.dataset.unlabelled:
        files["unlabelled"] = load_rows(run.dataset.unlabelled, "unlabelled", columns, None, folder)
    files["test"] = load_rows(run.dataset.test, "test", columns, labels, folder)
    return files


def check_rows(files: dict[str, Rows]) -> None:
    """There are rows, and none that decides the verdict is trained on."""
    if not files["test"].texts:
        raise InputRefused("EmptyTestSet", "dataset.test: has no rows; add held-out rows, thousands if you can")
    if len(set(files["train"].keys)) < 2:
        raise InputRefused("EmptyTrainSet", "dataset.train: has fewer than two different texts; add labelled rows")
    held_out = files["test"].keys
    for field in ("train", "unlabelled"):
        seen = set(files[field].keys) if field in files else set()
        shared = [number for number, key in enumerate(held_out, 1) if key in seen]
        if shared:
            raise InputRefused(
                "TestInTraining",
                f"dataset.test: {len(shared)} rows, the first in row {shared[0]}, are in dataset.{field} too;"
                " the student would be judged on rows it learned from: remove them from one of the files",
            )


def try_teacher(run: PreflightRun, teacher: TeacherFolder, train: Rows) -> None:
    """Load the weights and answer one real and one overlong row."""
    model = load_teacher(teacher, run.teacher.uri)
    config = config_of(model)
    if config.num_labels != len(teacher.labels):
        raise InputRefused(
            "ModelUnsupported",
            f"teachers[0].model: num_labels is not the size of id2label in {run.teacher.uri}/config.json; mend it",
        )
    text = train.texts[0]
    try:
        shape = predict(model, teacher.tokenizer().batch([text, text * teacher.max_length])).shape
    except Exception as error:  # models raise anything for inputs they were not made for
        raise InputRefused(
            "ModelUnsupported",
            f"teachers[0].model: {run.teacher.uri} fails on a row of {teacher.max_length} tokens: {first_line(error)};"
            " set model_max_length in tokenizer_config.json to what the model takes",
        ) from error
    if shape != (2, len(teacher.labels)):
        raise InputRefused(
            "ModelUnsupported",
            f"teachers[0].model: {run.teacher.uri} answers with shape {list(shape)}, not one logit a label;"
            " use a model for sequence classification",
        )
    check_student(run.student.config, model.get_input_embeddings().weight.shape[1])


def student_key(run: PreflightRun, labels_key: str, files: dict[str, Rows]) -> str:
    """Key of everything a student depends on; how often training is checkpointed is not among it."""
    training: dict[str, Any] = run.training.dump()
    training.pop("checkpointEverySteps")
    return digest_of(
        {
            "labelsKey": labels_key,
            "train": files["train"].digest,
            "unlabelled": files["unlabelled"].digest if "unlabelled" in files else None,
            "columns": run.dataset.columns.dump(),
            "student": run.student.dump(),
            "architecture": MeanPooledBert.__name__,
            "objective": run.objective.dump(),
            "training": training,
        }
    )
