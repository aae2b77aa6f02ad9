"""Delimited files: decoded as declared or refused, every row accounted for."""

from __future__ import annotations

import pytest

from customer_marts.errors import BatchFault, SourceUnavailable
from customer_marts.landing import Batch
from tests.landings import land_feed, land_feed_or_nothing, quarantined, rows_of
from tests.mini import MiniCompany


def test_gb18030_with_chinese_headers_lands_typed(mini: MiniCompany) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B1"), mini.payment("B2", amount="12.30")])
    batch = land_feed(mini, "payments")
    assert rows_of(batch, "payment_id, amount, method, received_on") == [
        ("B1", "5650.00", "transfer", "2026-01-20"),
        ("B2", "12.30", "transfer", "2026-01-20"),
    ]
    assert quarantined(batch) == []


def test_a_row_with_too_few_fields_is_kept_with_its_line(mini: MiniCompany) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B1"), "B2,2026-01-20 11:00:00,C1"])
    batch = land_feed(mini, "payments")
    assert [row[0] for row in rows_of(batch, "payment_id")] == ["B1"]
    [(rule, source, raw)] = quarantined(batch, "rule, source, raw")
    assert rule == "unreadable_row"
    assert source == "bank_2026-01-20.csv:line 3"
    assert raw == "B2,2026-01-20 11:00:00,C1"
    assert batch.manifest["rows"] == {"pulled": 2, "accepted": 1, "quarantined": 1}


@pytest.mark.parametrize(
    ("trailer", "message"),
    [
        ("", "is not the trailer"),
        ("合计,3,11300.00", "counts 3 rows, 2 were read"),
        ("合计,2,11300.01", "sums 11300.01, the rows sum 11300.00"),
        ("合计,zwei,11300.00", "trailer cannot be read"),
    ],
)
def test_a_truncated_file_is_refused_whole(mini: MiniCompany, trailer: str, message: str) -> None:
    rows = [mini.payment("B1"), mini.payment("B2")]
    mini.write_bank("2026-01-20", rows, trailer=trailer)
    with pytest.raises(BatchFault, match=message) as caught:
        land_feed(mini, "payments")
    assert "bank_2026-01-20.csv" in caught.value.where
    assert caught.value.kept
    assert caught.value.todo


def test_a_file_cut_in_the_middle_of_a_character_is_refused(mini: MiniCompany) -> None:
    path = mini.write_bank("2026-01-20", [mini.payment("B1")], trailer="合计")
    path.write_bytes(path.read_bytes()[:-3])  # 合计\r\n loses the second byte of 计
    with pytest.raises(BatchFault, match="is not gb18030"):
        land_feed(mini, "payments")


def test_an_empty_file_is_refused(mini: MiniCompany) -> None:
    (mini.bank / "bank_2026-01-20.csv").write_bytes(b"")
    with pytest.raises(BatchFault, match="empty, it has not even a header"):
        land_feed(mini, "payments")


def test_a_day_without_movements_lands_nothing(mini: MiniCompany) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B1")])
    first = land_feed(mini, "payments")
    mini.write_bank("2026-01-21", [])
    assert land_feed_or_nothing(mini, "payments", after=[first]) is None


def test_gb18030_bytes_declared_as_utf8_are_refused(mini: MiniCompany) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B1")])
    mini.mapping["sources"]["bank"]["encoding"] = "utf-8"
    mini.save_mapping()
    with pytest.raises(BatchFault, match="is not utf-8: byte 0 cannot be decoded"):
        land_feed(mini, "payments")


def test_utf8_bytes_declared_as_gb18030_are_refused(mini: MiniCompany) -> None:
    # many UTF-8 texts decode as GB18030 into other characters: then the header gives it away
    mini.write_bank("2026-01-20", [mini.payment("B1")], encoding="utf-8")
    with pytest.raises(BatchFault):
        land_feed(mini, "payments")


def test_a_missing_folder_is_infrastructure(mini: MiniCompany) -> None:
    mini.environment["SAMPLE_BANK_DIR"] = str(mini.root / "nowhere")
    with pytest.raises(SourceUnavailable, match="folder does not exist"):
        land_feed(mini, "payments")


def test_a_file_is_read_once_by_its_content(mini: MiniCompany) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B1")])
    first = land_feed(mini, "payments")
    mini.write_bank("2026-01-21", [mini.payment("B2", at="2026-01-21 09:00:00")])
    # the first file is delivered again under its own name and under another one
    content = (mini.bank / "bank_2026-01-20.csv").read_bytes()
    (mini.bank / "bank_2026-01-20.csv").write_bytes(content)
    (mini.bank / "bank_2026-01-20_copy.csv").write_bytes(content)
    second = land_feed(mini, "payments", after=[first])
    assert [row[0] for row in rows_of(second, "payment_id")] == ["B2"]


def test_files_of_one_table_must_agree_on_their_columns(mini: MiniCompany) -> None:
    path = mini.write_bank("2026-01-20", [mini.payment("B1")])
    changed = path.read_bytes().decode("gb18030").replace("结算方式", "付款方式")
    (mini.bank / "bank_2026-01-21.csv").write_bytes(changed.encode("gb18030"))
    with pytest.raises(BatchFault, match=r"- 结算方式   \(renamed to 付款方式\?\)"):
        land_feed(mini, "payments")


def test_the_trailers_totals_stand_in_the_ledger(mini: MiniCompany) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B1"), mini.payment("B2", amount="12.30")])
    [line] = land_feed(mini, "payments").manifest["ledger"]
    assert (line["source_rows"], line["source_amount"]) == (2, "5662.30")


def test_a_trailer_that_states_a_sum_alone_leaves_the_count_open(mini: MiniCompany) -> None:
    mini.mapping["sources"]["bank"]["tables"]["movements"]["trailer"] = {
        "marker": "合计",
        "amount_field": 5,
        "amount_column": "金额",
    }
    mini.save_mapping()
    mini.write_bank("2026-01-05", [], trailer="合计,,,,0.00")
    mini.write_bank("2026-01-20", [mini.payment("B1")], trailer='合计,,,,"5,650.00"')
    manifest = land_feed(mini, "payments").manifest
    [line] = manifest["ledger"]
    assert (line["source_rows"], line["source_amount"]) == (None, "5650.00")
    assert (manifest["control_rows"], manifest["control_amount"]) == (None, "5650.00")


def test_a_lost_character_is_quarantined_with_its_column(mini: MiniCompany) -> None:
    lost = mini.payment("B2").replace("华能电厂", "华能\ufffd厂")
    mini.write_bank("2026-01-20", [mini.payment("B1"), lost])
    mini.mapping["feeds"]["payments"]["columns"]["reference"] = "付款方名称"
    mini.save_mapping()
    [(source, column)] = quarantined(land_feed(mini, "payments"), "source, column_name")
    assert (source, column) == ("bank_2026-01-20.csv:line 3", "付款方名称")


def test_the_same_input_is_the_same_batch(mini: MiniCompany) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B1")])
    first: Batch = land_feed(mini, "payments")
    assert land_feed(mini, "payments").batch_id == first.batch_id
    assert len(list((mini.settings.paths.landing / "payments").glob("*/manifest.json"))) == 1
