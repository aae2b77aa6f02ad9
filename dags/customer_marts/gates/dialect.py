"""SQLAlchemy dialect through which Great Expectations pushes its checks down into DuckDB.

duckdb_engine 0.17 speaks DuckDB through SQLAlchemy's PostgreSQL dialect, and Great Expectations
1.24 on top of it fails under SQLAlchemy 2.1 and DuckDB 2. Each override below names what it works
around and when it can go. URL: ``duckdb+gx:///<file>?schema=<schema>``; the file is opened
read-only and must exist.
"""

from __future__ import annotations

import re
from typing import Any

import duckdb
from duckdb_engine import ConnectionWrapper, Dialect
from sqlalchemy import pool, types
from sqlalchemy.dialects import registry
from sqlalchemy.engine.url import URL
from sqlalchemy.exc import NoSuchTableError, ProgrammingError

__all__ = ["GateDialect", "database_url", "register"]

# of one table: duckdb_columns() binds every view of the file first
_COLUMNS = 'select name, type, not "notnull", dflt_value from pragma_table_info($1)'


class GateDialect(Dialect):
    """duckdb_engine's dialect, read-only and on one connection."""

    # One statement text per expectation: SQLAlchemy's compiled cache brings nothing here, and
    # the base class leaves it off too. Stated because SQLAlchemy warns about an unset value.
    supports_statement_cache = False

    def create_connect_args(self, url: URL) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Take the file and the schema from the URL, and nothing else."""
        return (), {"database": url.database, "schema": url.query.get("schema")}

    def connect(self, *_cargs: Any, **cparams: Any) -> Any:
        """Open the file read-only, with `schema` as the search path.

        duckdb_engine's own connect sets a user agent, and DuckDB refuses a second connection of
        one process to one file under another configuration: a caller that also reads the
        candidate would be locked out. The search path lets an expectation name another table of
        the same schema. Can go when duckdb_engine has a switch for the user agent.
        """
        connection = duckdb.connect(cparams["database"], read_only=True)
        schema = cparams.get("schema")
        if schema is not None:
            quoted = str(schema).replace('"', '""').replace("'", "''")
            connection.execute(f"set search_path = '\"{quoted}\"'")
        return ConnectionWrapper(connection)

    @classmethod
    def get_pool_class(cls, _url: URL) -> type[pool.Pool]:
        """One connection: a read-only gate needs no second, and dispose() then frees the file."""
        return pool.StaticPool

    def get_columns(
        self, connection: Any, table_name: str, schema: str | None = None, **_kw: Any
    ) -> list[Any]:
        """Columns of a table or view, from DuckDB's own catalogue.

        The inherited reflection queries pg_catalog with functions that DuckDB 2 does not have.
        Can go when duckdb_engine reflects on SQLAlchemy 2.1 (duckdb_engine above 0.17).
        """
        names = [table_name] if schema is None else [schema, table_name]
        quoted = ".".join('"' + name.replace('"', '""') + '"' for name in names)
        try:
            rows = connection.exec_driver_sql(_COLUMNS, (quoted,)).fetchall()
        except ProgrammingError as error:
            raise NoSuchTableError(".".join(names)) from error
        return [
            {
                "name": name,
                "type": _sqlalchemy_type(data_type),
                "nullable": bool(is_nullable),
                "default": default,
            }
            for name, data_type, is_nullable, default in rows
        ]

    def get_pk_constraint(self, *_args: Any, **_kw: Any) -> Any:
        """No key: Great Expectations reads it with the columns and makes no use of it.

        The inherited query reads pg_catalog whole for every table.
        """
        return {"constrained_columns": [], "name": None}

    # Great Expectations fetches a result after handing its connection back to the pool, and the
    # pool's reset sends a rollback, which discards DuckDB's pending result. Nothing is written
    # here, so transactions are not needed at all. Can go when SqlAlchemyExecutionEngine
    # .execute_query returns rows, or lists duckdb among its persisted-connection dialects.
    def do_begin(self, dbapi_connection: Any) -> None:
        """Do nothing: the connection is read-only."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """Do nothing: the connection is read-only."""

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Do nothing: the connection is read-only."""


def register() -> None:
    """Make ``duckdb+gx://`` URLs known to SQLAlchemy; safe to call more than once."""
    registry.register("duckdb.gx", __name__, GateDialect.__name__)


def database_url(database: str, schema: str) -> str:
    """URL of a DuckDB file for :class:`GateDialect`."""
    url = URL.create("duckdb+gx", database=database, query={"schema": schema})
    return url.render_as_string(hide_password=False)


_TYPES: dict[str, type[types.TypeEngine[Any]]] = {
    "BIGINT": types.BigInteger,
    "BOOLEAN": types.Boolean,
    "DATE": types.Date,
    "DECIMAL": types.Numeric,
    "DOUBLE": types.Float,
    "FLOAT": types.Float,
    "HUGEINT": types.BigInteger,
    "INTEGER": types.Integer,
    "SMALLINT": types.SmallInteger,
    "TIMESTAMP": types.DateTime,
    "TINYINT": types.SmallInteger,
    "UBIGINT": types.BigInteger,
    "VARCHAR": types.String,
}


def _sqlalchemy_type(data_type: str) -> types.TypeEngine[Any]:
    """Kind of a DuckDB type; Great Expectations only asks whether it can be ordered."""
    name = re.match(r"[A-Z]*", data_type)
    return _TYPES.get(name.group() if name else "", types.NullType)()
