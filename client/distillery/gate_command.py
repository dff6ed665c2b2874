"""`distillery gate REPORT`: take a verdict again, from what its evaluation recorded."""

import argparse
import sys
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from distillery_api.digests import digest_bytes
from distillery_storage import Prefix, open_prefix, read_uri, split_uri
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import Refused
from .exits import VERDICTS


class Recorded(BaseModel):
    """A file of the evaluation."""

    uri: str
    digest: str


class Measured(BaseModel):
    """A model that was evaluated."""

    model_config = ConfigDict(extra="allow")

    metric: str


class Given(BaseModel):
    """The verdict that the report gives."""

    model_config = ConfigDict(extra="allow")

    measurements: list[Measured] = Field(min_length=1)


class Report(BaseModel):
    """What of a report.json decides."""

    schema_version: Literal["distillery.dev/report/v1"] = Field(alias="schemaVersion")
    items: Recorded
    gate: dict[str, Any]
    verdict: Given


def decide_again(options: argparse.Namespace) -> int:
    """Print the verdict as JSON: 0 Pass, 1 Fail, 2 Inconclusive. Raises Refused where it is not the report's."""
    # Here, since scipy takes longer to load than other commands to run.
    from distillery_gate import Gate, GateError, decide, items_of

    folder, name = split_uri(options.report if "://" in options.report else Path(options.report).absolute().as_uri())
    beside = open_prefix(folder)
    report = read_report(beside, name)
    columns = read_items(beside, report.items)
    try:
        found = decide(items_of(report.verdict.measurements[0].metric, columns), Gate.model_validate(report.gate))
    except (GateError, ValidationError) as error:
        raise Refused(f"{options.report}: no verdict can be taken: {error}") from error
    print(found.model_dump_json(by_alias=True, exclude_none=True))
    check_same(options.report, found.model_dump(mode="json", exclude_none=True), report.verdict.model_dump())
    for criterion in found.criteria:
        print(f"{criterion.name}: {criterion.verdict}: {criterion.message}", file=sys.stderr)
    return VERDICTS[found.verdict]


def read_report(folder: Prefix, name: str) -> Report:
    """The report of that name. Raises StorageError, or Refused where it is none."""
    try:
        return Report.model_validate_json(folder.read(name))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise Refused(
            f"{folder.uri}/{name}: is no report of an evaluation: {where}: {first['msg']}; name the report.json of"
            " status.verdict.reportUri"
        ) from error


def read_items(beside: Prefix, items: Recorded) -> dict[str, list[Any]]:
    """The recorded columns, from beside the report where they lie there. Raises StorageError or Refused."""
    name = items.uri.rpartition("/")[2]
    data = beside.read(name) if beside.exists(name) else read_uri(items.uri)
    if (found := digest_bytes(data)) != items.digest:
        raise Refused(f"{name}: its digest is {found}, and the report names {items.digest}: one of them was changed")
    columns: dict[str, list[Any]] = pq.ParquetFile(pa.BufferReader(data)).read().to_pydict()
    return columns


def check_same(report: str, found: dict[str, Any], given: dict[str, Any]) -> None:
    """The report's verdict is this one, to the last digit. Raises Refused."""
    if differing := sorted(name for name in found.keys() | given.keys() if found.get(name) != given.get(name)):
        raise Refused(
            f"{report}: its items and gate give the verdict above, which is another in {', '.join(differing)}: the"
            " report was changed, or another version of distillery_gate wrote it"
        )
