"""A company of eleven customers with one awkward case each, and three days of changes to it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from tests.dbt.landing_fixture import Landing, Row, utc


def order(order_id: str, customer_id: str, day: date, **values: Any) -> Row:
    """A completed order at noon of the day in the company's zone."""
    return {
        "order_id": order_id,
        "customer_id": customer_id,
        "ordered_at": utc(day.year, day.month, day.day, 4),
        "status": "completed",
        "currency": "CNY",
        "sale_type": "spot",
        **values,
    }


def line(order_id: str, amount: str, **values: Any) -> Row:
    """A line of one unit of coal with 13 % tax off the price and a known cost of 60 %."""
    return {
        "order_id": order_id,
        "line_no": 1,
        "product_id": "coal",
        "quantity": 10,
        "unit_price": float(amount) / 10,
        "discount": 0,
        "tax": round(float(amount) * 0.13, 2),
        "amount": amount,
        "unit_cost": float(amount) * 0.06,
        **values,
    }


def invoice(invoice_id: str, customer_id: str, day: date, amount: str, **values: Any) -> Row:
    """An invoice without a due date of its own."""
    return {
        "invoice_id": invoice_id,
        "customer_id": customer_id,
        "invoiced_on": day,
        "amount": amount,
        "tax": 0,
        "currency": "CNY",
        "kind": "invoice",
        **values,
    }


def payment(payment_id: str, customer_id: str, day: date, amount: str, **values: Any) -> Row:
    """A transfer at noon of the day in the company's zone."""
    return {
        "payment_id": payment_id,
        "customer_id": customer_id,
        "received_at": utc(day.year, day.month, day.day, 4),
        "amount": amount,
        "currency": "CNY",
        "method": "transfer",
        "kind": "receipt",
        **values,
    }


def answer(response_id: str, customer_id: str, day: date, score: int, **values: Any) -> Row:
    """An answer to the overall satisfaction question, 1 to 5."""
    return {
        "response_id": response_id,
        "question_code": "csat_overall",
        "customer_id": customer_id,
        "answered_at": utc(day.year, day.month, day.day, 4),
        "score": score,
        "scale_min": 1,
        "scale_max": 5,
        **values,
    }


def complaint(complaint_id: str, customer_id: str, day: date, **values: Any) -> Row:
    """A complaint at noon of the day in the company's zone, answered three hours later."""
    return {
        "complaint_id": complaint_id,
        "customer_id": customer_id,
        "opened_at": utc(day.year, day.month, day.day, 4),
        "responded_at": utc(day.year, day.month, day.day, 7),
        "category": "quality",
        "severity": "medium",
        **values,
    }


def resolved(day: date, compensation: str) -> Row:
    """What the resolution of a complaint brings."""
    return {
        "resolved_at": utc(day.year, day.month, day.day, 4),
        "resolution": "compensation paid",
        "satisfied": True,
        "compensation": compensation,
    }


def interaction(interaction_id: str, customer_id: str, day: date, **values: Any) -> Row:
    """A visit at noon of the day in the company's zone."""
    return {
        "interaction_id": interaction_id,
        "customer_id": customer_id,
        "occurred_at": utc(day.year, day.month, day.day, 4),
        "kind": "visit",
        "cost": "200.00",
        "account_manager": "li",
        **values,
    }


def opportunity(opportunity_id: str, customer_id: str, day: date, **values: Any) -> Row:
    """An opportunity in negotiation."""
    return {
        "opportunity_id": opportunity_id,
        "customer_id": customer_id,
        "stage": "negotiation",
        "amount": "1000.00",
        "currency": "CNY",
        "probability": "0.5",
        "opened_on": day,
        **values,
    }


def abroad_deal(stage: str, day: int, month: int = 2) -> Row:
    """The deal in dollars as it stood after a day of 2026: its source tells its changes."""
    return opportunity(
        "s-abroad",
        "abroad",
        date(2026, 2, 2),
        amount="50.00",
        currency="USD",
        stage=stage,
        updated_at=utc(2026, month, day, 3),
    )


def cost(cost_id: str, customer_id: str, day: date, amount: str, **values: Any) -> Row:
    """A cost of serving a customer; it names no currency."""
    return {
        "cost_id": cost_id,
        "customer_id": customer_id,
        "incurred_on": day,
        "kind": "service",
        "amount": amount,
        **values,
    }


def delivery(delivery_id: str, order_id: str, day: date, **values: Any) -> Row:
    """A delivery of ten units at noon of the day in the company's zone."""
    return {
        "delivery_id": delivery_id,
        "order_id": order_id,
        "delivered_at": utc(day.year, day.month, day.day, 4),
        "quantity": 10,
        "amount": "100.00",
        **values,
    }


