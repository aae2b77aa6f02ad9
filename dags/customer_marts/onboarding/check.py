"""Tries a company file on a sample of each source. Nothing is landed and nothing released: what the
landing writes goes to a temporary folder.
"""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from customer_marts.casting import TOTAL_LINE
from customer_marts.errors import BatchFault, MartsError, SourceUnavailable
from customer_marts.feeds import Company, Contract, FeedMapping, Mapped, load_contract
from customer_marts.gates.suites import load_suite
from customer_marts.landing import feed_work_folder, land, suite_path
from customer_marts.onboarding.sample import take_sample
from customer_marts.onboarding.synonyms import (
    CURRENCY_NAMES,
    is_currency_code,
    likely_code,
    unmapped_but_known,
)
from customer_marts.settings import DBT_PROJECT_DIR, Settings
from customer_marts.sources.extract import Extract
from customer_marts.sql import identifier, literal, trimmed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SURVEY_MEASURES = DBT_PROJECT_DIR / "seeds" / "parameters" / "survey_measures.csv"
TONNES = {"吨", "公吨", "t", "tonne", "tonnes"}
EXAMPLES = 3
MOST_VALUES = 20

DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y%m%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%Y年%m月%d日",
    "%d-%b-%Y",
    "%Y-%m-%d %H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y%m%d%H%M%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%d.%m.%Y %H:%M:%S",
)

