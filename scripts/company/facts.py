"""What the simulated company sells, to what kinds of customers, and the tables it keeps."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Product:
    """A product; `base_price` in yuan per unit, without tax, in the long-run mean."""

    sku: str
    name: str
    category: str
    unit: str
    tonnes_per_unit: float
    base_price: float


PRODUCTS = (
    Product("M5500", "动力煤5500大卡", "动力煤", "t", 1.0, 780.0),
    Product("M5000", "动力煤5000大卡", "动力煤", "t", 1.0, 685.0),
    Product("M4500", "动力煤4500大卡", "动力煤", "t", 1.0, 570.0),
    Product("JM01", "主焦煤", "炼焦煤", "t", 1.0, 1720.0),
    Product("JM02", "三分之一焦煤", "炼焦煤", "t", 1.0, 1430.0),
    Product("JT01", "一级冶金焦", "焦炭", "t", 1.0, 2120.0),
    Product("JT02", "二级冶金焦", "焦炭", "t", 1.0, 1960.0),
    Product("WY01", "无烟块煤", "无烟煤", "t", 1.0, 1340.0),
    Product("WY02", "无烟末煤", "无烟煤", "t", 1.0, 1010.0),
    Product("CY00", "0号车用柴油", "柴油", "t", 1.0, 7350.0),
    Product("CY10", "-10号车用柴油", "柴油", "t", 1.0, 7680.0),
    Product("QY92", "92号车用汽油", "汽油", "t", 1.0, 8250.0),
    Product("QY95", "95号车用汽油", "汽油", "t", 1.0, 8760.0),
    Product("RL01", "180号船用燃料油", "燃料油", "barrel", 0.151, 610.0),
    Product("NX01", "凝析油", "燃料油", "barrel", 0.121, 540.0),
    Product("RH01", "15W-40柴油机油", "润滑油", "桶", 0.17, 2380.0),
    Product("RH02", "46号抗磨液压油", "润滑油", "桶", 0.17, 1960.0),
    Product("RH03", "220号工业齿轮油", "润滑油", "桶", 0.17, 2210.0),
    Product("ZG01", "127毫米钻杆", "石油管材", "根", 0.296, 3890.0),
    Product("ZG02", "139.7毫米钻杆", "石油管材", "根", 0.338, 4420.0),
    Product("TG01", "177.8毫米套管", "石油管材", "根", 0.418, 3280.0),
    Product("TG02", "244.5毫米套管", "石油管材", "根", 0.638, 4690.0),
    Product("YG01", "73毫米油管", "石油管材", "根", 0.095, 830.0),
)
SKUS = tuple(product.sku for product in PRODUCTS)
CATEGORIES = tuple(dict.fromkeys(product.category for product in PRODUCTS))


@dataclass(frozen=True)
class Archetype:
    """The means of one kind of buyer; each customer's own values scatter around them.

    Shares and rates are fractions of 1; `order_value` is the median order in yuan without tax;
    `contract_gap_days` and `spot_gap_days` are mean days between orders; `risk_mean` is a logit;
    `leave_hazard` the probability of leaving per quarter at satisfaction 0; `elasticity` the
    exponent of (price / half-year mean) in a spot order's quantity; `skus` are ordered so that
    neighbours are bought together; `export_share` is the part that trades in a foreign currency.
    """

    customer_type: str
    industry: str
    name_suffixes: tuple[str, ...]
    share: float
    contract_share: float
    contract_gap_days: float
    spot_gap_days: float
    order_value: float
    order_value_sigma: float
    lines_mean: float
    terms_days: tuple[int, ...]
    prepay_share: float
    risk_mean: float
    margin_rate: float
    elasticity: float
    season: str
    leave_hazard: float
    satisfaction_mean: float
    dispute_rate: float
    bank_bill_share: float
    commercial_bill_share: float
    response_rate: float
    export_share: float
    skus: tuple[str, ...]


ARCHETYPES = (
    Archetype(
        "电力", "火力发电", ("发电有限公司", "热电有限公司", "能源发电有限责任公司"),
        0.11, 0.85, 10.0, 20.0, 520_000, 0.85, 2.3, (30, 45, 45, 60), 0.0, -2.6, 0.045, -0.3,
        "heating", 0.008, 0.25, 0.02, 0.28, 0.03, 0.55, 0.0,
        ("M5500", "M5000", "M4500", "CY00", "RH02"),
    ),
    Archetype(
        "钢铁", "炼铁炼钢", ("钢铁有限公司", "特钢有限公司", "冶金有限责任公司"),
        0.09, 0.75, 10.0, 16.0, 560_000, 0.95, 2.6, (30, 45, 60), 0.0, -1.7, 0.05, -0.5,
        "flat", 0.011, 0.05, 0.03, 0.45, 0.10, 0.5, 0.06,
        ("JT01", "JM01", "JT02", "JM02", "WY01", "RH03"),
    ),
    Archetype(
        "水泥", "水泥制造", ("水泥有限公司", "建材有限公司"),
        0.15, 0.45, 15.0, 24.0, 120_000, 0.95, 2.3, (30, 30, 45), 0.05, -1.3, 0.06, -0.8,
        "building", 0.016, -0.05, 0.03, 0.35, 0.10, 0.42, 0.0,
        ("M5000", "M4500", "WY02", "CY00", "RH01"),
    ),
    Archetype(
        "化工", "煤化工", ("化工有限公司", "煤化工有限责任公司"),
        0.12, 0.55, 14.0, 22.0, 170_000, 1.0, 2.6, (30, 45, 45), 0.03, -1.5, 0.065, -0.6,
        "flat", 0.013, 0.1, 0.025, 0.35, 0.08, 0.45, 0.05,
        ("WY01", "WY02", "M5500", "NX01", "RL01", "RH02"),
    ),
    Archetype(
        "贸易", "能源贸易", ("能源贸易有限公司", "商贸有限公司", "物资有限公司"),
        0.24, 0.15, 20.0, 21.0, 90_000, 1.2, 2.4, (0, 15, 15, 30), 0.35, -0.9, 0.04, -1.6,
        "heating", 0.028, -0.15, 0.03, 0.20, 0.10, 0.34, 0.1,
        ("M5500", "JT02", "CY00", "QY92", "RL01", "JM02"),
    ),
    Archetype(
        "其他", "油田服务", ("石油工程技术有限公司", "钻探工程有限公司"),
        0.13, 0.40, 20.0, 26.0, 85_000, 1.05, 3.3, (45, 60, 60), 0.0, -1.5, 0.14, -0.3,
        "drilling", 0.014, 0.2, 0.025, 0.22, 0.08, 0.45, 0.1,
        ("ZG01", "TG01", "YG01", "RH01", "CY10", "TG02", "ZG02"),
    ),
    Archetype(
        "其他", "道路运输", ("物流有限公司", "运输有限责任公司"),
        0.16, 0.25, 12.0, 16.0, 22_000, 0.9, 2.6, (0, 15, 30), 0.3, -1.0, 0.07, -0.9,
        "freight", 0.022, 0.0, 0.02, 0.08, 0.02, 0.33, 0.0,
        ("CY00", "RH01", "CY10", "QY92", "RH03", "QY95"),
    ),
)  # fmt: skip

SEASONS: dict[str, tuple[float, ...]] = {
    "heating": (1.35, 1.15, 0.95, 0.8, 0.85, 1.0, 1.15, 1.15, 0.9, 0.85, 1.1, 1.35),
    "building": (0.55, 0.5, 1.05, 1.25, 1.25, 1.1, 0.95, 0.95, 1.15, 1.25, 1.1, 0.8),
    "drilling": (0.7, 0.75, 1.05, 1.15, 1.2, 1.15, 1.1, 1.1, 1.1, 1.05, 0.95, 0.7),
    "freight": (0.9, 0.8, 1.05, 1.05, 1.0, 0.95, 0.95, 1.0, 1.1, 1.15, 1.1, 1.05),
    "flat": (1.0,) * 12,
}

PROVINCES = (
    ("山西", "140000", ("太原", "大同", "长治")),
    ("陕西", "610000", ("西安", "榆林", "咸阳")),
    ("内蒙古", "150000", ("呼和浩特", "包头", "鄂尔多斯")),
    ("河北", "130000", ("石家庄", "唐山", "邯郸")),
    ("河南", "410000", ("郑州", "洛阳", "濮阳")),
    ("山东", "370000", ("济南", "东营", "临沂")),
    ("江苏", "320000", ("南京", "徐州", "连云港")),
    ("安徽", "340000", ("合肥", "淮南", "芜湖")),
    ("湖北", "420000", ("武汉", "宜昌", "荆州")),
    ("辽宁", "210000", ("沈阳", "鞍山", "盘锦")),
    ("浙江", "330000", ("杭州", "宁波", "嘉兴")),
    ("四川", "510000", ("成都", "攀枝花", "达州")),
)
BRAND_FIRST = "晟瀚铭嘉恒泽拓骏昊晋鑫沐启翰博卓盈睿朗润"
BRAND_SECOND = "源川岳禾屹霖峦辰烨汇锦畅昱澜峻淼曜桓稷珩"
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林"
GIVEN_NAMES = ("建国", "伟", "敏", "志强", "丽华", "晓东", "海燕", "鹏", "文静", "永刚")
MANAGERS = ("高志远", "林晓梅", "周建军", "吴佳", "徐立新", "孙倩", "胡永强", "朱明")
SIZE_CLASSES = ("微型", "小型", "中型", "大型")
SIZE_CLASS_FLOORS = (0.0, 60_000.0, 400_000.0, 2_500_000.0)
"""Yuan of expected orders a month from which a customer is in the class."""

PENDING, CONFIRMED, SHIPPED, COMPLETED, CANCELLED = range(5)
STATUSES = pa.array(["待确认", "已确认", "已发货", "已完成", "已取消"])
CHANNELS = pa.array(["销售员", "电话", "线上平台"])
SALE_TYPES = pa.array(["现货", "长协"])
TRANSFER, BANK_BILL, COMMERCIAL_BILL, CASH = range(4)
METHODS = pa.array(["转账", "银行承兑汇票", "商业承兑汇票", "现金"])
RECEIPT, REFUND, PREPAYMENT = range(3)
MOVEMENTS = pa.array(["收款", "退款", "预收款"])
HELD, ENDORSED, DISCOUNTED, MATURED, DISHONOURED, NO_BILL = range(6)
BILL_STATUSES = pa.array(["持有", "已背书", "已贴现", "已到期", "拒付", ""])

CALL, VISIT, MAIL, EVENT = range(4)
ACTIVITY_TYPES = pa.array(["phone", "onsite_visit", "email", "event"])


@dataclass(frozen=True)
class Campaign:
    """A campaign, put to a random `share` of the customers during `window_days`.

    `cost` in fen for each of them. In the `effect_days` after the contact spot orders are larger
    by the rate `uplift`: 0 for a campaign without effect.
    """

    code: str
    kind: int
    days_before_end: int
    window_days: int
    share: float
    cost: int
    uplift: float
    effect_days: int


CAMPAIGNS = (
    Campaign("CP-DISCOUNT-DAYS", EVENT, 300, 15, 0.4, 80_000, 0.2, 90),
    Campaign("CP-NEWSLETTER", MAIL, 120, 10, 0.5, 300, 0.0, 0),
)

LATE, QUALITY, QUANTITY, BILLING, SERVICE = range(5)
COMPLAINT_CATEGORIES = pa.array(["delivery", "quality", "quantity", "billing", "service"])
RESOLUTIONS = pa.array(
    ["redelivery arranged", "goods replaced", "weight settled", "invoice corrected", "apology"]
)
"""By category; where money was paid the resolution says so instead."""
COMPENSATED = "compensation paid"
PRIORITIES = pa.array(["P4", "P3", "P2", "P1"])
LEAD, QUALIFIED, PROPOSAL, NEGOTIATION, WON, LOST = range(6)
STAGES = pa.array(["Lead", "Qualified", "Proposal", "Negotiation", "Closed Won", "Closed Lost"])
STAGE_PERCENTS = (10, 25, 50, 75, 100, 0)
LOST_REASONS = pa.array(["price", "delivery", "competitor", "payment terms", "no demand"])
ACQUISITION, SERVING, FREIGHT = range(3)
COST_KINDS = pa.array(["获客费用", "服务费用", "物流费用"])

PRICE_CODES = (
    "THERMAL-5500", "COKING-MAIN", "COKE-1", "ANTHRACITE-LUMP", "DIESEL-0", "GASOLINE-92",
    "FUEL-180", "LUBRICANT-15W40", "DRILL-PIPE-127",
)  # fmt: skip
"""The market's index of each category, in the order of `CATEGORIES`: its first product's price."""

BANK_HEADER = (
    "流水号,交易时间,客户编码,付款方名称,金额,币种,结算方式,业务类型,参考号,票据号,票据到期日,"
    "票据状态,状态日期,更新时间"
)
COUNT_BANK_COLUMNS = BANK_HEADER.count(",") + 1


@dataclass(frozen=True)
class Table:
    """A table: column names with their declared types, key columns, indexed columns."""

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    indexes: tuple[str, ...] = ("updated_at",)

    @property
    def create_sql(self) -> str:
        """The CREATE TABLE statement; no primary key, because some keys come twice."""
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        return f"create table {self.name} ({columns})"


def _columns(text: str) -> dict[str, str]:
    """`"a, b INTEGER"` as {"a": "TEXT", "b": "INTEGER"}: money is text, never float."""
    pairs = (part.split() for part in text.split(","))
    return {pair[0]: pair[1] if len(pair) > 1 else "TEXT" for pair in pairs}


def _tables(*tables: Table) -> dict[str, Table]:
    return {table.name: table for table in tables}


ERP_TABLES = _tables(
    Table(
        "crm_customer",
        _columns(
            "cust_code, cust_name, uscc, group_code, parent_code, industry, size_class, province,"
            "cust_type, manager, terms_days INTEGER, credit_limit, net_worth, working_capital,"
            "contact_name, contact_phone, contact_email, created_on, updated_at, deleted INTEGER"
        ),
        ("cust_code",),
    ),
    Table(
        "md_product",
        _columns("sku, sku_name, category, unit, tonnes_per_unit, updated_at, deleted INTEGER"),
        ("sku",),
    ),
    Table(
        "so_order",
        _columns(
            "order_no, cust_code, order_time, status, currency, channel, contract_no,"
            "sale_type, updated_at, deleted INTEGER"
        ),
        ("order_no",),
        ("order_no", "updated_at"),
    ),
    Table(
        "so_order_line",
        _columns(
            "order_no, line_no INTEGER, sku, qty, price, discount, tax, net_amount, unit_cost,"
            "updated_at, deleted INTEGER"
        ),
        ("order_no", "line_no"),
        ("order_no", "updated_at"),
    ),
    Table(
        "so_delivery",
        _columns(
            "delivery_no, order_no, signed_at, promised_on, tonnes, net_amount, updated_at,"
            "deleted INTEGER"
        ),
        ("delivery_no",),
        ("delivery_no", "updated_at"),
    ),
    Table(
        "fi_invoice",
        _columns(
            "invoice_no, order_no, cust_code, invoice_date, due_date, amount, tax, currency,"
            "kind, disputed INTEGER, updated_at, deleted INTEGER"
        ),
        ("invoice_no",),
        ("invoice_no", "updated_at"),
    ),
    Table(
        "fi_cost",
        _columns(
            "cost_no, cust_code, incurred_on, kind, amount, currency, updated_at, deleted INTEGER"
        ),
        ("cost_no",),
        ("cost_no", "updated_at"),
    ),
)
"""Local time; money as text in the document's currency, a customer's balance sheet in 万元."""

CRM_TABLES = _tables(
    Table(
        "tickets",
        _columns(
            "ticket_id, account_code, order_no, opened_at, category, priority, first_response_at,"
            "resolved_at, reopened, resolution, compensation_fen INTEGER, satisfied, updated_at"
        ),
        ("ticket_id",),
        ("ticket_id", "updated_at"),
    ),
    Table(
        "activities",
        _columns(
            "activity_id, account_code, happened_at, type, cost_fen INTEGER, campaign, owner,"
            "updated_at"
        ),
        ("activity_id",),
        ("activity_id", "updated_at"),
    ),
    Table(
        "deals",
        _columns(
            "deal_id, account_code, stage, amount_wan, currency, probability_percent INTEGER,"
            "created_on, expected_on, closed_on, won, owner, lost_reason, updated_at, is_deleted"
        ),
        ("deal_id", "updated_at"),
        ("deal_id", "updated_at"),
    ),
)
"""Times in UTC; money as whole fen, a deal's as text in 万; flags as Y and N.

Of a deal every change is a row of its own."""
