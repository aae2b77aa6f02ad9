"""Writes a first company file from what the sources hold. Every guess in it is marked ``# ?``."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from customer_marts.errors import ConfigurationError
from customer_marts.feeds import (
    FEEDS,
    NUMERIC_TYPES,
    Contract,
    DatabaseSource,
    FeedMapping,
    FilesSource,
    RestSource,
    RestTable,
    load_company,
    load_contract,
)
from customer_marts.onboarding.catalogue import (
    Table,
    table_of_service,
    tables_of_database,
    tables_of_files,
    with_tables,
)
from customer_marts.onboarding.check import allowed_codes, fitting_formats
from customer_marts.onboarding.sample import take_sample
from customer_marts.onboarding.synonyms import (
    CURRENCY_NAMES,
    DEFAULTS,
    is_currency_code,
    likelihood_of_table,
    likely_code,
    likeness,
    stated_tax,
)
from customer_marts.settings import Settings
from customer_marts.sql import identifier, literal, trimmed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SAMPLE_ROWS = 1000
MOST_CODES = 40
MOST_UNUSED = 60
COLUMN_TO_FILL_IN = "FILL_IN"


@dataclass(frozen=True)
class Wanted:
    """What to look at and where to write."""

    to: Path
    reporting_currency: str
    time_zone: str
    database: str | None = None
    driver: str | None = None
    files: str | None = None
    encoding: str | None = None
    rest: str | None = None
    paths: tuple[str, ...] = ()
    token: str | None = None


@dataclass
class Line:
    """How one contracted column is proposed to be read. doubt: why a person must look at it."""

    column: str
    source: str | None = None
    constant: str | None = None
    doubt: str | None = None
    values: dict[str, str] = field(default_factory=dict)
    unknown_values: list[str] = field(default_factory=list)
    format: str | None = None
    unit: str | None = None
    tax: str | None = None
    tax_rate: float | None = None

    @property
    def mapped(self) -> dict[str, Any]:
        """As the company file has it."""
        described: dict[str, Any] = {
            "column": self.source,
            "constant": self.constant,
            "values": self.values or None,
            "format": self.format,
            "unit": self.unit,
            "tax": self.tax,
            "tax_rate": self.tax_rate,
        }
        return {name: value for name, value in described.items() if value is not None}


@dataclass
class Guess:
    """A table taken for a feed. missing: required columns that nothing fits. is_sure: written as
    a feed, else as comments.
    """

    feed: str
    table: Table
    lines: list[Line]
    missing: list[str]
    score: float
    is_sure: bool
    other_currencies: list[str] = field(default_factory=list)

    @property
    def unused(self) -> list[str]:
        used = {line.source for line in self.lines}
        return [column for column in self.table.columns if column not in used]


def propose(settings: Settings, wanted: Wanted, now: datetime) -> list[str]:
    """Write the company file; returns what to tell the person.

    Raises ConfigurationError when the file exists or nothing is recognised, and what the
    connectors raise.
    """
    name = _company_name(wanted)
    sources = _Sources(settings, wanted, name)
    with tempfile.TemporaryDirectory(prefix="marts-init-") as folder:
        work = Path(folder)
        tables = sources.tables(work, now)
        guesses = recognise(tables, wanted.reporting_currency)
        for guess in guesses:
            sources.refine(guess, work, now, wanted.reporting_currency)
        text = _Writer(name, wanted, sources, tables, guesses).text()
        _check_loads(settings, text, name, work)
    wanted.to.parent.mkdir(parents=True, exist_ok=True)
    with wanted.to.open("x", encoding="utf-8") as stream:
        stream.write(text)
    sure = [guess.feed for guess in guesses if guess.is_sure]
    unsure = [guess.feed for guess in guesses if not guess.is_sure]
    told = [
        f"{wanted.to} written: {len(tables)} tables seen, {len(sure)} feeds proposed",
        f"  feeds       {', '.join(sure)}",
    ]
    if unsure:
        told.append(f"  commented   {', '.join(unsure)}: look at them first")
    told.append(f"  to confirm  {text.count('# ?')} lines marked '# ?'")
    exports = list(sources.exports)
    if wanted.to.resolve().parent != settings.company_file.resolve().parent:
        exports.append(f"MARTS_COMPANIES_DIR={wanted.to.resolve().parent}")
    told += [f"  set         export {line}" for line in exports]
    return [*told, f"  then        marts feeds check --company {name}"]


def _company_name(wanted: Wanted) -> str:
    name = wanted.to.stem
    if wanted.to.suffix != ".yml" or not re.fullmatch(r"[a-z0-9_]+", name):
        raise ConfigurationError(
            f"'{wanted.to.name}' is no name of a company file",
            where="--to",
            todo="use lower-case letters, digits and _, and the ending .yml",
        )
    if wanted.to.exists():
        raise ConfigurationError(
            f"{wanted.to} exists already",
            where="--to",
            kept="it was not touched",
            todo="name another file, and compare the two",
        )
    return name


def _check_loads(settings: Settings, text: str, name: str, work: Path) -> None:
    (work / f"{name}.yml").write_text(text, "utf-8")
    environment = {**settings.environment, "MARTS_COMPANIES_DIR": str(work)}
    load_company(replace(settings, company=name, environment=environment))


# --- sources --------------------------------------------------------------------------------------


class _Sources:
    """The sources that were named, as they are read now and as the file will have them."""

    def __init__(self, settings: Settings, wanted: Wanted, name: str) -> None:
        self.settings, self.wanted = settings, wanted
        self.prefix = name.upper()
        self.exports: list[str] = []
        self.declared: dict[str, dict[str, Any]] = {}
        self.read: dict[str, DatabaseSource | FilesSource | RestSource] = {}
        if wanted.database:
            self._add_database(wanted.database)
        if wanted.files:
            self._add_files(wanted.files)
        if wanted.rest:
            self._add_rest(wanted.rest)
        if not self.read:
            raise ConfigurationError(
                "no source was named", todo="give --database, --files or --rest"
            )

    def _add_database(self, uri: str) -> None:
        described: dict[str, Any] = {"kind": "database", "uri": uri, "driver": self.wanted.driver}
        self.read["database"] = self._validated(DatabaseSource, described, "--database")
        uri_kept = self._variable("DATABASE_URI", uri)
        self.declared["database"] = {"kind": "database", "uri": uri_kept}
        if self.wanted.driver:
            self.declared["database"]["driver"] = self.wanted.driver

    def _add_files(self, folder: str) -> None:
        described: dict[str, Any] = {
            "kind": "files",
            "folder": folder,
            "encoding": self.wanted.encoding,
            "tables": {},
        }
        self.read["files"] = self._validated(FilesSource, described, "--files, --encoding")
        self.declared["files"] = {"kind": "files", "folder": self._variable("FILES_DIR", folder)}
        if self.wanted.encoding:
            self.declared["files"]["encoding"] = self.wanted.encoding

    def _add_rest(self, url: str) -> None:
        if not self.wanted.paths:
            raise ConfigurationError(
                "no resource of the service was named",
                where="--rest",
                todo="give --path /v1/… for each resource",
            )
        described: dict[str, Any] = {
            "kind": "rest",
            "url": url,
            "token": self.wanted.token,
            "tables": {},
        }
        self.read["service"] = self._validated(RestSource, described, "--rest, --token")
        self.declared["service"] = {"kind": "rest", "url": self._variable("SERVICE_URL", url)}
        if self.wanted.token:
            self.declared["service"]["token"] = self.wanted.token

    def _variable(self, what: str, given: str) -> str:
        """Places differ from machine to machine: the file names a variable."""
        if "${" in given:
            return given
        self.exports.append(f"{self.prefix}_{what}={given}")
        return f"${{{self.prefix}_{what}}}"

    @staticmethod
    def _validated(model: Any, described: dict[str, Any], where: str) -> Any:
        try:
            return model.model_validate(described)
        except ValidationError as error:
            raise ConfigurationError(
                error.errors()[0]["msg"],
                where=where,
                kept="nothing was written",
                todo="give secrets as '${VARIABLE}', in quotes, and set the variable",
            ) from None

    def tables(self, work: Path, now: datetime) -> list[Table]:
        """What all the sources hold; the sources are then ready to be sampled."""
        found: list[Table] = []
        for name, source in list(self.read.items()):
            if isinstance(source, DatabaseSource):
                found += tables_of_database(self.settings, name, source, work, now)
                continue
            if isinstance(source, FilesSource):
                tables = tables_of_files(self.settings, name, source, work)
            else:
                tables = [
                    table_of_service(self.settings, name, source, path, work)
                    for path in self.wanted.paths
                ]
            self.read[name] = with_tables(source, tables)
            found += tables
        return found

    def refine(self, guess: Guess, work: Path, now: datetime, reporting: str) -> None:
        """Look at a sample of a guessed feed: codes, dates, currencies, empty columns."""
        import duckdb

        sources = {
            line.column: line.source
            for line in guess.lines
            if line.source and line.source != COLUMN_TO_FILL_IN
        }
        mapping = FeedMapping.model_validate(
            {"source": guess.table.source, "table": guess.table.name, "columns": sources}
        )
        source = self.read[guess.table.source]
        folder = Path(tempfile.mkdtemp(dir=work))
        _, extract = take_sample(
            self.settings, guess.feed, mapping, source, SAMPLE_ROWS, folder, now
        )
        if extract is None:
            return
        with duckdb.connect() as connection:
            connection.execute(f"set memory_limit = '{self.settings.memory_limit}'")
            connection.execute(
                f"create view raw as select * from read_parquet({literal(str(extract.raw))})"
            )
            _refine(connection, guess, reporting)


# --- recognising ----------------------------------------------------------------------------------


def recognise(tables: list[Table], reporting_currency: str) -> list[Guess]:
    """The best table for each feed, each table at most once, in the order of feeds.

    At least one of orders and invoices is among them, with gaps to fill in if need be. Raises
    ConfigurationError when no table looks like either.
    """
    guesses = [
        guess
        for table in tables
        for feed in FEEDS
        if (guess := _guess(feed, table, reporting_currency)) is not None
    ]
    guesses.sort(key=lambda guess: (guess.is_sure, guess.score), reverse=True)
    chosen: dict[str, Guess] = {}
    for guess in guesses:
        taken = any(guess.table is other.table for other in chosen.values())
        if guess.feed not in chosen and not taken:
            chosen[guess.feed] = guess
    needed = [chosen[feed] for feed in ("orders", "invoices") if feed in chosen]
    if not needed:
        seen = ", ".join(table.name for table in tables[:20]) or "none"
        raise ConfigurationError(
            f"no table looks like orders or invoices; seen: {seen}",
            kept="nothing was written",
            todo="map one of them by hand: copy dags/companies/sample.yml and see "
            "expectations/contracts/orders.yml and invoices.yml",
        )
    if not any(guess.is_sure for guess in needed):
        best = max(needed, key=lambda guess: guess.score)
        best.is_sure = True
        best.lines += [
            Line(name, source=COLUMN_TO_FILL_IN, doubt="required, and no column looks like it")
            for name in best.missing
        ]
        best.missing = []
    return [chosen[feed] for feed in FEEDS if feed in chosen]


def _guess(feed: str, table: Table, reporting_currency: str) -> Guess | None:
    contract = load_contract(feed)
    lines = _matched(contract, table)
    by_name = likelihood_of_table(feed, table.name)
    key_scores = [score for column, (_, score) in lines.items() if column in contract.key]
    required = [name for name, item in contract.columns.items() if item.required]
    guessed: list[Line] = []
    missing = []
    for name in required:
        if name in lines:
            continue
        default = DEFAULTS.get((feed, name))
        if name == contract.currency:
            default = reporting_currency
        if default is None:
            missing.append(name)
        else:
            guessed.append(Line(name, constant=default, doubt="no column says so"))
    found = [name for name in required if name in lines]
    own_key = all(name in lines for name in contract.key)
    if not own_key and not (by_name and len(found) * 2 >= len(required)):
        return None
    if not by_name and (max(key_scores, default=0) < 1 or len(found) < 2):
        return None
    matched = [*(line for line, _ in lines.values()), *guessed]
    matched.sort(key=lambda line: list(contract.all_columns).index(line.column))
    certainty = sum(score for name, (_, score) in lines.items() if name in required)
    score = by_name * 2 + certainty / len(required) + len(lines) / max(len(table.columns), 1)
    firm = by_name > 0 or all(lines[name][1] == 1 for name in found)
    return Guess(feed, table, matched, missing, score, is_sure=not missing and firm)


def _matched(contract: Contract, table: Table) -> dict[str, tuple[Line, float]]:
    """Column -> its line and how well it fits; a source column is used once."""
    pairs = []
    for place, (column, item) in enumerate(contract.all_columns.items()):
        for source in table.columns:
            found = likeness(contract.feed, column, source)
            if found is not None:
                pairs.append((-found.score, not item.required, place, column, source, found))
    lines: dict[str, tuple[Line, float]] = {}
    used: set[str] = set()
    for _, _, _, column, source, found in sorted(pairs, key=lambda pair: pair[:3]):
        if column in lines or source in used:
            continue
        used.add(source)
        doubt = None if found.score == 1 else "by a likeness of names"
        line = Line(column, source=source, doubt=doubt, unit=found.unit)
        if found.unit and contract.all_columns[column].type not in NUMERIC_TYPES:
            line.unit = None
        lines[column] = (line, found.score)
    _note_tax(contract, {column: line for column, (line, _) in lines.items()})
    if contract.feed == "fx_rates" and "rate" in lines:
        lines["rate"][0].doubt = (
            "the price of one unit in the reporting currency; quoted per 100, as banks do: "
            "say unit: per_100"
        )
    return lines


def _note_tax(contract: Contract, lines: dict[str, Line]) -> None:
    for column, line in lines.items():
        ours, theirs = contract.all_columns[column].tax, stated_tax(str(line.source))
        if ours is None:
            continue
        if theirs is None:
            line.doubt = line.doubt or f"we want it with the tax {ours}: say tax: … if it is not"
        elif theirs != ours:
            line.tax = theirs
            if column != "amount" or "tax" not in lines:
                line.tax_rate, line.doubt = 0.13, "the rate of tax"


def _refine(connection: DuckDBPyConnection, guess: Guess, reporting: str) -> None:
    contract = load_contract(guess.feed)
    allowed = allowed_codes(guess.feed)
    for line in guess.lines:
        if line.source is None or line.source == COLUMN_TO_FILL_IN:
            continue
        text = trimmed(identifier(line.source))
        column = contract.all_columns[line.column]
        values = [
            str(value)
            for (value,) in connection.execute(
                f"select {text} from raw where {text} is not null group by 1 "
                f"order by count(*) desc, 1 limit {MOST_CODES + 1}"
            ).fetchall()
        ]
        if not values:
            line.doubt = line.doubt or "empty in the sample"
        elif line.column == "currency":
            _note_currencies(guess, line, values, reporting)
        elif line.column in allowed:
            _note_codes(line, values, allowed[line.column])
        elif column.type in ("date", "timestamp"):
            _note_format(connection, line, values[0])
        elif column.type in NUMERIC_TYPES:
            [[unread]] = connection.execute(
                f"select any_value({text}) from raw "
                f"where {text} is not null and try_cast({text} as decimal(38, 8)) is null"
            ).fetchall()
            if unread is not None:
                line.doubt = f"not all are numbers, such as '{unread}'"


def _note_currencies(guess: Guess, line: Line, values: list[str], reporting: str) -> None:
    line.values = {value: CURRENCY_NAMES[value] for value in values if value in CURRENCY_NAMES}
    codes = {line.values.get(value, value) for value in values}
    line.unknown_values = [
        value for value in values if value not in line.values and not is_currency_code(value)
    ]
    if guess.feed != "fx_rates":  # a bank's list holds currencies that no document is in
        guess.other_currencies = sorted(
            code for code in codes - {reporting} if is_currency_code(code)
        )


def _note_codes(line: Line, values: list[str], allowed: list[str]) -> None:
    if len(values) > MOST_CODES:
        line.doubt = f"more than {MOST_CODES} different values: is it a code?"
        return
    for value in values:
        if value in allowed:
            continue
        likely = likely_code(line.column, value, allowed)
        if likely:
            line.values[value] = likely
        else:
            line.unknown_values.append(value)
    line.doubt = None
    if line.unknown_values:
        line.doubt = f"map the others to one of {', '.join(allowed)}"


def _note_format(connection: DuckDBPyConnection, line: Line, example: str) -> None:
    formats = fitting_formats(connection, str(line.source))
    if formats:
        line.format = formats[0]
        if len(formats) > 1:
            line.doubt = f"the day or the month first? also fits {formats[1]}"
        return
    text = trimmed(identifier(str(line.source)))
    [[unread]] = connection.execute(
        f"select count({text}) - count(try_cast({text} as timestamp)) from raw"
    ).fetchall()
    if unread:
        line.doubt = f"not all read as dates, such as '{example}': give its format"


# --- writing --------------------------------------------------------------------------------------


class _Writer:
    def __init__(
        self,
        name: str,
        wanted: Wanted,
        sources: _Sources,
        tables: list[Table],
        guesses: list[Guess],
    ) -> None:
        self.name, self.wanted, self.sources = name, wanted, sources
        self.tables, self.guesses = tables, guesses

    def text(self) -> str:
        return "\n".join([*self._head(), *self._sources(), *self._feeds(), *self._unused(), ""])

    def _head(self) -> list[str]:
        others = sorted({code for guess in self.guesses for code in guess.other_currencies})
        has_rates = any(guess.feed == "fx_rates" and guess.is_sure for guess in self.guesses)
        lines = [
            f"# {self.name}: proposed by `marts feeds init`. A question mark in a comment",
            f"# is a guess: look at each, then try it:  marts feeds check --company {self.name}",
            f"name: {{en: {self.name}, zh: {self.name}}}  # ? the business's name",
            f"time_zone: {_scalar(self.wanted.time_zone)}  # ? where the business keeps its days",
            f"reporting_currency: {self.wanted.reporting_currency}  # ?",
        ]
        if others:
            line = f"currencies: [{', '.join(others)}]"
            why = "documents are in these too; they need the feed fx_rates"
            lines.append(f"{line}" if has_rates else f"# {line}  # ? {why}")
        lines.append(
            "# is_small_or_medium: false  # of a large seller: no law sets its buyers a term to pay"
        )
        lines.append(
            "# as_of: latest_data  # ? for data that stand still; without it, figures are as of "
            "yesterday"
        )
        return lines

    def _sources(self) -> list[str]:
        lines = ["", "sources:"]
        for name, declared in self.sources.declared.items():
            lines.append(f"  {name}:")
            lines += [f"    {field}: {_scalar(value)}" for field, value in declared.items()]
            tables = [table for table in self.tables if table.source == name and table.reads]
            if not tables:
                continue
            lines.append("    tables:")
            for table in tables:
                assert table.reads is not None
                kept = table.reads.model_dump(exclude_defaults=True)
                lines += [f"      # ? {note}" for note in table.notes]
                lines.append(f"      {_scalar(table.name)}: {_flow(kept)}")
                if "trailer" in kept:
                    lines[-1] += "  # ? its closing line"
            if declared["kind"] == "files":
                lines.append(
                    "    # how a file shows that it is complete, if it is written slowly: in a "
                    "table, ready: {done_suffix: .done}"
                )
        return lines

    def _feeds(self) -> list[str]:
        lines = ["", "feeds:"]
        for guess in self.guesses:
            written = self._feed(guess)
            if not guess.is_sure:
                why = (
                    f"required and not found: {', '.join(guess.missing)}"
                    if guess.missing
                    else "only its columns look like it"
                )
                written = [
                    f"# ? perhaps {guess.feed}: {why}",
                    *(f"# {line}" for line in written),
                ]
            lines += [f"  {line}" if line else "" for line in [*written, ""]]
        return lines[:-1]

    def _feed(self, guess: Guess) -> list[str]:
        table = guess.table
        lines = [f"{guess.feed}:", f"  source: {table.source}", f"  table: {_scalar(table.name)}"]
        updated = next((i for i in guess.lines if i.column == "updated_at" and i.source), None)
        if table.reads is None:
            deleted = any(line.column == "is_deleted" for line in guess.lines)
            if updated:
                lines.append(
                    f"  cursor: {{column: {_scalar(str(updated.source))}}}  # ? every change of a "
                    "row must move it"
                )
            if not deleted:
                lines.append(
                    "  # reconcile_keys: {every_days: 7}  # ? if rows are deleted there without a "
                    "mark"
                )
        elif updated and isinstance(table.reads, RestTable):
            lines.append(
                f"  # cursor: {{column: {_scalar(str(updated.source))}}}  # ? with since_parameter "
                "in the table: only what changed is asked for"
            )
        lines.append("  columns:")
        for line in guess.lines:
            lines += [f"    {text}" for text in self._line(line)]
        if guess.unused:
            lines += [f"  # not mapped: {text}" for text in _wrapped(guess.unused)]
        return lines

    @staticmethod
    def _line(line: Line) -> list[str]:
        mapped = line.mapped
        short = set(mapped) == {"column"}
        text = f"{line.column}: {_scalar(mapped['column']) if short else _flow(mapped)}"
        if line.doubt:
            text += f"  # ? {line.doubt}"
        lines = [text]
        if line.unknown_values:
            values = ", ".join(f"{_scalar(value)}: …" for value in line.unknown_values)
            lines.append(f"# ? values still to map: {values}")
        return lines

    def _unused(self) -> list[str]:
        used = [guess.table for guess in self.guesses]
        names = [table.name for table in self.tables if not any(table is other for other in used)]
        if not names:
            return []
        more = f" and {len(names) - MOST_UNUSED} more" if len(names) > MOST_UNUSED else ""
        wrapped = _wrapped(names[:MOST_UNUSED])
        return [
            "",
            *(f"# tables not used: {text}" for text in wrapped),
            *([f"# {more}"] * bool(more)),
        ]


def _scalar(value: object) -> str:
    """A YAML scalar that reads back as this text, inside a flow mapping too."""
    text = str(value)
    if re.fullmatch(r"\$\{\w+(:-[^}]*)?\}", text):
        return text
    plain = re.fullmatch(r"[^\W\d][\w./ %-]*", text) and text == text.strip()
    if plain and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return _quoted_in_flow(str(value))


def _quoted_in_flow(text: str) -> str:
    scalar = _scalar(text)
    # a brace would end the mapping around it
    return json.dumps(text, ensure_ascii=False) if scalar.startswith("${") else scalar


def _wrapped(names: list[str]) -> list[str]:
    """Names in lines of readable length."""
    lines = [""]
    for name in names:
        if lines[-1] and len(lines[-1]) + len(name) > 76:
            lines.append("")
        lines[-1] += (", " if lines[-1] else "") + name.replace("\n", " ")
    return lines
