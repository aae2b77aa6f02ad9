"""The row rules that split a landed batch, read from the very suite that then validates it.

A threshold lives in one place, the landing suite: :func:`row_rules` renders each critical
expectation about rows as a DuckDB predicate, so that faulty rows can be put into quarantine in the
same pass that types the batch. What remains passes the suite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from customer_marts.errors import ConfigurationError
from customer_marts.gates.suites import ROW_FLOOR, UNEXPECTED_ROWS, Expectation, load_suite
from customer_marts.sql import identifier, literal

__all__ = ["RowRule", "row_rules"]

_TABLE_LEVEL = {
    ROW_FLOOR,
    "expect_table_row_count_to_equal",
    "expect_table_row_count_to_equal_other_table",
}
_QUERY = re.compile(r"SELECT \* FROM \{batch\} WHERE (?P<predicate>.+)", re.DOTALL)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class RowRule:
    """A predicate that is true for a faulty row of a typed batch.

    ``fault_sql`` is a DuckDB boolean expression over the batch's columns and never null: a value
    that cannot be compared because it is null passes, as it does in Great Expectations.
    ``column`` is where the fault is shown in quarantine.
    """

    rule: str
    column: str
    fault_sql: str
    reason_en: str
    reason_zh: str
    owner: str


def row_rules(suite_path: Path, today: date | None = None) -> list[RowRule]:
    """Row rules of a landing suite, in the suite's order.

    Expectations of table level (row counts) and warnings yield no rule: they judge the batch or
    only report. With `today`, a rule whose waiver still holds yields none either; without it,
    waivers are not looked at.

    Raises:
        ConfigurationError: the suite is unusable, or a critical expectation has no row form:
            an unsupported type, a ``mostly`` or ``row_condition``, or a query that is not
            exactly ``SELECT * FROM {batch} WHERE <predicate>``.
    """
    rules = []
    for expectation in load_suite(suite_path).expectations:
        waiver = expectation.waiver
        is_waived = waiver is not None and today is not None and not waiver.is_expired(today)
        if expectation.type in _TABLE_LEVEL or expectation.severity == "warning" or is_waived:
            continue
        try:
            rules.append(_row_rule(expectation))
        except ValueError as error:
            raise ConfigurationError(
                f"rule {expectation.rule} cannot split a batch: {error}", where=str(suite_path)
            ) from error
    return rules


def _row_rule(expectation: Expectation) -> RowRule:
    predicate_of = _PREDICATES.get(expectation.type)
    if predicate_of is None:
        raise ValueError(f"expectation type {expectation.type} has no row form")
    if expectation.column is None:
        raise ValueError("meta.column must name the column that quarantine shows")
    predicate, known = predicate_of(expectation.kwargs)
    unsupported = sorted(set(expectation.kwargs) - known)
    if unsupported:
        raise ValueError(f"not supported in a row rule: {', '.join(unsupported)}")
    return RowRule(
        rule=expectation.rule,
        column=expectation.column,
        fault_sql=f"coalesce({predicate}, false)",
        reason_en=expectation.reason_en,
        reason_zh=expectation.reason_zh,
        owner=expectation.owner,
    )


# Each returns the faulty rows' predicate and the kwargs it has understood.
_Predicate = tuple[str, set[str]]


def _between(kwargs: Mapping[str, Any]) -> _Predicate:
    column = identifier(kwargs["column"])
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    faults = []
    if low is not None:
        faults.append(f"{column} {'<=' if kwargs.get('strict_min') else '<'} {_literal(low)}")
    if high is not None:
        faults.append(f"{column} {'>=' if kwargs.get('strict_max') else '>'} {_literal(high)}")
    if not faults:
        raise ValueError("min_value and max_value are both missing")
    return " or ".join(faults), {"column", "min_value", "max_value", "strict_min", "strict_max"}


def _in_set(kwargs: Mapping[str, Any]) -> _Predicate:
    values = [value for value in kwargs["value_set"] if value is not None]
    if not values:
        raise ValueError("value_set is empty")
    allowed = ", ".join(_literal(value) for value in values)
    return f"{identifier(kwargs['column'])} not in ({allowed})", {"column", "value_set"}


def _not_null(kwargs: Mapping[str, Any]) -> _Predicate:
    return f"{identifier(kwargs['column'])} is null", {"column"}


def _greater(kwargs: Mapping[str, Any]) -> _Predicate:
    # A pair with a null passes in SQL whichever way ignore_row_if reads, except for "neither".
    if kwargs.get("ignore_row_if", "both_values_are_missing") == "neither":
        raise ValueError("ignore_row_if neither: a null would be a fault")
    operator = "<" if kwargs.get("or_equal") else "<="
    predicate = f"{identifier(kwargs['column_A'])} {operator} {identifier(kwargs['column_B'])}"
    return predicate, {"column_A", "column_B", "or_equal", "ignore_row_if"}


def _unexpected_rows(kwargs: Mapping[str, Any]) -> _Predicate:
    match = _QUERY.fullmatch(kwargs["unexpected_rows_query"])
    if match is None:
        raise ValueError("the query must be exactly SELECT * FROM {batch} WHERE <predicate>")
    return match["predicate"], {"unexpected_rows_query"}


_PREDICATES: dict[str, Callable[[Mapping[str, Any]], _Predicate]] = {
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
    UNEXPECTED_ROWS: _unexpected_rows,
}


def _literal(value: object) -> str:
    """A JSON value as the SQL literal that compares as Great Expectations' bound value does."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # bound as a double there; a bare 0.05 would be a decimal here
        return f"cast({value!r} as double)"
    if isinstance(value, str):
        quoted = literal(value)
        return f"date {quoted}" if _DATE.fullmatch(value) else quoted
    raise ValueError(f"no literal for {value!r}")
