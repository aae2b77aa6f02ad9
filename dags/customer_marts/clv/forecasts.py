"""What a fitted model forecasts for purchase histories, with intervals, as columns.

The interval of purchases holds two errors, added in squares as independent ones:

- of the parameters, by the delta method (``parameter_interval``); left out for fits on more than
  ``MOST_UNSURE_CUSTOMERS``, where it is far below a per cent;
- of one customer's luck: the number bought is 0 with P(silent) of the model, and else gamma with
  the mean and the variance that make E[Y] and E[Y^2] of the model right: what is unknown of the
  customer's own rate, how regular its gaps are, and whether it leaves within the horizon. Quantiles
  of the gamma by Wilson and Hilferty.

So it is parametric, and approximate in the customer's part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import special

from customer_marts.clv.books import Floats
from customer_marts.clv.coding import COVARIATES
from customer_marts.clv.fitting import Fit
from customer_marts.clv.purchases import PurchaseModel
from customer_marts.clv.value import parameter_interval
from customer_marts.errors import absent_parameter

MOST_UNSURE_CUSTOMERS = 50_000
YEAR = 365.0
# Days ahead at which the chance of having bought by then is asked; straight lines between.
WAITS = (0, 1, 3, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365, 545, 730, 1095)

HORIZONS = {"12_months": "days_12_months", "36_months": "days_36_months"}
FORECAST_COLUMNS = {
    "sale_type": pa.string(),
    "repeats": pa.int32(),
    "last_at_days": pa.int32(),
    "age_days": pa.int32(),
    **{covariate: pa.string() for covariate in COVARIATES},
    "model_version": pa.string(),
    "purchase_model": pa.string(),
    "fit_status": pa.string(),
    "is_promoted": pa.bool_(),
    "probability_alive": pa.float64(),
    "next_purchase_from_days": pa.int32(),
    "next_purchase_until_days": pa.int32(),
    "interval_quantile": pa.float64(),
    **{
        f"{measure}_{horizon}": pa.float64()
        for horizon in HORIZONS
        for measure in (
            "expected_purchases",
            "discounted_purchases",
            "purchases_low_rate",
            "purchases_high_rate",
        )
    },
}


@dataclass(frozen=True, slots=True)
class ForecastRules:
    """What the seed clv_parameters says of forecasts. days: by horizon's name."""

    discount_rate: float
    days: Mapping[str, float]
    interval_level: float
    next_purchase_level: float
    alive_at_least: float

    @classmethod
    def of(cls, parameters: Mapping[str, float]) -> ForecastRules:
        """Read the parameters in force; ConfigurationError where one is absent."""
        try:
            return cls(
                parameters["discount_rate"],
                {name: parameters[days] for name, days in HORIZONS.items()},
                parameters["interval_level"],
                parameters["next_purchase_level"],
                parameters["alive_at_least"],
            )
        except KeyError as error:
            raise absent_parameter("the value models", "clv_parameters", error) from error


def forecasts(
    fit: Fit[PurchaseModel], repeats: Floats, last_at: Floats, age: Floats, rules: ForecastRules
) -> dict[str, Any]:
    """The number columns of FORECAST_COLUMNS, one entry a history (days).

    ``purchases_low_rate`` and ``purchases_high_rate``: the ends of the interval over the expected
    purchases; 1 where nothing is expected. The days until the next purchase are NaN where
    P(alive) is below ``alive_at_least``.
    """
    model = fit.model
    alive = model.probability_alive(repeats, last_at, age)
    found: dict[str, Any] = {
        "repeats": repeats,
        "last_at_days": last_at,
        "age_days": age,
        "probability_alive": alive,
        "interval_quantile": np.full(
            repeats.shape, float(special.ndtri(0.5 + rules.interval_level / 2))
        ),
    }
    for name, days in rules.days.items():
        expected = model.expected_purchases(repeats, last_at, age, days)
        low, high = purchase_interval(
            fit, repeats, last_at, age, days, rules.interval_level, expected
        )
        found[f"expected_purchases_{name}"] = expected
        found[f"discounted_purchases_{name}"] = model.discounted_purchases(
            repeats, last_at, age, days, rules.discount_rate, YEAR
        )
        found[f"purchases_low_rate_{name}"] = _over(low, expected)
        found[f"purchases_high_rate_{name}"] = _over(high, expected)
    window = _next_purchase(model, repeats, last_at, age, rules)
    is_awaited = alive >= rules.alive_at_least
    for name, days_ahead in zip(("from", "until"), window, strict=True):
        found[f"next_purchase_{name}_days"] = np.where(is_awaited, np.round(days_ahead), np.nan)
    return found


