"""The figures of the release report: what is read from a released `marts.duckdb`, and how.

The SQL here only selects and aggregates marts; definitions live in dbt. Amounts stay Decimal and
are never added across currencies: the report is in one currency and lists the others beside it.
A figure that cannot be given is `Absent` with its reason, or None with the reason told by the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from customer_marts.report.formats import Text, as_date
from customer_marts.report.labels import text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = tuple[Any, ...]

MONTHS_SHOWN = 36
TOP_CUSTOMERS = 10
INDUSTRIES_SHOWN = 8
# The ageing bucket of documents whose due date has not passed.
NOT_DUE_BUCKETS = ("not_due",)


@dataclass(frozen=True)
class Absent:
    """A figure or section that this release cannot give, and why."""

    reason: Text


@dataclass(frozen=True)
class Windows:
    """The last 12 months (start, as_of] and the 12 before them (before, start]."""

    before: date
    start: date
    as_of: date

    def are_covered_since(self, first_on: date | None) -> bool:
        """Whether a book that begins on this day fills the 12 months before as well; one that began
        later would flatter the growth. A week's grace: few books begin on their first day.
        """
        return first_on is not None and first_on <= self.before + timedelta(days=7)

    @classmethod
    def ending(cls, as_of: date) -> Windows:
        """The windows of an as-of date; one year before 29 February is 28 February."""
        return cls(before=_years_before(as_of, 2), start=_years_before(as_of, 1), as_of=as_of)


@dataclass(frozen=True)
class Nps:
    """Net promoter score in points (-100 to 100); its 95 % interval, None where answers are few."""

    points: float
    low: float | None
    high: float | None
    count_answers: int
    count_customers: int


@dataclass(frozen=True)
class Overview:
    """The book in the report's currency; None where the release cannot say.

    `revenue_with_cost` is the part of revenue whose cost is known: the base of the margin rate.
    """

    count_customers: int | None
    count_active: int | None
    count_active_before: int | None
    revenue: Decimal | None
    revenue_before: Decimal | None
    margin: Decimal | None
    revenue_with_cost: Decimal | None
    margin_before: Decimal | None
    revenue_with_cost_before: Decimal | None
    cash_in: Decimal | None
    cash_in_before: Decimal | None
    open_amount: Decimal | None
    unapplied_cash: Decimal | None
    overdue_amount: Decimal | None
    count_overdue_customers: int | None
    nps: Nps | None


@dataclass(frozen=True)
class OtherCurrency:
    """Orders written in another currency; their revenue is converted, and part of all figures."""

    currency: str
    count_customers: int
    count_orders: int
    revenue: Decimal


@dataclass(frozen=True)
class Month:
    """One calendar month of the book; the last one may be cut by the as-of date."""

    month_on: date
    revenue: Decimal | None
    margin: Decimal | None
    invoiced: Decimal | None
    cash_in: Decimal | None
    is_partial: bool


@dataclass(frozen=True)
class TopCustomer:
    """A customer among the first by revenue of the last 12 months."""

    customer_id: str
    customer_name: str
    industry: str | None
    account_manager: str | None
    revenue: Decimal
    revenue_before: Decimal | None
    margin: Decimal | None
    revenue_with_cost: Decimal | None
    last_ordered_on: date | None
    cumulative_revenue: Decimal


@dataclass(frozen=True)
class Group:
    """A class of customers: how many, what they brought, and on what margin."""

    code: str
    label: Text
    count_customers: int
    revenue: Decimal | None
    margin: Decimal | None
    revenue_with_cost: Decimal | None


@dataclass(frozen=True)
class Grouping:
    """All classes of one kind, with the totals that the shares refer to."""

    title: Text
    groups: tuple[Group, ...]
    count_customers: int
    revenue: Decimal


@dataclass(frozen=True)
class Bucket:
    """An ageing bucket on one basis (`invoice_date` or `due_date`)."""

    basis: str
    code: str
    label: Text
    order: int
    open_amount: Decimal
    count_documents: int
    count_customers: int


@dataclass(frozen=True)
class OverdueCustomer:
    """A customer with amounts past their due date."""

    customer_id: str
    customer_name: str
    account_manager: str | None
    payment_terms_days: int | None
    overdue_amount: Decimal
    open_amount: Decimal
    oldest_overdue_days: int | None
    last_paid_on: date | None


@dataclass(frozen=True)
class LedgerLine:
    """Conservation of one feed and currency over all batches of the release."""

    feed: str
    currency: str | None
    rows_pulled: int
    rows_accepted: int
    rows_quarantined: int
    rows_duplicate: int
    rows_superseded: int
    amount_pulled: Decimal | None
    amount_accounted: Decimal | None

    @property
    def rows_missing(self) -> int:
        """Rows pulled that no outcome accounts for; zero when the ledger balances."""
        return self.rows_pulled - (
            self.rows_accepted + self.rows_quarantined + self.rows_duplicate + self.rows_superseded
        )

    @property
    def amount_missing(self) -> Decimal:
        """Amount pulled that no outcome accounts for; zero when the ledger balances."""
        return (self.amount_pulled or Decimal(0)) - (self.amount_accounted or Decimal(0))

    @property
    def is_balanced(self) -> bool:
        """Whether rows and amounts are all accounted for."""
        return self.rows_missing == 0 and self.amount_missing == 0


@dataclass(frozen=True)
class QuarantineLine:
    """Rows kept out of the marts for one reason."""

    feed: str
    rule: str
    reason: Text | None
    owner: str | None
    count_rows: int
    amount: Decimal | None
    currency: str | None


@dataclass(frozen=True)
class Figures:
    """Everything the page shows that comes from the marts."""

    as_of: date
    windows: Windows
    currency: str | None
    other_currencies: tuple[OtherCurrency, ...]
    overview: Overview
    months: tuple[Month, ...] | Absent
    cash_months: tuple[Month, ...] | Absent
    invoices_are_derived: bool
    top_customers: tuple[TopCustomer, ...] | Absent
    rfm: Grouping | Absent
    other_groupings: tuple[Grouping, ...]
    buckets: tuple[Bucket, ...] | Absent
    overdue_customers: tuple[OverdueCustomer, ...] | Absent
    ledger: tuple[LedgerLine, ...] | Absent
    nps_absent: Text | None


class Marts:
    """A released marts database, opened read-only, with a catalogue of what it holds."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection
        self._columns: dict[str, set[str]] = {}
        found = connection.execute(
            "select table_name, column_name from duckdb_columns()"
            " where database_name = current_database() and not internal"
        ).fetchall()
        for table, column in found:
            self._columns.setdefault(table, set()).add(column)

    def has(self, table: str, *columns: str) -> bool:
        """Whether the release holds the mart with all these columns."""
        return table in self._columns and set(columns) <= self._columns[table]

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """All rows of a query with named parameters (`$name`)."""
        return self._connection.execute(sql, dict(parameters or {})).fetchall()

    def row(self, sql: str, parameters: Mapping[str, object] | None = None) -> Row:
        """The one row of an aggregate without group by."""
        return self.rows(sql, parameters)[0]

    def count(self, table: str) -> int:
        """Rows of a mart; 0 when the release does not hold it."""
        return int(self.row(f'select count(*) from "{table}"')[0]) if self.has(table) else 0


