"""The current release in PostgreSQL, for readers that a file does not do.

Readers use the views of one schema (``MARTS_SERVING_SCHEMA``). The tables behind them lie in a
schema of each release, loaded before any view points to it; one transaction then turns all views.
So a statement reads one release, views that others built on these stay valid, and a load that dies
has changed nothing. Rights are given on the views. Personal data in clear are served only to roles
named for them, in a schema of their own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from customer_marts.errors import Busy, ConfigurationError, MartsError, SourceUnavailable
from customer_marts.releases import Release, current_release
from customer_marts.settings import Settings
from customer_marts.sources.database import postgresql_address, without_secrets
from customer_marts.sql import identifier, literal

WHERE = "MARTS_SERVING_URI"
# as a schema or a role is written without quotes; room is left for a release's name behind it
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,39}")
_TYPES = {
    "BIGINT": "bigint",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DOUBLE": "double precision",
    "INTEGER": "integer",
    "TIMESTAMP": "timestamp",
    "VARCHAR": "text",
}
# A reader of two views may hold one and wait for the other, which we hold: far below PostgreSQL's
# deadlock_timeout of a second we let go, so that no reader is ended, or long kept, for our sake.
_LOCK_TIMEOUT = "100ms"
_PAUSE_SECONDS = 0.1
_BATCH_ROWS = 65_536
_KEPT = "the views show what they showed; the release is published as files"


@dataclass(frozen=True)
class Target:
    """Where a company's marts are served, and to whom.

    readers: roles that may read the marts. restricted_readers: roles that may read personal data in
    clear as well, which are served only where there are any. patience_seconds: how long to wait for
    readers who hold the views.
    """

    uri: str = field(repr=False)
    schema: str = "marts"
    readers: tuple[str, ...] = ()
    restricted_readers: tuple[str, ...] = ()
    patience_seconds: float = 60

    @classmethod
    def of(cls, settings: Settings) -> Target | None:
        """From the environment (``MARTS_SERVING_…``); None where nothing is served."""
        given = settings.environment
        uri = given.get(WHERE)
        if not uri:
            return None
        schema = given.get("MARTS_SERVING_SCHEMA") or cls.schema
        readers, restricted = (
            tuple(name.strip() for name in (given.get(variable) or "").split(",") if name.strip())
            for variable in ("MARTS_SERVING_READERS", "MARTS_SERVING_RESTRICTED_READERS")
        )
        for name in (schema, *readers, *restricted):
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    f"'{name}' is no name of a schema or a role here",
                    where="MARTS_SERVING_SCHEMA, MARTS_SERVING_READERS or "
                    "MARTS_SERVING_RESTRICTED_READERS",
                    todo="use lower-case letters, digits and _, at most 40; commas between roles",
                )
        try:
            address = postgresql_address(settings.expand(uri, WHERE), WHERE)
        except ConfigurationError as error:
            raise ConfigurationError(
                error.what, where=error.where, kept=_KEPT, todo=error.todo
            ) from None
        return cls(address, schema, readers, restricted)

    @property
    def restricted_schema(self) -> str:
        return f"{self.schema}_restricted"


@dataclass(frozen=True)
class Served:
    """What readers of the schema see now. ``was_loaded`` is False where the tables were there
    already, ``was_turned`` where the views were too.
    """

    release_id: str
    schema: str
    tables: int
    was_loaded: bool
    was_turned: bool
    note: str = ""

    def __str__(self) -> str:
        if not self.was_turned:
            return f"{self.schema} shows {self.release_id} already"
        return f"{self.schema} shows {self.release_id}, {self.tables} marts"


def serve(settings: Settings, target: Target | None = None) -> Served | None:
    """Show the current release in PostgreSQL; None where nothing is configured or released.

    Does nothing where it is shown already. The release shown before is kept, so that going back to
    it moves no data; older ones go. Raises SourceUnavailable (the server, or readers who do not let
    go of the views), ConfigurationError (address, schema, roles, what others built on a view whose
    columns changed) or Busy; the views then show what they showed.
    """
    target = target or Target.of(settings)
    release = current_release(settings.paths)
    if target is None or release is None:
        return None
    with _connected(target) as server:
        server.be_the_only_one()
        server.check_schemas_are_ours()
        before = server.shown()
        was_loaded = server.load(release)
        was_turned = before != _shown(release, target)
        if was_turned:
            server.turn_views(release)
        shown = {_marker(release), before.partition(";")[0]}
        # where the release is the same, the one to go back to is not known, and stays
        note = server.remove_others(shown) if len(shown) > 1 else ""
    return Served(
        release.release_id,
        target.schema,
        len(release.manifest["rows"]),
        was_loaded,
        was_turned,
        note,
    )


def shown_release(target: Target) -> str | None:
    """The id of the release that the views show; None before the first.

    Raises SourceUnavailable where the server cannot be asked.
    """
    with _connected(target) as server:
        shown = server.shown()
    return shown.split()[0] if shown else None


def _marker(release: Release) -> str:
    """What the schemas' comments say: a state folder made anew numbers its releases anew."""
    return f"{release.release_id} of run {release.manifest['run_id']}"