def purchase_interval(
    fit: Fit[PurchaseModel],
    repeats: Floats,
    last_at: Floats,
    age: Floats,
    days: float,
    level: float,
    expected: Floats | None = None,
) -> tuple[Floats, Floats]:
    """The ends of the interval of the purchases of the next ``days``: see the module's head.

    expected: what the model expects of them, where the caller knows it already.
    """
    model = fit.model
    if expected is None:
        expected = model.expected_purchases(repeats, last_at, age, days)
    silent = model.probability_silent(repeats, last_at, age, days)
    buys = np.maximum(1 - silent, 1e-12)
    mean = expected / buys
    squares = model.expected_squares(repeats, last_at, age, days)
    variance = np.maximum(squares / buys - mean**2, 0.0)
    low = _luck((1 - level) / 2, silent, mean, variance)
    high = _luck((1 + level) / 2, silent, mean, variance)
    below, above = np.maximum(expected - low, 0.0), np.maximum(high - expected, 0.0)
    if fit.customers <= MOST_UNSURE_CUSTOMERS:
        unsure = parameter_interval(
            fit,
            lambda moved: moved.expected_purchases(repeats, last_at, age, days),
            level=level,
        )
        below = np.hypot(below, expected - unsure.low)
        above = np.hypot(above, unsure.high - expected)
    return np.maximum(expected - below, 0.0), expected + above


def _luck(share: float, silent: Floats, mean: Floats, variance: Floats) -> Floats:
    """The quantile of a number that is 0 with P(silent) and else gamma distributed."""
    inner = np.clip((share - silent) / np.maximum(1 - silent, 1e-12), 1e-9, 1 - 1e-9)
    shape = np.maximum(mean**2 / np.maximum(variance, 1e-300), 1e-3)
    root = 1 - 1 / (9 * shape) + special.ndtri(inner) / (3 * np.sqrt(shape))
    return np.where(share <= silent, 0.0, mean * np.maximum(root, 0.0) ** 3)


def _over(end: Floats, expected: Floats) -> Floats:
    return np.divide(end, expected, out=np.ones(expected.shape), where=expected > 0)


def _next_purchase(
    model: PurchaseModel, repeats: Floats, last_at: Floats, age: Floats, rules: ForecastRules
) -> tuple[Floats, Floats]:
    """Days until the next purchase, if one comes within the longest wait: two quantiles."""
    bought = np.array(
        [1 - model.probability_silent(repeats, last_at, age, float(wait)) for wait in WAITS]
    )
    ever = np.maximum(bought[-1], 1e-12)
    ends = []
    for share in ((1 - rules.next_purchase_level) / 2, (1 + rules.next_purchase_level) / 2):
        wanted = share * ever
        after = np.clip((bought < wanted).sum(axis=0), 1, len(WAITS) - 1)
        here, before = (
            np.take_along_axis(bought, (after - back)[None, :], axis=0)[0] for back in (0, 1)
        )
        part = np.clip((wanted - before) / np.maximum(here - before, 1e-12), 0, 1)
        waits = np.array(WAITS, dtype=np.float64)
        ends.append(waits[after - 1] + part * (waits[after] - waits[after - 1]))
    return ends[0], ends[1]
