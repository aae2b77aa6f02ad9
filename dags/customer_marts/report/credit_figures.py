"""What a credit manager asks of a release: provision, speed of payment, grades, limits, alerts.

As in `figures`, the SQL only selects and aggregates marts; definitions and bounds live in dbt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from customer_marts.report.figures import TOP_CUSTOMERS, Absent, Feeds, Marts, no_mart
from customer_marts.report.formats import Text, share
from customer_marts.report.labels import text
from customer_marts.report.sales_figures import Stage, StageMonths

GRADE_MONTHS = 12
METRIC_MONTHS = 24
BRIDGE_MONTHS = 12
ALERTS_SHOWN = 10
# A customer without a grade, as the migration mart calls it, and one without a document before.
NOT_GRADED = "none"
# Of who is in default, and whom a reviewer grades so.
DEFAULT_GRADE = "D"
NEW = "new"


@dataclass(frozen=True)
class ProvisionLine:
    """What is owed in a bucket (or in default, reviewed, held as bills), and what is provided."""

    label: Text
    gross: Decimal
    count: int
    provision: Decimal
    basis: Text | None = None

    @property
    def rate(self) -> Decimal | None:
        """The provision as a share of what is owed; None where nothing is."""
        return share(self.provision, self.gross)


@dataclass(frozen=True)
class Provision:
    """Receivables by days overdue with their provision, then customers that stand apart, in default
    or reviewed on their own, then bills.
    """

    buckets: tuple[ProvisionLine, ...]
    apart: tuple[ProvisionLine, ...]
    bills: ProvisionLine | None

    @property
    def receivables(self) -> ProvisionLine:
        """All receivables: the buckets and the customers that stand apart from them."""
        lines = self.buckets + self.apart
        return ProvisionLine(
            label=text("credit.receivables"),
            gross=sum((line.gross for line in lines), Decimal(0)),
            count=sum(line.count for line in lines),
            provision=sum((line.provision for line in lines), Decimal(0)),
        )


@dataclass(frozen=True)
class BridgeStep:
    """A step from the opening to the closing provision: this month, and over the months shown."""

    key: str
    label: Text
    month: Decimal
    months: Decimal

    @property
    def is_balance(self) -> bool:
        """Whether the step is an end of the bridge, not a movement."""
        return self.key in ("opening", "closing")


@dataclass(frozen=True)
class Bridge:
    """The movement of the provision of receivables; `steps` sum from opening to closing."""

    month_on: date
    first_on: date
    until: date
    count_months: int
    steps: tuple[BridgeStep, ...]


@dataclass(frozen=True)
class MetricMonth:
    """The book at a month's end; days and rates are None where the mart gives no figure."""

    month_on: date
    is_partial: bool
    dso: float | None
    best_dso: float | None
    collection: float | None
    cash_collection: float | None
    overdue: float | None
    open_amount: Decimal


@dataclass(frozen=True)
class GradeLine:
    """Customers of one grade now, what they owe, and what the card expects of them."""

    code: str
    label: Text
    count_customers: int
    open_amount: Decimal | None
    pd_mean: float | None


@dataclass(frozen=True)
class Migration:
    """Customers by grade at a month's end (columns) and the month's end before (rows)."""

    month_on: date
    origins: tuple[str, ...]
    targets: tuple[str, ...]
    counts: dict[tuple[str, str], int]

    def direction(self, origin: str, target: str) -> str:
        """`down`, `up`, or nothing for who stayed, is new or is not graded on either end."""
        graded = [code for code in self.targets if code != NOT_GRADED]
        graded += [code for code in self.origins if code not in (*graded, NOT_GRADED, NEW)]
        if origin == target or origin not in graded or target not in graded:
            return ""
        return "down" if _grade_place(origin) < _grade_place(target) else "up"


@dataclass(frozen=True)
class Scorecard:
    """The card in force, or why none is: the last run's verdict, or that there was no run."""

    version: str | None
    fitted_as_of: date | None
    verdict: Text
    auc: float | None
    ks: float | None
    count_holdout: int | None
    count_defaults: int | None


