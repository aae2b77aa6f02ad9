"""What the ERP database shows of the simulation at the end of a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from scripts.company.columns import (
    Window,
    constant,
    customer_codes,
    date_text,
    decimal_text,
    flags,
    join,
    latest,
    only,
    padded,
    table_of,
    take,
    time_text,
)
from scripts.company.customers import Customers
from scripts.company.facts import (
    ARCHETYPES,
    BRAND_FIRST,
    BRAND_SECOND,
    CANCELLED,
    CHANNELS,
    COST_KINDS,
    ERP_TABLES,
    GIVEN_NAMES,
    MANAGERS,
    PRODUCTS,
    PROVINCES,
    SALE_TYPES,
    SIZE_CLASSES,
    SKUS,
    STATUSES,
    SURNAMES,
)
from scripts.company.relations import Costs
from scripts.company.trade import VAT_PERCENT, Chunk, clock_time
from scripts.company.world import (
    CURRENCIES,
    DAY_SECONDS,
    NEVER,
    Booleans,
    Integers,
    World,
    day_number,
)

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


def customer_names(world: World, customers: Customers) -> list[str]:
    """Invented Chinese company names; members of a group bear its brand, exporters
    are 国际.
    """
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
        if customers.currency[index]:
            tail = f"国际{tail}"
        if customers.group[index]:
            name = f"{brand}集团（{cities[city[index]]}）{tail}"
        else:
            name = f"{(province, cities[city[index]])[int(suffix[index] * 97) % 2]}{brand}{tail}"
        if customers.identity[index] != customers.number[index]:
            name = name.replace("（", "(").replace("）", ")").replace("有限责任公司", "有限公司")
        names.append(name)
    return names


@dataclass(frozen=True)
class _BalanceSheets:
    """The last balance sheet each customer handed in, in units of 100 yuan."""

    net_worth: Integers
    working_capital: Integers
    is_known: Booleans
    entered_at: Integers


def _balance_sheets(world: World, customers: Customers, window: Window) -> _BalanceSheets:
    """One at registration, then one each spring. Those who will default look worse beforehand."""
    draws, numbers = world.draws, customers.number
    hour = clock_time(draws, "created hour", numbers)
    base = customers.monthly_value * 40 * np.exp(0.8 * draws.normal("net worth", numbers))
    entered = customers.created_on * DAY_SECONDS + hour
    net_worth, working = np.zeros(len(numbers)), np.zeros(len(numbers))
    first_year = world.parameters.start.year
    for year in range(first_year - 1, world.parameters.horizon.year + 1):
        position = np.full(len(numbers), year, dtype=np.int64)
        after = draws.choice("balance sheet day", 80, numbers, position)
        handed_in = world.next_business(day_number(date(year, 4, 1)) + after)
        at = handed_in * DAY_SECONDS + hour
        shows = (handed_in > customers.created_on) & (at <= window.until_second)
        shows |= year < first_year
        level = base * np.exp(customers.growth_rate * (year - first_year))
        level *= (1.3 - 0.6 * customers.risk) * np.exp(
            0.12 * draws.normal("net worth moves", numbers, position)
        )
        ratio = 0.35 - 0.5 * customers.risk
        ratio += 0.12 * draws.normal("working capital", numbers, position)
        is_failing = customers.defaulted_on - handed_in < 500
        net_worth = np.where(shows, np.where(is_failing, 0.4, 1.0) * level, net_worth)
        working = np.where(shows, (ratio - 0.5 * is_failing) * level, working)
        entered = np.where(shows & (year >= first_year), at, entered)
    gives = draws.uniform("gives figures", numbers) < 0.6 + 0.12 * customers.size_class
    return _BalanceSheets(
        net_worth=np.rint(net_worth / 100).astype(np.int64),
        working_capital=np.rint(working / 100).astype(np.int64),
        is_known=gives,
        entered_at=np.where(gives, entered, customers.created_on * DAY_SECONDS + hour),
    )


def customer_rows(world: World, customers: Customers, names: list[str], window: Window) -> Any:
    """Rows of crm_customer: they change with the account manager and with each balance sheet."""
    draws, numbers = world.draws, customers.number
    hour = clock_time(draws, "created hour", numbers)
    created = customers.created_on * DAY_SECONDS + hour
    sheets = _balance_sheets(world, customers, window)
    moved = customers.manager_moves_on * DAY_SECONDS + hour
    updated = latest(window, np.maximum(created, sheets.entered_at), moved)
    shown = window.changed(updated)
    manager = customers.manager_on(shown, np.full(len(shown), window.day))
    limit = customers.monthly_value * 1.13 * (1 + customers.terms_days / 30)
    limit = np.maximum(np.rint(limit * (1.5 - customers.risk) / 50_000), 1) * 50_000
    place = draws.choice("province", len(PROVINCES), customers.identity[shown]).tolist()
    surname = draws.choice("surname", len(SURNAMES), numbers[shown])
    given = draws.choice("given name", len(GIVEN_NAMES), numbers[shown])
    kinds = [ARCHETYPES[kind] for kind in customers.archetype[shown].tolist()]
    group, parent = customers.group[shown], customers.parent[shown]
    identities = customers.identity[shown].tolist()
    is_known = sheets.is_known[shown]
    return table_of(
        ERP_TABLES["crm_customer"],
        customer_codes(numbers[shown]),
        take(pa.array(names, pa.string()), shown),
        pa.array([uscc(PROVINCES[where][1], who)
                  for where, who in zip(place, identities, strict=True)], pa.string()),
        only(group > 0, join("G", padded(group, 5))),
        only(parent > 0, customer_codes(parent)),
        pa.array([kind.industry for kind in kinds], pa.string()),
        take(pa.array(SIZE_CLASSES), customers.size_class[shown]),
        pa.array([PROVINCES[where][0] for where in place], pa.string()),
        pa.array([kind.customer_type for kind in kinds], pa.string()),
        take(pa.array(MANAGERS), manager),
        pa.array(customers.terms_days[shown]),
        decimal_text((limit[shown] * 100).astype(np.int64), 2),
        only(is_known, decimal_text(sheets.net_worth[shown], 2)),
        only(is_known, decimal_text(sheets.working_capital[shown], 2)),
        join(take(pa.array(SURNAMES), surname), take(pa.array(GIVEN_NAMES), given)),
        join("190000", padded(numbers[shown] % 100_000, 5)),
        join("purchasing.c", padded(numbers[shown], 6), "@example.com"),
        date_text(customers.created_on[shown]),
        time_text(updated[shown]),
        flags(np.zeros(len(shown), dtype=np.bool_)),
    )  # fmt: skip


def product_rows(world: World, window: Window) -> Any:
    """Rows of md_product, all entered before the start."""
    updated = np.full(len(PRODUCTS), (world.start - 90) * DAY_SECONDS + 36_000, dtype=np.int64)
    tonnes = np.rint(np.array([each.tonnes_per_unit for each in PRODUCTS]) * 10_000)
    rows = table_of(
        ERP_TABLES["md_product"],
        pa.array(SKUS),
        pa.array([each.name for each in PRODUCTS]),
        pa.array([each.category for each in PRODUCTS]),
        pa.array([each.unit for each in PRODUCTS]),
        decimal_text(tonnes.astype(np.int64), 4),
        time_text(updated),
        flags(np.zeros(len(PRODUCTS), dtype=np.bool_)),
    )
    return rows.take(pa.array(window.changed(updated)))


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
    codes = customer_codes(chunk.customers.number)
    contract = take(pa.array([f"HT-{code.as_py()[1:]}-" for code in codes]), owner)
    year = pa.array(world.at(world.years, orders.day[shown])).cast(pa.string())
    is_contract = orders.is_contract[shown]
    return table_of(
        ERP_TABLES["so_order"],
        join("SO", pa.array(orders.number[shown]).cast(pa.string())),
        take(codes, owner),
        time_text(orders.ordered_at[shown]),
        take(STATUSES, status),
        take(pa.array(CURRENCIES), chunk.customers.currency[owner]),
        take(CHANNELS, orders.channel[shown]),
        only(is_contract, join(contract, year)),
        take(SALE_TYPES, is_contract.astype(np.int64)),
        time_text(updated[shown]),
        flags(orders.deleted_at[shown] <= until),
    )


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
    return table_of(
        ERP_TABLES["so_order_line"],
        join("SO", pa.array(orders.number[order[shown]]).cast(pa.string())),
        pa.array(lines.line[shown]),
        take(pa.array(SKUS), lines.sku[shown]),
        decimal_text(quantity[shown], 3),
        decimal_text(lines.price[shown], 4),
        decimal_text(discount[shown], 2),
        decimal_text(tax[shown], 2),
        decimal_text(net[shown], 2),
        decimal_text(lines.cost[shown], 4),
        time_text(updated[shown]),
        flags(orders.deleted_at[order[shown]] <= until),
    )


def delivery_rows(chunk: Chunk, window: Window) -> Any:
    """Rows of so_delivery, entered when the customer signs; a few are weighed again afterwards."""
    orders, deliveries = chunk.orders, chunk.deliveries
    updated = latest(window, deliveries.at, deliveries.weighed_at)
    shown = window.changed(updated)
    order = deliveries.order[shown]
    is_weighed = deliveries.weighed_at[shown] <= window.until_second
    number = pa.array(orders.number[order]).cast(pa.string())
    return table_of(
        ERP_TABLES["so_delivery"],
        join("DN", number, pa.array(deliveries.part[shown]).cast(pa.string())),
        join("SO", number),
        time_text(deliveries.at[shown]),
        date_text(orders.promised_on[order]),
        decimal_text(np.where(is_weighed, deliveries.weight[shown], deliveries.loaded[shown]), 3),
        decimal_text(deliveries.amount[shown], 2),
        time_text(updated[shown]),
        flags(np.zeros(len(shown), dtype=np.bool_)),
    )


def cost_rows(world: World, chunk: Chunk, costs: Costs, window: Window) -> Any:
    """Rows of fi_cost, as the accountants enter them."""
    shown = window.changed(costs.entered_at)
    number, day = chunk.customers.number[costs.owner[shown]], costs.day[shown]
    code = (world.at(world.yymmdd, day) * 1_000_000 + number) * 10 + costs.kind[shown]
    return table_of(
        ERP_TABLES["fi_cost"],
        join("CB", pa.array(code).cast(pa.string())),
        customer_codes(number),
        date_text(day),
        take(COST_KINDS, costs.kind[shown]),
        decimal_text(costs.amount[shown], 2),
        constant("CNY", len(shown)),
        time_text(costs.entered_at[shown]),
        flags(np.zeros(len(shown), dtype=np.bool_)),
    )


def invoice_rows(chunk: Chunk, window: Window) -> Any:
    """Rows of fi_invoice: invoices (蓝字), and the credit notes (红字) that ended a dispute."""
    invoices, codes = chunk.invoices, customer_codes(chunk.customers.number)
    number = chunk.orders.number[invoices.order]
    issued = invoices.day * DAY_SECONDS + 57_600
    disputed = invoices.disputed_on * DAY_SECONDS + 34_200
    resolved = invoices.resolved_on * DAY_SECONDS + 59_400
    until = window.until_second
    updated = latest(window, issued, disputed, resolved)
    credit_tax = (invoices.credit * VAT_PERCENT * 2 + 113) // 226
    credit_tax = np.where(invoices.tax > 0, credit_tax, 0)
    parts = []
    for kind, at, select in (
        ("蓝字", updated, window.changed(updated)),
        ("红字", resolved, window.changed(np.where(invoices.credit > 0, resolved, 2**61))),
    ):
        is_invoice = kind == "蓝字"
        parts.append(
            table_of(
                ERP_TABLES["fi_invoice"],
                join("FP" if is_invoice else "HZ", pa.array(number[select]).cast(pa.string())),
                join("SO", pa.array(number[select]).cast(pa.string())),
                take(codes, invoices.owner[select]),
                date_text((invoices.day if is_invoice else invoices.resolved_on)[select]),
                date_text(invoices.due[select], invoices.is_due_stated[select] & is_invoice),
                decimal_text((invoices.gross if is_invoice else invoices.credit)[select], 2),
                decimal_text((invoices.tax if is_invoice else credit_tax)[select], 2),
                take(pa.array(CURRENCIES), chunk.customers.currency[invoices.owner[select]]),
                constant(kind, len(select)),
                flags((disputed[select] <= until) & (resolved[select] > until) & is_invoice),
                time_text(at[select]),
                flags(np.zeros(len(select), dtype=np.bool_)),
            )
        )
    return pa.concat_tables(parts)