# how check_columns (sources.extract) writes a column that is gone, and one that is new
_GONE = re.compile(r"^  - (.+?)(?:   \(renamed to (.+)\?\))?$", re.MULTILINE)
_NEW = re.compile(r"^  \+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Missing:
    """A mapped source column that is not there. columns: those of ours that read it."""

    source_column: str
    columns: list[str]
    likely: str | None


@dataclass(frozen=True)
class Quarantined:
    """Sampled rows that a rule would hold back."""

    rule: str
    column: str | None
    reason: str
    rows: int
    examples: list[str]


@dataclass(frozen=True)
class Unknown:
    """A source value that no value map covers. is_accepted: it passes as it is."""

    column: str
    source_column: str
    value: str
    rows: int
    likely: str | None
    is_accepted: bool


@dataclass
class FeedCheck:
    """What a sample tells of one feed. fault: why it could not be read or would not land."""

    feed: str
    source: str
    state: Literal["fine", "problem", "unreachable", "empty"] = "fine"
    fault: str | None = None
    sampled_from: str | None = None
    rows: int = 0
    mapped: dict[str, str] = field(default_factory=dict)
    unmapped: list[str] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    unknown_values: list[Unknown] = field(default_factory=list)
    repeated_keys: int = 0
    repeated_key_examples: list[str] = field(default_factory=list)
    unknown_currencies: dict[str, int] = field(default_factory=dict)
    latest_rates: list[str] = field(default_factory=list)
    data_from: str | None = None
    data_through: str | None = None
    suggestions: list[str] = field(default_factory=list)

    @property
    def rows_quarantined(self) -> int:
        return sum(item.rows for item in self.quarantined)


def check_company(
    settings: Settings, company: Company, feeds: Iterable[str], rows: int, now: datetime
) -> list[FeedCheck]:
    """Check each of ``feeds`` on about ``rows`` sampled rows; a fault of one stops no other."""
    with tempfile.TemporaryDirectory(prefix="marts-check-") as folder:
        private = replace(settings, home=Path(folder))
        return [_Check(private, company, feed, rows, now).run() for feed in feeds]


class _Check:
    def __init__(
        self, settings: Settings, company: Company, feed: str, rows: int, now: datetime
    ) -> None:
        self.settings, self.company, self.feed = settings, company, feed
        self.rows, self.now = rows, now
        self.contract: Contract = load_contract(feed)
        self.mapping: FeedMapping = company.feeds[feed]
        self.found = FeedCheck(feed, self.mapping.source)
        self.allowed = allowed_codes(feed)

    def run(self) -> FeedCheck:
        with feed_work_folder(self.settings.paths, self.feed) as work:
            try:
                self._run(work)
            except SourceUnavailable as error:
                self.found.state, self.found.fault = "unreachable", str(error)
            except MartsError as error:
                self.found.state, self.found.fault = "problem", str(error)
                self._read_schema_fault(error)
        return self.found

    def _run(self, work: Path) -> None:
        source = self.company.sources[self.mapping.source]
        sampled, extract = take_sample(
            self.settings, self.feed, self.mapping, source, self.rows, work, self.now
        )
        if extract is None:
            self.found.state = "empty"
            return
        self.found.rows, self.found.sampled_from = extract.rows, extract.description
        self.found.unmapped = sorted(extract.unmapped)
        self.found.mapped = {
            name: mapped.column
            for name, mapped in self.mapping.columns.items()
            if mapped.column is not None
        }
        company = self.company.model_copy(
            update={"feeds": {**self.company.feeds, self.feed: sampled}}
        )
        self._land(company, extract, work)

    def _land(self, company: Company, extract: Extract, work: Path) -> None:
        import duckdb

        today = company.business_day(self.now)
        folder: Path | None = None
        try:
            batch = land(self.settings, company, self.feed, extract, work, None, today, [])
            if batch is not None:
                folder = batch.folder
                self.found.unmapped = batch.manifest["unmapped_columns"]
        except BatchFault as fault:
            self.found.state, self.found.fault = "problem", str(fault)
            self._read_schema_fault(fault)
            # beyond the budget: what was split off lies there all the same
            folder = next((f.parent for f in work.glob("*/quarantine.parquet")), None)
        with duckdb.connect() as connection:
            connection.execute(f"set memory_limit = '{self.settings.memory_limit}'")
            connection.execute("set timezone = 'UTC'")
            connection.execute(
                f"create view raw as select * from read_parquet({literal(str(extract.raw))})"
            )
            columns = [row[0] for row in connection.execute("describe raw").fetchall()]
            self._look_at_raw(connection, columns)
            if folder is not None:
                self._look_at_landed(connection, folder)
        self._suggest()

    # --- what the sample tells --------------------------------------------------------------------

    def _read_schema_fault(self, fault: MartsError) -> None:
        """Take the columns that are gone out of the connector's message."""
        for gone, likely in _GONE.findall(fault.what):
            reads = [n for n, m in self.mapping.columns.items() if gone in m.source_columns]
            self.found.missing.append(Missing(gone, reads, likely or None))
        if self.found.missing:
            self.found.unmapped = sorted(_NEW.findall(fault.what))
            self._suggest_columns()

    def _look_at_raw(self, connection: DuckDBPyConnection, columns: list[str]) -> None:
        self._unknown_values(connection, columns)
        self._suggest_formats(connection, columns)
        keys = [self.mapping.columns.get(name) for name in self.contract.key]
        sources = [mapped.column for mapped in keys if mapped and mapped.column]
        if not sources or not set(sources) <= set(columns):
            return
        listed = ", ".join(trimmed(identifier(column)) for column in sources)
        repeated = connection.execute(
            f"""
            select concat_ws('/', {listed}), count(*) over () from raw
            group by {listed} having count(*) > 1 order by count(*) desc, 1 limit {EXAMPLES}
            """
        ).fetchall()
        self.found.repeated_keys = repeated[0][1] if repeated else 0
        self.found.repeated_key_examples = [str(key) for key, _ in repeated]

    def _look_at_landed(self, connection: DuckDBPyConnection, folder: Path) -> None:
        quarantine = f"read_parquet({literal(str(folder / 'quarantine.parquet'))})"
        self.found.quarantined = [
            Quarantined(rule, column, reason, count, examples)
            for rule, column, reason, count, examples in connection.execute(
                f"""
                select rule, column_name, any_value(reason), count(*),
                    coalesce(list(distinct left(value, 60)) filter (where value is not null), [])
                        [1:{EXAMPLES}]
                from {quarantine} group by 1, 2 order by 4 desc, 1
                """
            ).fetchall()
        ]
        data = folder / "data.parquet"
        if not data.exists():
            return
        if self.feed == "fx_rates":
            self._latest_rates(connection, data)
        elif self.feed == "survey_responses":
            self._suggest_measures(connection, data)
        elif self.feed == "products":
            self._suggest_weights(connection, data)
        if self.contract.event_date:
            event = identifier(self.contract.event_date)
            [[first, last]] = connection.execute(
                f"select min({event}), max({event}) from read_parquet({literal(str(data))})"
            ).fetchall()
            self.found.data_from = str(first) if first else None
            self.found.data_through = str(last) if last else None

    def _latest_rates(self, connection: DuckDBPyConnection, data: Path) -> None:
        """As sentences that somebody who knows the rates can deny."""
        self.found.latest_rates = [
            f"1 {currency} = {rate.normalize():f} {self.company.reporting_currency} on {day}"
            for currency, rate, day in connection.execute(
                f"""
                select currency, max_by(rate, rate_on), max(rate_on)
                from read_parquet({literal(str(data))}) group by 1 order by 1
                """
            ).fetchall()
        ]

    def _unknown_values(self, connection: DuckDBPyConnection, columns: list[str]) -> None:
        declared = {self.company.reporting_currency, *self.company.currencies}
        personal = {
            mapped.column
            for name, mapped in self.mapping.columns.items()
            if name in self.contract.personal
        }
        for name, mapped in self.mapping.columns.items():
            if name == self.contract.currency and mapped.constant not in {None, *declared}:
                self.found.unknown_currencies = {str(mapped.constant): self.found.rows}
            if mapped.column not in columns or mapped.column in personal:
                continue
            if name == "question_code":  # judged by the measures, as it is mapped
                continue
            counts = self._counts_of_values(connection, name, mapped)
            if name == "currency":
                named = [(value, rows) for value, rows in counts if not is_currency_code(value)]
                self.found.unknown_values += [
                    Unknown(name, str(mapped.column), value, rows, CURRENCY_NAMES.get(value), False)
                    for value, rows in named
                ]
                if self.contract.currency:
                    self.found.unknown_currencies = {
                        value: rows
                        for value, rows in counts
                        if value not in declared and (value, rows) not in named
                    }
                continue
            allowed = self.allowed.get(name)
            self.found.unknown_values += [
                Unknown(
                    name,
                    str(mapped.column),
                    value,
                    rows,
                    likely_code(name, value, allowed or []),
                    is_accepted=allowed is None,
                )
                for value, rows in counts
                if value not in (allowed or [])
            ]

    def _counts_of_values(
        self, connection: DuckDBPyConnection, name: str, mapped: Mapped
    ) -> list[tuple[str, int]]:
        """The most frequent source values that the value map does not cover, where a code is meant:
        there is a map, a list of accepted codes, or a currency.
        """
        if not (mapped.values or name in self.allowed or name == "currency"):
            return []
        text = trimmed(identifier(str(mapped.column)))
        covered = ", ".join(literal(value) for value in mapped.values or {}) or "''"
        return connection.execute(
            f"""
            select {text}, count(*) from raw
            where {text} is not null and {text} not in ({covered})
            group by 1 order by 2 desc, 1 limit {MOST_VALUES}
            """
        ).fetchall()

    # --- what to do about it ----------------------------------------------------------------------

    def _suggest(self) -> None:
        suggest = self.found.suggestions.append
        for column in dict.fromkeys(item.column for item in self.found.unknown_values):
            items = [item for item in self.found.unknown_values if item.column == column]
            # a map of some values beside others that are right as they are is complete
            if all(item.is_accepted for item in items):
                continue
            pairs = ", ".join(f"{_yaml(i.value)}: {i.likely or '?'}" for i in items)
            codes = ", ".join(self.allowed.get(column, ["the ISO codes"]))
            suggest(f"{column}: map values: {{{pairs}}} (one of {codes})")
        if self.found.unknown_currencies:
            codes = ", ".join(sorted(self.found.unknown_currencies))
            suggest(
                f"{self.contract.currency}: declare currencies: [{codes}] and map the feed "
                "fx_rates; or map the source's own codes to ISO codes with values"
            )
        if self.found.repeated_keys and "updated_at" not in self.mapping.columns:
            suggest(
                f"{'/'.join(self.contract.key)} repeats: map updated_at, so that the latest "
                "version of a row stands, or add to the key what tells the rows apart"
            )
        self._suggest_columns()
        self._suggest_numbers()

    def _suggest_measures(self, connection: DuckDBPyConnection, data: Path) -> None:
        """Questions that no measure counts: by the prefix of their code, whatever its case."""
        with SURVEY_MEASURES.open(encoding="utf-8", newline="") as stream:
            prefixes = list(dict.fromkeys(row["question_prefix"] for row in csv.DictReader(stream)))
        known = ", ".join(literal(prefix) for prefix in prefixes)
        counts = connection.execute(
            f"""
            select question_code, count(*) from read_parquet({literal(str(data))})
            where split_part(lower(question_code), '_', 1) not in ({known})
            group by 1 order by 2 desc, 1 limit {MOST_VALUES}
            """
        ).fetchall()
        if counts:
            source = self.found.mapped.get("question_code", "question_code")
            self.found.unknown_values += [
                Unknown("question_code", source, code, rows, None, is_accepted=True)
                for code, rows in counts
            ]
            codes = ", ".join(f"{_yaml(code)}: {prefixes[-1]}_…" for code, _ in counts[:EXAMPLES])
            self.found.suggestions.append(
                f"question_code: no measure counts these: map values to codes that begin with "
                f"{', '.join(f'{prefix}_' for prefix in prefixes)} ({{{codes}}}), where they ask "
                "that"
            )

    def _suggest_weights(self, connection: DuckDBPyConnection, data: Path) -> None:
        if "tonnes_per_unit" in self.mapping.columns:
            return
        units = [
            str(unit)
            for (unit,) in connection.execute(
                f"select distinct unit from read_parquet({literal(str(data))}) where unit <> ''"
            ).fetchall()
        ]
        means_one = bool(units) and all(unit.lower() in TONNES for unit in units)
        how = (
            'they are sold by the tonne: map tonnes_per_unit: {constant: "1"}'
            if means_one
            else "map tonnes_per_unit, what one unit weighs"
        )
        self.found.suggestions.append(
            f"without tonnes_per_unit weights, prices per tonne and the effects of price and "
            f"volume are unknown: {how}"
        )

    def _suggest_columns(self) -> None:
        known = unmapped_but_known(self.contract, set(self.mapping.columns), self.found.unmapped)
        for source, column in known:
            personal = self.contract.all_columns[column].personal
            note = " (personal: it is masked everywhere but in the restricted table)"
            self.found.suggestions.append(
                f"{source} looks like {column}: map it{note if personal else ''}"
            )

    def _suggest_formats(self, connection: DuckDBPyConnection, columns: list[str]) -> None:
        """A strptime pattern that reads every value of a date column which does not read itself."""
        for name, mapped in self.mapping.columns.items():
            kind = self.contract.all_columns[name].type
            if kind not in ("date", "timestamp") or mapped.column not in columns:
                continue
            formats = fitting_formats(connection, str(mapped.column), mapped.format)
            if formats:
                either = " or ".join(f"'{item}'" for item in formats)
                self.found.suggestions.append(f"{name}: set format: {either}")

    def _suggest_numbers(self) -> None:
        for item in self.found.quarantined:
            column = self.contract.all_columns.get(item.column or "")
            if item.rule == TOTAL_LINE:
                source = self.found.mapped.get(str(item.column), "…")
                self.found.suggestions.append(
                    f"{source}: a closing line of a CSV file is its trailer (table, trailer: …); "
                    f"in another file or in between leave it out in a query "
                    f"(where {source} <> {literal(item.examples[0])})"
                )
            if column is None or item.rule != f"invalid_{item.column}":
                continue
            if any(re.fullmatch(r"[^\d-]*-?\d{1,3}(,\d{3})+(\.\d+)?\D*", x) for x in item.examples):
                self.found.suggestions.append(
                    f"{item.column}: its numbers carry separators: take them out in a query "
                    f"(replace({self.found.mapped.get(str(item.column), '…')}, ',', ''))"
                )


def fitting_formats(
    connection: DuckDBPyConnection, column: str, present: str | None = None
) -> list[str]:
    """Patterns that read every value of the column of ``raw``, where the present one (or DuckDB's
    own reading) does not. Two fit where no day is past the 12th: only a person knows.
    """
    text = trimmed(identifier(column))
    reads = (
        f"try_strptime({text}, {literal(present)})" if present else f"try_cast({text} as timestamp)"
    )
    tests = [f"count(try_strptime({text}, {literal(item)}))" for item in DATE_FORMATS]
    [[values, read, *counts]] = connection.execute(
        f"select count({text}), count({reads}), {', '.join(tests)} from raw"
    ).fetchall()
    if values == read:
        return []
    return [item for item, count in zip(DATE_FORMATS, counts, strict=True) if count == values]


def allowed_codes(feed: str) -> dict[str, list[str]]:
    """Columns of a feed whose values gate 1 limits -> the values."""
    return {
        str(item.column): [str(value) for value in item.kwargs["value_set"]]
        for item in load_suite(suite_path(feed)).expectations
        if item.type == "expect_column_values_to_be_in_set"
    }


def _yaml(value: str) -> str:
    return value if re.fullmatch(r"[^\W\d][\w /-]*", value) else f"'{value}'"


def as_facts(check: FeedCheck) -> dict[str, Any]:
    """For a machine to read."""
    from dataclasses import asdict

    return {**asdict(check), "rows_quarantined": check.rows_quarantined}