@dataclass(frozen=True)
class Grades:
    """Grades now and over the months, the last full month's moves, and what they rest on."""

    lines: tuple[GradeLine, ...]
    bases: tuple[tuple[Text, int], ...]
    months: StageMonths | Absent
    migration: Migration | Absent
    scorecard: Scorecard | Absent


@dataclass(frozen=True)
class Exposure:
    """A customer's exposure against its limit; headroom is also bounded by its group's."""

    customer_name: str
    grade: str | None
    exposure: Decimal
    limit: Decimal | None
    utilisation: float | None
    headroom: Decimal | None
    recommended: Decimal | None
    advice: Text
    is_breached: bool


@dataclass(frozen=True)
class Exposures:
    """The largest exposures, and the book's totals."""

    customers: tuple[Exposure, ...]
    count_customers: int
    total: Decimal
    count_breached: int
    over_limit: Decimal
    count_without_limit: int


@dataclass(frozen=True)
class BillRung:
    """Bills of one maturity bucket: held by kind of issuer, and passed on with recourse."""

    label: Text
    count_bills: int
    held_bank: Decimal
    held_commercial: Decimal
    passed_on: Decimal


@dataclass(frozen=True)
class AlertKind:
    """Open alerts of one kind and severity."""

    label: Text
    severity: str
    severity_label: Text
    count: int
    amount: Decimal | None


@dataclass(frozen=True)
class Alert:
    """An alert to work through, with what it rests on and what to do."""

    customer_name: str
    label: Text
    severity: str
    severity_label: Text
    since: date | None
    amount: Decimal | None
    evidence: Text
    step: Text


@dataclass(frozen=True)
class Alerts:
    """Alerts by kind, and the first by rank."""

    kinds: tuple[AlertKind, ...]
    first: tuple[Alert, ...]

    @property
    def count(self) -> int:
        """All open alerts."""
        return sum(kind.count for kind in self.kinds)

    def count_of(self, severity: str) -> int:
        """Open alerts of one severity."""
        return sum(kind.count for kind in self.kinds if kind.severity == severity)


@dataclass(frozen=True)
class ExceptionKind:
    """Documents in doubt for one reason: how they are treated meanwhile, and what to do."""

    label: Text
    severity: str
    count: int
    amount: Decimal | None
    treatment: Text
    step: Text


@dataclass(frozen=True)
class CreditFigures:
    """Everything that the credit section shows."""

    provision: Provision | Absent
    bridge: Bridge | Absent
    metrics: tuple[MetricMonth, ...] | Absent
    grades: Grades | Absent
    exposures: Exposures | Absent
    bills: tuple[BillRung, ...] | Absent
    alerts: Alerts | Absent
    exceptions: tuple[ExceptionKind, ...] | Absent


def read_credit_figures(
    marts: Marts, as_of: date, currency: str | None, feeds: Feeds
) -> CreditFigures:
    """The credit section's figures in `currency`, as of a date; what is absent says why."""
    return CreditFigures(
        provision=_provision(marts, currency, feeds),
        bridge=_bridge(marts, as_of, currency, feeds),
        metrics=_metrics(marts, as_of, currency, feeds),
        grades=_grades(marts, as_of, currency, feeds),
        exposures=_exposures(marts, currency, feeds),
        bills=_bills(marts, currency, feeds),
        alerts=_alerts(marts, currency, feeds),
        exceptions=_exceptions(marts, currency, feeds),
    )


def _without_claims(marts: Marts, feeds: Feeds, otherwise: Text) -> Absent:
    """No invoice at all says so; with invoices, the reason is the figure's own."""
    return Absent(otherwise if marts.count("fct_invoices") else feeds.why_empty("invoices"))


