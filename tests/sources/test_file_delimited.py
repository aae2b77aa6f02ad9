"""Delimited files: strict, exact, and no row without its place."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_marts.errors import BatchFault, ConfigurationError
from customer_marts.sources.extract import ControlTotal
from customer_marts.sources.file_records import Cutter, LineCounter, Parser, as_number
from tests.sources.file_pull import FilePull, rejected, rows_of

HEADER = "id,day,customer,amount,note"


@pytest.fixture
def bank(tmp_path: Path) -> FilePull:
    return FilePull(tmp_path, {"path": "*.csv"})


def row(number: str, amount: str = "1.00", note: str = "") -> str:
    return f"{number},2026-01-05,C1,{amount},{note}"


def fault(bank: FilePull) -> BatchFault:
    """The fault of a pull that must have one, with something to do about it."""
    with pytest.raises(BatchFault) as caught:
        bank.pull()
    assert caught.value.todo
    assert caught.value.kept
    return caught.value


# --- text against Python's own csv module

TEXT = st.text(st.sampled_from('a0 ,;|\t"\n\r') | st.sampled_from("中文锘縘𠮷é€喆"), max_size=6)
ROWS = st.lists(st.lists(TEXT, min_size=3, max_size=3), min_size=1, max_size=12)


def parse(
    data: bytes, encoding: str, delimiter: str, block: int = 32, line_end: bytes = b"\n"
) -> tuple[list[list[str | None]], list[tuple[int, str]]]:
    """Rows of three columns, and the malformed lines' offsets and reasons."""
    names = ["a", "b", "c"]
    parser = Parser(names, names, encoding, delimiter.encode(), line_end)
    rows: list[list[str | None]] = []
    wrong = []
    for piece in Cutter(delimiter.encode(), line_end, block).pieces(io.BytesIO(data), 0, len(data)):
        if piece.reason:
            wrong.append((piece.offset, piece.reason))
            continue
        parsed = parser.parse(piece.data)
        columns = [parsed.columns[name].to_pylist() for name in names]
        rows += [list(values) for values in zip(*columns, strict=True)]
        wrong += [(piece.offset + item.start, item.reason) for item in parsed.faults]
    return rows, wrong


@settings(deadline=None, max_examples=60)
@given(
    ROWS,
    st.sampled_from(["utf-8", "gb18030"]),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.integers(8, 200),
)
def test_what_is_well_written_is_read_as_python_reads_it(
    rows: list[list[str]], encoding: str, delimiter: str, end: str, quote_all: bool, block: int
) -> None:
    out = io.StringIO()
    # Python leaves a line end of another kind unquoted
    is_plain = not any(set(value) & {"\r", "\n"} for values in rows for value in values)
    quoting = csv.QUOTE_MINIMAL if is_plain and not quote_all else csv.QUOTE_ALL
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    line_end = b"\r" if end == "\r" else b"\n"
    found, wrong = parse(out.getvalue().encode(encoding), encoding, delimiter, block, line_end)
    assert wrong == []
    assert [[value or "" for value in values] for values in found] == rows


@settings(deadline=None, max_examples=120)
@given(st.text(st.sampled_from('a,"\n中'), max_size=60), st.integers(4, 64))
def test_nothing_is_lost_or_made_up_where_quotes_are_wrong(text: str, block: int) -> None:
    data = text.encode()
    pieces = list(Cutter(b",", b"\n", block).pieces(io.BytesIO(data), 0, len(data)))
    assert b"".join(piece.data for piece in pieces) == data
    for piece in pieces:
        if piece.reason is None:
            # well quoted: writing what was read gives the same values once more
            values = list(csv.reader(io.StringIO(piece.data.decode(), newline=""), strict=True))
            again = io.StringIO()
            csv.writer(again).writerows(values)
            again.seek(0)
            assert list(csv.reader(again, strict=True)) == values
    # where the blocks end makes no difference
    assert parse(data, "utf-8", ",", block) == parse(data, "utf-8", ",", 1 << 20)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_lines_are_counted_from_any_offset(data: bytes, offsets: list[int]) -> None:
    counter = LineCounter(io.BytesIO(data))
    for offset in offsets:
        before = data[:offset]
        assert counter.at(offset) == (before.count(b"\n") or before.count(b"\r")) + 1


