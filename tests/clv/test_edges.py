"""Inputs at the edge of what a seller may send: numbers stay finite, in bounds, and in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special

from customer_marts.clv import dropout
from customer_marts.clv.bgnbd import BgNbd, fit_bgnbd
from customer_marts.clv.books import Book
from customer_marts.clv.coin import CoinModel
from customer_marts.clv.fitting import FitStatus
from customer_marts.clv.gammagamma import fit_gammagamma
from customer_marts.clv.mbgcnbd import MbgCnbdK, fit_mbgcnbd, fit_mbgnbd
from customer_marts.clv.paretonbd import ParetoNbd, fit_paretonbd
from customer_marts.clv.purchases import PurchaseModel
from customer_marts.clv.sbg import fit_sbg_cohort
from customer_marts.errors import DataError
from tests.clv.simulated import coin_book

shapes = st.floats(0.02, 50.0)
lives = st.floats(0.5, 2_000.0)


@st.composite
def models(draw: st.DrawFn) -> PurchaseModel:
    """Any shapes; a mean gap of a day to six years, as days are the grain."""
    r, a, b = draw(shapes), draw(shapes), draw(shapes)
    kind = draw(st.sampled_from(["bg", 1, 2, 5, 12, "pareto"]))
    k = kind if isinstance(kind, int) else 1
    alpha = max(0.5, r * draw(st.floats(1.0, 2_000.0)) / k)
    if kind == "bg":
        return BgNbd(r, alpha, a, b)
    return ParetoNbd(r, alpha, a, draw(lives)) if kind == "pareto" else MbgCnbdK(r, alpha, a, b, k)


@st.composite
def histories(draw: st.DrawFn) -> tuple[float, float, float]:
    age = draw(st.integers(0, 3_650))
    repeats = draw(st.integers(0, min(age, 500)))
    last = draw(st.integers(min(repeats, age), age)) if repeats else 0
    return float(repeats), float(last), float(age)


@given(models(), histories(), st.floats(0, 1_825))
@example(BgNbd(0.02, 0.5, 0.02, 0.02), (500.0, 3_650.0, 3_650.0), 365.0)
@example(MbgCnbdK(50.0, 5.0, 0.02, 50.0, 12), (500.0, 500.0, 3_650.0), 1_825.0)
@example(MbgCnbdK(0.02, 5.0, 50.0, 0.02, 12), (0.0, 0.0, 0.0), 1_825.0)
@example(ParetoNbd(50.0, 0.5, 50.0, 2_000.0), (500.0, 500.0, 3_650.0), 365.0)
@example(ParetoNbd(0.02, 2_000.0, 0.02, 0.5), (0.0, 0.0, 3_650.0), 1_825.0)
@example(MbgCnbdK(16.923673295355595, 2.269711392476076, 1.0, 1.0, 12), (117.0, 117.0, 409.0), 59.0)
@settings(max_examples=20, deadline=None)
def test_every_answer_is_finite_in_bounds_and_in_order(
    model: PurchaseModel, history: tuple[float, float, float], horizon: float
) -> None:
    repeats, last, age = history
    likelihood = model.log_likelihood(*history)[0]
    assert np.isfinite(likelihood)
    # a quotient of likelihoods is as exact as their logarithms are
    rounding = 1e-12 + 8 * np.finfo(float).eps * abs(likelihood)
    alive = model.probability_alive(*history)[0]
    assert 0 <= alive <= 1
    silent = model.probability_silent(*history, horizon)[0]
    assert 1 - alive - 1e-9 <= silent <= 1
    assert model.probability_silent(*history, horizon + 30)[0] <= silent + rounding
    expected = model.expected_purchases(*history, horizon)[0]
    assert np.isfinite(expected)
    assert 0 <= expected <= model.expected_purchases(*history, horizon + 30)[0] * (1 + 1e-8)
    # at least one purchase is what is not silence
    assert expected >= (1 - silent) * (1 - 1e-6) - 1e-9
    squares = model.expected_squares(*history, horizon)[0]
    assert np.isfinite(squares)
    assert squares >= max(expected, expected**2) * (1 - 1e-8)
    discounted = model.discounted_purchases(*history, horizon, 0.1, 365)[0]
    assert discounted <= expected * (1 + 1e-9)
    assert discounted >= expected * 1.1 ** (-horizon / 365) * (1 - 1e-6)
    # a longer silence is no sign of life
    assert model.probability_alive(repeats, last, age + 90)[0] <= alive + 1e-12
    new = model.expected_of_new([0.0, horizon, horizon + 30])
    assert new[0] == 0
    assert (np.diff(new) >= -1e-12).all()


def by_hypergeometric(model: BgNbd, x: float, last: float, age: float, t: float) -> float:
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    z = t / (alpha + age + t)
    growth = special.hyp2f1(r + x, b + x, a + b + x - 1, z)
    lost = 1 - ((alpha + age) / (alpha + age + t)) ** (r + x) * growth
    return float((a + b + x - 1) / (a - 1) * lost * model.probability_alive(x, last, age)[0])


@given(
    st.builds(
        BgNbd,
        r=st.floats(0.1, 4),
        alpha=st.floats(5, 500),
        a=st.floats(0.1, 4).filter(lambda a: abs(a - 1) > 0.05),
        b=st.floats(0.6, 8),
    ),
    st.integers(0, 40),
    st.floats(1, 200),
)
@settings(max_examples=60, deadline=None)
def test_the_forecast_is_the_paper_s_hypergeometric_one(
    model: BgNbd, x: int, horizon: float
) -> None:
    last = 100.0 * (x > 0)
    ours = model.expected_purchases(x, last, 150, horizon)[0]
    assert ours == pytest.approx(by_hypergeometric(model, x, last, 150, horizon), rel=1e-7)


def test_a_long_forecast_agrees_with_the_sum_of_its_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (BgNbd(0.24, 4.4, 0.8, 2.4), BgNbd(0.24, 4.4, 1.0, 2.4), MbgCnbdK(2, 9, 3, 9)):
        short = model.expected_purchases([0, 3], [0, 20], [0, 30], 1_825)
        monkeypatch.setattr(dropout, "MANY_STEPS", 10**9)
        assert model.expected_purchases([0, 3], [0, 20], [0, 30], 1_825) == pytest.approx(
            short, rel=1e-5
        )
        monkeypatch.undo()


def test_a_of_one_is_no_hole() -> None:
    values = [
        BgNbd(0.24, 4.4, a, 2.4).expected_purchases(2, 30, 39, 39)[0]
        for a in (1 - 1e-8, 1, 1 + 1e-8)
    ]
    assert np.ptp(values) < 1e-7


def test_nobody_leaves_when_a_is_nearly_nothing() -> None:
    model = MbgCnbdK(0.5, 10.0, 1e-9, 1.0, 1)
    assert model.expected_of_new(30)[0] == pytest.approx(0.5 / 10 * 30, rel=1e-6)


FITS = [
    lambda book: fit_bgnbd(book),
    lambda book: fit_mbgnbd(book),
    lambda book: fit_mbgcnbd(book, 4),
    lambda book: fit_paretonbd(book),
]
NAMES = ["bgnbd", "mbgnbd", "mbgcnbd4", "paretonbd"]


@pytest.mark.parametrize("fit", FITS, ids=NAMES)
@given(st.lists(histories(), min_size=1, max_size=60))
@example([(0.0, 0.0, 3_650.0)] * 60)
@example([(500.0, 3_650.0, 3_650.0)] * 60)
@example([(0.0, 0.0, 0.0)])
@example([(1.0, 1.0, 1.0)])
@settings(max_examples=8, deadline=None)
def test_any_book_can_be_fitted(fit, rows: list[tuple[float, float, float]]) -> None:  # type: ignore[no-untyped-def]
    repeats, last, age = np.array(rows).T
    book = Book.of(repeats, last, age, log_gap_sum=np.zeros(len(rows)))
    found = fit(book)
    assert found.prior is not None  # fewer than 300 customers: said, not silent
    assert found.status is not FitStatus.OK
    assert found.reasons
    assert np.isfinite(found.log_likelihood)
    alive = found.model.probability_alive(repeats, last, age)
    expected = found.model.expected_purchases(repeats, last, age, 365)
    assert ((alive >= 0) & (alive <= 1)).all()
    assert np.isfinite(expected).all()
    assert (expected >= 0).all()


def two_years(customers: int, repeats: int) -> Book:
    every = 700 // max(repeats, 1)
    x = np.full(customers, float(repeats))
    return Book.of(x, x * every, np.full(customers, 710.0) + np.arange(customers) % 7)


@pytest.mark.parametrize("fit", [fit_bgnbd, fit_mbgnbd, fit_paretonbd])
def test_nobody_repeats(fit) -> None:  # type: ignore[no-untyped-def]
    found = fit(two_years(5_000, 0))
    assert found.status is FitStatus.WEAK_DATA
    assert "repeat buyers: 0, 10 are needed" in found.reasons[0].text_en
    assert "仅 0 个重复购买客户" in found.reasons[0].text_zh
    assert found.model.expected_purchases(0, 0, 710, 365)[0] < 0.01


@pytest.mark.parametrize("fit", [fit_bgnbd, fit_mbgnbd, fit_paretonbd])
def test_nobody_leaves(fit) -> None:  # type: ignore[no-untyped-def]
    found = fit(two_years(2_000, 20))
    assert found.status is FitStatus.NO_CHURN
    assert "no evidence that customers leave" in found.reasons[0].text_en
    assert "没有客户流失的证据" in found.reasons[0].text_zh
    history = (20.0, 700.0, 710.0)
    assert found.model.probability_alive(*history)[0] > 0.999
    assert found.model.expected_purchases(*history, 355)[0] == pytest.approx(10, rel=0.05)


def test_some_leave_in_a_small_book() -> None:
    book = coin_book(200, k=1, r=2.0, alpha=40.0, a=1.0, b=4.0)
    found = fit_mbgnbd(book)
    assert found.status is FitStatus.WEAK_DATA
    assert found.prior is not None
    assert "customers: 200, fewer than 300; weak log-normal prior" in found.reasons[0].text_en
    assert "仅 200 个客户,少于 300 个,对 a(中位数 1)" in found.reasons[0].text_zh
    # weak: it hardly moves what the data know
    model: CoinModel = found.model
    assert 0.1 < model.a / (model.a + model.b) < 0.3
    assert fit_mbgnbd(coin_book(301, k=1, r=2.0, alpha=40.0, a=1.0, b=4.0)).prior is None


def test_all_spend_the_same() -> None:
    found = fit_gammagamma(np.arange(1.0, 41.0), np.full(40, 1_000.0))
    assert found.status is not FitStatus.OK
    assert found.model.expected_value([3.0], [1_000.0])[0] == pytest.approx(1_000, rel=0.01)


def test_contracts_nobody_ends() -> None:
    found = fit_sbg_cohort([800, 800, 800, 800])
    assert found.status is FitStatus.NO_CHURN
    assert found.model.retention(4)[0] > 0.999


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (([-1.0], [0.0], [5.0]), "whole number"),
        (([1.5], [2.0], [5.0]), "whole number"),
        (([1.0], [6.0], [5.0]), "between the first and T"),
        (([1.0], [0.0], [5.0]), "the last one is the first"),
        (([0.0], [2.0], [5.0]), "no repeats"),
        (([1.0], [np.nan], [5.0]), "not a finite number"),
        (([1.0, 2.0], [1.0], [5.0]), "one of each"),
        (([], [], []), "no customer"),
    ],
)
def test_histories_that_cannot_be(rows: tuple[list[float], ...], what: str) -> None:
    with pytest.raises(DataError, match=what):
        Book.of(*rows)
    if rows[0] and len(rows[0]) == len(rows[1]):
        with pytest.raises(DataError, match=what):
            BgNbd(1.0, 1.0, 1.0, 1.0).probability_alive(*rows)


def test_a_rate_out_of_reason_is_refused() -> None:
    with pytest.raises(DataError, match="more than 200,000 terms"):
        MbgCnbdK(50.0, 0.001, 0.01, 50.0, 2).expected_purchases(0, 0, 0, 365)


def test_a_horizon_must_be_one() -> None:
    with pytest.raises(DataError, match="horizon"):
        BgNbd(1.0, 1.0, 1.0, 1.0).expected_purchases(1, 1, 2, -1)
    with pytest.raises(DataError, match="discount rate"):
        BgNbd(1.0, 1.0, 1.0, 1.0).discounted_purchases(1, 1, 2, 10, -1, 365)
