"""From a book to a fitted model: fit, standard errors, and how far to trust it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar

import numpy as np

from customer_marts.clv.books import Floats
from customer_marts.clv.optimiser import Objective, Optimum, Problem, fixed, maximise, near_maximum
from customer_marts.errors import DataError
from customer_marts.told import Told

# Fewer customers than this: the weak prior is used, and said.
SMALL_BOOK = 300
# A log-parameter known no better than this (a factor of 4.5 either way) makes the data weak.
WIDEST_LOG_ERROR = 1.5
# 95 % point of the likelihood ratio where "nobody leaves" is on the edge of the model.
CHURN_EVIDENCE = 2.706
FEWEST_REPEAT_BUYERS = 10
NO_MAXIMUM = Told("no maximum of the likelihood was found", "未收敛")
# Of more than twice as many groups, L-BFGS works on a sample of this size; Newton ends on all.
SAMPLE_GROUPS = 60_000


class FitStatus(StrEnum):
    """How far a fit can be trusted.

    ok: use it.
    no_churn: the data give no evidence that anybody leaves; P(alive) is then near 1, but for what
    the prior of a small book adds.
    weak_data: too few customers or repeats; the prior or a bound decides part of it.
    failed: no maximum found; use no number of it.
    """

    OK = "ok"
    NO_CHURN = "no_churn"
    WEAK_DATA = "weak_data"
    FAILED = "failed"


# Fits that may forecast.
USABLE = frozenset({FitStatus.OK, FitStatus.NO_CHURN, FitStatus.WEAK_DATA})

Model = TypeVar("Model", covariant=True)

_MODELS: dict[str, type[Any]] = {}


def known_model(kind: type[Model]) -> type[Model]:
    """Make a model class known to ``Fit.from_json``."""
    _MODELS[kind.__name__] = kind
    return kind


@dataclass(frozen=True)
class Fit(Generic[Model]):
    """A fitted model and what to know about the fit.

    log_likelihood: at the fitted parameters, without the prior. names: the parameters fitted, the
    order of ``covariance``, which is of their logarithms (inverse of the negative Hessian; NaN
    rows for a parameter at its bound). prior: what the weak prior says, None when none was used.
    evaluations: of the likelihood, on the sample or on all groups.
    """

    model: Model
    status: FitStatus
    reasons: tuple[Told, ...]
    log_likelihood: float
    customers: float
    names: tuple[str, ...]
    covariance: tuple[tuple[float, ...], ...]
    prior: Told | None
    evaluations: int

    @property
    def log_errors(self) -> dict[str, float]:
        """Standard errors of the logarithms of the parameters."""
        variances = np.diag(np.array(self.covariance))
        return dict(zip(self.names, np.sqrt(variances).tolist(), strict=True))

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard errors of the parameters (delta method from the log scale)."""
        return {name: error * getattr(self.model, name) for name, error in self.log_errors.items()}

    def to_json(self) -> str:
        """One line of JSON that ``from_json`` reads back unchanged."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        content["model"] = _stored(self.model)
        content["reasons"] = [asdict(reason) for reason in self.reasons]
        content["prior"] = asdict(self.prior) if self.prior else None
        content["log_likelihood"] = _number_or_none(self.log_likelihood)
        content["covariance"] = [[_number_or_none(cell) for cell in row] for row in self.covariance]
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> Fit[Any]:
        """Read what ``to_json`` wrote; DataError where the text is not that."""
        try:
            content = json.loads(text)
            content["model"] = _restored(content["model"])
            content["status"] = FitStatus(content["status"])
            content["reasons"] = tuple(_told(reason) for reason in content["reasons"])
            content["prior"] = _told(content["prior"]) if content["prior"] else None
            content["names"] = tuple(content["names"])
            content["log_likelihood"] = _number_or_nan(content["log_likelihood"])
            content["covariance"] = tuple(
                tuple(_number_or_nan(cell) for cell in row) for row in content["covariance"]
            )
            return cls(**content)
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise DataError(
                "the text is no stored fit",
                where=f"{fault!r}; {text[:80]}",
                todo="fit the model anew and store its to_json()",
            ) from fault


def _number_or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _number_or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _told(stored: dict[str, str] | str) -> Told:
    # fits of before November 2026 say what they doubt in English alone
    return Told(stored, stored) if isinstance(stored, str) else Told(**stored)


def _stored(model: Any) -> dict[str, Any]:
    parameters = {field.name: getattr(model, field.name) for field in fields(model)}
    inner = {name: _stored(value) for name, value in parameters.items() if is_dataclass(value)}
    return {"kind": type(model).__name__, **parameters, **inner}


def _restored(content: dict[str, Any]) -> Any:
    kind = _MODELS[content.pop("kind")]
    inner = {
        name: _restored(value)
        for name, value in content.items()
        if isinstance(value, dict) and "kind" in value
    }
    return kind(**{**content, **inner})


@dataclass(frozen=True)
class Prior:
    """Independent normal priors on some log-parameters; ``log_median`` and ``log_sd`` by name."""

    text: Told
    log_median: dict[str, float]
    log_sd: float

    def on(self, problem: Problem) -> Problem:
        """The problem with the prior's log-density added."""
        places = [problem.names.index(name) for name in self.log_median]
        centres = np.array(list(self.log_median.values()))

        def with_prior(objective: Objective) -> Objective:
            def both(theta: Floats) -> tuple[float, Floats]:
                value, gradient = objective(theta)
                off = (theta[places] - centres) / self.log_sd
                gradient = gradient.copy()
                gradient[places] -= off / self.log_sd
                return value - float(off @ off) / 2, gradient

            return both

        return Problem(
            problem.names,
            problem.start,
            problem.lower,
            problem.upper,
            with_prior(problem.objective),
            problem.weight,
            None if problem.sample is None else with_prior(problem.sample),
        )


