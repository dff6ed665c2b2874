"""The end of a run for people: the verdict with its criteria, the models beside each other, and where the report is."""

from collections.abc import Sequence

from distillery_api.distillationjob_status import DistillationJobStatus, Measured, VerdictStatus


def ending(status: DistillationJobStatus) -> str:
    """Everything that the last status has to say."""
    failed = next((stage for stage in status.stages if stage.state == "Failed"), None)
    verdict = status.verdict
    if failed or verdict is None:
        ready = next(condition for condition in status.conditions if condition.type == "Ready")
        where = f" in {failed.name}" if failed else ""
        return f"Failed{where}: {ready.reason}: {ready.message}"
    lines = [f"Verdict: {verdict.result}", *criteria(verdict), "", *models(verdict.measured), ""]
    return "\n".join([*lines, f"Report: {verdict.report_uri}"])


def criteria(verdict: VerdictStatus) -> list[str]:
    """Each criterion with its interval and threshold, and its sentence."""
    head = ("CRITERION", "VERDICT", "VALUE", "LOW", "HIGH", "THRESHOLD", "ITEMS")
    rows = [
        (each.name, each.verdict, f"{each.value:.4f}", f"{each.low:.4f}", f"{each.high:.4f}", f"{each.threshold:g}",
         str(each.items)) for each in verdict.criteria
    ]  # fmt: skip
    return [*table(head, rows), *(f"{each.name}: {each.message}" for each in verdict.criteria)]


def models(measured: Sequence[Measured]) -> list[str]:
    """Quality, size and latency of each model on the held-out items."""
    head = ("MODEL", "METRIC", "VALUE", "LOW", "HIGH", "PARAMETERS", "P50 MS", "P99 MS")
    return table(head, [
        (each.name, each.metric, f"{each.value:.4f}", f"{each.low:.4f}", f"{each.high:.4f}",
         str(each.parameters or "-"), number(each.p50_ms), number(each.p99_ms)) for each in measured
    ])  # fmt: skip


def number(value: float | None) -> str:
    """Milliseconds, or a dash."""
    return "-" if value is None else f"{value:.2f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    cells = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (head, *rows))
    return ["  ".join(row).rstrip() for row in cells]