def read_figures(connection: DuckDBPyConnection, manifest: Mapping[str, Any]) -> Figures:
    """All figures of the report, from a read-only connection to a release's marts.

    Raises ValueError when neither the manifest nor the marts name an as-of date.
    """
    marts = Marts(connection)
    as_of = _as_of(marts, manifest)
    windows = Windows.ending(as_of)
    currency = _currency(marts, manifest)
    feeds = Feeds(manifest)
    nps = _nps(marts)
    return Figures(
        as_of=as_of,
        windows=windows,
        currency=currency,
        other_currencies=_other_currencies(marts, windows, currency),
        overview=_overview(marts, windows, currency, None if isinstance(nps, Text) else nps),
        months=_months(marts, as_of, currency, feeds),
        cash_months=_cash_months(marts, as_of, currency, feeds),
        invoices_are_derived=_invoices_are_derived(marts),
        top_customers=_top_customers(marts, windows, currency, feeds),
        rfm=_rfm(marts, currency, feeds),
        other_groupings=_other_groupings(marts, currency),
        buckets=_buckets(marts, currency, feeds),
        overdue_customers=_overdue_customers(marts, currency, feeds),
        ledger=_ledger(marts),
        nps_absent=nps if isinstance(nps, Text) else None,
    )


def quarantine_lines(
    connection: DuckDBPyConnection, manifest: Mapping[str, Any]
) -> tuple[QuarantineLine, ...]:
    """Quarantined rows by feed and rule: amounts from the mart, reasons from the manifest."""
    marts = Marts(connection)
    listed = [entry for entry in manifest.get("quarantine") or [] if isinstance(entry, Mapping)]
    reasons = {
        (str(entry.get("feed")), str(entry.get("rule"))): _quarantine_reason(entry)
        for entry in listed
    }
    if marts.has("quarantine_summary", "feed", "rule", "owner", "count_rows", "amount", "currency"):
        lines = [
            QuarantineLine(feed, rule, reasons.get((feed, rule)), owner, count, amount, currency)
            for feed, rule, owner, currency, count, amount in marts.rows(
                """
                select feed, rule, owner, currency, sum(count_rows)::bigint, sum(amount)
                from quarantine_summary
                group by all
                order by sum(count_rows) desc, feed, rule
                """
            )
        ]
    else:
        lines = [
            QuarantineLine(
                feed=str(entry.get("feed", "")),
                rule=str(entry.get("rule", "")),
                reason=_quarantine_reason(entry),
                owner=entry.get("owner"),
                count_rows=int(entry.get("count_rows") or 0),
                amount=None if entry.get("amount") is None else Decimal(str(entry["amount"])),
                currency=entry.get("currency"),
            )
            for entry in listed
        ]
    return tuple(lines)


