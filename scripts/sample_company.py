"""A simulated dealer in coal and petroleum supplies: the sources that the pipeline pulls from.

    python scripts/sample_company.py make --to DIR [--customers 300 --years 3 --end 2026-06-30]
    python scripts/sample_company.py advance --to DIR [--days 1]
    python scripts/sample_company.py describe --to DIR

`make` writes an ERP database (SQLite), the bank's daily files and the survey platform's answers as
they stand at the end of a day. `advance` adds what the next business day brought. `describe` prints
the figures by which one sees whether the company is believable. Every name in it is invented.

One rule carries the rest: **what is visible on day D is a function of (seed, customers, years, end)
and of D alone.** Every random number is looked up by position (`Draws`): the name of the quantity,
the customer's number, the order's slot. Each customer is therefore a stream of its own, customers
are simulated in chunks in any order, and a day is advanced by simulating again and writing only
the rows that changed. The simulation runs `HORIZON_DAYS` past `end`.

The simulation lives in `scripts/company/`: facts (products, archetypes, tables), world (parameters,
random numbers, calendar, market), customers, trade, sources (ERP and bank), surveys, dirty rows.
Here are the writing, the figures and the command line.

How it is modelled (later models look for these effects, so they are explicit):

- **Archetypes** (`ARCHETYPES`): one dataclass per kind of buyer holds its means. Order value is
  lognormal, with a wide spread, hence the usual concentration: a fifth of the customers buy some
  four fifths.
- **Orders** follow a renewal process in warped time. The clock runs fast in the buyer's season, at
  a third around the Spring Festival and stops on days off; contract buyers (长协) have nearly equal
  gaps (about every ten days or every month), spot buyers (现货) exponential ones.
- **Prices** are one mean-reverting path per category. Contract prices follow half of the month's
  market price; spot prices all of it; unit costs follow the market two weeks late.
- **Satisfaction** is a latent quarterly AR(1) per customer. A bad service episode (late
  deliveries, more disputes) lowers it by `EPISODE_DROP`; the hazard of leaving in the next quarter
  is multiplied by exp(-1.1 x satisfaction). Leavers thin out their orders for 120 days.
- **Risk** is a latent in 0..1 per customer. Payment delay, its spread, the share of commercial
  acceptance bills and the hazard of default grow with it. Defaulters delay ever longer for
  150 days, then pay nothing; their bills falling due afterwards are dishonoured.
- **Disputes** hold back an invoice; most end in a credit note, a part of them in a refund.
- **Surveys** are quarterly; scores are the latent satisfaction plus noise.
- **Dirty rows** (`dirty_rows`) are few and known: company.json lists each with its verdict.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

if not __package__:
    # Run as a script, Python looks for modules beside this file only.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.company.dirty import dirty_rows
from scripts.company.facts import BANK_HEADER, TABLES
from scripts.company.sources import (
    BankRows,
    Window,
    bank_rows,
    customer_names,
    customer_rows,
    erp_table,
    invoice_rows,
    line_rows,
    order_rows,
    product_rows,
)
from scripts.company.surveys import survey_responses
from scripts.company.trade import simulate
from scripts.company.world import NEVER, Parameters, SampleCompanyError, World, day_date, day_number

GENERATOR_VERSION = 1
"""Raised when the same parameters give other rows: `advance` refuses other versions' folders."""

MARKER = "company.json"


# --- writing -------------------------------------------------------------------------------------


