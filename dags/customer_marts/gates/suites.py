"""Great Expectations suites: reading, checking and running them against a DuckDB file.

A suite is a JSON file in ``expectations/<group>/<name>.json`` in Great Expectations' own format.
Beyond that format, :func:`load_suite` demands of every expectation a severity (``critical`` stops,
``warning`` is reported) and in its ``meta`` the rule's id, its owner (a role) and the reason in
English and Chinese; and of every suite a row floor, because an empty table passes column rules.
There is no switch that turns a rule off: a waiver in ``meta`` names owner, reason and expiry.

Great Expectations takes seconds to import, so nothing of it is imported with this module.
"""

from __future__ import annotations

import json
import logging
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from customer_marts.errors import ConfigurationError, MartsError

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.data_context import AbstractDataContext
    from great_expectations.datasource.fluent.interfaces import Batch
    from great_expectations.datasource.fluent.sql_datasource import SQLDatasource

__all__ = [
    "Expectation",
    "ExpectationResult",
    "GateError",
    "Severity",
    "Suite",
    "SuiteResult",
    "Waiver",
    "load_suite",
    "validate",
]

Severity = Literal["critical", "warning"]

ROW_FLOOR = "expect_table_row_count_to_be_between"
UNEXPECTED_ROWS = "unexpected_rows_expectation"

_COUNT_SAMPLES = 5  # example values shown for a failed rule
_REQUIRED_META = ("rule", "owner", "reason_en", "reason_zh")
_ALLOWED_META = {*_REQUIRED_META, "column", "note", "waiver"}
# Great Expectations formats the query with str.format and hands it to sqlalchemy.text(), which
# reads `:name` as a bind parameter (a cast's `::` is safe).
_BIND_PARAMETER = re.compile(r"(?<!:):(?!:)\w")


class GateError(MartsError):
    """A gate could not be run: infrastructure, never "bad data". Exit code 3."""

    exit_code = 3


@dataclass(frozen=True)
class Waiver:
    """Permission for a rule to fail, through `expires_on` inclusive."""

    owner: str
    reason: str
    expires_on: date

    def is_expired(self, today: date) -> bool:
        """Whether the waiver no longer holds on `today`."""
        return today > self.expires_on


@dataclass(frozen=True)
class Expectation:
    """One checked entry of a suite file. ``column`` is None for rules of a whole table."""

    type: str
    kwargs: Mapping[str, Any]
    severity: Severity
    rule: str
    owner: str
    reason_en: str
    reason_zh: str
    column: str | None
    waiver: Waiver | None


@dataclass(frozen=True)
class Suite:
    """A checked suite file. ``may_be_empty`` is the reason why it has no row floor, or None."""

    name: str
    path: Path
    expectations: tuple[Expectation, ...]
    may_be_empty: str | None


@dataclass(frozen=True)
class ExpectationResult:
    """Outcome of one expectation.

    ``severity`` is the effective one: a waived failure is a warning, an expired waiver critical.
    ``observed`` is what a failed rule of a table or an aggregate observed, or up to five example
    values of a failed row rule. ``unexpected_count`` is in rows; None where the rule does not
    count rows. Both are None of a rule that is met.
    """

    suite: str
    table: str
    expectation: str
    column: str | None
    severity: Severity
    success: bool
    observed: object
    unexpected_count: int | None
    rule: str
    owner: str
    message: str


@dataclass(frozen=True)
class SuiteResult:
    """Outcome of one suite on one table; ``success``: no critical expectation failed."""

    suite: str
    table: str
    success: bool
    rows: int
    seconds: float
    results: tuple[ExpectationResult, ...]


