"""What stage pods say of how far they are, summed over pods, and when that is news. No I/O."""

from distillery_api.distillationjob_status import Progress
from distillery_api.schema import Model

STEP = 0.05  # share of the work that is worth a status write
QUIET = 60.0  # seconds after which a smaller step is worth one, too


class Report(Model):
    """The endpoint's answer."""

    stage: str
    done: int
    total: int
    unit: str
    rate_per_second: float | None = None
    eta_seconds: float | None = None


def summed(reports: list[Report]) -> Progress | None:
    """One progress of all pods; rates add up, the slowest pod sets the end."""
    if not reports:
        return None
    rates = [report.rate_per_second for report in reports if report.rate_per_second and report.done < report.total]
    etas = [report.eta_seconds for report in reports if report.eta_seconds is not None]
    return Progress(
        done=sum(report.done for report in reports),
        total=sum(report.total for report in reports),
        unit=reports[0].unit[:32],
        rate_per_second=round(sum(rates), 2) if rates else None,
        eta_seconds=round(max(etas)) if etas else None,
    )


def worth_a_write(held: Progress | None, new: Progress, age: float) -> bool:
    """Steps of 5 % or a minute; `age` in seconds."""
    if held is None or held.unit != new.unit or held.total != new.total:
        return True
    return new != held and (abs(new.done - held.done) >= STEP * max(new.total, 1) or age >= QUIET)
