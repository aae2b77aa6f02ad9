"""The sample company: same parameters same content, and content that obeys its own arithmetic."""

from __future__ import annotations

import codecs
import csv
import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from customer_marts.settings import COMPANIES_DIR, PROJECT_ROOT
from scripts import sample_company
from scripts.company.columns import Window
from scripts.company.crm import activity_rows, removed_activities
from scripts.company.facts import (
    BANK_HEADER,
    CAMPAIGNS,
    COUNT_BANK_COLUMNS,
    CRM_TABLES,
    ERP_TABLES,
)
from scripts.company.relations import simulate_activities, simulate_costs, simulate_tickets
from scripts.company.trade import Chunk, simulate
from scripts.company.world import (
    ANNOUNCED_DAYS,
    DAY_SECONDS,
    NEVER,
    Draws,
    Parameters,
    SampleCompanyError,
    World,
    day_date,
)
from scripts.company.writing import DatabaseUpdate, NewDatabase

TABLES = {**ERP_TABLES, **CRM_TABLES}
SMALL = Parameters(customers=40, years=1)
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "sources"
    sample_company.make(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("default") / "sources"
    sample_company.make(folder, Parameters())
    return folder


@pytest.fixture(scope="module")
def large() -> tuple[World, Chunk]:
    """The simulation behind a company of 900 customers."""
    world = World(Parameters(customers=900))
    return world, next(simulate(world, world.end))


def query(folder: Path, sql: str, database: str = "erp") -> list[tuple[Any, ...]]:
    uri = f"file:{folder / database}.sqlite?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        return connection.execute(sql).fetchall()


def table(folder: Path, name: str, columns: str = "*") -> list[tuple[Any, ...]]:
    return query(folder, f"select {columns} from {name}", "erp" if name in ERP_TABLES else "crm")


def bank_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "bank").glob("*.csv"))}


def rates(folder: Path) -> dict[tuple[date, str], Decimal]:
    """Yuan for 100 units by day and currency."""
    found = {}
    for path in sorted((folder / "files" / "treasury").iterdir()):
        assert path.read_bytes().startswith(codecs.BOM_UTF8)
        for line in path.read_text("utf-8-sig").splitlines()[1:]:
            day, currency, _, price = line.split(",")
            assert path.name == f"fx_rates_{day[:4]}-{day[4:6]}.csv"
            found[date.fromisoformat(day), currency] = Decimal(price)
    return found


def prices(folder: Path) -> dict[tuple[date, str], dict[str, Any]]:
    """The market's rows by day and index."""
    found: dict[tuple[date, str], dict[str, Any]] = {}
    for path in sorted((folder / "files" / "market").iterdir()):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            assert path.name == f"market_prices_{row['date'][:7]}.jsonl"
            assert (date.fromisoformat(row["date"]), row["index"]) not in found
            found[date.fromisoformat(row["date"]), row["index"]] = row
    return found


def responses(folder: Path) -> dict[str, dict[str, Any]]:
    text = (folder / "surveys" / "responses.jsonl").read_text(encoding="utf-8")
    listed = [json.loads(line) for line in text.splitlines()]
    by_id = {response["response_id"]: response for response in listed}
    assert len(by_id) == len(listed)
    return by_id


def contents(folder: Path) -> dict[str, Any]:
    """Everything a source shows, in an order of its own."""
    tables: dict[str, Any] = {name: Counter(table(folder, name)) for name in TABLES}
    marker = json.loads((folder / "company.json").read_text(encoding="utf-8"))
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in (*folder.glob("bank/*"), *folder.glob("files/*/*"))
    }
    return tables | {"files": files, "surveys": responses(folder), "marker": marker}


def test_same_parameters_give_the_same_content(small: Path, tmp_path: Path) -> None:
    sample_company.make(tmp_path / "again", SMALL)
    assert contents(tmp_path / "again") == contents(small)
    for name in ("erp.sqlite", "crm.sqlite", "surveys/responses.jsonl", "company.json"):
        assert (tmp_path / "again" / name).read_bytes() == (small / name).read_bytes()


def test_another_seed_gives_another_company(small: Path, tmp_path: Path) -> None:
    sample_company.make(tmp_path / "other", Parameters(customers=40, years=1, seed=1))
    other, first = contents(tmp_path / "other"), contents(small)
    assert all(other[name] != first[name] for name in ({*TABLES, "files"} - {"md_product"}))


