"""One customer on one printed page: every block of customer_360, dated, with what to do next.

Labels are those of the release's own data dictionary, so a column has the same name here as in
every other reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from customer_marts.errors import ConfigurationError
from customer_marts.report.formats import Text

MONTHS_SHOWN = 12
LINES_SHOWN = 5
SUGGESTIONS_SHOWN = 8
# the columns of customer_360 on the card, by block; a code is shown by its label
BLOCKS = {
    "card.who": (
        *("legal_id", "group_id", "industry", "size_class", "region", "customer_type"),
        *("account_manager", "payment_terms_days", "onboarded_on"),
    ),
    "card.behaviour": (
        *("lifecycle", "rfm_segment", "abc_class", "sale_type", "first_ordered_on"),
        *("last_ordered_on", "recency_days", "count_orders"),
    ),
    "card.value": (
        *("value_status", "revenue_amount", "margin_amount", "historical_clv_amount"),
        *("expected_value_status", "probability_alive", "expected_clv_12_months_amount"),
        *("expected_clv_36_months_amount", "next_purchase_until_on"),
    ),
    "card.credit": (
        *("receivables_status", "open_amount", "overdue_amount", "oldest_overdue_days"),
        *("credit_status", "credit_grade", "pd_probability", "exposure_amount"),
        *("credit_limit_amount", "recommended_limit_amount", "last_paid_on"),
    ),
    "card.voice": (
        *("satisfaction_status", "last_nps_score", "csat_score_rate_mean", "last_answered_on"),
        *("unanswered_since_on", "loyalty_score", "complaints_status", "count_open_complaints"),
        "last_complained_on",
    ),
}


@dataclass(frozen=True)
class Entry:
    """A column of the card with its value; ``kind`` says how a value is written."""

    label: Text
    value: object
    kind: str


@dataclass(frozen=True)
class Month:
    """A month of the customer, as far as its feeds tell."""

    month_on: date
    revenue: Decimal
    margin: Decimal | None
    cash: Decimal | None
    overdue: Decimal | None
    complaints: int | None
    satisfaction: float | None


@dataclass(frozen=True)
class Line:
    """What is suggested, at risk or warned of: what, why, and what to do."""

    label: Text
    reason: Text
    step: Text
    amount: Decimal | None


@dataclass(frozen=True)
class Card:
    """Everything that the page of one customer shows."""

    customer_id: str
    name: str
    as_of: date
    currency: str
    blocks: tuple[tuple[str, tuple[Entry, ...]], ...]
    months: tuple[Month, ...]
    actions: tuple[Line, ...]
    risks: tuple[Line, ...]
    warnings: tuple[Line, ...]


_ABBREVIATIONS = ("abc", "clv", "csat", "id", "nps", "pd", "rfm")


def _label_en(name: str) -> str:
    """The column's name as a label: pd_probability is "PD probability", open_amount "Open"."""
    words = name.removesuffix("_amount").split("_")
    label = " ".join(word.upper() if word in _ABBREVIATIONS else word for word in words)
    return label[0].upper() + label[1:]


