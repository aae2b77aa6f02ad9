"""Which items of a survey move the satisfaction overall, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DriverRules:
    """Thresholds of the analysis.

    ``core_share``: an item that this share of the responses answers is a regressor of every
    regression; ``minimum_customers``: customers below which nothing is estimated;
    ``significance``: the familywise error rate over all items, and one less the interval's level.
    """

    core_share: float
    minimum_customers: int
    significance: float


@dataclass(frozen=True)
class DriverEffect:
    """What an item does to the satisfaction overall.

    ``effect`` is the standardised coefficient (standard deviations of the overall score that one
    standard deviation of the item brings, the core items held fixed) with its interval; ``p_value``
    tests it against zero by Student's t with one degree of freedom less than customers;
    ``p_adjusted`` after Holm; ``correlation`` Spearman's, of the customers' means, the other items
    not held fixed. All five are None where ``status`` is not ``known``.
    """

    item: str
    count_answers: int
    count_customers: int
    effect: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_adjusted: float | None
    correlation: float | None
    is_driver: bool
    status: str


def driver_effects(
    items: list[str],
    scores: Floats,
    overall: Floats,
    customers: NDArray[np.int64],
    rules: DriverRules,
) -> list[DriverEffect]:
    """Effects of all items, in their order.

    scores: responses x items, NaN where not answered; overall: one score a response; customers: a
    number a response, responses of one customer being one cluster. An item asked of a part of the
    responses is judged on those, beside the core items. An item is a driver where its effect is
    positive and its p-value, after Holm over all items estimated, is at most the significance.

    Source: ordinary least squares on standardised variables with the cluster-robust covariance of
    Liang & Zeger (1986) times G/(G-1) (n-1)/(n-k); Holm (1979).
    """
    has_score = ~np.isnan(scores)
    core = has_score.mean(axis=0) >= rules.core_share if len(scores) else np.zeros(len(items), bool)
    found = [
        _effect_of(position, scores, overall, customers, core, rules)
        for position in range(len(items))
    ]
    p_values = np.array([np.nan if each is None else each[3] for each in found])
    adjusted = holm(p_values)
    effects = []
    for position, (item, each) in enumerate(zip(items, found, strict=True)):
        answered = has_score[:, position]
        count_customers = len(np.unique(customers[answered]))
        if each is None:
            few = count_customers < rules.minimum_customers
            status = "too_few" if few else "no_variation"
            effects.append(
                DriverEffect(
                    item, int(answered.sum()), count_customers, None, None, None, None, None, None,
                    False, status,
                )
            )  # fmt: skip
            continue
        effect, low, high, p_value = each
        p_adjusted = float(adjusted[position])
        effects.append(
            DriverEffect(
                item, int(answered.sum()), count_customers, effect, low, high, p_value, p_adjusted,
                _correlation(scores[answered, position], overall[answered], customers[answered]),
                effect > 0 and p_adjusted <= rules.significance, "known",
            )
        )  # fmt: skip
    return effects


def holm(p_values: Floats) -> Floats:
    """P-values adjusted after Holm (1979); NaN are no tests and stay NaN."""
    adjusted = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _effect_of(
    position: int,
    scores: Floats,
    overall: Floats,
    customers: NDArray[np.int64],
    core: NDArray[np.bool_],
    rules: DriverRules,
) -> tuple[float, float, float, float] | None:
    """Effect, interval and p-value of one item; None where they cannot be told."""
    others = np.flatnonzero(core)
    columns = np.concatenate([[position], others[others != position]]).astype(np.int64)
    rows = ~np.isnan(scores[:, columns]).any(axis=1)
    cluster, count_clusters = _numbered(customers[rows])
    if count_clusters < max(rules.minimum_customers, len(columns) + 2):
        return None
    regressors, outcome = scores[rows][:, columns], overall[rows]
    # a constant regressor explains nothing; a constant item or outcome has no effect to tell
    spread = regressors.std(axis=0)
    if outcome.std() == 0 or spread[0] == 0:
        return None
    kept = spread > 0
    regressors = (regressors[:, kept] - regressors[:, kept].mean(axis=0)) / spread[kept]
    outcome = (outcome - outcome.mean()) / outcome.std()
    gram = regressors.T @ regressors
    if np.linalg.cond(gram) > 1e8:
        return None
    inverse = np.linalg.inv(gram)
    coefficients = inverse @ (regressors.T @ outcome)
    residuals = outcome - regressors @ coefficients
    moments = np.zeros((count_clusters, regressors.shape[1]))
    np.add.at(moments, cluster, regressors * residuals[:, None])
    n, k = regressors.shape
    correction = count_clusters / (count_clusters - 1) * (n - 1) / (n - k - 1)
    covariance = correction * inverse @ (moments.T @ moments) @ inverse
    error = float(np.sqrt(covariance[0, 0]))
    effect, degrees = float(coefficients[0]), count_clusters - 1
    if error == 0:
        return None
    width = float(stats.t.ppf(1 - rules.significance / 2, degrees)) * error
    p_value = float(2 * stats.t.sf(abs(effect) / error, degrees))
    return effect, effect - width, effect + width, p_value


def _numbered(customers: NDArray[np.int64]) -> tuple[NDArray[np.intp], int]:
    unique, numbers = np.unique(customers, return_inverse=True)
    return numbers, len(unique)


def _correlation(
    scores: Floats, overall: Floats, customers: NDArray[np.int64]
) -> float | None:  # fmt: skip
    """Spearman's rank correlation of the customers' means; None where one does not vary."""
    cluster, count = _numbered(customers)
    sizes = np.bincount(cluster, minlength=count)
    item_means = np.bincount(cluster, scores, minlength=count) / sizes
    overall_means = np.bincount(cluster, overall, minlength=count) / sizes
    if item_means.std() == 0 or overall_means.std() == 0:
        return None
    ranks = stats.rankdata(item_means), stats.rankdata(overall_means)
    return float(np.corrcoef(*ranks)[0, 1])
