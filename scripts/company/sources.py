"""What the ERP database and the bank files show of the simulation at the end of a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scripts.company.customers import Customers
from scripts.company.facts import (
    ARCHETYPES,
    BANK_BILL,
    BILL_STATUSES,
    BRAND_FIRST,
    BRAND_SECOND,
    CANCELLED,
    CHANNELS,
    GIVEN_NAMES,
    HELD,
    MANAGERS,
    METHODS,
    MOVEMENTS,
    NO_BILL,
    PRODUCTS,
    PROVINCES,
    RECEIPT,
    SALE_TYPES,
    SIZE_CLASS_FLOORS,
    SIZE_CLASSES,
    SKUS,
    STATUSES,
    SURNAMES,
    TABLES,
)
from scripts.company.trade import VAT_PERCENT, Chunk, clock_time
from scripts.company.world import DAY_SECONDS, NEVER, Booleans, Integers, World


@dataclass(frozen=True)
class Window:
    """The rows to show: those whose last change visible at the end of `day` lies after `since`.

    `since` is a day number too (its end); None shows everything.
    """

    day: int
    since: int | None = None

    @property
    def until_second(self) -> int:
        """The last visible second, on the local clock since 1970."""
        return (self.day + 1) * DAY_SECONDS - 1

    def changed(self, updated_at: Integers) -> Integers:
        """Positions of the rows to show, by the second of their last visible change."""
        after = -(2**62) if self.since is None else (self.since + 1) * DAY_SECONDS - 1
        return np.flatnonzero((updated_at > after) & (updated_at <= self.until_second))


def decimal_text(values: Integers, digits: int) -> Any:
    """Integers as decimal text: 123456 with two digits is "1234.56"."""
    words = np.empty((len(values), 2), dtype=np.int64)
    words[:, 0] = values
    words[:, 1] = values >> 63  # the upper half of the 128-bit integer: the sign
    decimals = pa.Array.from_buffers(
        pa.decimal128(18, digits), len(values), [None, pa.py_buffer(words)]
    )
    return decimals.cast(pa.string())


def time_text(seconds: Integers) -> Any:
    """Seconds since 1970 as "2026-06-30 17:05:00"."""
    return pa.array(seconds, pa.timestamp("s")).cast(pa.string())


def date_text(days: Integers, known: Booleans | None = None) -> Any:
    """Day numbers as "2026-06-30"; null where not `known`."""
    mask = None if known is None else ~known
    clipped = np.minimum(days, 100_000).astype(np.int32)
    return pa.array(clipped, pa.int32(), mask=mask).cast(pa.date32()).cast(pa.string())


def _join(*parts: Any) -> Any:
    """Strings joined element by element; null if a part is."""
    return pc.binary_join_element_wise(*parts, "")


def padded(values: Integers, width: int) -> Any:
    """Integers as text with leading zeros."""
    return pc.utf8_lpad(pa.array(values).cast(pa.string()), width, "0")


def _flags(values: Booleans) -> Any:
    return pa.array(values.astype(np.int64))


def _constant(text: str, count: int) -> Any:
    return pa.repeat(pa.scalar(text), count)


def _take(names: Any, positions: Integers) -> Any:
    return names.take(pa.array(positions))


def erp_table(name: str, *columns: Any) -> Any:
    """Columns in the order of the ERP table of this name."""
    return pa.table(dict(zip(TABLES[name].columns, columns, strict=True)))


USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def uscc(region: str, number: int) -> str:
    """A unified social credit code (GB 32100-2015) of an invented company, check characters right.

    Args:
        region: administrative division, six digits.
        number: up to six digits; they follow the letters MA of newer organisation codes.
    """
    body = f"MA{number:06d}"
    weighted = sum(
        int(char, 36) * weight for char, weight in zip(body, (3, 7, 9, 10, 5, 8, 4, 2), strict=True)
    )
    code = f"91{region}{body}" + "0123456789X0"[(11 - weighted % 11)]
    total = sum(USCC_ALPHABET.index(char) * pow(3, place, 31) for place, char in enumerate(code))
    return code + USCC_ALPHABET[(31 - total % 31) % 31]


def customer_code(number: int) -> str:
    """The ERP's code of the customer with this number."""
    return f"C{number:06d}"


