"""One proportion: Wilson's score interval (Wilson 1927, JASA 22, 209-212)."""

from math import sqrt

from .intervals import Interval, z_value


def wilson_interval(right: int, n: int, level: float) -> Interval:
    """Interval for the accuracy behind `right` of n items; each end is a one-sided bound at `level`."""
    z = z_value(level)
    share = right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if right == 0 else centre - reach
    high = 1.0 if right == n else centre + reach
    return Interval(low, high)
