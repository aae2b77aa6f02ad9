"""Provisions for losses: the ageing matrix, expected loss and the master scale of grades.

Money is exact (Decimal, cents); rates and probabilities are doubles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from customer_marts.credit.binning import Floats
from customer_marts.errors import ConfigurationError, DataError

CENT = Decimal("0.01")


def provisions(balances: Sequence[Decimal], loss_rates: Sequence[float]) -> tuple[Decimal, ...]:
    """The provision of each bucket: its balance times its loss rate, rounded half up to the cent.

    2 / 4 / 8.696 (2 of 23) / 25 / 100 % on 300 / 140 / 60 / 23 / 5 thousand sum to 27,567.39.
    Source: IFRS 9, B5.5.35 (simplified approach, Illustrative Example 12); CAS 22.

    Raises:
        DataError: the numbers of buckets differ, a balance is negative, or a rate is not in [0, 1].
    """
    is_sound = (
        len(balances) == len(loss_rates)
        and all(balance.is_finite() and balance >= 0 for balance in balances)
        and all(0 <= rate <= 1 for rate in loss_rates)
    )
    if not is_sound:
        raise DataError(
            "A provision matrix needs a balance and a loss rate for each bucket",
            where=f"balances {[str(each) for each in balances]}, rates {list(loss_rates)}",
            todo="give balances that are not negative and rates between 0 and 1",
        )
    return tuple(
        (balance * Decimal(repr(float(rate)))).quantize(CENT, ROUND_HALF_UP)
        for balance, rate in zip(balances, loss_rates, strict=True)
    )


def expected_loss(
    probability: npt.ArrayLike, loss_given_default: npt.ArrayLike, exposure: npt.ArrayLike
) -> Floats:
    """PD * LGD * EAD, in the money of the exposure: .02 * .45 * 100,000 = 900.

    NaN where one of them is. Raises DataError where a rate is outside [0, 1] or an exposure below
    0: a net creditor is not exposed, its exposure is 0.
    """
    chance, share, amount = (
        np.asarray(each, dtype=np.float64) for each in (probability, loss_given_default, exposure)
    )
    if (
        ((chance < 0) | (chance > 1)).any()
        or ((share < 0) | (share > 1)).any()
        or (amount < 0).any()
    ):
        raise DataError(
            "An expected loss needs rates in [0, 1] and an exposure that is not negative",
            where="one of PD, LGD, EAD",
            todo="floor exposures at 0 and check the two rates",
        )
    loss: Floats = np.asarray(chance * share * amount, dtype=np.float64)
    return loss


@dataclass(frozen=True, slots=True)
class MasterScale:
    """Grades, the best first, each with the probability of default below which it is given.

    The last grade takes all the rest, so there is one bound fewer than grades.
    """

    grades: tuple[str, ...]
    upper_probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        bounds = self.upper_probabilities
        is_rising = all(low < high for low, high in pairwise(bounds))
        is_sound = (
            len(self.grades) == len(bounds) + 1
            and len(set(self.grades)) == len(self.grades)
            and is_rising
            and all(0 < bound < 1 for bound in bounds)
        )
        if not is_sound:
            raise ConfigurationError(
                "The master scale is not a scale",
                where=repr(self),
                todo="distinct grades, and one rising bound in (0, 1) for each but the last",
            )

    def grade(self, probability: npt.ArrayLike) -> tuple[str | None, ...]:
        """The grade of each probability; None where it is NaN. A bound itself is the next grade.

        Raises:
            DataError: a probability is outside [0, 1].
        """
        chance = np.atleast_1d(np.asarray(probability, dtype=np.float64))
        if ((chance < 0) | (chance > 1)).any():
            raise DataError(
                "A probability of default is outside [0, 1]",
                where=f"{int(((chance < 0) | (chance > 1)).sum())} of {len(chance)}",
                todo="give probabilities, not scores or percentages",
            )
        at = np.searchsorted(np.array(self.upper_probabilities), chance, side="right")
        return tuple(
            None if is_unknown else self.grades[place]
            for place, is_unknown in zip(at.tolist(), np.isnan(chance).tolist(), strict=True)
        )
