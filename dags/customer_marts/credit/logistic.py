"""Ridge logistic regression by iteratively reweighted least squares (Newton's method)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from customer_marts.credit.binning import Flags, Floats

MAXIMUM_STEP_HALVINGS = 30
LEAST_WEIGHT = 1e-7


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """ln(p / (1 - p)) = intercept + X @ coefficients, p being the probability of the event.

    standard_errors: of the intercept and the coefficients, the root of the diagonal of the inverse
    of the penalised information; NaN where that is singular. is_converged: the gradient vanished;
    when it did not, the numbers are the last step and not an optimum.
    """

    intercept: float
    coefficients: Floats
    standard_errors: Floats
    is_converged: bool
    count_iterations: int

    def probabilities(self, features: Floats) -> Floats:
        return sigmoid(self.intercept + features @ self.coefficients)


def sigmoid(log_odds: Floats) -> Floats:
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(log_odds))
    result: Floats = np.where(log_odds >= 0, 1.0, small) / (1.0 + small)
    return result


def logit(probability: Floats) -> Floats:
    """ln(p / (1 - p)): the log-odds whose :func:`sigmoid` is p, in (0, 1)."""
    result: Floats = np.log(probability / (1.0 - probability))
    return result


def fit_ridge_logistic(
    features: Floats,
    is_event: Flags,
    ridge: float,
    maximum_iterations: int = 50,
    tolerance: float = 1e-9,
) -> LogisticFit:
    """Maximise log likelihood - ridge / 2 * |coefficients|^2 over n x k ``features``.

    The intercept is not penalised, so that at the optimum the predicted events sum to the observed
    ones. Converged means that no gradient entry exceeds ``tolerance`` per row. Separable data with
    ``ridge`` = 0 have no optimum: they come back with is_converged = False, as do data of one
    class. Source: T. Hastie et al., The Elements of Statistical Learning (2009), section 4.4.1.
    """
    event = is_event.astype(np.float64)
    design = np.column_stack([np.ones(len(features)), features])
    penalty = np.full(design.shape[1], float(ridge))
    penalty[0] = 0.0
    share = (event.sum() + 0.5) / (len(event) + 1.0)
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(share / (1.0 - share))
    value = _objective(design, event, penalty, beta)
    is_converged, iteration = False, 0
    while iteration < maximum_iterations:
        gradient, information = _slope(design, event, penalty, beta)
        if np.abs(gradient).max() <= tolerance * len(event):
            is_converged = True
            break
        iteration += 1
        try:
            step = np.asarray(np.linalg.solve(information, gradient), dtype=np.float64)
        except np.linalg.LinAlgError:
            break
        beta, value, has_moved = _search(design, event, penalty, beta, step, value)
        if not has_moved:
            break
    _, information = _slope(design, event, penalty, beta)
    return LogisticFit(
        intercept=float(beta[0]),
        coefficients=beta[1:].copy(),
        standard_errors=_standard_errors(information),
        is_converged=is_converged and not _is_flat(design, information, penalty),
        count_iterations=iteration,
    )


def calibrate_intercept(log_odds: Floats, rate: float) -> float:
    """The shift of ``log_odds`` at which their mean probability is ``rate`` (in (0, 1))."""
    centre = float(np.log(rate / (1.0 - rate)))
    low, high = centre - float(log_odds.max()), centre - float(log_odds.min())
    for _ in range(200):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if float(sigmoid(log_odds + middle).mean()) < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def _objective(design: Floats, event: Floats, penalty: Floats, beta: Floats) -> float:
    log_odds = design @ beta
    fit = (event * log_odds - np.logaddexp(0.0, log_odds)).sum()
    return float(fit - 0.5 * (penalty * beta * beta).sum())


def _slope(design: Floats, event: Floats, penalty: Floats, beta: Floats) -> tuple[Floats, Floats]:
    probability = sigmoid(design @ beta)
    gradient: Floats = design.T @ (event - probability) - penalty * beta
    weight = probability * (1.0 - probability)
    information: Floats = (design.T * weight) @ design + np.diag(penalty)
    return gradient, information


def _is_flat(design: Floats, information: Floats, penalty: Floats) -> bool:
    """Whether the gradient vanished at infinity, as on separable data, and not at an optimum.

    There some direction is left in which the rows carry next to no weight (p * (1 - p)). A ridge
    holds every direction but the intercept's.
    """
    if penalty.any():
        return bool(information[0, 0] <= LEAST_WEIGHT * len(design))
    try:
        weights = np.linalg.eigvals(np.linalg.solve(design.T @ design, information))
    except np.linalg.LinAlgError:
        return True
    return bool(weights.real.min() <= LEAST_WEIGHT)


def _search(
    design: Floats, event: Floats, penalty: Floats, beta: Floats, step: Floats, value: float
) -> tuple[Floats, float, bool]:
    """The Newton step, halved until the objective does not fall."""
    scale = 1.0
    slack = 1e-12 * (1.0 + abs(value))
    for _ in range(MAXIMUM_STEP_HALVINGS):
        tried = beta + scale * step
        reached = _objective(design, event, penalty, tried)
        if reached >= value - slack:
            return tried, reached, True
        scale /= 2.0
    return beta, value, False


def _standard_errors(information: Floats) -> Floats:
    try:
        variance = np.diag(np.linalg.inv(information))
    except np.linalg.LinAlgError:
        return np.full(len(information), np.nan)
    errors: Floats = np.sqrt(np.where(variance > 0, variance, np.nan))
    return errors
