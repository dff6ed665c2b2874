"""The sentences of a verdict, with numbers precise enough to tell a bound from its threshold."""

FEWEST_DECIMALS = 3
MOST_DECIMALS = 9


def evidence(low: float, high: float, *, level: float, n: int, clusters: int | None, decimals: int) -> str:
    """`95 % interval 0.957 to 0.969, n = 10,000`, or `n = 10,000 in 312 clusters`."""
    where = "" if clusters is None else f" in {clusters:,} clusters"
    return f"{100 * (1 - 2 * level):.4g} % interval {low:.{decimals}f} to {high:.{decimals}f}, n = {n:,}{where}"


def decimals_for(threshold: float, *bounds: float) -> int:
    """Fewest decimals, from three up, at which threshold and bounds are printed alike only where they are equal."""
    different = {threshold, *bounds}
    for decimals in range(FEWEST_DECIMALS, MOST_DECIMALS):
        if len({f"{number:.{decimals}f}" for number in different}) == len(different):
            return decimals
    return MOST_DECIMALS


def plain(number: float) -> str:
    """The number as a person writes it: 0.95, 0, -0.01."""
    return f"{number:.10g}"


def outlook(items_needed: int | None, clusters: int | None) -> str:
    """What more items would do, for an Inconclusive criterion."""
    if items_needed is None:
        return "more items at these rates would not show it"
    where = "" if clusters is None else ", in clusters of this size,"
    return f"at these rates {items_needed:,} items in all{where} would show it with 80 % power"
