"""The contract of each feed, and a company's mapping of its own systems onto it.

Contracts (``expectations/contracts/<feed>.yml``) are ours: columns, types, keys, references.
A company file (``dags/companies/<company>.yml``) is the operator's: where the data lie and which
source column is which. Both are validated on reading; errors name the file and the field.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from customer_marts.errors import ConfigurationError
from customer_marts.settings import EXPECTATIONS_DIR, Settings

# dependency order: a feed's references point to feeds before it
FEEDS = (
    "customers",
    "products",
    "orders",
    "order_lines",
    "invoices",
    "payments",
    "survey_responses",
)

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
}
ColumnType = Literal[
    "text", "integer", "boolean", "date", "timestamp", "money", "price", "quantity", "score"
]


_Model = TypeVar("_Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """A contracted column. ``business_date`` names the date derived from a timestamp."""

    type: ColumnType
    required: bool = False
    business_date: str | None = None

    @property
    def sql_type(self) -> str:
        return SQL_TYPES[self.type]


class Reference(_Strict):
    """``column`` must exist as the key of ``feed``; a row that waits for it is held by ``rule``."""

    column: str
    feed: str
    rule: str


class Contract(_Strict):
    """What a feed promises: one row per ``key``, typed columns, references, the ledger's amount."""

    feed: str
    key: list[str]
    columns: dict[str, Column]
    references: list[Reference] = []
    amount: str | None = None
    currency: str | None = None
    event_date: str | None = None
    quarantine_budget_rate: float = Field(ge=0, le=1)
    owner: str

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
    """How one contracted column is read: a source column (with value map, date format) or a
    constant.
    """

    column: str | None = None
    constant: str | None = None
    values: dict[str, str] | None = None
    format: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_of(self) -> Mapped:
        if (self.column is None) == (self.constant is None):
            raise ValueError("give either a source column or a constant")
        return self


class Cursor(_Strict):
    """Incremental pulling: rows whose ``column`` is at or past the last release's maximum less
    ``overlap_minutes`` (for transactions committed late).
    """

    column: str
    overlap_minutes: int = Field(default=60, ge=0)


class FeedMapping(_Strict):
    """One feed of a company: which source, which table or query, which column is which."""

    source: str
    table: str | None = None
    query: str | None = None
    cursor: Cursor | None = None
    columns: dict[str, Mapped]

    @model_validator(mode="after")
    def _one_of(self) -> FeedMapping:
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table or query")
        return self


class DatabaseSource(_Strict):
    """A database reached through ADBC: ``uri`` is sqlite:///file or postgresql://…, usually
    ``${VARIABLE}``.
    """

    kind: Literal["database"]
    uri: str
    time_zone: str | None = None


class Trailer(_Strict):
    """A closing control line: its first field is ``marker``; field ``rows_field`` counts the rows,
    ``amount_field`` sums ``amount_column`` (fields are counted from 1).
    """

    marker: str
    rows_field: int = 2
    amount_field: int | None = None
    amount_column: str | None = None


class FileTable(_Strict):
    """One or more files of one layout (a glob under the source's folder)."""

    path: str
    delimiter: str = ","
    trailer: Trailer | None = None


class FilesSource(_Strict):
    """A folder of delimited files in a declared encoding."""

    kind: Literal["files"]
    folder: str
    encoding: Literal["utf-8", "utf-8-sig", "gb18030", "gbk"]
    time_zone: str | None = None
    tables: dict[str, FileTable]


class RestTable(_Strict):
    """A paged resource. ``items``: field with the records; ``explode``: list field that makes one
    row an element (its fields become columns); ``next_cursor``: field with the next page's cursor.
    """

    path: str
    items: str = "items"
    explode: str | None = None
    next_cursor: str = "next_cursor"
    cursor_parameter: str = "cursor"
    since_parameter: str | None = None
    parameters: dict[str, str] = {}
    updated_field: str | None = None


class RestSource(_Strict):
    """An HTTP service with a bearer token from the environment."""

    kind: Literal["rest"]
    url: str
    token: str
    time_zone: str | None = None
    timeout_seconds: float = Field(default=30, gt=0)
    tables: dict[str, RestTable]


Source = Annotated[DatabaseSource | FilesSource | RestSource, Field(discriminator="kind")]


class Name(_Strict):
    """A name in English and Chinese."""

    en: str
    zh: str


class Company(_Strict):
    """A company file.

    cut_off: when a business day begins (17:00: it is named by the day it ends in). as_of: the date
    figures are computed for unless asked otherwise: yesterday in the company's zone, or the last
    day the data speak of (for data that stand still).
    """

    name: Name
    time_zone: str
    cut_off: str = Field(default="00:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    reporting_currency: str = Field(pattern=r"^[A-Z]{3}$")
    as_of: Literal["latest_data", "yesterday"] = "yesterday"
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
            contract = load_contract(feed)
            unknown = set(mapping.columns) - set(contract.all_columns)
            if unknown:
                raise ValueError(f"feed {feed}: not in its contract: {', '.join(sorted(unknown))}")
            missing = {n for n, c in contract.columns.items() if c.required} - set(mapping.columns)
            if missing:
                raise ValueError(f"feed {feed}: required, not mapped: {', '.join(sorted(missing))}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def mapping_digest(self, feed: str) -> str:
        """Identifies how ``feed`` is read; a batch read differently is another batch."""
        mapping = self.feeds[feed]
        parts = [
            mapping.model_dump(mode="json"),
            load_contract(feed).model_dump(mode="json"),
            self.time_zone,
            self.cut_off,
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
        return model.model_validate(yaml.safe_load(path.read_text("utf-8")))
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
