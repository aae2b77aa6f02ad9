"""The report of a release: what it shows, that its figures are the marts', and what it withholds.

The marts are a built DuckDB file, not a stand-in for our code; only its facts are drawn.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from customer_marts.report import formats, labels, write_report
from customer_marts.report.figures import Windows
from tests.report.marts_fixture import AS_OF, HOSTILE_NAME, Book, build_marts, release_manifest
from tests.report.rendered_page import Page, exact, render

SECTIONS = (
    "overview",
    "management",
    "movement",
    "segments",
    "strategic",
    "value",
    "retention",
    "receivables",
    "credit",
    "health",
    "rows",
    "notes",
)
WINDOWS = Windows.ending(AS_OF)


def test_page_has_every_section_and_chart(page: Page) -> None:
    assert [name for name in page.ids if name in SECTIONS] == list(SECTIONS)
    # seven charts by month in two widths, top customers, segments, both ageings, the provision
    assert page.tags.count("svg") == 19
    assert len(page.svg_titles) == 19
    assert page.tags.count("table") == page.tags.count("caption") >= 12


def test_the_page_is_well_formed(page: Page) -> None:
    for tag in ("section", "table", "tr", "td", "div", "figure", "svg", "g", "details"):
        assert page.html.count(f"</{tag}>") == page.tags.count(tag), tag


def test_page_refers_to_nothing_outside_itself(page: Page) -> None:
    assert "http" not in page.html.lower()
    assert "//" not in re.sub(r"/\*.*?\*/", "", page.html)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    # a clip path numbered by the drawing library would also make two renderings differ
    assert "url(" not in page.html
    assert "@import" not in page.html
    anchors = re.findall(r'href="([^"]*)"', page.html)
    assert sorted(anchors) == sorted(f"#{name}" for name in SECTIONS)


def test_axis_labels_are_plain_numbers(page: Page) -> None:
    charts = "".join(re.findall(r"<svg.*?</svg>", page.html))
    numbers = re.findall(r">(-?[\d.,e+\u2212]+)</text>", charts)
    assert len(numbers) >= 20
    assert all(re.fullmatch(r"\u2212?[\d,]+(\.\d+)?", number) for number in numbers)


def test_ids_are_unique(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))


def test_hostile_customer_name_is_text_in_table_and_chart(page: Page) -> None:
    assert "<script" not in page.html
    assert page.html.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; Söhne") >= 1
    assert HOSTILE_NAME in page.words
    # the chart cuts long names
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/scri" in "".join(
        re.findall(r"<text.*?</text>", page.html)
    )


def test_both_languages_are_present(page: Page) -> None:
    assert page.languages == {"en", "zh-Hans"}
    for key in ("tile.revenue", "col.margin_rate", "section.segments", "health.gates", "tile.nps"):
        wording = labels.text(key)
        assert wording.en in page.words, key
        assert wording.zh in page.words, key
    assert "Northern Bulk Supply" in page.words
    assert "北方大宗物资有限公司" in page.words


def test_every_label_is_in_both_languages_and_used() -> None:
    package = Path(labels.__file__).parent
    sources = "".join(
        (package / name).read_text(encoding="utf-8")
        for name in sorted(entry.name for entry in package.iterdir())
        if name.endswith((".py", ".j2")) and name != "labels.py"
    )
    families = (
        "feed.",
        "note.",
        "movement.down",
        "movement.up",
        "todo.",
        "severity.",
        "result.",
        "health.gate_",
        "chart.ageing_",
        "bridge.",
        "sale_type.",
        "subject.",
    )
    for key, (en, zh) in labels._LABELS.items():
        assert re.search(r"[A-Za-z{]", en), key
        assert re.search(r"[\u4e00-\u9fff]|^\{unit\}$", zh), key
        assert sorted(re.findall(r"{\w+}", en)) == sorted(re.findall(r"{\w+}", zh)) or key in (
            "chart.million",
            "chart.thousand",
            "chart.units",
        ), key
        used = re.search(rf"""["']{re.escape(key)}["']""", sources)
        assert used or key.startswith(families), f"{key} is not used"


@pytest.mark.parametrize(
    "sql",
    [
        (
            "select sum(revenue_amount) from fct_orders where not is_cancelled and currency = 'CNY'"
            " and ordered_on > $start and ordered_on <= $as_of"
        ),
        (
            "select sum(margin_amount) from fct_orders where not is_cancelled and currency = 'CNY'"
            " and ordered_on > $start and ordered_on <= $as_of"
        ),
        (
            "select sum(payment_amount) from fct_payments where currency = 'CNY'"
            " and settled_on > $start and settled_on <= $as_of"
        ),
        "select sum(open_amount) from fct_invoices where currency = 'CNY' and $start < $as_of",
        (
            "select sum(open_amount) from fct_invoices where currency = 'CNY' and due_on < $as_of"
            " and $start < $as_of"
        ),
    ],
    ids=["revenue", "margin", "cash in", "open", "overdue"],
)
def test_key_figures_equal_sql_to_the_cent(
    page: Page, marts: duckdb.DuckDBPyConnection, sql: str
) -> None:
    (value,) = marts.execute(sql, {"start": WINDOWS.start, "as_of": AS_OF}).fetchall()[0]
    assert value > 0
    tiles = re.findall(r'class="value" title="([^"]+)"', page.html)
    assert exact(value) in tiles


def test_counts_and_shares_equal_sql(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    active, now, before = marts.execute(
        """
        select
            count(distinct customer_id) filter (where ordered_on > $start),
            sum(revenue_amount) filter (where ordered_on > $start and currency = 'CNY'),
            sum(revenue_amount) filter (
                where ordered_on > $before and ordered_on <= $start and currency = 'CNY'
            ),
        from fct_orders where not is_cancelled
        """,
        {"start": WINDOWS.start, "before": WINDOWS.before},
    ).fetchall()[0]
    grown = round(100 * (now / before - 1), 1)
    assert f'class="value">{active}</p>' in page.html
    assert f"{grown:+.1f} % on the 12 months before".replace("-", "\u2212") in page.words


def test_months_table_equals_sql(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    months = marts.execute(
        """
        select strftime(month_on, '%Y-%m'), sum(revenue_amount), sum(invoiced_amount),
            sum(cash_in_amount)
        from fct_customer_months where currency = 'CNY'
        group by all order by 1 desc limit 36
        """
    ).fetchall()
    assert len(months) == 36
    for month, *amounts in months:
        rows = re.findall(rf'<tr><th scope="row">{month}</th>.*?</tr>', page.html)
        shown = [title for row in rows for title in Page(row).titles]
        for value in amounts:
            assert exact(value) in shown, month


def test_top_customers_and_cumulative_share(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    top = marts.execute(
        """
        select customer_name, sum(revenue_amount) as revenue_amount
        from fct_orders inner join dim_customers using (customer_id)
        where not is_cancelled and currency = 'CNY' and ordered_on > $start
        group by all order by 2 desc
        """,
        {"start": WINDOWS.start},
    ).fetchall()
    total = sum(value for _, value in top)
    overview = page.section("overview")
    places = [overview.html.index(exact(value)) for _, value in top[:10]]
    assert places == sorted(places)
    assert exact(top[10][1]) not in overview.html
    cumulative = sum(value for _, value in top[:10]) / total
    assert formats.percent(cumulative) in overview.words


def test_segments_add_up_to_all_customers(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    segments = page.section("segments")
    for label, count, value in marts.execute(
        "select rfm_segment_label_zh, count(*), sum(revenue_amount) from customer_segments"
        " where rfm_segment is not null group by all"
    ).fetchall():
        row = re.search(
            rf"<tr>\s*<th[^>]*>[^/]*</span> <span[^>]*>{label}.*?</tr>", segments.html, re.DOTALL
        )
        assert row is not None, label
        assert f'<td class="n">{count}</td>' in row[0]
        assert exact(value) in row[0]
    assert segments.html.count('<td class="n">36</td>') == 3  # the total of each of three tables


def test_ageing_buckets_equal_sql(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    receivables = page.section("receivables")
    buckets = marts.execute(
        "select sum(open_amount) from receivables_ageing where currency = 'CNY'"
        " group by ageing_basis, bucket_code"
    ).fetchall()
    assert len(buckets) >= 8
    for (value,) in buckets:
        assert exact(value) in receivables.titles


def test_nps_and_its_interval_are_those_of_the_mart(
    page: Page, marts: duckdb.DuckDBPyConnection
) -> None:
    ((value, low, high, count, customers),) = marts.execute(
        """
        select
            value_12_months, low_12_months, high_12_months, n_12_months,
            (select count(*) from customer_satisfaction where dimension = 'customer')
        from customer_satisfaction
        where dimension = 'book'
        """
    ).fetchall()
    assert f'title="{value:.2f}"' in page.html
    interval = f"interval {low:.0f} to {high:.0f}".replace("-", "\u2212")
    assert f"n = {count} from {customers} customers; 95 % {interval}" in page.words


def test_too_few_answers_have_no_interval(tmp_path: Path) -> None:
    marts = tmp_path / "marts.duckdb"
    build_marts(marts, Book(count_customers=3))
    with duckdb.connect(str(marts)) as connection:
        connection.execute(
            "update main.customer_satisfaction set low_12_months = null, high_12_months = null"
        )
    write_report(marts, release_manifest(), tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "too few for an interval" in page.words
    assert "95 % interval" not in page.section("overview").words


def test_run_health_shows_warnings_and_quarantine(page: Page) -> None:
    health = page.section("health")
    assert "Gates passed with warnings" in page.words
    assert "method 'wire' is not in the contract's list" in health.words
    assert "7 rows in quarantine" in page.words
    assert "CNY 88,113.45" in health.titles
    assert "amount is zero or negative" in health.words
    assert labels.text("todo.unknown").zh in health.words
    assert health.words.count("balances") == 5


def test_rows_show_the_difference_to_the_last_release(page: Page) -> None:
    rows = page.section("rows").words
    assert re.search(r"fct_orders\s*1,301\s*1,295\s*\+6\s", rows)
    assert re.search(r"fct_payments\s*1,124\s*1,127\s*\u22123\s", rows)


def test_unbalanced_ledger_and_failed_gate_are_named(tmp_path: Path) -> None:
    marts = tmp_path / "marts.duckdb"
    build_marts(marts, Book(count_customers=3))
    with duckdb.connect(str(marts)) as connection:
        connection.execute(
            "update main.conservation_ledger"
            " set count_rows_pulled = count_rows_pulled + 2 where feed = 'orders'"
        )
    manifest = release_manifest()
    manifest["gates"][0]["failed"] = [{"severity": "critical", "rule": "key_unique"}]
    write_report(marts, manifest, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Ledger does not balance" in page.words
    assert "+2 ·" in page.words
    assert "A gate failed" in page.words


def test_without_surveys_the_tile_says_why(tmp_path: Path) -> None:
    page = render(tmp_path, Book(count_customers=4, has_surveys=False))
    assert labels.text("absent.no_surveys").en in page.words
    assert "n = 0" not in page.words


def test_without_invoices_receivables_say_why(tmp_path: Path) -> None:
    data_through = {**release_manifest()["data_through"], "invoices": None}
    book = Book(count_customers=4, has_invoices=False)
    page = render(tmp_path, book, data_through=data_through)
    reason = "The company delivers no invoices, or none has arrived yet."
    assert page.section("receivables").words.count(reason) == 2
    assert "svg" not in page.section("receivables").tags
    assert reason in page.section("overview").words
    # the months of revenue are still drawn, those of cash against invoiced are not
    assert labels.text("chart.revenue").en in "".join(page.svg_titles)
    assert labels.text("chart.cash").en not in "".join(page.svg_titles)


def test_without_payments_cash_says_why(tmp_path: Path) -> None:
    page = render(tmp_path, Book(count_customers=4, has_payments=False))
    overview = page.section("overview")
    assert labels.text("chart.cash").en not in "".join(page.svg_titles)
    assert "payments delivered hold no rows" in overview.words


def test_without_costs_no_margin_is_shown_anywhere(tmp_path: Path) -> None:
    page = render(tmp_path, Book(count_customers=4, has_costs=False))
    assert labels.text("absent.no_costs").en in page.words
    assert labels.text("chart.no_margin").en in page.words
    assert any(title.startswith("Revenue by month") for title in page.svg_titles)
    assert 'fill="#173a6b"' not in "".join(re.findall(r"<svg.*?</svg>", page.html))


def test_one_customer(tmp_path: Path) -> None:
    page = render(tmp_path, Book(count_customers=1, has_second_currency=False))
    assert "Top 1 customers by revenue" in page.words
    assert '<p class="value">1</p>' in page.html
    assert "100.0 %" in page.section("segments").words


def test_zero_orders_gives_reasons_not_zeros(tmp_path: Path) -> None:
    page = render(tmp_path, Book(count_customers=5, has_orders=False))
    assert "svg" not in page.tags
    assert "orders delivered hold no rows" in page.section("overview").words
    assert "CNY 0" not in page.words
    assert labels.text("tile.customers").en in page.words


def test_no_comparison_with_less_than_two_years(tmp_path: Path) -> None:
    marts = tmp_path / "marts.duckdb"
    build_marts(marts, Book(count_customers=4))
    with duckdb.connect(str(marts)) as connection:
        connection.execute(
            "delete from main.fct_orders where ordered_on <= $start",
            {"start": WINDOWS.start.replace(month=5)},
        )
    write_report(marts, release_manifest(), tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    tile = re.search(r"Revenue, last 12 months.*?</div>", page.html, re.DOTALL)
    assert tile is not None
    assert labels.text("tile.no_before").en in tile[0]


def test_a_book_covers_the_12_months_before_from_its_first_week_on() -> None:
    windows = Windows.ending(date(2026, 6, 30))
    assert windows.before == date(2024, 6, 30)
    assert windows.are_covered_since(date(2024, 7, 1))
    assert windows.are_covered_since(date(2024, 7, 7))
    assert not windows.are_covered_since(date(2024, 7, 8))
    assert not windows.are_covered_since(None)


def test_orders_in_other_currencies_are_named(page: Page, marts: duckdb.DuckDBPyConnection) -> None:
    (value,) = marts.execute(
        "select sum(revenue_amount) from fct_orders"
        " where document_currency = 'USD' and not is_cancelled"
        " and ordered_on > $start",
        {"start": WINDOWS.start},
    ).fetchall()[0]
    assert exact(value) in page.section("overview").titles


def test_empty_manifest_still_gives_a_page(tmp_path: Path) -> None:
    marts = tmp_path / "marts.duckdb"
    build_marts(marts, Book(count_customers=3))
    write_report(marts, {}, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Gate results not recorded" in page.words
    assert labels.text("health.not_recorded").zh in page.words
    assert str(AS_OF) in page.words


def test_database_without_marts_is_refused_without_a_date(tmp_path: Path) -> None:
    marts = tmp_path / "marts.duckdb"
    duckdb.connect(str(marts)).close()
    with pytest.raises(ValueError, match="no as-of date"):
        write_report(marts, {}, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
    # with a date, every figure says which mart is missing
    write_report(marts, {"as_of": "2026-11-20"}, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "This release holds no mart customer_segments." in page.words


def test_marts_file_is_not_changed(folder: Path, page: Page) -> None:
    marts = folder / "marts.duckdb"
    before = marts.read_bytes()
    write_report(marts, release_manifest(), folder / "again.html")
    again = (folder / "again.html").read_text(encoding="utf-8")
    (folder / "again.html").unlink()
    assert marts.read_bytes() == before
    assert again == page.html


def test_importing_the_report_loads_nothing_heavy() -> None:
    script = (
        "import sys, customer_marts.report;"
        "print(sorted({'duckdb', 'jinja2', 'vl_convert', 'pandas'} & set(sys.modules)))"
    )
    folder = Path(labels.__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("value", "en", "zh", "shown_exactly"),
    [
        ("12345678.90", "12.35 M", "1,234.6 万元", "CNY 12,345,678.90"),
        ("999960", "1.00 M", "100.0 万元", "CNY 999,960.00"),
        ("995000", "995.0 K", "99.5 万元", "CNY 995,000.00"),
        ("99999.96", "100.0 K", "10.0 万元", "CNY 99,999.96"),
        ("123456789012.34", "123.46 B", "1,234.57 亿元", "CNY 123,456,789,012.34"),
        ("-45600", "\u221245.6 K", "\u22124.6 万元", "CNY \u221245,600.00"),
        ("845.2", "845.20", "845.20 元", "CNY 845.20"),
        ("0", "0", "0 元", "CNY 0.00"),
    ],
)
def test_amounts_are_scaled_in_both_languages(
    value: str, en: str, zh: str, shown_exactly: str
) -> None:
    shown = formats.amount(Decimal(value), "CNY")
    assert (shown.en, shown.zh, shown.exact) == (en, zh, shown_exactly)
    assert shown.is_negative == (Decimal(value) < 0)


def test_amounts_of_other_currencies_keep_their_code() -> None:
    assert formats.amount(Decimal(12500), "BRL").zh == "1.3 万 BRL"


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [("Delta Cement", 20, "Delta Cement"), ("江海水泥集团", 9, "江海水泥…"), ("abcdef", 4, "abc…")],
)
def test_names_are_cut_by_display_width(text: str, columns: int, expected: str) -> None:
    assert formats.shortened(text, columns) == expected


def test_windows_on_a_leap_day() -> None:
    windows = Windows.ending(AS_OF.replace(year=2028, month=2, day=29))
    assert (windows.start.isoformat(), windows.before.isoformat()) == ("2027-02-28", "2026-02-28")