def _quarantine_reason(entry: Mapping[str, Any]) -> Text | None:
    en = entry.get("reason_en") or entry.get("reason")
    zh = entry.get("reason_zh") or en
    return None if en is None else Text(str(en), str(zh))


class Feeds:
    """Which feeds the company delivers, as the manifest tells it."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._data_through = manifest.get("data_through") or {}

    def why_empty(self, *feeds: str) -> Text:
        """Why a mart that these feeds fill holds no rows."""
        names_en = " / ".join(text(f"feed.{feed}").en.lower() for feed in feeds)
        names_zh = "、".join(text(f"feed.{feed}").zh for feed in feeds)
        if all(self._data_through.get(feed) is None for feed in feeds):
            reason = text("absent.no_feed")
        else:
            reason = text("absent.no_rows")
        return Text(reason.en.format(feeds=names_en), reason.zh.format(feeds=names_zh))


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)


def no_mart(mart: str) -> Text:
    """The reason of a figure whose mart, or a column of it, is not in the release."""
    reason = text("absent.no_mart")
    return Text(reason.en.format(mart=mart), reason.zh.format(mart=mart))


def _as_of(marts: Marts, manifest: Mapping[str, Any]) -> date:
    stated = as_date(manifest.get("as_of"))
    if stated is not None:
        return stated
    for table in ("customer_360", "customer_segments", "customer_clv"):
        if marts.has(table, "as_of"):
            found = as_date(marts.row(f"select max(as_of) from {table}")[0])
            if found is not None:
                return found
    raise ValueError("no as-of date: the manifest has no `as_of`, and no mart holds one")


def _currency(marts: Marts, manifest: Mapping[str, Any]) -> str | None:
    """The reporting currency when the book uses it, else the one with the most rows."""
    reporting = manifest.get("reporting_currency")
    for table in ("fct_orders", "fct_invoices", "receivables_ageing"):
        if not marts.has(table, "currency"):
            continue
        used = [
            str(found)
            for (found,) in marts.rows(
                f"select currency from {table} where currency is not null"
                " group by currency order by count(*) desc, currency"
            )
        ]
        if used:
            return str(reporting) if reporting in used else used[0]
    return None if reporting is None else str(reporting)


def _other_currencies(
    marts: Marts, windows: Windows, currency: str | None
) -> tuple[OtherCurrency, ...]:
    if not marts.has("fct_orders", "document_currency", "customer_id", "revenue_amount"):
        return ()
    return tuple(
        OtherCurrency(*row)
        for row in marts.rows(
            """
            select
                document_currency,
                count(distinct customer_id),
                count(*),
                sum(revenue_amount),
            from fct_orders
            where not is_cancelled
                and ordered_on > $start
                and ordered_on <= $as_of
                and document_currency is distinct from $currency
            group by document_currency
            order by count(*) desc, document_currency
            """,
            {"start": windows.start, "as_of": windows.as_of, "currency": currency},
        )
    )


def _overview(marts: Marts, windows: Windows, currency: str | None, nps: Nps | None) -> Overview:
    count_customers = marts.count("dim_customers") or None
    active = active_before = None
    revenue = revenue_before = margin = margin_before = None
    with_cost = with_cost_before = None
    if marts.count("fct_orders"):
        active, active_before = marts.row(
            """
            select
                count(distinct customer_id) filter (
                    where ordered_on > $start and ordered_on <= $as_of
                ),
                count(distinct customer_id) filter (
                    where ordered_on > $before and ordered_on <= $start
                ),
            from fct_orders
            where not is_cancelled
            """,
            {"before": windows.before, "start": windows.start, "as_of": windows.as_of},
        )
        (
            first_on,
            revenue,
            margin,
            with_cost,
            revenue_before,
            margin_before,
            with_cost_before,
        ) = marts.row(
            """
            with orders as (
                select
                    ordered_on,
                    revenue_amount,
                    margin_amount,
                    case when margin_amount is not null then revenue_amount end as costed_amount,
                    ordered_on > $start and ordered_on <= $as_of as is_now,
                    ordered_on > $before and ordered_on <= $start as is_before,
                from fct_orders
                where not is_cancelled and currency = $currency
            )
            select
                min(ordered_on),
                coalesce(sum(revenue_amount) filter (where is_now), 0),
                sum(margin_amount) filter (where is_now),
                sum(costed_amount) filter (where is_now),
                sum(revenue_amount) filter (where is_before),
                sum(margin_amount) filter (where is_before),
                sum(costed_amount) filter (where is_before),
            from orders
            """,
            {
                "before": windows.before,
                "start": windows.start,
                "as_of": windows.as_of,
                "currency": currency,
            },
        )
        if not windows.are_covered_since(first_on):
            active_before = revenue_before = margin_before = with_cost_before = None
    cash_in = cash_in_before = None
    if marts.count("fct_payments"):
        first_paid_on, cash_in, cash_in_before = marts.row(
            """
            select
                min(settled_on),
                coalesce(
                    sum(payment_amount) filter (
                        where settled_on > $start and settled_on <= $as_of
                    ),
                    0
                ),
                sum(payment_amount) filter (
                    where settled_on > $before and settled_on <= $start
                ),
            from fct_payments
            where currency = $currency
            """,
            {
                "before": windows.before,
                "start": windows.start,
                "as_of": windows.as_of,
                "currency": currency,
            },
        )
        if not windows.are_covered_since(first_paid_on):
            cash_in_before = None
    open_amount = overdue_amount = count_overdue = None
    if marts.count("receivables_ageing"):
        open_amount, overdue_amount, count_overdue = marts.row(
            """
            select
                coalesce(sum(open_amount), 0),
                coalesce(
                    sum(open_amount) filter (where not list_contains($not_due, bucket_code)), 0
                ),
                count(distinct customer_id) filter (
                    where not list_contains($not_due, bucket_code) and open_amount > 0
                ),
            from receivables_ageing
            where ageing_basis = 'due_date' and currency = $currency
            """,
            {"not_due": list(NOT_DUE_BUCKETS), "currency": currency},
        )
    unapplied_cash = None
    if marts.has("customer_360", "unapplied_cash_amount", "currency"):
        (unapplied_cash,) = marts.row(
            "select sum(unapplied_cash_amount) from customer_360 where currency = $currency",
            {"currency": currency},
        )
    return Overview(
        count_customers=count_customers,
        count_active=active,
        count_active_before=active_before,
        revenue=revenue,
        revenue_before=revenue_before,
        margin=margin,
        revenue_with_cost=with_cost,
        margin_before=margin_before,
        revenue_with_cost_before=with_cost_before,
        cash_in=cash_in,
        cash_in_before=cash_in_before,
        open_amount=open_amount,
        unapplied_cash=unapplied_cash,
        overdue_amount=overdue_amount,
        count_overdue_customers=count_overdue,
        nps=nps,
    )


def _nps(marts: Marts) -> Nps | Text:
    """The book's score over the last 12 months as customer_satisfaction tells it, or its reason."""
    if not marts.has("customer_satisfaction", "value_12_months", "low_12_months"):
        return no_mart("customer_satisfaction")
    rows = marts.rows(
        """
        with months as (
            select *
            from customer_satisfaction
            where measure = 'nps'
                and month_on = (select max(month_on) from customer_satisfaction)
        )
        select
            value_12_months,
            low_12_months,
            high_12_months,
            n_12_months,
            (select count(*) from months where dimension = 'customer' and n_12_months > 0),
            status_label_en,
            status_label_zh,
        from months
        where dimension = 'book'
        """
    )
    if not rows:
        return text("absent.no_surveys")
    points, low, high, answers, customers, status_en, status_zh = rows[0]
    if points is None:
        return Text(status_en, status_zh)
    return Nps(points, low, high, answers, customers)


