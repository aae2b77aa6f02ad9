"""Whether a newly fitted scorecard may replace the one in force."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from customer_marts.credit import model_quality
from customer_marts.credit.scorecard import Features, Scorecard
from customer_marts.errors import ConfigurationError, DataError


@dataclass(frozen=True, slots=True)
class HoldoutQuality:
    """A challenger measured on customers that it was not fitted on.

    expected_to_observed: expected over observed defaults, None without defaults. The AUC figures
    are None where the holdout has only goods or only bads. psi: the challenger's scores here
    against the fitted population of the champion (of the challenger itself where there is no
    champion), on that one's bands: how far readers would see scores and grades shift. The
    champion's figures, on the same customers, are None where there is none.
    """

    challenger_version: str
    champion_version: str | None
    count_rows: int
    count_defaults: int
    auc: float | None
    auc_standard_error: float | None
    gini: float | None
    ks: float | None
    brier: float
    expected_rate: float
    observed_rate: float
    expected_to_observed: float | None
    spiegelhalter_z: float
    psi: float
    champion_auc: float | None
    champion_brier: float | None
    auc_gain: float | None
    auc_gain_standard_error: float | None


@dataclass(frozen=True, slots=True)
class PromotionLimits:
    """What a challenger must reach on the holdout.

    minimum_expected_to_observed, maximum_expected_to_observed: bounds of expected over observed
    defaults. maximum_auc_loss: how far it may fall behind the champion's AUC.
    """

    minimum_defaults: int = 20
    minimum_auc: float = 0.65
    minimum_expected_to_observed: float = 0.8
    maximum_expected_to_observed: float = 1.25
    maximum_psi: float = 0.25
    maximum_auc_loss: float = 0.01

    def __post_init__(self) -> None:
        is_sound = (
            self.minimum_defaults >= 1
            and 0 <= self.minimum_auc <= 1
            and 0 < self.minimum_expected_to_observed <= self.maximum_expected_to_observed
            and self.maximum_psi >= 0
            and self.maximum_auc_loss >= 0
        )
        if not is_sound:
            raise ConfigurationError(
                "The promotion limits contradict themselves",
                where=repr(self),
                todo="minimum_defaults at least 1, AUC in [0, 1], ordered bounds above 0",
            )


class CheckCode(StrEnum):
    """What a check looks at."""

    ENOUGH_DEFAULTS = "enough_defaults"
    RANKING = "ranking"
    CALIBRATION = "calibration"
    STABILITY = "stability"
    NOT_WORSE = "not_worse_than_champion"


@dataclass(frozen=True, slots=True)
class PromotionCheck:
    """One check: passed or not, and the figure against its limit in one sentence."""

    code: CheckCode
    is_passed: bool
    reason: str
    reason_zh: str


@dataclass(frozen=True, slots=True)
class PromotionVerdict:
    """Promoted only if every check passed."""

    is_promoted: bool
    challenger_version: str
    champion_version: str | None
    checks: tuple[PromotionCheck, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was refused, or, where it was promoted, what every check found."""
        return tuple(check.reason for check in self._telling)

    @property
    def reasons_zh(self) -> tuple[str, ...]:
        """The same in Chinese."""
        return tuple(check.reason_zh for check in self._telling)

    @property
    def _telling(self) -> tuple[PromotionCheck, ...]:
        return tuple(check for check in self.checks if self.is_promoted or not check.is_passed)