def _provision(marts: Marts, currency: str | None, feeds: Feeds) -> Provision | Absent:
    if not marts.has("provision_matrix", "rate_basis_label_en", "provision_amount"):
        return Absent(no_mart("provision_matrix"))
    if not marts.has("expected_credit_loss", "provision_basis", "bills_provision_amount"):
        return Absent(no_mart("expected_credit_loss"))
    buckets = marts.rows(
        """
        select
            any_value(bucket_label_en),
            any_value(bucket_label_zh),
            sum(gross_amount),
            sum(count_claims)::bigint,
            sum(provision_amount),
            string_agg(distinct rate_basis_label_en, ' / ') filter (where gross_amount <> 0),
            string_agg(distinct rate_basis_label_zh, ' / ') filter (where gross_amount <> 0),
        from provision_matrix
        where currency = $currency
        group by bucket_code, bucket_order
        order by bucket_order
        """,
        {"currency": currency},
    )
    in_default, reviewed, bills = (
        marts.row(
            f"""
            select sum({gross}), count(*), sum({provision})
            from expected_credit_loss
            where currency = $currency and {condition}
            """,
            {"currency": currency},
        )
        for gross, provision, condition in (
            ("gross_amount", "provision_amount", "provision_basis = 'default'"),
            ("gross_amount", "provision_amount", "provision_basis = 'specific'"),
            (
                "bank_bills_amount + commercial_bills_amount",
                "bills_provision_amount",
                "bank_bills_amount + commercial_bills_amount > 0",
            ),
        )
    )
    apart = [
        ProvisionLine(text(label), gross, count, provision, basis)
        for label, (gross, count, provision), basis in (
            ("credit.in_default", in_default, text("credit.by_default")),
            ("credit.reviewed", reviewed, None),
        )
        if count
    ]
    if not any(row[2] for row in buckets) and not apart and not bills[1]:
        return _without_claims(marts, feeds, text("absent.nothing_open"))
    return Provision(
        buckets=tuple(
            ProvisionLine(
                Text(label_en, label_zh),
                gross,
                count,
                provision,
                Text(basis_en, basis_zh) if basis_en else None,
            )
            for label_en, label_zh, gross, count, provision, basis_en, basis_zh in buckets
        ),
        apart=tuple(apart),
        bills=ProvisionLine(text("credit.bills_held"), *bills) if bills[1] else None,
    )


# In the order of the page: what adds first, so that the bridge stays above zero.
_STEPS = (
    "opening",
    "new",
    "reopened",
    "aged",
    "default_change",
    "rate_change",
    "specific_change",
    "exchange",
    "paid",
    "credited",
    "written_off",
    "closing",
)


def _bridge(marts: Marts, as_of: date, currency: str | None, feeds: Feeds) -> Bridge | Absent:
    columns = [f"{step}_amount" for step in _STEPS]
    if not marts.has("credit_loss_movement", "month_end_on", *columns):
        return Absent(no_mart("credit_loss_movement"))
    rows = marts.rows(
        f"""
        select month_on, month_end_on, {", ".join(columns)}
        from credit_loss_movement
        where currency = $currency and month_on <= $as_of
        order by month_on desc
        limit $months
        """,
        {"currency": currency, "as_of": as_of, "months": BRIDGE_MONTHS},
    )
    if not any(any(row[2:]) for row in rows):
        return _without_claims(marts, feeds, text("absent.no_provision"))
    latest, first = rows[0], rows[-1]
    steps = []
    for place, key in enumerate(_STEPS, start=2):
        over_all = sum((row[place] for row in rows), Decimal(0))
        if key == "opening":
            over_all = first[place]
        elif key == "closing":
            over_all = latest[place]
        elif not any(row[place] for row in rows):
            continue
        steps.append(BridgeStep(key, text(f"bridge.{key}"), latest[place], over_all))
    return Bridge(
        month_on=latest[0],
        first_on=first[0],
        until=latest[1],
        count_months=len(rows),
        steps=tuple(steps),
    )


def _metrics(
    marts: Marts, as_of: date, currency: str | None, feeds: Feeds
) -> tuple[MetricMonth, ...] | Absent:
    if not marts.has(
        "book_credit_metrics", "best_possible_dso_days", "collection_rate", "cash_collection_rate"
    ):
        return Absent(no_mart("book_credit_metrics"))
    # What a few days collected says nothing beside full months: rates are of full months only.
    rows = marts.rows(
        """
        select
            month_on,
            month_end_on < last_day(month_on) as is_partial,
            dso_days,
            best_possible_dso_days,
            case when not is_partial then collection_rate end,
            case when not is_partial then cash_collection_rate end,
            overdue_share,
            open_amount,
        from book_credit_metrics
        where currency = $currency and month_on <= $as_of
        order by month_on desc
        limit $months
        """,
        {"currency": currency, "as_of": as_of, "months": METRIC_MONTHS},
    )
    if not rows:
        return Absent(feeds.why_empty("invoices"))
    if all(row[2] is None and row[4] is None for row in rows):
        return Absent(feeds.why_empty("payments"))
    return tuple(MetricMonth(*row) for row in reversed(rows))


