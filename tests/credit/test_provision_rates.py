"""Loss rates of provisions: which moves count, how much, and what holds without them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_marts.credit.provision_rates import (
    Cell,
    Evidence,
    Move,
    bucket_loss_rates,
    loss_rate_table,
    rates_of_month,
)
from customer_marts.errors import ConfigurationError, DataError

# FORMULAS: Q = [[.25, .25], [.05, .25]], R = [[.5, 0], [.5, .2]]; columns settled, lost at the end
KNOWN = np.array([[0.25, 0.25, 0.5, 0.0], [0.05, 0.25, 0.5, 0.2]]) * 1000
GIVEN = [0.02, 0.3]
EVIDENCE = Evidence(min_moves=30, prior_moves=30)
JANUARY = date(2026, 1, 1)


def cell(group: str, bucket: str, order: int, rate: float, *, is_lost: bool = False) -> Cell:
    return Cell(JANUARY, group, bucket, order, is_lost, rate, 30, 30.0)


CELLS = [
    cell("trade", "late", 2, 0.3),
    cell("trade", "not_due", 1, 0.02),
    cell("trade", "lost_1", 3, 0.8, is_lost=True),
    cell("trade", "lost_2", 4, 1.0, is_lost=True),
]


def move(from_bucket: str, to_state: str, amount: int, count: int, group: str = "trade") -> Move:
    return Move(JANUARY, group, from_bucket, to_state, Decimal(amount), count)


class TestBucketLossRates:
    def test_known_figures(self) -> None:
        rates = bucket_loss_rates([KNOWN], [[500, 90]], [GIVEN], 1.0, EVIDENCE)
        assert rates.loss_rates[0] == pytest.approx([0.09091, 0.27273], abs=5e-6)
        assert rates.basis.tolist() == [["own_roll_rates", "own_roll_rates"]]

    def test_what_is_lost_of_a_lost_balance_scales_the_rates(self) -> None:
        rates = bucket_loss_rates([KNOWN], [[500, 90]], [GIVEN], 0.5, EVIDENCE)
        assert rates.loss_rates[0] == pytest.approx([0.045455, 0.136364], abs=5e-6)

    def test_without_enough_moves_the_given_rates_come_out_as_they_went_in(self) -> None:
        rates = bucket_loss_rates([KNOWN], [[29, 29]], [GIVEN], 0.8, EVIDENCE)
        assert rates.loss_rates[0] == pytest.approx(GIVEN)
        assert rates.basis.tolist() == [["seed_rates", "seed_rates"]]
        assert rates.credibility.tolist() == [[0.0, 0.0]]

    def test_a_thick_bucket_before_a_thin_one_loses_what_the_thin_one_is_given(self) -> None:
        rates = bucket_loss_rates([KNOWN], [[500, 5]], [GIVEN], 1.0, EVIDENCE)
        # x = .25 x + .25 * .3
        assert rates.loss_rates[0] == pytest.approx([0.1, 0.3])
        assert rates.basis.tolist() == [["own_roll_rates", "seed_rates"]]

    def test_a_thin_group_has_the_books_rates_and_a_thicker_one_leans_on_them(self) -> None:
        nothing_lost = np.array([[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
        amounts = [KNOWN, nothing_lost, nothing_lost]
        rates = bucket_loss_rates(
            amounts, [[5000, 5000], [30, 30], [29, 0]], [GIVEN] * 3, 1.0, EVIDENCE
        )
        own, leaning, thin = rates.loss_rates
        assert rates.basis[2].tolist() == ["book_roll_rates"] * 2
        assert rates.credibility[:, 1] == pytest.approx([5000 / 5030, 0.5, 0.0])
        assert thin == pytest.approx(own, rel=0.02)
        assert 0.3 * thin[1] < leaning[1] < 0.6 * thin[1]

    def test_a_balance_that_never_ended_has_the_given_rate(self) -> None:
        stuck = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
        rates = bucket_loss_rates([stuck], [[100, 100]], [GIVEN], 1.0, EVIDENCE)
        assert rates.loss_rates[0] == pytest.approx(GIVEN)
        assert rates.basis.tolist() == [["seed_rates", "seed_rates"]]

    def test_nothing_ever_lost_is_a_rate_of_zero(self) -> None:
        paid = np.array([[0.5, 0.0, 0.5, 0.0], [0.0, 0.5, 0.5, 0.0]])
        rates = bucket_loss_rates([paid], [[100, 100]], [GIVEN], 1.0, EVIDENCE)
        assert rates.loss_rates.tolist() == [[0.0, 0.0]]

    @settings(max_examples=80, deadline=None)
    @given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 5))
    def test_rates_are_shares_of_what_is_lost_whatever_moved(
        self, seed: int, groups: int, buckets: int
    ) -> None:
        random = np.random.default_rng(seed)
        amounts = random.gamma(0.2, 1e6, (groups, buckets, buckets + 2))
        amounts *= random.random(amounts.shape) < 0.5
        counts = random.integers(0, 80, (groups, buckets))
        rates = bucket_loss_rates(
            amounts, counts, random.random((groups, buckets)) * 0.7, 0.7, EVIDENCE
        )
        assert ((rates.loss_rates >= 0) & (rates.loss_rates <= 0.7 + 1e-12)).all()
        assert ((rates.credibility > 0) == (rates.basis == "own_roll_rates")).all() or (
            # many moves of no amount are no shares
            (amounts.sum(axis=2) == 0).any()
        )

    @pytest.mark.parametrize(
        ("amounts", "given_rates", "lost_rate", "problem"),
        [
            ([[1, 2, 3]], [GIVEN], 1.0, "do not fit together"),
            ([KNOWN], [[0.02]], 1.0, "given loss rates"),
            ([KNOWN], [[0.02, 0.9]], 0.8, "given loss rates"),
            ([KNOWN], [GIVEN], 0.0, "given loss rates"),
            ([-KNOWN], [GIVEN], 1.0, "negative"),
        ],
    )
    def test_what_does_not_fit_is_refused(
        self, amounts: list[object], given_rates: list[object], lost_rate: float, problem: str
    ) -> None:
        with pytest.raises(DataError, match=problem):
            bucket_loss_rates(amounts, [[500, 90]], given_rates, lost_rate, EVIDENCE)


class TestRatesOfMonth:
    def test_moves_are_summed_and_lost_buckets_keep_their_rates(self) -> None:
        moves = [
            move("not_due", "settled", 60, 50),
            move("not_due", "late", 40, 50),
            move("late", "settled", 50, 40),
            move("late", "lost", 30, 40),
            move("late", "lost", 20, 0),
            # known to nobody: another ladder's bucket, another group, what was lost before
            move("late", "121_150", 1000, 99),
            move("121_150", "late", 1000, 99),
            move("late", "settled", 1000, 99, group="gone"),
            move("lost_1", "settled", 1000, 99),
        ]
        rates = {rate.bucket_code: rate for rate in rates_of_month(CELLS, moves)}
        assert rates["late"].historical_loss_rate == pytest.approx(0.5 * 0.8)
        assert rates["not_due"].historical_loss_rate == pytest.approx(0.4 * 0.5 * 0.8)
        assert (rates["late"].count_moves, rates["not_due"].count_moves) == (80, 100)
        assert rates["lost_1"].historical_loss_rate == 0.8
        assert rates["lost_2"].historical_loss_rate == 1.0
        assert (rates["lost_2"].rate_basis, rates["lost_2"].count_moves) == ("lost", None)

    @pytest.mark.parametrize(
        "cells",
        [
            [replace(each, is_lost=False) for each in CELLS],
            [replace(each, is_lost=True) for each in CELLS],
            [replace(each, is_lost=each.bucket_code == "late") for each in CELLS],
        ],
    )
    def test_the_last_buckets_and_no_others_count_as_lost(self, cells: list[Cell]) -> None:
        with pytest.raises(ConfigurationError, match="do not end in lost ones"):
            rates_of_month(cells, [])


def test_a_table_has_a_rate_for_every_cell_of_every_month() -> None:
    february = date(2026, 2, 1)
    cells = [*CELLS, *(replace(each, month_on=february) for each in CELLS)]
    moves = [replace(move("late", "settled", 50, 40), month_on=february)]
    table = loss_rate_table(
        pa.Table.from_pylist([{**vars_of(each), "other": 1} for each in cells]),
        pa.Table.from_pylist([vars_of(each) for each in moves]),
    )
    late = {
        row["month_on"]: row["historical_loss_rate"]
        for row in table.to_pylist()
        if row["bucket_code"] == "late"
    }
    assert table.num_rows == len(cells)
    assert late == {JANUARY: pytest.approx(0.3), february: 0.0}


def vars_of(row: Cell | Move) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__slots__}


def test_no_cell_is_no_rate() -> None:
    cells = pa.Table.from_pylist([vars_of(each) for each in CELLS])
    moves = pa.Table.from_pylist([vars_of(move("late", "settled", 1, 1))])
    assert loss_rate_table(cells.slice(0, 0), moves.slice(0, 0)).num_rows == 0
