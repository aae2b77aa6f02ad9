"""A simulated dealer in coal and petroleum supplies: the sources that the pipeline pulls from.

    python scripts/sample_company.py make --to DIR [--customers 300 --years 3 --end 2026-06-30]
    python scripts/sample_company.py advance --to DIR [--days 1]
    python scripts/sample_company.py describe --to DIR

`make` writes the sources as they stand at the end of a day: the ERP and the CRM (SQLite), the
bank's daily files, the treasury's and the market's monthly files, the survey platform's answers.
`advance` adds what the next business days brought. `describe` prints the figures by which one sees
whether the company is believable. Every name in it is invented.

One rule carries the rest: **what is visible on day D is a function of (seed, customers, years, end)
and of D alone.** Every random number is looked up by position (`Draws`): the name of the quantity,
the customer's number, the order's slot. Each customer is therefore a stream of its own, customers
are simulated in chunks in any order, and a day is advanced by simulating again and writing only
the rows that changed. The simulation runs `HORIZON_DAYS` past `end`.

The simulation lives in `scripts/company/`: facts (products, archetypes, campaigns, tables), world
(parameters, random numbers, calendar, market, rates), customers, trade, relations (complaints,
contacts, opportunities, costs). What a day shows of it: erp, crm, bank, market, surveys, with the
dirty rows. Then writing and figures; here are `make`, `advance` and the command line.

How it is modelled (later models look for these effects, so they are explicit):

- **Days off** are the announced ones of China with their make-up workdays, by rule elsewhere.
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
- **Surveys** are quarterly; scores are the latent satisfaction plus noise. What the score of
  delivery has of its own moves the satisfaction overall and the recommendation too: it is the
  *driver* (`DRIVER_ITEM`). The price score has nothing of the kind.
  Once a year most respondents tell what share of their demand they buy from us: more under
  contract, and more when satisfied.
- **A failing product line**: in the last `FAILING_DAYS` who mainly buys anthracite
  (`FAILING_CATEGORY`) says much worse of us and complains of quality far more often; what it buys
  does not change yet. **The churning segment** are the traders: they leave at two or three times
  the others' rate (`leave_hazard`) and are the least satisfied.
- **Currencies**: an `export_share` of the buyers pays in USD or, a fifth of them, EUR: the price is
  the yuan price at the rate of the order's day, there is no tax, all its documents (and line costs)
  are in that currency, and it pays by transfer. Rates (`RATE_MEANS`) revert to their means.
- **Deliveries** complete an order in one to three parts, large ones more often in several. Promised
  are 13 days plus 0 to 4 for the distance; in a bad episode goods leave six days later, so that
  half of them come late, 6 % otherwise. One in eighty is weighed again and found lighter.
- **Balance sheets** come at registration and each spring: net worth follows size and growth, less
  of it at high risk, and collapses in the 500 days before a default. Many small customers hand in
  none.
- **Demand** is a latent lognormal of mean 1 per customer: calls and complaints are proportional to
  it, service costs nearly, freight costs go with its root.
- **Complaints** follow late deliveries (10 % of them, 3 % more for each day), disputed invoices
  (65 %) and a background rate that falls with satisfaction. In a bad episode they come more often,
  graver, slower to resolve and three times as often reopened. Whether the customer is satisfied
  with the outcome depends on its latent satisfaction, on the days it took, on money and reopening.
- **Contacts**: calls, visits (more to large customers) and mails by month; entered up to three
  days late. **Campaigns** (`CAMPAIGNS`) reach a random part of the customers: after the discount
  days spot orders are 20 % larger for 90 days, the newsletter changes nothing.
- **Opportunities**: one won for each customer won, opened when it was registered, 12 to 112 days
  before its first order; and about one a year with every customer. Chances of winning rise with
  satisfaction and fall with prices above their half-year mean; lost reasons follow the same two.
  The won amount has no effect of its own on orders. The CRM shows every step of a deal as a row.
- **Costs**: acquisition when a customer is won; service each month, doubled in a bad episode;
  freight at a customer's own .5 to 2 % of what the month delivered.
- **Dirty rows** (`dirty_rows`) are few and known: company.json lists each with its verdict.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:
    # Run as a script, Python looks for modules beside this file only.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.company import figures
from scripts.company.bank import BankRows, bank_rows
from scripts.company.columns import Window, table_of_rows
from scripts.company.crm import activity_rows, deal_rows, removed_activities, ticket_rows
from scripts.company.dirty import dirty_rows
from scripts.company.erp import (
    cost_rows,
    customer_names,
    customer_rows,
    delivery_rows,
    invoice_rows,
    line_rows,
    order_rows,
    product_rows,
)
from scripts.company.facts import CRM_TABLES, ERP_TABLES
from scripts.company.market import (
    REVISION_DAYS,
    changed_months,
    price_file,
    price_lines,
    rate_file,
    rate_lines,
)
from scripts.company.relations import (
    simulate_activities,
    simulate_costs,
    simulate_deals,
    simulate_tickets,
)
from scripts.company.surveys import survey_responses
from scripts.company.trade import simulate
from scripts.company.world import Parameters, SampleCompanyError, World, day_date, day_number
from scripts.company.writing import (
    BankFolder,
    DatabaseUpdate,
    NewDatabase,
    merge_responses,
    write_lines,
)

GENERATOR_VERSION = 5
"""Raised when the same parameters give other rows: `advance` refuses other versions' folders."""

