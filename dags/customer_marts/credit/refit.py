"""Fit a challenger on the observations of a book, judge it against the champion, say the verdict.

An observation is a customer at a month end with what was known of it then, and whether it defaulted
in the months ahead. The customers are split by a hash of their id: the challenger never sees those
it is judged on, in any month. Where there are enough months, the last one is kept out of the fit as
well, and measured apart (out of time). The same observations give the same fit, whatever their
order.

Bins and coefficients are chosen to suit the rows of the fit, the more so the fewer defaults there
are: on others the high probabilities are too high and the low ones too low. The coefficients are
therefore shrunk by the calibration slope that cross-fitting finds (:func:`calibration_slope`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from customer_marts.credit import model_quality
from customer_marts.credit.binning import (
    BinKind,
    BinningOptions,
    Flags,
    Integers,
    VariableBins,
)
from customer_marts.credit.logistic import fit_ridge_logistic, logit
from customer_marts.credit.promotion import (
    HoldoutQuality,
    PromotionLimits,
    PromotionVerdict,
    assess_holdout,
    promotion_verdict,
)
from customer_marts.credit.scorecard import Features, PointsScale, Scorecard
from customer_marts.credit.scorecard_fit import (
    FitResult,
    FitStatus,
    ScorecardOptions,
    VariableOutcome,
    VariableReport,
    fit_scorecard,
)
from customer_marts.errors import absent_parameter
from customer_marts.told import Told

MODEL = "credit_scorecard"

KEPT_DECIMALS = 6
# A fit that tells nothing about other customers keeps next to no differences between them; the
# promotion's limits refuse it.
LEAST_SLOPE = 0.05


@dataclass(frozen=True, slots=True)
class Observations:
    """n customers at month ends: customer and month of each, the outcome, and columns of length n.

    month: months as whole numbers that rise with time. is_default: whether it defaulted in the
    months ahead.
    """

    customer: npt.NDArray[Any]
    month: Integers
    is_default: Flags
    features: Features

    def __len__(self) -> int:
        return len(self.customer)

    def of(self, rows: Flags) -> Observations:
        """The rows that a mask of length n takes."""
        features = {name: column[rows] for name, column in self.features.items()}
        return Observations(self.customer[rows], self.month[rows], self.is_default[rows], features)

    @property
    def count_customers_defaulted(self) -> int:
        """Customers that defaulted after at least one observation."""
        return len(set(self.customer[self.is_default].tolist()))


@dataclass(frozen=True, slots=True)
class RefitRules:
    """What the seed credit_scorecard_parameters says of a fit and its judgement."""

    options: ScorecardOptions
    limits: PromotionLimits
    refit_days: int
    holdout_percent: int
    cross_fit_folds: int
    out_of_time_observations_at_least: int
    directions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, parameters: Mapping[str, float], directions: Mapping[str, str] | None = None
    ) -> RefitRules:
        """Read the parameters in force.

        directions: by variable, whether the risk ``rises`` or ``falls`` with it; others may do
        either.

        Raises:
            ConfigurationError: one is absent, or they contradict one another.
        """
        try:
            options = ScorecardOptions(
                binning=BinningOptions(
                    maximum_bins=int(parameters["maximum_bins"]),
                    minimum_share=parameters["minimum_bin_share"],
                    minimum_events=int(parameters["minimum_bin_events"]),
                ),
                scale=PointsScale(
                    pdo=parameters["points_to_double_odds"],
                    base_score=parameters["base_score"],
                    base_odds=parameters["base_odds"],
                ),
                minimum_defaults=int(parameters["minimum_defaults"]),
                minimum_iv=parameters["minimum_iv"],
                maximum_correlation=parameters["maximum_correlation"],
                maximum_variables=int(parameters["maximum_variables"]),
                ridge=parameters["ridge"],
            )
            limits = PromotionLimits(
                minimum_defaults=int(parameters["promote_minimum_defaults"]),
                minimum_auc=parameters["promote_minimum_auc"],
                minimum_expected_to_observed=parameters["promote_minimum_expected_to_observed"],
                maximum_expected_to_observed=parameters["promote_maximum_expected_to_observed"],
                maximum_psi=parameters["promote_maximum_psi"],
                maximum_auc_loss=parameters["promote_maximum_auc_loss"],
            )
            return cls(
                options,
                limits,
                int(parameters["refit_days"]),
                int(parameters["holdout_percent"]),
                int(parameters["cross_fit_folds"]),
                int(parameters["out_of_time_observations_at_least"]),
                directions or {},
            )
        except KeyError as error:
            raise absent_parameter("the scorecard", "credit_scorecard_parameters", error) from error

    def shrunk_by(self, slope: float) -> RefitRules:
        """The same with coefficients shrunk by a calibration slope, between LEAST_SLOPE and 1."""
        shrinkage = min(max(slope, LEAST_SLOPE), 1.0)
        return replace(self, options=replace(self.options, shrinkage=shrinkage))


@dataclass(frozen=True, slots=True)
class Refit:
    """What a fit came to. card: None where nothing was fitted; measures: as JSON."""

    fit_status: FitStatus
    card: Scorecard | None
    is_promoted: bool
    verdict_en: str
    verdict_zh: str
    measures: str

    @property
    def artefact(self) -> str | None:
        """The card as JSON."""
        return self.card.to_json() if self.card is not None else None

    @property
    def version(self) -> str:
        """The card's; without one, a hash of what was found instead."""
        if self.card is not None:
            return self.card.version
        return hashlib.sha256((self.fit_status + self.measures).encode()).hexdigest()[:16]


