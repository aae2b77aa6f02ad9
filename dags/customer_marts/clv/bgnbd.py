"""BG/NBD: irregular buyers who may leave after any repeat purchase.

Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2).
"""

from __future__ import annotations

from dataclasses import dataclass

from customer_marts.clv.books import Book
from customer_marts.clv.coin import CoinModel, fit_coin_model
from customer_marts.clv.dropout import Rule
from customer_marts.clv.fitting import Fit, known_model


@known_model
@dataclass(frozen=True)
class BgNbd(CoinModel):
    """Beta-geometric / negative binomial. A one-time buyer is alive for certain, by assumption."""

    @property
    def rule(self) -> Rule:
        return Rule(k=1, first=0)


def fit_bgnbd(book: Book, start: BgNbd | None = None) -> Fit[BgNbd]:
    """Maximum likelihood on a book; ``start``: yesterday's parameters, to begin from."""
    return fit_coin_model(BgNbd(1.0, 1.0, 1.0, 1.0), book, start)
