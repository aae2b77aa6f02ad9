"""The management section: that its figures are the marts', and why they are absent if so."""

from __future__ import annotations

import duckdb
import pytest

from customer_marts.report import formats
from tests.report.rendered_page import Page, table
from tests.report.test_sales_sections import Change, changed, small_marts

__all__ = ["changed", "small_marts"]  # fixtures of the sales sections, used here


@pytest.fixture
def section(page: Page) -> Page:
    return page.section("management")


def test_the_scorecard_is_that_of_the_last_whole_month(section: Page) -> None:
    rows = table(section, "Scorecard")
    assert [row[0] for row in rows] == [
        "NPS 净推荐值",
        "Collections 回款率",
        "Change 变化",
        "CLV:CAC",
    ]
    assert rows[0][1:4] == ["34.3", "–", "30.0"]
    assert rows[1][1:4] == [formats.percent(0.32), formats.percent(0.4), formats.percent(0.6)]
    # told of the running month alone
    assert rows[3][1:4] == ["4.56", "–", "3.00"]


def test_no_verdict_says_why_and_each_measure_what_it_is(section: Page) -> None:
    rows = table(section, "Scorecard")
    assert rows[2][4] == "Without a target 未设目标"
    assert [row[5].split(" is ")[0] for row in rows] == [
        "What nps",
        "What rate",
        "What change",
        "What clv_cac",
    ]


def test_the_pipeline_is_told_by_stage(section: Page) -> None:
    lead, proposal = table(section, "Deals by stage")
    assert lead[:2] == ["Lead 线索", "8"]
    assert lead[3:5] == ["7", "11"]
    assert lead[5] == formats.percent(0.9)
    assert lead[6] == f"{formats.percent(0.8)} – {formats.percent(0.95)}"
    # nothing was seen of it: neither a rate nor days, and the status says so
    assert proposal[1] == "0"
    assert proposal[3:] == ["–", "–", "–", "–", "–", "Not seen 未见"]
    assert "Of 95 deals closed in them, 11 were never seen" in section.words


def test_an_action_names_the_role_that_owns_it(section: Page) -> None:
    rows = table(section, "The first 10 of")
    assert all(row[4].startswith("Credit control 信用管理") for row in rows)


def test_the_best_of_each_kind_is_told_first(
    section: Page, marts: duckdb.DuckDBPyConnection
) -> None:
    first = marts.execute(
        "select coalesce(customer_name, customer_id) from customer_actions"
        " left join dim_customers using (customer_id) where selection = 'selected'"
        " order by action_code = 'collect' and row_number() over ("
        "  partition by action_code order by is_mandatory desc, expected_value_amount desc) > 1,"
        " is_mandatory desc, expected_value_amount desc limit 10"
    ).fetchall()
    (count,) = marts.execute(
        "select count(*) from customer_actions where selection = 'selected'"
    ).fetchone() or (0,)
    rows = table(section, f"The first 10 of {count} actions")
    assert [row[0] for row in rows] == [name for (name,) in first]


def test_the_gravest_risks_are_told(section: Page) -> None:
    rows = table(section, "The 10 gravest risks")
    assert len(rows) == 10
    assert rows[0][3] == formats.percent(0.25)


def test_what_is_overdue_is_told_where_it_is_due(
    section: Page, marts: duckdb.DuckDBPyConnection
) -> None:
    rows = table(section, "The first 10 of")
    assert [row[3][10:].strip() for row in rows] == ["overdue by 3 d 逾期 3 天"] + [""] * 9
    assert "overdue of all: 1." in section.words
    risks = table(section, "The 10 gravest risks")
    assert {row[6][10:].strip() for row in risks} == {"overdue by 40 d 逾期 40 天"}
    [(count,)] = marts.execute("select count(*) from risk_register").fetchall()
    assert f"overdue of the whole register: {count}." in section.words


def test_a_release_before_these_marts_says_so(changed: Change) -> None:
    names = ("crm_scorecard", "customer_actions", "stage_conversion", "risk_register")
    page = changed(*(f"drop table {name}" for name in names))
    for name in names:
        assert f"This release holds no mart {name}." in page.words