@pytest.mark.parametrize("steps", [(1,) * 12, (5, 40), (120,)])
def test_advance_equals_a_cut_at_that_day(steps: tuple[int, ...], tmp_path: Path) -> None:
    parameters = Parameters(customers=60, years=1)
    moved, cut = tmp_path / "moved", tmp_path / "cut"
    sample_company.make(moved, parameters)
    before = query(moved, "select count(*) from so_order")[0][0]
    for days in steps:
        reached, _ = sample_company.advance(moved, days)
    sample_company.make(cut, parameters, as_of=reached)
    assert contents(moved) == contents(cut)
    assert query(moved, "select count(*) from so_order")[0][0] > before


def test_advance_brings_changed_rows_with_newer_stamps(tmp_path: Path) -> None:
    sample_company.make(tmp_path / "c", SMALL)
    old = dict(query(tmp_path / "c", "select order_no, status || updated_at from so_order"))
    reached, counts = sample_company.advance(tmp_path / "c", 5)
    assert reached == date(2026, 7, 7)
    rows = query(tmp_path / "c", "select order_no, status, updated_at from so_order")
    conflict = {row["key"] for row in dirty_list(tmp_path / "c")}
    changed = [row for row in rows if old.get(row[0]) != row[1] + row[2] and row[0] not in conflict]
    assert len(changed) == counts["so_order"] > 0
    assert any(row[0] in old for row in changed)
    assert {row[2][:10] for row in changed} <= {f"2026-07-0{day}" for day in range(1, 8)}
    newest = max(bank_files(tmp_path / "c"))
    assert "bank_2026-07-01.csv" <= newest <= "bank_2026-07-07_USD.csv"


def test_interrupted_advance_can_be_run_again(tmp_path: Path) -> None:
    sample_company.make(tmp_path / "once", SMALL)
    marker = (tmp_path / "once" / "company.json").read_bytes()
    sample_company.advance(tmp_path / "once", 3)
    wanted = contents(tmp_path / "once")
    # The date is written last: putting it back is the state after a kill just before that.
    (tmp_path / "once" / "company.json").write_bytes(marker)
    sample_company.advance(tmp_path / "once", 3)
    assert contents(tmp_path / "once") == wanted


def test_a_customer_does_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(SMALL)
    whole = next(simulate(world, world.end))
    monkeypatch.setattr("scripts.company.trade.CUSTOMERS_PER_CHUNK", 7)
    parts = list(simulate(world, world.end))
    assert len(parts) > 5
    for name in ("quantity", "price", "sku"):
        joined = np.concatenate([getattr(part.lines, name) for part in parts])
        assert np.array_equal(joined, getattr(whole.lines, name))
    amounts = np.concatenate([part.payments.amount for part in parts])
    assert np.array_equal(amounts, whole.payments.amount)


def test_draws_are_uniform_and_normal() -> None:
    draws, places = Draws(1), np.arange(200_000)
    uniform, normal = draws.uniform("a", places), draws.normal("b", places)
    assert uniform.min() > 0
    assert uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.003
    assert abs(np.corrcoef(uniform[1:], uniform[:-1])[0, 1]) < 0.01
    assert abs(normal.mean()) < 0.01
    assert abs(normal.std() - 1) < 0.01
    assert not np.array_equal(uniform, draws.uniform("c", places))


def test_line_amounts_add_up_to_the_cent(company: Path) -> None:
    rows = query(company, "select qty, price, discount, net_amount, tax from so_order_line")
    checked = 0
    for quantity, price, discount, net, tax in rows:
        if quantity in {"约50吨", "-12.000"}:
            continue
        exact = Decimal(quantity) * Decimal(price) - Decimal(discount) - Decimal(net)
        assert abs(exact) <= Decimal("0.005")
        assert tax == "0.00" or abs(Decimal(net) * Decimal("0.13") - Decimal(tax)) <= Decimal(
            "0.005"
        )
        checked += 1
    assert checked == len(rows) - 2 > 30_000


