"""JSON Lines, Parquet and Excel: the same raw table from every format."""

from __future__ import annotations

import json
import zipfile
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from customer_marts.errors import BatchFault
from customer_marts.sources.extract import Watermark
from tests.sources.file_pull import FilePull, rejected, rows_of


def fault(bank: FilePull) -> BatchFault:
    with pytest.raises(BatchFault) as caught:
        bank.pull()
    assert caught.value.todo
    assert caught.value.kept
    return caught.value


# --- JSON Lines


@pytest.fixture
def lines(tmp_path: Path) -> FilePull:
    return FilePull(tmp_path, {"path": "*.jsonl"})


def line(number: str, **fields: Any) -> str:
    record = {"id": number, "day": "2026-01-05", "customer": "C1", "amount": 1, **fields}
    return json.dumps(record, ensure_ascii=False)


@pytest.mark.parametrize(
    "number",
    [
        "1234567890.12",
        "0.10",
        "12345678901234567.89",
        "100000000000000000000001",
        "1E+2",
        "-0.0",
    ],
)
def test_a_number_keeps_its_text(lines: FilePull, number: str) -> None:
    lines.write("a.jsonl", line("B1").replace('"amount": 1', f'"amount": {number}'))
    assert lines.rows("amount") == [(number,)]


def test_values_of_every_kind(lines: FilePull) -> None:
    given = '{"b": [1.50, true, null, "动力\\"煤"], "c": {}}'
    lines.columns["kind"] = "flag"
    lines.write(
        "a.jsonl", line("B1", flag=True).replace('"flag"', f'"note": {given}, "flag"') + "\n"
    )
    assert lines.rows("note, flag, day") == [(given, "true", "2026-01-05")]


def test_malformed_lines_are_rejects(lines: FilePull) -> None:
    bad = [
        '{"id": "B2", ',
        "[1, 2]",
        '{"id": "B3", "id": "B4"}',
        '{"id": "B5", "amount": NaN}',
        "[" * 100_000,
        '{"id": "B6", "note": "\\ud800"}',
        '{"id": "B7", "note": "a\\u0000"}',
        '{"id": "B8", "note": "\ufffd"}',
    ]
    lines.write("a.jsonl", "\n".join([line("B1"), "", *bad, line("B9")]))
    extract = lines.pull()
    assert extract is not None
    assert rows_of(extract, "id, _source") == [
        ("B1", "a.jsonl:record 1"),
        ("B9", "a.jsonl:record 11"),
    ]
    assert extract.rows == 10
    assert [item.source for item in extract.rejects] == [
        f"a.jsonl:line {number}" for number in range(3, 11)
    ]
    by_line = {item.source.split()[-1]: item for item in extract.rejects}
    assert "nested too deeply" in by_line["7"].reason
    assert len(by_line["7"].raw) < 5_000
    assert by_line["5"].column == "id"
    assert (by_line["10"].column, by_line["10"].value) == ("note", "\ufffd")
    assert by_line["3"].raw == bad[0]


def test_what_json_leaves_out_is_null(lines: FilePull) -> None:
    lines.write("a.jsonl", line("B1", extra=1) + "\n" + line("B2", note="x"))
    extract = lines.pull()
    assert extract is not None
    assert rows_of(extract, "id, note") == [("B1", None), ("B2", "x")]
    assert extract.unmapped == ["extra"]
    # note is optional: no record needs to have it
    lines.write("a.jsonl", line("B1"))
    assert lines.rows("id, note") == [("B1", None)]


def test_a_required_key_that_no_record_has_is_a_changed_schema(lines: FilePull) -> None:
    lines.write("a.jsonl", line("B1").replace('"amount"', '"amounts"'))
    assert "- amount   (renamed to amounts?)" in fault(lines).what


def test_many_lines_in_a_query(lines: FilePull) -> None:
    count = 5_000
    lines.query = "select *, late as reference from movements"
    lines.columns["reference"] = "reference"
    texts = [line(f"B{i}") for i in range(count)] + [line("last", late="x")]
    lines.write("a.jsonl", "\n".join(texts))
    [found] = lines.rows("count(*), count(distinct id), max(reference)")
    assert found == (count + 1, count + 1, "x")


