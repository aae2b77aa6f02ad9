"""The figures by which one sees whether the company is believable, read from its sources alone."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from scripts.company.facts import COUNT_BANK_COLUMNS

_Rows = list[tuple[Any, ...]]


def describe(folder: Path, as_of: date) -> dict[str, Any]:
    """Figures of the sources in a folder as they stand on a day.

    Amounts in million yuan; foreign ones at the last rate of the treasury's list, so that invoices
    and what was paid for them still cancel. Rates and shares are fractions of 1.
    """
    rates = _last_rates(folder)
    with (
        closing(_open(folder / "erp.sqlite")) as erp,
        closing(_open(folder / "crm.sqlite")) as crm,
    ):
        revenue = _revenue(erp, rates, as_of)
        customers = erp.execute("select count(*) from crm_customer").fetchone()[0]
        return {
            "as_of": as_of.isoformat(),
            "customers": customers,
            "orders": erp.execute("select count(*) from so_order").fetchone()[0],
            **revenue,
            **_receivables(folder, erp, rates, as_of, customers),
            **_deliveries(erp),
            **_costs(erp, revenue["revenue_by_year"]),
            **_complaints(crm),
            **_activities(crm),
            **_deals(crm, rates),
            **_surveys(folder),
            **_market(folder),
        }


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def _last_rates(folder: Path) -> dict[str, float]:
    """Yuan for one unit by currency, on the last day of the list."""
    rates = {"CNY": 1.0}
    for path in sorted((folder / "files" / "treasury").glob("fx_rates_*.csv")):
        for line in path.read_text(encoding="utf-8-sig").splitlines()[1:]:
            _, currency, _, price = line.split(",")
            rates[currency] = float(price) / 100
    return rates


def _revenue(erp: sqlite3.Connection, rates: dict[str, float], as_of: date) -> dict[str, Any]:
    """Net amounts of orders that stand; a customer is active who ordered within 120 days."""
    rows: _Rows = erp.execute(
        "select o.cust_code, substr(o.order_time, 1, 10), cast(l.net_amount as real), o.currency"
        " from so_order_line l join so_order o using (order_no)"
        " where o.deleted = 0 and o.status <> '已取消' and o.cust_code in"
        " (select cust_code from crm_customer)"
    ).fetchall()
    revenue: dict[str, float] = {}
    by_year: dict[str, float] = {}
    foreign = 0.0
    recent: set[str] = set()
    for code, ordered, net, currency in rows:
        amount = net * rates.get(currency, 0.0)
        revenue[code] = revenue.get(code, 0.0) + amount
        by_year[ordered[:4]] = by_year.get(ordered[:4], 0.0) + amount
        foreign += amount if currency != "CNY" else 0.0
        if ordered > (as_of - timedelta(days=120)).isoformat():
            recent.add(code)
    ranked = sorted(revenue.values(), reverse=True)
    customers = erp.execute("select count(*) from crm_customer").fetchone()[0]
    return {
        "order_lines": len(rows),
        "revenue_by_year": {year: round(by_year[year] / 1e6, 1) for year in sorted(by_year)},
        "foreign_revenue_rate": foreign / sum(ranked),
        "top_fifth_revenue_rate": sum(ranked[: len(ranked) // 5]) / sum(ranked),
        "active_customers_rate": len(recent) / customers,
    }


def _receivables(
    folder: Path, erp: sqlite3.Connection, rates: dict[str, float], as_of: date, customers: int
) -> dict[str, Any]:
    """Invoices less credit notes less money received (a dishonoured bill is not money), oldest
    first; DSO = open / last 365 days' invoices x 365; overdue = the open part past its due date
    (invoice date plus terms where none is stated).
    """
    invoices: list[tuple[str, str, str, float]] = [
        (code, invoiced, due, amount * rates[currency])
        for code, invoiced, due, amount, currency in erp.execute(
            "select i.cust_code, i.invoice_date,"
            " coalesce(i.due_date, date(i.invoice_date, '+' || c.terms_days || ' days')),"
            " cast(round(i.amount * 100) as integer) * case i.kind when '蓝字' then 1 else -1 end,"
            " i.currency from fi_invoice i join crm_customer c using (cust_code)"
            " where date(i.invoice_date) = i.invoice_date"
        )
    ]
    bills: dict[str, tuple[str, float, str]] = {}
    for path in sorted((folder / "bank").glob("bank_*.csv")):
        for line in path.read_text(encoding="gb18030").splitlines()[1:-1]:
            cells = line.split(",")
            if len(cells) == COUNT_BANK_COLUMNS and cells[4].replace(".", "").isdigit():
                sign = -1 if cells[7] == "退款" else 1
                amount = sign * round(float(cells[4]) * 100) * rates[cells[5]]
                bills[cells[0]] = (cells[2], amount, cells[11])
    received: dict[str, float] = {}
    for code, amount, status in bills.values():
        received[code] = received.get(code, 0.0) + (0.0 if status == "拒付" else amount)
    last_year = (as_of - timedelta(days=365)).isoformat()
    total = overdue = 0.0
    bad = 0
    by_customer: dict[str, list[tuple[str, float]]] = {}
    for code, _, due, amount in invoices:
        by_customer.setdefault(code, []).append((due, amount))
    for code, documents in by_customer.items():
        cash = received.get(code, 0.0) - sum(amount for _, amount in documents if amount < 0)
        oldest = ""
        for due, amount in sorted(document for document in documents if document[1] > 0):
            rest = max(amount - max(cash, 0.0), 0.0)
            cash -= amount
            total += rest
            if due < as_of.isoformat():
                overdue += rest
                oldest = oldest or (due if rest * 5 > amount else "")
        bad += bool(oldest) and oldest < (as_of - timedelta(days=120)).isoformat()
    return {
        "paid_rate": sum(received.values()) / sum(amount for *_, amount in invoices),
        "dishonoured_customers": len(
            {code for code, _, state in bills.values() if state == "拒付"}
        ),
        "dso_days": total / sum(amount for _, day, _, amount in invoices if day > last_year) * 365,
        "overdue_rate": overdue / total,
        "long_overdue_customers_rate": bad / customers,
    }


def _deliveries(erp: sqlite3.Connection) -> dict[str, Any]:
    """An order's last delivery after the promised day is late."""
    count, orders, late = erp.execute(
        "select sum(parts), count(*), sum(late) from (select count(*) as parts,"
        " max(substr(signed_at, 1, 10)) > max(promised_on) as late"
        " from so_delivery group by order_no)"
    ).fetchone()
    return {"deliveries": count, "parts_per_order": count / orders, "late_rate": late / orders}


