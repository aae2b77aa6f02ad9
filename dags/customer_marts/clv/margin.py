"""Expected margin of a purchase where Gamma-Gamma does not reach: the shrunken mean.

Buehlmann's credibility: a customer's mean over x purchases varies around the mean of all customers
by a variance between customers and, 1/x of it, one within. His expected margin is then

    z m + (1 - z) mean,    z = x between / (x between + within)

Margins may be negative or 0 here. Where revenue is known beside the margin, the margins of each
customer may be measured in its own revenue of a purchase instead, so that a small customer is
drawn to the rate of all, not to the money of larger ones; the mean then is the rate of all, each
customer weighing by its revenue.
Source: Buehlmann & Gisler (2005), A Course in Credibility Theory.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from customer_marts.clv.books import Floats, as_floats
from customer_marts.clv.gammagamma import GammaGamma
from customer_marts.errors import DataError


class MarginBasis(StrEnum):
    """What an expected margin rests on."""

    GAMMA_GAMMA = "gamma_gamma"
    SHRUNKEN_RATE = "shrunken_rate"
    SHRUNKEN_MEAN = "shrunken_mean"
    MEAN_OF_ALL = "mean_of_all"


@dataclass(frozen=True)
class Credibility:
    """The mean over customers, and the variances between and within customers."""

    mean: float
    between: float
    within: float

    def expected_value(
        self, purchases: npt.ArrayLike, mean_value: npt.ArrayLike, unit: npt.ArrayLike = 1.0
    ) -> Floats:
        """The shrunken mean; where x = 0 the mean of all (the customer's mean is not read).

        unit: what a customer's mean is told in, of the one the mean of all is told in.
        """
        x = as_floats(purchases, "purchases")
        mean = self.mean * np.asarray(unit, dtype=np.float64)
        m = np.atleast_1d(np.asarray(mean_value, dtype=np.float64))
        known = x * self.between
        weight = np.divide(known, known + self.within, out=np.zeros(x.shape), where=known > 0)
        return np.asarray(mean + weight * np.where(x > 0, m - mean, 0.0))


def fit_credibility(
    purchases: npt.ArrayLike,
    mean_value: npt.ArrayLike,
    customers: npt.ArrayLike | None = None,
    variance: npt.ArrayLike | None = None,
) -> Credibility:
    """Estimate the two variances over customers with x > 0.

    variance: of each customer's own purchases around their mean (divisor x - 1; not read where
    x < 2). Their pooled value is the variance within. Without it, it is read from the means alone:
    a mean's squared distance from the mean of all is between + within / x on average, a straight
    line in 1/x, by least squares; that is a rough estimate. Neither variance falls below 0.
    """
    x = as_floats(purchases, "purchases")
    count = np.ones(x.shape) if customers is None else as_floats(customers, "customers")
    m = np.atleast_1d(np.asarray(mean_value, dtype=np.float64))
    used = x > 0
    if not used.any():
        raise DataError("nobody has purchases: there is no mean margin")
    x, m, count = x[used], as_floats(m[used], "mean_value"), count[used]
    mean = float(np.average(m, weights=count))
    squared = (m - mean) ** 2
    centre = float(np.average(1 / x, weights=count))
    level = float(np.average(squared, weights=count))
    if variance is None:
        within = _slope(1 / x, squared, count)
    else:
        own = np.atleast_1d(np.asarray(variance, dtype=np.float64))[used]
        within = _pooled(x, own, count)
    within = min(max(within, 0.0), level / centre)
    return Credibility(mean, max(level - within * centre, 0.0), within)


def _slope(inverse: Floats, squared: Floats, count: Floats) -> float:
    off = inverse - np.average(inverse, weights=count)
    spread = float(count @ off**2)
    return float(count @ (off * squared)) / spread if spread > 0 else 0.0


def _pooled(x: Floats, own: Floats, count: Floats) -> float:
    twice = x >= 2
    freedom = count[twice] * (x[twice] - 1)
    if freedom.size == 0:
        return 0.0
    return float(freedom @ as_floats(own[twice], "variance") / freedom.sum())


def expected_margin(
    purchases: npt.ArrayLike,
    mean_value: npt.ArrayLike,
    values: GammaGamma | None,
    credibility: Credibility,
) -> tuple[Floats, npt.NDArray[np.str_]]:
    """The expected margin of a purchase of each customer, and what it rests on (MarginBasis).

    Gamma-Gamma where there is one and the customer's mean is above 0; else the shrunken mean; the
    mean of all where nothing was bought.
    """
    x = as_floats(purchases, "purchases")
    m = np.atleast_1d(np.asarray(mean_value, dtype=np.float64))
    result = credibility.expected_value(x, m)
    basis = np.where(x > 0, MarginBasis.SHRUNKEN_MEAN.value, MarginBasis.MEAN_OF_ALL.value)
    if values is not None:
        fits = (x > 0) & (np.nan_to_num(m) > 0)
        result[fits] = values.expected_value(x[fits], m[fits])
        basis[fits] = MarginBasis.GAMMA_GAMMA.value
    return result, basis