def test_json_in_another_encoding(lines: FilePull) -> None:
    lines.encoding = "gb18030"
    lines.write("a.jsonl", line("B1", note="动力煤"), "gb18030")
    assert lines.rows("note") == [("动力煤",)]
    lines.encoding = "utf-8"
    lines.write("b.jsonl", b"\xef\xbb\xbf" + line("B2").encode())
    lines.write("a.jsonl", line("B1").encode() + b'\n{"id": "\xff"}\n')
    offset = len(line("B1")) + 1 + 8
    assert f"byte {offset} cannot be decoded, in line 2" in fault(lines).what


def test_a_byte_order_mark_of_json_lines(lines: FilePull) -> None:
    lines.write("a.jsonl", b"\xef\xbb\xbf" + line("B1").encode())
    assert lines.rows("id") == [("B1",)]


# --- Parquet


@pytest.fixture
def parquet(tmp_path: Path) -> FilePull:
    return FilePull(tmp_path, {"path": "*.parquet"}, encoding=None)


def write_parquet(pull: FilePull, name: str, query: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"copy ({query}) to '{pull.inbox / name}' (format parquet)")


TYPED = """
    select 'B' || range as id, timestamp '2026-01-05 10:00:00' as day, 'C1' as customer,
        cast(range + 0.25 as decimal(18, 2)) as amount, {'a': [range]} as note, 1 as extra
    from range(3)
"""


def test_parquet_columns_keep_their_types(parquet: FilePull) -> None:
    write_parquet(parquet, "a[1].parquet", TYPED)
    extract = parquet.pull()
    assert extract is not None
    assert rows_of(extract, "id, amount, typeof(amount), typeof(day), note, _source")[0] == (
        *("B0", Decimal("0.25"), "DECIMAL(18,2)", "TIMESTAMP"),
        *('{"a":[0]}', "a[1].parquet:record 1"),
    )
    assert extract.types == {
        "id": "text",
        "day": "time",
        "customer": "text",
        "amount": "number",
        "note": "text",
    }
    assert extract.unmapped == ["extra"]


def test_a_retyped_column_stops_before_reading(parquet: FilePull) -> None:
    write_parquet(parquet, "a.parquet", TYPED)
    parquet.watermark = Watermark(types={"amount": "number", "day": "text"})
    assert "day: text -> time" in fault(parquet).what
    parquet.watermark = Watermark()
    write_parquet(
        parquet, "b.parquet", TYPED.replace("cast(range + 0.25 as decimal(18, 2))", "'1.00'")
    )
    assert "amount: number -> text" in fault(parquet).what


def test_wider_numbers_in_a_later_file_stay_exact(parquet: FilePull) -> None:
    write_parquet(parquet, "a.parquet", TYPED)
    big = "cast(9007199254740993 as bigint)"
    for number, amount in enumerate((big, "cast(0.1 as double)")):
        write_parquet(
            parquet,
            f"b{number}.parquet",
            TYPED.replace("cast(range + 0.25 as decimal(18, 2))", amount),
        )
    found = parquet.rows("distinct cast(amount as varchar)")
    assert sorted(value for [value] in found) == ["0.1", "0.25", "1.25", "2.25", "9007199254740993"]


def test_a_file_that_is_no_parquet(parquet: FilePull) -> None:
    parquet.write("a.parquet", "id,at\n")
    found = fault(parquet)
    assert "no readable Parquet file" in found.what
    assert "a.parquet" in found.where


def test_a_damaged_parquet_file(parquet: FilePull) -> None:
    write_parquet(parquet, "a.parquet", TYPED.replace("range(3)", "range(300000)"))
    path = parquet.inbox / "a.parquet"
    content = bytearray(path.read_bytes())
    content[1000:20_000] = bytes(19_000)
    path.write_bytes(content)
    assert "cannot be read" in fault(parquet).what


def test_a_lost_character_in_parquet_is_a_reject(parquet: FilePull) -> None:
    write_parquet(
        parquet, "a.parquet", TYPED.replace("{'a': [range]}", "case range when 1 then '\ufffd' end")
    )
    extract = parquet.pull()
    assert extract is not None
    assert rows_of(extract, "id, _source") == [
        ("B0", "a.parquet:record 1"),
        ("B2", "a.parquet:record 3"),
    ]
    assert extract.rows == 3
    [(source, raw, column, value)] = rejected(extract)
    assert (source, column, value) == ("a.parquet:record 2", "note", "\ufffd")
    assert json.loads(raw)["id"] == "B1"