def _shown(release: Release, target: Target) -> str:
    """What the comment of the readers' schema says: who reads is part of what is shown."""
    readers, restricted = ", ".join(target.readers), ", ".join(target.restricted_readers)
    return f"{_marker(release)}; readers: {readers}; in clear: {restricted}"


@contextmanager
def _connected(target: Target) -> Iterator[_Server]:
    import adbc_driver_manager
    import adbc_driver_postgresql.dbapi

    try:
        with closing(adbc_driver_postgresql.dbapi.connect(target.uri)) as connection:
            yield _Server(target, connection)
    except adbc_driver_manager.Error as error:
        # from None: a log would print the cause, and that may hold secrets
        raise _explained(error, target) from None


class _Server:
    """One session. Every public method leaves no transaction open."""

    def __init__(self, target: Target, connection: Any) -> None:
        self.target = target
        self.connection = connection
        self.cursor = connection.cursor()

    def rows(self, query: str) -> list[Any]:
        self.cursor.execute(query)
        found: list[Any] = self.cursor.fetchall()
        return found

    def run(self, statement: str) -> None:
        self.cursor.execute(statement)

    def be_the_only_one(self) -> None:
        """For as long as the session lives."""
        key = f"hashtext('customer-marts'), hashtext({literal(self.target.schema)})"
        if not self.rows(f"select pg_try_advisory_lock({key})")[0][0]:
            raise Busy(
                f"another process serves the schema {self.target.schema}",
                where=WHERE,
                kept="readers see what that process shows them",
                todo="let it end, then run marts serve",
            )

    def check_schemas_are_ours(self) -> None:
        for schema in (self.target.schema, self.target.restricted_schema):
            found = self.rows(
                f"""
                select coalesce(obj_description(oid, 'pg_namespace') like '% of run %', false),
                    exists (select 1 from pg_class where relnamespace = pg_namespace.oid)
                from pg_namespace where nspname = {literal(schema)}
                """
            )
            if found and found[0] == (False, True):
                raise ConfigurationError(
                    f"the schema {schema} holds what customer-marts did not make",
                    where=WHERE,
                    kept="nothing there was touched; the release is published as files",
                    todo="name another schema (MARTS_SERVING_SCHEMA), or empty this one",
                )
        self.connection.rollback()

    def shown(self) -> str:
        """What the readers' schema says of itself; empty before the first time."""
        found = self.rows(
            "select obj_description(oid, 'pg_namespace') from pg_namespace "
            f"where nspname = {literal(self.target.schema)}"
        )
        self.connection.rollback()
        return str(found[0][0] or "") if found else ""

    def load(self, release: Release) -> bool:
        """Load the release's tables in one transaction; False where they are there already.

        The personal data come with the first load after restricted readers were named.
        """
        schema = self._schema_of(release)
        loaded = {
            name
            for (name,) in self.rows(
                "select relname from pg_class inner join pg_namespace "
                "on pg_namespace.oid = relnamespace where relkind = 'r' "
                f"and nspname = {literal(schema)} "
                f"and obj_description(relnamespace, 'pg_namespace') = {literal(_marker(release))}"
            )
        }
        if not loaded:
            self.run(f"drop schema if exists {identifier(schema)} cascade")
            self.run(f"create schema {identifier(schema)}")
            self.run(f"comment on schema {identifier(schema)} is {literal(_marker(release))}")
        # a sample of 6,000 rows a table: PostgreSQL's own, of 30,000, takes longer than the load
        self.run("set local default_statistics_target = 20")
        with duckdb.connect(str(release.marts), read_only=True) as marts:
            wanted = {name: identifier(name) for name in release.manifest["rows"]}
            for file in self._restricted_files(release):
                wanted[_restricted_table(file)] = f"read_parquet({literal(str(file))})"
            missing = {name: source for name, source in wanted.items() if name not in loaded}
            for name, source in missing.items():
                self._copy(marts, source, schema, name)
        self.connection.commit()
        return bool(missing)

    def _copy(self, marts: duckdb.DuckDBPyConnection, source: str, schema: str, name: str) -> None:
        relation = marts.sql(f"from {source}")
        columns = [
            f"{identifier(column)} {_postgresql_type(str(kind), name)}"
            for column, kind in zip(relation.columns, relation.types, strict=True)
        ]
        table = f"{identifier(schema)}.{identifier(name)}"
        self.run(f"create table {table} ({', '.join(columns)})")
        self.cursor.adbc_ingest(
            name, relation.to_arrow_reader(_BATCH_ROWS), mode="append", db_schema_name=schema
        )
        if "customer_id" in relation.columns:
            self.run(f"create index on {table} (customer_id)")
        self.run(f"analyze {table}")

    def turn_views(self, release: Release) -> None:
        """Point every view to the release's tables, in one transaction."""
        deadline = time.monotonic() + self.target.patience_seconds
        while True:
            try:
                self._turn(release)
            except Exception as error:
                self.connection.rollback()
                if getattr(error, "sqlstate", None) != "55P03":
                    raise
                if time.monotonic() > deadline:
                    raise self._held() from None
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def _turn(self, release: Release) -> None:
        target, data = self.target, self._schema_of(release)
        restricted = {
            _restricted_table(file): file.stem for file in self._restricted_files(release)
        }
        self.run(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
        for schema in (target.schema, target.restricted_schema):
            self.run(f"create schema if not exists {identifier(schema)}")
            self.run(
                f"comment on schema {identifier(schema)} is {literal(_shown(release, target))}"
            )
        columns = self._columns(data)
        wanted = {(target.schema, name): name for name in release.manifest["rows"]}
        wanted |= {(target.restricted_schema, view): name for name, view in restricted.items()}
        old: dict[tuple[str, str], list[tuple[str, str]]] = {
            (schema, name): found
            for schema in (target.schema, target.restricted_schema)
            for name, found in self._columns(schema).items()
        }
        if old:
            views = ", ".join(_qualified(*view) for view in sorted(old))
            self.run(f"lock table {views} in access exclusive mode")
        for view, found in old.items():
            table = wanted.get(view)
            # a view may gain columns at its end; any other change needs a new one
            if table is None or columns[table][: len(found)] != found:
                self.run(f"drop view {_qualified(*view)}")
        for view, table in wanted.items():
            names = ", ".join(identifier(name) for name, _ in columns[table])
            self.run(
                f"create or replace view {_qualified(*view)} as "
                f"select {names} from {_qualified(data, table)}"
            )
        if "data_dictionary" in columns:
            self._describe(data)
        self._let_read(target.schema, {*target.readers, *target.restricted_readers})
        self._let_read(target.restricted_schema, set(target.restricted_readers))
        self.connection.commit()

    def _columns(self, schema: str) -> dict[str, list[tuple[str, str]]]:
        """Names and types of the columns of a schema's tables and views, in order."""
        found: dict[str, list[tuple[str, str]]] = {}
        for relation, column, kind in self.rows(
            f"""
            select relname, attname, format_type(atttypid, atttypmod)
            from pg_attribute
            inner join pg_class on pg_class.oid = attrelid
            inner join pg_namespace on pg_namespace.oid = relnamespace
            where nspname = {literal(schema)} and relkind in ('r', 'v') and attnum > 0
                and not attisdropped
            order by relname, attnum
            """
        ):
            found.setdefault(relation, []).append((column, kind))
        return found

    def _describe(self, data: str) -> None:
        """Comments from the release's own data dictionary."""
        schema = literal(self.target.schema)
        self.run(
            f"""
            do $$
            declare described record;
            begin
                for described in
                    select table_name, column_name, column_no,
                        concat_ws(E'\\n', label_zh, description) as said
                    from {_qualified(data, "data_dictionary")}
                    inner join pg_views
                        on schemaname = {schema} and viewname = table_name
                loop
                    if described.column_name is null then
                        execute format(
                            'comment on view %I.%I is %L', {schema}, described.table_name,
                            described.said
                        );
                    else
                        execute format(
                            'comment on column %I.%I.%I is %L', {schema}, described.table_name,
                            described.column_name, described.said
                        );
                    end if;
                end loop;
            end $$
            """
        )

    def _let_read(self, schema: str, roles: set[str]) -> None:
        """These roles, and no other but the owner."""
        named = identifier(schema)
        others = self.rows(
            f"""
            select distinct case grantee when 0 then 'public' else grantee::regrole::text end
            from pg_namespace, aclexplode(nspacl)
            where nspname = {literal(schema)} and grantee <> nspowner
            """
        )
        for (role,) in others:
            if role not in roles:
                self.run(f"revoke all on schema {named} from {role}")
        for role in sorted(roles):
            self.run(f"grant usage on schema {named} to {identifier(role)}")
            self.run(f"grant select on all tables in schema {named} to {identifier(role)}")

    def _held(self) -> SourceUnavailable:
        schemas = f"{literal(self.target.schema)}, {literal(self.target.restricted_schema)}"
        holders = self.rows(
            f"""
            select distinct format('process %s, user %s, %s, since %s', pid, usename,
                coalesce(nullif(application_name, ''), 'no name'),
                to_char(xact_start, 'YYYY-MM-DD HH24:MI'))
            from pg_locks
            inner join pg_stat_activity using (pid)
            inner join pg_class on pg_class.oid = relation
            inner join pg_namespace on pg_namespace.oid = relnamespace
            where nspname in ({schemas})
                and pid <> pg_backend_pid()
            order by 1 limit 5
            """
        )
        named = "; ".join(name for (name,) in holders) or "they have ended meanwhile"
        return SourceUnavailable(
            f"readers held the views for {self.target.patience_seconds:.0f} seconds: {named}",
            where=f"schema {self.target.schema}",
            kept="the views show what they showed; the new tables are loaded",
            todo="let them end their transactions, then run marts serve",
        )

    def remove_others(self, markers: set[str]) -> str:
        """Drop the releases' schemas with other markers; returns what could not be dropped."""
        kept = []
        for schema, marker in self.rows(
            "select nspname, obj_description(oid, 'pg_namespace') from pg_namespace "
            f"where nspname ~ '^{self.target.schema}_r[0-9]+_[0-9]{{8}}$' "
            "and obj_description(oid, 'pg_namespace') like '% of run %'"
        ):
            if marker in markers:
                continue
            tables = ", ".join(_qualified(schema, name) for name in self._columns(schema))
            try:
                self.run(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
                if tables:
                    # not the schema with all that is in it: others may have built on its tables
                    self.run(f"drop table {tables}")
                self.run(f"drop schema {identifier(schema)}")
                self.connection.commit()
            except Exception as error:
                self.connection.rollback()
                if getattr(error, "sqlstate", None) not in ("55P03", "2BP01"):
                    raise
                kept.append(schema)
        self.connection.rollback()
        return f"still read or built upon, so not removed: {', '.join(kept)}" if kept else ""

    def _schema_of(self, release: Release) -> str:
        return f"{self.target.schema}_{release.release_id.replace('-', '_')}"

    def _restricted_files(self, release: Release) -> list[Path]:
        if not self.target.restricted_readers:
            return []
        return sorted((release.folder / "restricted").glob("*.parquet"))


def _restricted_table(file: Path) -> str:
    return f"restricted_{file.stem}"


def _qualified(schema: str, name: str) -> str:
    return f"{identifier(schema)}.{identifier(name)}"


def _postgresql_type(kind: str, table: str) -> str:
    if kind.startswith("DECIMAL("):
        return kind.lower().replace("decimal", "numeric")
    if kind not in _TYPES:
        raise MartsError(
            f"a column of {table} is of a type that is not served: {kind}",
            where=WHERE,
            kept=_KEPT,
            todo="cast the column in the mart",
        )
    return _TYPES[kind]


def _explained(error: Exception, target: Target) -> MartsError:
    """What the server's error means to the operator, without secrets."""
    text = without_secrets(str(error).split("\n")[0], target.uri)
    state = getattr(error, "sqlstate", None) or ""
    if state == "2BP01":
        detail = without_secrets(" ".join(str(error).split("\n")[1:3]), target.uri)
        return ConfigurationError(
            f"the columns of a mart changed, and others built on its view: {text} {detail}".strip(),
            where=f"schema {target.schema}",
            kept=_KEPT,
            todo="drop what hangs on the view, run marts serve, and build it anew",
        )
    if state in ("42704", "42501", "3D000"):
        return ConfigurationError(
            f"the database refuses: {text}",
            where=WHERE,
            kept=_KEPT,
            todo="create the role or the database, or give the login the right to create schemas",
        )
    return SourceUnavailable(
        f"the marts could not be served: {text}",
        where=WHERE,
        kept=_KEPT,
        todo="check that the server is up and the login; then run marts serve",
    )
