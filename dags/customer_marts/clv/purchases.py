"""What every model of repeat purchases can say about customers, whatever its equations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from customer_marts.clv.books import Floats, as_floats, histories, unique_pairs
from customer_marts.errors import DataError

# Points at which a discounted forecast asks for the expected purchases, besides the horizon's end.
DISCOUNT_NODES = 6


class PurchaseModel(ABC):
    """A fitted model of when a customer buys again and when he is gone for good.

    Every method takes one entry a history (or a group of equal histories) and gives one entry
    back: repeats (x), last_at (t_x), age (T) as in ``Book``, times in the unit the model was
    fitted in. All numbers are expectations under the model's parameters.
    """

    # The parameters that are fitted, in the order of theta = their logarithms.
    names: ClassVar[tuple[str, ...]]

    @property
    def theta(self) -> Floats:
        """The logarithms of the parameters."""
        return np.log([float(getattr(self, name)) for name in self.names])

    @abstractmethod
    def with_theta(self, theta: Floats) -> PurchaseModel:
        """The same model with other parameters."""

    @abstractmethod
    def _log_likelihood(self, repeats: Floats, last_at: Floats, age: Floats) -> Floats:
        """The log of each history's likelihood (less the gaps' constant of MBG/CNBD-k)."""

    @abstractmethod
    def _probability_alive(self, repeats: Floats, last_at: Floats, age: Floats) -> Floats:
        """P(alive at T)."""

    @abstractmethod
    def _expected(
        self, repeats: Floats, last_at: Floats, age: Floats, horizons: Floats, weights: Floats
    ) -> Floats:
        """Sum over the horizons of weight x expected purchases in (T, T + horizon]."""

    @abstractmethod
    def _expected_squares(
        self, repeats: Floats, last_at: Floats, age: Floats, horizon: float
    ) -> Floats:
        """E[Y^2] of the purchases in (T, T + horizon]."""

    @abstractmethod
    def expected_of_new(self, times: npt.ArrayLike) -> Floats:
        """E[X(t)]: expected repeat purchases of a new customer within t of the first one."""

    def log_likelihood(
        self, repeats: npt.ArrayLike, last_at: npt.ArrayLike, age: npt.ArrayLike
    ) -> Floats:
        """The log of each history's likelihood (without the gaps' constant of MBG/CNBD-k)."""
        return self._log_likelihood(*histories(repeats, last_at, age))

    def probability_alive(
        self, repeats: npt.ArrayLike, last_at: npt.ArrayLike, age: npt.ArrayLike
    ) -> Floats:
        """P(alive): the probability that the customer is not gone for good at T."""
        return self._probability_alive(*histories(repeats, last_at, age))

    def probability_silent(
        self, repeats: npt.ArrayLike, last_at: npt.ArrayLike, age: npt.ArrayLike, horizon: float
    ) -> Floats:
        """P(no purchase in (T, T + horizon]), gone or not.

        The likelihood of the history seen to last until T + horizon with no further purchase,
        over the likelihood of the history until T: exact to the rounding of their logarithms, a
        relative error of some 2e-16 times the log-likelihood's size.
        """
        x, last, upto = histories(repeats, last_at, age)
        _check_horizon(horizon)
        later = self._log_likelihood(x, last, upto + horizon)
        return np.exp(np.minimum(later - self._log_likelihood(x, last, upto), 0.0))

    def expected_purchases(
        self, repeats: npt.ArrayLike, last_at: npt.ArrayLike, age: npt.ArrayLike, horizon: float
    ) -> Floats:
        """E[Y(horizon)]: expected purchases in (T, T + horizon] given the history."""
        x, last, upto = histories(repeats, last_at, age)
        _check_horizon(horizon)
        return self._expected(x, last, upto, np.array([horizon]), np.ones(1))

    def expected_squares(
        self, repeats: npt.ArrayLike, last_at: npt.ArrayLike, age: npt.ArrayLike, horizon: float
    ) -> Floats:
        """E[Y(horizon)^2] given the history: with E[Y], how far a customer's number may stray.

        It is the sum over n of (2n - 1) P(Y >= n), and so knows who leaves within the horizon.
        """
        x, last, upto = histories(repeats, last_at, age)
        _check_horizon(horizon)
        return self._expected_squares(x, last, upto, horizon)

    def discounted_purchases(
        self,
        repeats: npt.ArrayLike,
        last_at: npt.ArrayLike,
        age: npt.ArrayLike,
        horizon: float,
        annual_rate: float,
        year: float,
    ) -> Floats:
        """Expected purchases in (T, T + horizon], each discounted from its own time to T.

        A purchase at T + u counts (1 + annual_rate)^(-u / year); year: a year in the model's unit
        of time (365 for days). With F(u) = E[Y(u)], v the discount factor and d its rate, this is
        the integral of v dF = v(h) F(h) + d * integral of v F over (0, h), by Gauss-Legendre.
        """
        x, last, upto = histories(repeats, last_at, age)
        _check_horizon(horizon)
        horizons, weights = discount_weights(horizon, annual_rate, year)
        return self._expected(x, last, upto, horizons, weights)


def discount_weights(horizon: float, annual_rate: float, year: float) -> tuple[Floats, Floats]:
    """Horizons and weights that turn expected purchases into discounted ones."""
    if not (annual_rate > -1 and np.isfinite(annual_rate) and year > 0):
        raise DataError(
            f"an annual discount rate of {annual_rate} with a year of {year} units is none",
            todo="give the rate as a number such as 0.1, and 365 for a model in days",
        )
    force = float(np.log1p(annual_rate)) / year
    if force == 0 or horizon == 0:
        return np.array([horizon]), np.ones(1)
    nodes, shares = np.polynomial.legendre.leggauss(DISCOUNT_NODES)
    at = horizon * (nodes + 1) / 2
    inner = force * np.exp(-force * at) * shares * horizon / 2
    return np.append(at, horizon), np.append(inner, np.exp(-force * horizon))


def _check_horizon(horizon: float) -> None:
    if not (np.isfinite(horizon) and horizon >= 0):
        raise DataError(f"a horizon of {horizon} is no length of time")


def check_times(times: npt.ArrayLike) -> Floats:
    """Times since the first purchase, none negative."""
    array = as_floats(times, "times")
    if (array < 0).any():
        raise DataError("a time before the first purchase", where=f"value {array.min()}")
    return array


__all__ = ["PurchaseModel", "check_times", "discount_weights", "unique_pairs"]
