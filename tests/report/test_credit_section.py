"""The credit section: that its numbers are the marts', and why they are absent if so."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from customer_marts.report import formats, labels
from tests.report.marts_fixture import HOSTILE_NAME, Book, release_manifest
from tests.report.rendered_page import Page, exact, render, table
from tests.report.test_sales_sections import Change, amount, changed, small_marts

__all__ = ["changed", "small_marts"]  # fixtures of the sales sections, used here

NOTHING = "\u2013"


@pytest.fixture
def credit(page: Page) -> Page:
    return page.section("credit")


def test_provision_by_bucket_equals_sql(credit: Page, marts: duckdb.DuckDBPyConnection) -> None:
    rows = marts.execute(
        "select any_value(bucket_label_en), any_value(bucket_label_zh), sum(gross_amount),"
        " sum(provision_amount), any_value(rate_basis_label_en), any_value(rate_basis_label_zh)"
        " from provision_matrix group by bucket_code order by min(bucket_order)"
    ).fetchall()
    rows += marts.execute(
        "select 'In default, due or not', '违约客户（含未到期）', gross_amount, provision_amount,"
        " 'Loss given default, at least', '不低于违约损失率'"
        " from expected_credit_loss where customer_id = 'C004'"
        " union all select 'Reviewed on their own', '单项计提客户', gross_amount,"
        " provision_amount, null, null from expected_credit_loss where customer_id = 'C002'"
    ).fetchall()
    assert len(rows) >= 7
    gross = sum(row[2] for row in rows)
    provision = sum(row[3] for row in rows)
    (owed,) = marts.execute("select sum(open_amount) from receivables_balances").fetchall()[0]
    assert gross == owed
    assert table(credit, "Receivables by days overdue") == [
        [
            f"{en} {zh}",
            amount(open_amount),
            formats.percent(open_amount / gross),
            formats.percent(provided / open_amount, 2),
            amount(provided),
            f"{basis_en} {basis_zh}" if basis_en else NOTHING,
        ]
        for en, zh, open_amount, provided, basis_en, basis_zh in rows
    ]
    total, bills = table(credit, "Receivables by days overdue", "tfoot")
    assert total[1::3] == [amount(gross), amount(provision)]
    assert total[3] == formats.percent(provision / gross, 2)
    assert bills[1::3] == [amount("320000.5"), amount(200)]
    assert exact(provision) in credit.titles
    assert f"{formats.percent(provision / gross)} of what is owed" in credit.words


def test_movement_sums_the_months_to_the_closing(
    credit: Page, marts: duckdb.DuckDBPyConnection
) -> None:
    names = ("new", "aged", "default_change", "rate_change", "paid", "written_off")
    columns = ", ".join(f"{name}_amount" for name in names)
    rows = marts.execute(
        f"select opening_amount, closing_amount, {columns} from credit_loss_movement"
        " where month_on > date '2025-11-01' order by month_on"
    ).fetchall()
    assert len(rows) == 12
    sums = [sum(row[place] for row in rows) for place in range(2, 8)]
    opening, closing = rows[0][0], rows[-1][1]
    assert opening + sum(sums) == closing
    # a step that moves nothing in these months (the write-off is older) is not listed
    assert sums[-1] == 0
    expected = [
        [amount(rows[-1][place]), amount(over_all)]
        for place, over_all in zip((2, 3, 4, 5, 6), sums, strict=False)
    ]
    shown = table(credit, "Movement of the provision")
    begins = ["Opening", "New", "Aged", "Into", "Other", "Paid"]
    assert [row[0].split(" ")[0] for row in shown] == begins
    assert [row[1:] for row in shown] == [[amount(rows[-1][0]), amount(opening)], *expected]
    assert table(credit, "Movement of the provision", "tfoot") == [
        ["Closing 期末", amount(closing), amount(closing)]
    ]
    grown = formats.percent(closing / opening - 1)
    assert f"+{grown} in 12 months" in credit.words


def test_metrics_equal_sql_and_a_month_begun_has_no_rate(
    credit: Page, marts: duckdb.DuckDBPyConnection
) -> None:
    rows = marts.execute(
        "select strftime(month_on, '%Y-%m'), dso_days, best_possible_dso_days, collection_rate,"
        " cash_collection_rate, open_amount from book_credit_metrics order by 1 desc limit 24"
    ).fetchall()
    shown = table(credit, "The book by month")
    assert len(shown) == len(rows) == 24
    for cells, (month, dso, best, collected, cash, open_amount) in zip(shown, rows, strict=True):
        rates = [formats.percent(collected), formats.percent(cash)]
        if month == "2026-11":
            rates = [NOTHING, NOTHING]
        assert cells == [
            month,
            formats.decimal(dso, 1),
            formats.decimal(best, 1),
            *rates,
            "25.0 %",
            amount(open_amount),
        ]
    assert f"{rows[0][1]:.1f} days" in credit.words
    # place / 3: twelve months on, four days more
    assert "+4.0 days on a year ago" in credit.words


def test_grades_equal_sql(credit: Page, marts: duckdb.DuckDBPyConnection) -> None:
    rows = marts.execute(
        "select coalesce(grade_label_en || ' ' || grade_label_zh, 'Not graded 未评级'), count(*),"
        " sum(open_amount), any_value(pd_probability)"
        " from credit_scores left join receivables_balances using (customer_id)"
        " group by 1, grade"
        " order by list_position(['AA', 'A', 'B', 'C', 'D'], grade) nulls last"
    ).fetchall()
    assert len(rows) == 6
    assert table(credit, "Customers by grade") == [
        [
            label,
            str(count),
            formats.percent(count / 36),
            amount(owed or 0),
            NOTHING if pd is None else formats.percent(pd),
        ]
        for label, count, owed, pd in rows
    ]


def test_whom_a_reviewer_grades_d_is_not_among_those_in_default(changed: Change) -> None:
    page = changed(
        "update credit_scores set score_basis = 'override' where customer_id ="
        " (select min(customer_id) from credit_scores where grade = 'D')"
    )
    lines = [row[:2] for row in table(page.section("credit"), "Customers by grade")]
    assert lines[4:6] == [["D: label D级", "1"], ["D: graded by a reviewer D：由复核人评定", "1"]]


def test_migration_is_of_the_last_full_month(credit: Page) -> None:
    rows = {row[0]: row[1:] for row in table(credit, "Grades in 2026-10")}
    # C004 fell from A to D, C005 was not graded, C009 rose from D to C, C006 is new
    targets = ["AA", "A", "B", "C", "D", "none"]
    assert list(rows) == ["AA", "A", "B", "C", "D", "Not graded 未评级", "New 新客户"]
    assert rows["A"][targets.index("D")] == "1"
    assert rows["D"][targets.index("C")] == "1"
    assert rows["New 新客户"] == ["1", *[NOTHING] * 5]
    assert sum(int(cell) for row in rows.values() for cell in row if cell != NOTHING) == 36
    # a fall is marked, and a rise; who is new or was not graded did neither
    (matrix,) = re.findall(r'<table class="matrix">.*?</table>', credit.html, re.DOTALL)
    assert re.findall(r'class="n bad">(\d+)', matrix) == ["1"]
    assert re.findall(r'class="n good">(\d+)', matrix) == ["1"]


def test_the_card_in_force_tells_its_verdict(credit: Page, changed: Change) -> None:
    assert "card2" in credit.words
    assert "Promoted: good 启用:检验合格" in credit.words
    assert "AUC 0.760 · KS 0.410" in credit.words
    rests = table(credit, "What the grades rest on")[3:]
    assert [row[0] for row in rests] == [
        "Scorecard 评分卡",
        "In default 已违约",
        "Not graded 未评级",
    ]
    assert [row[1] for row in rests] == [f"{count} Customers 客户数" for count in (24, 6, 6)]
    page = changed("update credit_model_runs set is_in_force = false")
    shown = dict(table(page.section("credit"), "What the grades rest on")[:2])
    assert shown["Scorecard in force 现用评分卡"] == "none 无"
    assert "Refused: too few <defaults> 拒绝:违约过少" in shown.values()
    page = changed("delete from credit_model_runs")
    assert labels.text("absent.no_model_run").en in page.section("credit").words


def test_exposures_equal_sql(credit: Page, marts: duckdb.DuckDBPyConnection) -> None:
    rows = marts.execute(
        "select customer_name, grade, exposure_amount, limits.credit_limit_amount,"
        " exposure_amount / limits.credit_limit_amount,"
        " limits.credit_limit_amount - exposure_amount"
        " from credit_limits as limits inner join dim_customers using (customer_id)"
        " where exposure_amount > 0 order by exposure_amount desc"
    ).fetchall()
    assert None in [row[3] for row in rows[:10]]
    total = sum(row[2] for row in rows)
    shown = table(credit, "Top 10 exposures")
    assert HOSTILE_NAME in [row[0] for row in shown]
    for cells, (name, grade, exposure, limit, used, headroom) in zip(shown, rows[:10], strict=True):
        assert cells[:7] == [
            name,
            grade or NOTHING,
            amount(exposure),
            formats.percent(exposure / total),
            NOTHING if limit is None else amount(limit),
            NOTHING if used is None else formats.percent(used, 0),
            NOTHING if headroom is None else amount(headroom),
        ], name
        assert cells[-1] == "Lower the limit 下调额度"
    assert "customers without a limit: 1" in credit.words
    assert table(credit, "Top 10 exposures", "tfoot")[0][1] == amount(total)


def test_who_is_over_the_limit_is_counted(changed: Change) -> None:
    page = changed(
        "update credit_limits set is_breached = false",
        "update credit_limits set exposure_amount = 900, credit_limit_amount = 650.5,"
        " effective_headroom_amount = -249.5, is_breached = true where customer_id = 'C001'",
    )
    credit = page.section("credit")
    assert "249.50 above the limits" in credit.words
    assert exact(Decimal("-249.5")) in credit.titles
    page = changed("update credit_limits set is_breached = false")
    assert labels.text("tile.nobody_over").zh in page.section("credit").words


def test_bills_equal_the_mart(credit: Page) -> None:
    assert table(credit, "Acceptance bills") == [
        ["past days past天到期", "1", amount("50000.25"), amount(0), amount(0)],
        ["0_7 days 0_7天到期", "4", amount("250000.25"), amount(0), amount(90000)],
        ["8_30 days 8_30天到期", "3", amount(0), amount(20000), amount("7000.75")],
    ]
    assert table(credit, "Acceptance bills", "tfoot")[0][1:] == [
        "8",
        amount("300000.5"),
        amount(20000),
        amount("97000.75"),
    ]


def test_alerts_equal_sql_the_gravest_first(credit: Page, marts: duckdb.DuckDBPyConnection) -> None:
    kinds = marts.execute(
        "select severity_label_en || ' ' || severity_label_zh, label_en || ' ' || label_zh,"
        " count(*), sum(amount_at_risk) from credit_alerts group by all"
        " order by min(alert_rank)"
    ).fetchall()
    assert len(kinds) == 3
    assert table(credit, "Open alerts by kind") == [
        [severity, label, str(count), amount(risk)] for severity, label, count, risk in kinds
    ]
    first = marts.execute(
        "select customer_name, label_en || ' ' || label_zh, amount_at_risk, evidence_en || ' '"
        " || evidence_zh from credit_alerts inner join dim_customers using (customer_id)"
        " order by alert_rank limit 10"
    ).fetchall()
    assert [row[1:] for row in table(credit, "The first 10 alerts")] == [
        [name, label, "2026-10-11", amount(risk), evidence, "Call <today> 今日致电"]
        for name, label, risk, evidence in first
    ]
    assert f"{kinds[0][2]} critical, {kinds[1][2]} warnings" in credit.words


def test_documents_in_doubt_equal_sql(credit: Page, marts: duckdb.DuckDBPyConnection) -> None:
    rows = marts.execute(
        "select label_en || ' ' || label_zh, count(*), sum(amount) from receivables_exceptions"
        " group by all order by 2 desc"
    ).fetchall()
    assert [row[1] for row in rows] == [4, 3]
    assert [row[1:] for row in table(credit, "Documents in doubt")] == [
        [label, str(count), amount(value), "Kept open 保留列示", "Ask the customer 向客户确认"]
        for label, count, value in rows
    ]


def test_without_invoices_every_part_says_why(tmp_path: Path) -> None:
    data_through = {**release_manifest()["data_through"], "invoices": None, "payments": None}
    book = Book(count_customers=5, has_invoices=False, has_payments=False)
    credit = render(tmp_path, book, data_through=data_through).section("credit")
    assert not {"svg", "table"} & set(credit.tags)
    # four tiles and seven parts; bills come with payments
    assert credit.words.count("The company delivers no invoices, or none has arrived yet.") == 11
    assert credit.words.count("The company delivers no payments, or none has arrived yet.") == 1


@pytest.mark.parametrize(
    ("reason", "statement"),
    [
        ("absent.no_bills", "delete from bill_ladder"),
        ("absent.no_alerts", "delete from credit_alerts"),
        ("absent.no_exceptions", "delete from receivables_exceptions"),
        ("absent.no_exposure", "update credit_limits set exposure_amount = 0"),
        ("absent.no_provision", "delete from credit_loss_movement"),
        ("absent.no_dso", "update book_credit_metrics set dso_days = null"),
        ("absent.no_full_month", "update book_credit_metrics set collection_rate = null"),
        ("absent.one_month", "delete from rating_migration where from_grade <> 'new'"),
    ],
)
def test_what_is_empty_says_why(changed: Change, reason: str, statement: str) -> None:
    credit = changed(statement).section("credit")
    assert labels.text(reason).en in credit.words
    assert labels.text(reason).zh in credit.words


def test_a_settled_book_needs_no_provision(changed: Change) -> None:
    page = changed("delete from expected_credit_loss", "update provision_matrix set gross_amount=0")
    assert labels.text("absent.nothing_open").en in page.section("credit").words


def test_without_payments_the_speed_is_not_known(changed: Change) -> None:
    page = changed(
        "update book_credit_metrics set dso_days = null, collection_rate = null,"
        " dso_status = 'no_payments_feed'"
    )
    assert "The payments delivered hold no rows" in page.section("credit").words


def test_a_release_before_these_marts_still_has_a_page(changed: Change) -> None:
    marts = (
        "provision_matrix",
        "credit_loss_movement",
        "book_credit_metrics",
        "credit_scores",
        "credit_limits",
        "bill_ladder",
        "credit_alerts",
        "receivables_exceptions",
    )
    credit = changed(*(f"drop table {mart}" for mart in marts)).section("credit")
    for mart in marts:
        assert f"This release holds no mart {mart}." in credit.words
    assert not {"svg", "table"} & set(credit.tags)