def _read_months(marts: Marts, as_of: date, currency: str | None) -> tuple[Month, ...]:
    month_of_as_of = as_of.replace(day=1)
    next_day_month = date.fromordinal(as_of.toordinal() + 1).month
    rows = marts.rows(
        """
        select
            month_on,
            sum(revenue_amount),
            sum(margin_amount),
            sum(invoiced_amount),
            sum(cash_in_amount),
        from fct_customer_months
        where currency = $currency and month_on <= $as_of
        group by month_on
        order by month_on desc
        limit $months
        """,
        {"currency": currency, "as_of": as_of, "months": MONTHS_SHOWN},
    )
    return tuple(
        Month(
            month_on=month_on,
            revenue=revenue,
            margin=margin,
            invoiced=invoiced,
            cash_in=cash_in,
            is_partial=month_on == month_of_as_of and next_day_month == as_of.month,
        )
        for month_on, revenue, margin, invoiced, cash_in in reversed(rows)
    )


_MONTH_COLUMNS = (
    "month_on",
    "currency",
    "revenue_amount",
    "margin_amount",
    "invoiced_amount",
    "cash_in_amount",
)


def _months(
    marts: Marts, as_of: date, currency: str | None, feeds: Feeds
) -> tuple[Month, ...] | Absent:
    if not marts.has("fct_customer_months", *_MONTH_COLUMNS):
        return Absent(no_mart("fct_customer_months"))
    months = _read_months(marts, as_of, currency)
    if not marts.count("fct_orders") or not any(month.revenue for month in months):
        return Absent(feeds.why_empty("orders"))
    return months


