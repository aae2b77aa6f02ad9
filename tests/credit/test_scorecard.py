"""Bins, regression, points and promotion of credit scorecards."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, replace
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_marts.credit import model_quality
from customer_marts.credit.binning import (
    BinKind,
    BinningOptions,
    VariableBins,
    bin_categorical,
    bin_numeric,
    weights_of_evidence,
)
from customer_marts.credit.logistic import calibrate_intercept, fit_ridge_logistic, sigmoid
from customer_marts.credit.promotion import (
    CheckCode,
    PromotionLimits,
    assess_holdout,
    promotion_verdict,
)
from customer_marts.credit.scorecard import PointsScale, Scorecard
from customer_marts.credit.scorecard_fit import (
    FitResult,
    FitStatus,
    ScorecardOptions,
    VariableOutcome,
    fit_scorecard,
)
from customer_marts.errors import ConfigurationError, DataError
from tests.credit.made_up import Columns, customers, german_credit, rows_of

FREE = BinningOptions(minimum_share=0.0, minimum_events=0)
TINY = BinningOptions(minimum_share=0.0, minimum_events=1)


@pytest.fixture(scope="module")
def book() -> tuple[Columns, npt.NDArray[np.bool_]]:
    return customers(6_000)


@pytest.fixture(scope="module")
def fitted(book: tuple[Columns, npt.NDArray[np.bool_]]) -> FitResult:
    return fit_scorecard(*book)


@pytest.fixture(scope="module")
def card(fitted: FitResult) -> Scorecard:
    assert fitted.scorecard is not None
    return fitted.scorecard


def outcomes(result: FitResult) -> dict[str, VariableOutcome]:
    return {report.name: report.outcome for report in result.variables}


def rates(binned: VariableBins) -> list[float]:
    return [
        each.count_bads / (each.count_bads + each.count_goods)
        for each in binned.bins
        if each.kind is BinKind.NUMERIC
    ]


class TestWeightOfEvidence:
    def test_known_figures(self) -> None:
        woe, iv = weights_of_evidence([100, 200, 300], [30, 20, 10])
        assert woe == pytest.approx([-1.0986, 0.0, 1.0986], abs=5e-5)
        assert iv == pytest.approx(0.7324, abs=5e-5)

    def test_an_empty_cell_gets_a_half_in_its_own_bin_only(self) -> None:
        woe, _ = weights_of_evidence([10, 90], [0, 10])
        assert woe == pytest.approx([math.log(10.5 / 100 / (0.5 / 10)), math.log(0.9)])

    @pytest.mark.parametrize(
        ("goods", "bads"), [([5, 5], [0, 0]), ([0, 0], [1, 2]), ([-1, 2], [1, 1])]
    )
    def test_one_class_only_is_an_error(self, goods: list[int], bads: list[int]) -> None:
        with pytest.raises(DataError, match="needs goods and bads"):
            weights_of_evidence(goods, bads)


class TestNumericBins:
    @settings(max_examples=80, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.one_of(st.floats(), st.sampled_from([0.0, 1.0, -1.0, 1e308, -1e308])),
                st.booleans(),
            ),
            min_size=4,
            max_size=120,
        ),
        st.integers(0, 3),
        st.sampled_from([0.0, 0.05, 0.2]),
    )
    def test_rates_are_strictly_monotone_and_bins_large_enough(
        self, rows: list[tuple[float, bool]], minimum_events: int, minimum_share: float
    ) -> None:
        values = np.array([value for value, _ in rows])
        is_bad = np.array([bad for _, bad in rows])
        is_bad[0], is_bad[1] = True, False
        options = BinningOptions(minimum_share=minimum_share, minimum_events=minimum_events)
        binned = bin_numeric("x", values, is_bad, options)
        found = rates(binned) if np.isfinite(values).any() else []
        steps = np.diff(found)
        assert (steps > 0).all() or (steps < 0).all()
        assert len(found) <= options.maximum_bins
        ordered = [each for each in binned.bins if each.kind is BinKind.NUMERIC]
        if len(ordered) > 1:
            for each in ordered:
                assert each.count_goods + each.count_bads >= minimum_share * len(rows)
                assert min(each.count_goods, each.count_bads) >= minimum_events
        # every row is in exactly one bin, and finding it again gives the counts of the fit
        again = np.bincount(binned.positions(values), minlength=len(binned.bins))
        assert again.tolist() == [each.count_goods + each.count_bads for each in binned.bins]
        assert all(math.isfinite(each.woe) for each in binned.bins)

    def test_bounds_are_inclusive_below_and_exclusive_above(self) -> None:
        values = np.array([1.0] * 10 + [2.0] * 10)
        is_bad = np.array([True] * 2 + [False] * 8 + [True] * 8 + [False] * 2)
        binned = bin_numeric("x", values, is_bad, FREE)
        assert [(each.lower, each.upper) for each in binned.bins[:2]] == [(None, 2.0), (2.0, None)]
        below = np.nextafter(2.0, 0.0)
        assert binned.positions(np.array([below, 2.0, -1e300, 1e300])).tolist() == [0, 1, 0, 1]

    def test_a_point_mass_does_not_hide_the_few_others(self) -> None:
        values = np.array([0.0] * 960 + [5.0, 6.0, 7.0, 8.0] * 10)
        is_bad = np.array([False] * 930 + [True] * 30 + [True, False] * 20)
        binned = bin_numeric("overdue", values, is_bad, BinningOptions(minimum_share=0.02))
        assert binned.bins[0].upper == 5.0
        assert binned.iv > 0.3

    def test_missing_and_infinite_values_share_a_bin(self) -> None:
        values = np.array([1.0, 2.0] * 20 + [np.nan, np.inf, -np.inf] * 6)
        is_bad = np.array([True, False] * 20 + [True, True, False] * 6)
        missing = bin_numeric("x", values, is_bad, TINY).bins[-1]
        assert (missing.kind, missing.count_goods, missing.count_bads) == (BinKind.MISSING, 6, 12)
        assert missing.woe == pytest.approx(math.log(6 / 26 / (12 / 32)))

    def test_a_masked_column_is_read_as_missing(self) -> None:
        values = np.ma.masked_array([1, 2, 3, 4], mask=[False, True, False, False])
        binned = bin_numeric("x", values, np.array([True, True, False, False]), FREE)
        assert (binned.bins[-1].count_goods, binned.bins[-1].count_bads) == (0, 1)

    def test_missing_without_evidence_is_neutral(self) -> None:
        values = np.array([1.0, 2.0] * 20 + [np.nan])
        is_bad = np.array([True, False] * 20 + [True])
        assert bin_numeric("x", values, is_bad, TINY).bins[-1].woe == 0.0

    def test_a_special_code_is_not_ordered_with_the_rest(self) -> None:
        values = np.array([-1.0] * 20 + list(np.arange(80.0)))
        is_bad = np.array([True, False] * 10 + [False] * 40 + [True] * 40)
        is_bad[20], is_bad[99] = True, False
        binned = bin_numeric("x", values, is_bad, TINY, specials=(-1.0,))
        special = next(each for each in binned.bins if each.kind is BinKind.SPECIAL)
        assert (special.lower, special.count_goods, special.count_bads) == (-1.0, 10, 10)
        assert special.label == "= -1"
        assert rates(binned) == sorted(rates(binned))

    @pytest.mark.parametrize("value", [3.0, np.nan])
    def test_a_constant_or_unknown_column_has_no_information(self, value: float) -> None:
        binned = bin_numeric("x", np.full(40, value), np.arange(40) % 2 == 0, FREE)
        assert binned.iv == 0.0
        assert [each.woe for each in binned.bins] == [0.0, 0.0]

    def test_text_where_numbers_belong_is_named(self) -> None:
        binned = bin_numeric("late_days", np.arange(10.0), np.arange(10) > 4, FREE)
        with pytest.raises(DataError, match="variable late_days"):
            binned.positions(np.array(["a"], dtype=object))


class TestCategoricalBins:
    LEVELS = np.array(["a"] * 40 + ["b"] * 40 + ["c"] * 2 + ["d"] * 4 + [None] * 4, dtype=object)
    IS_BAD = np.array([True] * 10 + [False] * 30 + [True] * 25 + [False] * 15 + [True, False] * 5)

    def test_rare_levels_become_other_and_a_new_level_follows_them(self) -> None:
        binned = bin_categorical(
            "region", self.LEVELS, self.IS_BAD, BinningOptions(minimum_events=3)
        )
        kinds = [(each.kind, each.levels) for each in binned.bins]
        assert kinds == [
            (BinKind.CATEGORY, ("a",)),
            (BinKind.CATEGORY, ("b",)),
            (BinKind.OTHER, ()),
            (BinKind.MISSING, ()),
        ]
        assert (binned.bins[2].count_goods, binned.bins[2].count_bads) == (3, 3)
        assert binned.bins[2].woe == pytest.approx(math.log(3 / 50 / (3 / 40)))
        new = np.array(["a", "c", "never seen", None, float("nan")], dtype=object)
        assert binned.positions(new).tolist() == [0, 2, 2, 3, 3]
        assert binned.bins[3].woe == 0.0  # two of each: no evidence

    def test_a_new_level_is_neutral_without_evidence_on_rare_ones(self) -> None:
        binned = bin_categorical("region", self.LEVELS[:80], self.IS_BAD[:80], BinningOptions())
        assert binned.woe(np.array(["never seen"])).tolist() == [0.0]

    def test_a_masked_level_is_missing(self) -> None:
        levels = np.ma.masked_array(self.LEVELS, mask=np.arange(90) < 3)
        binned = bin_categorical("region", levels, self.IS_BAD, FREE)
        assert binned.bins[-1].count_bads + binned.bins[-1].count_goods == 3 + 4
        assert binned.positions(levels)[:4].tolist() == [len(binned.bins) - 1] * 3 + [1]

    def test_an_identifier_has_no_information(self) -> None:
        levels = np.array([f"C{at}" for at in range(200)], dtype=object)
        assert bin_categorical("id", levels, np.arange(200) % 3 == 0, BinningOptions()).iv == 0.0


class TestLogistic:
    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 10_000), st.sampled_from([0.1, 1.0, 10.0]))
    def test_the_gradient_vanishes_and_predictions_sum_to_the_events(
        self, seed: int, ridge: float
    ) -> None:
        random = np.random.default_rng(seed)
        features = random.normal(size=(60, 3)) * random.choice([0.1, 1.0, 20.0])
        is_event = random.random(60) < 0.3
        is_event[:2] = [True, False]
        fit = fit_ridge_logistic(features, is_event, ridge)
        assert fit.is_converged
        residual = is_event - fit.probabilities(features)
        assert residual.sum() == pytest.approx(0.0, abs=1e-6)
        assert features.T @ residual == pytest.approx(ridge * fit.coefficients, abs=1e-6)

    def test_recovers_the_parameters_within_their_standard_errors(self) -> None:
        random = np.random.default_rng(3)
        truth = np.array([-2.0, 0.8, -0.5, 0.0])
        features = random.normal(size=(40_000, 3))
        is_event = random.random(40_000) < sigmoid(truth[0] + features @ truth[1:])
        fit = fit_ridge_logistic(features, is_event, 1e-6)
        found = np.array([fit.intercept, *fit.coefficients])
        assert (np.abs(found - truth) < 3.0 * fit.standard_errors).all()
        assert (fit.standard_errors < 0.03).all()

    def test_standard_error_of_a_single_share(self) -> None:
        # the log odds of k of n have the variance 1 / k + 1 / (n - k)
        fit = fit_ridge_logistic(np.empty((100, 0)), np.arange(100) < 20, 0.0)
        assert fit.intercept == pytest.approx(math.log(20 / 80))
        assert fit.standard_errors[0] == pytest.approx(math.sqrt(1 / 20 + 1 / 80))

    def test_separable_data_need_the_ridge(self) -> None:
        features = np.linspace(-1, 1, 40)[:, None]
        is_event = features[:, 0] > 0
        assert not fit_ridge_logistic(features, is_event, 0.0).is_converged
        ridged = fit_ridge_logistic(features, is_event, 1.0)
        assert ridged.is_converged
        assert 0 < ridged.coefficients[0] < 50

    def test_a_separated_corner_and_collinear_columns_need_the_ridge(self) -> None:
        # the last two rows alone are told apart for certain; and two columns say the same
        corner = np.array([[0.0], [0.0], [0.0], [1.0], [-1.0]])
        is_event = np.array([False, False, True, True, False])
        twice = np.repeat(np.linspace(-1, 1, 40)[:, None], 2, axis=1)
        for features, outcome in ((corner, is_event), (twice, np.arange(40) % 3 == 0)):
            assert not fit_ridge_logistic(features, outcome, 0.0).is_converged
            assert fit_ridge_logistic(features, outcome, 0.1).is_converged

    def test_one_class_does_not_converge(self) -> None:
        assert not fit_ridge_logistic(np.ones((50, 1)), np.zeros(50, dtype=bool), 1.0).is_converged

    def test_huge_features_do_not_overflow(self) -> None:
        features = np.linspace(-1e6, 1e6, 50)[:, None]
        is_event = (np.arange(50) % 3 == 0) | (np.arange(50) > 40)
        assert fit_ridge_logistic(features, is_event, 1.0).is_converged
        assert sigmoid(np.array([-1e308, 0.0, 1e308])).tolist() == [0.0, 0.5, 1.0]

    @given(st.lists(st.floats(-20, 20), min_size=1, max_size=20), st.floats(0.001, 0.999))
    def test_the_shifted_intercept_meets_the_rate(self, log_odds: list[float], rate: float) -> None:
        numbers = np.array(log_odds)
        shift = calibrate_intercept(numbers, rate)
        assert sigmoid(numbers + shift).mean() == pytest.approx(rate, abs=1e-9)


class TestScale:
    def test_known_figures(self) -> None:
        scale = PointsScale(pdo=20, base_score=600, base_odds=50)
        assert scale.factor == pytest.approx(28.8539, abs=5e-5)
        assert scale.offset == pytest.approx(487.1229, abs=5e-5)
        assert scale.probability(560) == pytest.approx(0.07407, abs=5e-6)
        assert scale.probability(600) == pytest.approx(1 / 51)
        assert scale.probability(620) == pytest.approx(1 / 101)

    @given(st.floats(1e-6, 1 - 1e-6))
    def test_score_and_probability_are_inverse(self, probability: float) -> None:
        scale = PointsScale()
        assert scale.probability(scale.score(probability)) == pytest.approx(probability)

    def test_extreme_scores_do_not_overflow(self) -> None:
        assert PointsScale().probability(1e9) == 0.0
        assert PointsScale().probability(-1e9) == 1.0

    @pytest.mark.parametrize("wrong", [{"pdo": 0.0}, {"base_odds": -1.0}, {"base_score": math.inf}])
    def test_a_scale_that_is_none_is_refused(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ConfigurationError):
            PointsScale(**wrong)


class TestFit:
    def test_finds_the_variables_that_matter(self, fitted: FitResult) -> None:
        assert fitted.fit_status is FitStatus.OK
        assert outcomes(fitted) == {
            "late_days": VariableOutcome.SELECTED,
            "tenure_months": VariableOutcome.SELECTED,
            "region": VariableOutcome.SELECTED,
            "noise": VariableOutcome.LOW_IV,
        }

    def test_ranks_new_customers_nearly_as_well_as_the_true_model(self, card: Scorecard) -> None:
        columns, default = customers(20_000, seed=99)
        truth = 0.04 * columns["late_days"] - 0.015 * columns["tenure_months"]
        truth = truth + np.where(columns["region"] == "west", 0.8, 0.0)
        known = np.isfinite(truth)
        probability = card.score(columns).probability
        best = model_quality.auc(default[known], truth[known])
        assert best - model_quality.auc(default[known], probability[known]) < 0.02

    def test_expected_defaults_are_the_observed_ones(
        self, card: Scorecard, book: tuple[Columns, npt.NDArray[np.bool_]]
    ) -> None:
        # points are rounded, so the sum is near and not equal
        expected = card.score(book[0]).probability.sum()
        assert expected == pytest.approx(book[1].sum(), rel=0.02)

    def test_every_coefficient_is_negative_and_known(self, card: Scorecard) -> None:
        for variable in card.variables:
            assert variable.coefficient < 0
            assert 0 < variable.standard_error < abs(variable.coefficient)

    def test_is_deterministic_whatever_the_order(
        self, card: Scorecard, book: tuple[Columns, npt.NDArray[np.bool_]]
    ) -> None:
        columns, default = book
        order = np.random.default_rng(1).permutation(len(default))
        turned = dict(reversed(list(rows_of(columns, order).items())))
        again = fit_scorecard(turned, default[order]).scorecard
        assert again is not None
        assert again.to_json() == card.to_json()

    def test_calibrates_to_the_long_run_rate(
        self, book: tuple[Columns, npt.NDArray[np.bool_]]
    ) -> None:
        result = fit_scorecard(*book, ScorecardOptions(long_run_default_rate=0.03))
        assert result.scorecard is not None
        assert result.scorecard.score(book[0]).probability.mean() == pytest.approx(0.03, rel=0.03)

    def test_of_two_copies_one_is_left_out(
        self, book: tuple[Columns, npt.NDArray[np.bool_]]
    ) -> None:
        columns = {**book[0], "z_copy": book[0]["late_days"] * 2}
        found = outcomes(fit_scorecard(columns, book[1]))
        assert found["late_days"] is VariableOutcome.SELECTED
        assert found["z_copy"] is VariableOutcome.CORRELATED

    def test_a_variable_against_its_own_evidence_is_dropped(self) -> None:
        random = np.random.default_rng(5)
        cause, noise = random.normal(size=(2, 20_000))
        # beside its cause the proxy works the other way round
        proxy = 0.6 * cause + noise
        default = random.random(20_000) < sigmoid(-2 + 1.5 * cause - 0.2 * proxy)
        result = fit_scorecard({"cause": cause, "proxy": proxy}, default)
        assert outcomes(result) == {
            "cause": VariableOutcome.SELECTED,
            "proxy": VariableOutcome.WRONG_SIGN,
        }
        detail = next(each.detail for each in result.variables if each.name == "proxy")
        assert "against its own weight of evidence" in detail

    def test_the_maximum_number_keeps_the_best(
        self, book: tuple[Columns, npt.NDArray[np.bool_]]
    ) -> None:
        found = outcomes(fit_scorecard(*book, ScorecardOptions(maximum_variables=1)))
        assert list(found.values()).count(VariableOutcome.SELECTED) == 1
        assert found["late_days"] is VariableOutcome.SELECTED
        assert found["region"] is VariableOutcome.BEYOND_MAXIMUM

    @pytest.mark.parametrize("value", [False, True])
    def test_one_class_only(self, value: bool) -> None:
        result = fit_scorecard({"x": np.arange(100.0)}, np.full(100, value))
        assert (result.fit_status, result.scorecard) == (FitStatus.TOO_FEW_DEFAULTS, None)
        assert "30 of each are needed" in result.reasons[0].text_en
        assert "各至少需要 30 个" in result.reasons[0].text_zh
        assert outcomes(result) == {"x": VariableOutcome.NOT_FITTED}

    def test_nobody(self) -> None:
        result = fit_scorecard({"x": np.array([])}, np.array([], dtype=bool))
        assert result.fit_status is FitStatus.TOO_FEW_DEFAULTS

    def test_no_variable_says_anything(self) -> None:
        default = np.arange(200) % 2 == 0
        columns: Columns = {
            "constant": np.ones(200),
            "unknown": np.full(200, np.nan),
            "unnamed": np.full(200, None, dtype=object),
        }
        result = fit_scorecard(columns, default)
        assert (result.fit_status, result.scorecard) == (FitStatus.NO_SIGNAL, None)
        assert set(outcomes(result).values()) == {VariableOutcome.LOW_IV}

    def test_separable_data_fit_with_the_ridge_and_fail_without(self) -> None:
        columns: Columns = {"x": np.arange(200.0)}
        default = columns["x"] >= 100
        options = ScorecardOptions(binning=FREE, maximum_correlation=1.0)
        ridged = fit_scorecard(columns, default, options)
        assert ridged.scorecard is not None
        scores = ridged.scorecard.score(columns)
        assert model_quality.auc(default, scores.probability) == 1.0
        bare = fit_scorecard(columns, default, replace(options, ridge=0.0))
        assert (bare.fit_status, bare.scorecard) == (FitStatus.FAILED, None)
        assert "did not converge" in bare.reasons[0].text_en
        assert "步内未收敛" in bare.reasons[0].text_zh

    def test_huge_infinite_and_unknown_values(
        self, book: tuple[Columns, npt.NDArray[np.bool_]]
    ) -> None:
        columns, default = rows_of(book[0], slice(None)), book[1]
        spoilt = columns["late_days"].copy()
        spoilt[:6] = [1e308, -1e308, np.inf, -np.inf, np.nan, 5e-324]
        result = fit_scorecard({**columns, "late_days": spoilt}, default)
        assert result.scorecard is not None
        scores = result.scorecard.score({**columns, "late_days": spoilt})
        assert np.isfinite(scores.probability).all()
        assert len(set(scores.points[2:5, scores.variables.index("late_days")].tolist())) == 1

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.one_of(st.floats(), st.sampled_from([0.0, 1.0, 2.0])),
                st.sampled_from(["a", "b", "", None]),
                st.booleans(),
            ),
            max_size=60,
        ),
        st.sampled_from([0.0, 1.0]),
        st.sampled_from([FREE, TINY, BinningOptions()]),
    )
    def test_whatever_comes_ends_with_a_status(
        self,
        rows: list[tuple[float, str | None, bool]],
        ridge: float,
        binning: BinningOptions,
    ) -> None:
        columns: Columns = {
            "number": np.array([row[0] for row in rows], dtype=float),
            "level": np.array([row[1] for row in rows], dtype=object),
        }
        default = np.array([row[2] for row in rows], dtype=bool)
        options = ScorecardOptions(binning=binning, minimum_defaults=1, ridge=ridge)
        result = fit_scorecard(columns, default, options)
        assert (result.scorecard is None) == bool(result.reasons)
        if result.scorecard is not None:
            assert result.fit_status is FitStatus.OK
            probability = result.scorecard.score(columns).probability
            assert ((probability > 0) & (probability < 1)).all()
            assert Scorecard.from_json(result.scorecard.to_json()) == result.scorecard

    @pytest.mark.parametrize("wrong", [np.nan, 2.0, None])
    def test_an_unknown_outcome_is_an_error(self, wrong: float | None) -> None:
        default = np.array([0, 1] * 50 + [wrong], dtype=object)
        if wrong is not None:
            default = default.astype(float)
        with pytest.raises(DataError, match="1 of 101 entries"):
            fit_scorecard({"x": np.arange(101.0)}, default)

    def test_a_short_column_is_named(self) -> None:
        with pytest.raises(DataError, match=r"late \(3,\)"):
            fit_scorecard({"late": np.arange(3.0)}, np.array([True, False]))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"minimum_defaults": 0},
            {"maximum_correlation": 0.0},
            {"ridge": -1.0},
            {"long_run_default_rate": 1.0},
        ],
    )
    def test_options_that_contradict_themselves(self, wrong: Mapping[str, Any]) -> None:
        with pytest.raises(ConfigurationError):
            ScorecardOptions(**wrong)
        with pytest.raises(ConfigurationError):
            BinningOptions(minimum_share=0.5)


class TestScoring:
    def test_alone_or_in_a_batch_a_customer_scores_the_same(
        self, card: Scorecard, book: tuple[Columns, npt.NDArray[np.bool_]]
    ) -> None:
        together = card.score(book[0])
        reasons = together.reason_codes()
        for at in range(0, 6_000, 97):
            alone = card.score(rows_of(book[0], slice(at, at + 1)))
            assert alone.score[0] == together.score[at]
            assert alone.probability[0] == together.probability[at]  # to the bit
            assert alone.reason_codes()[0] == reasons[at]

    def test_the_points_table_scores_the_same_in_sql(
        self, book: tuple[Columns, npt.NDArray[np.bool_]]
    ) -> None:
        options = ScorecardOptions(specials={"tenure_months": (0.0, 60.0)})
        card = fit_scorecard(*book, options).scorecard
        assert card is not None
        table = card.points_table()
        assert {row.kind for row in table} == {kind.value for kind in BinKind}
        columns = {name: column[:1_500].copy() for name, column in book[0].items()}
        columns["region"][:3] = "never seen"
        columns["late_days"][:2] = [np.inf, -np.inf]
        given_rows = [
            {
                "customer": at,
                "variable": name,
                "number": value if isinstance(value, float) else None,
                "level": value if isinstance(value, str) else None,
            }
            for name in card.names
            for at, value in enumerate(columns[name].tolist())
        ]
        with duckdb.connect() as connection:
            connection.register("points", pa.Table.from_pylist([asdict(row) for row in table]))
            connection.register("given", pa.Table.from_pylist(given_rows))
            found = connection.execute(
                """
                with fitting as (
                    select given.customer, given.variable, points.points,
                        row_number() over (
                            partition by given.customer, given.variable
                            order by list_position(
                                ['missing', 'special', 'numeric', 'category', 'other'], points.kind
                            )
                        ) as place
                    from given
                    inner join points on points.variable = given.variable and case points.kind
                        when 'missing' then
                            given.level is null and coalesce(not isfinite(given.number), true)
                        when 'special' then given.number = points.lower
                        when 'numeric' then
                            isfinite(given.number)
                            and coalesce(given.number >= points.lower, true)
                            and coalesce(given.number < points.upper, true)
                        when 'category' then given.level = points.level
                        when 'other' then given.level is not null
                    end
                )
                select customer, sum(points), count(*) from fitting where place = 1
                group by customer order by customer
                """
            ).fetchall()
        assert [int(score) for _, score, _ in found] == card.score(columns).score.tolist()
        assert {count for _, _, count in found} == {len(card.variables)}

    def test_points_rise_with_the_evidence(self, card: Scorecard) -> None:
        for variable in card.variables:
            order = np.argsort([each.woe for each in variable.bins.bins], kind="stable")
            assert (np.diff(np.array(variable.points)[order]) >= 0).all()

    @given(st.lists(st.integers(0, 900), min_size=2, max_size=30))
    def test_probability_falls_as_the_score_rises(self, scores: list[int]) -> None:
        one = Scorecard(PointsScale(), 0.0, (), customers_card().population)
        found = one.probabilities(np.array(sorted(set(scores))))
        assert (np.diff(found) < 0).all()

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.floats(), st.floats(), st.sampled_from(["north", "south", "west", "?", None])
            ),
            min_size=1,
            max_size=20,
        )
    )
    def test_reason_codes_sum_to_the_points_lost(
        self, rows: list[tuple[float, float, str | None]]
    ) -> None:
        card = customers_card()
        scores = card.score(
            {
                "late_days": np.array([row[0] for row in rows]),
                "tenure_months": np.array([row[1] for row in rows]),
                "region": np.array([row[2] for row in rows], dtype=object),
            }
        )
        best = sum(variable.best_points for variable in card.variables)
        for score, reasons in zip(scores.score.tolist(), scores.reason_codes(), strict=True):
            lost = [many for _, many in reasons]
            assert sum(lost) == best - score
            assert lost == sorted(lost, reverse=True)
            assert all(many > 0 for many in lost)
        assert all(len(reasons) <= 2 for reasons in scores.reason_codes(2))

    def test_an_absent_variable_is_named(self, card: Scorecard) -> None:
        with pytest.raises(DataError, match="tenure_months"):
            card.score({"late_days": np.array([1.0]), "region": np.array(["west"])})

    def test_columns_of_two_lengths(self, card: Scorecard) -> None:
        columns: Columns = {name: np.array([1.0]) for name in card.names}
        with pytest.raises(DataError, match="differ in length"):
            card.score({**columns, "region": np.array(["west", "north"])})

    def test_nobody_to_score(self, card: Scorecard) -> None:
        scores = card.score({name: np.array([]) for name in card.names})
        assert (len(scores.score), len(scores.probability), scores.reason_codes()) == (0, 0, [])


class TestArtefact:
    def test_is_frozen(self, card: Scorecard) -> None:
        with pytest.raises(FrozenInstanceError):
            card.intercept = 1.0  # type: ignore[misc]

    def test_the_version_is_the_content(self, card: Scorecard) -> None:
        assert len(card.version) == 16
        assert replace(card, intercept=card.intercept).version == card.version
        assert replace(card, intercept=card.intercept + 1e-9).version != card.version

    @settings(max_examples=15, deadline=None)
    @given(st.integers(0, 1_000))
    def test_round_trip(self, seed: int) -> None:
        columns, default = customers(600, seed)
        card = fit_scorecard(columns, default, ScorecardOptions(minimum_defaults=5)).scorecard
        assert card is not None
        again = Scorecard.from_json(card.to_json())
        assert again == card
        assert again.to_json() == card.to_json()
        assert again.version == card.version
        assert again.score(columns).score.tolist() == card.score(columns).score.tolist()

    def test_a_changed_file_is_refused(self, card: Scorecard) -> None:
        content = json.loads(card.to_json())
        content["variables"][0]["points"][0] += 5
        with pytest.raises(ConfigurationError, match="changed after it was written"):
            Scorecard.from_json(json.dumps(content))

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "scale": 3}'])
    def test_what_is_no_scorecard_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="cannot be read"):
            Scorecard.from_json(text)


class TestPromotion:
    LIMITS = PromotionLimits()

    def test_a_sound_challenger_is_promoted(self, card: Scorecard) -> None:
        quality = assess_holdout(card, None, *customers(4_000, seed=99))
        verdict = promotion_verdict(card, None, quality, self.LIMITS)
        assert verdict.is_promoted
        assert [check.code for check in verdict.checks] == [
            CheckCode.ENOUGH_DEFAULTS,
            CheckCode.RANKING,
            CheckCode.CALIBRATION,
            CheckCode.STABILITY,
        ]
        assert quality.gini == pytest.approx(2 * (quality.auc or 0) - 1)
        assert quality.champion_auc is None

    def test_one_worse_than_the_champion_is_not(
        self, card: Scorecard, book: tuple[Columns, npt.NDArray[np.bool_]]
    ) -> None:
        poor = fit_scorecard({"tenure_months": book[0]["tenure_months"]}, book[1]).scorecard
        assert poor is not None
        holdout = customers(4_000, seed=99)
        limits = replace(self.LIMITS, minimum_auc=0.5, maximum_psi=9.0)
        verdict = promotion_verdict(poor, card, assess_holdout(poor, card, *holdout), limits)
        assert not verdict.is_promoted
        assert failed(verdict.checks) == [CheckCode.NOT_WORSE]
        assert "of the champion" in verdict.reasons[0]
        back = promotion_verdict(card, poor, assess_holdout(card, poor, *holdout), limits)
        assert back.is_promoted

    def test_a_champion_is_not_beaten_by_itself_but_not_worse(self, card: Scorecard) -> None:
        quality = assess_holdout(card, card, *customers(4_000, seed=99))
        assert quality.auc_gain == 0.0
        assert promotion_verdict(card, card, quality, self.LIMITS).is_promoted

    @pytest.mark.parametrize(
        ("limits", "code"),
        [
            ({"minimum_auc": 0.95}, CheckCode.RANKING),
            ({"minimum_defaults": 10_000}, CheckCode.ENOUGH_DEFAULTS),
            (
                {"minimum_expected_to_observed": 2.0, "maximum_expected_to_observed": 3.0},
                CheckCode.CALIBRATION,
            ),
            ({"maximum_psi": 0.0}, CheckCode.STABILITY),
        ],
    )
    def test_each_limit_bites(
        self, card: Scorecard, limits: Mapping[str, Any], code: CheckCode
    ) -> None:
        quality = assess_holdout(card, None, *customers(4_000, seed=99))
        verdict = promotion_verdict(card, None, quality, PromotionLimits(**limits))
        assert failed(verdict.checks) == [code]
        assert len(verdict.reasons) == 1

    def test_another_population_shows_in_the_psi(self, card: Scorecard) -> None:
        columns, default = customers(4_000, seed=99)
        columns["late_days"] = columns["late_days"] + 60.0
        assert assess_holdout(card, None, columns, default).psi > 0.25

    def test_the_shift_is_against_the_champions_population(self, card: Scorecard) -> None:
        columns, default = customers(4_000, seed=3)
        columns["late_days"] = columns["late_days"] + 60.0
        later = fit_scorecard(columns, default).scorecard
        assert later is not None
        assert assess_holdout(later, None, columns, default).psi < 0.01
        assert assess_holdout(later, card, columns, default).psi == pytest.approx(
            model_quality.psi(
                card.population.shares,
                card.population.shares_of(later.score(columns).score),
            )
        )
        assert assess_holdout(later, card, columns, default).psi > 0.1

    def test_a_holdout_without_defaults_promotes_nobody(self, card: Scorecard) -> None:
        columns, default = customers(500, seed=99)
        quality = assess_holdout(card, card, columns, np.zeros_like(default))
        assert (quality.auc, quality.expected_to_observed, quality.auc_gain) == (None, None, None)
        verdict = promotion_verdict(card, card, quality, self.LIMITS)
        assert "AUC unknown" in " ".join(verdict.reasons)
        assert CheckCode.NOT_WORSE in failed(verdict.checks)

    def test_figures_of_other_scorecards_are_refused(self, card: Scorecard) -> None:
        quality = assess_holdout(card, None, *customers(500, seed=99))
        with pytest.raises(DataError, match="belong to other scorecards"):
            promotion_verdict(card, card, quality, self.LIMITS)

    def test_limits_that_contradict_themselves(self) -> None:
        with pytest.raises(ConfigurationError):
            PromotionLimits(minimum_expected_to_observed=2.0, maximum_expected_to_observed=1.0)


class TestGermanCredit:
    @pytest.mark.parametrize(
        ("name", "iv"),
        [
            ("status_of_existing_checking_account", 0.6660),
            ("credit_history", 0.2932),
            ("savings_account_and_bonds", 0.1960),
            ("purpose", 0.1692),
            ("property", 0.1126),
            ("present_employment_since", 0.0864),
        ],
    )
    def test_published_information_values(self, name: str, iv: float) -> None:
        columns, default = german_credit()
        assert bin_categorical(name, columns[name], default, FREE).iv == pytest.approx(iv, abs=5e-5)

    def test_auc_over_twenty_random_splits(self) -> None:
        columns, default = german_credit()
        found = []
        for seed in range(20):
            order = np.random.default_rng(seed).permutation(len(default))
            seen, held = order[:700], order[700:]
            card = fit_scorecard(rows_of(columns, seen), default[seen]).scorecard
            assert card is not None
            scores = card.score(rows_of(columns, held))
            found.append(model_quality.auc(default[held], scores.probability))
        assert np.mean(found) == pytest.approx(0.78, abs=0.01)
        assert np.std(found, ddof=1) == pytest.approx(0.025, abs=0.01)


def failed(checks: tuple[Any, ...]) -> list[CheckCode]:
    return [check.code for check in checks if not check.is_passed]


_CARDS: list[Scorecard] = []


def customers_card() -> Scorecard:
    """A scorecard for tests that hypothesis calls many times."""
    if not _CARDS:
        card = fit_scorecard(*customers(6_000)).scorecard
        assert card is not None
        _CARDS.append(card)
    return _CARDS[0]