def customer_names(world: World, customers: Customers) -> list[str]:
    """Invented Chinese company names; members of a group bear its brand."""
    draws, who = world.draws, customers.identity
    place = draws.choice("province", len(PROVINCES), who).tolist()
    city = draws.choice("city", 3, who).tolist()
    bearer = np.where(customers.group > 0, 1_000_000 + customers.group, who)
    first = draws.choice("brand first", len(BRAND_FIRST), bearer).tolist()
    second = draws.choice("brand second", len(BRAND_SECOND), bearer).tolist()
    suffix = draws.uniform("name suffix", who).tolist()
    names = []
    for index, kind in enumerate(customers.archetype.tolist()):
        suffixes = ARCHETYPES[kind].name_suffixes
        province, _, cities = PROVINCES[place[index]]
        brand = BRAND_FIRST[first[index]] + BRAND_SECOND[second[index]]
        tail = suffixes[int(suffix[index] * len(suffixes))]
        if customers.group[index]:
            name = f"{brand}集团（{cities[city[index]]}）{tail}"
        else:
            name = f"{(province, cities[city[index]])[int(suffix[index] * 97) % 2]}{brand}{tail}"
        if customers.identity[index] != customers.number[index]:
            name = name.replace("（", "(").replace("）", ")").replace("有限责任公司", "有限公司")
        names.append(name)
    return names


def customer_rows(world: World, customers: Customers, names: list[str], window: Window) -> Any:
    """Rows of crm_customer. A quarter of the customers change their account manager once."""
    draws, numbers = world.draws, customers.number
    count = len(numbers)
    hour = clock_time(draws, "created hour", numbers)
    created = customers.created_on * DAY_SECONDS + hour
    moves = world.start + (draws.uniform("manager day", numbers) * 1400).astype(np.int64)
    moves = np.where(draws.uniform("manager moves", numbers) < 0.3, moves, NEVER)
    moves = np.where(moves > customers.joined_on + 60, world.next_business(moves), NEVER)
    moved_at = moves * DAY_SECONDS + hour
    has_moved = moved_at <= window.until_second
    updated = np.where(has_moved, moved_at, created)
    manager = draws.choice("manager", len(MANAGERS), numbers) + 3 * has_moved
    monthly = customers.order_value * 30 / customers.gap_days
    size = np.searchsorted(np.array(SIZE_CLASS_FLOORS), monthly, side="right") - 1
    limit = monthly * 1.13 * (1 + customers.terms_days / 30) * (1.5 - customers.risk)
    limit = np.maximum(np.rint(limit / 50_000), 1) * 50_000
    place = draws.choice("province", len(PROVINCES), customers.identity).tolist()
    surname = draws.choice("surname", len(SURNAMES), numbers).tolist()
    given = draws.choice("given name", len(GIVEN_NAMES), numbers).tolist()
    kinds = [ARCHETYPES[kind] for kind in customers.archetype.tolist()]
    rows = erp_table(
        "crm_customer",
        pa.array([customer_code(number) for number in numbers.tolist()]),
        pa.array(names),
        pa.array([uscc(PROVINCES[where][1], who)
                  for where, who in zip(place, customers.identity.tolist(), strict=True)]),
        pa.array([f"G{group:05d}" if group else None for group in customers.group.tolist()],
                 pa.string()),
        pa.array([kind.industry for kind in kinds]),
        pa.array([SIZE_CLASSES[each] for each in size.tolist()]),
        pa.array([PROVINCES[where][0] for where in place]),
        pa.array([kind.customer_type for kind in kinds]),
        pa.array([MANAGERS[each % len(MANAGERS)] for each in manager.tolist()]),
        pa.array(customers.terms_days),
        decimal_text((limit * 100).astype(np.int64), 2),
        pa.array([SURNAMES[a] + GIVEN_NAMES[b] for a, b in zip(surname, given, strict=True)]),
        pa.array([f"190000{number % 100_000:05d}" for number in numbers.tolist()]),
        date_text(customers.created_on),
        time_text(updated),
        _flags(np.zeros(count, dtype=np.bool_)),
    )  # fmt: skip
    return rows.take(pa.array(window.changed(updated)))