class _ErpFile:
    """A new ERP file, filled by ADBC's bulk ingest in one transaction; indexes come last.

    A thread writes one table while the next rows are made; at most one table waits.
    """

    def __init__(self, path: Path) -> None:
        import adbc_driver_sqlite.dbapi as adbc

        self._connection = adbc.connect(str(path), autocommit=True)
        self._cursor = self._connection.cursor()
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._writing: Future[None] | None = None
        # Nothing reads the file before it is complete and renamed: no journal is needed.
        for pragma in ("page_size = 16384", "journal_mode = off", "synchronous = off",
                       "locking_mode = exclusive", "cache_size = -65536"):  # fmt: skip
            self._cursor.execute(f"pragma {pragma}")
            self._cursor.fetchall()
        self._connection.adbc_connection.set_autocommit(False)
        for table in TABLES.values():
            self._cursor.execute(table.create_sql)

    def append(self, name: str, rows: Any) -> None:
        """Add rows to a table."""
        self._wait()
        if rows.num_rows:
            self._writing = self._writer.submit(self._ingest, name, rows)

    def _ingest(self, name: str, rows: Any) -> None:
        self._cursor.adbc_ingest(name, rows.to_reader(), mode="append")

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def close(self) -> None:
        """Create the indexes, commit, close."""
        self._wait()
        self._writer.shutdown()
        for table in TABLES.values():
            for column in table.indexes:
                self._cursor.execute(
                    f"create index {table.name}_by_{column} on {table.name} ({column})"
                )
        # The DB-API connection was opened with autocommit, where its own commit() does nothing.
        self._connection.adbc_connection.commit()
        self._cursor.close()
        self._connection.close()


class _ErpUpdate:
    """An existing ERP file: changed keys are replaced in one ordinary transaction."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)

    def append(self, name: str, rows: Any) -> None:
        """Replace the rows of these keys, or add them."""
        table = TABLES[name]
        data = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
        places = [list(table.columns).index(column) for column in table.key]
        keys = [tuple(row[place] for place in places) for row in data]
        match = " and ".join(f"{column} = ?" for column in table.key)
        marks = ", ".join("?" * len(table.columns))
        self._connection.executemany(f"delete from {name} where {match}", keys)
        self._connection.executemany(f"insert into {name} values ({marks})", data)

    def close(self) -> None:
        """Commit and close."""
        self._connection.commit()
        self._connection.close()


class _BankFolder:
    """The bank's files of some days; chunks append, `close` adds the trailers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._totals: dict[int, tuple[int, int]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def append(self, rows: BankRows) -> None:
        """Append lines to the files of their days; `rows` are in the order of days."""
        if not len(rows.day):
            return
        heads = np.flatnonzero(np.diff(rows.day, prepend=-1))
        for head, stop in zip(heads, np.append(heads[1:], len(rows.day)), strict=True):
            day = int(rows.day[head])
            count, total = self._totals.get(day, (0, 0))
            lines = rows.text[head:stop] if count else [BANK_HEADER, *rows.text[head:stop]]
            self._write(day, lines)
            self._totals[day] = (count + stop - head, total + int(rows.amount[head:stop].sum()))

    def close(self) -> None:
        """Write the trailer of every file: the count of its rows and the sum of their amounts."""
        for day, (count, total) in self._totals.items():
            sign = "-" if total < 0 else ""
            text = f"{sign}{abs(total) // 100}.{abs(total) % 100:02d}"
            self._write(day, [f"合计,{count},{text}"])

    def _write(self, day: int, lines: list[str]) -> None:
        with (self._folder / f"bank_{day_date(day)}.csv").open("ab") as file:
            file.write("".join(f"{line}\r\n" for line in lines).encode("gb18030"))


