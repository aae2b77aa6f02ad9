"""Excel workbooks: one sheet, one header row, values as a person reads them in the cells."""

from __future__ import annotations

import json
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from customer_marts.sources.extract import Reject
from customer_marts.sources.file_tables import (
    FileRows,
    RawWriter,
    Reading,
    SourceFile,
    shown,
    source_labels,
    unreadable,
)

BATCH_ROWS = 20_000
# Excel keeps 15 digits of a number: the 16th and later ones of a card number are zeros
DIGITS = 15
# what openpyxl raises of an archive that is no workbook, or a damaged one
_DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError),
    *(KeyError, ValueError, TypeError, SyntaxError),
)
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"


def read_workbook(reading: Reading, file: SourceFile, writer: RawWriter) -> FileRows:
    """Check, read and write one workbook's sheet. Empty rows are no rows."""
    rows = FileRows()
    batch: list[list[str | None]] = []
    numbers: list[int] = []
    header: list[str] = []
    columns: list[str] = []

    def flush() -> None:
        if batch:
            places = [header.index(name) for name in columns]
            texts = {
                name: [row[place] for row in batch]
                for name, place in zip(columns, places, strict=True)
            }
            writer.write(texts, source_labels(file.name, np.array(numbers)))
        batch.clear()
        numbers.clear()

    for number, cells in _rows(reading, file):
        if number < reading.table.header_row:
            continue
        if number == reading.table.header_row:
            header = _header(cells)
            if not header:
                break
            columns = reading.check_header(header, file)
            writer.declare(columns)
            continue
        values = [_text(cell) for cell in cells]
        if all(value is None for value in values) and not any(map(_has_no_result, cells)):
            continue
        rows.rows += 1
        fault = _fault(cells, values, header, columns)
        if fault is None:
            batch.append(values + [None] * (len(header) - len(values)))
            numbers.append(number)
        else:
            place, reason = fault
            named = {
                header[i] if i < len(header) else f"column {i + 1}": value
                for i, value in enumerate(values)
                if value is not None
            }
            column = header[place] if place < len(header) else None
            raw = shown(json.dumps(named, ensure_ascii=False))
            source = f"{file.name}:row {number}"
            value = values[place]
            rows.rejects.append(Reject(source, raw, reason, column, value and shown(value)))
        if len(batch) >= BATCH_ROWS:
            flush()
    if not header:
        raise reading.fault(
            f"row {reading.table.header_row} of the sheet holds no header",
            file,
            "give the number of the header's row as header_row in the company file",
        )
    flush()
    return rows


class _NoResult:
    """Stands for a formula whose result is not in the file."""


def _rows(reading: Reading, file: SourceFile) -> Iterator[tuple[int, list[Any]]]:
    """Number and cells of the sheet's rows; a formula gives the result stored with it."""
    import openpyxl

    with ExitStack() as stack, warnings.catch_warnings():
        # about styles and extensions that are not read here
        warnings.filterwarnings("ignore", module="openpyxl")
        try:
            has_formulas = _has_formulas(file)
            sheets = []
            for only_results in (True, False) if has_formulas else (True,):
                # a stream: openpyxl goes by the ending of a name
                stream = stack.enter_context(file.path.open("rb"))
                book = openpyxl.load_workbook(stream, read_only=True, data_only=only_results)
                stack.enter_context(closing(book))
                sheets.append(_sheet(reading, file, book))
            results = sheets[0].iter_rows()
            formulas = sheets[1].iter_rows() if has_formulas else None
            for number, row in enumerate(results, 1):
                cells = list(row)
                if formulas is not None:
                    for place, formula in enumerate(next(formulas)):
                        if formula.data_type == "f" and _is_without_result(cells[place]):
                            cells[place] = _NoResult()
                yield number, cells
        except _DAMAGES as error:
            with file.path.open("rb") as stream:
                is_old = stream.read(4) == OLD_WORKBOOK
            raise reading.fault(
                "the file is no xlsx workbook: "
                + ("it is protected by a password, or of Excel 97" if is_old else str(error)),
                file,
                "have the file saved as an .xlsx workbook without a password, then rerun",
            ) from error


def _sheet(reading: Reading, file: SourceFile, book: Any) -> Any:
    wanted = reading.table.sheet
    names = [sheet.title for sheet in book.worksheets]
    if wanted is not None and wanted not in names:
        raise reading.fault(
            f"the workbook has no sheet '{wanted}'; it has {', '.join(names)}",
            file,
            "name one of them as the table's sheet in the company file",
        )
    if not names:
        raise reading.fault("the workbook has no sheet with cells", file)
    sheet = book[wanted] if wanted is not None else book.worksheets[0]
    # the size that a sheet states of itself is often wrong, and rows beyond it would be lost
    sheet.reset_dimensions()
    return sheet


def _has_formulas(file: SourceFile) -> bool:
    with zipfile.ZipFile(file.path) as archive:
        for name in archive.namelist():
            if not name.startswith("xl/worksheets/") or not name.endswith(".xml"):
                continue
            with archive.open(name) as stream:
                tail = b""
                while block := stream.read(1 << 20):
                    text = tail + block
                    if b"<f>" in text or b"<f " in text or b":f>" in text or b":f " in text:
                        return True
                    tail = text[-3:]
    return False


def _is_without_result(cell: Any) -> bool:
    # an empty text as result has the type of a text
    return cell.value is None and getattr(cell, "data_type", "n") == "n"


def _has_no_result(cell: Any) -> bool:
    return isinstance(cell, _NoResult)


def _header(cells: list[Any]) -> list[str]:
    names = [(_text(cell) or "").strip() for cell in cells]
    while names and not names[-1]:  # cells that are only formatted
        names.pop()
    return names


def _fault(
    cells: list[Any], values: list[str | None], header: list[str], columns: list[str]
) -> tuple[int, str] | None:
    """The place of the first cell that cannot be taken, and why."""
    for place, (cell, value) in enumerate(zip(cells, values, strict=True)):
        if place >= len(header):
            if value is not None:
                return place, f"a value stands in column {place + 1}, which has no header"
            continue
        name = header[place]
        if name not in columns:
            continue
        if _has_no_result(cell):
            return place, (
                f"{name} is a formula without a result: the workbook was never calculated (open "
                "and save it in Excel)"
            )
        if value is None:
            continue
        if cell.data_type == "e":
            return place, f"{name} holds the error {value}"
        if cell.data_type == "n" and len(value.lstrip("-").split(".")[0]) > DIGITS:
            return place, (
                f"{name} is a number of more than {DIGITS} digits, of which Excel keeps "
                f"{DIGITS}: have the column formatted as text"
            )
        reason = None if value.isascii() and "\0" not in value else unreadable(name, value)
        if reason:
            return place, reason
    return None


def _text(cell: Any) -> str | None:
    """A cell's value as text: dates in ISO form, numbers with the 15 digits Excel keeps."""
    if _has_no_result(cell):
        return None
    value = cell.value
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # what a binary fraction adds behind the 15th digit was never entered
        plain = format(Decimal(format(value, f".{DIGITS}g")), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    if isinstance(value, datetime):
        if value.time() == time():
            return value.date().isoformat()
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return str(value)