def test_invoices_are_their_orders_lines_with_tax(company: Path) -> None:
    totals: dict[str, list[Decimal]] = {}
    for order, net, tax in query(company, "select order_no, net_amount, tax from so_order_line"):
        sums = totals.setdefault(order, [Decimal(0), Decimal(0)])
        sums[0] += Decimal(net) + Decimal(tax)
        sums[1] += Decimal(tax)
    dirty = {row["key"] for row in dirty_list(company)}
    invoices = query(company, "select invoice_no, order_no, amount, tax, kind from fi_invoice")
    credit_notes = 0
    for invoice, order, amount, tax, kind in invoices:
        if invoice in dirty:
            continue
        if kind == "蓝字":
            assert totals[order] == [Decimal(amount), Decimal(tax)]
        else:
            credit_notes += 1
            assert 0 < Decimal(amount) < totals[order][0]
            with_tax = Decimal(amount) * 13 / 113 - Decimal(tax)
            assert abs(with_tax) <= Decimal("0.005") or totals[order][1] == 0 == Decimal(tax)
    assert credit_notes > 50


def test_money_is_text_and_types_are_declared(company: Path) -> None:
    for name, each in TABLES.items():
        database = "erp" if name in ERP_TABLES else "crm"
        info = query(company, f"pragma table_info({name})", database)
        assert {row[1]: row[2] for row in info} == each.columns
        for column, kind in each.columns.items():
            types = {row[0] for row in table(company, name, f"distinct typeof({column})")}
            assert types <= {"integer" if kind == "INTEGER" else "text", "null"}


def test_nothing_is_stamped_after_the_date(company: Path) -> None:
    for name in TABLES:
        # The CRM's clock is eight hours behind.
        end = "2026-07-01" if name in ERP_TABLES else "2026-06-30 16:00:00"
        assert table(company, name, "max(updated_at)")[0][0] < end
    assert max(bank_files(company))[5:15] == "2026-06-30"
    assert max(each["updated_at"] for each in responses(company).values()) < "2026-07-01"
    assert max(day for day, _ in rates(company)) == date(2026, 6, 30)
    published = max(row["published_at"] for row in prices(company).values())
    assert published == "2026-06-30T17:30:00+08:00"


def test_bank_files_decode_and_their_trailers_are_right(company: Path) -> None:
    odd_amounts = odd_lengths = 0
    for name, content in bank_files(company).items():
        lines = content.decode("gb18030").split("\r\n")
        assert lines[0] == BANK_HEADER
        assert lines[-1] == ""
        rows = [line.split(",") for line in lines[1:-2]]
        odd_lengths += sum(len(row) != COUNT_BANK_COLUMNS for row in rows)
        total = Decimal(0)
        for row in rows:
            try:
                total += Decimal(row[4])
            except (IndexError, ArithmeticError):
                odd_amounts += 1
        assert lines[-2] == f"合计,{len(rows)},{total:.2f}"
        assert {row[-1][:10] for row in rows if len(row) == COUNT_BANK_COLUMNS} <= {name[5:15]}
        account = name[16:19] if name[15] == "_" else "CNY"
        assert {row[5] for row in rows if len(row) == COUNT_BANK_COLUMNS} == {account}
        assert (company / "bank" / f"{name}.done").is_file()
    assert odd_amounts == 2
    assert odd_lengths == 1, "the line with too few columns"


def test_bills_change_only_in_later_files(company: Path) -> None:
    states: dict[str, list[tuple[str, list[str]]]] = {}
    for name, content in bank_files(company).items():
        for line in content.decode("gb18030").splitlines()[1:-1]:
            cells = line.split(",")
            states.setdefault(cells[0], []).append((name, cells))
    repeated = [rows for rows in states.values() if len(rows) > 1]
    assert len(repeated) > 500
    for rows in repeated:
        assert [name for name, _ in rows] == sorted({name for name, _ in rows})
        assert rows[0][1][11] == "持有"
        assert len({tuple(cells[:11]) for _, cells in rows}) == 1
        assert all(cells[12] == name[5:15] for name, cells in rows)
    ends = Counter(rows[-1][1][11] for rows in repeated)
    assert ends.keys() == {"已背书", "已贴现", "已到期", "拒付"}
    bill_numbers = [rows[0][1][9] for rows in states.values() if rows[0][1][9:10] not in ([], [""])]
    assert len(bill_numbers) == len(set(bill_numbers))
    assert {len(number) for number in bill_numbers} == {30}


def test_credit_codes_have_right_check_characters(company: Path) -> None:
    codes = [row[0] for row in query(company, "select uscc from crm_customer")]
    assert len(set(codes)) > 290
    # The last one is published in the national register: it proves the test's own arithmetic.
    for code in (*codes, "914403001922038216"):
        total = sum(USCC_ALPHABET.index(char) * 3**place for place, char in enumerate(code[:17]))
        assert USCC_ALPHABET[-total % 31] == code[17]


