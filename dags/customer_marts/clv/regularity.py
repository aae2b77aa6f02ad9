"""How regular customers buy: Wheat & Morrison (1990), Estimating Purchase Regularity with Two
Interpurchase Times, Journal of Marketing Research 27(1).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from customer_marts.clv.books import as_floats
from customer_marts.errors import DataError


def regularity_of_gaps(first_gap: npt.ArrayLike, second_gap: npt.ArrayLike) -> float:
    """The Erlang order k of the gaps, from two neighbouring gaps of each customer.

    The share M = first/(first + second) does not depend on how often the customer buys; of Erlang-k
    gaps it has variance V = 1/(4 (2k+1)), so k = (1 - 4V)/(8V): 1 is random, more is regular.
    Infinite where all shares are equal; NaN below two customers.
    """
    first, second = as_floats(first_gap, "first_gap"), as_floats(second_gap, "second_gap")
    if first.shape != second.shape or not ((first > 0) & (second > 0)).all():
        raise DataError("regularity needs two gaps above 0 of every customer")
    if first.size < 2:
        return float("nan")
    return regularity_of_variance(float(np.mean((first / (first + second) - 0.5) ** 2)))


def regularity_of_variance(variance: float) -> float:
    """The Erlang order k = (1 - 4V)/(8V)."""
    if not 0 <= variance <= 0.25:
        raise DataError(f"the variance of a share is between 0 and 1/4, not {variance}")
    return (1 - 4 * variance) / (8 * variance) if variance > 0 else float("inf")