# --- records and rejects


def test_every_row_says_where_it_stands(bank: FilePull) -> None:
    lines = [HEADER, row("B1"), "", 'B2,2026-01-05,C1,1.00,"two\nlines"', "B3,too few", row("B4")]
    bank.write("a.csv", "\n".join(lines))
    extract = bank.pull()
    assert extract is not None
    assert rows_of(extract, "id, note, _source") == [
        ("B1", None, "a.csv:record 1"),
        ("B2", "two\nlines", "a.csv:record 2"),
        ("B4", None, "a.csv:record 4"),
    ]
    assert rejected(extract) == [("a.csv:line 6", "B3,too few", None, None)]
    assert "2 fields, the header 5" in extract.rejects[0].reason
    assert extract.rows == 4


def test_a_file_in_many_pieces_is_numbered_through(bank: FilePull) -> None:
    count = 120_000
    lines = [row(f"B{i}", f"{i}.25", "备注" * 10) for i in range(count)]
    lines[70_000] += ",one too many"
    bank.write("a.csv", "\n".join([HEADER, *lines]), "gb18030")
    bank.encoding = "gb18030"
    extract = bank.pull()
    assert extract is not None
    assert (bank.inbox / "a.csv").stat().st_size > 8 << 20
    [found] = rows_of(
        extract,
        "count(*), count(distinct id), count(*) filter ("
        "_source = 'a.csv:record ' || (cast(substr(id, 2) as int) + 1)), min(note), "
        "sum(cast(amount as decimal(18, 2)))",
    )
    total = Decimal(sum(range(count)) - 70_000) + (count - 1) * Decimal("0.25")
    assert found == (count - 1, count - 1, count - 1, "备注" * 10, total)
    assert extract.rejects[0].source == "a.csv:line 70002"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('B2,2026-01-05,C1,1.00,5" pipe', "inside a field that is not quoted"),
        ('B2,2026-01-05,C1,1.00,"a"b', "text follows a closing quote"),
        ('B2,2026-01-05,C1,1.00,"open', "opened and not closed"),
    ],
)
def test_a_line_with_wrong_quotes_is_one_reject(bank: FilePull, line: str, reason: str) -> None:
    bank.write("a.csv", f"{HEADER}\r\n{row('B1')}\r\n{line}\r\n{row('B3')}\r\n")
    extract = bank.pull()
    assert extract is not None
    assert rows_of(extract, "id") == [("B1",), ("B3",)]
    assert rejected(extract) == [("a.csv:line 3", line, None, None)]
    assert reason in extract.rejects[0].reason


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_stray_line_end_does_not_cut_a_row_short(bank: FilePull, end: str) -> None:
    lines = [HEADER, row("B1"), "", row("B2", note="left\rright"), "", row("B3")]
    lines.append(row("B4", note='"quoted\r"'))
    bank.write("a.csv", end.join(lines))
    extract = bank.pull()
    assert extract is not None
    assert rows_of(extract, "id, note") == [("B1", None), ("B3", None), ("B4", "quoted\r")]
    assert rejected(extract) == [("a.csv:line 4", lines[3], None, None)]


def test_mixed_line_ends_do_not_hide_rows_in_the_header(bank: FilePull) -> None:
    bank.write("a.csv", "\r".join([HEADER, row("B1"), row("B2")]) + "\n")
    assert "line 1 has line ends of two kinds" in fault(bank).what


