"""Bytes and times for people."""

from datetime import datetime

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def bytes_text(count: float) -> str:
    """Bytes with a unit of 1,024s, three digits."""
    step = 0
    while count >= 1024 and step < len(UNITS) - 1:
        count, step = count / 1024, step + 1
    return f"{count:.0f} {UNITS[step]}" if step == 0 or count >= 100 else f"{count:.3g} {UNITS[step]}"


def day(time: datetime) -> str:
    """The day, in UTC."""
    return time.strftime("%Y-%m-%d")