def _write_sources(
    world: World, window: Window, erp: _ErpFile | _ErpUpdate, bank: _BankFolder, surveys: Path
) -> dict[str, int]:
    """Write everything that the window shows; returns the counts of rows written."""
    counts = dict.fromkeys((*TABLES, "bank", "surveys"), 0)
    erp.append("md_product", product_rows(world, window))
    with surveys.open("w", encoding="utf-8") as responses:
        for chunk in simulate(world, window.day):
            names = customer_names(world, chunk.customers)
            for name, rows in (
                ("crm_customer", customer_rows(world, chunk.customers, names, window)),
                ("so_order", order_rows(world, chunk, window)),
                ("so_order_line", line_rows(chunk, window)),
                ("fi_invoice", invoice_rows(chunk, window)),
            ):
                erp.append(name, rows)
                counts[name] += rows.num_rows
            movements = bank_rows(world, chunk, names, window)
            bank.append(movements)
            counts["bank"] += len(movements.text)
            for response in survey_responses(world, chunk, window):
                responses.write(json.dumps(response, ensure_ascii=False) + "\n")
                counts["surveys"] += 1
        since = -NEVER if window.since is None else window.since
        dirty = dirty_rows(world)
        by_table: dict[str, list[tuple[Any, ...]]] = {}
        for day, name, row in dirty.erp:
            if since < day <= window.day:
                by_table.setdefault(name, []).append(row)
        for name, bad in by_table.items():
            kinds = [pa.int64() if kind == "INTEGER" else pa.string()
                     for kind in TABLES[name].columns.values()]  # fmt: skip
            columns = zip(*bad, strict=True)
            erp.append(name, erp_table(name, *map(pa.array, columns, kinds)))
        for day, text, cents in dirty.bank:
            if since < day <= window.day:
                bank.append(BankRows(np.array([day]), [text], np.array([cents])))
        for day, response in dirty.surveys:
            if since < day <= window.day:
                responses.write(json.dumps(response, ensure_ascii=False) + "\n")
    bank.close()
    erp.close()
    return counts


def _write_marker(folder: Path, world: World, day: int) -> None:
    parameters = asdict(world.parameters) | {"end": world.parameters.end.isoformat()}
    content = {
        "kind": "sample company",
        "generator_version": GENERATOR_VERSION,
        "parameters": parameters,
        "start": world.parameters.start.isoformat(),
        "as_of": day_date(day).isoformat(),
        "dirty": [row for shown_on, row in dirty_rows(world).verdicts if shown_on <= day],
    }
    draft = folder / f"{MARKER}.new"
    draft.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    draft.replace(folder / MARKER)


