"""Ranking, stability and calibration figures against known numbers and brute force."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_marts.credit.model_quality import (
    auc,
    auc_difference,
    auc_standard_error,
    brier,
    calibration_table,
    gini,
    ks,
    psi,
    spiegelhalter_z,
    wilson_interval,
)
from customer_marts.errors import DataError

SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda rows: len({bad for bad, _ in rows}) == 2
)


def split(rows: list[tuple[bool, int]]) -> tuple[list[bool], list[int]]:
    return [bad for bad, _ in rows], [risk for _, risk in rows]


class TestRanking:
    @given(SCORED)
    def test_auc_is_the_share_of_pairs_in_order_ties_half(
        self, rows: list[tuple[bool, int]]
    ) -> None:
        bads = [risk for bad, risk in rows if bad]
        goods = [risk for bad, risk in rows if not bad]
        wins = sum(1.0 if b > g else 0.5 if b == g else 0.0 for b in bads for g in goods)
        assert auc(*split(rows)) == pytest.approx(wins / len(bads) / len(goods))
        assert gini(*split(rows)) == pytest.approx(2 * wins / len(bads) / len(goods) - 1)

    @given(SCORED)
    def test_auc_depends_on_the_order_only(self, rows: list[tuple[bool, int]]) -> None:
        default, risk = split(rows)
        assert auc(default, np.exp(risk)) == pytest.approx(auc(default, risk))
        assert auc(default, np.negative(risk)) == pytest.approx(1 - auc(default, risk))

    @given(SCORED)
    def test_ks_is_the_widest_gap(self, rows: list[tuple[bool, int]]) -> None:
        default, risk = split(rows)
        bads, goods = sum(default), len(default) - sum(default)
        gaps = [
            sum(1 for bad, at in rows if bad and at <= cut) / bads
            - sum(1 for bad, at in rows if not bad and at <= cut) / goods
            for cut in range(7)
        ]
        assert ks(default, risk) == pytest.approx(max(map(abs, gaps)))

    def test_perfect_reversed_and_blind(self) -> None:
        default = [0, 0, 1, 1]
        assert (auc(default, [1, 2, 3, 4]), ks(default, [1, 2, 3, 4])) == (1.0, 1.0)
        assert auc(default, [4, 3, 2, 1]) == 0.0
        assert (auc(default, [7, 7, 7, 7]), ks(default, [7, 7, 7, 7])) == (0.5, 0.0)

    @settings(max_examples=40)
    @given(SCORED.filter(lambda rows: 2 <= sum(bad for bad, _ in rows) <= len(rows) - 2))
    def test_delong_is_the_variance_of_the_placements(self, rows: list[tuple[bool, int]]) -> None:
        bads = [risk for bad, risk in rows if bad]
        goods = [risk for bad, risk in rows if not bad]

        def wins(bad: int, good: int) -> float:
            return 1.0 if bad > good else 0.5 if bad == good else 0.0

        by_bad = [np.mean([wins(bad, good) for good in goods]) for bad in bads]
        by_good = [np.mean([wins(bad, good) for bad in bads]) for good in goods]
        variance = np.var(by_bad, ddof=1) / len(bads) + np.var(by_good, ddof=1) / len(goods)
        assert auc_standard_error(*split(rows)) == pytest.approx(math.sqrt(variance), abs=1e-12)

    def test_the_standard_error_is_what_repeated_samples_show(self) -> None:
        random = np.random.default_rng(2)
        found, errors = [], []
        for _ in range(200):
            default = np.arange(200) < 60
            risk = random.normal(size=200) + default
            found.append(auc(default, risk))
            errors.append(auc_standard_error(default, risk))
        assert np.mean(found) == pytest.approx(0.7602, abs=0.01)  # Phi(1 / sqrt 2)
        assert np.mean(errors) == pytest.approx(np.std(found), rel=0.15)

    def test_a_single_bad_has_no_standard_error(self) -> None:
        assert math.isnan(auc_standard_error([1, 0, 0], [3, 1, 2]))

    def test_two_scores_on_the_same_customers(self) -> None:
        random = np.random.default_rng(4)
        default = np.arange(400) < 100
        one = random.normal(size=400) + default
        same = auc_difference(default, one, one * 2)
        assert (same.difference, same.standard_error) == (0.0, 0.0)
        other = auc_difference(default, one, random.normal(size=400))
        assert other.difference == pytest.approx(other.first - other.second)
        assert other.difference > 3 * other.standard_error > 0


class TestStability:
    def test_known_figure(self) -> None:
        before, after = [0.1, 0.2, 0.4, 0.2, 0.1], [0.15, 0.25, 0.35, 0.15, 0.10]
        assert psi(before, after) == pytest.approx(0.05249, abs=5e-6)
        assert psi(np.multiply(before, 1000), np.multiply(after, 20)) == pytest.approx(
            psi(before, after)
        )

    @given(st.lists(st.integers(1, 100), min_size=1, max_size=10), st.randoms())
    def test_is_symmetric_and_zero_for_the_same(self, counts: list[int], random: Any) -> None:
        other = list(counts)
        random.shuffle(other)
        assert psi(counts, counts) == 0.0
        assert psi(counts, other) >= 0.0
        assert psi(counts, other) == pytest.approx(psi(other, counts))

    def test_an_empty_band_is_finite(self) -> None:
        assert psi([1, 1], [0, 2]) == pytest.approx(
            (1 - 0.5) * math.log(2) + (1e-4 - 0.5) * math.log(2e-4)
        )

    @pytest.mark.parametrize(
        ("before", "after"), [([1, 1], [1]), ([], []), ([0, 0], [1, 1]), ([1, 1], [-1, 3])]
    )
    def test_what_cannot_be_compared(self, before: list[float], after: list[float]) -> None:
        with pytest.raises(DataError, match="cannot be compared"):
            psi(before, after)


class TestCalibration:
    def test_wilson_known_figure(self) -> None:
        assert wilson_interval(80, 100) == pytest.approx((0.7112, 0.8666), abs=5e-5)

    @given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_wilson_holds_the_share(self, part: tuple[int, int]) -> None:
        count, whole = part
        lower, upper = wilson_interval(count, whole)
        assert 0.0 <= lower <= count / whole <= upper <= 1.0
        assert lower < upper

    def test_wilson_of_nothing(self) -> None:
        with pytest.raises(DataError):
            wilson_interval(0, 0)

    def test_brier(self) -> None:
        assert brier([0, 1], [0.2, 0.7]) == pytest.approx((0.04 + 0.09) / 2)
        assert brier([0, 0], [0.0, 0.0]) == 0.0

    def test_table_counts_everybody_once_and_keeps_ties_together(self) -> None:
        probability = np.repeat([0.1, 0.2, 0.9], [70, 20, 10])
        default = np.concatenate([np.arange(70) < 7, np.arange(20) < 4, np.arange(10) < 1])
        table = calibration_table(default, probability)
        assert [(row.count_rows, row.count_defaults) for row in table] == [
            (70, 7),
            (20, 4),
            (10, 1),
        ]
        assert [row.expected_rate for row in table] == pytest.approx([0.1, 0.2, 0.9])
        assert [row.is_within for row in table] == [True, True, False]
        assert (table[0].lower, table[0].upper) == wilson_interval(7, 70)

    def test_true_probabilities_are_within_and_false_ones_are_not(self) -> None:
        random = np.random.default_rng(8)
        probability = random.beta(1, 9, 20_000)
        default = random.random(20_000) < probability
        assert abs(spiegelhalter_z(default, probability)) < 3
        assert sum(row.is_within for row in calibration_table(default, probability)) >= 8
        assert spiegelhalter_z(default, probability / 2) > 10
        assert sum(row.is_within for row in calibration_table(default, probability / 2)) <= 2

    def test_spiegelhalter_without_variance(self) -> None:
        assert spiegelhalter_z([0, 1], [0.0, 1.0]) == 0.0


@pytest.mark.parametrize(
    ("default", "risk", "problem"),
    [
        ([0, 0], [1, 2], "only goods or only bads"),
        ([0, 1], [1, math.nan], "1 entries are unknown"),
        ([0, 2], [1, 2], "1 entries are unknown"),
        ([0, 1], [1], "shapes"),
        ([], [], "shapes"),
    ],
)
def test_what_cannot_be_measured(default: list[int], risk: list[float], problem: str) -> None:
    for figure in (auc, ks, gini, auc_standard_error):
        with pytest.raises(DataError, match=problem):
            figure(default, risk)
