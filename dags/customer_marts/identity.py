"""Which customer a row counts for: the crosswalk of merges, re-keys and splits.

``dags/companies/<company>.identity.csv`` lists what people decided, one line a decision. Landed
rows keep the id their source gave; the id they count for is laid beside it, so that removing a
line undoes it. Nothing is merged that is not listed here.

kind: ``merge`` (two codes, one customer) and ``rekey`` (a code was replaced) move the rows of
``from_customer_id`` to ``to_customer_id``, those of business days from ``valid_from`` until before
``valid_to`` where dates are given. ``split`` moves some rows of a customer out of it: those of a
date range, or one row by ``feed`` and ``row_key``. ``distinct`` says that two customers who look
alike are not the same.
"""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from customer_marts.errors import ConfigurationError
from customer_marts.feeds import FEEDS, load_contract
from customer_marts.settings import Settings

KINDS = ("merge", "rekey", "split", "distinct")
COLUMNS = (
    "kind",
    "from_customer_id",
    "to_customer_id",
    "feed",
    "row_key",
    "valid_from",
    "valid_to",
    "decided_by",
    "decided_on",
    "reason",
)

FEEDS_WITH_CUSTOMERS = tuple(feed for feed in FEEDS if "customer_id" in load_contract(feed).columns)


@dataclass(frozen=True)
class Identity:
    """One decision of the crosswalk; ``entry_no`` is its line in the file."""

    entry_no: int
    kind: str
    from_customer_id: str
    to_customer_id: str
    feed: str | None
    row_key: str | None
    valid_from: date | None
    valid_to: date | None
    decided_by: str
    decided_on: date
    reason: str


def crosswalk_file(settings: Settings) -> Path:
    """The company's crosswalk; it need not exist."""
    return settings.company_file.with_suffix(".identity.csv")


def load_crosswalk(settings: Settings) -> list[Identity]:
    """Read and check the crosswalk.

    Raises ConfigurationError naming the line: an unknown kind or feed, a missing field, a date
    that is none, ranges of one customer that overlap, or a chain that leads back to its start.
    """
    file = crosswalk_file(settings)
    if not file.exists():
        return []
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.DictReader(stream, restkey="", restval=""))
    except UnicodeDecodeError as error:
        raise _wrong(file, 1, f"it is not UTF-8: {error}") from error
    entries = [_entry(file, number, line) for number, line in enumerate(lines, start=2)]
    _check_overlaps(file, entries)
    _check_chains(file, entries)
    return entries


def _entry(file: Path, number: int, line: dict[str, Any]) -> Identity:
    missing = [name for name in COLUMNS if name not in line]
    if missing or "" in line:
        raise _wrong(file, number, f"its columns must be {','.join(COLUMNS)}")
    given = {name: line[name].strip() for name in COLUMNS}
    for name in ("from_customer_id", "to_customer_id", "decided_by", "decided_on", "reason"):
        if not given[name]:
            raise _wrong(file, number, f"{name} is missing")
    if given["kind"] not in KINDS:
        raise _wrong(file, number, f"'{given['kind']}' is no kind; kinds are {', '.join(KINDS)}")
    if given["from_customer_id"] == given["to_customer_id"]:
        raise _wrong(file, number, "both ids are the same")
    if bool(given["feed"]) != bool(given["row_key"]):
        raise _wrong(file, number, "feed and row_key go together")
    if given["feed"] and given["feed"] not in FEEDS_WITH_CUSTOMERS:
        raise _wrong(file, number, f"feed '{given['feed']}' has no customers")
    days: dict[str, date | None] = {}
    for name in ("valid_from", "valid_to", "decided_on"):
        try:
            days[name] = date.fromisoformat(given[name]) if given[name] else None
        except ValueError:
            raise _wrong(file, number, f"{name} '{given[name]}' is not a date") from None
    if days["valid_from"] and days["valid_to"] and days["valid_from"] >= days["valid_to"]:
        raise _wrong(file, number, "valid_to is not after valid_from")
    if given["kind"] == "split" and not (given["feed"] or days["valid_from"] or days["valid_to"]):
        raise _wrong(file, number, "a split names a row or a date range; use merge for all rows")
    assert days["decided_on"] is not None
    return Identity(
        number,
        given["kind"],
        given["from_customer_id"],
        given["to_customer_id"],
        given["feed"] or None,
        given["row_key"] or None,
        days["valid_from"],
        days["valid_to"],
        given["decided_by"],
        days["decided_on"],
        given["reason"],
    )