def _costs(erp: sqlite3.Connection, revenue_by_year: dict[str, float]) -> dict[str, Any]:
    rows = erp.execute(
        "select kind, count(*), sum(cast(amount as real)) from fi_cost group by kind"
    ).fetchall()
    by_kind = {kind: (count, amount) for kind, count, amount in rows}
    serving = by_kind["服务费用"][1] + by_kind["物流费用"][1]
    won, spent = by_kind.get("获客费用", (0, 0.0))
    return {
        "cost_to_serve_rate": serving / 1e6 / sum(revenue_by_year.values()),
        "acquisition_cost": round(spent / won) if won else None,
    }


def _complaints(crm: sqlite3.Connection) -> dict[str, Any]:
    """Days from opening to the last resolution."""
    rows = crm.execute(
        "select category, resolved_at is not null, reopened = 'Y', satisfied,"
        " julianday(resolved_at) - julianday(opened_at), compensation_fen from tickets"
    ).fetchall()
    answers = [row[3] for row in rows if row[3]]
    return {
        "complaints": len(rows),
        "complaints_by_category": {
            name: sum(row[0] == name for row in rows) for name in sorted({row[0] for row in rows})
        },
        "complaints_resolved_rate": sum(row[1] for row in rows) / len(rows),
        "complaints_reopened_rate": sum(row[2] for row in rows) / len(rows),
        "complaint_median_days": median(row[4] for row in rows if row[1]),
        "complaints_satisfied_rate": answers.count("Y") / len(answers),
        "compensation": round(sum(row[5] or 0 for row in rows) / 1e8, 3),
    }


def _activities(crm: sqlite3.Connection) -> dict[str, Any]:
    kinds = dict(crm.execute("select type, count(*) from activities group by 1").fetchall())
    campaigns = crm.execute(
        "select campaign, count(*) from activities where campaign is not null group by 1"
    ).fetchall()
    return {"interactions": kinds, "campaign_contacts": dict(campaigns)}


def _deals(crm: sqlite3.Connection, rates: dict[str, float]) -> dict[str, Any]:
    """The open pipeline is weighted by its probabilities; amounts in the source are in 万."""
    rows = crm.execute(
        "select won, cast(amount_wan as real), currency, probability_percent,"
        " julianday(closed_on) - julianday(created_on) from deals"
        " where is_deleted = 'N' and probability_percent <= 100 and (deal_id, updated_at) in"
        " (select deal_id, max(updated_at) from deals group by deal_id)"
    ).fetchall()
    closed = [row for row in rows if row[0]]
    pipeline = sum(row[1] * rates[row[2]] * row[3] / 100 for row in rows if not row[0])
    return {
        "opportunities": len(rows),
        "win_rate": sum(row[0] == "Y" for row in closed) / len(closed),
        "sales_cycle_days": median(row[4] for row in closed),
        "open_opportunities": len(rows) - len(closed),
        "weighted_pipeline": round(pipeline / 100, 1),
    }


def _surveys(folder: Path) -> dict[str, Any]:
    with (folder / "surveys" / "responses.jsonl").open(encoding="utf-8") as lines:
        scores = [json.loads(line)["answers"][0]["score"] for line in lines]
    promoters = sum(score >= 9 for score in scores) - sum(score <= 6 for score in scores)
    return {"survey_responses": len(scores), "nps": 100 * promoters / max(len(scores), 1)}


def _market(folder: Path) -> dict[str, Any]:
    """Lowest and highest rate and price per tonne."""
    seen: dict[str, list[float]] = {}
    for path in (folder / "files" / "treasury").glob("*.csv"):
        for line in path.read_text(encoding="utf-8-sig").splitlines()[1:]:
            _, currency, _, price = line.split(",")
            seen.setdefault(currency, []).append(float(price) / 100)
    for path in (folder / "files" / "market").glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            seen.setdefault(row["index"], []).append(row["price"])
    return {
        "rates_and_prices": {
            name: (round(min(values), 4), round(max(values), 4))
            for name, values in seen.items()
            if min(values) > 0
        }
    }