def test_members_of_a_group_are_owned_by_its_head(company: Path) -> None:
    """The head is the member with the lowest number; who was registered before it has no owner."""
    rows = table(company, "crm_customer", "cust_code, group_code, parent_code, created_on")
    group_of = {row[0]: row[1] for row in rows}
    created = {row[0]: row[3] for row in rows}
    heads: dict[str, str] = {}
    for code, group in sorted(group_of.items()):
        if group:
            heads.setdefault(group, code)
    owned = {code: parent for code, _, parent, _ in rows if parent}
    assert len(owned) > 20
    assert owned == {
        code: heads[group]
        for code, group, _, _ in rows
        if group and heads[group] != code and created[heads[group]] <= created[code]
    }


def test_personal_data_is_obviously_invented(company: Path) -> None:
    contacts = table(company, "crm_customer", "cust_code, contact_phone, contact_email")
    for code, phone, email in contacts:
        assert phone.startswith("190000")
        assert len(phone) == 11
        assert email == f"purchasing.{code.lower()}@example.com"


def dirty_list(folder: Path) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = json.loads((folder / "company.json").read_bytes())["dirty"]
    return listed


def test_every_dirty_row_is_in_its_source(company: Path) -> None:
    listed = dirty_list(company)
    assert all(row.keys() == {"where", "key", "kind", "expect"} for row in listed)
    assert {row["kind"] for row in listed} == {
        "order_of_unknown_customer", "line_of_held_order", "line_of_missing_order",
        "duplicate_row", "same_key_other_content", "line_of_conflicting_order", "text_in_number",
        "negative_quantity", "impossible_date", "due_before_invoice", "soft_deleted",
        "text_in_amount", "negative_amount", "zero_amount", "missing_customer", "unknown_method",
        "too_few_columns", "answer_of_unknown_customer", "score_outside_scale",
        "undeclared_currency", "line_of_faulty_order", "delivery_of_unknown_order",
        "negative_weight", "negative_cost", "resolved_before_opened", "unknown_severity",
        "unknown_kind", "contact_with_unknown_customer", "probability_above_one",
        "closed_before_opened", "zero_rate", "negative_price",
    }  # fmt: skip
    assert len({row["key"] for row in listed}) == len(listed)
    answers = responses(company)
    for row in listed:
        where, key = row["where"], row["key"]
        if where.startswith("bank/"):
            lines = (company / where).read_bytes().decode("gb18030").splitlines()
            assert sum(line.startswith(f"{key},") for line in lines) == 1
        elif where.startswith("files/"):
            day, code = key.split("/")
            lines = (company / where).read_text("utf-8-sig").splitlines()
            assert sum(day in line and code in line for line in lines) == 1
        elif where.endswith(".jsonl"):
            response, question = key.split("/")
            assert question in {answer["question"] for answer in answers[response]["answers"]}
        else:
            # of a deal every change is a row; its key is the deal alone
            columns = "deal_id" if where == "deals" else " || '/' || ".join(TABLES[where].key)
            found = table(company, where, f"count(*) filter (where {columns} = '{key}')")
            is_double = row["kind"] in {"duplicate_row", "same_key_other_content"}
            assert found == [(2 if is_double else 1,)]


def test_only_listed_rows_are_dirty(company: Path) -> None:
    listed = {row["key"] for row in dirty_list(company)}
    unknown = query(
        company,
        "select order_no from so_order where cust_code not in (select cust_code from crm_customer)",
    )
    orphans = query(
        company,
        "select order_no || '/' || line_no from so_order_line"
        " where order_no not in (select order_no from so_order)",
    )
    late = query(company, "select invoice_no from fi_invoice where due_date < invoice_date")
    twice = query(company, "select order_no from so_order group by 1 having count(*) > 1")
    assert [len(rows) for rows in (unknown, orphans, late, twice)] == [1, 2, 1, 2]
    undelivered = query(
        company,
        "select delivery_no from so_delivery where cast(tonnes as real) <= 0"
        " or order_no not in (select order_no from so_order)",
    )
    tickets = query(
        company,
        "select ticket_id from tickets where priority not in ('P1', 'P2', 'P3', 'P4')"
        " or coalesce(first_response_at, opened_at) not between opened_at and"
        " coalesce(resolved_at, '9')  or resolved_at < opened_at",
        "crm",
    )
    deals = query(
        company,
        "select deal_id from deals where probability_percent > 100 or closed_on < created_on"
        " or (won is null) <> (stage not like 'Closed%') or (won is null) <> (closed_on is null)"
        " or (won = 'Y') <> (stage = 'Closed Won')",
        "crm",
    )
    assert [len(rows) for rows in (undelivered, tickets, deals)] == [2, 2, 2]
    found = (*unknown, *orphans, *late, *twice, *undelivered, *tickets, *deals)
    assert {row[0] for row in found} <= listed
    for response, content in responses(company).items():
        for answer in content["answers"]:
            inside = answer["min"] <= answer["score"] <= answer["max"]
            assert inside or f"{response}/{answer['question']}" in listed