def fit_problem(
    problem: Problem,
    build: Callable[[Floats], Model],
    *,
    repeat_buyers: float,
    prior: Prior | None = None,
    nobody_leaves: dict[str, float] | None = None,
    constant: float = 0.0,
) -> Fit[Model]:
    """Maximise, take the errors, and judge.

    prior: used, and named in the fit, for books of fewer than ``SMALL_BOOK`` customers.
    nobody_leaves: theta values that take leaving out of the model; without evidence against them
    the status is no_churn. constant: added to the reported log-likelihood.
    """
    used = prior if problem.weight < SMALL_BOOK else None
    optimum = maximise(used.on(problem) if used else problem)
    value = problem.objective(optimum.theta)[0] if used else optimum.value
    covariance = _covariance(optimum)
    status, reasons = _judge(problem, optimum, covariance, repeat_buyers, used, nobody_leaves)
    return Fit(
        build(optimum.theta),
        status,
        tuple(reasons),
        float(value) + constant,
        problem.weight,
        problem.names,
        tuple(tuple(row) for row in covariance.tolist()),
        used.text if used else None,
        optimum.evaluations,
    )


def with_reason(fit: Fit[Model], reason: Told, status: FitStatus | None = None) -> Fit[Model]:
    """The fit with one more thing to say; ``status`` replaces an ok."""
    worse = status if status is not None and fit.status is FitStatus.OK else fit.status
    return replace(fit, status=worse, reasons=(*fit.reasons, reason))


def _covariance(optimum: Optimum) -> Floats:
    covariance = np.full(optimum.hessian.shape, np.nan)
    free = ~optimum.at_bound
    if free.any():
        inner = np.ix_(free, free)
        values, vectors = np.linalg.eigh(-optimum.hessian[inner])
        with np.errstate(divide="ignore"):
            inverse = 1 / np.maximum(values, 1e-12)
        covariance[inner] = (vectors * inverse) @ vectors.T
    return covariance


def _judge(
    problem: Problem,
    optimum: Optimum,
    covariance: Floats,
    repeat_buyers: float,
    used: Prior | None,
    nobody_leaves: dict[str, float] | None,
) -> tuple[FitStatus, list[Told]]:
    if not (optimum.converged and np.isfinite(optimum.value) and optimum.value > -1e299):
        return FitStatus.FAILED, [NO_MAXIMUM]
    reasons = []
    if repeat_buyers < FEWEST_REPEAT_BUYERS:
        reasons.append(
            Told(
                f"repeat buyers: {repeat_buyers:g}, {FEWEST_REPEAT_BUYERS} are needed",
                f"仅 {repeat_buyers:g} 个重复购买客户,至少需要 {FEWEST_REPEAT_BUYERS} 个",
            )
        )
    elif nobody_leaves is not None:
        evidence = 2 * _evidence_of_leaving(problem, optimum, nobody_leaves)
        if evidence < CHURN_EVIDENCE:
            return FitStatus.NO_CHURN, [_nobody_leaves(max(evidence, 0.0))]
    if used:
        reasons.append(
            Told(
                f"customers: {problem.weight:g}, fewer than {SMALL_BOOK}; {used.text.text_en}",
                f"仅 {problem.weight:g} 个客户,少于 {SMALL_BOOK} 个,{used.text.text_zh}",
            )
        )
    for name, edge, variance in zip(
        problem.names, optimum.at_bound, np.diag(covariance), strict=True
    ):
        if edge:
            reasons.append(Told(f"{name} runs to its bound", f"参数 {name} 触及边界"))
        elif not variance < WIDEST_LOG_ERROR**2:
            factor = np.exp(min(np.sqrt(max(variance, 0.0)), 100.0))
            reasons.append(
                Told(
                    f"{name} is known only within a factor of {factor:.3g}",
                    f"参数 {name} 的误差达 {factor:.3g} 倍",
                )
            )
    return (FitStatus.WEAK_DATA if reasons else FitStatus.OK), reasons


def _nobody_leaves(evidence: float) -> Told:
    return Told(
        "no evidence that customers leave: likelihood ratio "
        f"{evidence:.2f}, {CHURN_EVIDENCE} is needed",
        f"没有客户流失的证据:似然比 {evidence:.2f},至少需要 {CHURN_EVIDENCE}",
    )


def _evidence_of_leaving(
    problem: Problem, optimum: Optimum, nobody_leaves: dict[str, float]
) -> float:
    """How far ln L is above the best fit in which nobody leaves (on the sample, if any)."""
    objective = problem.sample or problem.objective
    smaller = Problem(
        problem.names,
        optimum.theta,
        problem.lower,
        problem.upper,
        objective,
        problem.weight,
    )
    return objective(optimum.theta)[0] - near_maximum(fixed(smaller, nobody_leaves))