def fx_rate(day: date, rate: str) -> Row:
    """What a dollar is worth in yuan."""
    return {"rate_on": day, "currency": "USD", "rate": rate}


def land_first_release(landing: Landing) -> None:
    """As of 27 February 2026; some rows lie later and must not show yet."""
    landing.begin_release(date(2026, 2, 27))
    landing.put(
        "customers",
        [
            {"customer_id": "steady", "name": "Steady Steel", "payment_terms_days": 30},
            {"customer_id": "slow", "name": "Slow Cement", "payment_terms_days": 60},
            {"customer_id": "prospect", "name": "Prospect Power"},
            {"customer_id": "cancelled_only", "name": "Fickle Trader"},
            {"customer_id": "refunded", "name": "Refunded Ltd"},
            {"customer_id": "credited", "name": "Credited Ltd"},
            {"customer_id": "bills", "name": "Bill Payer", "payment_terms_days": 0},
            {"customer_id": "leaving", "name": "Leaving Ltd"},
            # no row of it ever changes: it must gain a month all the same
            {"customer_id": "idle", "name": "Idle Ltd"},
            # buys in dollars
            {"customer_id": "abroad", "name": "Abroad Inc"},
            {"customer_id": "later", "name": "Not yet", "onboarded_on": date(2026, 6, 1)},
        ],
    )
    landing.put("products", [{"product_id": "coal", "name": "Coal", "tonnes_per_unit": 1}])
    landing.put(
        "fx_rates",
        [
            fx_rate(date(2026, 1, 30), "7.00"),
            fx_rate(date(2026, 2, 2), "7.10"),
            fx_rate(date(2026, 2, 16), "7.20"),
        ],
    )
    landing.put(
        "orders",
        [
            order("o-steady-1", "steady", date(2025, 11, 3), sale_type="contract"),
            order("o-steady-2", "steady", date(2026, 2, 2)),
            order("o-slow-1", "slow", date(2025, 12, 24)),
            order("o-slow-deleted", "slow", date(2026, 1, 20)),
            order("o-cancelled", "cancelled_only", date(2026, 1, 5), status="cancelled"),
            order("o-refunded", "refunded", date(2026, 1, 6)),
            # no lines: its own amount counts
            order("o-bills", "bills", date(2026, 1, 7), amount="500.00"),
            order("o-idle", "idle", date(2025, 6, 2)),
            order("o-leaving", "leaving", date(2025, 1, 8)),
            # landed already, but after the first three as-of dates
            order("o-future", "steady", date(2026, 3, 5)),
            # 16:30 UTC on the 31st is the 1st of February for the company
            order("o-midnight", "slow", date(2026, 1, 31), ordered_at=utc(2026, 1, 31, 16, 30)),
            order("o-held", "steady", date(2026, 2, 10), _held_reason="unknown_customer"),
            # a Sunday: the rate of Friday the 30th holds
            order("o-abroad", "abroad", date(2026, 2, 1), currency="USD"),
        ],
    )
    landing.put(
        "order_lines",
        [
            line("o-steady-1", "1000.00"),
            line("o-steady-2", "200.00", discount="20.00"),
            line("o-slow-1", "300.00"),
            line("o-slow-1", "30.00", line_no=2, unit_cost=None),
            line("o-slow-deleted", "40.00"),
            line("o-cancelled", "9999.00"),
            line("o-refunded", "50.00"),
            line("o-idle", "10.00", product_id="coke"),
            line("o-leaving", "60.00"),
            line("o-future", "70.00"),
            line("o-midnight", "80.00"),
            line("o-held", "90.00"),
            line("o-abroad", "100.00", discount="5.00"),
        ],
    )
    landing.put(
        "invoices",
        [
            invoice("i-steady-1", "steady", date(2025, 11, 3), "1130.00"),
            invoice("i-steady-2", "steady", date(2026, 2, 2), "226.00"),
            invoice("i-slow-1", "slow", date(2025, 12, 24), "372.90", due_on=date(2026, 1, 31)),
            invoice("i-refunded", "refunded", date(2026, 1, 6), "100.00"),
            invoice("i-credited", "credited", date(2026, 1, 6), "100.00"),
            invoice("i-credit-note", "credited", date(2026, 1, 9), "250.00", kind="credit_note"),
            invoice("i-bills", "bills", date(2026, 1, 7), "500.00"),
            invoice("i-abroad", "abroad", date(2026, 2, 2), "113.00", currency="USD"),
        ],
    )
    landing.put(
        "payments",
        [
            payment("p-steady-1", "steady", date(2025, 12, 1), "1200.00"),
            payment("p-refunded", "refunded", date(2026, 1, 8), "100.00"),
            payment("p-refund", "refunded", date(2026, 1, 18), "130.00", kind="refund"),
            payment("p-moved", "steady", date(2026, 2, 20), "10.00"),
            payment("p-abroad", "abroad", date(2026, 2, 20), "50.00", currency="USD"),
            payment(
                "p-bill",
                "bills",
                date(2026, 2, 1),
                "300.00",
                method="bank_acceptance",
                bill_no="b-1",
                bill_matures_on=date(2026, 3, 3),
                bill_status="held",
            ),
            payment(
                "p-bill-dishonoured",
                "bills",
                date(2026, 2, 2),
                "150.00",
                method="commercial_acceptance",
                bill_no="b-2",
                bill_matures_on=date(2026, 2, 20),
                bill_status="dishonoured",
            ),
        ],
    )
    landing.put(
        "survey_responses",
        [
            answer("r-steady", "steady", date(2026, 2, 1), 5),
            answer(
                "r-steady",
                "steady",
                date(2026, 2, 1),
                9,
                question_code="nps",
                scale_min=0,
                scale_max=10,
            ),
            answer("r-slow", "slow", date(2026, 2, 1), 2),
        ],
    )
    _land_what_customers_cost(landing)
    _keep_the_books_of_landing(landing)