def test_the_company_is_believable(company: Path) -> None:
    """Ranges that a dealer of this kind could report."""
    figures = sample_company.describe(company)
    assert figures["customers"] == 300
    assert 30_000 <= figures["order_lines"] <= 40_000
    full_years = [figures["revenue_by_year"][year] for year in ("2024", "2025")]
    assert all(1_000 < amount < 5_000 for amount in full_years)
    ranges = {
        "top_fifth_revenue_rate": (0.72, 0.87),
        "active_customers_rate": (0.65, 0.9),
        "paid_rate": (0.93, 0.98),
        "dso_days": (45, 75),
        "overdue_rate": (0.1, 0.4),
        "long_overdue_customers_rate": (0.01, 0.06),
        "nps": (20, 40),
        "foreign_revenue_rate": (0.005, 0.1),
        "parts_per_order": (1.05, 1.4),
        "late_rate": (0.05, 0.12),
        "cost_to_serve_rate": (0.008, 0.03),
        "complaints": (500, 1_000),
        "complaints_resolved_rate": (0.85, 0.97),
        "complaints_satisfied_rate": (0.4, 0.7),
        "complaint_median_days": (5, 20),
        "opportunities": (700, 1_200),
        "win_rate": (0.35, 0.6),
        "sales_cycle_days": (30, 60),
    }
    for name, (low, high) in ranges.items():
        assert low <= figures[name] <= high, name


def test_dissatisfaction_comes_before_leaving(large: tuple[World, Chunk]) -> None:
    """Customers who leave were less satisfied in the quarter before than those who stay."""
    world, chunk = large
    customers = chunk.customers
    leavers = np.flatnonzero(
        (customers.left_on < world.horizon) & (customers.left_on > world.start + 95)
    )
    quarter = world.at(world.quarters, customers.left_on[leavers])
    before = customers.satisfaction[leavers, quarter - 1]
    assert len(leavers) > 50
    assert before.mean() < customers.satisfaction.mean() - 0.2


def test_orders_dip_at_the_spring_festival(company: Path) -> None:
    days = Counter(
        row[0] for row in query(company, "select substr(order_time, 1, 10) from so_order")
    )
    festivals = [date(2024, 2, 10), date(2025, 1, 29), date(2026, 2, 17)]
    during = sum(days[str(day + timedelta(n))] for day in festivals for n in range(-10, 14))
    after = sum(days[str(day + timedelta(n))] for day in festivals for n in range(20, 44))
    assert 0 < during < 0.5 * after
    assert not any(days[str(day)] for day in festivals)


def test_announced_days_are_those_of_the_marts_calendar() -> None:
    world = World(Parameters(years=4))
    with (PROJECT_ROOT / "dbt_project/seeds/business_calendar.csv").open(encoding="utf-8") as lines:
        listed = {row["day"]: row["kind"] for row in csv.DictReader(lines)}
    for day, is_business in zip(world.days.tolist(), world.is_business, strict=True):
        known = day_date(day)
        if known.year in ANNOUNCED_DAYS:
            kind = listed.get(str(known), "workday" if known.weekday() < 5 else "holiday")
            assert is_business == (kind == "workday"), known


def test_no_day_is_further_than_ten_days_from_a_rate(company: Path) -> None:
    known = rates(company)
    for currency in ("USD", "EUR"):
        days = sorted(day for day, code in known if code == currency)
        assert days[0] <= date(2023, 1, 1)
        assert max((b - a).days for a, b in pairwise(days)) <= 10
        assert all(500 < known[day, currency] < 1000 for day in days)
        moves = [known[b, currency] / known[a, currency] - 1 for a, b in pairwise(days)]
        assert max(map(abs, moves)) < 0.04