def _check_overlaps(file: Path, entries: list[Identity]) -> None:
    seen: dict[tuple[str, str | None, str | None], list[Identity]] = {}
    for entry in entries:
        if entry.kind == "distinct":
            continue
        place = (entry.from_customer_id, entry.feed, entry.row_key)
        for other in seen.setdefault(place, []):
            ends = (entry.valid_to or date.max) <= (other.valid_from or date.min)
            begins = (other.valid_to or date.max) <= (entry.valid_from or date.min)
            if not ends and not begins:
                raise _wrong(
                    file,
                    entry.entry_no,
                    f"{entry.from_customer_id} is decided for the same days in line "
                    f"{other.entry_no}",
                )
        seen[place].append(entry)


def _check_chains(file: Path, entries: list[Identity]) -> None:
    """One step must do: what a row counts for is not itself moved on."""
    moved = {entry.from_customer_id: entry for entry in entries if _moves_all(entry)}
    for entry in entries:
        further = moved.get(entry.to_customer_id)
        if entry.kind != "distinct" and further is not None:
            raise _wrong(
                file,
                entry.entry_no,
                f"{entry.to_customer_id} itself counts for {further.to_customer_id} "
                f"(line {further.entry_no}): name that customer here",
            )


def _moves_all(entry: Identity) -> bool:
    whole = not (entry.row_key or entry.valid_from or entry.valid_to)
    return entry.kind in ("merge", "rekey") and whole


def _wrong(file: Path, number: int, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"the crosswalk cannot be used: {what}",
        where=f"{file}, line {number}",
        kept="the last release stands",
        todo="correct the line and run again",
    )


def write_identities(connection: Any, entries: list[Identity]) -> None:
    """Table ``landing.identities``: the crosswalk as it is now."""
    connection.execute(
        """
        create or replace table landing.identities (
            entry_no integer, kind varchar, from_customer_id varchar, to_customer_id varchar,
            feed varchar, row_key varchar, valid_from date, valid_to date, decided_by varchar,
            decided_on date, reason varchar
        )
        """
    )
    if entries:
        connection.executemany(
            f"insert into landing.identities values ({', '.join('?' * 11)})",
            [astuple(entry) for entry in entries],
        )


def resolve_customers(
    connection: Any, feed: str, release_sequence: int, table: str | None = None
) -> None:
    """Set ``_customer_id`` on the rows of ``feed`` that changed in this release; table: where they
    stand, if not in the table of the feed's current rows.

    A decision on the row itself comes before one on its customer. A change of the crosswalk is a
    rebuild, so that rows which did not change keep what they have.
    """
    contract, table = load_contract(feed), table or feed
    key = "concat_ws('/', " + ", ".join(f'rows."{name}"' for name in contract.key) + ")"
    connection.execute(
        f"""
        update landing.{table} set _customer_id = customer_id
        where _changed_in = {release_sequence} and _customer_id is distinct from customer_id
        """
    )
    day = f'rows."{contract.event_date}"' if contract.event_date else "cast(null as date)"
    # a master record belongs to no day: dated decisions leave it where it is
    within = (
        f"(identities.valid_from is null or identities.valid_from <= {day}) "
        f"and (identities.valid_to is null or {day} < identities.valid_to)"
    )
    own = f"identities.feed = '{feed}' and identities.row_key = {key}"
    for condition in ("identities.row_key is null", own):
        connection.execute(
            f"""
            update landing.{table} as rows set _customer_id = identities.to_customer_id
            from landing.identities
            where rows._changed_in = {release_sequence} and identities.kind <> 'distinct'
                and rows.customer_id = identities.from_customer_id and {condition} and {within}
            """
        )