def load_suite(path: Path) -> Suite:
    """Read and check a suite file.

    Raises:
        ConfigurationError: the file is missing or not JSON; an expectation lacks severity or
            meta, repeats a rule id, has an unknown field or an unusable query; a waiver is
            incomplete; or the suite has neither a row floor nor ``meta.may_be_empty``.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError("suite file cannot be read", where=f"{path}: {error}") from error
    _check(isinstance(content, dict), "a suite file holds one JSON object", path)
    _check_fields(content, {"name", "expectations", "meta"}, "suite", path)
    name = _text(content, "name", "suite", path)
    meta = content.get("meta", {})
    _check(isinstance(meta, dict), "meta must be an object", path)
    may_be_empty = _text(meta, "may_be_empty", "meta", path) if "may_be_empty" in meta else None
    entries = content.get("expectations")
    _check(isinstance(entries, list), "expectations must be a list", path)

    expectations = tuple(_expectation(entry, index, path) for index, entry in enumerate(entries))
    rules = [expectation.rule for expectation in expectations]
    repeated = sorted({rule for rule in rules if rules.count(rule) > 1})
    _check(not repeated, f"rule ids are repeated: {', '.join(repeated)}", path)
    has_floor = any(_is_row_floor(expectation) for expectation in expectations)
    _check(
        has_floor != bool(may_be_empty),
        "a suite needs either a critical row floor "
        f"({ROW_FLOOR} with min_value of at least 1) or a reason in meta.may_be_empty, not both",
        path,
    )
    return Suite(name=name, path=path, expectations=expectations, may_be_empty=may_be_empty)


def validate(
    database: Path,
    schema: str,
    suites: Mapping[str, Path],
    work_dir: Path,
    today: date,
) -> list[SuiteResult]:
    """Run suites against tables or views of one schema of a DuckDB file.

    All suites run in this process over one read-only connection and one Great Expectations
    context. What Great Expectations says of the failed rules of a table lies in `work_dir` as
    ``<table>.json``.

    Args:
        database: DuckDB file; no other process may hold it open for writing.
        schema: schema of the tables; also the search path of queries in the suites.
        suites: table or view name -> suite file.
        work_dir: folder for the failed rules' results; created when there are any.
        today: date on which waivers are judged.

    Returns:
        One result per suite, in the order of `suites`; expectations in the order of the file.

    Raises:
        ConfigurationError: a suite file is unusable (see :func:`load_suite`).
        GateError: the database, a table or a column is missing, or a query failed. Nothing is
            known about the data then.
    """
    loaded = {table: load_suite(path) for table, path in suites.items()}
    if not database.is_file():
        raise GateError("the gate's database does not exist", where=str(database))
    with _quiet(), _gx_source(_gx_context(), database, schema) as source:
        return [
            _run_suite(source, table, suite, work_dir, today) for table, suite in loaded.items()
        ]


# --- reading a suite -----------------------------------------------------------------------------


def _expectation(entry: Any, index: int, path: Path) -> Expectation:
    where = f"expectation {index + 1}"
    _check(isinstance(entry, dict), f"{where} must be an object", path)
    _check_fields(entry, {"type", "kwargs", "severity", "meta"}, where, path)
    meta = entry.get("meta")
    _check(isinstance(meta, dict), f"{where} has no meta", path)
    for field in _REQUIRED_META:
        _text(meta, field, f"{where}: meta", path)
    where = f"{where} ({meta['rule']})"
    _check_fields(meta, _ALLOWED_META, f"{where}: meta", path)
    severity = entry.get("severity")
    _check(severity in ("critical", "warning"), f"{where}: severity is critical or warning", path)
    kwargs = entry.get("kwargs")
    _check(isinstance(kwargs, dict), f"{where} has no kwargs", path)
    kind = _text(entry, "type", where, path)
    if kind == UNEXPECTED_ROWS:
        _check_query(_text(kwargs, "unexpected_rows_query", f"{where}: kwargs", path), where, path)
    return Expectation(
        type=kind,
        kwargs=kwargs,
        severity=severity,
        rule=meta["rule"],
        owner=meta["owner"],
        reason_en=meta["reason_en"],
        reason_zh=meta["reason_zh"],
        column=meta.get("column") or kwargs.get("column") or kwargs.get("column_A"),
        waiver=_waiver(meta["waiver"], where, path) if "waiver" in meta else None,
    )


def _check_query(query: str, where: str, path: Path) -> None:
    _check("{batch}" in query, f"{where}: the query must read from {{batch}}", path)
    bare = query.replace("{batch}", "")
    _check(
        not ("{" in bare or "}" in bare or _BIND_PARAMETER.search(bare)),
        f"{where}: braces and `:name` have a meaning of their own in a query; avoid them",
        path,
    )


def _waiver(content: Any, where: str, path: Path) -> Waiver:
    _check(isinstance(content, dict), f"{where}: a waiver must be an object", path)
    _check_fields(content, {"owner", "reason", "expires_on"}, f"{where}: waiver", path)
    expires_on = _text(content, "expires_on", f"{where}: waiver", path)
    try:
        expiry = date.fromisoformat(expires_on)
    except ValueError as error:
        raise ConfigurationError(
            f"{where}: waiver: expires_on is not a date (YYYY-MM-DD): {expires_on}",
            where=str(path),
        ) from error
    return Waiver(
        owner=_text(content, "owner", f"{where}: waiver", path),
        reason=_text(content, "reason", f"{where}: waiver", path),
        expires_on=expiry,
    )


def _is_row_floor(expectation: Expectation) -> bool:
    minimum = expectation.kwargs.get("min_value")
    return (
        expectation.type == ROW_FLOOR
        and expectation.severity == "critical"
        and isinstance(minimum, int)
        and minimum >= 1
    )


def _text(content: Mapping[str, Any], field: str, where: str, path: Path) -> str:
    value = content.get(field)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{where}: {field} is missing or empty", where=str(path))
    return value


def _check_fields(content: Mapping[str, Any], known: set[str], where: str, path: Path) -> None:
    unknown = sorted(set(content) - known)
    _check(not unknown, f"{where}: unknown field {', '.join(unknown)}", path)


def _check(condition: bool, what: str, path: Path) -> None:
    if not condition:
        raise ConfigurationError(what, where=str(path))


# --- running a suite -----------------------------------------------------------------------------


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's log lines and deprecation notices out of the operator's log.

    What fails is raised or returned; nothing is lost.
    """
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _gx_context() -> AbstractDataContext:
    """A Great Expectations context in memory.

    One that lies on disk writes its whole configuration again with every table and suite, and
    suite copies and results that nobody reads: the verdict is in the journal.
    """
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False),
        ),
    )
    # it still writes its configuration as YAML, into a store in memory, with every table
    context._save_project_config = lambda: None
    return context


