"""Real data no one here wrote: the public Olist orders, reconciled to their files."""

from __future__ import annotations

import csv
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from customer_marts import releases
from customer_marts.feeds import load_company
from customer_marts.onboarding.check import check_company
from customer_marts.settings import PROJECT_ROOT, Settings
from tests.readme import call, commands

DATA = Path(os.environ.get("OLIST_DATA") or PROJECT_ROOT / "../shared/data/olist")

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the Olist files are not at {DATA} (set OLIST_DATA)"
)


@pytest.fixture(scope="module")
def olist(tmp_path_factory: pytest.TempPathFactory) -> releases.Release:
    """Released by the README's command."""
    home = tmp_path_factory.mktemp("olist")
    command = next(line for line in commands() if "olist" in line)
    done = call(command.replace("/data/olist", str(DATA.resolve())), home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Release r00001-20181022 published" in done.stdout
    settings = Settings.load({**os.environ, "MARTS_HOME": str(home)}, company="olist")
    release = releases.current_release(settings.paths)
    assert release is not None
    return release


def one(release: releases.Release, sql: str) -> tuple[Any, ...]:
    with duckdb.connect(str(release.marts), read_only=True) as connection:
        row: tuple[Any, ...] = connection.execute(sql).fetchall()[0]
    return row


def source_rows(name: str) -> list[dict[str, str]]:
    with (DATA / f"olist_{name}_dataset.csv").open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def test_orders_and_customers_reconcile(olist: releases.Release) -> None:
    assert one(olist, "select count(*) from fct_orders") == (8135,)
    assert one(olist, "select count(*), count(distinct customer_id) from dim_customers") == (
        8016,
        8016,
    )
    assert olist.as_of.isoformat() == "2018-10-22"


def test_payments_reconcile_to_the_cent_of_the_source_file(olist: releases.Release) -> None:
    payments = source_rows("order_payments")
    total = sum(Decimal(row["payment_value"]) for row in payments)
    ledger = one(
        olist,
        "select sum(count_rows_pulled), sum(pulled_amount), sum(count_rows_accepted), "
        "sum(accepted_amount), sum(count_rows_quarantined), sum(quarantined_amount) "
        "from conservation_ledger where feed = 'payments'",
    )
    assert len(payments) == 8924
    assert ledger[:2] == (8924, total)
    # five vouchers of 0.00 pay nothing: kept in quarantine with their reason
    assert ledger[2:] == (8919, total, 5, Decimal(0))
    assert one(olist, "select sum(payment_amount) from fct_payments") == (total,)
    zeros = [row for row in payments if Decimal(row["payment_value"]) == 0]
    assert len(zeros) == 5


def test_reviews_reconcile_less_exact_duplicates(olist: releases.Release) -> None:
    reviews = source_rows("order_reviews")
    distinct = {tuple(row.values()) for row in reviews}
    assert len(reviews) == 8225
    pulled, accepted, duplicate = one(
        olist,
        "select sum(count_rows_pulled), sum(count_rows_accepted), sum(count_rows_duplicate) "
        "from conservation_ledger where feed = 'survey_responses'",
    )
    assert (pulled, accepted, duplicate) == (8225, len(distinct), 8225 - len(distinct))
    assert one(olist, "select count(*), count(distinct response_id) from fct_survey_responses") == (
        len(distinct),
        len(distinct),
    )


def test_revenue_is_price_and_freight_of_what_was_not_cancelled(olist: releases.Release) -> None:
    cancelled = {
        row["order_id"]
        for row in source_rows("orders")
        if row["order_status"] in ("canceled", "unavailable")
    }
    expected = sum(
        Decimal(row["price"]) + Decimal(row["freight_value"])
        for row in source_rows("order_items")
        if row["order_id"] not in cancelled
    )
    assert one(olist, "select sum(revenue_amount) from fct_customer_months") == (expected,)


def test_deliveries_reconcile_and_so_do_the_late_ones(olist: releases.Release) -> None:
    delivered = [row for row in source_rows("orders") if row["order_delivered_customer_date"]]
    late = [
        row
        for row in delivered
        if row["order_delivered_customer_date"][:10] > row["order_estimated_delivery_date"][:10]
    ]
    assert (len(delivered), len(late)) == (5170, 343)
    with duckdb.connect(str(olist.build_database), read_only=True) as connection:
        landed = connection.execute(
            "select count(*), count(*) filter (where delivered_on > promised_on) "
            "from landing.deliveries"
        ).fetchall()
    assert landed == [(5170, 343)]


def test_a_dry_run_finds_the_file_fit_and_lands_nothing(tmp_path: Path) -> None:
    settings = Settings.load({**os.environ, "MARTS_HOME": str(tmp_path)}, company="olist")
    company = load_company(settings)
    checks = check_company(settings, company, company.feeds, 1000, datetime.now(UTC))
    assert {check.feed: check.state for check in checks} == dict.fromkeys(company.feeds, "fine")
    held = [(check.feed, item.rule, item.rows) for check in checks for item in check.quarantined]
    assert held == [("payments", "amount_in_range", 5)]
    assert list(tmp_path.iterdir()) == []


def test_what_is_quarantined_is_listed_with_reasons(olist: releases.Release) -> None:
    listed = [(row["feed"], row["rule"], row["count_rows"]) for row in olist.manifest["quarantine"]]
    assert listed == [("payments", "amount_in_range", 5)]
    assert all(row["reason"] for row in olist.manifest["quarantine"])


def test_absent_feeds_say_so(olist: releases.Release) -> None:
    """Olist has no invoices: receivables derive from its orders."""
    derived = one(olist, "select bool_and(is_derived), count(*) > 0 from fct_invoices")
    assert derived == (True, True)
    assert olist.manifest["data_through"]["invoices"] is None
