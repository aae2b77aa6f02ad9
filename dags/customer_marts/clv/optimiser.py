"""The one optimiser of all models: maximum likelihood over unbounded-scale parameters.

A model hands over a ``Problem``: a log-likelihood with its analytic gradient in theta (mostly the
logarithms of the parameters). L-BFGS-B comes near the maximum, on a sample of the groups when there
are many; Newton steps on all groups finish, with a Hessian by central differences of the analytic
gradient. The same Hessian gives the standard errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import optimize

from customer_marts.clv.books import Floats

# theta -> (log-likelihood, its gradient in theta)
Objective = Callable[[Floats], tuple[float, Floats]]

HESSIAN_STEP = 1e-4
# Newton stops when the next step would raise the log-likelihood by less than this.
ENOUGH = 1e-8
FLAT = 1e-6


@dataclass(frozen=True)
class Problem:
    """What is to be maximised.

    names: the parameters, in theta's order. start, lower, upper: theta to start from, its bounds.
    objective: log-likelihood and gradient on all data; where it has a method ``curvature``, from
    theta to the Hessian, that is asked for it. weight: number of customers in it.
    sample: the same on a sample of the groups, re-weighted to ``weight``; None for few groups.
    """

    names: tuple[str, ...]
    start: Floats
    lower: Floats
    upper: Floats
    objective: Objective
    weight: float
    sample: Objective | None = None

    def starting_at(self, theta: npt.ArrayLike) -> Problem:
        """The same problem from another point (moved inside the bounds)."""
        start = np.clip(np.asarray(theta, dtype=np.float64), self.lower, self.upper)
        return replace(self, start=start)


@dataclass(frozen=True)
class Optimum:
    """Where the maximum is. hessian: of the objective there; at_bound: which theta sit on one."""

    theta: Floats
    value: float
    gradient: Floats
    hessian: Floats
    at_bound: npt.NDArray[np.bool_]
    converged: bool
    evaluations: int


def maximise(problem: Problem) -> Optimum:
    """The maximum of the problem's objective within its bounds.

    ``converged`` says that a further Newton step would gain less than ``ENOUGH`` in
    log-likelihood, or, where the surface is too flat for such steps, that the slope is below
    ``FLAT`` a customer; the parameters at a bound aside.
    """
    climb = _Climb(problem)
    if problem.sample is None:
        climb.approach(problem.objective)
    else:
        climb.approach(problem.sample)
        climb.step_with(climb.hessian(problem.sample), problem.objective)
    for _ in range(6):
        curvature = climb.hessian(problem.objective)
        start = climb.theta
        if climb.step_with(curvature, problem.objective):
            if np.abs(climb.theta - start).max() > 0.01:
                curvature = climb.hessian(problem.objective)
            return climb.optimum(curvature, converged=True)
    return climb.optimum(curvature, converged=climb.is_flat())


def near_maximum(problem: Problem) -> float:
    """About how high the objective goes (from below), without Newton's last steps and a Hessian."""
    climb = _Climb(problem)
    climb.approach(problem.objective)
    return climb.ask(problem.objective, climb.theta)[0]


def fixed(problem: Problem, values: dict[str, float]) -> Problem:
    """The problem with some theta held at values."""
    start, lower, upper = problem.start.copy(), problem.lower.copy(), problem.upper.copy()
    for name, value in values.items():
        at = problem.names.index(name)
        start[at] = lower[at] = upper[at] = value
    return replace(problem, start=start, lower=lower, upper=upper)


def central_differences(gradient: Callable[[Floats], Floats], theta: Floats) -> Floats:
    """The Hessian from the gradient's differences around theta, made symmetric."""
    rows = np.zeros((theta.size, theta.size))
    for at in range(theta.size):
        step = np.zeros(theta.size)
        step[at] = HESSIAN_STEP
        rows[at] = (gradient(theta + step) - gradient(theta - step)) / (2 * HESSIAN_STEP)
    return (rows + rows.T) / 2


class _Climb:
    """A point on its way up."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.theta = problem.start
        self.evaluations = 0

    def approach(self, objective: Objective) -> None:
        """Come near the maximum by L-BFGS-B."""

        def descend(theta: Floats) -> tuple[float, Floats]:
            value, gradient = self.ask(objective, theta)
            return -value / self.problem.weight, -gradient / self.problem.weight

        free = self.problem.lower < self.problem.upper
        if not free.any():
            return
        found = optimize.minimize(
            descend,
            self.theta,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(self.problem.lower, self.problem.upper, strict=True)),
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-7, "maxcor": 20},
        )
        if np.isfinite(found.x).all():
            self.theta = np.clip(found.x, self.problem.lower, self.problem.upper)

    def ask(self, objective: Objective, theta: Floats) -> tuple[float, Floats]:
        self.evaluations += 1
        value, gradient = objective(theta)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return -1e300, np.zeros_like(theta)
        return value, gradient

    def hessian(self, objective: Objective) -> Floats:
        """The objective's own ``curvature``, or central differences of its gradient."""
        curvature: Callable[[Floats], Floats] | None = getattr(objective, "curvature", None)
        if curvature is not None:
            return curvature(self.theta)
        return central_differences(lambda theta: self.ask(objective, theta)[1], self.theta)

    def step_with(self, curvature: Floats, objective: Objective) -> bool:
        """Newton steps with one Hessian, as long as each gains; True when nothing is left to gain.

        False: the Hessian was too far off, a new one is needed.
        """
        value, gradient = self.ask(objective, self.theta)
        last = np.inf
        for _ in range(8):
            free = ~self._blocked(gradient)
            if not free.any():
                return True
            step = np.zeros_like(self.theta)
            step[free] = _ascent(curvature[np.ix_(free, free)], gradient[free])
            gain = float(gradient @ step) / 2
            if gain < ENOUGH:
                return True
            if gain > last / 4:
                return False
            last = gain
            step *= min(1.0, 1.0 / np.abs(step).max())
            for _ in range(12):
                theta = np.clip(self.theta + step, self.problem.lower, self.problem.upper)
                new_value, new_gradient = self.ask(objective, theta)
                if new_value > value:
                    break
                step /= 2
            else:
                # no step along an ascent gains: the sum's last digits decide, nothing is left
                return gain < 1e-12 * abs(value) + 1e-6
            self.theta, value, gradient = theta, new_value, new_gradient
        return False

    def is_flat(self) -> bool:
        """Whether no free parameter has a slope worth following."""
        gradient = self.ask(self.problem.objective, self.theta)[1]
        slopes = np.abs(gradient[~self._blocked(gradient)])
        return bool(slopes.max(initial=0.0) <= FLAT * self.problem.weight)

    def _blocked(self, gradient: Floats) -> npt.NDArray[np.bool_]:
        low = (self.theta <= self.problem.lower) & (gradient <= 0)
        high = (self.theta >= self.problem.upper) & (gradient >= 0)
        return low | high

    def optimum(self, curvature: Floats, *, converged: bool) -> Optimum:
        value, gradient = self.ask(self.problem.objective, self.theta)
        edge = (self.theta <= self.problem.lower) | (self.theta >= self.problem.upper)
        return Optimum(self.theta, value, gradient, curvature, edge, converged, self.evaluations)


def _ascent(curvature: Floats, gradient: Floats) -> Floats:
    """The Newton step, with a curvature made negative where the surface is flat or bends up."""
    values, vectors = np.linalg.eigh(-curvature)
    floor = 1e-9 * max(float(np.abs(values).max()), 1e-300)
    return np.asarray(vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), floor)))
