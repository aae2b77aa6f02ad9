"""The sections for sales: that their numbers are the marts', and why they are absent if so."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from customer_marts.report import formats, labels, write_report
from tests.report.marts_fixture import (
    AS_OF,
    HOSTILE_GROUP,
    HOSTILE_SILENT,
    Book,
    build_marts,
    release_manifest,
)
from tests.report.rendered_page import Page, exact, render, table

SALES_SECTIONS = ("movement", "strategic", "retention")


def amount(value: object) -> str:
    """An amount as a cell shows it to a reader of both languages."""
    shown = formats.amount(Decimal(str(value)), "CNY")
    return f"{shown.en}{shown.zh}"


Change = Callable[..., Page]


@pytest.fixture(scope="session")
def small_marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "marts.duckdb"
    build_marts(path, Book(count_customers=12))
    return path


@pytest.fixture
def changed(small_marts: Path, tmp_path: Path) -> Change:
    """The page of a small book's marts that some statements have changed."""

    def change(*statements: str) -> Page:
        marts = Path(shutil.copy(small_marts, tmp_path / "marts.duckdb"))
        with duckdb.connect(str(marts)) as connection:
            for statement in statements:
                connection.execute(statement)
        write_report(marts, release_manifest(), tmp_path / "report.html")
        return Page((tmp_path / "report.html").read_text(encoding="utf-8"))

    return change