def make(folder: Path, parameters: Parameters, as_of: date | None = None) -> dict[str, int]:
    """Write the company's sources as they stand at the end of `as_of` (default: `parameters.end`).

    The folder is written beside `folder` and renamed into its place; a sample company already
    there is replaced. Returns the counts of rows by table, bank lines and survey responses.

    Raises:
        SampleCompanyError: `folder` holds something else, or `as_of` is outside the simulation.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise SampleCompanyError(
            f"{folder} is not a sample company ({MARKER} is missing): nothing was written; "
            "name another folder or empty this one"
        )
    world = World(parameters)
    day = day_number(as_of or parameters.end)
    _check_day(world, day)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (draft / "surveys").mkdir()
        counts = _write_sources(
            world,
            Window(day),
            _ErpFile(draft / "erp.sqlite"),
            _BankFolder(draft / "bank"),
            draft / "surveys" / "responses.jsonl",
        )
        _write_marker(draft, world, day)
        draft.chmod(0o755)
        if folder.exists():
            old = draft.with_name(f"{draft.name}-old")
            folder.rename(old)
            draft.rename(folder)
            shutil.rmtree(old)
        else:
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return counts


def advance(folder: Path, business_days: int = 1) -> tuple[date, dict[str, int]]:
    """Bring a company forward by some business days; returns the new date and counts of new rows.

    Killed half-way, it can be run again: the date moves last, and the same rows are written.

    Raises:
        SampleCompanyError: not a sample company, another generator's, or past its horizon.
    """
    parameters, as_of = read_marker(folder)
    world = World(parameters)
    since = day_number(as_of)
    day = since
    for _ in range(business_days):
        day = int(world.next_business(np.array([day + 1]))[0])
    _check_day(world, day)
    with tempfile.TemporaryDirectory(prefix=".advance-", dir=folder) as scratch:
        draft = Path(scratch)
        counts = _write_sources(
            world,
            Window(day, since),
            _ErpUpdate(folder / "erp.sqlite"),
            _BankFolder(draft / "bank"),
            draft / "responses.jsonl",
        )
        for path in sorted((draft / "bank").iterdir()):
            path.replace(folder / "bank" / path.name)
        _merge_responses(folder / "surveys" / "responses.jsonl", draft / "responses.jsonl", draft)
        _write_marker(folder, world, day)
    return day_date(day), counts


def _merge_responses(current: Path, changed: Path, scratch: Path) -> None:
    """Replace corrected responses and append new ones, line by line."""
    with changed.open(encoding="utf-8") as lines:
        updates = {json.loads(line)["response_id"]: line for line in lines}
    merged = scratch / "merged.jsonl"
    with current.open(encoding="utf-8") as old, merged.open("w", encoding="utf-8") as new:
        for line in old:
            if json.loads(line)["response_id"] not in updates:
                new.write(line)
        new.writelines(updates.values())
    merged.replace(current)


def read_marker(folder: Path) -> tuple[Parameters, date]:
    """The parameters of the company in a folder and the date it stands at.

    Raises:
        SampleCompanyError: the folder holds no company, or one of another generator version.
    """
    path = folder / MARKER
    if not path.is_file():
        raise SampleCompanyError(f"{folder} is not a sample company: make one first")
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["generator_version"] != GENERATOR_VERSION:
        raise SampleCompanyError(
            f"{path} was written by generator version {content['generator_version']}, this is "
            f"{GENERATOR_VERSION}: make the company again"
        )
    known = content["parameters"]
    parameters = Parameters(**(known | {"end": date.fromisoformat(known["end"])}))
    return parameters, date.fromisoformat(content["as_of"])


def _check_day(world: World, day: int) -> None:
    if not world.start <= day <= world.horizon:
        raise SampleCompanyError(
            f"{day_date(day)} is outside the simulation ({day_date(world.start)} to "
            f"{day_date(world.horizon)}): make the company again with a later --end"
        )


# --- figures -------------------------------------------------------------------------------------


def describe(folder: Path) -> dict[str, Any]:
    """The figures by which one sees whether the company is believable, read from its sources.

    Amounts in million yuan. Receivables: invoices less credit notes less money received (a
    dishonoured bill is not money), oldest first; DSO = open / last 365 days' invoices x 365;
    overdue = the open part past its due date (invoice date plus terms where none is stated).
    """
    _, as_of = read_marker(folder)
    result: dict[str, Any] = {"as_of": as_of.isoformat()}
    with sqlite3.connect(f"file:{folder / 'erp.sqlite'}?mode=ro", uri=True) as erp:
        rows = erp.execute(
            "select o.cust_code, substr(o.order_time, 1, 10), cast(l.net_amount as real)"
            " from so_order_line l join so_order o using (order_no)"
            " where o.deleted = 0 and o.status <> '已取消' and o.cust_code in"
            " (select cust_code from crm_customer)"
        ).fetchall()
        invoices = erp.execute(
            "select i.cust_code, i.invoice_date,"
            " coalesce(i.due_date, date(i.invoice_date, '+' || c.terms_days || ' days')),"
            " cast(round(i.amount * 100) as integer) * case i.kind when '蓝字' then 1 else -1 end"
            " from fi_invoice i join crm_customer c using (cust_code)"
            " where date(i.invoice_date) = i.invoice_date"
        ).fetchall()
        result["customers"] = erp.execute("select count(*) from crm_customer").fetchone()[0]
        result["orders"] = erp.execute("select count(*) from so_order").fetchone()[0]
    result["order_lines"] = len(rows)
    revenue: dict[str, float] = {}
    by_year: dict[str, float] = {}
    recent: set[str] = set()
    for code, ordered, net in rows:
        revenue[code] = revenue.get(code, 0.0) + net
        by_year[ordered[:4]] = by_year.get(ordered[:4], 0.0) + net
        if ordered > (as_of - timedelta(days=120)).isoformat():
            recent.add(code)
    ranked = sorted(revenue.values(), reverse=True)
    result["revenue_by_year"] = {year: round(by_year[year] / 1e6, 1) for year in sorted(by_year)}
    result["top_fifth_revenue_rate"] = sum(ranked[: len(ranked) // 5]) / sum(ranked)
    result["active_customers_rate"] = len(recent) / result["customers"]

    received: dict[str, int] = {}
    bills: dict[str, tuple[str, int, str]] = {}
    total_invoiced = sum(amount for *_, amount in invoices)
    for path in sorted((folder / "bank").glob("bank_*.csv")):
        for line in path.read_text(encoding="gb18030").splitlines()[1:-1]:
            cells = line.split(",")
            if len(cells) == 13 and cells[4].replace(".", "").isdigit():
                sign = -1 if cells[7] == "退款" else 1
                bills[cells[0]] = (cells[2], sign * round(float(cells[4]) * 100), cells[11])
    for code, cents, status in bills.values():
        received[code] = received.get(code, 0) + (0 if status == "拒付" else cents)
    result["paid_rate"] = sum(received.values()) / total_invoiced
    result["dishonoured_customers"] = len(
        {code for code, _, status in bills.values() if status == "拒付"}
    )
    last_year = (as_of - timedelta(days=365)).isoformat()
    recent_sales = sum(amount for _, day, _, amount in invoices if day > last_year)
    open_cents = overdue_cents = 0
    bad = 0
    by_customer: dict[str, list[tuple[str, int]]] = {}
    for code, _, due, amount in invoices:
        by_customer.setdefault(code, []).append((due, amount))
    for code, documents in by_customer.items():
        cash = received.get(code, 0) - sum(amount for _, amount in documents if amount < 0)
        oldest = ""
        for due, amount in sorted(document for document in documents if document[1] > 0):
            rest = max(amount - max(cash, 0), 0)
            cash -= amount
            open_cents += rest
            if due < as_of.isoformat():
                overdue_cents += rest
                oldest = oldest or (due if rest * 5 > amount else "")
        bad += bool(oldest) and oldest < (as_of - timedelta(days=120)).isoformat()
    result["dso_days"] = open_cents / recent_sales * 365
    result["overdue_rate"] = overdue_cents / open_cents
    result["long_overdue_customers_rate"] = bad / result["customers"]
    with (folder / "surveys" / "responses.jsonl").open(encoding="utf-8") as lines:
        scores = [json.loads(line)["answers"][0]["score"] for line in lines]
    promoters = sum(score >= 9 for score in scores) - sum(score <= 6 for score in scores)
    result["survey_responses"] = len(scores)
    result["nps"] = 100 * promoters / max(len(scores), 1)
    return result


# --- command line --------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make", help="write a company as it stands at the end of a day")
    maker.add_argument("--customers", type=int, default=300)
    maker.add_argument("--years", type=int, default=3)
    maker.add_argument("--end", type=date.fromisoformat, default=date(2026, 6, 30))
    maker.add_argument("--seed", type=int, default=20260630)
    mover = commands.add_parser("advance", help="add what the next business days brought")
    mover.add_argument("--days", type=int, default=1)
    teller = commands.add_parser("describe", help="print the figures that show it is believable")
    for command in (maker, mover, teller):
        command.add_argument("--to", type=Path, required=True, help="the company's folder")
    chosen = parser.parse_args(arguments)
    started = datetime.now().astimezone()
    try:
        if chosen.command == "make":
            parameters = Parameters(chosen.customers, chosen.years, chosen.end, chosen.seed)
            counts = make(chosen.to, parameters)
            print(f"{chosen.to}: made as of {parameters.end}")
        elif chosen.command == "advance":
            day, counts = advance(chosen.to, chosen.days)
            print(f"{chosen.to}: advanced to {day}")
        else:
            print(json.dumps(describe(chosen.to), ensure_ascii=False, indent=1))
            return 0
    except SampleCompanyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    seconds = (datetime.now().astimezone() - started).total_seconds()
    print(", ".join(f"{name} {count}" for name, count in counts.items() if count))
    print(f"{seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
