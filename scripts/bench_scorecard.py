"""Time the fit and the scoring of a credit scorecard on made-up customers.

    python scripts/bench_scorecard.py [--customers 100000] [--variables 20]

Half of the variables are informative, a fifth are categorical, a tenth of the entries are missing.
Prints CPU seconds (user and system) of one fit, of a refit as the monthly DAG makes it (five more
fits for the shrinkage, a third of the customers held out, the verdict) and of scoring everybody.
"""

from __future__ import annotations

import argparse
import resource
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from customer_marts.credit.logistic import sigmoid
from customer_marts.credit.promotion import PromotionLimits
from customer_marts.credit.refit import Observations, RefitRules, refit
from customer_marts.credit.scorecard_fit import FitStatus, ScorecardOptions, fit_scorecard

MISSING_SHARE = 0.1
RULES = RefitRules(
    ScorecardOptions(),
    PromotionLimits(),
    refit_days=28,
    holdout_percent=30,
    cross_fit_folds=5,
    out_of_time_observations_at_least=4,
)
LEVELS = np.array(["华北", "华东", "华南", "西北", "东北", "西南", "境外"], dtype=object)


@dataclass(frozen=True, slots=True)
class ScorecardTiming:
    """CPU seconds of one run."""

    count_customers: int
    count_variables: int
    count_defaults: int
    count_selected: int
    fit_status: FitStatus
    fit_seconds: float
    refit_seconds: float
    score_seconds: float


def made_up_customers(
    customers: int, variables: int, seed: int = 11
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.bool_]]:
    """Columns of skewed numbers and of levels, and defaults that half of them drive."""
    random = np.random.default_rng(seed)
    signals = random.normal(size=(variables, customers))
    log_odds = -3.0 + 0.5 * signals[: variables // 2].sum(axis=0)
    default = random.random(customers) < sigmoid(log_odds)
    columns: dict[str, npt.NDArray[Any]] = {}
    for at, signal in enumerate(signals):
        is_missing = random.random(customers) < MISSING_SHARE
        if at % 5 == 4:
            place = np.clip(((signal + 2.0) * 1.75).astype(int), 0, len(LEVELS) - 1)
            column = LEVELS[place]
            column[is_missing] = None
        else:
            column = np.exp(signal)
            column[is_missing] = np.nan
        columns[f"variable_{at:02d}"] = column
    return columns, default


def bench_scorecard(customers: int = 100_000, variables: int = 20) -> ScorecardTiming:
    """Fit once and score everybody once."""
    columns, default = made_up_customers(customers, variables)
    start = cpu_seconds()
    result = fit_scorecard(columns, default)
    fitted = cpu_seconds()
    names = np.array([f"C{number}" for number in range(customers)], dtype=object)
    refit(Observations(names, np.zeros(customers, dtype=np.int64), default, columns), None, RULES)
    judged = cpu_seconds()
    if result.scorecard is not None:
        result.scorecard.score(columns)
    return ScorecardTiming(
        count_customers=customers,
        count_variables=variables,
        count_defaults=result.count_defaults,
        count_selected=len(result.scorecard.variables) if result.scorecard else 0,
        fit_status=result.fit_status,
        fit_seconds=fitted - start,
        refit_seconds=judged - fitted,
        score_seconds=cpu_seconds() - judged,
    )


def cpu_seconds() -> float:
    """User and system seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Time one run and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--variables", type=int, default=20)
    arguments = parser.parse_args()
    timing = bench_scorecard(arguments.customers, arguments.variables)
    print(
        f"{timing.count_customers:,} customers, {timing.count_defaults:,} defaults, "
        f"{timing.count_variables} variables: {timing.fit_status.value}, "
        f"{timing.count_selected} selected; fit {timing.fit_seconds:.2f} s, "
        f"refit {timing.refit_seconds:.2f} s, scoring {timing.score_seconds:.2f} s of CPU"
    )


if __name__ == "__main__":
    main()
