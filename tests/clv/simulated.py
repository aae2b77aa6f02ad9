"""Books of customers simulated from the models' own stories."""

from __future__ import annotations

import numpy as np

from customer_marts.clv.books import Book


def coin_book(
    customers: int,
    *,
    k: int,
    r: float,
    alpha: float,
    a: float,
    b: float,
    first: int = 1,
    oldest: float = 730.0,
    seed: int = 1,
) -> Book:
    """Customers of MBG/CNBD-k (first = 0 and k = 1: of BG/NBD), acquired evenly over ``oldest``."""
    chance = np.random.default_rng(seed)
    age = np.floor(chance.uniform(30, oldest, customers))
    rate = chance.gamma(r, 1 / alpha, customers)
    leaves = chance.beta(a, b, customers)
    repeats, last = np.zeros(customers), np.zeros(customers)
    active = chance.random(customers) >= leaves if first else np.ones(customers, dtype=bool)
    log_gap_sum = np.zeros(customers)
    at = np.zeros(customers)
    while active.any():
        gap = chance.gamma(k, 1, customers) / rate
        at = at + gap
        active &= at <= age
        log_gap_sum[active] += np.log(gap[active])
        repeats[active] += 1
        last[active] = at[active]
        active &= chance.random(customers) >= leaves
    return Book.of(repeats, last, age, log_gap_sum=log_gap_sum)


def pareto_book(
    customers: int, *, r: float, alpha: float, s: float, beta: float, seed: int = 1
) -> Book:
    """Customers of Pareto/NBD, two years old or less."""
    chance = np.random.default_rng(seed)
    age = np.floor(chance.uniform(30, 730, customers))
    life = chance.exponential(1 / chance.gamma(s, 1 / beta, customers))
    seen = np.minimum(life, age)
    repeats = chance.poisson(chance.gamma(r, 1 / alpha, customers) * seen).astype(float)
    # the last of x uniform times
    draw = chance.random(customers) ** (1 / np.maximum(repeats, 1))
    last = np.where(repeats > 0, seen * draw, 0.0)
    return Book.of(repeats, last, age)


def coin_days(
    customers: int,
    *,
    k: int,
    r: float,
    alpha: float,
    a: float,
    b: float,
    days: int,
    seed: int,
) -> list[tuple[int, int]]:
    """(customer, day) of every purchase of MBG/CNBD-k customers won in the first half of ``days``.

    Days are whole: two purchases of one day are one.
    """
    chance = np.random.default_rng(seed)
    found: set[tuple[int, int]] = set()
    for number in range(customers):
        at = float(chance.uniform(0, days / 2))
        rate, leaves = chance.gamma(r, 1 / alpha), chance.beta(a, b)
        while at < days:
            found.add((number, int(at)))
            if chance.random() < leaves:
                break
            at += chance.gamma(k, 1) / rate
    return sorted(found)