def _land_what_customers_cost(landing: Landing) -> None:
    """Complaints, contacts, costs, opportunities and deliveries; some end after the as-of date."""
    landing.put(
        "complaints",
        [
            complaint(
                "c-steady",
                "steady",
                date(2026, 1, 12),
                order_id="o-steady-1",
                **resolved(date(2026, 1, 20), "80.00"),
            ),
            # open as of 27 February and 1 March, resolved on the 10th, open again as of the 4th
            complaint("c-slow", "slow", date(2026, 2, 25), **resolved(date(2026, 3, 8), "30.00")),
            # nobody has answered by 27 February
            complaint("c-idle", "idle", date(2026, 2, 26), responded_at=utc(2026, 2, 28, 1)),
            complaint("c-moved", "refunded", date(2026, 1, 30)),
            complaint("c-deleted", "refunded", date(2026, 2, 3)),
            complaint("c-future", "steady", date(2026, 3, 5)),
        ],
    )
    landing.put(
        "interactions",
        [
            interaction("v-steady", "steady", date(2026, 1, 15)),
            interaction("v-prospect", "prospect", date(2026, 2, 9), kind="call", cost=None),
            # 16:00 UTC on the 28th is the 1st of March for the company
            interaction("v-midnight", "slow", date(2026, 2, 28), occurred_at=utc(2026, 2, 28, 16)),
            interaction("v-deleted", "idle", date(2026, 2, 4)),
        ],
    )
    landing.put(
        "customer_costs",
        [
            cost("k-won", "steady", date(2025, 10, 20), "300.00", kind="acquisition"),
            cost("k-service", "slow", date(2026, 2, 3), "15.50", currency="CNY"),
            # a Saturday: the rate of Friday the 30th holds
            cost("k-abroad", "abroad", date(2026, 1, 31), "20.00", currency="USD"),
            cost("k-moved", "idle", date(2026, 2, 5), "7.00", kind="logistics"),
            cost("k-future", "idle", date(2026, 3, 3), "9.00"),
        ],
    )
    landing.put(
        "opportunities",
        [
            opportunity(
                "s-won",
                "steady",
                date(2026, 1, 5),
                stage="won",
                won=True,
                probability="1",
                closed_on=date(2026, 1, 30),
            ),
            # lost on 6 March: open before, and again as of the 4th
            opportunity(
                "s-lost-later",
                "slow",
                date(2026, 2, 2),
                stage="lost",
                won=False,
                probability="0",
                closed_on=date(2026, 3, 6),
                lost_reason="price",
            ),
            # a lead first, in negotiation since the 10th
            abroad_deal("lead", 2),
            abroad_deal("negotiation", 10),
            # the earliest fact: dim_dates begins in its year
            opportunity(
                "s-old",
                "prospect",
                date(2022, 3, 1),
                stage="lost",
                won=False,
                probability="0",
                closed_on=date(2022, 5, 9),
                lost_reason="no decision",
            ),
            opportunity("s-future", "idle", date(2026, 3, 2)),
        ],
    )
    landing.put(
        "deliveries",
        [
            delivery("d-steady", "o-steady-1", date(2025, 11, 20), promised_on=date(2025, 11, 18)),
            delivery("d-early", "o-steady-2", date(2026, 2, 20), promised_on=date(2026, 2, 22)),
            # at the rate of its order's date, which is corrected later
            delivery("d-abroad", "o-abroad", date(2026, 2, 20), amount="60.00"),
            # its order moves to another customer
            delivery("d-refunded", "o-refunded", date(2026, 1, 9), amount=None),
            # its order is deleted, let in, comes into view
            delivery("d-deleted", "o-slow-deleted", date(2026, 1, 28)),
            delivery("d-held", "o-held", date(2026, 2, 20), _held_reason="unknown_order"),
            delivery("d-future", "o-future", date(2026, 3, 9)),
        ],
    )


