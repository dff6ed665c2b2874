"""What a run shows: a line for each stage that ends, and how far the running one is."""

import time
from typing import TextIO

from distillery_api.distillationjob_status import DistillationJobStatus, Progress, StageStatus
from distillery_operator.plans import seconds_between
from distillery_operator.pod_reports import worth_a_write

WIDTH = 24  # characters of a bar
ERASE = "\r\x1b[2K"


class Screen:
    """On a terminal the running stage's line is redrawn; elsewhere it is written again at steps of 5 % or a minute."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._live = out, out.isatty()
        self._ended: set[tuple[str, int]] = set()
        self._told: Progress | None = None
        self._told_at = 0.0

    def say(self, line: str) -> None:
        """A line that stays."""
        self._write(f"{ERASE if self._live else ''}{line}\n")

    def show(self, status: DistillationJobStatus) -> None:
        """Bring the screen up to the status."""
        for stage in status.stages:
            if stage.state in ("Done", "Skipped", "Failed") and (stage.name, stage.attempt) not in self._ended:
                self._ended.add((stage.name, stage.attempt))
                self._told = None
                self.say(ended_line(stage, status))
            elif stage.state == "Running":
                self._show_running(stage)

    def _show_running(self, stage: StageStatus) -> None:
        progress = stage.progress
        if self._live:
            self._write(f"{ERASE}{stage.name:<10} {bar(progress)}")
        elif progress and progress.total and self._is_news(progress):
            self._told, self._told_at = progress, time.monotonic()
            self.say(f"{stage.name:<10} {counts(progress)}")

    def _is_news(self, progress: Progress) -> bool:
        return worth_a_write(self._told, progress, time.monotonic() - self._told_at)

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def bar(progress: Progress | None) -> str:
    """A bar with counts; of a stage that has not counted anything yet, the word for that."""
    if progress is None or not progress.total:
        return "starting"
    share = min(1.0, progress.done / progress.total)
    filled = round(WIDTH * share)
    return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {share:4.0%}  {counts(progress)}"


def counts(progress: Progress) -> str:
    """Done, total, rate and time to go, as far as they are known."""
    words = [f"{progress.done} of {progress.total} {progress.unit}"]
    if progress.rate_per_second:
        words.append(f"{progress.rate_per_second:.3g}/s")
    if progress.eta_seconds is not None:
        words.append(f"{duration(progress.eta_seconds)} to go")
    return ", ".join(words)


def ended_line(stage: StageStatus, status: DistillationJobStatus) -> str:
    """How a stage ended, how long it took, and what it made."""
    took = ""
    if stage.started_at and stage.finished_at:
        took = f" in {duration(seconds_between(stage.started_at, stage.finished_at))}"
    words = [f"{stage.state.lower()}{took}", stage.message or made_by(stage, status)]
    return f"{stage.name:<10} {': '.join(filter(None, words))}"


def made_by(stage: StageStatus, status: DistillationJobStatus) -> str:
    """What the stage left in the status."""
    made = status.artifacts
    if made is None or stage.state == "Failed":
        return ""
    rows = dict(made.rows or {})
    missing, ungraded = rows.pop("missing", 0), rows.pop("ungraded", 0)
    rechecked = f", {made.rechecked_rows} of them checked" if made.rechecked_rows else ""
    counted = ", ".join(f"{name} {count}" for name, count in rows.items())
    words = {
        "preflight": f"{counted} rows; {missing} without soft labels"
        + f", {ungraded} without a grade" * bool(ungraded),
        "label": f"{made.labelled_rows} rows labelled, {made.reused_rows} reused{rechecked}",
        "compress": made.artifact_uri or "",
    }
    return words.get(stage.name, "")


def duration(seconds: float) -> str:
    """Whole seconds as 12 s, 3 min 4 s or 2 h 5 min."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"