MARKER = "company.json"


# --- writing -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Targets:
    """Where a window is written: a whole company, or what has changed of one."""

    erp: NewDatabase | DatabaseUpdate
    crm: NewDatabase | DatabaseUpdate
    bank: BankFolder
    surveys: Path
    files: Path


def _write_sources(world: World, window: Window, targets: _Targets) -> dict[str, int]:
    """Write everything that the window shows; returns the counts of rows written."""
    counts = dict.fromkeys(
        (*ERP_TABLES, "bank", *CRM_TABLES, "surveys", "fx_rates", "market_prices"), 0
    )

    def append(name: str, rows: Any) -> None:
        (targets.erp if name in ERP_TABLES else targets.crm).append(name, rows)
        counts[name] += rows.num_rows

    append("md_product", product_rows(world, window))
    with targets.surveys.open("w", encoding="utf-8") as responses:
        for chunk in simulate(world, window.day):
            names = customer_names(world, chunk.customers)
            append("crm_customer", customer_rows(world, chunk.customers, names, window))
            append("so_order", order_rows(world, chunk, window))
            append("so_order_line", line_rows(chunk, window))
            append("so_delivery", delivery_rows(chunk, window))
            append("fi_invoice", invoice_rows(chunk, window))
            append("fi_cost", cost_rows(world, chunk, simulate_costs(world, chunk), window))
            append("tickets", ticket_rows(chunk, simulate_tickets(world, chunk), window))
            activities = simulate_activities(world, chunk.customers)
            targets.crm.remove("activities", removed_activities(activities, window))
            append("activities", activity_rows(chunk, activities, window))
            deals = simulate_deals(world, chunk.customers)
            append("deals", deal_rows(chunk, deals, window))
            movements = bank_rows(world, chunk, names, window)
            targets.bank.append(movements)
            counts["bank"] += len(movements.text)
            for response in survey_responses(world, chunk, window):
                responses.write(json.dumps(response, ensure_ascii=False) + "\n")
                counts["surveys"] += 1
        dirty = dirty_rows(world)
        by_table: dict[str, list[tuple[Any, ...]]] = {}
        for day, name, row in dirty.tables:
            if window.begins < day <= window.day:
                by_table.setdefault(name, []).append(row)
        for name, bad in by_table.items():
            append(name, table_of_rows({**ERP_TABLES, **CRM_TABLES}[name], bad))
        for day, text, cents in dirty.bank:
            if window.begins < day <= window.day:
                yuan = np.zeros(1, dtype=np.int64)
                targets.bank.append(BankRows(np.array([day]), yuan, [text], np.array([cents])))
        for day, response in dirty.surveys:
            if window.begins < day <= window.day:
                responses.write(json.dumps(response, ensure_ascii=False) + "\n")
    for days in changed_months(world, window):
        path = targets.files / "treasury" / rate_file(days[0])
        lines = rate_lines(world, days, dirty.rates)
        counts["fx_rates"] += write_lines(path, lines, "utf-8-sig", "\r\n") - 1
    for days in changed_months(world, window, REVISION_DAYS):
        path = targets.files / "market" / price_file(days[0])
        lines = price_lines(world, days, window, dirty.prices)
        counts["market_prices"] += write_lines(path, lines, "utf-8", "\n")
    targets.bank.close()
    targets.erp.close()
    targets.crm.close()
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
        targets = _Targets(
            erp=NewDatabase(draft / "erp.sqlite", ERP_TABLES),
            crm=NewDatabase(draft / "crm.sqlite", CRM_TABLES),
            bank=BankFolder(draft / "bank"),
            surveys=draft / "surveys" / "responses.jsonl",
            files=draft / "files",
        )
        counts = _write_sources(world, Window(day), targets)
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
        targets = _Targets(
            erp=DatabaseUpdate(folder / "erp.sqlite", ERP_TABLES),
            crm=DatabaseUpdate(folder / "crm.sqlite", CRM_TABLES),
            bank=BankFolder(draft / "bank"),
            surveys=draft / "responses.jsonl",
            files=draft / "files",
        )
        counts = _write_sources(world, Window(day, since), targets)
        for path in sorted([*draft.glob("bank/*"), *draft.glob("files/*/*")]):
            path.replace(folder / path.relative_to(draft))
        merge_responses(folder / "surveys" / "responses.jsonl", draft / "responses.jsonl", draft)
        _write_marker(folder, world, day)
    return day_date(day), counts


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


def environment(folder: Path) -> dict[str, str]:
    """The environment variables by which `dags/companies/sample.yml` finds the sources in a
    folder; the survey platform's address and token come from the platform.
    """
    return {
        "SAMPLE_ERP_URI": f"sqlite:///{folder / 'erp.sqlite'}",
        "SAMPLE_CRM_URI": f"sqlite:///{folder / 'crm.sqlite'}",
        "SAMPLE_BANK_DIR": str(folder / "bank"),
        "SAMPLE_FILES_DIR": str(folder / "files"),
    }


def describe(folder: Path) -> dict[str, Any]:
    """The figures of the company in a folder (see `scripts/company/figures.py`).

    Raises:
        SampleCompanyError: the folder holds no company, or one of another generator version.
    """
    _, as_of = read_marker(folder)
    return figures.describe(folder, as_of)


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