_GRADES = ("AAA", "AA", "A", "B", "C", DEFAULT_GRADE, NOT_GRADED, NEW)


def _grade_place(code: str) -> tuple[int, str]:
    """From the best to the worst; a grade of the company's own comes behind, by its name."""
    return (_GRADES.index(code) if code in _GRADES else len(_GRADES), code)


def _grade_label(code: str) -> Text:
    if code == NOT_GRADED:
        return text("credit.not_graded")
    return Text(code, code)


def _grades(marts: Marts, as_of: date, currency: str | None, feeds: Feeds) -> Grades | Absent:
    if not marts.has(
        "credit_scores", "grade", "pd_probability", "score_basis", "score_basis_label_en"
    ):
        return Absent(no_mart("credit_scores"))
    if not marts.count("credit_scores") or not marts.count("fct_invoices"):
        return Absent(feeds.why_empty("invoices"))
    balances = (
        "receivables_balances"
        if marts.has("receivables_balances", "customer_id", "open_amount", "currency")
        else "(select null::varchar as customer_id, null as open_amount, null as currency)"
    )
    lines = marts.rows(
        f"""
        select
            coalesce(credit_scores.grade, $none) as grade,
            -- whom a reviewer grades D is in no default
            coalesce(credit_scores.grade = $default and score_basis = 'override', false) as is_set,
            any_value(credit_scores.grade_label_en),
            any_value(credit_scores.grade_label_zh),
            count(*),
            sum(balances.open_amount),
            avg(credit_scores.pd_probability),
        from credit_scores
        left join {balances} as balances
            on balances.customer_id = credit_scores.customer_id
            and balances.currency = $currency
        group by 1, 2
        """,
        {"currency": currency, "none": NOT_GRADED, "default": DEFAULT_GRADE},
    )
    bases = marts.rows(
        """
        select score_basis, score_basis_label_en, score_basis_label_zh, count(*)
        from credit_scores
        group by all
        order by count(*) desc, score_basis
        """
    )
    return Grades(
        lines=tuple(
            GradeLine(
                code,
                text("credit.set_to_default")
                if is_set
                else _grade_label(code)
                if label_en is None
                else Text(label_en, label_zh),
                count,
                open_amount,
                pd_mean,
            )
            for code, is_set, label_en, label_zh, count, open_amount, pd_mean in sorted(
                lines, key=lambda row: (_grade_place(row[0]), row[1])
            )
        ),
        bases=tuple(
            (_grade_label(basis) if basis == NOT_GRADED else Text(label_en, label_zh), count)
            for basis, label_en, label_zh, count in bases
        ),
        months=_grade_months(marts, as_of),
        migration=_migration(marts, as_of),
        scorecard=_scorecard(marts),
    )


def _grade_months(marts: Marts, as_of: date) -> StageMonths | Absent:
    if not marts.has("credit_score_history", "month_on", "grade"):
        return Absent(no_mart("credit_score_history"))
    rows = marts.rows(
        """
        select month_on, coalesce(grade, $none), count(*)
        from credit_score_history
        where month_on <= $as_of
            and month_on > (
                select max(month_on) - to_months($months)
                from credit_score_history where month_on <= $as_of
            )
        group by all
        """,
        {"as_of": as_of, "none": NOT_GRADED, "months": GRADE_MONTHS},
    )
    if not rows:
        return Absent(text("absent.one_month"))
    counts = {(month_on, code): count for month_on, code, count in rows}
    months = tuple(sorted({month_on for month_on, _ in counts}))
    codes = sorted({code for _, code in counts}, key=_grade_place)
    return StageMonths(
        months=months,
        stages=tuple(
            Stage(code, _grade_label(code), tuple(counts.get((on, code), 0) for on in months))
            for code in codes
        ),
    )