def test_stages_of_twelve_months_equal_sql(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    counts = marts.execute(
        "select strftime(month_on, '%Y-%m'),"
        " count(*) filter (where lifecycle = 'active'),"
        " count(*) filter (where lifecycle = 'new'),"
        " count(*) filter (where lifecycle = 'slowing'),"
        " count(*) filter (where lifecycle = 'at_risk'),"
        " count(*) filter (where lifecycle = 'lost'),"
        " count(*) filter (where lifecycle = 'potential')"
        " from customer_segment_history group by 1 order by 1 desc limit 12"
    ).fetchall()
    seen = {stage for row in counts for stage, count in enumerate(row[1:]) if count}
    expected = [
        [row[0], *(str(count) for stage, count in enumerate(row[1:]) if stage in seen)]
        for row in counts
    ]
    assert table(page.section("movement"), labels.text("chart.stages").en) == expected
    assert expected[0][0] == "2026-11"
    assert sum(int(count) for count in expected[0][1:]) == 36


def test_moves_equal_sql_with_the_falls_first(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    moves = marts.execute(
        "select from_class, to_class, count_customers, revenue_12_months_amount"
        " from segment_migration where dimension = 'lifecycle' and from_class <> to_class"
        " and month_on = date '2026-11-01' order by 4 desc"
    ).fetchall()
    depth = {"active": 0, "new": 0, "slowing": 1, "at_risk": 2, "lost": 4, "potential": 5}
    falls = [move for move in moves if depth[move[1]] > depth[move[0]]]
    others = [move for move in moves if depth[move[1]] < depth[move[0]]]
    assert falls
    assert others
    shown = table(page.section("movement"), "Movements between stages, 2026-10-31 to 2026-11-20")
    expected = [
        [f"From {before} 原{before}", f"To {now} 现{now}", str(count), amount(revenue)]
        for before, now, count, revenue in falls + others
    ]
    assert shown == expected
    for *_, revenue in moves:
        assert exact(revenue) in page.section("movement").titles
    stayed = marts.execute(
        "select sum(count_customers), sum(revenue_12_months_amount) from segment_migration"
        " where dimension = 'lifecycle' and from_class = to_class"
        " and month_on = date '2026-11-01'"
    ).fetchall()[0]
    assert exact(stayed[1]) in page.section("movement").titles


def test_many_moves_are_cut_and_added_up(changed: Change) -> None:
    page = changed(
        "delete from segment_migration",
        "insert into segment_migration"
        " select date '2026-11-01', 'lifecycle', 'active', 'slowing' || place, 'CNY', 'Active',"
        " '活跃', 'To ' || place, '现' || place, 1, 100 - place from range(15) as moves (place)",
    )
    shown = table(page.section("movement"), "Movements between stages")
    assert len(shown) == 13
    assert shown[-1] == ["3 other movements 其他 3 种变动", "3", amount(88 + 87 + 86)]


def test_silent_customers_equal_sql(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    rows = marts.execute(
        "select customer_name, segments.revenue_12_months_amount, recency_days, gap_p95_days"
        " from customer_segments as segments inner join dim_customers using (customer_id)"
        " where is_silent_by_rhythm and lifecycle in ('slowing', 'at_risk', 'dormant')"
        " order by 2 desc, customer_id"
    ).fetchall()
    assert HOSTILE_SILENT in [row[0] for row in rows]
    shown = table(page.section("movement"), "Slipping away")
    assert [row[:4] for row in shown] == [
        [name, amount(revenue), str(days), formats.decimal(p95, 1)]
        for name, revenue, days, p95 in rows[:10]
    ]
    assert f"{len(rows)} customers with" in page.section("movement").words


def test_hostile_names_are_text_in_every_sales_section(page: Page) -> None:
    assert HOSTILE_SILENT in page.section("movement").words
    assert HOSTILE_GROUP in page.section("strategic").words
    assert "<i>Coke</i> C001" in page.section("retention").words
    assert not {"img", "script"} & set(page.tags)
    assert "<i>Coke" not in page.html
    assert "onerror=alert(1)>" not in page.html


def test_concentration_equals_the_formulas(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    def measures(month_on: date) -> tuple[float, float, float]:
        values = sorted(
            float(value)
            for (value,) in marts.execute(
                "select revenue_12_months_amount from customer_segment_history"
                " where month_on = $month_on and revenue_12_months_amount > 0",
                {"month_on": month_on},
            ).fetchall()
        )
        shares = [value / sum(values) for value in values]
        places = sum(place * share for place, share in enumerate(shares, start=1))
        gini = 2 * places / len(shares) - (len(shares) + 1) / len(shares)
        return sum((100 * share) ** 2 for share in shares), gini, sum(shares[-5:])

    now, before = measures(date(2026, 11, 1)), measures(date(2025, 11, 1))
    strategic = page.section("strategic")
    assert f'title="{now[0]:.4f}"' in strategic.html
    assert f'title="{now[1]:.4f}"' in strategic.html
    assert f'title="{100 * now[2]:.4f} %"' in strategic.html
    for change, places, words in (
        (now[0] - before[0], 0, "on a year ago"),
        (now[1] - before[1], 3, "on a year ago"),
        (100 * (now[2] - before[2]), 1, "points on a year ago"),
    ):
        assert f"{change:+,.{places}f} {words}".replace("-", formats.MINUS) in strategic.words


def test_more_concentration_is_marked_as_worse(changed: Change) -> None:
    page = changed(
        "update book_concentration set hhi = 900, gini = 0.5, top_5_share = 0.4",
        "update book_concentration set hhi = 1200.6, gini = 0.4 where month_on = '2026-11-01'",
    )
    strategic = page.section("strategic")
    assert re.search(r'class="why up worse">[^/]*\+301 on', strategic.html)
    assert re.search(r'class="why down better">[^/]*\u22120\.100 on', strategic.html)
    assert re.search(r'class="why ">[^/]*>0\.0 points on', strategic.html)
    assert "as concentrated as 8 customers" in strategic.words


def test_a_year_ago_needs_twelve_months_before_it(changed: Change) -> None:
    page = changed("delete from book_concentration where month_on < '2024-12-01'")
    assert page.section("strategic").words.count(" on a year ago") == 3
    page = changed("delete from book_concentration where month_on < '2025-01-01'")
    assert " on a year ago" not in page.section("strategic").words
    assert page.section("strategic").words.count(labels.text("tile.no_before").en) == 3


def test_groups_at_the_bound_are_those_of_the_mart(
    page: Page, marts: duckdb.DuckDBPyConnection
) -> None:
    rows = marts.execute(
        """
        with risks as (
            select group_key, sum(share_of_revenue) as share_of_revenue, count(*) as members,
                sum(open_amount) as open_amount, sum(overdue_amount) as overdue_amount
            from strategic_accounts left join receivables_balances using (customer_id)
            group by group_key
        )
        select coalesce(group_name, customer_name), members, share_of_revenue,
            risks.open_amount, risks.overdue_amount
        from risks
        left join customer_groups using (group_key)
        left join dim_customers on risks.group_key = dim_customers.customer_id
        where share_of_revenue >= 0.1 order by 3 desc
        """
    ).fetchall()
    assert {row[1] for row in rows} == {1, 2}  # a group, and a customer without one
    assert table(page.section("strategic"), "Groups and customers") == [
        [name, str(members), formats.percent(share), "4.0 %", amount(owed), amount(overdue)]
        for name, members, share, owed, overdue in rows
    ]
    together = formats.percent(sum(row[2] for row in rows))
    assert f"together {together} of revenue" in page.section("strategic").words


def test_strategic_list_and_weights_equal_sql(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    strategic = page.section("strategic")
    accounts = marts.execute(
        "select score_rank, customer_name, score, share_of_revenue, group_share_of_revenue,"
        " is_concentration_risk, value_by_income_amount"
        " from strategic_accounts inner join dim_customers using (customer_id)"
        " where stage_reached = 'listed' order by score_rank"
    ).fetchall()
    assert len(accounts) == 8
    assert table(strategic, "Strategic accounts") == [
        [
            str(rank),
            name,
            f"{score:.3f}",
            formats.percent(share),
            ("! " if is_risk else "") + formats.percent(group_share),
            amount(value),
        ]
        for rank, name, score, share, group_share, is_risk, value in accounts
    ]
    assert [row[1:] for row in table(strategic, "What the score is made of")] == [
        ["54.0 %", "20.0 %", "20"],
        ["29.7 %", "80.0 %", "20"],
        ["16.3 %", "\u2013", "1"],
    ]
    assert re.search(r"Consistency ratio CR.{0,20}0\.011\s*at most 0\.10", strategic.words)
    assert [row[1] for row in table(strategic, "How the list came about")] == ["8", "12", "16"]


def test_retention_is_pooled_without_the_opening_cohort(
    page: Page, marts: duckdb.DuckDBPyConnection
) -> None:
    # from the orders themselves: who of those that came after the first month is back when
    rows = marts.execute(
        """
        with buyers as (
            select customer_id, min(order_month) as cohort_on, max(order_month) as last_on
            from fct_orders where not is_cancelled group by customer_id
        ),
        followed as (
            select buyers.*, since, (cohort_on + interval 1 month * since)::date as month_on
            from buyers cross join range(25) as months (since)
            where cohort_on > (select min(cohort_on) from buyers)
        )
        select
            since,
            count(*),
            count(*) filter (where exists (
                from fct_orders where not is_cancelled
                and customer_id = followed.customer_id and order_month = followed.month_on
            )),
            count(*) filter (where since = 0 or month_on <= $as_of - interval 180 day),
            count(*) filter (
                where (since = 0 or month_on <= $as_of - interval 180 day) and last_on >= month_on
            )
        from followed where last_day(month_on) <= $as_of group by since order by since
        """,
        {"as_of": AS_OF},
    ).fetchall()
    assert len(rows) == 25
    shown = table(page.section("retention"), labels.text("chart.retention").en)
    assert shown == [
        [
            str(since),
            str(count),
            formats.percent(surviving / known),
            formats.percent(active / count),
        ]
        for since, count, active, known, surviving in rows
    ]
    assert [row[0] for row in table(page.section("retention"), "Retention at a glance")] == [
        "1", "3", "6", "12", "18", "24",
    ]  # fmt: skip
    assert "first seen from 2023-10 on) are left out" in page.section("retention").words


def test_offers_equal_sql(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    rows = marts.execute(
        "select customer_name, product_name, expected_revenue_amount, reason_en, reason_zh"
        " from customer_product_gaps inner join dim_customers using (customer_id)"
        " order by 3 desc, customer_id"
    ).fetchall()
    assert len(rows) > 10
    assert table(page.section("retention"), "The 10 best") == [
        [name, product, amount(expected), f"{reason_en} {reason_zh}"]
        for name, product, expected, reason_en, reason_zh in rows[:10]
    ]


def test_nothing_is_offered_to_a_customer_in_default(changed: Change) -> None:
    page = changed("update credit_scores set is_in_default = false")
    (count,) = re.findall(r"The (\d+) best product", page.section("retention").words)
    _, *others = table(page.section("retention"), f"The {count} best")
    page = changed(
        "update credit_scores set is_in_default = false",
        "update credit_scores set is_in_default = true where customer_id ="
        " (select customer_id from customer_product_gaps"
        " order by expected_revenue_amount desc, customer_id limit 1)",
    )
    assert table(page.section("retention"), f"The {len(others)} best") == others


def test_portraits_equal_sql_and_mark_the_thin(
    page: Page, marts: duckdb.DuckDBPyConnection
) -> None:
    rows = marts.execute(
        "select class_label_en, class_label_zh, is_thin, count_customers, share_of_customers,"
        " share_of_revenue, share_of_margin from segment_profiles where dimension = 'lifecycle'"
        " order by list_position(['active', 'at_risk', 'lost', 'potential'], class_code)"
    ).fetchall()
    shown = table(page.section("segments"), "Portraits by lifecycle")
    assert len(shown) == len(rows) == 4
    for cells, (en, zh, is_thin, count, *shares) in zip(shown, rows, strict=True):
        assert cells[0] == f"{en} {zh}" + (" thin 样本少" if is_thin else "")
        assert cells[1] == str(count)
        assert cells[3:6] == [formats.percent(share) for share in shares]
    assert shown[0][2] == "+3"
    assert shown[0][6:] == ["12.3 %", "17.3", "34.6 %", "73 % (1,820)", "\u221212 (364)"]
    assert shown[-1][6:] == ["\u2013"] * 5
    # one table of lifecycle stages is enough
    assert "Lifecycle 生命周期" not in page.section("segments").words


def test_without_orders_every_sales_section_says_why(tmp_path: Path) -> None:
    data_through = {**release_manifest()["data_through"], "orders": None, "order_lines": None}
    page = render(tmp_path, Book(count_customers=5, has_orders=False), data_through=data_through)
    reason = "The company delivers no orders, or none has arrived yet."
    assert page.section("movement").words.count(reason) == 3
    assert page.section("strategic").words.count(reason) == 2
    assert page.section("retention").words.count(reason) == 1
    assert "delivers no order lines" in page.section("retention").words
    assert reason in page.section("segments").words
    for name in SALES_SECTIONS:
        assert not {"svg", "table"} & set(page.section(name).tags), name


@pytest.mark.parametrize(
    ("section", "reason", "statement"),
    [
        (
            "movement",
            "absent.one_month",
            "delete from customer_segment_history where month_on < date '2026-11-01'",
        ),
        ("movement", "absent.one_month", "delete from segment_migration"),
        (
            "movement",
            "absent.no_rhythm",
            "update customer_segments set is_silent_by_rhythm = null",
        ),
        (
            "movement",
            "absent.nobody_silent",
            "update customer_segments set is_silent_by_rhythm = false",
        ),
        (
            "strategic",
            "absent.nobody_listed",
            "update strategic_accounts set stage_reached = 'assessed'",
        ),
        (
            "strategic",
            "tile.no_groups",
            "update strategic_accounts set is_concentration_risk = false",
        ),
        (
            "retention",
            "absent.no_cohorts",
            "delete from cohort_retention where not is_opening_cohort",
        ),
        ("retention", "absent.no_offers", "delete from customer_product_gaps"),
    ],
)
def test_what_is_empty_says_why(changed: Change, section: str, reason: str, statement: str) -> None:
    page = changed(statement)
    assert labels.text(reason).en in page.section(section).words
    assert labels.text(reason).zh in page.section(section).words


def test_a_short_history_is_said_beside_the_concentration(changed: Change) -> None:
    page = changed("delete from book_concentration where month_on < '2026-07-01'")
    assert "The history holds 5 months" in page.section("strategic").words


def test_a_release_before_these_marts_still_has_a_page(changed: Change) -> None:
    marts = (
        "customer_segment_history",
        "segment_migration",
        "book_concentration",
        "strategic_accounts",
        "cohort_retention",
        "customer_clv",
        "customer_product_gaps",
        "segment_profiles",
    )
    page = changed(
        *(f"drop table {mart}" for mart in marts),
        "alter table customer_segments drop column is_silent_by_rhythm",
    )
    for mart in marts:
        assert f"This release holds no mart {mart}." in page.words
    # the lifecycle table of the segments is there again
    assert "Lifecycle 生命周期" in page.section("segments").words


def test_expected_value_equals_sql(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    value = page.section("value")
    best = marts.execute(
        "select coalesce(customer_name, customer_id), probability_alive, clv_status,"
        " expected_clv_12_months_amount"
        " from customer_clv left join dim_customers using (customer_id)"
        " inner join credit_scores using (customer_id)"
        " where expected_clv_12_months_amount is not null and not is_in_default"
        " order by expected_clv_12_months_amount desc limit 10"
    ).fetchall()
    shown = table(value, "The 10 customers of most expected value")
    assert len(shown) == 10
    for (name, alive, status, worth), row in zip(best, shown, strict=True):
        assert row[0] == name + (" *" if status == "provisional" else "")
        assert row[1] == formats.percent(alive)
        assert row[3] == amount(worth)
    count, in_default = marts.execute(
        "select count(*), count(*) filter (where is_in_default)"
        " from customer_clv inner join credit_scores using (customer_id)"
        " where expected_clv_12_months_amount is not null"
    ).fetchall()[0]
    assert f"{count} customers are valued" in value.words
    assert in_default > 0
    assert f"{in_default} of them are in default and not in the list" in value.words
    assert "<span" not in value.words
    assert "Provisional: its sale type's models of purchases and margins have not" in value.words


def test_without_any_cost_the_value_is_said_to_be_revenue(changed: Change) -> None:
    page = changed("update customer_clv set margin_basis = 'revenue'")
    assert "by their discounted net revenue: no cost is known" in page.section("value").words
    assert "margin less cost to serve" not in page.section("value").words


def test_the_models_say_how_they_did(page: Page) -> None:
    contract, spot, margin = table(page.section("value"), "The models behind it")
    assert "Purchases" in contract[1]
    assert "provisional, not promoted" in contract[3]
    assert "not tested" in contract[4]
    assert "Refused: <untested>" in contract[6]
    assert "in force" in spot[3]
    assert "5.1" in spot[4]
    assert "2.50 (3.00)" in spot[5]
    assert "Margin per purchase" in margin[1]
    assert "provisional, not promoted" in margin[3]
    assert margin[5] == "3,577.30"


def test_without_a_model_nobody_is_valued(changed: Change) -> None:
    page = changed("update customer_clv set expected_clv_12_months_amount = null")
    assert labels.text("absent.nobody_valued").en in page.section("value").words
