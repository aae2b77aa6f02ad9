"""Landing: types, rules, conflicts, budget and the batch's own ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from customer_marts import sources
from customer_marts.errors import BatchFault
from customer_marts.landing import Batch, feed_work_folder, land, reread_note
from customer_marts.sources.extract import ControlTotal, Watermark
from tests.landings import (
    NOW,
    apply,
    land_feed,
    land_feed_or_nothing,
    quarantined,
    rows_of,
    table,
)
from tests.mini import MiniCompany


def test_rows_and_amounts_are_conserved(mini: MiniCompany) -> None:
    rows = [mini.payment(f"B{i}", amount=f"{i}.10") for i in range(1, 60)]
    rows += [mini.payment("B60", amount="-3.00"), mini.payment("B61", amount="abc")]
    mini.write_bank("2026-01-20", rows)
    batch = land_feed(mini, "payments")
    [line] = batch.manifest["ledger"]
    total = sum(Decimal(f"{i}.10") for i in range(1, 60))
    assert line["rows_pulled"] == 61
    assert line["rows_accepted"] == 59
    assert line["rows_quarantined"] == 2
    assert Decimal(line["amount_accepted"]) == total
    assert Decimal(line["amount_quarantined"]) == Decimal("-3.00")
    assert Decimal(line["amount_pulled"]) == total - 3


@pytest.mark.parametrize("word", ["合计", "总计：", "小 计", "本月合计", "Total", "Grand total:"])
def test_a_line_that_sums_the_others_is_no_row(mini: MiniCompany, word: str) -> None:
    """Whether its key or the customer says so; a name that only begins like it is one."""
    rows = [
        mini.payment("B1", customer="Total Energies"),
        mini.payment("B2", customer=word),
        f"{word},,,,5650.00,,,,,,,,",
    ]
    mini.write_bank("2026-01-20", rows)
    batch = land_feed(mini, "payments")
    assert rows_of(batch, "payment_id") == [("B1",)]
    assert quarantined(batch) == [
        ("total_line", "customer_id", word),
        ("total_line", "payment_id", word),
    ]


def test_blanks_around_a_code_make_no_other_customer(mini: MiniCompany) -> None:
    mini.write_bank(
        "2026-01-20",
        [mini.payment("B1", customer="\tC1"), mini.payment("\u3000\tB2\u00a0", customer="C1 ")],
    )
    batch = land_feed(mini, "payments")
    assert rows_of(batch, "payment_id, customer_id") == [("B1", "C1"), ("B2", "C1")]


@pytest.mark.parametrize(
    ("change", "rule", "column", "value"),
    [
        ({"amount": "12.345"}, "too_precise_amount", "amount", "12.345"),
        ({"amount": "12.3O"}, "invalid_amount", "amount", "12.3O"),
        (
            {"at": "2026-02-30 10:00:00"},
            "invalid_received_at",
            "received_at",
            "2026-02-30 10:00:00",
        ),
        ({"customer": ""}, "missing_customer_id", "customer_id", None),
        ({"method": "微信红包"}, "method_known", "method", "微信红包"),
    ],
)
def test_a_faulty_row_is_kept_with_rule_column_and_value(
    mini: MiniCompany, change: dict[str, str], rule: str, column: str, value: str | None
) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B1"), mini.payment("B2", **change)])
    batch = land_feed(mini, "payments")
    assert quarantined(batch) == [(rule, column, value)]
    [(raw, key, owner)] = quarantined(batch, "raw, row_key, owner")
    assert json.loads(raw)["流水号"] == key == "B2"
    assert owner


def test_one_key_one_version_two_contents_is_a_conflict(mini: MiniCompany) -> None:
    mini.add_order("O1")
    mini.execute("insert into so_order select * from so_order")
    mini.execute("update so_order set status = '已取消' where rowid = 2")
    mini.add_order("O2")
    batch = land_feed(mini, "orders")
    assert [rule for rule, *_ in quarantined(batch)] == ["key_conflict", "key_conflict"]
    assert [row[0] for row in rows_of(batch, "order_id")] == ["O2"]


def test_a_foreign_currency_without_a_rate_is_held_back(mini: MiniCompany) -> None:
    mini.add_order("O1")
    mini.add_order("O2")
    mini.execute("update so_order set currency = 'USD' where order_no = 'O2'")
    batch = land_feed(mini, "orders")
    assert quarantined(batch) == [("currency_without_rate", "currency", "USD")]
    assert [line["currency"] for line in batch.manifest["ledger"]] == ["CNY", "USD"]


def test_too_many_faults_stop_the_batch_and_name_the_reasons(mini: MiniCompany) -> None:
    rows = [mini.payment(f"B{i}") for i in range(20)]
    rows += [mini.payment(f"X{i}", amount="n/a") for i in range(3)]
    mini.write_bank("2026-01-20", rows)
    with pytest.raises(BatchFault, match="3 of 23 rows are faulty") as caught:
        land_feed(mini, "payments")
    assert "invalid_amount 3 rows (column amount, e.g. 'n/a')" in caught.value.what
    assert not list((mini.settings.paths.landing / "payments").glob("*/manifest.json"))


def test_the_business_day_begins_at_the_cut_off(mini: MiniCompany) -> None:
    mini.mapping["cut_off"] = "17:00"
    mini.save_mapping()
    mini.add_order("O1", at="2026-01-05 16:59:59")
    mini.add_order("O2", at="2026-01-05 17:00:00")
    batch = land_feed(mini, "orders")
    assert rows_of(batch, "order_id, ordered_on") == [
        ("O1", "2026-01-05"),
        ("O2", "2026-01-06"),
    ]


def test_a_killed_pull_leaves_nothing_that_counts(mini: MiniCompany) -> None:
    mini.add_order("O1")
    leftover = mini.settings.paths.landing / "orders" / ".work" / "half"
    leftover.mkdir(parents=True)
    (leftover / "data.parquet").write_bytes(b"PAR1")
    batch = land_feed(mini, "orders")
    assert batch.manifest["rows"]["accepted"] == 1
    assert not leftover.exists()


# --- units and tax ------------------------------------------------------------------------------


def test_a_unit_is_converted_exactly(mini: MiniCompany) -> None:
    mini.mapping["feeds"]["customers"]["columns"]["credit_limit"] = {
        "column": "credit_limit",
        "unit": "万元",
    }
    mini.save_mapping()
    mini.execute("update crm_customer set credit_limit = '123.456789' where cust_code = 'C1'")
    mini.execute("update crm_customer set credit_limit = '0.1234567' where cust_code = 'C2'")
    batch = land_feed(mini, "customers")
    assert rows_of(batch, "customer_id, credit_limit") == [("C1", "1234567.89")]
    # 1,234.567 yuan is no amount in cents
    assert quarantined(batch) == [("too_precise_credit_limit", "credit_limit", "0.1234567")]


def test_each_row_may_have_its_own_unit(mini: MiniCompany) -> None:
    mini.execute("alter table so_order_line add column uom")
    mini.mapping["feeds"]["order_lines"]["columns"]["quantity"] = {
        "column": "qty",
        "unit_column": "uom",
    }
    mini.save_mapping()
    for number, unit in (("O1", "万吨"), ("O2", "千克"), ("O3", "桶")):
        mini.execute(
            "insert into so_order_line values "
            f"('{number}', '1', 'P1', '1500', '0', '0', '0', '0', '400', "
            f"'2026-01-05 10:00:00', '0', '{unit}')"
        )
    batch = land_feed(mini, "order_lines")
    assert rows_of(batch, "order_id, quantity") == [("O1", "15000000.000"), ("O2", "1.500")]
    assert quarantined(batch) == [("unknown_unit_quantity", "quantity", "1500")]


@pytest.mark.parametrize(
    ("mapping", "given", "landed"),
    [
        # 113.00 with 13 % tax is 100.00 and 13.00
        ({"tax": "included", "tax_rate": 0.13}, "113.00", ("100.00", "13.00")),
        # 0.10 / 1.13 = 0.0885: whole cents, halves away from zero
        ({"tax": "included", "tax_rate": 0.13}, "0.10", ("0.09", "0.01")),
        ({"tax": "excluded"}, "113.00", ("113.00", None)),
    ],
)
def test_an_amount_with_tax_is_landed_without(
    mini: MiniCompany, mapping: dict[str, object], given: str, landed: tuple[str, str | None]
) -> None:
    columns = mini.mapping["feeds"]["order_lines"]["columns"]
    columns["amount"] = {"column": "net_amount", **mapping}
    del columns["tax"]
    mini.save_mapping()
    mini.add_order("O1", quantity="1", price=landed[0], net=given)
    batch = land_feed(mini, "order_lines")
    assert rows_of(batch, "amount, tax") == [landed]


def test_a_tax_column_converts_an_amount(mini: MiniCompany) -> None:
    mini.mapping["feeds"]["order_lines"]["columns"]["amount"] = {
        "column": "net_amount",
        "tax": "included",
    }
    mini.save_mapping()
    mini.add_order("O1", net="5650.00")
    assert rows_of(land_feed(mini, "order_lines"), "amount, tax") == [("5000.00", "650.00")]


@pytest.mark.parametrize("number", ["0x10", "1_000", "1,000.00", "壹佰", "1e5x", "--1"])
def test_what_only_looks_like_a_number_is_none(mini: MiniCompany, number: str) -> None:
    mini.add_order("O1")
    mini.add_order("O2", net=number)
    batch = land_feed(mini, "order_lines")
    assert quarantined(batch) == [("invalid_amount", "amount", number)]


# --- deletions found by comparing keys ----------------------------------------------------------


def reconciling(mini: MiniCompany, limit_rate: float = 0.5) -> MiniCompany:
    mini.mapping["feeds"]["orders"]["reconcile_keys"] = {"every_days": 1, "limit_rate": limit_rate}
    mini.save_mapping()
    for number in range(1, 9):
        mini.add_order(f"O{number}")
    return mini


def test_rows_gone_at_the_source_land_as_deletions(mini: MiniCompany, tmp_path: Path) -> None:
    reconciling(mini)
    first = land_feed(mini, "orders")
    database = apply(mini, tmp_path / "build.duckdb", {"orders": [first]})
    mini.execute("delete from so_order where order_no in ('O3', 'O4')")
    gone = land_feed(mini, "orders", [first], database)
    assert gone.manifest["rows_reconciled"] == gone.manifest["rows_deleted"] == 2
    apply(mini, database, {"orders": [gone]}, sequence=2)
    left = "select order_id from landing.orders where not is_deleted order by 1"
    assert [row for (row,) in table(database, left)] == ["O1", "O2", "O5", "O6", "O7", "O8"]
    # one that comes back is back, though its version is the old one
    mini.add_order("O3")
    back = land_feed(mini, "orders", [first, gone], database)
    apply(mini, database, {"orders": [back]}, sequence=3)
    assert ("O3",) in table(database, left)
    rebuilt = apply(mini, tmp_path / "rebuilt.duckdb", {"orders": [first, gone, back]})
    assert table(rebuilt, left) == table(database, left)


def test_a_mass_deletion_is_taken_for_a_fault(mini: MiniCompany, tmp_path: Path) -> None:
    reconciling(mini, limit_rate=0.3)
    first = land_feed(mini, "orders")
    database = apply(mini, tmp_path / "build.duckdb", {"orders": [first]})
    mini.execute("delete from so_order where order_no > 'O5'")
    with pytest.raises(BatchFault, match="3 of 8 rows are gone at the source, more than 30%"):
        land_feed(mini, "orders", [first], database)


def test_keys_are_compared_when_they_are_due(mini: MiniCompany, tmp_path: Path) -> None:
    reconciling(mini)
    first = land_feed(mini, "orders")
    database = apply(mini, tmp_path / "build.duckdb", {"orders": [first]})
    assert land_feed_or_nothing(mini, "orders", [first], database) is None
    mini.execute("delete from so_order where order_no = 'O3'")
    assert land_feed_or_nothing(mini, "orders", [first], database) is None
    gone = land_feed_or_nothing(mini, "orders", [first], database, NOW + timedelta(days=1))
    assert gone is not None
    assert gone.manifest["rows_reconciled"] == 1


# --- the source's own totals --------------------------------------------------------------------


def land_extract(mini: MiniCompany, feed: str, **changes: Any) -> Batch | None:
    """Pull a feed, then land the pull with parts of it changed, as a broken connector would."""
    settings, company = mini.settings, mini.company
    with feed_work_folder(settings.paths, feed) as work:
        extract = sources.extract(settings, company, feed, Watermark(), work, NOW)
        assert extract is not None
        return land(settings, company, feed, replace(extract, **changes), work, None, NOW.date())


@pytest.mark.parametrize(
    ("control", "message"),
    [
        (ControlTotal(None, 3, None), "the source counts 3 rows, 2 arrived"),
        (ControlTotal(None, 2, Decimal("10000.01")), "sums 10000.01, the rows sum 10000"),
    ],
)
def test_a_pull_that_misses_its_control_total_lands_nothing(
    mini: MiniCompany, control: ControlTotal, message: str
) -> None:
    mini.add_order("O1")
    mini.add_order("O2")
    with pytest.raises(BatchFault, match=message) as caught:
        land_extract(mini, "order_lines", controls=[control])
    assert str(caught.value).count(message) == 1
    assert not list((mini.settings.paths.landing / "order_lines").glob("*/manifest.json"))


def test_a_pull_without_the_sources_latest_row_lands_nothing(mini: MiniCompany) -> None:
    mini.add_order("O1")
    with pytest.raises(BatchFault, match="greatest updated_at, 2026-01-05 10:00:01, did not"):
        land_extract(
            mini,
            "order_lines",
            controls=[ControlTotal(None, 1, None)],
            control_cursor="2026-01-05 10:00:01",
        )


def test_the_sources_totals_stand_in_the_ledger(mini: MiniCompany, tmp_path: Path) -> None:
    mini.add_order("O1")
    mini.add_order("O2")
    batch = land_extract(mini, "order_lines", controls=[ControlTotal(None, 2, Decimal("10000.00"))])
    assert batch is not None
    database = apply(mini, tmp_path / "build.duckdb", {"order_lines": [batch]})
    assert table(
        database,
        "select rows_pulled, source_rows, amount_pulled, source_amount from landing.ledger",
    ) == [("2", "2", "10000.00", "10000.00")]


def test_faulty_rows_that_hold_much_of_the_amount_stop_the_batch(mini: MiniCompany) -> None:
    rows = [mini.payment(f"B{i}", amount="10.00") for i in range(97)]
    rows += [mini.payment(f"X{i}", amount="5000.00", method="微信红包") for i in range(3)]
    mini.write_bank("2026-01-20", rows)
    with pytest.raises(BatchFault, match=r"faulty rows hold 15000.00 of 15970.00 CNY") as caught:
        land_feed(mini, "payments")
    assert "method_known 3 rows" in caught.value.what


# --- personal data ------------------------------------------------------------------------------


def test_personal_data_are_masked_outside_the_restricted_file(mini: MiniCompany) -> None:
    columns = mini.mapping["feeds"]["customers"]["columns"]
    columns |= {"contact_name": "contact_name", "contact_phone": "contact_phone"}
    mini.save_mapping()
    mini.execute("update crm_customer set terms_days = 'thirty' where cust_code = 'C2'")
    batch = land_feed(mini, "customers")
    assert rows_of(batch, "contact_name, contact_phone") == [("李**", "190****1111")]
    [(raw,)] = quarantined(batch, "raw")
    assert json.loads(raw)["contact_phone"] == "190****1111"
    assert batch.restricted.stat().st_mode & 0o077 == 0
    holding = [
        file.name
        for file in batch.folder.iterdir()
        if b"19000001111" in file.read_bytes() or "李雷".encode() in file.read_bytes()
    ]
    assert holding == ["restricted.parquet"]


def test_an_amount_whose_tax_is_unknown_is_faulty(mini: MiniCompany) -> None:
    mini.mapping["feeds"]["order_lines"]["columns"]["amount"] = {
        "column": "net_amount",
        "tax": "included",
    }
    mini.save_mapping()
    mini.add_order("O1", net="5650.00")
    mini.add_order("O2", net="5650.00")
    mini.execute("update so_order_line set tax = null where order_no = 'O2'")
    batch = land_feed(mini, "order_lines")
    assert quarantined(batch) == [("unknown_tax_amount", "amount", "5650.00")]


def test_a_row_that_comes_back_behind_the_cursor_is_read_again(
    mini: MiniCompany, tmp_path: Path
) -> None:
    reconciling(mini)
    mini.add_order("O9", at="2026-03-01 10:00:00")
    first = land_feed(mini, "orders")
    database = apply(mini, tmp_path / "build.duckdb", {"orders": [first]})
    mini.execute("delete from so_order where order_no = 'O3'")
    gone = land_feed(mini, "orders", [first], database)
    apply(mini, database, {"orders": [gone]}, sequence=2)
    mini.add_order("O3")
    later = NOW + timedelta(days=1)
    assert land_feed_or_nothing(mini, "orders", [first, gone], database, later) is None
    assert reread_note(mini.settings.paths, "orders").exists()
