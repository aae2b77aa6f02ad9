"""A company of a few rows, its systems real: a SQLite ERP, GB18030 bank files, an HTTP service.

Tests change its sources as its people would, and run the pipeline on it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from customer_marts.feeds import Company, load_company
from customer_marts.settings import COMPANIES_DIR, Settings

BANK_HEADER = (
    "流水号,交易时间,客户编码,付款方名称,金额,币种,结算方式,业务类型,"
    "参考号,票据号,票据到期日,票据状态,更新时间"
)

OWN_FEEDS = (
    "customers", "products", "orders", "order_lines", "invoices", "payments", "survey_responses",
)  # fmt: skip

TABLES = """
create table crm_customer (cust_code, cust_name, uscc, group_code, industry, size_class, province,
    cust_type, manager, terms_days, credit_limit, contact_name, contact_phone, created_on,
    updated_at, deleted);
create table md_product (sku, sku_name, category, unit, tonnes_per_unit, updated_at, deleted);
create table so_order (order_no, cust_code, order_time, status, currency, channel, contract_no,
    sale_type, updated_at, deleted);
create table so_order_line (order_no, line_no, sku, qty, price, discount, tax, net_amount,
    unit_cost, updated_at, deleted);
create table fi_invoice (invoice_no, order_no, cust_code, invoice_date, due_date, amount, tax,
    currency, kind, disputed, updated_at, deleted);
"""


class MiniCompany:
    """Two customers, one product, and what a test adds. Its mapping is the sample company's,
    without the survey platform unless ``surveys`` is its URL. It builds ``areas`` alone: how a
    release comes about does not hang on how many marts it has.
    """

    def __init__(
        self, root: Path, surveys: str | None = None, areas: Sequence[str] = ("core",)
    ) -> None:
        self._place(root, surveys, areas)
        self.bank.mkdir(parents=True)
        self.save_mapping()
        with sqlite3.connect(self.erp) as connection:
            connection.executescript(TABLES)
        self.add_customer("C1", "华能电厂")
        self.add_customer("C2", "宝山钢厂")
        self.insert(
            "md_product", ["P1", "动力煤", "煤炭", "吨", "1.0000", "2026-01-01 08:00:00", "0"]
        )
        self.write_bank("2026-01-05", [])

    @classmethod
    def reopen(cls, root: Path, areas: Sequence[str] = ("core",)) -> MiniCompany:
        """The company whose systems already lie at ``root``."""
        company = cls.__new__(cls)
        company._place(root, None, areas)
        return company

    def _place(self, root: Path, surveys: str | None, areas: Sequence[str]) -> None:
        self.root = root
        self.erp = root / "erp.sqlite"
        self.bank = root / "bank"
        self.mapping: dict[str, Any] = yaml.load(
            (COMPANIES_DIR / "sample.yml").read_text(), yaml.CSafeLoader
        )
        self._keep_own_systems()
        self.mapping["areas"] = list(areas)
        if surveys is None:
            del self.mapping["feeds"]["survey_responses"], self.mapping["sources"]["surveys"]
        self.environment = {
            "MARTS_HOME": str(root / "var"),
            "MARTS_COMPANY": "mini",
            "MARTS_COMPANIES_DIR": str(root / "companies"),
            "SAMPLE_ERP_URI": f"sqlite:///{self.erp}",
            "SAMPLE_BANK_DIR": str(self.bank),
            "SAMPLE_SURVEY_URL": surveys or "",
            "SAMPLE_SURVEY_TOKEN": "test-token",
        }

    def _keep_own_systems(self) -> None:
        """Of the sample company's mapping, what a company of these tables and files has."""
        feeds, sources = self.mapping["feeds"], self.mapping["sources"]
        self.mapping["feeds"] = {name: feeds[name] for name in OWN_FEEDS}
        self.mapping["sources"] = {name: sources[name] for name in ("erp", "bank", "surveys")}
        del self.mapping["currencies"], sources["bank"]["tables"]["movements"]["ready"]
        for column in (
            "parent_id", "net_worth", "working_capital", "contact_name", "contact_phone",
            "contact_email",
        ):  # fmt: skip
            del feeds["customers"]["columns"][column]
        del feeds["payments"]["columns"]["bill_status_on"]

    def save_mapping(self) -> None:
        folder = self.root / "companies"
        folder.mkdir(exist_ok=True)
        text = yaml.safe_dump(self.mapping, allow_unicode=True)
        (folder / "mini.yml").write_text(text, "utf-8")

    @property
    def settings(self) -> Settings:
        return Settings.load({**os.environ, **self.environment})

    @property
    def company(self) -> Company:
        return load_company(self.settings)

    def insert(self, table: str, *rows: list[Any]) -> None:
        marks = ", ".join("?" * len(rows[0]))
        with sqlite3.connect(self.erp) as connection:
            connection.executemany(f"insert into {table} values ({marks})", rows)

    def execute(self, statement: str) -> None:
        with sqlite3.connect(self.erp) as connection:
            connection.execute(statement)

    def add_customer(self, code: str, name: str, at: str = "2026-01-01 08:00:00") -> None:
        row = [code, name, None, None, "电力", "大型", "山西", "电力", "王芳", "30"]
        self.insert(
            "crm_customer",
            [*row, "1000000.00", "李雷", "19000001111", "2025-01-01", at, "0"],
        )

    def add_order(
        self,
        number: str,
        customer: str = "C1",
        at: str = "2026-01-05 10:00:00",
        quantity: str = "10.000",
        price: str = "500.0000",
        net: str = "5000.00",
        updated: str | None = None,
        status: str = "已完成",
    ) -> None:
        """An order of one line."""
        changed = updated or at
        self.insert(
            "so_order",
            [number, customer, at, status, "CNY", "销售员", None, "现货", changed, "0"],
        )
        self.insert(
            "so_order_line",
            [
                number,
                "1",
                "P1",
                quantity,
                price,
                "0.00",
                "650.00",
                net,
                "400.0000",
                changed,
                "0",
            ],
        )

    def add_invoice(
        self,
        number: str,
        order: str,
        customer: str = "C1",
        on: str = "2026-01-06",
        due: str | None = "2026-02-05",
        amount: str = "5650.00",
    ) -> None:
        row = [number, order, customer, on, due, amount, "650.00", "CNY", "蓝字", "0"]
        self.insert("fi_invoice", [*row, f"{on} 09:00:00", "0"])

    def write_bank(
        self,
        day: str,
        rows: Iterable[str],
        *,
        trailer: str | None = None,
        encoding: str = "gb18030",
    ) -> Path:
        """A bank file of ready lines; its trailer is right unless given."""
        lines = list(rows)
        total = Decimal("0.00")
        for line in lines:
            try:
                total += Decimal(line.split(",")[4])
            except (IndexError, InvalidOperation):
                continue
        closing = f"合计,{len(lines)},{total}" if trailer is None else trailer
        text = "\r\n".join([BANK_HEADER, *lines, *([closing] if closing else []), ""])
        path = self.bank / f"bank_{day}.csv"
        path.write_bytes(text.encode(encoding))
        return path

    @staticmethod
    def payment(
        number: str,
        customer: str = "C1",
        amount: str = "5650.00",
        at: str = "2026-01-20 11:00:00",
        method: str = "转账",
        kind: str = "收款",
    ) -> str:
        return f"{number},{at},{customer},华能电厂,{amount},CNY,{method},{kind},,,,,{at}"
