"""Landing: types, rules, conflicts, budget and the batch's own ledger."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from customer_marts.errors import BatchFault
from tests.landings import land_feed, quarantined, rows_of
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
