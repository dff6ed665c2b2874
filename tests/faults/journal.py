"""What one run wrote, who wrote it, and who led then."""

import time
from dataclasses import dataclass


@dataclass
class Written:
    """A line of the journal: a write, and what became of it."""

    number: int
    at: float  # seconds since the run began
    by: str  # a process, by the identity that it would lead under
    holder: str | None  # who held the Lease when the write came; None before anybody did, or without a Lease
    call: str
    fate: str = "in flight"

    def __str__(self) -> str:
        return f"{self.number:4d} {self.at:7.2f} s  {self.by}  {self.call}: {self.fate}"


class Tally:
    """Counts of one run, over all its operators. Leases are outside the count of writes."""

    def __init__(self) -> None:
        self._began = self._stirred = time.monotonic()
        self.lines: list[Written | str] = []  # writes, and what else is to be known of the run, in order
        self.holder: str | None = None  # of the Lease, as the API server last told one who wrote to it; "" is nobody
        self.events = self.reads = 0

    @property
    def writes(self) -> list[Written]:
        """Every write, in order of arrival."""
        return [line for line in self.lines if isinstance(line, Written)]

    def write(self, by: str, call: str) -> Written:
        """A line of the journal for it."""
        self.stir()
        entry = Written(len(self.writes) + 1, self._stirred - self._began, by, self.holder, call)
        self.lines.append(entry)
        return entry

    def led_by(self, holder: str) -> None:
        """A write to the Lease was committed that says so."""
        if holder != self.holder:
            self.note(f"{holder or 'nobody'} holds the Lease")
        self.holder = holder

    def note(self, text: str) -> None:
        """A line of the journal that is no write."""
        self.stir()
        self.lines.append(f"     {self._stirred - self._began:7.2f} s  {text}")

    def event(self) -> int:
        """The number of this event."""
        self.events += 1
        return self.events

    def read(self) -> int:
        """The number of this read."""
        self.reads += 1
        return self.reads

    def stir(self) -> None:
        """Something happened after which the operators may write."""
        self._stirred = time.monotonic()

    @property
    def quiet_for(self) -> float:
        """Seconds since the last write, or whatever else may lead to one."""
        return time.monotonic() - self._stirred

    def trespasses(self) -> list[Written]:
        """Writes of processes that did not hold the Lease when the write came."""
        return [entry for entry in self.writes if entry.by != entry.holder]
