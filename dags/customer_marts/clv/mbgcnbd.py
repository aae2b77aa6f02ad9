"""MBG/CNBD-k: regular buyers who may leave after any purchase, the first one too.

Reutterer, Platzer & Schroeder (2021), Leveraging purchase regularity for predicting customer
behavior the easy way, IJRM 38(1); R package BTYDplus. k = 1 is the MBG/NBD of Batislam, Denizel &
Filiztekin (2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from customer_marts.clv.books import Book
from customer_marts.clv.coin import CoinModel, fit_coin_model
from customer_marts.clv.dropout import Rule
from customer_marts.clv.fitting import Fit, known_model
from customer_marts.errors import DataError

HIGHEST_K = 12
# k is chosen on a sample of about this size, of books of more than twice as many groups.
K_SAMPLE_GROUPS = 10_000


@known_model
@dataclass(frozen=True)
class MbgCnbdK(CoinModel):
    """Modified beta-geometric / condensed negative binomial; gaps are Erlang-k.

    alpha belongs to the stages: a live customer buys at a mean rate of about r / (alpha k).
    """

    k: int = 1

    @property
    def rule(self) -> Rule:
        return Rule(k=self.k, first=1)


def fit_mbgnbd(book: Book, start: MbgCnbdK | None = None) -> Fit[MbgCnbdK]:
    """MBG/NBD by maximum likelihood; ``start``: yesterday's parameters, to begin from."""
    return fit_mbgcnbd(book, 1, start)


def fit_mbgcnbd(book: Book, k: int, start: MbgCnbdK | None = None) -> Fit[MbgCnbdK]:
    """MBG/CNBD-k for a given k by maximum likelihood.

    The log-likelihood is comparable between k's only with the book's ``log_gap_sum`` (else NaN
    for k > 1).
    """
    if k < 1 or k != int(k):
        raise DataError(f"k = {k} is no Erlang order: it is a whole number from 1")
    return fit_coin_model(MbgCnbdK(1.0, 1.0, 1.0, 1.0, k), book, start)


def fit_mbgcnbd_best(
    book: Book, start: MbgCnbdK | None = None, highest: int = HIGHEST_K
) -> Fit[MbgCnbdK]:
    """MBG/CNBD-k with the k of 1..highest that has the highest likelihood.

    Every k is tried, each from the one before. In a book of more than 20,000 groups k is chosen on
    a sample of them, and that k is fitted to all. Needs ``log_gap_sum``, unless nobody repeats.
    """
    if not np.isfinite(book.log_gap_sum).all():
        if book.purchases > 0:
            raise DataError(
                "k cannot be chosen without the gaps between purchases",
                todo="give the book log_gap_sum: the sum of ln(gap) of each group's customers",
            )
        return fit_mbgnbd(book, start)
    small = book.sample(K_SAMPLE_GROUPS)
    fits: list[Fit[MbgCnbdK]] = []
    for k in range(1, highest + 1):
        warm = start if start is not None and start.k == k else None
        if warm is None and fits:
            last = fits[-1].model
            # the same mean gap with one stage more
            warm = MbgCnbdK(last.r, last.alpha * last.k / k, last.a, last.b, k)
        fits.append(fit_mbgcnbd(small, k, warm))
    best = max(fits, key=lambda fit: fit.log_likelihood)
    return best if small is book else fit_mbgcnbd(book, best.model.k, best.model)
