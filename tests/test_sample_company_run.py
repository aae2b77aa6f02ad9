"""The sample company through the whole line, as the README tells a newcomer to run it: what is
printed, every dirty row's verdict, days that add up, every command.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from customer_marts import pipeline, releases
from customer_marts.cli import marts
from customer_marts.recompute import TRUST_MARTS
from customer_marts.settings import PROJECT_ROOT, Settings
from scripts import sample_company
from scripts.survey_platform import WELL_BEHAVED, SurveyPlatform
from tests.readme import README, approval_commands, blocks, call, commands

TOKEN = "canary-5f2e9c41d7"

FEEDS = {
    "so_order": "orders",
    "so_order_line": "order_lines",
    "fi_invoice": "invoices",
    "so_delivery": "deliveries",
    "fi_cost": "customer_costs",
    "tickets": "complaints",
    "activities": "interactions",
    "deals": "opportunities",
    "surveys/responses.jsonl": "survey_responses",
}
FACTS = {
    "orders": ("fct_orders", "order_id"),
    "order_lines": ("fct_order_lines", "order_id || '/' || line_no"),
    "invoices": ("fct_invoices", "invoice_id"),
    "payments": ("fct_payments", "payment_id"),
    "survey_responses": ("fct_survey_responses", "response_id || '/' || question_code"),
    "complaints": ("fct_complaints", "complaint_id"),
    "interactions": ("fct_interactions", "interaction_id"),
    "customer_costs": ("fct_customer_costs", "cost_id"),
    "opportunities": ("fct_opportunities", "opportunity_id"),
    "deliveries": ("fct_deliveries", "delivery_id"),
}


def feed_of(where: str) -> str:
    if where.startswith("files/"):
        return "fx_rates" if "treasury" in where else "market_prices"
    return FEEDS.get(where, "payments")


def typed_key(row: dict[str, str]) -> str:
    """The key as it is typed: the treasury writes 20260610, which is 2026-06-10."""
    if feed_of(row["where"]) != "fx_rates":
        return row["key"]
    day, _, currency = row["key"].partition("/")
    return f"{date.fromisoformat(day)}/{currency}"


@dataclass
class Sample:
    """After ``make run``, which ``printed``, by a real Airflow."""

    settings: Settings
    sources: Path
    first: releases.Release
    printed: str

    def call(self, command: str) -> str:
        """What a README command prints that goes well."""
        done = call(command, self.settings.home, SAMPLE_SURVEY_TOKEN=TOKEN)
        assert done.returncode == 0, command + done.stdout[-3000:] + done.stderr[-3000:]
        assert done.stderr == ""
        return done.stdout


def query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return list(connection.execute(sql).fetchall())


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    home = tmp_path_factory.mktemp("sample")
    made = call("make run", home, SAMPLE_SURVEY_TOKEN=TOKEN)
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    sources = home / "sample" / "sources"
    platform = SurveyPlatform(sources / "surveys" / "responses.jsonl", TOKEN, WELL_BEHAVED)
    with platform:
        settings = Settings.load(
            {
                **os.environ,
                "MARTS_HOME": str(home),
                **sample_company.environment(sources),
                "SAMPLE_SURVEY_URL": platform.start(),
                "SAMPLE_SURVEY_TOKEN": TOKEN,
            },
            company="sample",
        )
        first = releases.current_release(settings.paths)
        assert first is not None
        yield Sample(settings, sources, first, made.stdout)


def test_make_run_prints_what_the_readme_shows(sample: Sample) -> None:
    shown = next(block for block in blocks("") if "airflow db migrate" in block)
    steps = re.findall(r"^  ✓ (.+?)  ", shown, flags=re.MULTILINE)
    assert len(steps) >= 8
    for step in steps:
        assert f"✓ {step} " in sample.printed, step
    for part in ("Release r00001-20260630 published", "Quarantine", "report.html", "Done in"):
        assert part in sample.printed


def test_the_tables_the_readme_lists_are_the_release(sample: Sample) -> None:
    part = README.split("## What comes out")[1].split("## Two commands")[0]
    assert set(re.findall(r"`([a-z0-9_]+)`", part)) == set(sample.first.manifest["rows"])


def test_the_readmes_query_answers(sample: Sample) -> None:
    [sql] = blocks("sql")
    rows = query(sample.first.marts, sql)
    assert len(rows) == 10
    assert all(row[4] > 0 for row in rows)


def test_every_dirty_row_meets_its_verdict(sample: Sample) -> None:
    build = sample.first.build_database
    waiting = {
        (feed, key): rule
        for feed, key, rule in query(build, "select feed, row_key, rule from landing.quarantine")
    }
    unreadable = query(
        build,
        "select raw from landing.quarantine where rule = 'unreadable_row' and feed = 'payments'",
    )
    facts = {
        feed: {key for (key,) in query(sample.first.marts, f"select {key} from {table}")}
        for feed, (table, key) in FACTS.items()
    }
    dirty = json.loads((sample.sources / "company.json").read_text("utf-8"))["dirty"]
    assert len(dirty) >= 20
    for row in dirty:
        feed = feed_of(row["where"])
        key, expect = typed_key(row), row["expect"]
        if expect == "duplicate":
            assert key in facts[feed], row
            assert (feed, key) not in waiting, row
        elif expect == "absent":
            assert key not in facts[feed], row
            assert (feed, key) not in waiting, row
        elif expect == "unreadable_row":
            assert any(key in text for (text,) in unreadable), row
            assert key not in facts[feed], row
        else:
            assert waiting.get((feed, key)) == expect.removeprefix("held "), row
            assert key not in facts.get(feed, ()), row
    expected = {
        (feed_of(row["where"]), typed_key(row))
        for row in dirty
        if row["expect"] not in ("duplicate", "absent", "unreadable_row")
    }
    found = {pair for pair, rule in waiting.items() if rule != "unreadable_row"}
    assert found == expected, "nothing else is quarantined"


def test_secrets_and_contacts_appear_nowhere_but_where_they_may(sample: Sample) -> None:
    """The token, every contact's number and mailbox: in no log, journal, manifest, listing, mart or
    page. Allowed are the restricted files and the build database, for their owner alone.
    """
    import sqlite3

    with sqlite3.connect(sample.sources / "erp.sqlite") as erp:
        contacts = erp.execute("select contact_phone, contact_email from crm_customer").fetchall()
    canaries = {text.encode() for row in contacts for text in row if text} | {TOKEN.encode()}
    assert len(canaries) > 100
    # a longer number may well hold the digits of a short one
    either = b"|".join(re.escape(text) for text in canaries)
    pattern = re.compile(rb"(?<!\d)(?:" + either + rb")(?!\d)")
    assert all(re.search(SUSPICIOUS.encode(), text) for text in canaries)

    def tells(text: bytes) -> bool:
        # the pattern alone tries hundreds of texts at every byte: minutes
        return any(canary in text for canary in canaries) and bool(pattern.search(text))

    listing = CliRunner().invoke(
        marts,
        ["quarantine", "list", "--limit", "0", "--json", "--company", "sample"],
        env=dict(sample.settings.environment),
    )
    assert listing.exit_code == 0
    assert not tells(listing.output.encode())
    told, kept = [], []
    for file in sample.settings.home.rglob("*"):
        if file.is_file() and sample.sources not in file.parents and tells(suspicious_lines(file)):
            is_private = file.stat().st_mode & 0o077 == 0
            (kept if is_private else told).append(file.name)
    assert told == []
    assert {"restricted.parquet", "customers.parquet", "build.duckdb"} >= set(kept)
    assert "customers.parquet" in kept


# what each of them looks like: a phone's number, a mailbox, the token
SUSPICIOUS = rf"(?:^|\D)\d{{11}}(?:\D|$)|@|{TOKEN}"


def suspicious_lines(file: Path) -> bytes:
    """The lines that may tell something; of a Parquet or DuckDB file, whose pages are compressed,
    the rows.
    """
    if file.suffix == ".parquet":
        with duckdb.connect() as connection:
            return _suspicious_rows(connection, f"read_parquet('{file}')")
    if file.suffix == ".duckdb":
        with duckdb.connect() as connection:
            connection.execute(f"attach '{file}' as looked_at (read_only)")
            names = connection.execute(
                "select schema_name, table_name from duckdb_tables() "
                "where database_name = 'looked_at'"
            ).fetchall()
            return b"\n".join(
                _suspicious_rows(connection, f'looked_at."{schema}"."{name}"')
                for schema, name in names
            )
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    suspicious = re.compile(SUSPICIOUS.encode())
    return b"\n".join(line for line in text.split(b"\n") if suspicious.search(line))


def _suspicious_rows(connection: duckdb.DuckDBPyConnection, relation: str) -> bytes:
    rows = connection.execute(
        f"select told from (select cast(t as varchar) as told from {relation} as t) "
        "where regexp_matches(told, ?)",
        [SUSPICIOUS],
    ).fetchall()
    return "\n".join(told for (told,) in rows).encode()


def test_the_path_of_a_deal_is_the_one_that_the_crm_kept(sample: Sample) -> None:
    """Every stage of a deal that was not entered twice nor faultily, and the day it began."""
    import sqlite3

    dirty = json.loads((sample.sources / "company.json").read_text("utf-8"))["dirty"]
    faulty = {row["key"] for row in dirty if row["where"] == "deals"}
    assert len(faulty) == 2
    with sqlite3.connect(sample.sources / "crm.sqlite") as crm:
        kept = crm.execute(
            """
            with steps as (
                select
                    *,
                    lag(stage) over (partition by deal_id order by updated_at) as before,
                    max(is_deleted) over (partition by deal_id) as is_double
                from deals
            )
            select
                deal_id,
                lower(replace(stage, 'Closed ', '')),
                date(datetime(updated_at, '+8 hours'))
            from steps
            where is_double = 'N' and before is not stage
            order by 1, updated_at
            """
        ).fetchall()
    told = query(
        sample.first.marts,
        "select opportunity_id, stage, cast(entered_on as varchar) from opportunity_stages"
        " order by opportunity_id, stage_no",
    )
    assert len(told) > 300
    assert told == [step for step in kept if step[0] not in faulty]
    passed = query(
        sample.first.marts,
        "select count(*) from stage_conversion"
        " where dimension = 'book' and conversion_rate_low > 0.5 and median_days_in_stage > 5",
    )
    assert passed == [(4,)]


def test_the_share_of_own_demand_is_known_of_whom_told_it(sample: Sample) -> None:
    told = {
        customer_id: share
        for customer_id, share in query(
            sample.first.marts, "select customer_id, share_of_demand from loyalty"
        )
        if share is not None
    }
    # customers with two codes are one
    identities = dict(
        query(sample.first.marts, "select source_customer_id, customer_id from customer_identities")
    )
    answers: dict[str, tuple[str, float]] = {}
    for line in (sample.sources / "surveys" / "responses.jsonl").read_text("utf-8").splitlines():
        response = json.loads(line)
        for answer in response["answers"]:
            if answer["question"] == "share_of_demand" and response["submitted_at"] > "2025-07":
                code = response["customer_code"]
                customer = identities.get(code, code)
                told_then = (response["submitted_at"], answer["score"] / 100)
                answers[customer] = max(told_then, answers.get(customer, told_then))
    assert len(answers) > 5
    assert told == {customer: pytest.approx(share) for customer, (_, share) in answers.items()}


def test_the_exact_copy_is_counted_as_a_duplicate(sample: Sample) -> None:
    assert query(
        sample.first.marts,
        "select sum(count_rows_duplicate) from conservation_ledger where feed = 'orders'",
    ) == [(1,)]


def test_revenue_equals_the_erps_own_sum(sample: Sample) -> None:
    """Net amount of the lines of orders that stand, at the rates of the treasury."""
    import sqlite3

    dirty = json.loads((sample.sources / "company.json").read_text("utf-8"))["dirty"]
    left_out = {row["key"] for row in dirty if row["where"] in ("so_order_line", "so_order")}
    kept = {row["key"] for row in dirty if row["expect"] == "duplicate"}
    rates = {("CNY", ""): Decimal(1)}
    for path in (sample.sources / "files" / "treasury").iterdir():
        for text in path.read_text("utf-8-sig").splitlines()[1:]:
            day, currency, _, price = text.split(",")
            rates[currency, str(date.fromisoformat(day))] = Decimal(price) / 100
    with sqlite3.connect(sample.sources / "erp.sqlite") as erp:
        rows = erp.execute(
            "select line.order_no, line.line_no, line.net_amount, so_order.currency, "
            "case so_order.currency when 'CNY' then '' else date(so_order.order_time) end "
            "from so_order_line as line join (select distinct * from so_order) as so_order "
            "using (order_no) where so_order.status <> '已取消' and so_order.deleted = 0 "
            "and line.deleted = 0"
        ).fetchall()
    expected = sum(
        (Decimal(amount) * rates[currency, day]).quantize(Decimal("0.01"), ROUND_HALF_UP)
        for order, line, amount, currency, day in rows
        if f"{order}/{line}" not in left_out and (order not in left_out or order in kept)
    )
    [[revenue]] = query(sample.first.marts, "select sum(revenue_amount) from fct_customer_months")
    assert revenue == expected


def test_every_query_of_the_reading_guide_answers(sample: Sample) -> None:
    guide = (PROJECT_ROOT / "docs" / "reading.md").read_text("utf-8")
    queries = re.findall(r"^```sql\n(.*?)^```$", guide, flags=re.MULTILINE | re.DOTALL)
    assert len(queries) >= 10
    for sql in queries:
        assert query(sample.first.marts, sql), sql


@pytest.fixture(scope="module")
def runs_of_the_next_day(sample: Sample) -> list[str]:
    """What ``make run`` prints when nothing is new, and ``make day``."""
    return [sample.call("make run"), sample.call("make day")]


@pytest.fixture(scope="module")
def releases_of_the_third_day(
    sample: Sample, runs_of_the_next_day: list[str]
) -> tuple[releases.Release, releases.Release]:
    """The second increment, which brings two days, and its rebuild."""
    sample_company.advance(sample.sources, 2)
    incremented = pipeline.refresh(pipeline.open_run(sample.settings))
    rebuilt = pipeline.refresh(pipeline.open_run(sample.settings), rebuild=True)
    assert incremented is not None
    assert rebuilt is not None
    return incremented, rebuilt


def test_nothing_new_then_one_more_day(sample: Sample, runs_of_the_next_day: list[str]) -> None:
    again, day = runs_of_the_next_day
    assert "Nothing new since release r00001-20260630" in again
    assert "increment as of 2026-07-01" in day
    assert "Release r00002-20260701 published" in day


def test_three_days_by_increments_equal_a_rebuild(
    sample: Sample, releases_of_the_third_day: tuple[releases.Release, releases.Release]
) -> None:
    release, rebuilt = releases_of_the_third_day
    assert not release.manifest["is_rebuild"]
    assert rebuilt.manifest["is_rebuild"]
    assert rebuilt.as_of == release.as_of > sample.first.as_of
    names = set(rebuilt.manifest["rows"]) - TRUST_MARTS
    assert len(names) >= 12
    for name in sorted(names):
        left = f"select * from read_parquet('{release.folder}/parquet/{name}.parquet')"
        right = f"select * from read_parquet('{rebuilt.folder}/parquet/{name}.parquet')"
        differing = query(
            rebuilt.marts,
            f"select count(*) from (({left} except all {right}) union all "
            f"({right} except all {left}))",
        )
        assert differing == [(0,)], name
    history = query(rebuilt.marts, "select is_rebuild from release_log order by release_sequence")
    assert history == [(True,), (False,), (False,), (True,)]


def test_every_command_the_readme_lists_works(
    sample: Sample, releases_of_the_third_day: tuple[releases.Release, releases.Release]
) -> None:
    """Among them a past day computed again: it is what was published then, three days and a rebuild
    later, with orders shipped, corrected and cancelled since.
    """
    incremented, rebuilt = releases_of_the_third_day
    home = sample.settings.home
    listed = json.loads(sample.call(".venv/bin/marts quarantine list --json"))
    rows = {row["rule"]: row["quarantine_id"] for row in listed if row["feed"] == "payments"}
    # what the README's examples stand for
    meant = {
        "4f1c09ab2e": rows["method_known"],
        "9b07d2c1e4": rows["amount_in_range"],
        "/tmp/faults.csv": str(home / "faults.csv"),
        "/tmp/then.duckdb": str(home / "then.duckdb"),
        "/tmp/card.html": str(home / "card.html"),
    }
    outputs = {}
    # tests/test_approval.py has a candidate that waits
    for command in [command for command in commands() if command not in approval_commands()]:
        if command.startswith(".venv/bin/marts"):
            typed = command
            for example, real in meant.items():
                typed = typed.replace(example, real)
            outputs[command.removeprefix(".venv/bin/marts ")] = sample.call(typed)
    assert rebuilt.release_id in outputs["status"]
    assert f"* {rebuilt.release_id}" in outputs["releases"]
    assert "method_known" in outputs["quarantine list"]
    assert "payments" in outputs["quarantine replay"]
    assert f"readers now see {incremented.release_id}" in outputs["rollback"]
    [recomputed] = [out for command, out in outputs.items() if command.startswith("recompute")]
    first = sample.first
    assert f"marts as of {first.as_of}, by what {first.release_id} knew" in recomputed
    [count] = re.findall(r"equal to that release, row for row, in (\d+) marts", recomputed)
    assert int(count) >= 12