def _cash_months(
    marts: Marts, as_of: date, currency: str | None, feeds: Feeds
) -> tuple[Month, ...] | Absent:
    if not marts.has("fct_customer_months", *_MONTH_COLUMNS):
        return Absent(no_mart("fct_customer_months"))
    months = _read_months(marts, as_of, currency)
    if not any(month.cash_in for month in months):
        return Absent(feeds.why_empty("payments"))
    if not any(month.invoiced for month in months):
        return Absent(feeds.why_empty("invoices"))
    return months


def _invoices_are_derived(marts: Marts) -> bool:
    if not marts.has("fct_invoices", "is_derived"):
        return False
    return bool(marts.row("select coalesce(bool_and(is_derived), false) from fct_invoices")[0])


def _top_customers(
    marts: Marts, windows: Windows, currency: str | None, feeds: Feeds
) -> tuple[TopCustomer, ...] | Absent:
    if not marts.has("fct_orders") or not marts.has("dim_customers"):
        return Absent(no_mart("fct_orders"))
    rows = marts.rows(
        """
        with customer_revenue as (
            select
                customer_id,
                sum(revenue_amount) filter (where ordered_on > $start) as revenue_amount,
                sum(revenue_amount) filter (where ordered_on <= $start) as revenue_before_amount,
                sum(margin_amount) filter (where ordered_on > $start) as margin_amount,
                sum(revenue_amount) filter (
                    where ordered_on > $start and margin_amount is not null
                ) as costed_amount,
                max(ordered_on) as last_ordered_on,
            from fct_orders
            where not is_cancelled and currency = $currency
                and ordered_on > $before and ordered_on <= $as_of
            group by customer_id
        ),

        ranked as (
            select
                *,
                sum(revenue_amount) over (
                    order by revenue_amount desc, customer_id rows unbounded preceding
                ) as cumulative_amount,
            from customer_revenue
            where revenue_amount > 0
        )

        select
            ranked.customer_id,
            coalesce(dim_customers.customer_name, ranked.customer_id),
            dim_customers.industry,
            dim_customers.account_manager,
            ranked.revenue_amount,
            ranked.revenue_before_amount,
            ranked.margin_amount,
            ranked.costed_amount,
            ranked.last_ordered_on,
            ranked.cumulative_amount,
        from ranked
        left join dim_customers using (customer_id)
        order by ranked.revenue_amount desc, ranked.customer_id
        limit $shown
        """,
        {
            "before": windows.before,
            "start": windows.start,
            "as_of": windows.as_of,
            "currency": currency,
            "shown": TOP_CUSTOMERS,
        },
    )
    if not rows:
        return Absent(feeds.why_empty("orders"))
    return tuple(TopCustomer(*row) for row in rows)


