"""Customer lifetime value, and how sure it is.

Definition: the expected purchases of the horizon, each discounted from its own time to the as-of
date (``PurchaseModel.discounted_purchases``), times what one is expected to bring: margin less cost
to serve less credit loss. Value to date is not part of it: it is the historical value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import special

from customer_marts.clv.books import Floats, as_floats
from customer_marts.clv.fitting import Fit
from customer_marts.clv.purchases import PurchaseModel
from customer_marts.clv.sbg import ShiftedBetaGeometric
from customer_marts.errors import DataError

DERIVATIVE_STEP = 1e-4

# a model with ``theta``, the logarithms of its parameters, and ``with_theta``
Model = TypeVar("Model", bound=PurchaseModel | ShiftedBetaGeometric)


def customer_value(
    discounted_purchases: npt.ArrayLike,
    margin: npt.ArrayLike,
    cost_to_serve: npt.ArrayLike = 0.0,
    credit_loss: npt.ArrayLike = 0.0,
) -> Floats:
    """CLV = discounted purchases x (margin - cost to serve - credit loss), each per purchase."""
    purchases = as_floats(discounted_purchases, "discounted_purchases")
    each = [
        np.broadcast_to(as_floats(amounts, name), purchases.shape)
        for amounts, name in (
            (margin, "margin"),
            (cost_to_serve, "cost_to_serve"),
            (credit_loss, "credit_loss"),
        )
    ]
    return np.asarray(purchases * (each[0] - each[1] - each[2]))


@dataclass(frozen=True, eq=False)
class Interval:
    """An estimate with the ends of its interval, one entry a customer or group."""

    estimate: Floats
    low: Floats
    high: Floats


def parameter_interval(
    fit: Fit[Model],
    forecast: Callable[[Model], Floats],
    *,
    level: float = 0.8,
    probability: bool = False,
) -> Interval:
    """The interval of a forecast for what the parameters are unsure by: the delta method.

    forecast: from a model to numbers above 0, such as ``lambda model:
    model.expected_purchases(x, t_x, T, 365)``. The interval is normal in the forecast's logarithm
    (with ``probability``: its log-odds), so its ends stay in bounds. It holds the error of the
    estimate only, not the luck of one customer's future; a parameter at its bound counts as known.
    """
    if not 0 < level < 1:
        raise DataError(f"a level of {level} is not between 0 and 1")
    scale = special.logit if probability else np.log
    back = special.expit if probability else np.exp
    model: Any = fit.model
    estimate = np.asarray(forecast(model), dtype=np.float64)
    with np.errstate(divide="ignore"):
        centre = scale(estimate)
    covariance = np.nan_to_num(np.array(fit.covariance))
    steps = np.sqrt(np.diag(covariance)) * 0.1
    steps = np.where(steps > 0, np.minimum(steps, DERIVATIVE_STEP), 0.0)
    slopes = np.zeros((estimate.size, model.theta.size))
    inner = np.isfinite(centre)
    for at, step in enumerate(steps):
        if step == 0:
            continue
        moved = model.theta
        moved[at] += step
        with np.errstate(divide="ignore", invalid="ignore"):
            change = (scale(forecast(model.with_theta(moved))) - centre) / step
        slopes[inner, at] = change[inner]
    error = np.sqrt(np.maximum(((slopes @ covariance) * slopes).sum(axis=1), 0.0))
    reach = float(special.ndtri(0.5 + level / 2)) * error
    low = np.where(inner, back(centre - reach), estimate)
    high = np.where(inner, back(centre + reach), estimate)
    return Interval(estimate, low, high)
