"""What a board and its sales ask of a release: the month's scorecard, what to do next, the risks.

As in `figures`, the SQL only selects marts; rules, targets and sentences live in dbt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from customer_marts.report.figures import Absent, Feeds, Marts, no_mart
from customer_marts.report.formats import Text
from customer_marts.report.labels import text

ACTIONS_SHOWN = 10
RISKS_SHOWN = 10


@dataclass(frozen=True)
class Measure:
    """A measure of the scorecard; ``unit`` is score, rate, ratio, days or currency (exact).

    ``status_label`` of a measure without a verdict says why it has none.
    """

    label: Text
    unit: str
    target: float | Decimal | None
    actual: float | Decimal | None
    previous: float | Decimal | None
    status: str
    status_label: Text
    definition: Text


@dataclass(frozen=True)
class Scorecard:
    """The measures of the last month that is over; what is told as of today alone, of today."""

    month_on: date
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Action:
    """An action of this period's list; ``overdue_days`` is 0 until ``due_on`` is past."""

    customer_name: str
    label: Text
    reason: Text
    step: Text
    owner: Text
    account_manager: str | None
    due_on: date
    overdue_days: int
    value: Decimal | None
    is_mandatory: bool


@dataclass(frozen=True)
class Actions:
    """The first actions of the list; how many there are, and how many of them are overdue."""

    first: tuple[Action, ...]
    count: int
    count_overdue: int


@dataclass(frozen=True)
class Risk:
    """A customer's risk of one kind; ``level`` is 1 (low) to 4 (critical)."""

    customer_name: str
    label: Text
    level: int
    level_label: Text
    likelihood: float
    impact: Decimal
    expected_loss: Decimal
    driver: Text
    response: Text
    due_on: date
    overdue_days: int