def _grouping(
    marts: Marts, currency: str | None, title: Text, source: str, order: str
) -> Grouping | None:
    """Customers and amounts by the class that `source` (an SQL select) gives them."""
    rows = marts.rows(
        f"""
        with classes as ({source})
        select
            code,
            label_en,
            label_zh,
            count(*),
            sum(revenue_amount) filter (where currency = $currency),
            sum(margin_amount) filter (where currency = $currency),
            sum(revenue_amount) filter (where currency = $currency and margin_amount is not null),
        from classes
        group by code, label_en, label_zh
        order by {order}, code nulls last
        """,
        {"currency": currency},
    )
    unclassified = text("segments.unclassified")
    groups = tuple(
        Group(
            code or "",
            Text(label_en or code, label_zh or label_en or code) if code else unclassified,
            *numbers,
        )
        for code, label_en, label_zh, *numbers in rows
    )
    if all(not group.code for group in groups):
        return None
    return Grouping(
        title=title,
        groups=groups,
        count_customers=sum(group.count_customers for group in groups),
        revenue=sum((group.revenue or Decimal(0) for group in groups), Decimal(0)),
    )


_BY_REVENUE = "sum(revenue_amount) filter (where currency is not null) desc nulls last"


def _rfm(marts: Marts, currency: str | None, feeds: Feeds) -> Grouping | Absent:
    if not marts.has("customer_segments", "rfm_segment", "revenue_amount", "margin_amount"):
        return Absent(no_mart("customer_segments"))
    grouping = _grouping(
        marts,
        currency,
        text("segments.rfm"),
        """
        select
            rfm_segment as code,
            rfm_segment_label_en as label_en,
            rfm_segment_label_zh as label_zh,
            currency,
            revenue_amount,
            margin_amount,
        from customer_segments
        """,
        _BY_REVENUE,
    )
    return Absent(feeds.why_empty("orders")) if grouping is None else grouping


def _other_groupings(marts: Marts, currency: str | None) -> tuple[Grouping, ...]:
    """ABC, lifecycle and industry; a kind without any class is left out."""
    if not marts.has("customer_segments", "abc_class", "lifecycle", "industry"):
        return ()
    found = [
        _grouping(
            marts,
            currency,
            text("segments.abc"),
            """
            select
                abc_class as code,
                abc_class as label_en,
                abc_class as label_zh,
                currency,
                revenue_amount,
                margin_amount,
            from customer_segments
            """,
            "code nulls last",
        ),
        _grouping(
            marts,
            currency,
            text("segments.lifecycle"),
            """
            select
                lifecycle as code,
                lifecycle_label_en as label_en,
                lifecycle_label_zh as label_zh,
                currency,
                revenue_amount,
                margin_amount,
            from customer_segments
            """,
            "count(*) desc",
        ),
        _grouping(
            marts,
            currency,
            text("segments.industry"),
            """
            select
                industry as code,
                industry as label_en,
                industry as label_zh,
                currency,
                revenue_amount,
                margin_amount,
            from customer_segments
            """,
            _BY_REVENUE,
        ),
    ]
    return tuple(
        _shortened(grouping, INDUSTRIES_SHOWN) for grouping in found if grouping is not None
    )


def _shortened(grouping: Grouping, shown: int) -> Grouping:
    """The grouping with everything after the first classes added up as `all others`."""
    if len(grouping.groups) <= shown + 1:
        return grouping
    rest = grouping.groups[shown:]

    def total(amounts: Sequence[Decimal | None]) -> Decimal | None:
        known = [value for value in amounts if value is not None]
        return sum(known, Decimal(0)) if known else None

    others = Group(
        code="",
        label=text("segments.others"),
        count_customers=sum(group.count_customers for group in rest),
        revenue=total([group.revenue for group in rest]),
        margin=total([group.margin for group in rest]),
        revenue_with_cost=total([group.revenue_with_cost for group in rest]),
    )
    return Grouping(
        title=grouping.title,
        groups=(*grouping.groups[:shown], others),
        count_customers=grouping.count_customers,
        revenue=grouping.revenue,
    )


