"""Customers by months without gaps, and what a month and the months up to it add up to.

Each customer has LEAD months before its first row, for what flowed in them, so that a window of up
to LEAD months ends where it should without looking whose month it reaches. A trailing sum is a
difference of two cumulative sums: of whole numbers (cents, cents times days, counts), so none is
rounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from customer_marts.errors import DataError

LEAD = 12

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Panel:
    """The months of n customers, side by side in one line of slots, each customer's after its LEAD.

    starts: n + 1, the slot at which a customer's LEAD begins, and the number of slots.
    first_months: n, numbers (12 x year + month) of the months of the first rows. rows: the slots
    that are rows, in the order of customers and months. customers: the customer of each row.
    """

    starts: Int64s
    first_months: Int64s
    rows: Int64s
    customers: Int32s

    @classmethod
    def of(cls, first_months: npt.ArrayLike, last_month: int) -> Panel:
        """Every customer from its first month to one last month.

        Raises:
            DataError: a customer's first month is later than the last.
        """
        firsts = np.asarray(first_months, dtype=np.int64)
        lengths = last_month + 1 - firsts
        if (lengths < 1).any():
            raise DataError(
                f"{(lengths < 1).sum()} customers begin after the month {last_month}",
                where="panel of customers and months",
            )
        starts = np.concatenate([[0], np.cumsum(lengths + LEAD)])
        customers = np.repeat(np.arange(len(firsts), dtype=np.int32), lengths)
        rows = np.arange(len(customers)) + LEAD * (customers.astype(np.int64) + 1)
        return cls(starts, firsts, rows, customers)

    @property
    def months(self) -> Int32s:
        """The month of each row."""
        months: Int64s = self.rows - (self._first_rows() - self.first_months)[self.customers]
        return months.astype(np.int32)

    def slots(self, customers: npt.ArrayLike, months: npt.ArrayLike) -> Int64s:
        """Where a customer's month is; what lies before its LEAD is put at the beginning of it.

        Raises:
            DataError: a month is later than the last.
        """
        numbers = np.asarray(customers, dtype=np.int64)
        after_first = np.asarray(months, dtype=np.int64) - self.first_months[numbers]
        slots: Int64s = self._first_rows()[numbers] + np.maximum(after_first, -LEAD)
        is_late = slots >= self.starts[1:][numbers]
        if is_late.any():
            raise DataError(
                f"{is_late.sum()} values are of months after the last",
                where="panel of customers and months",
                todo="find what int_credit_flows reads beyond the as-of date",
            )
        return slots

    def spread(self, slots: Int64s, values: Int64s) -> Int64s:
        """One value per slot, zero where there is none; several of one slot are added."""
        spread = np.zeros(self.starts[-1], dtype=np.int64)
        np.add.at(spread, slots, values)
        return spread

    def trailing_sums(self, spread: Int64s, months: int) -> Int64s:
        """By row, the sum over so many months up to its own, LEAD at most."""
        totals = _totals(spread)
        sums: Int64s = totals[self.rows + 1] - totals[self.rows + 1 - months]
        return sums

    def trailing_maxima(self, spread: Int64s) -> Int64s:
        """By row, the largest of the LEAD months up to its own, zero at least."""
        largest = np.maximum(spread, 0)
        # windows of 2, 3, 6, 12 months, each made of two of the one before
        for shift in (1, 1, 3, 6):
            largest[shift:] = np.maximum(largest[shift:], largest[:-shift])
        maxima: Int64s = largest[self.rows]
        return maxima

    def sums_before(self, spread: Int64s) -> Int64s:
        """By row, the sum of all the customer's months before, those before its LEAD with them."""
        totals = _totals(spread)
        sums: Int64s = totals[self.rows] - totals[self.starts[:-1]][self.customers]
        return sums

    def months_since(self, spread: Int64s, since_before: Int64s) -> Int64s:
        """By row, how many months ago the value was above zero last; -1 if it never was.

        since_before: by customer, the same of the month before its first row; what the LEAD has
        is not looked at.
        """
        slots = np.arange(len(spread))
        last = np.maximum.accumulate(np.where(spread > 0, slots, -1))[self.rows]
        first_rows = self._first_rows()[self.customers]
        before = since_before[self.customers]
        return np.where(
            last >= first_rows,
            self.rows - last,
            np.where(before >= 0, before + 1 + self.rows - first_rows, -1),
        )

    def _first_rows(self) -> Int64s:
        """The slot of each customer's first row."""
        first_rows: Int64s = self.starts[:-1] + LEAD
        return first_rows


def _totals(spread: Int64s) -> Int64s:
    """Cumulative sums, a zero before them."""
    totals = np.zeros(len(spread) + 1, dtype=np.int64)
    np.cumsum(spread, out=totals[1:])
    return totals