def read_card(marts: Path, customer_id: str) -> Card:
    """The card of one customer of a release.

    Raises ConfigurationError where the release has no customer_360, or no such customer, naming
    those whose id or name come near.
    """
    import duckdb

    with duckdb.connect(str(marts), read_only=True) as connection:
        if not connection.execute(
            "select 1 from duckdb_tables() where table_name = 'customer_360'"
        ).fetchall():
            raise ConfigurationError(
                "a card shows customer_360, which this release does not have",
                where=str(marts),
                todo="add management to areas in the company file, then marts run",
            )
        found = connection.execute(
            "select * from customer_360 where customer_id = $1", [customer_id]
        )
        names = [column[0] for column in found.description]
        row = found.fetchone()
        if row is None:
            raise _unknown(connection, marts, customer_id)
        values = dict(zip(names, row, strict=True))
        labels = {
            name: Text(_label_en(name), label_zh)
            for name, label_zh in connection.execute(
                "select column_name, label_zh from data_dictionary"
                " where table_name = 'customer_360' and column_no > 0"
            ).fetchall()
        }
        words = {
            (domain, code): Text(label_en, label_zh)
            for domain, code, label_en, label_zh in connection.execute(
                "select domain, code, label_en, label_zh from code_book"
            ).fetchall()
        }
        return Card(
            customer_id=customer_id,
            name=values["customer_name"] or customer_id,
            as_of=values["as_of"],
            currency=values["currency"],
            blocks=tuple(
                (block, tuple(_entry(name, values, labels, words) for name in columns))
                for block, columns in BLOCKS.items()
            ),
            months=tuple(Month(*month) for month in _months(connection, customer_id)),
            actions=_lines(
                connection,
                "select action_label_en, action_label_zh, reason_en, reason_zh, step_en, step_zh,"
                " expected_value_amount from customer_actions where customer_id = $1"
                f" and selection <> 'held_out' order by customer_rank limit {LINES_SHOWN}",
                customer_id,
            ),
            risks=_lines(
                connection,
                "select risk_label_en, risk_label_zh, driver_en, driver_zh, response_en,"
                " response_zh, expected_loss_amount from risk_register where customer_id = $1"
                f" order by risk_rank limit {LINES_SHOWN}",
                customer_id,
            ),
            warnings=_lines(
                connection,
                "select label_en, label_zh, evidence_en, evidence_zh, step_en, step_zh,"
                " amount_at_risk from credit_alerts where customer_id = $1"
                f" order by alert_rank limit {LINES_SHOWN}",
                customer_id,
            ),
        )


def write_card(marts: Path, customer_id: str, destination: Path) -> None:
    """Write the card of one customer as a self-contained HTML page that prints on one sheet (A4).

    destination is replaced as a whole or not at all. Raises as read_card does.
    """
    from customer_marts.report.page import write_page

    write_page(destination, "card.html.j2", card=read_card(marts, customer_id))


def _entry(
    name: str,
    values: dict[str, Any],
    labels: dict[str, Text],
    words: dict[tuple[str, str], Text],
) -> Entry:
    if f"{name}_label_en" in values:
        said = values[f"{name}_label_en"], values[f"{name}_label_zh"]
        return Entry(labels[name], Text(*said) if said[0] else None, "text")
    value = values[name]
    if (name, value) in words:
        return Entry(labels[name], words[name, value], "text")
    if name.endswith("_amount"):
        kind = "money"
    elif name.startswith(("probability", "pd_")) or "_rate" in name:
        kind = "rate"
    elif isinstance(value, float):
        kind = "decimal"
    else:
        kind = "plain"
    return Entry(labels[name], value, kind)


def _months(connection: Any, customer_id: str) -> list[Any]:
    months: list[Any] = connection.execute(
        "select month_on, net_revenue_amount, net_margin_amount, cash_in_amount, overdue_amount,"
        " count_complaints, csat_score_rate_mean from fct_customer_months where customer_id = $1"
        f" order by month_on desc limit {MONTHS_SHOWN}",
        [customer_id],
    ).fetchall()
    return months[::-1]


def _lines(connection: Any, query: str, customer_id: str) -> tuple[Line, ...]:
    return tuple(
        Line(Text(*row[:2]), Text(*row[2:4]), Text(*row[4:6]), row[6])
        for row in connection.execute(query, [customer_id]).fetchall()
    )


def _unknown(connection: Any, marts: Path, customer_id: str) -> ConfigurationError:
    near = connection.execute(
        "select customer_id, coalesce(customer_name, '') from customer_360"
        " where contains(lower(customer_name), lower($1))"
        " or contains(lower(customer_id), lower($1))"
        f" order by customer_id limit {SUGGESTIONS_SHOWN}",
        [customer_id],
    ).fetchall()
    return ConfigurationError(
        f"the release has no customer '{customer_id}'",
        where=str(marts),
        todo="choose one of "
        + (", ".join(f"{code} ({name})" for code, name in near) or "customer_360's customer_id"),
    )