def refit(observations: Observations, champion: Scorecard | None, rules: RefitRules) -> Refit:
    """Fit a challenger, judge it on customers it has not seen, and promote or refuse it.

    champion: the scorecard in force, whose variables must be among the features.
    """
    is_held = held_out(observations.customer, rules.holdout_percent)
    months = np.unique(observations.month)
    has_out_of_time = len(months) >= rules.out_of_time_observations_at_least
    is_last = (
        observations.month == months[-1]
        if has_out_of_time
        else np.zeros(len(observations), dtype=bool)
    )
    training = observations.of(~is_held & ~is_last)
    holdout = observations.of(is_held)
    found: dict[str, Any] = {
        "fit_rows": len(training),
        "fit_defaults": int(training.is_default.sum()),
        "fit_customers_defaulted": training.count_customers_defaulted,
        "observation_months": len(months),
        "holdout_rows": len(holdout),
        "holdout_defaults": int(holdout.is_default.sum()),
    }
    needed = rules.options.minimum_defaults
    if training.count_customers_defaulted < needed:
        return Refit(
            FitStatus.TOO_FEW_DEFAULTS,
            None,
            False,
            "Not fitted: customers observed to default: "
            f"{training.count_customers_defaulted}; {needed} are needed",
            f"未建模:观察样本中仅 {training.count_customers_defaulted} 个客户违约,"
            f"至少需要 {needed} 个",
            _as_json(found),
        )
    slope = calibration_slope(training, rules)
    found["calibration_slope"] = slope
    result = fit_explainable(training.features, training.is_default, rules.shrunk_by(slope))
    found["variables"] = [
        {**asdict(each), "iv": None if each.iv is None else round(each.iv, KEPT_DECIMALS)}
        for each in result.variables
    ]
    if result.scorecard is None:
        return _unfitted(result, found)
    card = result.scorecard
    quality = assess_holdout(card, champion, holdout.features, holdout.is_default)
    verdict = promotion_verdict(card, champion, quality, rules.limits)
    found |= _holdout_measures(quality, verdict)
    found |= _calibration(card, holdout)
    if has_out_of_time:
        found |= _out_of_time(card, observations.of(is_last))
    word_en, word_zh = ("Promoted", "启用") if verdict.is_promoted else ("Refused", "不启用")
    return Refit(
        FitStatus.OK,
        card,
        verdict.is_promoted,
        f"{word_en}: {'; '.join(verdict.reasons)}",
        f"{word_zh}:{';'.join(verdict.reasons_zh)}",
        _as_json(found),
    )


def fit_explainable(features: Features, is_default: Flags, rules: RefitRules) -> FitResult:
    """Fit a scorecard without the variables that move against the direction they should.

    A variable whose bins say that more lateness is less risk is noise or a proxy; it is left out
    and the rest is fitted again. Its report says so.
    """
    left_out: dict[str, VariableReport] = {}
    while True:
        usable = {name: column for name, column in features.items() if name not in left_out}
        result = fit_scorecard(usable, is_default, rules.options)
        wrong = [
            each.bins
            for each in (result.scorecard.variables if result.scorecard else ())
            if _goes_against(each.bins, rules.directions.get(each.bins.name))
        ]
        if not wrong:
            reports = sorted((*result.variables, *left_out.values()), key=lambda each: each.name)
            return replace(result, variables=tuple(reports))
        left_out |= {
            bins.name: VariableReport(
                bins.name,
                bins.iv,
                VariableOutcome.WRONG_SIGN,
                f"the risk {rules.directions[bins.name]} with it, and here it does not",
            )
            for bins in wrong
        }