def test_an_open_quote_does_not_swallow_a_large_file(bank: FilePull) -> None:
    lines = [row(f"B{i}", note="x" * 80) for i in range(100_000)]
    bank.write("a.csv", "\n".join([HEADER, 'B,2026-01-05,C1,1.00,"open', *lines]))
    extract = bank.pull()
    assert extract is not None
    assert rows_of(extract, "count(*)") == [(100_000,)]
    assert [item.source for item in extract.rejects] == ["a.csv:line 2"]


def test_more_wrong_lines_than_one_can_mend_stop_the_file(bank: FilePull) -> None:
    bank.write("a.csv", HEADER + "\n" + "one field\n" * 50_001)
    assert "more than 50,000 rows cannot be read" in fault(bank).what


def test_a_lost_character_is_a_reject_with_column_and_value(bank: FilePull) -> None:
    for encoding in ("utf-8", "gb18030"):
        bank.encoding = encoding
        lines = [HEADER, row("B1", note="张三"), "short", row("B2", note="张\ufffd三"), row("B3")]
        bank.write("a.csv", "\n".join(lines), encoding)
        extract = bank.pull()
        assert extract is not None
        assert rows_of(extract, "id, _source") == [
            ("B1", "a.csv:record 1"),
            ("B3", "a.csv:record 4"),
        ]
        short, lost = extract.rejects
        assert (short.source, short.column) == ("a.csv:line 3", None)
        assert (lost.source, lost.column, lost.value) == ("a.csv:line 4", "note", "张\ufffd三")
        assert "U+FFFD" in lost.reason


def test_a_nul_byte_is_a_reject(bank: FilePull) -> None:
    bank.write("a.csv", f"{HEADER}\n{row('B1')}\n{row('B2', note='a' + chr(0))}\n")
    extract = bank.pull()
    assert extract is not None
    assert rows_of(extract, "id") == [("B1",)]
    [reject] = extract.rejects
    assert (reject.source, reject.column) == ("a.csv:line 3", "note")
    assert "NUL" in reject.reason


def test_an_unread_column_may_hold_what_it_likes(bank: FilePull) -> None:
    bank.write("a.csv", f"{HEADER},memo\n{row('B1')},\ufffd\n")
    extract = bank.pull()
    assert extract is not None
    assert rows_of(extract, "id") == [("B1",)]
    assert extract.unmapped == ["memo"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_any_line_end(bank: FilePull, end: str, last: bool) -> None:
    bank.write("a.csv", end.join([HEADER, row("B1"), "short", row("B2")]) + end * last)
    extract = bank.pull()
    assert extract is not None
    assert rows_of(extract, "id, note") == [("B1", None), ("B2", None)]
    assert [item.source for item in extract.rejects] == ["a.csv:line 3"]


def test_empty_and_quoted_empty_differ_for_a_query(bank: FilePull) -> None:
    bank.query = "select *, note is null as none from movements"
    bank.write("a.csv", f'{HEADER}\n{row("B1")}\n{row("B2")}""\n')
    assert bank.rows("id, none") == [("B1", True), ("B2", False)]


# --- encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
def test_declared_encodings(bank: FilePull, encoding: str) -> None:
    bank.encoding = encoding
    bank.write("a.csv", f"{HEADER}\n{row('B1', note='动力煤')}\n", encoding)
    assert bank.rows("id, note") == [("B1", "动力煤")]


@pytest.mark.parametrize(
    ("mark", "encoding"), [(b"\xef\xbb\xbf", "utf-8"), (b"\x84\x31\x95\x33", "gb18030")]
)
def test_a_byte_order_mark_is_taken_off(bank: FilePull, mark: bytes, encoding: str) -> None:
    bank.encoding = encoding
    bank.write("a.csv", mark + f"{HEADER}\n{row('B1')}\n".encode(encoding))
    assert bank.rows("id") == [("B1",)]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "gbk"])
