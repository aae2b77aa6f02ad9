"""The sample company: same parameters same content, and content that obeys its own arithmetic."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts import sample_company
from scripts.company.facts import BANK_HEADER, TABLES
from scripts.company.trade import simulate
from scripts.company.world import Draws, Parameters, SampleCompanyError, World

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


def query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{folder / 'erp.sqlite'}?mode=ro", uri=True) as erp:
        return erp.execute(sql).fetchall()


def bank_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "bank").iterdir())}


def responses(folder: Path) -> dict[str, dict[str, Any]]:
    text = (folder / "surveys" / "responses.jsonl").read_text(encoding="utf-8")
    listed = [json.loads(line) for line in text.splitlines()]
    by_id = {response["response_id"]: response for response in listed}
    assert len(by_id) == len(listed)
    return by_id


def contents(folder: Path) -> dict[str, Any]:
    """Everything a source shows, in an order of its own."""
    tables: dict[str, Any] = {
        name: Counter(query(folder, f"select * from {name}")) for name in TABLES
    }
    marker = json.loads((folder / "company.json").read_text(encoding="utf-8"))
    shown = {"bank": bank_files(folder), "surveys": responses(folder), "marker": marker}
    return tables | shown


def test_same_parameters_give_the_same_content(small: Path, tmp_path: Path) -> None:
    sample_company.make(tmp_path / "again", SMALL)
    assert contents(tmp_path / "again") == contents(small)
    for name in ("erp.sqlite", "surveys/responses.jsonl", "company.json"):
        assert (tmp_path / "again" / name).read_bytes() == (small / name).read_bytes()


def test_another_seed_gives_another_company(small: Path, tmp_path: Path) -> None:
    sample_company.make(tmp_path / "other", Parameters(customers=40, years=1, seed=1))
    other, first = contents(tmp_path / "other"), contents(small)
    assert all(other[name] != first[name] for name in ("crm_customer", "so_order", "bank"))


@pytest.mark.parametrize("steps", [(1,) * 12, (5, 40), (120,)])
def test_advance_equals_a_cut_at_that_day(steps: tuple[int, ...], tmp_path: Path) -> None:
    parameters = Parameters(customers=25, years=1)
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
    reached, counts = sample_company.advance(tmp_path / "c", 3)
    assert reached == date(2026, 7, 3)
    rows = query(tmp_path / "c", "select order_no, status, updated_at from so_order")
    conflict = {row["key"] for row in dirty_list(tmp_path / "c")}
    changed = [row for row in rows if old.get(row[0]) != row[1] + row[2] and row[0] not in conflict]
    assert len(changed) == counts["so_order"] > 0
    assert any(row[0] in old for row in changed)
    assert {row[2][:10] for row in changed} <= {"2026-07-01", "2026-07-02", "2026-07-03"}
    assert "bank_2026-06-30.csv" < max(bank_files(tmp_path / "c")) <= "bank_2026-07-03.csv"


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
        assert abs(Decimal(net) * Decimal("0.13") - Decimal(tax)) <= Decimal("0.005")
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
            assert abs(Decimal(amount) * 13 / 113 - Decimal(tax)) <= Decimal("0.005")
    assert credit_notes > 50


def test_money_is_text_and_types_are_declared(company: Path) -> None:
    for name, table in TABLES.items():
        declared = {row[1]: row[2] for row in query(company, f"pragma table_info({name})")}
        assert declared == table.columns
        for column, kind in table.columns.items():
            types = {
                row[0] for row in query(company, f"select distinct typeof({column}) from {name}")
            }
            assert types <= {"integer" if kind == "INTEGER" else "text", "null"}


def test_nothing_is_stamped_after_the_date(company: Path) -> None:
    for name in TABLES:
        assert query(company, f"select max(updated_at) from {name}")[0][0] < "2026-07-01"
    assert max(bank_files(company)) == "bank_2026-06-30.csv"
    assert max(each["updated_at"] for each in responses(company).values()) < "2026-07-01"


def test_bank_files_decode_and_their_trailers_are_right(company: Path) -> None:
    odd_amounts = 0
    for name, content in bank_files(company).items():
        lines = content.decode("gb18030").split("\r\n")
        assert lines[0] == BANK_HEADER
        assert lines[-1] == ""
        rows = [line.split(",") for line in lines[1:-2]]
        total = Decimal(0)
        for row in rows:
            try:
                total += Decimal(row[4])
            except (IndexError, ArithmeticError):
                odd_amounts += 1
        assert lines[-2] == f"合计,{len(rows)},{total:.2f}"
        assert {row[-1][:10] for row in rows if len(row) == 13} <= {name[5:15]}
    assert odd_amounts == 2


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


def test_personal_data_is_obviously_invented(company: Path) -> None:
    phones = {row[0] for row in query(company, "select contact_phone from crm_customer")}
    assert all(phone.startswith("190000") and len(phone) == 11 for phone in phones)


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
    }  # fmt: skip
    answers = responses(company)
    for row in listed:
        where, key = row["where"], row["key"]
        if where.startswith("bank/"):
            lines = (company / where).read_bytes().decode("gb18030").splitlines()
            assert sum(line.startswith(f"{key},") for line in lines) == 1
        elif where.endswith(".jsonl"):
            response, question = key.split("/")
            assert question in {answer["question"] for answer in answers[response]["answers"]}
        else:
            columns = " || '/' || ".join(TABLES[where].key)
            found = query(company, f"select count(*) from {where} where {columns} = '{key}'")
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
    assert {row[0] for row in (*unknown, *orphans, *late, *twice)} <= listed
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
    }
    for name, (low, high) in ranges.items():
        assert low <= figures[name] <= high, name


def test_dissatisfaction_comes_before_leaving() -> None:
    """Customers who leave were less satisfied in the quarter before than those who stay."""
    world = World(Parameters(customers=900))
    customers = next(simulate(world, world.end)).customers
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
