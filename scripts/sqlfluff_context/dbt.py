"""Stands in for dbt's ``dbt`` namespace while sqlfluff renders a model without a database."""

from __future__ import annotations


def type_string() -> str:
    """DuckDB's name of the type."""
    return "varchar"


def type_numeric() -> str:
    """DuckDB's name of the type."""
    return "decimal(28, 6)"


def type_timestamp() -> str:
    """DuckDB's name of the type."""
    return "timestamp"
