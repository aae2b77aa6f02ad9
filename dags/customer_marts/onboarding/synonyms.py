"""What other systems call our feeds, columns and codes, in English and Chinese.

The tables are guesses that a person confirms: nothing lands by them.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from customer_marts.feeds import Contract
from customer_marts.units import UNITS

TABLES = {
    "customers": "customer customers client clients crm_customer cust "
    "客户 客户档案 客户信息 往来单位",
    "products": "product products material materials item sku 产品 商品 物料 存货 商品档案",
    "fx_rates": "fx fx_rate fx_rates exchange_rate exchange_rates currency_rate 汇率 外汇牌价",
    "market_prices": "market_price market_prices price_index 市场价格 价格指数 行情",
    "orders": "order orders so_order sales_order sales_orders so 订单 销售订单",
    "order_lines": "order_line order_lines so_order_line sales_order_line order_item order_items "
    "order_detail order_details 订单明细 订单行 销售订单明细",
    "deliveries": "delivery deliveries shipment shipments 发货 发货单 出库 出库单 运单",
    "invoices": "invoice invoices fi_invoice ar_invoice receivable receivables 发票 销售发票 应收",
    "payments": "payment payments receipt receipts bank bank_movement movements cash_receipt "
    "收款 收款单 回款 银行流水 流水",
    "survey_responses": "survey survey_response survey_responses responses review reviews "
    "调查 问卷 答卷 满意度",
    "complaints": "complaint complaints claim claims ticket tickets 投诉 客诉 投诉单",
    "interactions": "interaction interactions visit visits activity activities 拜访 拜访记录 活动",
    "opportunities": "opportunity opportunities deal deals lead leads 商机 销售机会",
    "customer_costs": "customer_cost customer_costs cost_to_serve expense expenses 费用 客户费用",
}

_CUSTOMER = (
    "customer customer_code customer_no customer_number customer_key cust_code cust_id cust_no "
    "client_id client_code account_id account_no buyer_id bp_code partner_id kunnr "
    "客户编码 客户编号 客户代码 客户号 客户 往来单位编码 购货单位编码"
)
_ORDER = "order order_no order_number so_no sales_order sales_order_no 订单号 订单编号 销售订单号"
_MANAGER = "manager sales_rep salesperson sales_person owner 客户经理 业务员 销售员 负责人"
_CURRENCY = "ccy curr currency_code 币种 币别 货币"
_AMOUNT = "amt total total_amount value sum 金额 总金额 合计金额"
_QUANTITY = "qty quantity_tonnes weight tonnes 数量 吨数 重量"
_TAX = "tax_amount vat vat_amount 税额"

# of every feed
_ANYWHERE = {
    "customer_id": _CUSTOMER,
    "order_id": _ORDER,
    "account_manager": _MANAGER,
    "currency": _CURRENCY,
    "amount": _AMOUNT,
    "tax": _TAX,
    "updated_at": "update_time updated_on updated modified modified_at modified_on last_modified "
    "last_update last_update_time changed_at changed_on 更新时间 修改时间 最后修改时间 变更时间",
    "is_deleted": "deleted del_flag is_del void voided 删除标志 是否删除 作废标志 是否作废",
}

COLUMNS: dict[str, dict[str, str]] = {
    "customers": {
        "customer_id": "id code",
        "name": "customer_name cust_name company_name client_name account_name "
        "客户名称 客户全称 单位名称 名称",
        "legal_id": "uscc credit_code tax_id vat_no duns "
        "统一社会信用代码 信用代码 纳税人识别号 税号",
        "group_id": "group group_code 集团编码 所属集团 集团",
        "parent_id": "parent parent_code parent_no parent_customer parent_customer_id "
        "parent_company parent_account owned_by 上级客户编码 上级客户 上级单位 上级公司 "
        "母公司编码 母公司 总公司编码",
        "industry": "sector 行业 所属行业 行业类别",
        "size_class": "size company_size scale 规模 企业规模",
        "region": "province state area country country_code 地区 区域 省份 省 所在地区",
        "customer_type": "cust_type type segment 客户类型 客户类别 客户分类",
        "payment_terms_days": "payment_terms terms_days credit_days net_days 账期 账期天数 信用期",
        "credit_limit": "credit_line 授信额度 信用额度",
        "net_worth": "equity 净资产",
        "working_capital": "营运资金 营运资本",
        "contact_name": "contact contact_person 联系人 联系人姓名",
        "contact_phone": "phone mobile tel telephone 联系电话 电话 手机 手机号",
        "contact_email": "email e_mail mail 邮箱 电子邮箱",
        "onboarded_on": "created_on created_at create_date customer_since "
        "建档日期 开户日期 创建日期",
    },
    "products": {
        "product_id": "id code sku product product_code item_code item_no material material_no "
        "matnr 产品编码 商品编码 物料编码 存货编码 物料号 品号",
        "name": "product_name sku_name item_name 产品名称 商品名称 物料名称 存货名称 品名",
        "category": "product_category class 产品类别 商品类别 物料分类 品类 类别",
        "unit": "uom 单位 计量单位",
        "tonnes_per_unit": "折吨系数 单位重量",
    },
    "orders": {
        "order_id": "id",
        "ordered_at": "order_time order_date ordered_on order_datetime "
        "order_purchase_timestamp purchased_at purchase_date 下单时间 下单日期 订单时间 "
        "订单日期 制单日期",
        "status": "order_status state 订单状态 单据状态 状态",
        "channel": "sales_channel 渠道 销售渠道",
        "contract_id": "contract_no contract 合同号 合同编号",
        "sale_type": "销售类型 销售方式",
        "amount": "order_amount net_amount 订单金额 不含税金额",
    },
    "order_lines": {
        "line_no": "line line_number order_item_id item_no pos position 行号 序号 明细行号",
        "product_id": "sku product product_code item_code material "
        "产品编码 商品编码 物料编码 存货编码",
        "quantity": _QUANTITY,
        "unit_price": "price 单价 销售单价 不含税单价",
        "discount": "discount_amount 折扣 折扣金额 优惠金额",
        "amount": "net_amount line_amount line_total 不含税金额 净额",
        "unit_cost": "cost 成本单价 单位成本",
    },
    "deliveries": {
        "delivery_id": "id delivery_no shipment_id shipment_no 发货单号 出库单号 送货单号 运单号",
        "delivered_at": "delivery_time delivery_date shipped_at shipped_on "
        "发货时间 发货日期 出库时间 出库日期 签收时间",
        "promised_on": "promised_date due_date estimated_delivery_date "
        "承诺日期 要求到货日期 预计到货日期",
        "quantity": _QUANTITY,
        "amount": "net_amount 不含税金额",
    },
    "invoices": {
        "invoice_id": "id invoice invoice_no invoice_number 发票号 发票号码 发票编号 开票号",
        "invoiced_on": "invoice_date issued_on issue_date 开票日期 发票日期",
        "due_on": "due_date due payment_due 到期日 应收日期 付款到期日",
        "amount": "invoice_amount gross_amount 发票金额 开票金额 价税合计 含税金额",
        "kind": "invoice_type type 发票类型 类型 红蓝字",
        "disputed": "is_disputed dispute 争议 是否争议",
    },
    "payments": {
        "payment_id": "id payment_no receipt_no transaction_id transaction_no 流水号 交易流水号 "
        "收款单号 回款单号",
        "received_at": "received_on receipt_date payment_date paid_at paid_on transaction_time "
        "settled_date 交易时间 交易日期 收款时间 收款日期 到账日期 入账日期",
        "amount": "payment_amount payment_value paid_amount receipt_amount "
        "收款金额 交易金额 到账金额 回款金额",
        "method": "payment_method payment_type pay_type 结算方式 付款方式 支付方式 收款方式",
        "kind": "payment_kind type 业务类型 收付类型 类型",
        "reference": "ref remittance memo invoice_no 参考号 摘要 附言 发票号",
        "bill_no": "bill_number draft_no 票据号 票据号码 汇票号",
        "bill_matures_on": "maturity maturity_date 票据到期日",
        "bill_status": "票据状态",
        "bill_status_on": "bill_status_date endorsed_on discounted_on bill_paid_on dishonoured_on "
        "票据状态日期 状态日期 背书日期 贴现日期 兑付日期 拒付日期",
    },
    "survey_responses": {
        "response_id": "id review_id answer_id 答卷编号 问卷编号",
        "question_code": "question question_id 题目 问题 问题编码",
        "survey_id": "survey 问卷 调查批次",
        "answered_at": "submitted_at submitted_on answered_on response_time "
        "review_answer_timestamp 提交时间 答卷时间",
        "score": "rating review_score 评分 得分 分数",
        "scale_min": "min 最低分",
        "scale_max": "max 最高分",
        "importance": "重要性",
        "urgency": "紧迫性",
        "need_type": "需求类型",
        "text": "comment comments feedback review_comment_message 评语 意见 建议",
    },
    "complaints": {
        "complaint_id": "id complaint_no ticket_id ticket_no 投诉编号 投诉单号",
        "opened_at": "opened_on created_at complaint_date 投诉时间 投诉日期 受理时间",
        "category": "complaint_type type 投诉类别 投诉类型",
        "severity": "priority 严重程度 级别",
        "responded_at": "response_time 响应时间 首次响应时间",
        "resolved_at": "closed_at resolved_on 解决时间 办结时间 关闭时间",
        "reopened": "是否重开",
        "resolution": "处理结果 解决方案",
        "compensation": "赔偿金额 补偿金额",
        "satisfied": "is_satisfied 是否满意",
    },
    "interactions": {
        "interaction_id": "id visit_id activity_id 拜访编号 活动编号",
        "occurred_at": "at visited_at visit_date activity_date 拜访时间 拜访日期 活动时间 活动日期",
        "kind": "type activity_type channel 方式 拜访方式 活动类型",
        "cost": "expense 费用",
        "campaign_id": "campaign 营销活动 活动编码",
    },
    "opportunities": {
        "opportunity_id": "id opportunity_no deal_id 商机编号",
        "stage": "status 阶段 商机阶段",
        "amount": "expected_amount 预计金额",
        "probability": "成交概率 赢率",
        "opened_on": "created_on created_at open_date 创建日期 立项日期",
        "expected_on": "expected_close_date 预计成交日期 预计签约日期",
        "closed_on": "closed_at close_date 关闭日期 成交日期",
        "won": "is_won 是否赢单 是否成交",
        "lost_reason": "输单原因 丢单原因",
    },
    "customer_costs": {
        "cost_id": "id expense_id 费用单号 费用编号",
        "incurred_on": "date cost_date expense_date 发生日期 费用日期",
        "kind": "type cost_type expense_type 费用类型 费用类别",
        "amount": "cost 费用金额",
    },
    "fx_rates": {
        "rate_on": "date rate_date valid_on 日期 汇率日期",
        "rate": "exchange_rate fx_rate mid 汇率 中间价",
    },
    "market_prices": {
        "price_on": "date price_date quoted_on 日期 报价日期",
        "price_code": "code index index_code product 指数 价格代码 品种",
        "price": "value quote 价格 报价",
        "category": "品类",
    },
}

CODES: dict[str, dict[str, str]] = {
    "status": {
        "open": "new created draft pending 待确认 草稿 新建 未审核",
        "confirmed": "approved processing invoiced accepted 已确认 已审核 处理中",
        "shipped": "sent in_transit 已发货 发货中",
        "completed": "complete delivered closed done 已完成 已签收 已关闭 完成",
        "cancelled": "canceled cancel void unavailable 已取消 取消 已作废 作废",
    },
    "sale_type": {"contract": "long_term 长协 长约 合同", "spot": "现货 零售 市场"},
    "size_class": {
        "large": "l 大型 大",
        "medium": "m 中型 中",
        "small": "s 小型 小",
        "micro": "xs 微型 微",
    },
    "customer_type": {
        "power": "电力 电厂",
        "steel": "钢铁 钢厂",
        "cement": "水泥 建材",
        "chemical": "化工",
        "trader": "贸易 贸易商",
        "consumer": "个人",
        "other": "其他 其它",
    },
    "severity": {
        "low": "minor 低 一般 轻微",
        "medium": "normal 中",
        "high": "major 高 严重",
        "critical": "urgent blocker 紧急 特别严重 重大",
    },
    "method": {
        "transfer": "wire bank_transfer t/t tt 转账 电汇 汇款",
        "bank_acceptance": "银行承兑汇票 银承 银票",
        "commercial_acceptance": "商业承兑汇票 商承 商票",
        "cash": "现金",
        "card": "credit_card debit_card 刷卡 银行卡",
        "other": "not_defined 其他 其它",
    },
    "bill_status": {
        "held": "持有 在手",
        "endorsed": "已背书 背书",
        "discounted": "已贴现 贴现",
        "matured": "已到期 已兑付 托收",
        "dishonoured": "dishonored bounced 拒付",
    },
    "stage": {
        "lead": "线索 初步接触",
        "qualified": "已确认 立项 需求确认",
        "proposal": "报价 方案",
        "negotiation": "谈判 商务谈判",
        "won": "赢单 成交 签约",
        "lost": "输单 丢单 失败",
    },
    # what a kind means depends on the feed; no text stands under two of these
    "kind": {
        "invoice": "inv 蓝字 正数 普通发票 专用发票",
        "credit_note": "credit cn 红字 负数",
        "receipt": "payment in 收款 回款",
        "refund": "out 退款",
        "prepayment": "advance deposit 预收 预收款",
        "chargeback": "拒付退回",
        "visit": "拜访 走访 上门",
        "call": "phone 电话",
        "event": "会议 活动 展会",
        "mail": "email 邮件",
        "acquisition": "获客 开发",
        "service": "服务 售后",
        "logistics": "freight 物流 运费",
    },
}

# what a required column probably is where no column gives it
DEFAULTS = {
    ("orders", "status"): "completed",
    ("invoices", "kind"): "invoice",
    ("payments", "kind"): "receipt",
    ("payments", "method"): "other",
    ("survey_responses", "question_code"): "csat_overall",
}

CURRENCY_NAMES = {
    "人民币": "CNY",
    "人民币元": "CNY",
    "RMB": "CNY",
    "￥": "CNY",
    "¥": "CNY",
    "美元": "USD",
    "美金": "USD",
    "$": "USD",
    "欧元": "EUR",
    "€": "EUR",
    "英镑": "GBP",
    "港币": "HKD",
    "港元": "HKD",
    "日元": "JPY",
    "澳大利亚元": "AUD",
    "澳元": "AUD",
    "加拿大元": "CAD",
    "加元": "CAD",
    "新加坡元": "SGD",
    "新币": "SGD",
    "瑞士法郎": "CHF",
}


def is_currency_code(text: str) -> bool:
    """Whether a text has the form of an ISO 4217 code."""
    return re.fullmatch("[A-Z]{3}", text) is not None


# names so general that they say little
_GENERAL = {"id", "code", "type", "date", "value", "status", "state", "name", "cost", "price"}

# what an amount's name says of its tax
TAX_INCLUDED = "含税金额 价税合计 gross gross_amount amount_incl_tax"
TAX_EXCLUDED = "不含税金额 未税金额 净额 net_amount amount_excl_tax"


@dataclass(frozen=True)
class Likeness:
    """How a source column fits one of ours. score: 1 is the same name by our tables, less is a
    guess. unit: what the name says of the unit, such as 金额(万元).
    """

    score: float
    unit: str | None = None


def normal(name: str) -> str:
    """A name without case, spaces and signs: CustCode, cust_code and ``Cust Code`` alike."""
    return re.sub(r"[\W_]+", "", _without_unit(name)[0]).lower()


def likeness(feed: str, column: str, source: str) -> Likeness | None:
    """How ``source`` fits the contracted ``column`` of ``feed``; None: not at all."""
    known = [column, *COLUMNS[feed].get(column, "").split(), *_ANYWHERE.get(column, "").split()]
    names = {normal(name) for name in known}
    plain, unit = _without_unit(source)
    own = normal(plain.rsplit(".", 1)[-1])
    for name in (normal(plain), own):
        if name in names:
            return Likeness(0.9 if name in _GENERAL else 1.0, unit)
    close = difflib.get_close_matches(own, names, n=1, cutoff=0.86)
    if close and len(own) > 3:
        return Likeness(0.8, unit)
    inside = [name for name in names if len(name) >= (2 if not name.isascii() else 6)]
    if any(own.endswith(name) or own.startswith(name) for name in inside):
        return Likeness(0.6, unit)
    return None


def likelihood_of_table(feed: str, table: str) -> float:
    """How much a table's name speaks for a feed, 0 to 1; the longer the words shared, the more."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", table.rsplit(".", 1)[-1])
    own = "_" + re.sub(r"[\W_]+", "_", words).strip("_").lower() + "_"
    names = {feed, *TABLES[feed].split()}
    if own.strip("_") in names:
        return 1.0
    inside = [name for name in names if (f"_{name}_" if name.isascii() else name) in own]
    return min(0.5 + max(map(len, inside)) / 50, 0.9) if inside else 0.0


