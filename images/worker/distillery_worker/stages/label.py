"""label: write the teacher's logits for this shard's rows that have none."""

import numpy as np
from distillery_api.run import LabelRun
from distillery_api.summary import LabelResult
from distillery_engine import TextTokenizer
from distillery_storage import open_prefix
from numpy.typing import NDArray
from transformers import PreTrainedModel

from ..context import Context
from ..data.files import load_rows, row_key
from ..errors import InputRefused
from ..labels.store import LabelStore
from ..teachers.local import fetch_teacher, load_teacher, predict

BATCH = 64
SEGMENT_ROWS = 2048  # work that a kill can cost


def label(run: LabelRun, context: Context) -> LabelResult:
    """Label the shard, segment by segment; a second run skips what is stored."""
    teacher = fetch_teacher(run.teacher, context.folder("teacher"))
    codec = teacher.codec(run.soft_labels.kind)
    if codec.key != run.labels_key:
        raise InputRefused(
            "DigestMismatch",
            f"teachers[0].model: {run.teacher.uri} changed after preflight (labels key {codec.key},"
            f" not {run.labels_key}); restore the folder or apply the job again",
        )
    store = LabelStore.at(open_prefix(run.storage), run.labels_key)
    texts = shard_texts(run, context)
    stored = store.keys()
    missing = {key: text for key, text in texts.items() if key not in stored}
    context.progress.start(len(texts), "rows")
    context.progress.resume(len(texts) - len(missing))
    if missing:
        store.describe(codec)
        write_labels(run, context, store, teacher.tokenizer(), load_teacher(teacher, run.teacher.uri), missing)
    return LabelResult(shard=context.shard, labelled_rows=len(missing), reused_rows=len(texts) - len(missing))


def shard_texts(run: LabelRun, context: Context) -> dict[str, str]:
    """Distinct rows of train and unlabelled that belong to this shard, by row key."""
    columns, folder = run.dataset.columns, context.folder("data")
    files = [("train", run.dataset.train)]
    if run.dataset.unlabelled:
        files.append(("unlabelled", run.dataset.unlabelled))
    texts = [text for field, uri in files for text in load_rows(uri, field, columns, None, folder).texts]
    keyed = {row_key(text): text for text in texts}
    return {key: text for key, text in keyed.items() if shard_of(key, run.soft_labels.shards) == context.shard}


def shard_of(key: str, shards: int) -> int:
    """The shard that labels a row: only the row decides, so any number of shards covers each row once."""
    return int(key[:16], 16) % shards


def write_labels(
    run: LabelRun,
    context: Context,
    store: LabelStore,
    tokenizer: TextTokenizer,
    model: PreTrainedModel,
    missing: dict[str, str],
) -> None:
    """Run the teacher over the rows, in batches of similar length, and store a segment at a time."""
    keys = list(missing)
    rows = dict(zip(keys, tokenizer.ids(list(missing.values())), strict=True))
    # Longest first: memory runs out at once or never.
    keys.sort(key=lambda key: (-len(rows[key]), key))
    for start in range(0, len(keys), SEGMENT_ROWS):
        segment = keys[start : start + SEGMENT_ROWS]
        logits = []
        for first in range(0, len(segment), BATCH):
            context.check_stop(f"{start} of {len(keys)} rows are stored")
            batch = segment[first : first + BATCH]
            logits.append(predict(model, tokenizer.pad([rows[key] for key in batch])))
            context.progress.advance(len(batch))
        store.append(segment, checked(np.concatenate(logits), run.teacher.uri), context.shard, run.job.uid)


def checked(logits: NDArray[np.float32], uri: str) -> NDArray[np.float32]:
    """The logits, or InputRefused where one is NaN or infinite."""
    if not np.isfinite(logits).all():
        raise InputRefused(
            "WeightsCorrupt", f"teachers[0].model: {uri} answers NaN or infinity for some rows; upload sound weights"
        )
    return logits
