"""Ceilings: how fast, how large and how dear the student is where it was measured."""

from collections.abc import Iterator

import numpy as np

from ..costs import Costs, required
from ..errors import GateInputError
from ..order_statistics import quantile_interval, values_needed
from ..paired_means import items_needed
from ..policy import CostGate, PriceGate
from ..sums import mean_of_units_interval
from ..verdict import Criterion, Outcome
from ..wording import decimals_for, evidence, plain
from .placing import below

MILLION, HOUR_MS, MIB = 1e6, 3_600_000, 1024 * 1024


def judge_cost(costs: Costs | None, asked: CostGate, level: float) -> Iterator[Criterion]:
    """One criterion for each ceiling. Raises GateInputError where what one is about was not measured."""
    if costs is None:
        raise GateInputError("costs: missing; measure what an answer costs, or leave cost out")
    for name, share, ceiling in (("latencyP50", 0.5, asked.max_p50_ms), ("latencyP99", 0.99, asked.max_p99_ms)):
        if ceiling is not None:
            yield judge_latency(costs, asked, name, share, ceiling, level)
    if asked.max_artifact_bytes is not None:
        size = required("artifactBytes", costs.artifact_bytes)
        yield judge_bytes("artifactBytes", "The artifact's files take", size, asked.max_artifact_bytes)
    if asked.max_memory_bytes is not None:
        peak = required("memoryBytes", costs.memory_bytes)
        yield judge_bytes("memoryBytes", "A process that answers with it held up to", peak, asked.max_memory_bytes)
    if asked.price is not None:
        yield judge_price(costs, asked, asked.price, level)


def judge_latency(costs: Costs, asked: CostGate, name: str, share: float, ceiling: float, level: float) -> Criterion:
    """Is the quantile of the times of answers below the ceiling?"""
    times = costs.times("latencyMs", asked)
    value, interval = float(np.quantile(times, share)), quantile_interval(times, share, level)
    verdict, decimals = below(interval, ceiling), decimals_for(ceiling, *interval)
    needed = values_needed(float((times < ceiling).mean()), share, level) if verdict == "Inconclusive" else None
    shown = evidence(*interval, level=level, n=len(times), clusters=None, decimals=decimals)
    return Criterion(
        name=name,
        verdict=verdict,
        value=value,
        **interval._asdict(),
        threshold=ceiling,
        n=len(times),
        items_needed=needed,
        message=f"{100 * share:g} % of answers take up to {value:.{decimals}f} ms ({shown}, {costs.where});"
        f" the gate asks for less than {plain(ceiling)} ms{ending(verdict, needed)}.",
    )


def judge_price(costs: Costs, asked: CostGate, price: PriceGate, level: float) -> Criterion:
    """Is the price of the CPU time of a million answers below the ceiling? By Student's t over answers."""
    prices = costs.times("cpuMs", asked) / HOUR_MS * price.core_hour * MILLION
    interval = mean_of_units_interval(prices, np.ones(len(prices)), level)
    value, ceiling = float(prices.mean()), price.max_per_million
    verdict, decimals = below(interval, ceiling), decimals_for(ceiling, *interval)
    needed = items_needed(ceiling - prices, level) if verdict == "Inconclusive" else None
    shown = evidence(*interval, level=level, n=len(prices), clusters=None, decimals=decimals)
    return Criterion(
        name="costPerMillion",
        verdict=verdict,
        value=value,
        **interval._asdict(),
        threshold=ceiling,
        n=len(prices),
        items_needed=needed,
        message=f"A million answers cost {value:.{decimals}f} at {plain(price.core_hour)} for an hour of a core"
        f" ({shown}, {costs.where}); the gate asks for less than {plain(ceiling)}{ending(verdict, needed)}.",
    )


def judge_bytes(name: str, subject: str, found: int, most: int) -> Criterion:
    """A size that was counted, so it has no interval: up to the ceiling is a Pass."""
    verdict: Outcome = "Pass" if found <= most else "Fail"
    return Criterion(
        name=name,
        verdict=verdict,
        value=found,
        low=found,
        high=found,
        threshold=most,
        n=1,
        message=f"{subject} {found / MIB:,.3f} MiB ({found:,} bytes); the gate asks for at most {most / MIB:,.3f} MiB.",
    )


def ending(verdict: Outcome, needed: int | None) -> str:
    """How the sentence of times ends: nothing to add to a Pass."""
    if verdict == "Pass":
        return ""
    if verdict == "Fail":
        return "; the whole interval is above that"
    if needed is None:
        return "; more answers like these would not show it"
    return f"; {needed:,} such answers would show it with 80 % power (cost.minMeasurements)"
