"""Roll rates, provisions, expected loss and grades."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_marts.credit.provisions import MasterScale, expected_loss, provisions
from customer_marts.credit.roll_rates import (
    absorption,
    count_transitions,
    estimate_transitions,
    expected_amount,
    loss_rates,
)
from customer_marts.errors import ConfigurationError, DataError

TRANSIENT = np.array([[0.25, 0.25], [0.05, 0.25]])
ABSORBING = np.array([[0.5, 0.0], [0.5, 0.2]])
THOUSAND = Decimal(1000)
SCALE = MasterScale(("AAA", "AA", "A", "B", "C", "D"), (0.005, 0.01, 0.03, 0.08, 0.2))


class TestAbsorption:
    def test_known_figures(self) -> None:
        ends = absorption(TRANSIENT, ABSORBING)
        assert ends.shares[:, 1] == pytest.approx([0.09091, 0.27273], abs=5e-6)
        lost = expected_amount([40_000, 50_000], ends.shares[:, 1])
        assert lost == pytest.approx(17_272.73, abs=0.005)

    @settings(max_examples=60)
    @given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 3))
    def test_everything_ends_somewhere(self, seed: int, states: int, ends: int) -> None:
        rows = np.random.default_rng(seed).dirichlet(np.ones(states + ends), states)
        found = absorption(rows[:, :states], rows[:, states:])
        assert found.shares.sum(axis=1) == pytest.approx(np.ones(states))
        assert (found.shares >= 0).all()
        # N = I + Q N, and at least the period one starts in
        assert found.visits == pytest.approx(np.eye(states) + rows[:, :states] @ found.visits)
        assert (found.periods >= 1).all()

    def test_agrees_with_walking_the_chain(self) -> None:
        at = np.array([40_000.0, 50_000.0])
        lost = 0.0
        for _ in range(200):
            lost += float(at @ ABSORBING[:, 1])
            at = at @ TRANSIENT
        shares = absorption(TRANSIENT, ABSORBING).shares
        assert lost == pytest.approx(expected_amount([40_000, 50_000], shares[:, 1]))

    def test_the_way_out_may_lead_through_other_states(self) -> None:
        ends = absorption([[0, 1, 0], [0, 0, 1], [0, 0, 0.5]], [[0], [0], [0.5]])
        assert ends.shares.tolist() == [[1.0]] * 3
        assert ends.periods.tolist() == [4.0, 3.0, 2.0]

    @pytest.mark.parametrize(
        ("transient", "absorbing", "problem"),
        [
            ([[0.5]], [[0.4]], "row sums"),
            ([[-0.5]], [[1.5]], "negative"),
            ([[0.5, 0.5]], [[0.5]], "shapes"),
            ([[float("nan")]], [[1.0]], "unknown"),
            ([[0.0, 1.0], [1.0, 0.0]], [[0.0], [0.0]], r"no way out of states \[0, 1\]"),
            ([[1.0, 0.0], [0.0, 0.5]], [[0.0], [0.5]], r"no way out of states \[0\]"),
        ],
    )
    def test_what_is_no_chain(
        self, transient: list[list[float]], absorbing: list[list[float]], problem: str
    ) -> None:
        with pytest.raises(DataError, match=problem):
            absorption(transient, absorbing)


class TestEstimate:
    PRIOR = np.hstack([TRANSIENT, ABSORBING])

    def test_recovers_the_chain_from_many_moves(self) -> None:
        random = np.random.default_rng(6)
        source = random.integers(0, 2, 50_000)
        draws = random.random(50_000)
        target = (draws[:, None] > self.PRIOR.cumsum(axis=1)[source]).sum(axis=1)
        moves = count_transitions(source, target, 2, 4)
        assert moves.sum() == 50_000
        found = estimate_transitions(moves, np.full((2, 4), 0.25), prior_strength=30)
        assert found.transient == pytest.approx(TRANSIENT, abs=0.01)
        assert found.absorbing == pytest.approx(ABSORBING, abs=0.01)
        assert (found.credibility > 0.99).all()

    def test_a_thin_row_leans_on_the_prior(self) -> None:
        found = estimate_transitions([[0, 0, 10, 0], [0, 0, 0, 0]], self.PRIOR, prior_strength=30)
        assert found.credibility.tolist() == [0.25, 0.0]
        assert found.absorbing[0] == pytest.approx([0.25 + 0.75 * 0.5, 0.0])
        assert found.transient[1].tolist() == TRANSIENT[1].tolist()
        absorption(found.transient, found.absorbing)

    def test_amounts_set_the_shares_and_counts_the_evidence(self) -> None:
        amounts = count_transitions([0, 0, 1], [2, 3, 2], 2, 4, weights=[900_000, 100_000, 5])
        found = estimate_transitions(amounts, self.PRIOR, prior_strength=2, counts=[2, 1])
        assert found.credibility == pytest.approx([1 / 2, 1 / 3])
        assert found.absorbing[0] == pytest.approx([0.5 * 0.9 + 0.5 * 0.5, 0.5 * 0.1])

    @given(st.lists(st.integers(0, 50), min_size=8, max_size=8), st.floats(0, 1000))
    def test_rows_always_sum_to_one(self, counts: list[int], strength: float) -> None:
        found = estimate_transitions(np.reshape(counts, (2, 4)), self.PRIOR, strength)
        sums = found.transient.sum(axis=1) + found.absorbing.sum(axis=1)
        assert sums == pytest.approx([1.0, 1.0])

    def test_what_is_no_move(self) -> None:
        with pytest.raises(DataError, match="not moves"):
            count_transitions([0, 2], [0, 1], 2, 4)
        with pytest.raises(DataError, match="do not fit"):
            estimate_transitions([[1, 2]], self.PRIOR, 1)
        with pytest.raises(DataError, match="negative"):
            estimate_transitions(-self.PRIOR, self.PRIOR, 1)
        with pytest.raises(DataError, match="row sums"):
            estimate_transitions(self.PRIOR, self.PRIOR / 2, 1)


class TestProvisions:
    def test_rates_from_what_entered_and_known_total(self) -> None:
        rates = loss_rates([1000, 500, 230, 80, 20], [20] * 5)
        assert rates == pytest.approx([0.02, 0.04, 0.08696, 0.25, 1.0], abs=5e-6)
        balances = [each * THOUSAND for each in map(Decimal, (300, 140, 60, 23, 5))]
        found = provisions(balances, rates.tolist())
        assert sum(found) == Decimal("27567.39")
        assert found[2] == Decimal("5217.39")

    def test_ifrs_9_illustrative_example_12(self) -> None:
        balances = [each * THOUSAND for each in map(Decimal, (15_000, 7_500, 4_000, 2_500, 1_000))]
        found = provisions(balances, [0.003, 0.016, 0.036, 0.066, 0.106])
        assert found == tuple(each * THOUSAND for each in map(Decimal, (45, 120, 144, 165, 106)))
        assert sum(found) == 580 * THOUSAND

    def test_half_a_cent_is_provided_for(self) -> None:
        assert provisions([Decimal("0.50")], [0.01]) == (Decimal("0.01"),)

    @pytest.mark.parametrize(
        ("balances", "rates"),
        [
            ([Decimal(1)], []),
            ([Decimal(-1)], [0.5]),
            ([Decimal(1)], [1.5]),
            ([Decimal(1)], [float("nan")]),
            ([Decimal("NaN")], [0.5]),
        ],
    )
    def test_what_is_no_matrix(self, balances: list[Decimal], rates: list[float]) -> None:
        with pytest.raises(DataError, match="balance and a loss rate"):
            provisions(balances, rates)

    def test_an_empty_bucket_has_no_loss_rate(self) -> None:
        assert np.isnan(loss_rates([100, 0], [5, 0])).tolist() == [False, True]
        with pytest.raises(DataError, match="More was lost"):
            loss_rates([100], [101])


class TestExpectedLoss:
    def test_known_figure(self) -> None:
        assert float(expected_loss(0.02, 0.45, 100_000)) == pytest.approx(900.0)

    def test_unknown_stays_unknown(self) -> None:
        found = expected_loss([0.1, np.nan], 0.5, [100, 100])
        assert found[0] == 5.0
        assert np.isnan(found[1])

    @pytest.mark.parametrize("wrong", [(1.1, 0.5, 1), (0.1, -0.5, 1), (0.1, 0.5, -1)])
    def test_what_is_no_rate(self, wrong: tuple[float, float, float]) -> None:
        with pytest.raises(DataError):
            expected_loss(*wrong)


class TestMasterScale:
    def test_a_bound_is_the_next_grade(self) -> None:
        found = SCALE.grade([0.0, 0.0049, 0.005, 0.03, 0.2, 1.0, np.nan])
        assert found == ("AAA", "AAA", "AA", "B", "D", "D", None)

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
    def test_grades_fall_as_the_probability_rises(self, chances: list[float]) -> None:
        ranks = [SCALE.grades.index(grade) for grade in SCALE.grade(sorted(chances)) if grade]
        assert ranks == sorted(ranks)

    def test_a_percentage_is_refused(self) -> None:
        with pytest.raises(DataError, match="1 of 2"):
            SCALE.grade([0.5, 7.4])

    @pytest.mark.parametrize(
        ("grades", "bounds"),
        [
            (("A", "B"), ()),
            (("A", "A"), (0.1,)),
            (("A", "B", "C"), (0.2, 0.1)),
            (("A", "B"), (1.0,)),
        ],
    )
    def test_what_is_no_scale(self, grades: tuple[str, ...], bounds: tuple[float, ...]) -> None:
        with pytest.raises(ConfigurationError):
            MasterScale(grades, bounds)