def product_rows(world: World, window: Window) -> Any:
    """Rows of md_product, all entered before the start."""
    updated = np.full(len(PRODUCTS), (world.start - 90) * DAY_SECONDS + 36_000, dtype=np.int64)
    tonnes = np.rint(np.array([each.tonnes_per_unit for each in PRODUCTS]) * 10_000)
    rows = erp_table(
        "md_product",
        pa.array(SKUS),
        pa.array([each.name for each in PRODUCTS]),
        pa.array([each.category for each in PRODUCTS]),
        pa.array([each.unit for each in PRODUCTS]),
        decimal_text(tonnes.astype(np.int64), 4),
        time_text(updated),
        _flags(np.zeros(len(PRODUCTS), dtype=np.bool_)),
    )
    return rows.take(pa.array(window.changed(updated)))


def latest(window: Window, *times: Integers) -> Integers:
    """The last of some events visible in the window (the first argument happens always)."""
    last = times[0]
    for moment in times[1:]:
        last = np.where(moment <= window.until_second, np.maximum(last, moment), last)
    return last


def order_rows(world: World, chunk: Chunk, window: Window) -> Any:
    """Rows of so_order with the status reached by the end of the day."""
    orders = chunk.orders
    updated = latest(
        window, orders.ordered_at, orders.confirmed_at, orders.shipped_at, orders.completed_at,
        orders.cancelled_at, orders.deleted_at,
    )  # fmt: skip
    shown = window.changed(updated)
    until = window.until_second
    status = np.zeros(len(shown), dtype=np.int64)
    for moment in (orders.confirmed_at, orders.shipped_at, orders.completed_at):
        status += moment[shown] <= until
    status = np.where(orders.cancelled_at[shown] <= until, CANCELLED, status)
    owner = orders.owner[shown]
    codes = _customer_codes(chunk)
    contract = _take(pa.array([f"HT-{code.as_py()[1:]}-" for code in codes]), owner)
    year = pa.array(world.at(world.years, orders.day[shown])).cast(pa.string())
    is_contract = orders.is_contract[shown]
    return erp_table(
        "so_order",
        _join("SO", pa.array(orders.number[shown]).cast(pa.string())),
        _take(codes, owner),
        time_text(orders.ordered_at[shown]),
        _take(STATUSES, status),
        _constant("CNY", len(shown)),
        _take(CHANNELS, orders.channel[shown]),
        pc.if_else(pa.array(is_contract), _join(contract, year), pa.scalar(None, pa.string())),
        _take(SALE_TYPES, is_contract.astype(np.int64)),
        time_text(updated[shown]),
        _flags(orders.deleted_at[shown] <= until),
    )


def _customer_codes(chunk: Chunk) -> Any:
    return _join("C", padded(chunk.customers.number, 6))


def line_rows(chunk: Chunk, window: Window) -> Any:
    """Rows of so_order_line; amended quantities show from the order's confirmation on."""
    orders, lines = chunk.orders, chunk.lines
    order = lines.order
    is_amended = lines.first_quantity != lines.quantity
    amended_at = np.where(is_amended, orders.confirmed_at[order], NEVER * DAY_SECONDS)
    updated = latest(window, orders.ordered_at[order], amended_at, orders.deleted_at[order])
    shown = window.changed(updated)
    until = window.until_second
    not_yet = is_amended & (amended_at > until)
    quantity = np.where(not_yet, lines.first_quantity, lines.quantity)
    discount, net, tax = lines.amounts(quantity)
    return erp_table(
        "so_order_line",
        _join("SO", pa.array(orders.number[order[shown]]).cast(pa.string())),
        pa.array(lines.line[shown]),
        _take(pa.array(SKUS), lines.sku[shown]),
        decimal_text(quantity[shown], 3),
        decimal_text(lines.price[shown], 4),
        decimal_text(discount[shown], 2),
        decimal_text(tax[shown], 2),
        decimal_text(net[shown], 2),
        decimal_text(lines.cost[shown], 4),
        time_text(updated[shown]),
        _flags(orders.deleted_at[order[shown]] <= until),
    )


