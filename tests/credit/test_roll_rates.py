"""Roll rates: where balances end, and what is known of it from few moves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_marts.credit.roll_rates import absorption, estimate_transitions
from customer_marts.errors import DataError

TRANSIENT = np.array([[0.25, 0.25], [0.05, 0.25]])
ABSORBING = np.array([[0.5, 0.0], [0.5, 0.2]])
BALANCES = np.array([40_000.0, 50_000.0])


class TestAbsorption:
    def test_known_figures(self) -> None:
        ends = absorption(TRANSIENT, ABSORBING)
        assert ends.shares[:, 1] == pytest.approx([0.09091, 0.27273], abs=5e-6)
        assert BALANCES @ ends.shares[:, 1] == pytest.approx(17_272.73, abs=0.005)

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
        at = BALANCES
        lost = 0.0
        for _ in range(200):
            lost += float(at @ ABSORBING[:, 1])
            at = at @ TRANSIENT
        shares = absorption(TRANSIENT, ABSORBING).shares
        assert lost == pytest.approx(BALANCES @ shares[:, 1])

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
        moves = np.bincount(source * 4 + target, minlength=8).reshape(2, 4)
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
        amounts = [[0, 0, 900_000, 100_000], [0, 0, 5, 0]]
        found = estimate_transitions(amounts, self.PRIOR, prior_strength=2, counts=[2, 1])
        assert found.credibility == pytest.approx([1 / 2, 1 / 3])
        assert found.absorbing[0] == pytest.approx([0.5 * 0.9 + 0.5 * 0.5, 0.5 * 0.1])

    @given(st.lists(st.integers(0, 50), min_size=8, max_size=8), st.floats(0, 1000))
    def test_rows_always_sum_to_one(self, counts: list[int], strength: float) -> None:
        found = estimate_transitions(np.reshape(counts, (2, 4)), self.PRIOR, strength)
        sums = found.transient.sum(axis=1) + found.absorbing.sum(axis=1)
        assert sums == pytest.approx([1.0, 1.0])

    def test_what_is_no_move(self) -> None:
        with pytest.raises(DataError, match="do not fit"):
            estimate_transitions([[1, 2]], self.PRIOR, 1)
        with pytest.raises(DataError, match="negative"):
            estimate_transitions(-self.PRIOR, self.PRIOR, 1)
        with pytest.raises(DataError, match="row sums"):
            estimate_transitions(self.PRIOR, self.PRIOR / 2, 1)
