"""The contract of each feed, and a company's mapping of its own systems onto it.

Contracts (``expectations/contracts/<feed>.yml``) are ours: columns, types, keys, references.
A company file (``dags/companies/<company>.yml``) is the operator's: where the data lie and which
source column is which. Both are validated on reading; errors name the file and the field.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from customer_marts.errors import ConfigurationError
from customer_marts.settings import EXPECTATIONS_DIR, Settings
from customer_marts.units import UNITS

# dependency order: a feed's references point to feeds before it
FEEDS = (
    "customers",
    "products",
    "fx_rates",
    "market_prices",
    "orders",
    "order_lines",
    "deliveries",
    "invoices",
    "payments",
    "survey_responses",
    "complaints",
    "interactions",
    "opportunities",
    "customer_costs",
)

# the folders of dbt_project/models/marts that a company chooses from; trust is always built
AREAS = ("core", "segments", "value", "credit", "voice", "management")

SQL_TYPES = {
    "text": "varchar",
    "integer": "bigint",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "money": "decimal(18, 2)",
    "price": "decimal(18, 4)",
    "quantity": "decimal(18, 3)",
    "score": "decimal(9, 2)",
    "rate": "decimal(18, 8)",
}
ColumnType = Literal[
    "text",
    "integer",
    "boolean",
    "date",
    "timestamp",
    "money",
    "price",
    "quantity",
    "score",
    "rate",
]
NUMERIC_TYPES = ("integer", "money", "price", "quantity", "score", "rate")


TypeFamily = Literal["number", "text", "time", "boolean", "binary"]

# user:password@ in an address, unless the password comes from the environment
_PASSWORD = re.compile(r"://[^/@\s]*:(?!\$\{)[^/@\s]+@")
_DIRECTIVE = re.compile(r"%-?[YymdHIMSfpbBjz%]")
_SECRET_NAME = re.compile(r"auth|key|token|secret|password|cookie", re.IGNORECASE)

# the C parser, where the wheel has it, is some ten times faster
_YAML_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_Model = TypeVar("_Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """A contracted column.

    business_date: name of the date derived from a timestamp. tax: whether the amount holds the
    value-added tax. personal: what of a person it tells; such a value is masked wherever it goes,
    and stands in clear in the restricted table alone.
    """

    type: ColumnType
    required: bool = False
    business_date: str | None = None
    tax: Literal["included", "excluded"] | None = None
    personal: Literal["name", "phone", "email"] | None = None

    @property
    def sql_type(self) -> str:
        return SQL_TYPES[self.type]


class Reference(_Strict):
    """``column`` must exist as the key of ``feed``; a row that waits for it is held by ``rule``."""

    column: str
    feed: str
    rule: str


class Volume(_Strict):
    """How many rows a day may bring: between ``low`` and ``high`` times the median of comparable
    days; and how many business days the newest row may lie behind (None: any).
    """

    low: float = Field(default=0.2, ge=0, lt=1)
    high: float = Field(default=5.0, gt=1)
    severity: Literal["critical", "warning"] = "warning"
    late_after_business_days: int | None = Field(default=None, ge=0)


class Contract(_Strict):
    """What a feed promises: one row per ``key``, typed columns, references, the ledger's amount.

    quarantine_budget_rate: the share of rows, and of the amount, that may be faulty.
    """

    feed: str
    key: list[str]
    columns: dict[str, Column]
    references: list[Reference] = []
    amount: str | None = None
    currency: str | None = None
    event_date: str | None = None
    volume: Volume = Volume()
    quarantine_budget_rate: float = Field(ge=0, le=1)
    owner: str

    @property
    def personal(self) -> dict[str, str]:
        """Columns with personal data -> what they tell."""
        return {name: item.personal for name, item in self.columns.items() if item.personal}

    @property
    def all_columns(self) -> dict[str, Column]:
        """The contracted columns and the two every feed has: its version and its tombstone."""
        return {
            **self.columns,
            "updated_at": Column(type="timestamp"),
            "is_deleted": Column(type="boolean"),
        }

    @property
    def landed_columns(self) -> dict[str, str]:
        """Column -> SQL type as landed, business dates included, in order."""
        landed: dict[str, str] = {}
        for name, column in self.all_columns.items():
            landed[name] = column.sql_type
            if column.business_date:
                landed[column.business_date] = "date"
        return landed


class Mapped(_Strict):
    """How one contracted column is read: a source column or a constant.

    values: source value -> contract value. format: strptime pattern of a date. unit: what the
    source counts in (see ``units.UNITS``), or unit_column: the source column that says so row by
    row. tax: whether the source's amount holds the tax, where that differs from the contract; the
    tax column, or tax_rate (0.13), converts it. source_type: the family of the source's type, if
    the source is to be held to it (else: to what it was at the last release).
    """

    column: str | None = None
    constant: str | None = None
    values: dict[str, str] | None = None
    format: str | None = None
    unit: str | None = None
    unit_column: str | None = None
    tax: Literal["included", "excluded"] | None = None
    tax_rate: float | None = Field(default=None, ge=0, lt=1)
    source_type: TypeFamily | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_of(self) -> Mapped:
        if (self.column is None) == (self.constant is None):
            raise ValueError("give either a source column or a constant")
        if self.unit and self.unit_column:
            raise ValueError("give either unit or unit_column")
        if self.format and _DIRECTIVE.sub("", self.format).count("%"):
            raise ValueError(f"format '{self.format}' has a directive that is not known")
        if self.unit and self.unit not in UNITS:
            raise ValueError(f"'{self.unit}' is not a unit; units are {', '.join(UNITS)}")
        return self

    @property
    def source_columns(self) -> list[str]:
        """The source columns it reads."""
        return [name for name in (self.column, self.unit_column) if name]


class Cursor(_Strict):
    """Incremental pulling: rows whose ``column`` is at or past the last release's maximum less
    ``overlap_minutes`` (for transactions committed late).
    """

    column: str
    overlap_minutes: int = Field(default=60, ge=0)


class Reconciliation(_Strict):
    """Every so many days the keys at the source are compared with ours; ours that are gone there
    become deletions. More than ``limit_rate`` of all keys gone is taken for a fault of the source.
    """

    every_days: int = Field(default=7, ge=1)
    limit_rate: float = Field(default=0.05, ge=0, le=1)


class FeedMapping(_Strict):
    """One feed of a company: which source, which table or query, which column is which."""

    source: str
    table: str | None = None
    query: str | None = None
    cursor: Cursor | None = None
    reconcile_keys: Reconciliation | None = None
    columns: dict[str, Mapped]

    @property
    def source_columns(self) -> list[str]:
        """The source columns that are read, each once."""
        read = [name for mapped in self.columns.values() for name in mapped.source_columns]
        if self.cursor:
            read.append(self.cursor.column)
        return list(dict.fromkeys(read))

    @model_validator(mode="after")
    def _one_of(self) -> FeedMapping:
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table or query")
        return self


class DatabaseSource(_Strict):
    """A database reached through ADBC: ``uri`` is sqlite:///file or postgresql://…, usually
    ``${VARIABLE}``. driver: name or path of another ADBC driver that is installed.
    """

    kind: Literal["database"]
    uri: str
    driver: str | None = None
    time_zone: str | None = None

    @model_validator(mode="after")
    def _no_secret(self) -> DatabaseSource:
        if _PASSWORD.search(self.uri):
            raise ValueError("uri holds a password; write ${VARIABLE} and set the variable")
        return self


class Trailer(_Strict):
    """A closing control line: its first field is ``marker``; field ``rows_field`` counts the rows,
    ``amount_field`` sums ``amount_column`` (fields are counted from 1). It does one or both; where
    neither is named, its second field counts.
    """

    marker: str
    rows_field: int | None = Field(default=None, ge=1)
    amount_field: int | None = Field(default=None, ge=1)
    amount_column: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value.keys() & {"rows_field", "amount_field"}:
            return {**value, "rows_field": 2}
        return value


class Ready(_Strict):
    """How a file shows that it is complete: a marker file beside it (``done_suffix``: .done), no
    change for ``settle_seconds``, or its SHA-256 in a list of the folder (``checksums``: the
    list's name, in the format of sha256sum).
    """

    done_suffix: str | None = None
    settle_seconds: float | None = Field(default=None, gt=0)
    checksums: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Ready:
        if sum(value is not None for value in (self.done_suffix, self.settle_seconds,
                                               self.checksums)) != 1:  # fmt: skip
            raise ValueError("give one of done_suffix, settle_seconds, checksums")
        return self


FileFormat = Literal["csv", "jsonl", "parquet", "xlsx"]
Encoding = Literal["utf-8", "utf-8-sig", "gb18030", "gbk"]


class FileTable(_Strict):
    """One or more files of one layout (a glob under the source's folder).

    format: by the pattern's ending unless given (.txt and others: csv). sheet, header_row: of a
    workbook. encoding: where it differs from the source's.
    """

    path: str
    format: FileFormat | None = None
    encoding: Encoding | None = None
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    trailer: Trailer | None = None
    sheet: str | None = None
    header_row: int = Field(default=1, ge=1)
    ready: Ready | None = None

    @model_validator(mode="after")
    def _usable(self) -> FileTable:
        if self.path.startswith("/") or ".." in self.path.split("/"):
            raise ValueError("path is a pattern under the source's folder")
        if self.trailer and self.kind != "csv":
            raise ValueError("a trailer belongs to a csv file")
        return self

    @property
    def kind(self) -> FileFormat:
        ending = self.path.rsplit(".", 1)[-1].lower()
        by_ending: dict[str, FileFormat] = {
            "jsonl": "jsonl",
            "ndjson": "jsonl",
            "parquet": "parquet",
            "xlsx": "xlsx",
        }
        return self.format or by_ending.get(ending, "csv")


class FilesSource(_Strict):
    """A folder of files; ``folder`` is a path, or an address that fsspec opens (s3://bucket/in,
    sftp://host/out) with ``options``.
    """

    kind: Literal["files"]
    folder: str
    encoding: Encoding | None = None
    options: dict[str, str] = {}
    time_zone: str | None = None
    tables: dict[str, FileTable]

    @model_validator(mode="after")
    def _usable(self) -> FilesSource:
        for name, table in self.tables.items():
            if table.kind in ("csv", "jsonl") and not (table.encoding or self.encoding):
                raise ValueError(f"table {name}: declare the encoding of its files")
        if _PASSWORD.search(self.folder):
            raise ValueError("folder holds a password; write ${VARIABLE} and set the variable")
        _check_secrets(self.options)
        return self

    def encoding_of(self, table: str) -> Encoding:
        """The declared encoding of a text table's files."""
        declared = self.tables[table].encoding or self.encoding
        assert declared is not None
        return declared


class RestTable(_Strict):
    """A paged resource. ``items``: field with the records (empty: the answer is the list);
    ``explode``: list field that makes one row an element (its fields become columns).

    paging cursor: field ``next_cursor`` is sent back as ``cursor_parameter``. page: pages are
    counted in ``page_parameter`` from ``first_page`` until one is empty. link: the next page's
    address is in the field ``next_link`` or the header Link. total: field with the count of all
    records, a control total.
    """

    path: str
    items: str = "items"
    explode: str | None = None
    paging: Literal["cursor", "page", "link"] = "cursor"
    next_cursor: str = "next_cursor"
    cursor_parameter: str = "cursor"
    page_parameter: str = "page"
    first_page: int = 1
    next_link: str | None = None
    total: str | None = None
    since_parameter: str | None = None
    parameters: dict[str, str] = {}

    @model_validator(mode="after")
    def _no_secret(self) -> RestTable:
        _check_secrets(self.parameters)
        return self


class RestSource(_Strict):
    """An HTTP service. token: bearer token from the environment; headers: others, such as
    ``X-Api-Key: ${VARIABLE}``.
    """

    kind: Literal["rest"]
    url: str
    token: str | None = None
    headers: dict[str, str] = {}
    time_zone: str | None = None
    timeout_seconds: float = Field(default=30, gt=0)
    tables: dict[str, RestTable]

    @model_validator(mode="after")
    def _no_secret(self) -> RestSource:
        if self.token is not None and "${" not in self.token:
            raise ValueError("token is written out; write ${VARIABLE} and set the variable")
        if _PASSWORD.search(self.url):
            raise ValueError("url holds a password; write ${VARIABLE} and set the variable")
        _check_secrets(self.headers)
        return self


def _check_secrets(values: dict[str, str]) -> None:
    for name, value in values.items():
        if _SECRET_NAME.search(name) and "${" not in value:
            raise ValueError(f"{name} is written out; write ${{VARIABLE}} and set the variable")


Source = Annotated[DatabaseSource | FilesSource | RestSource, Field(discriminator="kind")]


class Name(_Strict):
    """A name in English and Chinese."""

    en: str
    zh: str


class Company(_Strict):
    """A company file.

    cut_off: when a business day begins (17:00: it is named by the day it ends in). currencies: the
    others that documents may be in; a row in one that is not listed is faulty. calendar: which
    public holidays the business keeps. is_small_or_medium: the company is a small or medium
    enterprise, whom large buyers must pay within the term of the law. as_of: the date figures are
    computed for unless asked otherwise: yesterday in the company's zone, or the last day the data
    speak of (for data that stand still). areas: which marts are built, with those that they read.
    """

    name: Name
    time_zone: str
    cut_off: str = Field(default="00:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    reporting_currency: str = Field(pattern=r"^[A-Z]{3}$")
    currencies: list[Annotated[str, Field(pattern=r"^[A-Z]{3}$")]] = []
    calendar: Literal["china", "weekends"] = "china"
    is_small_or_medium: bool = True
    as_of: Literal["latest_data", "yesterday"] = "yesterday"
    areas: list[str] = Field(default=list(AREAS), min_length=1)
    sources: dict[str, Source]
    feeds: dict[str, FeedMapping]

    @model_validator(mode="after")
    def _consistent(self) -> Company:
        if not {"orders", "invoices"} & set(self.feeds):
            raise ValueError("a company needs the feed orders or the feed invoices")
        for zone in (self.time_zone, *(source.time_zone for source in self.sources.values())):
            if zone is not None and zone not in available_timezones():
                raise ValueError(f"'{zone}' is not a time zone of the IANA database")
        for feed, mapping in self.feeds.items():
            if feed not in FEEDS:
                raise ValueError(f"'{feed}' is not a feed; feeds are {', '.join(FEEDS)}")
            if mapping.source not in self.sources:
                raise ValueError(f"feed {feed}: source '{mapping.source}' is not declared")
            self._check_mapping(feed, mapping)
        if self.currencies and "fx_rates" not in self.feeds:
            raise ValueError("currencies are declared, but the feed fx_rates is not mapped")
        for area in self.areas:
            if area not in AREAS:
                raise ValueError(f"'{area}' is not an area; areas are {', '.join(AREAS)}")
        return self

    def _check_mapping(self, feed: str, mapping: FeedMapping) -> None:
        contract = load_contract(feed)
        unknown = set(mapping.columns) - set(contract.all_columns)
        if unknown:
            raise ValueError(f"feed {feed}: not in its contract: {', '.join(sorted(unknown))}")
        missing = {n for n, c in contract.columns.items() if c.required} - set(mapping.columns)
        if missing:
            raise ValueError(f"feed {feed}: required, not mapped: {', '.join(sorted(missing))}")
        if mapping.reconcile_keys and self.sources[mapping.source].kind != "database":
            raise ValueError(f"feed {feed}: reconcile_keys needs a database")
        for name, mapped in mapping.columns.items():
            column = contract.all_columns[name]
            where = f"feed {feed}, column {name}"
            if (mapped.unit or mapped.unit_column) and column.type not in NUMERIC_TYPES:
                raise ValueError(f"{where}: a unit needs a numeric column")
            if mapped.tax and column.tax is None:
                raise ValueError(f"{where}: the contract says nothing of tax here")
            if mapped.tax not in (None, column.tax) and not (
                mapped.tax_rate is not None or (name == "amount" and "tax" in mapping.columns)
            ):
                raise ValueError(f"{where}: tax {mapped.tax} needs tax_rate or the column tax")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def day_shift(self) -> timedelta:
        """Added to a local time, it gives the business day: with a cut-off at 17:00 a day is named
        by the date it ends on.
        """
        hours, minutes = self.cut_off.split(":")
        return timedelta(minutes=-(int(hours) * 60 + int(minutes)) % 1440)

    def business_day(self, moment: datetime) -> date:
        """The business day that is running at a moment (aware)."""
        return (moment.astimezone(self.zone) + self.day_shift).date()

    def mapping_digest(self, feed: str) -> str:
        """Identifies how ``feed`` is read; a batch read differently is another batch."""
        mapping = self.feeds[feed]
        parts = [
            mapping.model_dump(mode="json"),
            load_contract(feed).model_dump(mode="json"),
            self.time_zone,
            self.cut_off,
            self.reporting_currency,
            sorted(self.currencies),
            self.sources[mapping.source].model_dump(mode="json"),
        ]
        text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache
def load_contract(feed: str) -> Contract:
    """Read ``expectations/contracts/<feed>.yml``."""
    path = EXPECTATIONS_DIR / "contracts" / f"{feed}.yml"
    return _validated(Contract, path)


def load_company(settings: Settings) -> Company:
    """Read the company file; raises :class:`ConfigurationError` naming file and field."""
    path = settings.company_file
    if not path.exists():
        known = sorted(file.stem for file in path.parent.glob("*.yml"))
        raise ConfigurationError(
            f"there is no company '{settings.company}'",
            where=str(path),
            todo=f"choose one of {', '.join(known) or '(none)'} or write this file",
        )
    return _validated(Company, path)


def _validated(model: type[_Model], path: Path) -> _Model:
    try:
        return model.model_validate(yaml.load(path.read_text("utf-8"), _YAML_LOADER))
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            text = f"{place}: {first['msg']}" if place else first["msg"]
        else:
            text = str(error)
        raise ConfigurationError(
            f"the file {path.name} is not valid: {text}",
            where=str(path),
            kept="nothing was read from any source",
            todo="correct the field and run again",
        ) from error