@pytest.mark.parametrize("place", ["field", "unread field", "short line", "wrong quotes"])
def test_an_undecodable_byte_is_named_by_byte_and_line(
    bank: FilePull, encoding: str, place: str
) -> None:
    bank.encoding = encoding
    good = f"{HEADER},memo\n{row('B1', note='中')},\n".encode(encoding)
    bad = {
        "field": b"B2,2026-01-05,C1,1.00,\xff\xff,\n",
        "unread field": b"B2,2026-01-05,C1,1.00,,\xff\n",
        "short line": b"B2,\xff\n",
        "wrong quotes": b'B2,2026-01-05,C1,1.00,"a"\xff,\n',
    }[place]
    bank.write("a.csv", good + bad + f"{row('B3')},\n".encode(encoding))
    what = fault(bank).what
    assert f"byte {len(good) + bad.index(0xFF)} cannot be decoded, in line 3" in what


def test_half_a_character_before_a_comma_is_undecodable(bank: FilePull) -> None:
    bank.encoding = "gb18030"
    bank.write("a.csv", f"{HEADER}\n".encode() + b"B1,2026-01-05,C\xd6,1.00,\n")
    assert "in line 2" in fault(bank).what


@pytest.mark.parametrize(("mark", "name"), [(b"\xff\xfe", "UTF-16"), (b"\xef\xbb\xbf", "UTF-8")])
def test_a_mark_of_another_encoding_says_which(bank: FilePull, mark: bytes, name: str) -> None:
    bank.encoding = "gb18030"
    bank.write("a.csv", mark + HEADER.encode())
    assert f"mark of {name}" in fault(bank).what


def test_utf_16_without_a_mark_is_recognised(bank: FilePull) -> None:
    bank.write("a.csv", f"{HEADER}\n{row('B1')}\n".encode("utf-16-le"))
    assert "NUL bytes" in fault(bank).what


def test_a_delimiter_that_is_also_the_second_byte_of_a_character(bank: FilePull) -> None:
    # 晐 is 95 7C in GBK, and 7C is the delimiter
    bank.encoding, bank.table = "gbk", {"path": "*.csv", "delimiter": "|"}
    lines = [HEADER, row("B1", note="晐晐").replace("晐晐", '"晐|"'), "short", row("B2")]
    bank.write("a.csv", "\n".join(lines).replace(",", "|"), "gbk")
    extract = bank.pull()
    assert extract is not None
    assert rows_of(extract, "id, note") == [("B1", "晐|"), ("B2", None)]
    assert [item.source for item in extract.rejects] == ["a.csv:line 3"]


# --- headers


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,day,customer,amount,note,note", "columns appear twice: note and note"),
        ("id,day,customer,amount,note,Amount", "upper and lower case: amount and Amount"),
        ("id,day,customer,amount,note,", "names no column at position 6"),
        ("", "no header"),
        ('id,day,customer,amount,"note', "cannot be split"),
    ],
)
def test_headers_that_cannot_be_told_apart(bank: FilePull, header: str, message: str) -> None:
    bank.write("a.csv", f"{header}\n{row('B1')},x\n")
    assert message in fault(bank).what


@pytest.mark.parametrize("name", ["_record", "_file", "_path", "filename", "select", 'a "b"'])
def test_any_other_name_is_a_name(bank: FilePull, name: str) -> None:
    bank.columns["reference"] = name
    quoted = '"' + name.replace('"', '""') + '"'
    bank.write("a.csv", f"id,day,customer,amount,{quoted}\n{row('B1', note='x')}\n")
    assert bank.rows(f"id, {quoted}") == [("B1", "x")]


@pytest.mark.parametrize("name", ["_source", "file_row_number"])
def test_our_own_names_can_only_be_left_unread(bank: FilePull, name: str) -> None:
    bank.write("a.csv", f"{HEADER},{name}\n{row('B1')},x\n")
    assert bank.rows("id, _source") == [("B1", "a.csv:record 1")]
    bank.columns["reference"] = name
    assert f"the column {name} has a name" in fault(bank).what


