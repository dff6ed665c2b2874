"""A copy of the soft labels of a training on its own disk, of which a row is read whenever it is learned from.

<folder>/labels.arrow   a record batch a row, with the columns that segments have. Compressed, a row takes
                        four times as long to read
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .codecs import Codec
from .segments import KEY, RowLabels, rows_in, table_of
from .store import LabelStore, refuse_missing


@dataclass(frozen=True)
class LocalLabels:
    """Labels of rows, none of which is kept in memory. batches: the record batch of each row"""

    codec: Codec
    file: pa.RecordBatchFileReader
    batches: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, row: int) -> RowLabels:
        return self.at(np.array([row]))[0]

    def at(self, rows: NDArray[np.int64]) -> list[RowLabels]:
        """Labels of these rows (at least one), decoded together: one by one takes several times as long."""
        batches = [self.file.get_batch(batch) for batch in self.batches[rows].tolist()]
        return rows_in(self.codec, pa.Table.from_batches(batches))


def local_copy(store: LabelStore, wanted: Sequence[str], folder: Path) -> LocalLabels:
    """Labels of the rows with these keys, in order, copied a segment at a time; what is in the folder is replaced.

    A row labelled twice takes the first segment by id, as `LabelStore.lookup` does. Raises InputRefused (LabelsMissing)
    and DigestMismatch.
    """
    codec, path = store.labels.codec, folder / "labels.arrow"
    missing, batch_of = set(wanted), dict[str, int]()
    schema = table_of(codec, [], []).drop_columns([KEY]).schema
    with pa.ipc.new_file(path, schema) as file:
        for table in store.tables():
            rows = []
            for row, key in enumerate(table[KEY].to_pylist()):
                if key in missing:
                    missing.remove(key)
                    batch_of[key] = len(batch_of)
                    rows.append(row)
            file.write_table(table.drop_columns([KEY]).take(rows), max_chunksize=1)
    refuse_missing(missing, wanted)
    batches = np.array([batch_of[key] for key in wanted], dtype=np.int64)
    return LocalLabels(codec, pa.ipc.open_file(pa.memory_map(str(path))), batches)
