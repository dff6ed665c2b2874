"""The rows of a job, as preflight, label and train all see them."""

from distillery_api.run import StageRun

from ..context import Context
from ..data.files import Rows
from ..data.filters import LEARNED, Curated, curate
from ..tasks.head import Head
from ..tasks.registry import TASKS


def rows_to_learn(run: StageRun, head: Head | None, context: Context) -> Curated:
    """Rows of train and unlabelled that the filters keep. Raises InputRefused and storage errors."""
    needed = (*LEARNED, "test") if run.dataset.wanted_filters.contamination else LEARNED
    return curate(load_files(run, head, needed, context), run.dataset.wanted_filters)


def load_files(run: StageRun, head: Head | None, fields: tuple[str, ...], context: Context) -> dict[str, Rows]:
    """These files of the dataset, by field name; with a head, labelled rows need a gold value."""
    task, folder, files = TASKS[run.task], context.folder("data"), dict[str, Rows]()
    for field in fields:
        if uri := getattr(run.dataset, field):
            gold = None if field == "unlabelled" else head
            files[field] = task.load_rows(uri, field, run.dataset.columns, gold, folder)
    return files
