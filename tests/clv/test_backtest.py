"""Metrics on hand-made cases, and the verdict on CDNOW."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from scipy import stats

from customer_marts.clv.backtest import (
    Backtest,
    backtest_model,
    calibration_curve,
    cumulative_tracking,
    error_told,
    metrics,
    naive_rate,
    naive_silence,
    promotion_verdict,
    rolling_origins,
)
from customer_marts.clv.bgnbd import BgNbd, fit_bgnbd
from customer_marts.clv.books import Book
from customer_marts.errors import DataError
from tests.clv import cdnow


def test_metrics_by_hand() -> None:
    found = metrics([1.0, 2.0, 3.0, 6.0], [0.0, 2.0, 4.0, 4.0])
    assert found.bias == pytest.approx(0.2)
    assert found.mae == 1.0
    assert found.rmse == pytest.approx(np.sqrt(6 / 4))
    assert found.spearman == pytest.approx(stats.spearmanr([1, 2, 3, 6], [0, 2, 4, 4]).statistic)
    assert found.gini == 1.0


def test_errors_are_told_with_the_thousands_apart() -> None:
    told = [error_told(error) for error in (0.123456, 2.5, 999.4, 999.6, 12_134.5)]
    assert told == ["0.1235", "2.5", "999.4", "1,000", "12,134"]
    off = Backtest(
        metrics([20_000.0], [5_000.0]),
        metrics([4_000.0], [5_000.0]),
        metrics([4_000.0], [5_000.0]),
        1,
        5_000.0,
    )
    verdict = promotion_verdict([off])
    assert "MAE 15,000 does not beat 1,000 of" in verdict.reasons[1]
    assert "平均绝对误差 15,000 未优于" in verdict.reasons_zh[1]


def test_gini_turns_with_the_order() -> None:
    actual = [0.0, 1.0, 2.0, 7.0]
    assert metrics([4.0, 3.0, 2.0, 1.0], actual).gini == pytest.approx(-1)
    assert metrics([1.0, 1.0, 1.0, 1.0], actual).gini == pytest.approx(0)


def test_counts_are_repeated_rows() -> None:
    forecast, actual = np.array([0.2, 1.5, 3.0, 0.2]), np.array([0.0, 2.0, 2.0, 1.0])
    count = np.array([5, 2, 1, 3])
    grouped = metrics(forecast, actual, count)
    flat = metrics(np.repeat(forecast, count), np.repeat(actual, count))
    for name in ("bias", "mae", "rmse", "spearman", "gini"):
        assert getattr(grouped, name) == pytest.approx(getattr(flat, name))


def test_naive_rules_by_hand() -> None:
    x, last, age = [4.0, 4.0, 4.0, 0.0], [80.0, 80.0, 80.0, 0.0], [100.0, 120.0, 121.0, 50.0]
    assert naive_rate(x, age, 60).tolist() == pytest.approx([2.4, 2.0, 4 / 121 * 60, 0])
    # own gap 20 days: 40 days of silence are borne, 41 are not
    assert naive_silence(x, last, age, 60).tolist() == pytest.approx([2.4, 2.0, 0, 0])
    assert naive_rate([0.0], [0.0], 60).tolist() == [0]


def test_origins_leave_whole_holdouts() -> None:
    origins = rolling_origins(date(2023, 1, 1), date(2025, 12, 31), 365, 5)
    assert origins == [date(2024, 12, 31), date(2024, 1, 1)]


def test_cdnow_bgnbd_against_the_naive_rules() -> None:
    model = fit_bgnbd(cdnow.BOOK).model
    found = backtest_model(model, cdnow.BOOK, cdnow.HOLDOUT, 39)
    assert found.actual == 1882
    assert found.customers == 2357
    # the printed holdout table adds up to 1,653 purchases: BG/NBD forecasts CDNOW too low
    assert found.model.bias == pytest.approx(1653 / 1882 - 1, abs=2e-3)
    assert found.model.mae < min(found.naive_rate.mae, found.naive_silence.mae)
    assert found.model.gini > found.naive_silence.gini
    verdict = promotion_verdict([found])
    assert not verdict.is_promoted
    assert verdict.reasons == ("origin 1: bias -12.1%, beyond ±10%",)


def test_the_verdict_names_what_is_wrong() -> None:
    wrong = BgNbd(r=0.243, alpha=2.0, a=0.1, b=10.0)
    verdict = promotion_verdict([backtest_model(wrong, cdnow.BOOK, cdnow.HOLDOUT, 39)])
    assert not verdict.is_promoted
    assert verdict.reasons[0].startswith("origin 1: bias +")
    assert "silence rule" in verdict.reasons[-1]
    assert not promotion_verdict([]).is_promoted


def test_a_bias_that_cannot_be_told_is_no_pass() -> None:
    book = Book.of([0.0], [0.0], [10.0])
    model = BgNbd(r=0.243, alpha=4.4, a=0.8, b=2.4)
    verdict = promotion_verdict([backtest_model(model, book, [0.0], 39)])
    assert any("bias" in reason for reason in verdict.reasons)


def test_calibration_on_cdnow() -> None:
    model = fit_bgnbd(cdnow.BOOK).model
    buys = 1 - model.probability_silent(cdnow.REPEATS, cdnow.LAST_AT, cdnow.AGE, 39)
    curve = calibration_curve(buys, cdnow.HOLDOUT > 0, cdnow.CUSTOMERS, bins=5)
    assert curve.customers.sum() == 2357
    assert np.abs(curve.forecast - curve.happened).max() < 0.12
    assert (np.diff(curve.forecast) > 0).all()
    with pytest.raises(DataError, match="probabilities"):
        calibration_curve([1.2], [1])


def test_tracking_ends_at_the_book_s_purchases() -> None:
    model = fit_bgnbd(cdnow.BOOK).model
    end = cdnow.AGE.max()
    expected = cumulative_tracking(model, end - cdnow.AGE, cdnow.CUSTOMERS, [0, end / 2, end])
    assert expected[0] == 0
    assert (np.diff(expected) > 0).all()
    assert expected[-1] == pytest.approx(cdnow.BOOK.purchases, rel=0.03)
