"""The panel of customers and months between DuckDB and :mod:`customer_marts.credit.panel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from customer_marts.credit.panel import Int32s, Int64s, Panel
from customer_marts.errors import DataError

if TYPE_CHECKING:
    import duckdb

AMOUNT = pa.decimal64(18, 2)
# What int_credit_flows has by source; amounts are read in cents.
SOURCES = {
    "payment_months": ("paid_amount", "bill_paid_amount", "prepaid_amount", "delay_amount_days"),
    "late_months": (
        *("overdue_amount", "overdue_over_30_amount", "overdue_over_60_amount"),
        *("worst_overdue_days", "worst_days_in_month", "count_months_overdue"),
    ),
    "due_months": ("count_invoices_due",),
    "late_invoice_months": ("count_invoices_late",),
    "default_months": ("count_dishonoured", "count_defaults"),
    "order_months": ("count_orders", "revenue_amount", "count_complaints"),
    "receivable_months": ("invoiced_amount", "open_amount", "bills_outstanding_amount"),
}
# Flows of which the panel has how long ago the last one was.
SINCE = {"count_orders": "months_since_order", "paid_amount": "months_since_payment"}
AT_MONTH_END = (
    *("overdue_amount", "overdue_over_30_amount", "overdue_over_60_amount"),
    *("worst_overdue_days", "count_defaults", "open_amount", "bills_outstanding_amount"),
)
OF_3_MONTHS = ("paid_amount", "delay_amount_days", "revenue_amount")
OF_12_MONTHS = (
    *("invoiced_amount", "paid_amount", "delay_amount_days", "bill_paid_amount", "prepaid_amount"),
    *("count_invoices_due", "count_invoices_late", "count_dishonoured", "count_complaints"),
    *("count_months_overdue", "revenue_amount"),
)


def trailing_months(
    session: Any,
    customers: duckdb.DuckDBPyRelation,
    flows: duckdb.DuckDBPyRelation,
    months_before: duckdb.DuckDBPyRelation,
) -> duckdb.DuckDBPyRelation:
    """The panel of int_credit_customers and int_credit_flows, as a relation of the session.

    Each customer begins with the first month to compute; int_credit_months_before has the month
    before it of those whose earlier months stand. Columns: customer_no, month_on; the flows of the
    month, with suffix _3_months or _12_months of the months up to it; worst_days_12_months; how
    many months since the last order and payment, null for none; defaults_before;
    known_complaints_12_months, how many of the twelve months know their complaints. Zero where
    nothing flowed.

    Raises:
        DataError: a customer begins, or something flows, after the last month; the month before a
            customer's first one to compute is missing.
    """
    panel = read_panel(customers)
    since_before = read_since_before(customers, months_before)
    columns: dict[str, pa.Array] = {
        "customer_no": pa.array(panel.customers),
        "month_on": _first_days(panel.months),
    }
    for source, names in SOURCES.items():
        for name, spread in read_flows(panel, flows, source, names).items():
            columns |= _columns_of(panel, name, spread)
            if name in SINCE:
                months = panel.months_since(spread, since_before[SINCE[name]])
                columns[SINCE[name]] = _known_counts(months)
    relation: duckdb.DuckDBPyRelation = session.from_arrow(pa.table(columns))
    return relation


def read_panel(customers: duckdb.DuckDBPyRelation) -> Panel:
    """The months to compute of a relation of int_credit_customers."""
    columns = customers.order("customer_no").project("from_month_no, last_month_no").fetchnumpy()
    last_months = np.asarray(columns["last_month_no"])
    return Panel.of(columns["from_month_no"], int(last_months[0]) if len(last_months) else 0)


def read_since_before(
    customers: duckdb.DuckDBPyRelation, months_before: duckdb.DuckDBPyRelation
) -> Mapping[str, Int64s]:
    """What int_credit_months_before says of SINCE by customer; -1 for nothing.

    Raises:
        DataError: a customer that goes on from a month before has none.
    """
    counts = customers.aggregate(
        "count(*) as customers, count(*) filter (where from_month_on > first_month_on) as going_on"
    ).fetchnumpy()
    columns = months_before.project(", ".join(["customer_no", *SINCE.values()])).fetchnumpy()
    numbers = np.asarray(columns.pop("customer_no"), dtype=np.int64)
    if len(numbers) != counts["going_on"][0]:
        raise DataError(
            f"{counts['going_on'][0]} customers go on from a month that stands, of which the parent"
            f" release has {len(numbers)}",
            where="panel of customers and months",
            todo="build the release anew",
        )
    before = {name: np.full(counts["customers"][0], -1, dtype=np.int64) for name in SINCE.values()}
    for name, months in before.items():
        months[numbers] = np.ma.filled(columns[name], -1)
    return before


def read_flows(
    panel: Panel, flows: duckdb.DuckDBPyRelation, source: str, names: tuple[str, ...]
) -> Mapping[str, Int64s]:
    """The values of one source per slot: cents, cents times days, counts, days.

    known_complaints counts the months that know their complaints.
    """
    values = [f"{_whole(name)} as {name}" for name in names]
    if "count_complaints" in names:
        values.append("cast(count_complaints is not null as bigint) as known_complaints")
    rows = (
        flows.filter(f"flow_source = '{source}'")
        .project(", ".join(["customer_no", "month_no", *values]))
        .fetchnumpy()
    )
    slots = panel.slots(rows.pop("customer_no"), rows.pop("month_no"))
    return {name: panel.spread(slots, np.asarray(rows[name])) for name in list(rows)}


def _whole(name: str) -> str:
    """A flow as a whole number. Amounts of 16 digits times 100 are quick, of 38 they are not."""
    if "amount" in name:
        return f"cast(coalesce(cast({name} as decimal(16, 2)), 0) * 100 as bigint)"
    return f"coalesce(cast({name} as bigint), 0)"


def _columns_of(panel: Panel, name: str, spread: Int64s) -> dict[str, pa.Array]:
    """What the panel has of one flow."""
    as_array = _amounts if "amount" in name else _counts
    columns = {}
    if name in AT_MONTH_END:
        columns[name] = as_array(spread[panel.rows])
    if name in OF_3_MONTHS:
        columns[f"{name}_3_months"] = as_array(panel.trailing_sums(spread, 3))
    if name in OF_12_MONTHS:
        columns[f"{name}_12_months"] = as_array(panel.trailing_sums(spread, 12))
    if name == "worst_days_in_month":
        columns["worst_days_12_months"] = _counts(panel.trailing_maxima(spread))
    elif name == "count_defaults":
        columns["defaults_before"] = _counts(panel.sums_before(spread))
    elif name == "known_complaints":
        columns["known_complaints_12_months"] = _counts(panel.trailing_sums(spread, 12))
    return columns


def _first_days(months: Int32s) -> pa.Array:
    """The first day of each month, numbered 12 x year + month."""
    since_1970 = (months - (12 * 1970 + 1)).astype("datetime64[M]")
    return pa.array(since_1970.astype("datetime64[D]"))


def _amounts(cents: Int64s) -> pa.Array:
    """Whole cents as amounts, without a copy."""
    return pa.Array.from_buffers(AMOUNT, len(cents), [None, pa.py_buffer(cents)])


def _counts(counts: Int64s) -> pa.Array:
    return pa.array(counts.astype(np.int32))


def _known_counts(counts: Int64s) -> pa.Array:
    """Counts, null for -1."""
    return pa.array(counts.astype(np.int32), mask=counts < 0)