def test_exporters_trade_in_one_currency_without_tax(company: Path) -> None:
    dirty = {row["key"] for row in dirty_list(company)}
    currencies: dict[str, set[str]] = {}
    for name in ("so_order", "fi_invoice"):
        for code, currency, order in table(company, name, "cust_code, currency, order_no"):
            if order not in dirty:
                currencies.setdefault(code, set()).add(currency)
    for content in bank_files(company).values():
        for line in content.decode("gb18030").splitlines()[1:-1]:
            cells = line.split(",")
            if len(cells) == COUNT_BANK_COLUMNS and cells[0] not in dirty:
                currencies.setdefault(cells[2], set()).add(cells[5])
                assert cells[5] == "CNY" or (cells[6], cells[9]) == ("转账", "")
    assert all(len(each) == 1 for each in currencies.values())
    count = Counter(each.pop() for each in currencies.values())
    assert 5 < count["USD"] < 25 > count["EUR"] > 0
    taxed = query(
        company,
        "select count(*) from so_order_line join so_order using (order_no)"
        " where (currency in ('USD', 'EUR')) <> (tax = '0.00')",
    )
    assert taxed == [(0,)]


def test_prices_of_a_month_grow_and_are_revised(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    sample_company.make(folder, Parameters(customers=2, years=1), date(2026, 3, 31))
    before = prices(folder)
    for _ in range(5):
        sample_company.advance(folder, 21)
    after = prices(folder)
    assert before.keys() < after.keys()
    same = sum(before[key] == after[key] for key in before)
    assert same > 0.98 * len(before)
    revised = [row for row in after.values() if row["published_at"][:10] > row["date"]]
    assert 0.003 < len(revised) / len(after) < 0.02


def test_deliveries_are_the_whole_of_a_completed_order(company: Path) -> None:
    net: dict[str, Decimal] = {}
    for order, amount in table(company, "so_order_line", "order_no, net_amount"):
        net[order] = net.get(order, Decimal(0)) + Decimal(amount)
    delivered: dict[str, Decimal] = {}
    for order, amount in table(company, "so_delivery", "order_no, net_amount"):
        delivered[order] = delivered.get(order, Decimal(0)) + Decimal(amount)
    dirty = {row["key"] for row in dirty_list(company)}
    orders = table(company, "so_order", "order_no, status")
    completed = [order for order, state in orders if state == "已完成" and order[-6:] < "990000"]
    assert len(completed) > 10_000
    assert all(delivered[order] == net[order] for order in completed)
    assert all(delivered[order] <= net[order] for order in delivered.keys() - dirty if order in net)


def test_bad_episodes_bring_late_deliveries_and_complaints(large: tuple[World, Chunk]) -> None:
    world, chunk = large
    orders, customers = chunk.orders, chunk.customers
    is_bad = customers.has_episode[orders.owner, world.at(world.quarters, orders.day)]
    is_late = orders.completed_at // DAY_SECONDS > orders.promised_on
    is_late &= orders.completed_at < NEVER * DAY_SECONDS
    assert is_late[is_bad].mean() > 0.4
    assert is_late[~is_bad].mean() < 0.1
    tickets = simulate_tickets(world, chunk)
    assert is_late[tickets.order[tickets.category == 0]].all()
    quarter = world.at(world.quarters, tickets.opened_at // DAY_SECONDS)
    in_episode = customers.has_episode[tickets.owner, quarter]
    assert in_episode.mean() > 3 * customers.has_episode.mean()
    took = tickets.resolved_at - tickets.opened_at
    own_pace = (tickets.category == 0) & (took < 200 * DAY_SECONDS)
    assert np.median(took[own_pace & in_episode]) > 1.3 * np.median(took[own_pace & ~in_episode])


def test_demanding_customers_cost_more_to_serve(large: tuple[World, Chunk]) -> None:
    world, chunk = large
    costs, customers = simulate_costs(world, chunk), chunk.customers
    served = costs.kind == 1
    spent = np.bincount(costs.owner[served], costs.amount[served], len(customers))
    months = np.bincount(costs.owner[served], minlength=len(customers))
    rate = spent / np.maximum(months, 1) / (20_000 + 0.2 * customers.monthly_value)
    demanding = customers.demand > np.median(customers.demand)
    active = months > 0
    assert rate[active & demanding].mean() > 1.3 * rate[active & ~demanding].mean()
    contacts = np.bincount(simulate_activities(world, customers).owner, minlength=len(customers))
    assert contacts[active & demanding].mean() > 1.1 * contacts[active & ~demanding].mean()


def test_one_campaign_works_a_little_and_the_other_does_not(large: tuple[World, Chunk]) -> None:
    """Spot orders after the contact, over those of customers who were left out."""
    world, chunk = large
    orders, customers = chunk.orders, chunk.customers
    level = np.log(chunk.net) - np.log(customers.order_value)[orders.owner]
    ratios = []
    for place, campaign in enumerate(CAMPAIGNS):
        first = world.end - campaign.days_before_end + campaign.window_days
        during = ~orders.is_contract & (orders.day > first) & (orders.day <= first + 75)
        during &= customers.currency[orders.owner] == 0
        reached = customers.campaign_on[orders.owner, place] < NEVER
        effect = level[during & reached].mean() - level[during & ~reached].mean()
        ratios.append(float(np.exp(effect)))
    assert 1.08 < ratios[0] < 1.35
    assert 0.9 < ratios[1] < 1.1


def test_an_activity_entered_twice_disappears(tmp_path: Path) -> None:
    world = World(Parameters(customers=400, years=1))
    chunk = next(simulate(world, world.end + 30))
    activities = simulate_activities(world, chunk.customers)
    path = tmp_path / "crm.sqlite"
    new = NewDatabase(path, CRM_TABLES)
    new.append("activities", activity_rows(chunk, activities, Window(world.end)))
    new.close()
    before = {row[0] for row in table(tmp_path, "activities", "activity_id")}
    window = Window(world.end + 30, world.end)
    removed = removed_activities(activities, window)
    update = DatabaseUpdate(path, CRM_TABLES)
    update.remove("activities", removed)
    update.append("activities", activity_rows(chunk, activities, window))
    update.close()
    after = Counter(table(tmp_path, "activities"))
    whole = activity_rows(chunk, activities, Window(world.end + 30))
    assert after == Counter(tuple(row.values()) for row in whole.to_pylist())
    assert before - {row[0] for row in after} == before & set(removed) != set()


def test_the_crosswalk_merges_codes_of_one_legal_entity(company: Path) -> None:
    legal = dict(table(company, "crm_customer", "cust_code, uscc"))
    with (COMPANIES_DIR / "sample.identity.csv").open(encoding="utf-8") as lines:
        merges = [row for row in csv.DictReader(lines) if row["kind"] == "merge"]
    merged = {(row["from_customer_id"], row["to_customer_id"]) for row in merges}
    assert all(legal[code] == legal[other] for code, other in merged)
    assert all(date.fromisoformat(row["decided_on"]) <= date(2026, 6, 30) for row in merges)
    doubled = {code for code, count in Counter(legal.values()).items() if count == 2}
    proposals = doubled - {legal[code] for code, _ in merged}
    assert len(merged) == 2
    assert len(proposals) >= 2


def test_make_replaces_a_company_but_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    sample_company.make(folder, Parameters(customers=3, years=1))
    sample_company.make(folder, Parameters(customers=4, years=1))
    assert query(folder, "select count(*) from crm_customer") == [(4,)]
    assert [path.name for path in tmp_path.iterdir()] == ["sources"]
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter1.txt").write_text("irreplaceable", encoding="utf-8")
    with pytest.raises(SampleCompanyError, match="not a sample company"):
        sample_company.make(other, SMALL)
    assert [path.name for path in other.iterdir()] == ["chapter1.txt"]


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "c")
    made = ["make", "--to", folder, "--customers", "10", "--years", "1", "--end", "2026-06-26"]
    assert sample_company.main(made) == 0
    assert sample_company.main(["advance", "--to", folder]) == 0
    # 2026-06-26 is a Friday.
    assert "advanced to 2026-06-29" in capsys.readouterr().out
    assert sample_company.main(["describe", "--to", folder]) == 0
    assert json.loads(capsys.readouterr().out)["as_of"] == "2026-06-29"
    assert sample_company.main(["advance", "--to", folder, "--days", "400"]) == 1
    assert "outside the simulation" in capsys.readouterr().err
    assert sample_company.main(["advance", "--to", str(tmp_path / "none")]) == 1
    assert "make one first" in capsys.readouterr().err
