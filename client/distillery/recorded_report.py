"""A report.json with its items, as an evaluation has recorded them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from distillery_api.digests import digest_bytes
from distillery_storage import Prefix, open_prefix, read_uri, split_uri
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import Refused
from .report_signature import check_signature


class File(BaseModel):
    """Something that was read or made, by address and content."""

    uri: str
    digest: str


class Measured(BaseModel):
    """A model that was evaluated, in the verdict."""

    model_config = ConfigDict(extra="allow")

    metric: str


class Given(BaseModel):
    """The verdict that the report gives."""

    model_config = ConfigDict(extra="allow")

    measurements: list[Measured] = Field(min_length=1)
    look: dict[str, Any]


class Report(BaseModel):
    """What of a report.json decides; the rest is kept as it is."""

    model_config = ConfigDict(extra="allow")

    schema_version: Literal["distillery.dev/report/v1"] = Field(alias="schemaVersion")
    items: File
    examples: File | None = None
    gate: dict[str, Any]
    gate_hash: str = Field(alias="gateHash")
    measured: list[dict[str, Any]]
    costs: dict[str, Any] | None = None
    verdict: Given


@dataclass(frozen=True)
class Recorded:
    """A report, its digest, the folder that it lies in, and the columns of its items.

    signed_by: SHA-256 of the public key that its signature was checked with, if it was.
    """

    place: str
    report: Report
    digest: str
    beside: Prefix
    columns: dict[str, list[Any]]
    signed_by: str | None = None

    @property
    def metric(self) -> str:
        """What the models were judged by."""
        return self.report.verdict.measurements[0].metric


def read_recorded(place: str, public_key: Path | None) -> Recorded:
    """The report at a path or URI, with its items; with a public key, one that it signed.

    Raises StorageError or Refused.
    """
    folder, name = split_uri(place if "://" in place else Path(place).absolute().as_uri())
    beside = open_prefix(folder)
    data = beside.read(name)
    signed_by = check_signature(beside, place, data, public_key) if public_key else None
    report = parsed(data, place)
    columns = read_table(beside, report.items).to_pydict()
    return Recorded(place, report, digest_bytes(data), beside, columns, signed_by)


def parsed(data: bytes, place: str) -> Report:
    """Raises Refused where it is no report."""
    try:
        return Report.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise Refused(
            f"{place}: is no report of an evaluation: {where}: {first['msg']}; name the report.json of"
            " status.verdict.reportUri"
        ) from error


def read_examples(recorded: Recorded) -> list[dict[str, Any]]:
    """Rows that the report shows; none where it was not asked to. Raises StorageError or Refused."""
    if (examples := recorded.report.examples) is None:
        return []
    rows: list[dict[str, Any]] = read_table(recorded.beside, examples).to_pylist()
    return rows


def read_table(beside: Prefix, file: File) -> Any:
    """A Parquet file of the report, from beside it where it lies there. Raises StorageError or Refused."""
    name = file.uri.rpartition("/")[2]
    data = beside.read(name) if beside.exists(name) else read_uri(file.uri)
    if (found := digest_bytes(data)) != file.digest:
        raise Refused(f"{name}: its digest is {found}, and the report names {file.digest}: one of them was changed")
    return pq.ParquetFile(pa.BufferReader(data)).read()
