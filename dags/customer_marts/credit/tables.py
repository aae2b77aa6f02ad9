"""The allocation ledger between DuckDB and :mod:`customer_marts.credit.allocation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from customer_marts.credit.allocation import Basis, Codes, Events, Ledger, allocate

if TYPE_CHECKING:
    import duckdb

# What the arrays are made of, in the order of the events. A bill that is dishonoured on the day
# of its receipt, or before, never pays. Where a rate is missing the reporting share counts as
# nothing here; the tables leave it null.
EVENTS = """
    account_no as account,
    kind_no as kind,
    event_on - date '1970-01-01' as day,
    due_on - date '1970-01-01' as due,
    case
        when cancelled_on <= event_on then 0
        else cast(document_amount * 100 as bigint)
    end as cents,
    coalesce(cast(reporting_amount * 100 as bigint), 0) as reporting_cents,
    order_no as "order",
    target_no as target,
    kind = 'prepayment' as is_prepayment,
    is_naming as names,
    cast(settled_amount * 100 as bigint) as settled,
    count_entries as count_rows
"""
TYPES = {
    "account": np.int32,
    "kind": np.int8,
    "day": np.int32,
    "due": np.int32,
    "cents": np.int64,
    "reporting_cents": np.int64,
    "order": np.int32,
    "target": np.int32,
    "is_prepayment": np.bool_,
    "names": np.bool_,
    "settled": np.int64,
    "count_rows": np.int32,
}
BASIS_NAMES = {
    Basis.REFERENCE: "reference",
    Basis.ORDER: "order",
    Basis.FIFO: "fifo",
    Basis.PREPAYMENT: "prepayment",
    Basis.REFUND: "refund",
    Basis.REVERSAL_DISHONOURED: "reversal",
    Basis.REVERSAL_CHARGEBACK: "reversal",
    Basis.REVERSAL_REFUND: "reversal",
    Basis.HELD: "held",
    Basis.RELEASED: "released",
}
REVERSAL_REASONS = {
    Basis.REVERSAL_DISHONOURED: "dishonoured",
    Basis.REVERSAL_CHARGEBACK: "chargeback",
    Basis.REVERSAL_REFUND: "refunded",
}


def entries_of(session: Any, events: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The ledger of a relation of ``int_receivable_events``, as a relation of the session.

    Columns: credit_no and claim_no (event_no of the two; claim_no is -1 for a mark), entry_no (the
    how-manieth of its credit), entry_on, basis, reversal_reason, document_amount, and
    allocated_amount and credit_amount in the reporting currency.
    """
    ledger = allocate(read_events(events))
    entries: duckdb.DuckDBPyRelation = session.from_arrow(as_table(ledger)).project(
        """
        credit_no,
        claim_no,
        entry_no,
        date '1970-01-01' + entry_day as entry_on,
        cast(basis as varchar) as basis,
        cast(reversal_reason as varchar) as reversal_reason,
        cast(cents as decimal(18, 0)) * cast(0.01 as decimal(3, 2)) as document_amount,
        cast(claim_cents as decimal(18, 0)) * cast(0.01 as decimal(3, 2)) as allocated_amount,
        cast(credit_cents as decimal(18, 0)) * cast(0.01 as decimal(3, 2)) as credit_amount
        """
    )
    return entries


def read_events(events: duckdb.DuckDBPyRelation) -> Events:
    """The arrays of a relation of ``int_receivable_events``."""
    columns = events.order("event_no").project(EVENTS).fetchnumpy()
    return Events(**{name: np.asarray(columns[name], dtype=kind) for name, kind in TYPES.items()})


def as_table(ledger: Ledger) -> pa.Table:
    """The ledger's arrays as one Arrow table, without a copy."""
    return pa.table(
        {
            "credit_no": ledger.credit,
            "claim_no": ledger.claim,
            "entry_no": ledger.number,
            "entry_day": ledger.day,
            "basis": _named(ledger.basis, BASIS_NAMES),
            "reversal_reason": _named(ledger.basis, REVERSAL_REASONS),
            "cents": ledger.cents,
            "claim_cents": ledger.claim_cents,
            "credit_cents": ledger.credit_cents,
        }
    )


def _named(codes: Codes, names: dict[Basis, str]) -> pa.DictionaryArray:
    """The codes as texts, null where a code has no name."""
    texts = sorted(set(names.values()))
    positions = np.zeros(len(Basis), dtype=np.int8)
    for code, name in names.items():
        positions[code] = texts.index(name)
    has_no_name = ~np.isin(codes, list(names))
    return pa.DictionaryArray.from_arrays(pa.array(positions[codes], mask=has_no_name), texts)
