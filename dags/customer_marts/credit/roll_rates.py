"""Roll rates: where balances that are late today end, as an absorbing Markov chain.

A state is a bucket of lateness; a transient state can be left, an absorbing one (paid, lost)
cannot. Q (m x m) holds the shares that move between transient states in one period, R (m x r) those
that are absorbed; each row of [Q R] sums to 1. N = (I - Q)^-1 counts the visits before absorption,
and N R is the share that ends in each absorbing state. Source: R. Cyert, H. Davidson and
G. Thompson, Management Science 8 (1962).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from customer_marts.credit.binning import Floats
from customer_marts.errors import DataError

ROW_SUM_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Absorption:
    """visits: N, m x m, periods spent in each state from each start. shares: N R, m x r."""

    visits: Floats
    shares: Floats

    @property
    def periods(self) -> Floats:
        """Expected periods until absorption, by starting state."""
        total: Floats = self.visits.sum(axis=1)
        return total


@dataclass(frozen=True, slots=True)
class Transitions:
    """Estimated Q and R. credibility: by row, the weight of the own data, the rest the prior's."""

    transient: Floats
    absorbing: Floats
    credibility: Floats


def absorption(transient: npt.ArrayLike, absorbing: npt.ArrayLike) -> Absorption:
    """Where each transient state ends.

    Q = [[.25, .25], [.05, .25]], R = [[.5, 0], [.5, .2]] end in the second absorbing state with
    9.091 % and 27.273 %.

    Raises:
        DataError: a share is outside [0, 1], a row does not sum to 1, or a state is never left.
    """
    inner, outer = _matrices(transient, absorbing)
    leads_out = outer.sum(axis=1) > 0
    for _ in range(len(inner)):
        leads_out = leads_out | ((inner > 0) @ leads_out)
    if not leads_out.all():
        raise DataError(
            "A balance could stay late for ever",
            where=f"no way out of states {np.flatnonzero(~leads_out).tolist()}",
            todo="shrink thin rows to a prior matrix, or make the state absorbing",
        )
    identity = np.eye(len(inner))
    visits = np.asarray(np.linalg.solve(identity - inner, identity), dtype=np.float64)
    return Absorption(visits, visits @ outer)


def expected_amount(balances: npt.ArrayLike, shares: npt.ArrayLike) -> float:
    """The amount that is absorbed: balances by state times their share. 40 k and 50 k with the
    shares above lose 17,272.73.
    """
    return float(np.asarray(balances, dtype=np.float64) @ np.asarray(shares, dtype=np.float64))


def count_transitions(
    from_state: npt.ArrayLike,
    to_state: npt.ArrayLike,
    count_from: int,
    count_to: int,
    weights: npt.ArrayLike | None = None,
) -> Floats:
    """A count_from x count_to table of moves (of amounts, with ``weights``), states from 0."""
    source = np.asarray(from_state, dtype=np.int64)
    target = np.asarray(to_state, dtype=np.int64)
    amount = np.ones(len(source)) if weights is None else np.asarray(weights, dtype=np.float64)
    is_sound = (
        source.shape == target.shape == amount.shape
        and bool(((source >= 0) & (source < count_from)).all())
        and bool(((target >= 0) & (target < count_to)).all())
        and bool((np.isfinite(amount) & (amount >= 0)).all())
    )
    if not is_sound:
        raise DataError(
            "Moves between states are not moves",
            where=f"{len(source)} moves among {count_from} x {count_to} states",
            todo="give states from 0 below the counts and weights that are not negative",
        )
    moves: Floats = np.bincount(
        source * count_to + target, weights=amount, minlength=count_from * count_to
    ).astype(np.float64)
    return moves.reshape(count_from, count_to)


def estimate_transitions(
    weights: npt.ArrayLike,
    prior: npt.ArrayLike,
    prior_strength: float,
    counts: npt.ArrayLike | None = None,
) -> Transitions:
    """Q and R from the m x (m + r) ``weights`` of observed moves (counts, or amounts).

    Each row is its own shares times n / (n + prior_strength) plus the ``prior`` row times the
    rest, n being the number of moves out of the state: ``counts`` by row where the weights are
    amounts (money is no evidence by itself), else the row's sum. A row without moves is the prior.

    Raises:
        DataError: shapes differ, a weight is negative, or a prior row does not sum to 1.
    """
    moved, given = np.asarray(weights, dtype=np.float64), np.asarray(prior, dtype=np.float64)
    if moved.ndim != 2 or moved.shape != given.shape or moved.shape[1] <= moved.shape[0]:
        raise DataError(
            "Moves and prior do not fit together",
            where=f"shapes {moved.shape} and {given.shape}",
            todo="give both as m transient states by m transient and r absorbing ones",
        )
    states = len(moved)
    _matrices(given[:, :states], given[:, states:])
    totals = moved.sum(axis=1)
    evidence = totals if counts is None else np.asarray(counts, dtype=np.float64)
    is_sound = (
        evidence.shape == (states,)
        and bool((np.isfinite(moved) & (moved >= 0)).all())
        and bool((np.isfinite(evidence) & (evidence >= 0)).all())
        and prior_strength >= 0
    )
    if not is_sound:
        raise DataError(
            "Moves cannot be negative or unknown",
            where=f"{states} states, prior strength {prior_strength}",
            todo="give weights, counts by row and a prior strength that are not negative",
        )
    credibility = np.zeros(states)
    is_seen = (totals > 0) & (evidence > 0)
    credibility[is_seen] = evidence[is_seen] / (evidence[is_seen] + prior_strength)
    own = moved / np.where(totals > 0, totals, 1.0)[:, None]
    rows = credibility[:, None] * own + (1.0 - credibility)[:, None] * given
    return Transitions(rows[:, :states], rows[:, states:], credibility)


def loss_rates(entered: npt.ArrayLike, finally_unpaid: npt.ArrayLike) -> Floats:
    """The loss rate of each bucket: what was never paid of the balance that entered it.

    NaN for a bucket that nothing entered.
    """
    balance = np.asarray(entered, dtype=np.float64)
    lost = np.asarray(finally_unpaid, dtype=np.float64)
    if balance.shape != lost.shape or not ((lost >= 0) & (lost <= balance)).all():
        raise DataError(
            "More was lost than entered a bucket",
            where=f"entered {balance.tolist()}, never paid {lost.tolist()}",
            todo="give both for the same buckets and the same invoices",
        )
    rates: Floats = np.where(balance > 0, lost / np.where(balance > 0, balance, 1.0), np.nan)
    return rates


def _matrices(transient: npt.ArrayLike, absorbing: npt.ArrayLike) -> tuple[Floats, Floats]:
    inner = np.asarray(transient, dtype=np.float64)
    outer = np.asarray(absorbing, dtype=np.float64)
    if inner.ndim != 2 or outer.ndim != 2 or inner.shape != (len(outer), len(outer)):
        problem = f"shapes {inner.shape} and {outer.shape}"
    elif not (np.isfinite(inner).all() and np.isfinite(outer).all()):
        problem = "a share is unknown"
    elif inner.min(initial=0) < 0 or outer.min(initial=0) < 0:
        problem = "a share is negative"
    else:
        sums = inner.sum(axis=1) + outer.sum(axis=1)
        if (np.abs(sums - 1.0) <= ROW_SUM_TOLERANCE).all():
            return inner, outer
        problem = f"row sums {sums.tolist()}"
    raise DataError(
        "A transition matrix is not one",
        where=problem,
        todo="give m x m and m x r shares whose rows together sum to 1",
    )