def invoice_rows(chunk: Chunk, window: Window) -> Any:
    """Rows of fi_invoice: invoices (蓝字), and the credit notes (红字) that ended a dispute."""
    invoices, codes = chunk.invoices, _customer_codes(chunk)
    number = chunk.orders.number[invoices.order]
    issued = invoices.day * DAY_SECONDS + 57_600
    disputed = invoices.disputed_on * DAY_SECONDS + 34_200
    resolved = invoices.resolved_on * DAY_SECONDS + 59_400
    until = window.until_second
    updated = latest(window, issued, disputed, resolved)
    credit_tax = (invoices.credit * VAT_PERCENT * 2 + 113) // 226
    parts = []
    for kind, at, select in (
        ("蓝字", updated, window.changed(updated)),
        ("红字", resolved, window.changed(np.where(invoices.credit > 0, resolved, 2**61))),
    ):
        is_invoice = kind == "蓝字"
        parts.append(
            erp_table(
                "fi_invoice",
                _join("FP" if is_invoice else "HZ", pa.array(number[select]).cast(pa.string())),
                _join("SO", pa.array(number[select]).cast(pa.string())),
                _take(codes, invoices.owner[select]),
                date_text((invoices.day if is_invoice else invoices.resolved_on)[select]),
                date_text(invoices.due[select], invoices.is_due_stated[select] & is_invoice),
                decimal_text((invoices.gross if is_invoice else invoices.credit)[select], 2),
                decimal_text((invoices.tax if is_invoice else credit_tax)[select], 2),
                _constant("CNY", len(select)),
                _constant(kind, len(select)),
                _flags((disputed[select] <= until) & (resolved[select] > until) & is_invoice),
                time_text(at[select]),
                _flags(np.zeros(len(select), dtype=np.bool_)),
            )
        )
    return pa.concat_tables(parts)


@dataclass(frozen=True)
class BankRows:
    """Lines of the bank's files in file order: the day of the file, the text, the amount in fen."""

    day: Integers
    text: list[str]
    amount: Integers


def bank_rows(world: World, chunk: Chunk, names: list[str], window: Window) -> BankRows:
    """Movements and later changes of bills; each is a line in the file of the day it happened."""
    payments, owners = chunk.payments, chunk.customers.number
    number = owners[payments.owner]
    at_day = payments.day * 4 + payments.kind
    received = payments.day * DAY_SECONDS + clock_time(world.draws, "bank hour", number, at_day)
    changed_second = 61_200 + number % 3600
    count = len(number)
    is_bill = payments.matures_on < NEVER
    every = np.arange(count)
    events = (
        (payments.day, received, np.where(is_bill, HELD, NO_BILL)),
        (payments.turned_on, payments.turned_on * DAY_SECONDS + changed_second, payments.turned_to),
        (payments.ended_on, payments.ended_on * DAY_SECONDS + changed_second, payments.ended_as),
    )
    day = np.concatenate([event[0] for event in events])
    updated = np.concatenate([event[1] for event in events])
    status = np.concatenate([event[2] for event in events])
    movement = np.tile(every, 3)
    after = -(2**62) if window.since is None else window.since
    shown = np.flatnonzero((day > after) & (day <= window.day))
    shown = shown[np.lexsort((movement[shown], updated[shown]))]
    row, day, updated, status = movement[shown], day[shown], updated[shown], status[shown]
    yymmdd = world.at(world.yymmdd, payments.day[row])
    flow = (yymmdd * 1_000_000 + number[row]) * 10 + payments.kind[row]
    about = payments.reference[row]
    document = pc.if_else(pa.array(payments.kind[row] == RECEIPT), "FP", "SO")
    known = chunk.orders.number[np.maximum(about, 0)] if len(row) else about
    reference = pc.if_else(
        pa.array(about >= 0), _join(document, pa.array(known).cast(pa.string())), ""
    )
    bill_kind = pc.if_else(pa.array(payments.method[row] == BANK_BILL), "1", "2")
    serial = padded(payments.day[row] % 10 + 10 * number[row], 9)
    bill_no = _join(bill_kind, "990000000000", "20", padded(yymmdd, 6), serial)
    has_bill = pa.array(is_bill[row])
    text = pc.binary_join_element_wise(
        _join("YH", pa.array(flow).cast(pa.string())),
        time_text(received[row]),
        _take(_customer_codes(chunk), payments.owner[row]),
        _take(pa.array(names), payments.owner[row]),
        decimal_text(payments.amount[row], 2),
        _constant("CNY", len(row)),
        _take(METHODS, payments.method[row]),
        _take(MOVEMENTS, payments.kind[row]),
        reference,
        pc.if_else(has_bill, bill_no, ""),
        pc.if_else(has_bill, date_text(payments.matures_on[row]), ""),
        _take(BILL_STATUSES, status),
        time_text(updated),
        ",",
    )
    return BankRows(day, text.to_pylist(), payments.amount[row])