@contextmanager
def _gx_source(
    context: AbstractDataContext, database: Path, schema: str
) -> Iterator[SQLDatasource]:
    """The database as a data source; the file is free again afterwards."""
    from customer_marts.gates import dialect

    dialect.register()
    try:
        source = context.data_sources.add_or_update_sql(
            name=database.stem, connection_string=dialect.database_url(str(database), schema)
        )
    except Exception as error:
        raise GateError("the gate's database cannot be opened", where=f"{database}: {error}") from (
            error
        )
    try:
        yield source
    finally:
        # the source opens one engine to test itself and another to run metrics
        source.get_execution_engine().close()
        source.get_engine().dispose()


def _run_suite(
    source: SQLDatasource, table: str, suite: Suite, work_dir: Path, today: date
) -> SuiteResult:
    import sqlalchemy as sa

    started = time.perf_counter()
    expectations = [_gx_expectation(expectation, suite) for expectation in suite.expectations]
    try:
        # quoted, because a batch's table is named by its id
        asset = source.add_table_asset(table, table_name=f'"{table}"')
        batch = asset.get_batch(asset.build_batch_request())
        outcome = _validate(batch, suite.name, expectations, "BOOLEAN_ONLY")
        # what a met rule observed costs a query of its own, and nobody asks for it
        failed = [
            expectation
            for expectation, result in zip(expectations, outcome, strict=True)
            if not result.success and _exception_message(result.exception_info) is None
        ]
        details = _validate(batch, suite.name, failed, "SUMMARY") if failed else []
        count = sa.select(sa.func.count()).select_from(sa.table(sa.quoted_name(table, quote=True)))
        with source.get_execution_engine().get_connection() as connection:
            rows = int(connection.execute(count).scalar_one())
        source.assets.clear()
    except Exception as error:
        raise GateError(
            f"suite {suite.name} could not be run on {table}",
            where=f"{suite.path}: {type(error).__name__}: {error}",
        ) from error
    if details:
        work_dir.mkdir(parents=True, exist_ok=True)
        content = [result.to_json_dict() for result in details]
        text = json.dumps(content, ensure_ascii=False, indent=1)
        (work_dir / f"{table}.json").write_text(text, "utf-8")
    results = _results(suite, table, [*outcome, *details], today)
    return SuiteResult(
        suite=suite.name,
        table=table,
        success=all(result.success or result.severity == "warning" for result in results),
        rows=rows,
        seconds=time.perf_counter() - started,
        results=results,
    )


def _validate(
    batch: Batch, name: str, expectations: list[Any], result_format: str
) -> list[ExpectationValidationResult]:
    """One result per expectation, in order, at the wanted length."""
    from great_expectations import ExpectationSuite

    suite = ExpectationSuite(name=name, expectations=expectations)
    with _work_done_once():
        outcome = batch.validate(
            suite,
            result_format={
                "result_format": result_format,
                "partial_unexpected_count": _COUNT_SAMPLES,
            },
        )
    by_rule = {result.expectation_config.meta["rule"]: result for result in outcome.results}
    return [by_rule[expectation.meta["rule"]] for expectation in expectations]