def assess_holdout(
    challenger: Scorecard,
    champion: Scorecard | None,
    features: Features,
    default: npt.NDArray[Any],
) -> HoldoutQuality:
    """Measure both scorecards on the same n customers, whose outcome is known (0 or 1).

    The comparison favours a champion that was fitted on some of these customers.

    Raises:
        DataError: there are no customers, an outcome is unknown, or a variable is absent.
    """
    scores = challenger.score(features)
    risk = -scores.score.astype(np.float64)
    probability = scores.probability
    brier = model_quality.brier(default, probability)
    bads = int(np.asarray(default).astype(bool).sum())
    has_both = 0 < bads < len(scores.score)
    reference = champion or challenger
    rival = champion.score(features) if champion else None
    gain = model_quality.auc_difference(default, risk, -rival.score) if rival and has_both else None
    expected = float(probability.sum())
    return HoldoutQuality(
        challenger_version=challenger.version,
        champion_version=champion.version if champion else None,
        count_rows=len(risk),
        count_defaults=bads,
        auc=model_quality.auc(default, risk) if has_both else None,
        auc_standard_error=_known(model_quality.auc_standard_error(default, risk))
        if has_both
        else None,
        gini=model_quality.gini(default, risk) if has_both else None,
        ks=model_quality.ks(default, risk) if has_both else None,
        brier=brier,
        expected_rate=expected / len(risk),
        observed_rate=bads / len(risk),
        expected_to_observed=expected / bads if bads else None,
        spiegelhalter_z=model_quality.spiegelhalter_z(default, probability),
        psi=model_quality.psi(
            reference.population.shares, reference.population.shares_of(scores.score)
        ),
        champion_auc=gain.second if gain else None,
        champion_brier=model_quality.brier(default, rival.probability) if rival else None,
        auc_gain=gain.difference if gain else None,
        auc_gain_standard_error=_known(gain.standard_error) if gain else None,
    )


def promotion_verdict(
    challenger: Scorecard,
    champion: Scorecard | None,
    quality: HoldoutQuality,
    limits: PromotionLimits,
) -> PromotionVerdict:
    """Promote the challenger, or say why not. A figure that is unknown does not pass.

    Raises:
        DataError: ``quality`` was measured on other scorecards.
    """
    versions = (challenger.version, champion.version if champion else None)
    if versions != (quality.challenger_version, quality.champion_version):
        raise DataError(
            "The holdout figures belong to other scorecards",
            where=f"figures of {quality.challenger_version} against {quality.champion_version}, "
            f"asked for {versions[0]} against {versions[1]}",
            todo="measure these two with assess_holdout",
        )
    checks = [
        PromotionCheck(
            CheckCode.ENOUGH_DEFAULTS,
            quality.count_defaults >= limits.minimum_defaults,
            f"defaults in the holdout: {quality.count_defaults}, at least "
            f"{limits.minimum_defaults} needed",
            f"留出样本违约 {quality.count_defaults} 个,至少需要 {limits.minimum_defaults} 个",
        ),
        PromotionCheck(
            CheckCode.RANKING,
            quality.auc is not None and quality.auc >= limits.minimum_auc,
            f"AUC {_figure(quality.auc)}, at least {limits.minimum_auc:g} needed",
            f"AUC 为 {_figure(quality.auc, '未知')},至少需要 {limits.minimum_auc:g}",
        ),
        PromotionCheck(
            CheckCode.CALIBRATION,
            quality.expected_to_observed is not None
            and limits.minimum_expected_to_observed
            <= quality.expected_to_observed
            <= limits.maximum_expected_to_observed,
            f"expected over observed defaults {_figure(quality.expected_to_observed)}, "
            f"{limits.minimum_expected_to_observed:g} to "
            f"{limits.maximum_expected_to_observed:g} allowed",
            f"预期与实际违约之比 {_figure(quality.expected_to_observed, '未知')},"
            f"允许 {limits.minimum_expected_to_observed:g} 至 "
            f"{limits.maximum_expected_to_observed:g}",
        ),
        PromotionCheck(
            CheckCode.STABILITY,
            quality.psi <= limits.maximum_psi,
            f"PSI {quality.psi:.4f}, at most {limits.maximum_psi:g} allowed",
            f"PSI 为 {quality.psi:.4f},上限 {limits.maximum_psi:g}",
        ),
    ]
    if champion is not None:
        checks.append(
            PromotionCheck(
                CheckCode.NOT_WORSE,
                quality.auc_gain is not None and quality.auc_gain >= -limits.maximum_auc_loss,
                f"AUC {_figure(quality.auc)} against {_figure(quality.champion_auc)} of the "
                f"champion, at most {limits.maximum_auc_loss:g} less allowed",
                f"AUC {_figure(quality.auc, '未知')},现用模型为 "
                f"{_figure(quality.champion_auc, '未知')},"
                f"允许低于不超过 {limits.maximum_auc_loss:g}",
            )
        )
    return PromotionVerdict(all(check.is_passed for check in checks), *versions, tuple(checks))


def _known(number: float) -> float | None:
    return None if np.isnan(number) else number


def _figure(number: float | None, unknown: str = "unknown") -> str:
    return unknown if number is None else f"{number:.4f}"