def test_a_query_over_parquet_and_text(parquet: FilePull) -> None:
    parquet.tables = {
        "movements": {"path": "*.parquet"},
        "names": {"path": "*.csv", "encoding": "utf-8"},
    }
    parquet.query = "select movements.*, names.name from movements join names using (customer)"
    parquet.columns["reference"] = "name"
    write_parquet(parquet, "a.parquet", TYPED)
    parquet.write("names.csv", "customer,name\nC1,华能\n")
    extract = parquet.pull()
    assert extract is not None
    assert rows_of(extract, "id, name")[0] == ("B0", "华能")
    assert extract.rows == 3


def test_an_empty_parquet_file_brings_nothing(parquet: FilePull) -> None:
    write_parquet(parquet, "a.parquet", TYPED.replace("range(3)", "range(0)"))
    assert parquet.pull() is None


# --- Excel


@pytest.fixture
def book(tmp_path: Path) -> FilePull:
    return FilePull(tmp_path, {"path": "*.xlsx"}, encoding=None)


HEADER = ["id", "day", "customer", "amount", "note"]


def moment(text: str) -> datetime:
    """A workbook's dates know no time zone."""
    return datetime.fromisoformat(text)


def write_book(pull: FilePull, *rows: list[Any], sheet: str = "Sheet", above: int = 0) -> Path:
    workbook = openpyxl.Workbook()
    page = workbook.active
    assert page is not None
    page.title = sheet
    for values in [["标题"]] * above + [HEADER, *rows]:
        page.append(values)
    path = pull.inbox / "a.xlsx"
    workbook.save(path)
    return path


