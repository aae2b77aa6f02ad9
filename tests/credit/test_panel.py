"""The panel of customers and months: windows against plain loops over each customer's months."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from customer_marts.credit.panel import LEAD, Panel
from customer_marts.errors import DataError

FIRST_MONTHS = [5, 30, 17, 36]
LAST_MONTH = 36
# before a first month, on it, and on the last of one customer beside the first of the next
FLOWS = [
    (0, 5, 7),
    (0, 36, -3),
    (1, 20, 11),
    (1, 30, 2),
    (2, 1, 13),
    (2, 17, 5),
    (2, 29, 19),
    (3, 36, 1),
]

Values = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel.of(FIRST_MONTHS, LAST_MONTH)


@pytest.fixture(scope="module")
def spread(panel: Panel) -> Values:
    customers, months, values = (np.array(column) for column in zip(*FLOWS, strict=True))
    return panel.spread(panel.slots(customers, months), values)


def by_row(panel: Panel, value: Callable[[int, int, dict[int, int]], int]) -> list[int]:
    """value(first month, month, the customer's flows by month) of each row."""
    flows = [{m: v for c, m, v in FLOWS if c == customer} for customer in range(len(FIRST_MONTHS))]
    return [
        value(FIRST_MONTHS[customer], month, flows[customer])
        for customer, month in zip(panel.customers.tolist(), panel.months.tolist(), strict=True)
    ]


def test_each_customer_has_its_months_and_no_other(panel: Panel) -> None:
    rows = list(zip(panel.customers.tolist(), panel.months.tolist(), strict=True))
    assert rows == [
        (customer, month)
        for customer, first in enumerate(FIRST_MONTHS)
        for month in range(first, LAST_MONTH + 1)
    ]


@pytest.mark.parametrize("length", [1, 3, 12])
def test_a_trailing_sum_is_that_of_the_own_months(
    panel: Panel, spread: Values, length: int
) -> None:
    assert panel.trailing_sums(spread, length).tolist() == by_row(
        panel, lambda _, month, flows: sum(flows.get(month - back, 0) for back in range(length))
    )


def test_a_trailing_maximum_is_that_of_the_own_twelve_months(panel: Panel, spread: Values) -> None:
    assert panel.trailing_maxima(spread).tolist() == by_row(
        panel, lambda _, month, flows: max(max(flows.get(month - k, 0), 0) for k in range(LEAD))
    )


def test_sums_before_have_what_came_before_the_first_month(panel: Panel, spread: Values) -> None:
    assert panel.sums_before(spread).tolist() == by_row(
        panel, lambda _, month, flows: sum(v for m, v in flows.items() if m < month)
    )


def test_months_since_the_last_go_on_from_those_of_the_month_before(
    panel: Panel, spread: Values
) -> None:
    """Of customer 0 nothing is known before, of 1 and 3 so many months; of 2 the month before."""
    before = {FIRST_MONTHS[0]: -1, FIRST_MONTHS[1]: 4, FIRST_MONTHS[2]: 0, FIRST_MONTHS[3]: 20}
    since = panel.months_since(spread, np.array(list(before.values())))
    assert since.tolist() == by_row(
        panel,
        lambda first, month, flows: min(
            (month - m for m, v in flows.items() if first <= m <= month and v > 0),
            default=-1 if before[first] < 0 else before[first] + 1 + month - first,
        ),
    )


def test_a_panel_that_goes_on_is_the_end_of_the_whole_one(panel: Panel, spread: Values) -> None:
    """Begun later, with the flows of the LEAD and what stood before, it has the same last rows."""
    customers, months, values = (np.array(column) for column in zip(*FLOWS, strict=True))
    froms = np.array([20, 33, 17, 36])
    later = Panel.of(froms, LAST_MONTH)
    keep = months > froms[customers] - LEAD
    of_later = later.spread(later.slots(customers[keep], months[keep]), values[keep])
    is_later = panel.months >= froms[panel.customers]
    since = panel.months_since(spread, np.full(4, -1))
    before = np.full(4, -1)
    is_before = panel.months == froms[panel.customers] - 1
    before[panel.customers[is_before]] = since[is_before]

    assert later.months.tolist() == panel.months[is_later].tolist()
    for length in (1, 3, 12):
        assert (
            later.trailing_sums(of_later, length).tolist()
            == panel.trailing_sums(spread, length)[is_later].tolist()
        )
    assert later.trailing_maxima(of_later).tolist() == (
        panel.trailing_maxima(spread)[is_later].tolist()
    )
    assert later.months_since(of_later, before).tolist() == since[is_later].tolist()
    # how many months ago 20 is: the one of month 5
    assert since[is_later][0] == 15


def test_sums_of_large_amounts_are_exact(panel: Panel) -> None:
    # 2^53 + 1 is no double
    odd = 2**53 + 1
    spread = panel.spread(panel.slots([0, 0], [10, 11]), np.array([odd, 1]))
    assert panel.trailing_sums(spread, 12)[panel.customers == 0].max() == odd + 1


def test_nothing_is_taken_from_after_the_last_month(panel: Panel) -> None:
    with pytest.raises(DataError, match="1 values are of months after the last"):
        panel.slots([0, 1], [36, 37])
    with pytest.raises(DataError, match="1 customers begin after"):
        Panel.of([36, 37], LAST_MONTH)


def test_no_customer_is_no_row() -> None:
    nobody = Panel.of([], LAST_MONTH)
    spread = nobody.spread(nobody.slots([], []), np.array([], dtype=np.int64))
    for values in (
        *(nobody.trailing_sums(spread, 12), nobody.trailing_maxima(spread)),
        *(nobody.months_since(spread, spread), nobody.sums_before(spread), nobody.months),
    ):
        assert len(values) == 0