def test_a_gone_column_is_shown_with_its_likely_rename(bank: FilePull) -> None:
    bank.write("a.csv", f"{HEADER}\n{row('B1')}\n".replace("customer", "customer_no"))
    what = fault(bank).what
    assert "  - customer   (renamed to customer_no?)" in what


def test_a_late_column_change_is_shown_against_the_first_file(bank: FilePull) -> None:
    bank.write("a.csv", f"{HEADER},x\n{row('B1')},\n")
    bank.write("b.csv", "note,id,day,customer,amount,y\n,B2,2026-01-05,C1,2.00,\n")
    assert bank.rows("id, amount") == [("B1", "1.00"), ("B2", "2.00")]  # order and extras are free
    bank.write("c.csv", "id,day,customer,betrag,note,x\n")
    found = fault(bank)
    assert found.what.splitlines() == [
        "its columns differ from those of a.csv:",
        "  - amount   (renamed to betrag?)",
        "  + betrag",
    ]
    assert "c.csv" in found.where


def test_a_query_sees_columns_that_later_files_add(bank: FilePull) -> None:
    bank.query = "select *, coalesce(extra, '-') as reference from movements"
    bank.columns["reference"] = "reference"
    bank.write("a.csv", f"{HEADER}\n{row('B1')}\n")
    bank.write("b.csv", f"{HEADER},extra\n{row('B2')},x\n")
    assert sorted(bank.rows("id, reference")) == [("B1", "-"), ("B2", "x")]
    bank.write("c.csv", f"{HEADER}\n".replace("note", "remark"))
    assert "renamed to remark?" in fault(bank).what


# --- sizes


def test_a_header_only_brings_nothing(bank: FilePull) -> None:
    for content in (HEADER, f"{HEADER}\r\n", f"{HEADER}\n\n\n"):
        bank.write("a.csv", content)
        assert bank.pull() is None


def test_long_lines(bank: FilePull) -> None:
    long = "x" * (7 << 20)
    bank.write("a.csv", f"{HEADER}\n{row('B1', note=long)}\n{row('B2')}\n")
    assert bank.rows("id, length(note)") == [("B1", 7 << 20), ("B2", None)]
    bank.write("a.csv", f"{HEADER}\n{row('B1', note=long * 2)}\n{row('B2')}\n")
    assert "line 2 is longer than 8 MiB" in fault(bank).what


def test_a_long_reject_is_cut_short(bank: FilePull) -> None:
    bank.write("a.csv", f"{HEADER}\n{'x' * 100_000}\n{row('B2')}\n")
    extract = bank.pull()
    assert extract is not None
    assert len(extract.rejects[0].raw) < 5_000


@pytest.mark.parametrize("delimiter", ["，", '"', "\n"])
def test_what_cannot_delimit_is_a_matter_of_configuration(bank: FilePull, delimiter: str) -> None:
    bank.table = {"path": "*.csv", "delimiter": delimiter}
    bank.write("a.csv", HEADER)
    with pytest.raises(ConfigurationError, match="cannot be a delimiter"):
        bank.pull()


# --- trailers and the source's totals

TRAILER = {"marker": "T", "rows_field": 2, "amount_field": 3, "amount_column": "amount"}


def trailed(bank: FilePull, trailer: str, *rows: str, **settings: Any) -> None:
    bank.table = {"path": "*.csv", "trailer": {**TRAILER, **settings}}
    bank.write("a.csv", "\n".join([HEADER, *rows, trailer, ""]))


@pytest.mark.parametrize(
    ("trailer", "settings", "message"),
    [
        ("T,1,5.00", {"amount_column": "betrag"}, "no column 'betrag'"),
        ("T,1", {}, "has 2 fields, amount_field is 3"),
        ("T,1,5.00", {"rows_field": 4}, "has 3 fields, rows_field is 4"),
        ("T,1,NaN", {}, "amount_field, field 3 of T,1,NaN, is no number but 'NaN'"),
        ("T,one,5.00", {}, "rows_field, field 2 of T,one,5.00, is no number but 'one'"),
        ("T,1.5,5.00", {}, "rows_field 2 of T,1.5,5.00 is no count"),
        ("T,2,5.00", {}, "counts 2 rows, 1 were read"),
        ("T,1,5.01", {}, "sums 5.01, the rows sum 5.00"),
    ],
)
def test_trailers_that_do_not_fit(
    bank: FilePull, trailer: str, settings: dict[str, Any], message: str
) -> None:
    trailed(bank, trailer, row("B1", "5.00"), **settings)
    assert message in fault(bank).what


