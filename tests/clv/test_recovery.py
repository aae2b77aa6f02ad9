"""Fits find the parameters that simulated books were made with, and forecasts what they then do."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from customer_marts.clv.bgnbd import BgNbd, fit_bgnbd
from customer_marts.clv.books import Book
from customer_marts.clv.fitting import Fit, FitStatus
from customer_marts.clv.gammagamma import fit_gammagamma
from customer_marts.clv.mbgcnbd import MbgCnbdK, fit_mbgcnbd, fit_mbgcnbd_best, fit_mbgnbd
from customer_marts.clv.paretonbd import fit_paretonbd
from customer_marts.clv.sbg import fit_sbg_cohort
from tests.clv.simulated import coin_book, pareto_book


def within_four_errors(fit: Fit[object], **truth: float) -> None:
    for name, value in truth.items():
        off = np.log(getattr(fit.model, name) / value)
        assert abs(off) < 4 * fit.log_errors[name], name


def test_spot_buyers() -> None:
    truth = {"r": 0.8, "alpha": 40.0, "a": 0.8, "b": 3.0}
    fit = fit_bgnbd(coin_book(8_000, k=1, first=0, **truth))
    assert fit.status is FitStatus.OK
    within_four_errors(fit, **truth)
    fit = fit_mbgnbd(coin_book(8_000, k=1, **truth))
    within_four_errors(fit, **truth)


def test_contract_buyers_are_found_regular() -> None:
    truth = {"r": 3.0, "alpha": 12.0, "a": 0.6, "b": 6.0}
    fit = fit_mbgcnbd_best(coin_book(1_500, k=8, **truth))
    assert fit.model.k == 8
    assert fit.status is FitStatus.OK
    within_four_errors(fit, **truth)


def test_a_mixed_book_lies_between_and_the_segments_apart_fit_better() -> None:
    contract = coin_book(600, k=8, r=3.0, alpha=12.0, a=0.6, b=6.0)
    spot = coin_book(600, k=1, r=0.8, alpha=40.0, a=0.8, b=3.0)
    mixed = Book.of(
        **{
            field.name: np.concatenate([getattr(contract, field.name), getattr(spot, field.name)])
            for field in fields(Book)
        }
    )
    together = fit_mbgcnbd_best(mixed)
    apart = [fit_mbgcnbd_best(book) for book in (contract, spot)]
    assert [fit.model.k for fit in apart] == [8, 1]
    assert 1 < together.model.k < 8
    assert sum(fit.log_likelihood for fit in apart) > together.log_likelihood + 30


def test_paretonbd() -> None:
    truth = {"r": 0.8, "alpha": 40.0, "s": 0.7, "beta": 200.0}
    fit = fit_paretonbd(pareto_book(2_500, **truth))
    assert fit.status is FitStatus.OK
    within_four_errors(fit, **truth)


def test_gammagamma() -> None:
    chance = np.random.default_rng(3)
    x = chance.integers(1, 20, 6_000).astype(float)
    p, q, gamma = 6.0, 4.0, 15_000.0
    rate = chance.gamma(q, 1 / gamma, x.size)
    fit = fit_gammagamma(x, chance.gamma(p * x, 1 / (x * rate)))
    within_four_errors(fit, p=p, q=q, gamma=gamma)


def test_sbg() -> None:
    chance = np.random.default_rng(3)
    lives = chance.geometric(chance.beta(0.7, 3.8, 5_000))
    fit = fit_sbg_cohort([int((lives > t).sum()) for t in range(9)])
    within_four_errors(fit, alpha=0.7, beta=3.8)


@pytest.mark.parametrize(("k", "first"), [(1, 0), (1, 1), (4, 1)])
def test_forecasts_of_a_new_customer_are_the_mean_of_many(k: int, first: int) -> None:
    at = {"r": 1.5, "alpha": 20.0, "a": 0.9, "b": 4.0}
    model = BgNbd(**at) if not first else MbgCnbdK(**at, k=k)
    book = coin_book(60_000, k=k, first=first, oldest=30.000001, **at)  # all 30 days old
    error = book.repeats.std() / np.sqrt(book.size)
    assert book.repeats.mean() == pytest.approx(model.expected_of_new(30)[0], abs=4 * error)
    alone = float((book.repeats == 0).mean())
    assert alone == pytest.approx(model.probability_silent(0, 0, 0, 30)[0], abs=0.01)


@pytest.mark.parametrize("k", [1, 5])
def test_forecasts_given_the_history_add_up(k: int) -> None:
    """The mean forecast over today's histories is the forecast without them."""
    at = {"r": 1.5, "alpha": 20.0, "a": 0.9, "b": 4.0}
    model = MbgCnbdK(**at, k=k)
    book = coin_book(40_000, k=k, oldest=60.0, **at)
    given = model.expected_purchases(book.repeats, book.last_at, book.age, 90)
    blind = model.expected_of_new(book.age + 90) - model.expected_of_new(book.age)
    assert given.mean() == pytest.approx(blind.mean(), abs=4 * given.std() / np.sqrt(book.size))


def test_a_regular_customer_is_missed_sooner() -> None:
    history = (12.0, 360.0, 400.0)  # every 30 days, silent for 40
    at = {"r": 3.0, "a": 0.6, "b": 6.0}
    random = MbgCnbdK(**at, alpha=96.0, k=1).probability_alive(*history)[0]
    regular = MbgCnbdK(**at, alpha=12.0, k=8).probability_alive(*history)[0]
    assert regular < random
    due = MbgCnbdK(**at, alpha=12.0, k=8).expected_purchases(12, 360, 388, 10)[0]
    fresh = MbgCnbdK(**at, alpha=12.0, k=8).expected_purchases(12, 360, 360, 10)[0]
    assert due > 2 * fresh  # nobody expects him the day after he bought


def test_k_given_fits_like_k_found() -> None:
    book = coin_book(800, k=3, r=2.0, alpha=15.0, a=0.6, b=6.0)
    best = fit_mbgcnbd_best(book)
    again = fit_mbgcnbd(book, best.model.k, best.model)
    assert again.log_likelihood == pytest.approx(best.log_likelihood, abs=1e-6)
    assert again.evaluations <= best.evaluations