def _migration(marts: Marts, as_of: date) -> Migration | Absent:
    if not marts.has("rating_migration", "from_grade", "to_grade", "count_customers"):
        return Absent(no_mart("rating_migration"))
    # The last full month with customers in both ends; a month begun has had no time to move.
    rows = marts.rows(
        """
        select month_on, from_grade, to_grade, count_customers
        from rating_migration
        where month_on = (
            select max(month_on) from rating_migration
            where last_day(month_on) <= $as_of and from_grade <> $new
        )
        """,
        {"as_of": as_of, "new": NEW},
    )
    if not rows:
        return Absent(text("absent.one_month"))
    return Migration(
        month_on=rows[0][0],
        origins=tuple(sorted({row[1] for row in rows}, key=_grade_place)),
        targets=tuple(sorted({row[2] for row in rows}, key=_grade_place)),
        counts={(row[1], row[2]): row[3] for row in rows},
    )


def _scorecard(marts: Marts) -> Scorecard | Absent:
    if not marts.has("credit_model_runs", "is_in_force", "verdict_en", "verdict_zh"):
        return Absent(no_mart("credit_model_runs"))
    rows = marts.rows(
        """
        select
            version,
            fitted_as_of,
            is_in_force,
            verdict_en,
            verdict_zh,
            auc_rate,
            ks,
            count_holdout_rows,
            count_holdout_defaults,
        from credit_model_runs
        order by is_in_force desc, release_sequence desc
        limit 1
        """
    )
    if not rows:
        return Absent(text("absent.no_model_run"))
    version, fitted_as_of, is_in_force, verdict_en, verdict_zh, *measures = rows[0]
    return Scorecard(
        version if is_in_force else None, fitted_as_of, Text(verdict_en, verdict_zh), *measures
    )


def _exposures(marts: Marts, currency: str | None, feeds: Feeds) -> Exposures | Absent:
    if not marts.has(
        "credit_limits", "exposure_amount", "effective_headroom_amount", "recommended_limit_amount"
    ):
        return Absent(no_mart("credit_limits"))
    count, total, count_breached, over_limit, count_without_limit = marts.row(
        """
        select
            count(*) filter (where exposure_amount > 0),
            coalesce(sum(exposure_amount), 0),
            count(*) filter (where is_breached),
            coalesce(sum(exposure_amount - credit_limit_amount) filter (where is_breached), 0),
            count(*) filter (where limit_status = 'no_limit'),
        from credit_limits
        where currency = $currency
        """,
        {"currency": currency},
    )
    if not count:
        return _without_claims(marts, feeds, text("absent.no_exposure"))
    rows = marts.rows(
        """
        select
            coalesce(dim_customers.customer_name, credit_limits.customer_id),
            credit_limits.grade,
            credit_limits.exposure_amount,
            credit_limits.credit_limit_amount,
            credit_limits.utilisation_rate,
            credit_limits.effective_headroom_amount,
            credit_limits.recommended_limit_amount,
            credit_limits.advice_label_en,
            credit_limits.advice_label_zh,
            coalesce(credit_limits.is_breached, false),
        from credit_limits
        left join dim_customers using (customer_id)
        where credit_limits.currency = $currency and credit_limits.exposure_amount > 0
        order by credit_limits.exposure_amount desc, credit_limits.customer_id
        limit $shown
        """,
        {"currency": currency, "shown": TOP_CUSTOMERS},
    )
    return Exposures(
        customers=tuple(
            Exposure(
                name,
                grade,
                exposure,
                limit,
                utilisation,
                headroom,
                recommended,
                Text(advice_en, advice_zh),
                is_breached,
            )
            for (
                name,
                grade,
                exposure,
                limit,
                utilisation,
                headroom,
                recommended,
                advice_en,
                advice_zh,
                is_breached,
            ) in rows
        ),
        count_customers=count,
        total=total,
        count_breached=count_breached,
        over_limit=over_limit,
        count_without_limit=count_without_limit,
    )


