"""Parquet files: their columns as they are typed, nested values as JSON text."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from customer_marts.feeds import TypeFamily
from customer_marts.sources.extract import SOURCE_COLUMN, Reject, check_types
from customer_marts.sources.file_tables import (
    UNREADABLE_CHARACTERS,
    Reading,
    SourceFile,
    shown,
)
from customer_marts.sql import identifier, literal

_NUMBERS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    *("FLOAT", "DOUBLE", "DECIMAL", "BIGNUM"),
)


@dataclass
class ParquetRows:
    """What the Parquet files of a table hold. query: selects their readable rows and _source."""

    query: str
    rows: int = 0
    rejects: list[Reject] = field(default_factory=list)
    types: dict[str, TypeFamily] = field(default_factory=dict)


def family_of(duckdb_type: str) -> TypeFamily:
    """The family of one of DuckDB's types; nested values count as the text they become."""
    base = duckdb_type.split("(")[0]
    if base in _NUMBERS:
        return "number"
    if base.startswith(("DATE", "TIME", "INTERVAL")) and not base.endswith("]"):
        return "time"
    if base == "BOOLEAN":
        return "boolean"
    return "binary" if base in ("BLOB", "BIT") else "text"


def read_parquet_files(
    connection: Any,
    reading: Reading,
    files: list[SourceFile],
    known: dict[str, TypeFamily],
    work: Path,
) -> ParquetRows:
    """Check the files' columns and types (known: those of the last release) and find their
    unreadable rows.
    """
    import duckdb

    rows = ParquetRows("")
    described: list[tuple[SourceFile, Path, dict[str, str]]] = []
    for number, file in enumerate(files):
        # under a name that DuckDB cannot take for a pattern
        link = work / f"{reading.table_name}_{number:06d}.link.parquet"
        link.symlink_to(file.path.absolute())
        try:
            found = connection.execute(
                f"describe select * from read_parquet({literal(str(link))})"
            ).fetchall()
        except duckdb.Error as error:
            raise reading.fault(
                f"the file is no readable Parquet file: {str(error).splitlines()[0]}", file
            ) from error
        types = {name: kind for name, kind, *_ in found}
        columns = reading.check_header(list(types), file)
        families = {name: family_of(types[name]) for name in columns}
        if reading.wanted is not None:
            check_types(reading.feed, reading.mapping, families, {**rows.types, **known})
        rows.types.update(families)
        described.append((file, link, {name: types[name] for name in columns}))
    sources, selects, checks = [], [], []
    for part in _by_types(described):
        source = _source(part)
        sources.append(source)
        kinds = part[0][2]
        texts = [name for name, kind in kinds.items() if kind == "VARCHAR"]
        checks.append(_check(source, list(kinds), texts))
        values = ", ".join(
            _value(name, kind, {types[name] for _, _, types in described if name in types}, reading)
            for name, kind in kinds.items()
        )
        selects.append(
            f"select {values}, {SOURCE_COLUMN} from ({source}) "
            f"where not coalesce({_is_unreadable(texts)}, false)"
        )
    rows.query = " union all by name ".join(selects)
    try:
        for check in checks:
            for label, column, value, raw, reason in connection.execute(check).fetchall():
                reason = f"{column} holds {UNREADABLE_CHARACTERS[reason]}"
                rows.rejects.append(Reject(label, shown(raw), reason, column, shown(value)))
        for source in sources:
            [[count]] = connection.execute(f"select count(*) from ({source})").fetchall()
            rows.rows += count
    except duckdb.Error as error:
        raise reading.fault(
            f"the Parquet files cannot be read: {str(error).splitlines()[0]}", files[0]
        ) from error
    return rows


def _by_types(
    described: list[tuple[SourceFile, Path, dict[str, str]]],
) -> list[list[tuple[SourceFile, Path, dict[str, str]]]]:
    """The files in parts of equal columns and types."""
    parts: dict[tuple[tuple[str, str], ...], list[tuple[SourceFile, Path, dict[str, str]]]] = {}
    for item in described:
        parts.setdefault(tuple(sorted(item[2].items())), []).append(item)
    return list(parts.values())


def _source(part: list[tuple[SourceFile, Path, dict[str, str]]]) -> str:
    """SQL for the rows of a part with their _source."""
    columns = part[0][2]
    path = "path"
    while path in columns:
        path += "_"
    links = ", ".join(literal(str(link)) for _, link, _ in part)
    labels = ", ".join(literal(f"{file.name}:record ") for file, _, _ in part)
    return (
        f"select {', '.join(map(identifier, columns))}, "
        f"map([{links}], [{labels}])[{path}] || (file_row_number + 1) as {SOURCE_COLUMN} "
        f"from read_parquet([{links}], file_row_number = true, filename = {literal(path)})"
    )


def _value(name: str, kind: str, kinds: set[str], reading: Reading) -> str:
    column = identifier(name)
    if reading.wanted is None:
        return column
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "VARIANT")):
        return f"cast(to_json({column}) as varchar) as {column}"
    if len(kinds) > 1:  # texts are exact; a common type of numbers need not be
        return f"cast({column} as varchar) as {column}"
    return column


def _is_unreadable(texts: list[str]) -> str:
    tests = [
        f"contains({identifier(name)}, chr({ord(character)}))"
        for name in texts
        for character in UNREADABLE_CHARACTERS
    ]
    return "(" + (" or ".join(tests) or "false") + ")"


def _check(source: str, columns: list[str], texts: list[str]) -> str:
    """SQL for the unreadable rows: source, column, value, the row as JSON, the character."""
    cases = [
        (f"contains({identifier(name)}, chr({ord(character)}))", name, character)
        for name in texts
        for character in UNREADABLE_CHARACTERS
    ]

    def first(result: dict[int, str]) -> str:
        whens = " ".join(f"when {test} then {result[i]}" for i, (test, _, _) in enumerate(cases))
        return f"case {whens} end" if cases else "null"

    packed = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in columns)
    return f"""
        select
            {SOURCE_COLUMN},
            {first({i: literal(name) for i, (_, name, _) in enumerate(cases)})},
            {first({i: identifier(name) for i, (_, name, _) in enumerate(cases)})},
            cast(to_json(struct_pack({packed})) as varchar),
            {first({i: f"chr({ord(character)})" for i, (_, _, character) in enumerate(cases)})}
        from ({source})
        where {_is_unreadable(texts)}
        """
