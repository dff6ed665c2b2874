"""The rows of a job, as preflight, label and train all see them."""

from distillery_api.dataset import Dataset
from distillery_api.digests import canonical, digest_of
from distillery_api.run import StageRun
from distillery_storage import NotFound, Prefix, open_prefix

from ..context import Context
from ..data.files import Rows
from ..data.filters import LEARNED, Curated, Selection, select_rows
from ..tasks.head import Head
from ..tasks.registry import task_of

ROWS = "rows.json"  # of a selection


def rows_to_learn(run: StageRun, head: Head | None, context: Context) -> Curated:
    """Rows of train and unlabelled that the filters keep. Raises InputRefused and storage errors."""
    needed = (*LEARNED, "test") if run.dataset.wanted_filters.contamination else LEARNED
    return curate(run, load_files(run, head, needed, context))


def load_files(run: StageRun, head: Head | None, fields: tuple[str, ...], context: Context) -> dict[str, Rows]:
    """These files of the dataset, by field name; with a head, labelled rows need a gold value."""
    task, folder, files = task_of(run), context.folder("data"), dict[str, Rows]()
    for field in fields:
        if uri := getattr(run.dataset, field):
            gold = None if field == "unlabelled" else head
            files[field] = task.load_rows(uri, field, run.dataset.columns, gold, folder)
    return files


def curate(run: StageRun, files: dict[str, Rows]) -> Curated:
    """The files without the rows that the filters drop.

    The first stage to ask stores which rows those are, so that no GPU waits while they are found again, and a stage
    with another image, whose libraries may be of other versions, sees the same rows.
    """
    key = selection_key(run.dataset, files)
    if key is None:
        return Curated(files, {})
    prefix = open_prefix(run.storage).child(f"selections/{key.removeprefix('sha256:')}")
    try:
        found = prefix.read(ROWS)
    except NotFound:
        found = stored(prefix, select_rows(files, run.dataset.wanted_filters))
    return Selection.model_validate_json(found).of(files)


def selection_key(dataset: Dataset, files: dict[str, Rows]) -> str | None:
    """Key of everything that a selection depends on; None where no filter selects rows before they are labelled."""
    filters = dataset.wanted_filters.without_teacher()
    if not filters.dump():
        return None
    read = (*LEARNED, "test") if filters.contamination else LEARNED
    digests = {field: files[field].digest for field in read if field in files}
    return digest_of({"filters": filters.dump(), "columns": dataset.columns.dump(), "files": digests})


def stored(prefix: Prefix, selection: Selection) -> bytes:
    """Store a selection; where another pod was faster, its bytes are the answer."""
    prefix.create(ROWS, canonical(selection.dump()))
    return prefix.read(ROWS)