@dataclass(frozen=True)
class Risks:
    """The gravest risks; of how many of the whole register the response is overdue."""

    first: tuple[Risk, ...]
    count_overdue: int


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline: what is in it today, and what became of who left it in 12 months.

    ``conversion`` with its interval is None where no deal was seen leaving, ``median_days`` where
    more than half of those that entered are still in it.
    """

    label: Text
    count_open: int
    open_amount: Decimal
    longest_days: int | None
    conversion: float | None
    low: float | None
    high: float | None
    conversion_status: Text
    median_days: int | None
    won_share: float | None


@dataclass(frozen=True)
class Pipeline:
    """The stages in their order; of the deals closed in 12 months, how many have no path."""

    stages: tuple[Stage, ...]
    count_closed: int
    count_without_path: int


@dataclass(frozen=True)
class ManagementFigures:
    """The management section, each part the figures or the reason why there are none."""

    scorecard: Scorecard | Absent
    actions: Actions | Absent
    pipeline: Pipeline | Absent
    risks: Risks | Absent


def read_management_figures(marts: Marts, currency: str | None, feeds: Feeds) -> ManagementFigures:
    """All figures of the management section of one release."""
    return ManagementFigures(
        scorecard=_scorecard(marts, feeds),
        actions=_actions(marts, currency, feeds),
        pipeline=_pipeline(marts, currency, feeds),
        risks=_risks(marts, currency, feeds),
    )


def _measured(value: float | None, unit: str) -> float | Decimal | None:
    return Decimal(f"{value:.2f}") if value is not None and unit == "currency" else value


def _scorecard(marts: Marts, feeds: Feeds) -> Scorecard | Absent:
    if not marts.has("crm_scorecard", "is_complete", "target_value", "definition_en"):
        return Absent(no_mart("crm_scorecard"))
    rows = marts.rows(
        """
        select
            month_on, measure_label_en, measure_label_zh, unit, target_value::double,
            actual::double, previous::double, status,
            case when status = 'unknown' then status_reason_label_en else status_label_en end,
            case when status = 'unknown' then status_reason_label_zh else status_label_zh end,
            definition_en, definition_zh,
        from crm_scorecard
        where is_complete and status_reason <> 'as_of_only'
            or month_on = (select max(month_on) from crm_scorecard)
        qualify row_number() over (
            partition by measure order by is_complete desc, month_on desc
        ) = 1
        order by measure_order
        """
    )
    if not rows:
        return Absent(feeds.why_empty("orders"))
    return Scorecard(
        month_on=min(row[0] for row in rows),
        measures=tuple(
            Measure(
                label=Text(label_en, label_zh),
                unit=unit,
                target=_measured(target, unit),
                actual=_measured(actual, unit),
                previous=_measured(previous, unit),
                status=status,
                status_label=Text(status_en, status_zh),
                definition=Text(definition_en, definition_zh),
            )
            for (
                _,
                label_en,
                label_zh,
                unit,
                target,
                actual,
                previous,
                status,
                status_en,
                status_zh,
                definition_en,
                definition_zh,
            ) in rows
        ),
    )


def _actions(marts: Marts, currency: str | None, feeds: Feeds) -> Actions | Absent:
    if not marts.has("customer_actions", "selection", "is_mandatory", "overdue_days"):
        return Absent(no_mart("customer_actions"))
    rows = marts.rows(
        f"""
        select
            coalesce(dim_customers.customer_name, customer_actions.customer_id),
            action_label_en, action_label_zh, reason_en, reason_zh, step_en, step_zh,
            owner_role_label_en, owner_role_label_zh, customer_actions.account_manager, due_on,
            overdue_days, expected_value_amount, is_mandatory,
        from customer_actions
        left join dim_customers using (customer_id)
        where selection = 'selected' and currency = $currency
        order by
            row_number() over (
                partition by action_code
                order by is_mandatory desc, expected_value_amount desc nulls last, action_id
            ),
            is_mandatory desc,
            expected_value_amount desc nulls last,
            action_id
        limit {ACTIONS_SHOWN}
        """,
        {"currency": currency},
    )
    if not rows:
        if not marts.count("fct_orders"):
            return Absent(feeds.why_empty("orders"))
        return Absent(text("absent.nothing_to_do"))
    (count, count_overdue) = marts.row(
        """
        select count(*), count(*) filter (where overdue_days > 0) from customer_actions
        where selection = 'selected' and currency = $currency
        """,
        {"currency": currency},
    )
    return Actions(
        first=tuple(
            Action(
                name, Text(*row[:2]), Text(*row[2:4]), Text(*row[4:6]), Text(*row[6:8]), *row[8:]
            )
            for name, *row in rows
        ),
        count=count,
        count_overdue=count_overdue,
    )


def _pipeline(marts: Marts, currency: str | None, feeds: Feeds) -> Pipeline | Absent:
    if not marts.has("stage_conversion", "conversion_rate", "count_without_path_12_months"):
        return Absent(no_mart("stage_conversion"))
    if not marts.has("sales_pipeline", "longest_days_in_stage"):
        return Absent(no_mart("sales_pipeline"))
    rows = marts.rows(
        """
        with open_stages as (
            select
                stage,
                sum(count_open)::bigint as count_open,
                sum(open_amount) as open_amount,
                max(longest_days_in_stage) as longest_days,
            from sales_pipeline
            where currency = $currency
            group by stage
        )
        select
            stage_label_en, stage_label_zh, coalesce(count_open, 0), coalesce(open_amount, 0),
            longest_days, conversion_rate, conversion_rate_low, conversion_rate_high,
            conversion_status_label_en, conversion_status_label_zh, median_days_in_stage,
            won_share, count_closed_of_member_12_months, count_without_path_12_months,
        from stage_conversion
        left join open_stages using (stage)
        where dimension = 'book'
        order by stage_place
        """,
        {"currency": currency},
    )
    if not rows:
        return Absent(feeds.why_empty("opportunities"))
    count_closed, count_without_path = rows[0][12:]
    return Pipeline(
        stages=tuple(
            Stage(
                label=Text(label_en, label_zh),
                count_open=count_open,
                open_amount=open_amount,
                longest_days=longest_days,
                conversion=conversion,
                low=low,
                high=high,
                conversion_status=Text(status_en, status_zh),
                median_days=median_days,
                won_share=won_share,
            )
            for (
                label_en,
                label_zh,
                count_open,
                open_amount,
                longest_days,
                conversion,
                low,
                high,
                status_en,
                status_zh,
                median_days,
                won_share,
                *_,
            ) in rows
        ),
        count_closed=count_closed,
        count_without_path=count_without_path,
    )


def _risks(marts: Marts, currency: str | None, feeds: Feeds) -> Risks | Absent:
    if not marts.has("risk_register", "risk_rank", "risk_level", "overdue_days"):
        return Absent(no_mart("risk_register"))
    rows = marts.rows(
        f"""
        select
            coalesce(dim_customers.customer_name, risk_register.customer_id),
            risk_label_en, risk_label_zh, risk_level, risk_level_label_en, risk_level_label_zh,
            likelihood_rate, impact_amount, expected_loss_amount,
            driver_en, driver_zh, response_en, response_zh, due_on, overdue_days,
        from risk_register
        left join dim_customers using (customer_id)
        where currency = $currency
        order by risk_rank
        limit {RISKS_SHOWN}
        """,
        {"currency": currency},
    )
    if not rows:
        if not marts.count("fct_orders"):
            return Absent(feeds.why_empty("orders"))
        return Absent(text("absent.no_risks"))
    (count_overdue,) = marts.row(
        """
        select count(*) filter (where overdue_days > 0) from risk_register
        where currency = $currency
        """,
        {"currency": currency},
    )
    return Risks(
        first=tuple(
            Risk(
                customer_name=name,
                label=Text(*row[:2]),
                level=row[2],
                level_label=Text(*row[3:5]),
                likelihood=row[5],
                impact=row[6],
                expected_loss=row[7],
                driver=Text(*row[8:10]),
                response=Text(*row[10:12]),
                due_on=row[12],
                overdue_days=row[13],
            )
            for name, *row in rows
        ),
        count_overdue=count_overdue,
    )