@contextmanager
def _work_done_once() -> Iterator[None]:
    """What Great Expectations 1.24 does again and again while nothing changes, is done once.

    Half of a gate's time: each expectation's configuration is made anew at every look, 70 times an
    expectation, and the expectation from its configuration eight times; and of each of 40,000 small
    ids, all kinds of value are tried before None. Each part can go when it keeps what it made.
    """
    from great_expectations.core import id_dict
    from great_expectations.expectations.expectation import Expectation as GxExpectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    made = GxExpectation.configuration
    # with the object, or another could come to have its id
    kept: dict[int, tuple[GxExpectation, Any]] = {}

    def configuration(self: GxExpectation) -> Any:
        if id(self) not in kept:
            kept[id(self)] = (self, made.__get__(self))
        return kept[id(self)][1]

    built = ExpectationConfiguration.to_domain_obj
    # a batch's id comes to the arguments later
    objects: dict[int, tuple[ExpectationConfiguration, dict[str, Any], Any]] = {}

    def to_domain_obj(self: ExpectationConfiguration) -> Any:
        known = objects.get(id(self))
        if known is None or known[1] != self.kwargs:
            known = objects[id(self)] = (self, dict(self.kwargs), built(self))
        return known[2]

    converted = id_dict.convert_to_json_serializable

    def convert(data: dict[str, Any]) -> Any:
        is_plain = all(value is None or type(value) in (str, int, bool) for value in data.values())
        return data if is_plain else converted(data)

    GxExpectation.configuration = property(configuration)
    ExpectationConfiguration.to_domain_obj = to_domain_obj
    id_dict.convert_to_json_serializable = convert
    try:
        yield
    finally:
        GxExpectation.configuration = made
        ExpectationConfiguration.to_domain_obj = built
        id_dict.convert_to_json_serializable = converted


def _gx_expectation(expectation: Expectation, suite: Suite) -> Any:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity

    configuration = ExpectationConfiguration(
        type=expectation.type,
        kwargs=dict(expectation.kwargs),
        severity=FailureSeverity(expectation.severity),
        meta={
            "rule": expectation.rule,
            "owner": expectation.owner,
            "reason_en": expectation.reason_en,
            "reason_zh": expectation.reason_zh,
        },
    )
    # built one by one: a suite given a list logs what it cannot build and goes on without it
    try:
        return configuration.to_domain_obj()
    except Exception as error:
        raise ConfigurationError(
            f"expectation {expectation.rule} of suite {suite.name} is not one that Great "
            f"Expectations knows: {expectation.type}",
            where=f"{suite.path}: {error}",
        ) from error


def _results(
    suite: Suite, table: str, outcome: list[ExpectationValidationResult], today: date
) -> tuple[ExpectationResult, ...]:
    # the longer result of a failed rule follows its short one
    by_rule = {result.expectation_config.meta["rule"]: result for result in outcome}
    results = []
    for expectation in suite.expectations:
        raw = by_rule[expectation.rule]
        fault = _exception_message(raw.exception_info)
        if fault is not None:
            raise GateError(
                f"expectation {expectation.rule} of suite {suite.name} could not be evaluated",
                where=f"{table}: {expectation.type}: {fault}",
                todo=f"check the table's columns and the rule in {suite.path}",
            )
        results.append(_judge(suite.name, table, expectation, raw.success, raw.result, today))
    return tuple(results)


def _exception_message(info: Mapping[str, Any] | None) -> str | None:
    """Message of the exception in a result: one record, or one per metric."""
    if not info:
        return None
    records = [info] if "raised_exception" in info else list(info.values())
    for record in records:
        if record.get("raised_exception"):
            return str(record.get("exception_message"))
    return None


def _judge(
    suite: str,
    table: str,
    expectation: Expectation,
    is_met: bool | None,
    raw: Mapping[str, Any],
    today: date,
) -> ExpectationResult:
    success = bool(is_met)
    severity = expectation.severity
    unexpected_count = raw.get("unexpected_count")
    observed = raw.get("observed_value", raw.get("partial_unexpected_list"))
    if expectation.type == UNEXPECTED_ROWS:
        unexpected_count = observed
    parts = [] if success else [_fault_message(expectation, unexpected_count, observed)]
    waiver = expectation.waiver
    if waiver is not None and waiver.is_expired(today):
        # even when the rule is met: a forgotten waiver would hide the next fault
        success, severity = False, "critical"
        parts.append(f"the waiver of {waiver.owner} expired on {waiver.expires_on}")
    elif waiver is not None and not success:
        severity = "warning"
        parts.append(f"waived by {waiver.owner} until {waiver.expires_on}: {waiver.reason}")
    return ExpectationResult(
        suite=suite,
        table=table,
        expectation=expectation.type,
        column=expectation.column,
        severity=severity,
        success=success,
        observed=observed,
        unexpected_count=unexpected_count,
        rule=expectation.rule,
        owner=expectation.owner,
        message="; ".join(parts) or "met",
    )


def _fault_message(expectation: Expectation, unexpected_count: int | None, observed: object) -> str:
    if unexpected_count is None:
        return f"{expectation.reason_en}; observed {observed}"
    plural = "" if unexpected_count == 1 else "s"
    message = f"{expectation.reason_en}; {unexpected_count} row{plural}"
    if isinstance(observed, list) and observed:
        message += f", for example {', '.join(str(value) for value in observed)}"
    return message
