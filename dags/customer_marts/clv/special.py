"""Numerical building blocks that stay exact at the edges."""

from __future__ import annotations

import numpy as np
from scipy import special

from customer_marts.clv.books import Floats


def log_add(first: Floats, second: Floats | float) -> Floats:
    """ln(e^first + e^second) without overflow; either may be -inf, not both."""
    high = np.maximum(first, second)
    return np.asarray(high + np.log1p(np.exp(np.minimum(first, second) - high)))


def log_diff(first: Floats, second: Floats) -> Floats:
    """ln(e^first - e^second) for first >= second; -inf where they are equal."""
    gap = np.minimum(second - first, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(first + np.log(-np.expm1(gap)))


def mean_decay(exponent: float, log_ratio: Floats) -> Floats:
    """(1 - e^(-exponent * log_ratio)) / exponent, also at and around exponent = 0."""
    if abs(exponent) < 1e-12:
        return log_ratio
    return np.asarray(-np.expm1(-exponent * log_ratio) / exponent)


def log_beta_growth(a: float, b: float, more: Floats) -> Floats:
    """The log of B(a, b + more) - ln B(a, b)."""
    return np.asarray(special.betaln(a, b + more) - special.betaln(a, b))


def _double_exponential(step: float, reach: float) -> tuple[Floats, Floats]:
    """The log of v and the weights of a tanh-sinh rule on (0, 1)."""
    count = round(reach / step)
    at = np.arange(-count, count + 1) * step
    bent = np.pi * np.sinh(at)
    log_v = -np.logaddexp(0.0, -bent)
    log_rest = -np.logaddexp(0.0, bent)
    weights = step * np.pi * np.cosh(at) * np.exp(log_v + log_rest)
    return log_v, weights


LOG_NODES, WEIGHTS = _double_exponential(0.0925, 3.33)