def edit(path: Path, old: str, new: str, part: str = "xl/worksheets/sheet1.xml") -> None:
    """Change a part of a workbook, as another program would have written it."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old.encode() in parts[part]
    parts[part] = parts[part].replace(old.encode(), new.encode())
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (1234567890.12, "1234567890.12"),
        (5650, "5650"),
        (1e-7, "0.0000001"),
        (250.0, "250"),
        (-12.50, "-12.5"),
        (True, "true"),
        ("00123", "00123"),
        (moment("2026-01-05"), "2026-01-05"),
        (moment("2026-01-05 11:00:00"), "2026-01-05 11:00:00"),
        (time(9, 30), "09:30:00"),
        (timedelta(hours=26, minutes=5), "26:05:00"),
        ("  动力煤 ", "  动力煤 "),
    ],
)
def test_cells_read_as_a_person_reads_them(book: FilePull, value: Any, text: str) -> None:
    write_book(book, ["B1", "2026-01-05", "C1", 1, value])
    assert book.rows("note, _source") == [(text, "a.xlsx:record 2")]


def test_a_serial_number_is_a_date_only_when_formatted_so(book: FilePull) -> None:
    path = write_book(book, ["B1", moment("2026-01-05 10:00"), "C1", 46027, "x"])
    assert book.rows("day, amount") == [("2026-01-05 10:00:00", "46027")]
    edit(path, "<workbookPr />", '<workbookPr date1904="1" />', "xl/workbook.xml")
    [(day,)] = book.rows("day")
    assert day.startswith("2030-01-06")


def test_sheet_and_header_row_are_chosen(book: FilePull) -> None:
    write_book(book, ["B1", "2026-01-05", "C1", 1, "x"], sheet="流水", above=2)
    book.table = {"path": "*.xlsx", "sheet": "流水", "header_row": 3}
    assert book.rows("id, _source") == [("B1", "a.xlsx:record 4")]
    book.table["sheet"] = "其他"
    assert "no sheet '其他'; it has 流水" in fault(book).what
    book.table = {"path": "*.xlsx", "header_row": 9}
    assert "row 9 of the sheet holds no header" in fault(book).what


def test_rows_beyond_the_size_that_the_sheet_states(book: FilePull) -> None:
    path = write_book(book, *[[f"B{i}", "2026-01-05", "C1", i, None] for i in range(5)])
    edit(path, '<dimension ref="A1:E6"', '<dimension ref="A1"')
    assert book.rows("count(*)") == [(5,)]


def test_empty_rows_are_no_rows(book: FilePull) -> None:
    write_book(book, ["B1", "2026-01-05", "C1", 1, ""], [], [None, ""], ["B2", None, "C1", 2])
    assert book.rows("id, _source") == [("B1", "a.xlsx:record 2"), ("B2", "a.xlsx:record 5")]


def test_cells_that_cannot_be_taken_are_rejects(book: FilePull) -> None:
    write_book(
        book,
        ["B1", "2026-01-05", "C1", 1, "x"],
        ["B2", "2026-01-05", "C1", "#N/A", "x"],
        ["B3", "2026-01-05", "C1", 6222021001122334455, "x"],
        ["B4", "2026-01-05", "C1", 1, "x", "beyond"],
        ["B5", "2026-01-05", "C1", 1, "\ufffd"],
        ["B6", "2026-01-05", "C1", 123456789012345, "x"],
    )
    extract = book.pull()
    assert extract is not None
    assert [row_id for [row_id] in rows_of(extract, "id")] == ["B1", "B6"]
    assert [(item.source, item.column, item.value) for item in extract.rejects] == [
        ("a.xlsx:row 3", "amount", "#N/A"),
        ("a.xlsx:row 4", "amount", "6222021001122330000"),
        ("a.xlsx:row 5", None, "beyond"),
        ("a.xlsx:row 6", "note", "\ufffd"),
    ]
    assert json.loads(extract.rejects[0].raw)["id"] == "B2"
    assert "Excel keeps 15" in extract.rejects[1].reason


def test_formulas_give_their_stored_results(book: FilePull) -> None:
    path = write_book(book, ["B1", "2026-01-05", "C1", "=1+1", "x"], ["B2", None, "C1", "=2+2"])
    with zipfile.ZipFile(path) as archive:
        text = archive.read("xl/worksheets/sheet1.xml").decode()
    cell = text[text.index('<c r="D2"') : text.index("</c>", text.index('<c r="D2"')) + 4]
    edit(path, cell, '<c r="D2"><f>1+1</f><v>2.5</v></c>')
    extract = book.pull()
    assert extract is not None
    assert rows_of(extract, "id, amount") == [("B1", "2.5")]
    [reject] = extract.rejects
    assert (reject.source, reject.column) == ("a.xlsx:row 3", "amount")
    assert "never calculated" in reject.reason
    # an empty text is a result
    edit(path, '<c r="D2"><f>1+1</f><v>2.5</v></c>', '<c r="D2" t="str"><f>1+1</f><v></v></c>')
    assert book.rows("id, amount") == [("B1", None)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,at\n", "no xlsx workbook"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "protected by a password"),
        (b"PK\x05\x06" + bytes(18), "no xlsx workbook"),
        (b"", "no xlsx workbook"),
    ],
)
def test_a_file_that_is_no_workbook(book: FilePull, content: bytes, message: str) -> None:
    book.write("a.xlsx", content)
    assert message in fault(book).what


def test_a_damaged_workbook(book: FilePull) -> None:
    path = write_book(book, *[[f"B{i}", "2026-01-05", "C1", i, "x"] for i in range(2000)])
    content = bytearray(path.read_bytes())
    sheet = content.index(b"xl/worksheets/sheet1.xml")
    content[sheet + 200 : sheet + 900] = bytes(700)
    path.write_bytes(content)
    assert "no xlsx workbook" in fault(book).what


def test_headers_of_a_workbook(book: FilePull) -> None:
    path = write_book(book, ["B1", "2026-01-05", "C1", 1, "x"])
    workbook = openpyxl.load_workbook(path)
    workbook.active["G1"] = "note"
    workbook.save(path)
    assert "names no column at position 6" in fault(book).what
    workbook.active["F1"] = "Note"
    workbook.active["G1"] = None
    workbook.save(path)
    assert "upper and lower case: note and Note" in fault(book).what


def test_a_workbook_under_another_ending(book: FilePull) -> None:
    path = write_book(book, ["B1", "2026-01-05", "C1", 1, "x"])
    path.rename(path.with_suffix(".dat"))
    book.table = {"path": "*.dat", "format": "xlsx"}
    assert book.rows("id") == [("B1",)]