def _bills(marts: Marts, currency: str | None, feeds: Feeds) -> tuple[BillRung, ...] | Absent:
    if not marts.has("bill_ladder", "issuer_kind", "ladder_status", "bill_amount"):
        return Absent(no_mart("bill_ladder"))
    rows = marts.rows(
        """
        select
            any_value(bucket_label_en),
            any_value(bucket_label_zh),
            sum(count_bills)::bigint,
            coalesce(sum(bill_amount) filter (
                where is_held and issuer_kind = 'bank_acceptance'
            ), 0),
            coalesce(sum(bill_amount) filter (
                where is_held and issuer_kind is distinct from 'bank_acceptance'
            ), 0),
            coalesce(sum(bill_amount) filter (where not is_held), 0),
        from (
            select *, ladder_status not in ('endorsed', 'discounted') as is_held from bill_ladder
        )
        where currency = $currency
        group by bucket_code, bucket_order
        order by bucket_order
        """,
        {"currency": currency},
    )
    if not rows:
        if marts.count("fct_payments"):
            return Absent(text("absent.no_bills"))
        return Absent(feeds.why_empty("payments"))
    return tuple(BillRung(Text(*row[:2]), *row[2:]) for row in rows)


def _alerts(marts: Marts, currency: str | None, feeds: Feeds) -> Alerts | Absent:
    if not marts.has("credit_alerts", "alert_rank", "kind", "severity_label_en", "step_en"):
        return Absent(no_mart("credit_alerts"))
    kinds = marts.rows(
        """
        select
            label_en,
            label_zh,
            severity,
            severity_label_en,
            severity_label_zh,
            count(*),
            sum(amount_at_risk),
        from credit_alerts
        where currency is null or currency = $currency
        group by kind, label_en, label_zh, severity, severity_label_en, severity_label_zh
        order by
            list_position(['critical', 'warning', 'info'], severity) nulls last,
            sum(amount_at_risk) desc nulls last,
            label_en
        """,
        {"currency": currency},
    )
    if not kinds:
        return _without_claims(marts, feeds, text("absent.no_alerts"))
    first = marts.rows(
        """
        select
            coalesce(dim_customers.customer_name, credit_alerts.customer_id),
            credit_alerts.label_en,
            credit_alerts.label_zh,
            credit_alerts.severity,
            credit_alerts.severity_label_en,
            credit_alerts.severity_label_zh,
            credit_alerts.since_on,
            credit_alerts.amount_at_risk,
            credit_alerts.evidence_en,
            credit_alerts.evidence_zh,
            credit_alerts.step_en,
            credit_alerts.step_zh,
        from credit_alerts
        left join dim_customers using (customer_id)
        where credit_alerts.currency is null or credit_alerts.currency = $currency
        order by credit_alerts.alert_rank
        limit $shown
        """,
        {"currency": currency, "shown": ALERTS_SHOWN},
    )
    return Alerts(
        kinds=tuple(
            AlertKind(Text(*row[:2]), row[2], Text(*row[3:5]), row[5], row[6]) for row in kinds
        ),
        first=tuple(
            Alert(
                customer_name=row[0],
                label=Text(*row[1:3]),
                severity=row[3],
                severity_label=Text(*row[4:6]),
                since=row[6],
                amount=row[7],
                evidence=Text(*row[8:10]),
                step=Text(*row[10:12]),
            )
            for row in first
        ),
    )


def _exceptions(
    marts: Marts, currency: str | None, feeds: Feeds
) -> tuple[ExceptionKind, ...] | Absent:
    if not marts.has("receivables_exceptions", "exception_code", "treatment_en", "step_en"):
        return Absent(no_mart("receivables_exceptions"))
    rows = marts.rows(
        """
        select
            label_en,
            label_zh,
            severity,
            count(*),
            sum(amount),
            any_value(treatment_en),
            any_value(treatment_zh),
            any_value(step_en),
            any_value(step_zh),
        from receivables_exceptions
        where currency = $currency
        group by exception_code, label_en, label_zh, severity
        order by
            list_position(['critical', 'warning', 'info'], severity) nulls last,
            sum(amount) desc nulls last,
            exception_code
        """,
        {"currency": currency},
    )
    if not rows:
        return _without_claims(marts, feeds, text("absent.no_exceptions"))
    return tuple(
        ExceptionKind(
            Text(label_en, label_zh),
            severity,
            count,
            amount,
            Text(treatment_en, treatment_zh),
            Text(step_en, step_zh),
        )
        for (
            label_en,
            label_zh,
            severity,
            count,
            amount,
            treatment_en,
            treatment_zh,
            step_en,
            step_zh,
        ) in rows
    )