def calibration_slope(training: Observations, rules: RefitRules) -> float:
    """The slope of the outcome's log-odds on the log-odds given by fits without the customer.

    The customers are dealt into ``rules.cross_fit_folds`` folds by a hash of their id; each fold is
    given probabilities by a scorecard fitted on the others, its bins and its choice of variables
    included. 1: the probabilities hold for others as well; below 1 they are too far apart. 1 where
    one of the regressions has no optimum. Source: D. R. Cox (1958), Two further applications of a
    model for binary regression; E. W. Steyerberg, Clinical Prediction Models (2019), chapter 13.
    """
    lenient = replace(rules, options=replace(rules.options, minimum_defaults=1))
    fold = hashed_percent(training.customer, 1) * rules.cross_fit_folds // 100
    log_odds = np.zeros(len(training))
    for each in range(rules.cross_fit_folds):
        is_out = fold == each
        others = training.of(~is_out)
        if not is_out.any() or not 0 < others.is_default.sum() < len(others):
            continue
        card = fit_explainable(others.features, others.is_default, lenient).scorecard
        if card is None:
            log_odds[is_out] = logit(others.is_default.mean())
        else:
            log_odds[is_out] = logit(card.score(training.of(is_out).features).probability)
    fit = fit_ridge_logistic(log_odds[:, np.newaxis], training.is_default, ridge=0.0)
    return round(float(fit.coefficients[0]), KEPT_DECIMALS) if fit.is_converged else 1.0


def _goes_against(bins: VariableBins, direction: str | None) -> bool:
    """Whether the evidence of the bins, which is monotone, moves the other way."""
    woe = [each.woe for each in bins.bins if each.kind is BinKind.NUMERIC]
    if len(woe) < 2 or direction not in ("rises", "falls"):
        return False
    return woe[-1] > woe[0] if direction == "rises" else woe[-1] < woe[0]


def held_out(customers: npt.NDArray[Any], percent: int) -> Flags:
    """Which rows belong to customers that a fit must not see: by their id alone, for good."""
    return hashed_percent(customers, 0) < percent


def hashed_percent(customers: npt.NDArray[Any], draw: int) -> Integers:
    """A number from 0 to 99 for each customer, by its id alone; draws 0 to 3 are independent."""
    names = customers.tolist()
    numbers = {
        name: int.from_bytes(hashlib.sha256(str(name).encode()).digest()[8 * draw :][:8]) % 100
        for name in set(names)
    }
    return np.fromiter((numbers[name] for name in names), dtype=np.int64, count=len(names))


def _unfitted(result: FitResult, found: dict[str, Any]) -> Refit:
    why = Told.joined(result.reasons)
    return Refit(
        result.fit_status,
        None,
        False,
        f"Not fitted: {why.text_en}",
        f"未建模:{why.text_zh}",
        _as_json(found),
    )


def _holdout_measures(quality: HoldoutQuality, verdict: PromotionVerdict) -> dict[str, Any]:
    measured = asdict(quality)
    for name in ("challenger_version", "count_rows", "count_defaults"):
        del measured[name]
    measured["expected_defaults"] = quality.expected_rate * quality.count_rows
    measured["observed_defaults"] = quality.count_defaults
    measured["checks"] = {check.code.value: check.is_passed for check in verdict.checks}
    return {name: _rounded(value) for name, value in measured.items()}


def _calibration(card: Scorecard, holdout: Observations) -> dict[str, Any]:
    probability = card.score(holdout.features).probability
    rows = model_quality.calibration_table(holdout.is_default, probability)
    return {
        "calibration": [
            {name: _rounded(value) for name, value in asdict(row).items()} for row in rows
        ]
    }


def _out_of_time(card: Scorecard, last: Observations) -> dict[str, Any]:
    """The last observation month: no customer of it was fitted on in that month."""
    scores = card.score(last.features)
    bads = int(last.is_default.sum())
    has_both = 0 < bads < len(last)
    return {
        "out_of_time_rows": len(last),
        "out_of_time_defaults": bads,
        "out_of_time_expected_defaults": _rounded(float(scores.probability.sum())),
        "out_of_time_auc": _rounded(model_quality.auc(last.is_default, -scores.score))
        if has_both
        else None,
    }


def _rounded(value: Any) -> Any:
    return round(value, KEPT_DECIMALS) if isinstance(value, float) else value


def _as_json(found: dict[str, Any]) -> str:
    return json.dumps(found, sort_keys=True, ensure_ascii=False, allow_nan=False)