def likely_code(column: str, value: str, allowed: list[str]) -> str | None:
    """Which of the ``allowed`` codes a source's value probably means."""
    own = normal(value)
    for code in allowed:
        if own in {normal(code), *map(normal, CODES.get(column, {}).get(code, "").split())}:
            return code
    return None


def stated_tax(source: str) -> str | None:
    """``included`` or ``excluded``, where a column's name says so."""
    own = normal(source)
    if own in map(normal, TAX_INCLUDED.split()):
        return "included"
    return "excluded" if own in map(normal, TAX_EXCLUDED.split()) else None


def unmapped_but_known(
    contract: Contract, mapped: set[str], unmapped: list[str]
) -> list[tuple[str, str]]:
    """Unmapped source columns with the contracted column that they probably are."""
    free = [name for name in contract.all_columns if name not in mapped]
    pairs = []
    for source in unmapped:
        for column in free:
            found = likeness(contract.feed, column, source)
            if found and found.score == 1.0:
                pairs.append((source, column))
                free.remove(column)
                break
    return pairs


def _without_unit(name: str) -> tuple[str, str | None]:
    match = re.fullmatch(r"(.+?)\s*[(（\[【]\s*([^)）\]】]+?)\s*[)）\]】]", name.strip())
    if match is None:
        return name.strip(), None
    return match.group(1), match.group(2) if match.group(2) in UNITS else None