def test_a_sum_needs_field_and_column(bank: FilePull) -> None:
    trailed(bank, "T,1,5.00", row("B1", "5.00"), amount_column=None)
    with pytest.raises(ConfigurationError, match="both amount_field and amount_column"):
        bank.pull()


def test_a_trailer_becomes_the_sources_own_total(bank: FilePull) -> None:
    trailed(bank, "T,2,0.3", row("B1", "0.1"), row("B2", "0.2"))
    extract = bank.pull()
    assert extract is not None
    assert extract.controls == [ControlTotal(None, 2, Decimal("0.3"))]


def test_totals_of_several_files_add_up(bank: FilePull) -> None:
    trailed(bank, "T,1,5.00", row("B1", "5.00"))
    bank.write("b.csv", "\n".join([HEADER, row("B2", "x"), row("B3", "2.50"), "T,2,2.50"]))
    extract = bank.pull()
    assert extract is not None
    assert extract.controls == [ControlTotal(None, 3, Decimal("7.50"))]


def test_a_reject_counts_in_the_total(bank: FilePull) -> None:
    trailed(bank, "T,2,7.00", row("B1", "5.00"), "B2,2.00")
    extract = bank.pull()
    assert extract is not None
    assert extract.rows == 2
    assert extract.controls == [ControlTotal(None, 2, Decimal("7.00"))]


def test_a_total_over_several_currencies_is_none(bank: FilePull) -> None:
    bank.columns["currency"] = "note"
    trailed(bank, "T,2,3.00", row("B1", "1.00", "CNY"), row("B2", "2.00", "CNY"))
    extract = bank.pull()
    assert extract is not None
    assert extract.controls == [ControlTotal("CNY", 2, Decimal("3.00"))]
    trailed(bank, "T,2,3.00", row("B1", "1.00", "CNY"), row("B2", "2.00", "USD"))
    extract = bank.pull()
    assert extract is not None
    assert extract.controls == []


def test_a_count_alone_is_a_total_without_amount(bank: FilePull) -> None:
    trailed(bank, "T,1", row("B1"), amount_field=None, amount_column=None)
    extract = bank.pull()
    assert extract is not None
    assert extract.controls == [ControlTotal(None, 1, None)]


def test_a_sum_alone_is_a_total_without_count(bank: FilePull) -> None:
    trailed(
        bank, 'T,,,"1,234,567.50",', row("B1", '"1,234,567.50"'), rows_field=None, amount_field=4
    )
    extract = bank.pull()
    assert extract is not None
    assert extract.controls == [ControlTotal(None, None, Decimal("1234567.50"))]
    trailed(bank, "T,,,5.00,", row("B1", "5.01"), rows_field=None, amount_field=4)
    assert "its trailer sums 5.00, the rows sum 5.01" in fault(bank).what


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234,567.50", "1234567.50"),
        ("－１２，３４５．６", "-12345.6"),
        ("（1,000.00）", "-1000.00"),
        ("12", "12"),
        ("1,23.5", None),
        ("Infinity", None),
        ("", None),
    ],
)
def test_totals_are_read_as_people_write_them(text: str, number: str | None) -> None:
    assert as_number(text) == (None if number is None else Decimal(number))


def test_a_file_of_a_trailer_alone_has_no_header(bank: FilePull) -> None:
    trailed(bank, "T,0,0.00")
    bank.write("a.csv", "T,0,0.00\n")
    assert "its last line is not the trailer" in fault(bank).what