def _buckets(marts: Marts, currency: str | None, feeds: Feeds) -> tuple[Bucket, ...] | Absent:
    if not marts.has("receivables_ageing"):
        return Absent(no_mart("receivables_ageing"))
    rows = marts.rows(
        """
        select
            ageing_basis,
            bucket_code,
            any_value(bucket_label_en),
            any_value(bucket_label_zh),
            bucket_order,
            sum(open_amount),
            sum(count_documents)::bigint,
            count(distinct customer_id),
        from receivables_ageing
        where currency = $currency
        group by ageing_basis, bucket_code, bucket_order
        order by ageing_basis, bucket_order
        """,
        {"currency": currency},
    )
    if not any(row[5] for row in rows):
        return Absent(
            feeds.why_empty("invoices")
            if not marts.count("fct_invoices")
            else text("absent.nothing_open")
        )
    return tuple(
        Bucket(basis, code, Text(label_en or code, label_zh or code), *numbers)
        for basis, code, label_en, label_zh, *numbers in rows
    )


def _overdue_customers(
    marts: Marts, currency: str | None, feeds: Feeds
) -> tuple[OverdueCustomer, ...] | Absent:
    if not marts.has("receivables_ageing") or not marts.has("dim_customers"):
        return Absent(no_mart("receivables_ageing"))
    if not marts.count("fct_invoices"):
        return Absent(feeds.why_empty("invoices"))
    oldest = (
        "(select customer_id, oldest_overdue_days from customer_360)"
        if marts.has("customer_360", "oldest_overdue_days")
        else "(select null::varchar as customer_id, null::integer as oldest_overdue_days)"
    )
    paid = (
        "(select customer_id, max(received_on) as last_paid_on from fct_payments"
        " where payment_amount > 0 group by customer_id)"
        if marts.has("fct_payments")
        else "(select null::varchar as customer_id, null::date as last_paid_on)"
    )
    rows = marts.rows(
        f"""
        with balances as (
            select
                customer_id,
                sum(open_amount) filter (
                    where not list_contains($not_due, bucket_code)
                ) as overdue_amount,
                sum(open_amount) as open_amount,
            from receivables_ageing
            where ageing_basis = 'due_date' and currency = $currency
            group by customer_id
        )
        select
            balances.customer_id,
            coalesce(dim_customers.customer_name, balances.customer_id),
            dim_customers.account_manager,
            dim_customers.payment_terms_days,
            balances.overdue_amount,
            balances.open_amount,
            oldest.oldest_overdue_days,
            paid.last_paid_on,
        from balances
        left join dim_customers using (customer_id)
        left join {oldest} as oldest using (customer_id)
        left join {paid} as paid using (customer_id)
        where balances.overdue_amount > 0
        order by balances.overdue_amount desc, balances.customer_id
        limit $shown
        """,
        {"not_due": list(NOT_DUE_BUCKETS), "currency": currency, "shown": TOP_CUSTOMERS},
    )
    if not rows:
        return Absent(text("absent.nothing_overdue"))
    return tuple(OverdueCustomer(*row) for row in rows)


def _ledger(marts: Marts) -> tuple[LedgerLine, ...] | Absent:
    if not marts.has("conservation_ledger", "count_rows_pulled", "pulled_amount"):
        return Absent(no_mart("conservation_ledger"))
    rows = marts.rows(
        """
        select
            feed,
            currency,
            sum(count_rows_pulled)::bigint,
            sum(count_rows_accepted)::bigint,
            sum(count_rows_quarantined)::bigint,
            sum(count_rows_duplicate)::bigint,
            sum(count_rows_superseded)::bigint,
            sum(pulled_amount),
            sum(
                coalesce(accepted_amount, 0)
                + coalesce(quarantined_amount, 0)
                + coalesce(duplicate_amount, 0)
                + coalesce(superseded_amount, 0)
            ),
        from conservation_ledger
        group by feed, currency
        order by feed, currency
        """
    )
    if not rows:
        return Absent(text("absent.no_ledger"))
    return tuple(LedgerLine(*row) for row in rows)
