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
