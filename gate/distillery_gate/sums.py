"""Means of units that come in clusters: tokens of a text, items of a group.

With totals d_i of the n_i units of cluster i, R = sum(d) / sum(n) is a ratio estimator over clusters (Cochran 1977,
Sampling Techniques, section 2.11). Its standard error is the delete-one jackknife's, and Student's t has the degrees of
freedom of Kish's effective number of clusters, sum(n)^2 / sum(n^2): linearised, few unequal ones would pass too often.
"""

from math import ceil

from .clusters import Totals, t_value
from .intervals import Interval
from .paired_means import standard_error


def mean_of_units(totals: Totals, units: Totals) -> float:
    """Mean of all units. Both arrays: [clusters]"""
    return float(totals.sum() / units.sum())


def jackknife(totals: Totals, units: Totals) -> Totals:
    """What each cluster says of the mean: their mean is `mean_of_units`, and their spread that of R. [clusters]"""
    mean = mean_of_units(totals, units)
    # Leaving cluster i out changes R by (R n_i - d_i) / (sum(n) - n_i).
    pull: Totals = (len(units) - 1) * (totals - mean * units) / (units.sum() - units)
    centred: Totals = mean + pull - pull.mean()
    return centred


def mean_of_units_interval(totals: Totals, units: Totals, level: float) -> Interval:
    """Interval for the mean of units, from at least two clusters; each end is a one-sided bound at `level`."""
    reach = t_of_units(units, level) * standard_error(jackknife(totals, units))
    mean = mean_of_units(totals, units)
    return Interval(mean - reach, mean + reach)


def t_of_units(units: Totals, level: float) -> float:
    """Quantile of Student's t for Kish's effective number of clusters. [clusters]"""
    effective = float(units.sum() ** 2 / (units**2).sum())
    return t_value(max(1.0, effective - 1), level)


def many_items(clusters: int | None, sizes: Totals) -> int | None:
    """Items in so many clusters of these sizes."""
    return None if clusters is None else ceil(clusters * float(sizes.mean()))
