"""Drivers of satisfaction: known figures, a planted effect, and the error rate without one."""

from __future__ import annotations

import numpy as np
import pytest

from customer_marts.voice.drivers import DriverEffect, DriverRules, Floats, driver_effects, holm

RULES = DriverRules(core_share=0.8, minimum_customers=30, significance=0.05)


def survey(
    draws: np.random.Generator, count_customers: int = 120, effect: float = 0.0
) -> tuple[Floats, Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Three answers a customer to five items that share its mood; the first moves the whole."""
    customers = np.repeat(np.arange(count_customers), 3)
    mood = draws.normal(size=count_customers)[customers]
    scores = 0.5 * mood[:, None] + draws.normal(size=(len(customers), 5))
    overall = mood + effect * scores[:, 0] + draws.normal(size=len(customers))
    return scores, overall, customers


def effects_of(scores: Floats, overall: Floats, customers: object) -> list[DriverEffect]:
    items = [f"item_{position}" for position in range(scores.shape[1])]
    return driver_effects(items, scores, overall, np.asarray(customers), RULES)


def test_holm_adjusts_as_published() -> None:
    adjusted = holm(np.array([0.04, 0.01, np.nan, 0.03, 0.005]))
    assert adjusted[[0, 1, 3, 4]] == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert np.isnan(adjusted[2])


def test_one_item_alone_has_the_correlation_as_effect() -> None:
    """With one answer a customer and one item, the standardised coefficient is Pearson's r, and
    its robust error is the sandwich worked out here by hand.
    """
    draws = np.random.default_rng(1)
    item = draws.normal(size=(60, 1))
    overall = 0.5 * item[:, 0] + draws.normal(size=60)
    (found,) = effects_of(item, overall, np.arange(60))
    r = float(np.corrcoef(item[:, 0], overall)[0, 1])
    assert found.effect == pytest.approx(r)
    x = (item[:, 0] - item.mean()) / item.std()
    residuals = (overall - overall.mean()) / overall.std() - r * x
    error = np.sqrt(60 / 59 * 59 / 58 * np.sum((x * residuals) ** 2)) / 60
    assert found.low is not None
    assert found.high is not None
    assert (found.high - found.low) / 2 == pytest.approx(2.0009954 * error, rel=1e-6)


def test_a_planted_driver_is_found_beside_a_shared_mood() -> None:
    scores, overall, customers = survey(np.random.default_rng(7), 200, effect=0.8)
    found = effects_of(scores, overall, customers)
    assert max(found, key=lambda each: each.effect or 0).item == "item_0"
    assert found[0].is_driver


def test_answers_of_the_same_customers_do_not_count_as_others() -> None:
    """Every response doubled: the same effect, and no narrower interval."""
    scores, overall, customers = survey(np.random.default_rng(3))
    once = effects_of(scores, overall, customers)
    twice = effects_of(
        np.vstack([scores, scores]), np.tile(overall, 2), np.concatenate([customers, customers])
    )
    for each, again in zip(once, twice, strict=True):
        assert each.effect is not None
        assert each.low is not None
        assert again.low is not None
        assert again.effect == pytest.approx(each.effect)
        assert each.effect - again.low == pytest.approx(each.effect - each.low, rel=0.02)


def test_seldom_is_anything_found_where_nothing_is() -> None:
    """Shuffled among the responses, an item is called a driver in about 2.5 % of the surveys (one
    side of Holm's 5 %): of 60, seven would come once in some thousands of times.
    """
    draws = np.random.default_rng(20260630)
    scores, overall, customers = survey(draws, effect=0.8)
    false = sum(
        any(
            each.is_driver
            for each in effects_of(
                np.column_stack([draws.permutation(column) for column in scores.T]),
                draws.permutation(overall),
                customers,
            )
        )
        for _ in range(60)
    )
    assert false <= 6


def test_an_item_asked_of_a_part_is_judged_on_that_part() -> None:
    scores, overall, customers = survey(np.random.default_rng(5))
    scores[60:, 4] = np.nan
    scores[:, 3] = 2.0
    found = effects_of(scores, overall, customers)
    assert (found[4].count_answers, found[4].count_customers) == (60, 20)
    assert (found[4].status, found[4].effect, found[4].is_driver) == ("too_few", None, False)
    assert (found[3].status, found[3].p_adjusted) == ("no_variation", None)
    assert found[0].status == "known"


def test_no_answers_make_no_effects() -> None:
    assert effects_of(np.zeros((0, 0)), np.zeros(0), np.zeros(0, dtype=np.int64)) == []