def _keep_the_books_of_landing(landing: Landing) -> None:
    """Two batches, one of which has its source's totals, and a quarantined row that was mended."""
    landing.put_control(
        "ledger",
        {
            "feed": "orders",
            "currency": "CNY",
            "batch_id": "b-1",
            "release_sequence": 1,
            "rows_pulled": 10,
            "rows_accepted": 7,
            "rows_quarantined": 1,
            "rows_duplicate": 2,
            "rows_superseded": 0,
            "rows_held": 1,
            "amount_pulled": 600,
            "amount_accepted": 500,
            "amount_quarantined": 100,
            "amount_duplicate": 0,
            "amount_superseded": 0,
            "amount_held": 0,
            "source_rows": 10,
            "source_amount": 600,
        },
    )
    landing.put_control(
        "ledger",
        {
            "feed": "orders",
            "currency": "CNY",
            "batch_id": "b-2",
            "release_sequence": 1,
            "rows_pulled": 1,
            "rows_accepted": 1,
            "rows_quarantined": 0,
            "rows_duplicate": 0,
            "rows_superseded": 0,
        },
    )
    landing.put_control(
        "quarantine_closed",
        {
            "quarantine_id": "q-1",
            "feed": "orders",
            "rule": "status_known",
            "row_key": "o-idle",
            "source": "orders.csv:record 8",
            "currency": "CNY",
            "amount": 100,
            "first_seen_at": utc(2026, 2, 1),
            "batch_id": "b-1",
            "closed_by": "fix",
            "decided_by": "li",
            "decision_reason": "typing error",
            "replay_batch_id": "b-2",
            "release_sequence": 1,
        },
    )


def land_second_release(landing: Landing) -> None:
    """Another month: late, corrected, moved and deleted rows."""
    landing.begin_release(date(2026, 3, 1))
    landing.put("orders", [order("o-late", "leaving", date(2025, 10, 10))])
    landing.put("order_lines", [line("o-late", "15.00"), line("o-steady-1", "1100.00")])
    landing.delete("orders", "o-slow-deleted")
    landing.put("payments", [payment("p-moved", "slow", date(2026, 2, 20), "10.00")])
    landing.put("survey_responses", [answer("r-slow", "slow", date(2026, 2, 1), 3)])
    landing.put("complaints", [complaint("c-moved", "credited", date(2026, 1, 30))])
    landing.delete("complaints", "c-deleted")
    landing.delete("interactions", "v-deleted")
    landing.put("customer_costs", [cost("k-moved", "leaving", date(2026, 2, 5), "7.00")])
    landing.put("deliveries", [delivery("d-early", "o-steady-1", date(2026, 2, 20))])


def land_third_release(landing: Landing) -> None:
    """The same month: a held row is let in, terms, weights and a rate change, a bill matures."""
    landing.begin_release(date(2026, 3, 10))
    landing.put("fx_rates", [fx_rate(date(2026, 1, 30), "7.05")])
    landing.put("orders", [order("o-held", "prospect", date(2026, 2, 10))])
    landing.put("orders", [order("o-refunded", "credited", date(2026, 1, 6))])
    landing.put("products", [{"product_id": "coal", "name": "Coal", "tonnes_per_unit": "0.9"}])
    landing.put(
        "customers",
        [{"customer_id": "steady", "name": "Steady Steel", "payment_terms_days": 45}],
    )
    landing.delete("customers", "leaving")
    landing.delete("invoices", "i-slow-1")
    landing.delete("order_lines", "o-slow-1", 2)
    landing.delete("survey_responses", "r-steady", "nps")
    landing.put("payments", [payment("p-late", "steady", date(2026, 1, 2), "5.55")])
    landing.put("interactions", [interaction("v-late", "bills", date(2025, 12, 30), kind="mail")])
    landing.put("deliveries", [delivery("d-held", "o-held", date(2026, 2, 20))])
    landing.put("opportunities", [abroad_deal("proposal", 6, month=3)])
    landing.delete("deliveries", "d-steady")


def land_fourth_release(landing: Landing) -> None:
    """An earlier day of the same month: what lies after it has to go again."""
    landing.begin_release(date(2026, 3, 4))
    landing.put("order_lines", [line("o-midnight", "85.00")])


def new_landing(path: Path) -> Landing:
    """An empty landing schema, every feed configured."""
    return Landing(path)
