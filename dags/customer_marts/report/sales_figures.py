"""What a sales director asks of a release: movement, silence, concentration, list, retention.

As in `figures`, the SQL only selects and aggregates marts; definitions and bounds live in dbt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from customer_marts.report.figures import TOP_CUSTOMERS, Absent, Feeds, Marts, no_mart
from customer_marts.report.formats import Text
from customer_marts.report.labels import text

STAGE_MONTHS = 12
MOVES_SHOWN = 12
RETENTION_MONTHS = 24
VALUED_CUSTOMERS = 10
RETENTION_LISTED = (1, 3, 6, 12, 18, 24)
OFFERS_SHOWN = 10
# The order in which stages are drawn and listed, and how far down each is: a move to a greater
# depth is a fall. Who has not ordered yet has no depth.
STAGES = ("active", "reactivated", "new", "slowing", "at_risk", "dormant", "lost", "potential")
_DEPTHS = {"active": 0, "reactivated": 0, "new": 0, "slowing": 1, "at_risk": 2}
_DEPTHS |= {"dormant": 3, "lost": 4}


@dataclass(frozen=True)
class Stage:
    """A lifecycle stage and its customers at the end of each month shown."""

    code: str
    label: Text
    counts: tuple[int, ...]


@dataclass(frozen=True)
class StageMonths:
    """Customers by lifecycle stage at the end of each month; the last may be the as-of date."""

    months: tuple[date, ...]
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Move:
    """Customers that went from one stage to another: `down`, `up`, or neither."""

    origin: Text
    target: Text
    direction: str
    count_customers: int
    revenue: Decimal


@dataclass(frozen=True)
class Moves:
    """All movements between two month ends: the falls first, each side by revenue."""

    since: date
    until: date
    moves: tuple[Move, ...]
    count_stayed: int
    revenue_stayed: Decimal

    @property
    def shown(self) -> tuple[Move, ...]:
        """The movements that the page lists."""
        return self.moves[:MOVES_SHOWN]

    @property
    def rest(self) -> tuple[Move, ...]:
        """The movements that it adds up."""
        return self.moves[MOVES_SHOWN:]


@dataclass(frozen=True)
class SilentCustomer:
    """A customer silent for longer than 95 % of the gaps between its own orders."""

    customer_name: str
    account_manager: str | None
    revenue: Decimal
    recency_days: int
    gap_p95_days: float
    stage: Text
    reason: Text


@dataclass(frozen=True)
class Silence:
    """The first silent customers by revenue of 12 months, and how many there are in all."""

    customers: tuple[SilentCustomer, ...]
    count_customers: int
    revenue: Decimal
    all_revenue: Decimal


@dataclass(frozen=True)
class Measure:
    """A measure of concentration now and a year ago (None: no full 12 months lie before that)."""

    now: float
    before: float | None


@dataclass(frozen=True)
class ConcentratedGroup:
    """A group, or a customer without one, that reaches the bound of revenue or receivables."""

    name: str
    count_customers: int
    share_of_revenue: float | None
    share_of_receivables: float | None
    open_amount: Decimal | None
    overdue_amount: Decimal | None


@dataclass(frozen=True)
class Concentration:
    """How much of the last 12 months' revenue hangs on few customers."""

    state_on: date
    count_customers: int
    count_months: int
    hhi: Measure
    gini: Measure
    top_5_share: Measure
    groups: tuple[ConcentratedGroup, ...] | Absent


@dataclass(frozen=True)
class StrategicAccount:
    """A customer on the list."""

    rank: int
    customer_name: str
    score: float
    share_of_revenue: float | None
    group_share_of_revenue: float | None
    value_by_income: Decimal | None
    is_concentration_risk: bool


@dataclass(frozen=True)
class Criterion:
    """What the score is made of: the weight by judgement, and by how far customers differ."""

    label: Text
    definition: Text
    ahp_weight: float
    entropy_weight: float | None
    count_customers: int


@dataclass(frozen=True)
class Strategic:
    """The list, how customers came on it or not, and the weights with their consistency."""

    accounts: tuple[StrategicAccount, ...]
    stages: tuple[tuple[Text, int], ...]
    criteria: tuple[Criterion, ...]
    consistency_ratio: float | None
    consistency_ratio_limit: float | None


@dataclass(frozen=True)
class RetentionMonth:
    """All cohorts so many months after the first order, each counted by its customers.

    `count_known` are the customers of the cohorts for which survival is known by now.
    """

    months_since: int
    count_customers: int
    count_active: int
    count_known: int
    count_surviving: int

    @property
    def retention(self) -> Decimal:
        """The share that ordered in the month."""
        return Decimal(self.count_active) / self.count_customers

    @property
    def survival(self) -> Decimal | None:
        """The share that ordered in the month or later; None while no cohort can tell."""
        return Decimal(self.count_surviving) / self.count_known if self.count_known else None


@dataclass(frozen=True)
class Retention:
    """The pooled curve; customers of before the books are left out.

    opening_on: the first month in which any of them ordered; None without one.
    """

    months: tuple[RetentionMonth, ...]
    count_cohorts: int
    opening_on: date | None
    count_opening: int

    @property
    def listed(self) -> tuple[RetentionMonth, ...]:
        """The months of the short table."""
        return tuple(month for month in self.months if month.months_since in RETENTION_LISTED)


@dataclass(frozen=True)
class Offer:
    """A product to offer a customer next."""

    customer_name: str
    product_name: str
    expected_revenue: Decimal
    reason: Text


@dataclass(frozen=True)
class ValuedCustomer:
    """What a customer is expected to bring; ``is_provisional``: by a model not promoted yet."""

    customer_name: str
    probability_alive: float
    expected_purchases: float
    value_12: Decimal
    low_12: Decimal
    high_12: Decimal
    value_36: Decimal
    is_provisional: bool


@dataclass(frozen=True)
class ValueModel:
    """The fit of a sale type that gives its purchases, margins or renewals, and how it did on the
    holdout.
    """

    sale_type: Text
    subject: Text
    candidate: Text
    is_in_force: bool
    bias: float | None
    mae: float | None
    naive_mae: float | None
    verdict: Text


@dataclass(frozen=True)
class ExpectedValue:
    """The customers of most expected value that are not in default, how many are, the book's total
    and the models behind them.
    """

    customers: tuple[ValuedCustomer, ...]
    count_in_default: int
    count_valued: int
    margin_basis: str
    total_12: Decimal
    total_36: Decimal
    models: tuple[ValueModel, ...]


@dataclass(frozen=True)
class Portrait:
    """A lifecycle stage by the numbers of its customers, over 12 months."""

    label: Text
    is_thin: bool
    count_customers: int
    count_change: int | None
    share_of_customers: float
    share_of_revenue: float | None
    share_of_margin: float | None
    margin_rate: float | None
    gap_median_days: float | None
    overdue_rate: float | None
    csat: float | None
    count_csat: int | None
    nps: float | None
    count_nps: int | None


@dataclass(frozen=True)
class SalesFigures:
    """Everything that the sections for sales show."""

    stages: StageMonths | Absent
    moves: Moves | Absent
    silence: Silence | Absent
    concentration: Concentration | Absent
    strategic: Strategic | Absent
    retention: Retention | Absent
    offers: tuple[Offer, ...] | Absent
    value: ExpectedValue | Absent
    portraits: tuple[Portrait, ...] | Absent


def read_sales_figures(
    marts: Marts, as_of: date, currency: str | None, feeds: Feeds
) -> SalesFigures:
    """The sales sections' figures in `currency`, as of a date; what is absent says why."""
    labels = _stage_labels(marts)
    return SalesFigures(
        stages=_stages(marts, as_of, feeds, labels),
        moves=_moves(marts, as_of, currency, feeds),
        silence=_silence(marts, currency, feeds),
        concentration=_concentration(marts, as_of, currency, feeds),
        strategic=_strategic(marts, currency, feeds),
        retention=_retention(marts, as_of, feeds),
        offers=_offers(marts, currency, feeds),
        value=_expected_value(marts, currency, feeds),
        portraits=_portraits(marts, currency, feeds),
    )


def _stage_labels(marts: Marts) -> dict[str, Text]:
    """The wording of each stage, as the marts that carry one give it."""
    labels: dict[str, Text] = {}
    for table, code, condition in (
        ("segment_migration", "to_class", "dimension = 'lifecycle'"),
        ("customer_segments", "lifecycle", "lifecycle is not null"),
    ):
        if marts.has(table, code, f"{code}_label_en", f"{code}_label_zh"):
            for stage, label_en, label_zh in marts.rows(
                f"select distinct {code}, {code}_label_en, {code}_label_zh from {table}"
                f" where {condition} order by all"
            ):
                labels[stage] = Text(label_en, label_zh)
    return labels


def _place(stage: str) -> tuple[int, str]:
    """Where a stage comes in a list; stages unknown here come last, by their code."""
    return (STAGES.index(stage) if stage in STAGES else len(STAGES), stage)


def _stages(
    marts: Marts, as_of: date, feeds: Feeds, labels: dict[str, Text]
) -> StageMonths | Absent:
    if not marts.has("customer_segment_history", "month_on", "lifecycle"):
        return Absent(no_mart("customer_segment_history"))
    counts = {
        (month_on, stage): count
        for month_on, stage, count in marts.rows(
            """
            select month_on, lifecycle, count(*)
            from customer_segment_history
            where month_on in (
                select distinct month_on
                from customer_segment_history
                where month_on <= $as_of
                order by month_on desc
                limit $months
            )
            group by month_on, lifecycle
            """,
            {"as_of": as_of, "months": STAGE_MONTHS},
        )
    }
    months = sorted({month_on for month_on, _ in counts})
    if _only_potential(stage for _, stage in counts):
        return Absent(feeds.why_empty("orders"))
    if len(months) < 2:
        return Absent(text("absent.one_month"))
    return StageMonths(
        months=tuple(months),
        stages=tuple(
            Stage(
                code=stage,
                label=labels.get(stage, Text(stage, stage)),
                counts=tuple(counts.get((month_on, stage), 0) for month_on in months),
            )
            for stage in sorted({stage for _, stage in counts}, key=_place)
        ),
    )


def _only_potential(stages: Iterable[str]) -> bool:
    """Whether nobody in these stages has ever ordered: nothing to tell, then."""
    return not set(stages) - {"potential", "none"}


def _direction(origin: str, target: str) -> str:
    if target not in _DEPTHS:
        return ""
    if origin not in _DEPTHS:
        return "" if _DEPTHS[target] else "up"
    depth = _DEPTHS[target] - _DEPTHS[origin]
    return "down" if depth > 0 else "up" if depth < 0 else ""


_FALLS_FIRST = {"down": 0, "": 1, "up": 2}


def _moves(marts: Marts, as_of: date, currency: str | None, feeds: Feeds) -> Moves | Absent:
    if not marts.has("segment_migration", "dimension", "from_class", "to_class"):
        return Absent(no_mart("segment_migration"))
    rows = marts.rows(
        """
        select
            month_on,
            from_class,
            to_class,
            from_class_label_en,
            from_class_label_zh,
            to_class_label_en,
            to_class_label_zh,
            count_customers,
            revenue_12_months_amount,
        from segment_migration
        where dimension = 'lifecycle' and currency = $currency and month_on = (
            select max(month_on) from segment_migration where month_on <= $as_of
        )
        order by revenue_12_months_amount desc, count_customers desc, from_class, to_class
        """,
        {"currency": currency, "as_of": as_of},
    )
    if _only_potential(row[2] for row in rows):
        if marts.count("fct_orders"):
            return Absent(text("absent.one_month"))
        return Absent(feeds.why_empty("orders"))
    moves = [
        Move(
            origin=Text(from_en, from_zh),
            target=Text(to_en, to_zh),
            direction=_direction(origin, target),
            count_customers=count,
            revenue=revenue,
        )
        for _, origin, target, from_en, from_zh, to_en, to_zh, count, revenue in rows
        if origin != target
    ]
    stayed = [row for row in rows if row[1] == row[2]]
    month_on = rows[0][0]
    next_month_on = (month_on + timedelta(days=31)).replace(day=1)
    return Moves(
        since=month_on - timedelta(days=1),
        until=min(next_month_on - timedelta(days=1), as_of),
        moves=tuple(sorted(moves, key=lambda move: _FALLS_FIRST[move.direction])),
        count_stayed=sum(row[7] for row in stayed),
        revenue_stayed=sum((row[8] for row in stayed), Decimal(0)),
    )


# who is lost has slipped away already, and of the new nobody can say yet
_IS_SLIPPING = "is_silent_by_rhythm and lifecycle in ('slowing', 'at_risk', 'dormant')"


def _silence(marts: Marts, currency: str | None, feeds: Feeds) -> Silence | Absent:
    if not marts.has("customer_segments", "is_silent_by_rhythm", "gap_p95_days", "lifecycle"):
        return Absent(no_mart("customer_segments"))
    known, count, revenue, all_revenue = marts.row(
        f"""
        select
            count(is_silent_by_rhythm),
            count(*) filter (where is_slipping),
            coalesce(sum(revenue_12_months_amount) filter (where is_slipping), 0),
            coalesce(sum(revenue_12_months_amount), 0),
        from (select *, {_IS_SLIPPING} as is_slipping from customer_segments)
        where currency = $currency
        """,
        {"currency": currency},
    )
    if not known:
        reason = (
            text("absent.no_rhythm") if marts.count("fct_orders") else feeds.why_empty("orders")
        )
        return Absent(reason)
    if not count:
        return Absent(text("absent.nobody_silent"))
    rows = marts.rows(
        f"""
        select
            coalesce(dim_customers.customer_name, customer_segments.customer_id),
            dim_customers.account_manager,
            customer_segments.revenue_12_months_amount,
            customer_segments.recency_days,
            customer_segments.gap_p95_days,
            customer_segments.lifecycle_label_en,
            customer_segments.lifecycle_label_zh,
            customer_segments.lifecycle_reason_en,
            customer_segments.lifecycle_reason_zh,
        from customer_segments
        left join dim_customers using (customer_id)
        where {_IS_SLIPPING} and customer_segments.currency = $currency
        order by customer_segments.revenue_12_months_amount desc, customer_segments.customer_id
        limit $shown
        """,
        {"currency": currency, "shown": TOP_CUSTOMERS},
    )
    return Silence(
        customers=tuple(
            SilentCustomer(
                name, manager, own_revenue, days, p95, Text(stage_en, stage_zh), Text(en, zh)
            )
            for name, manager, own_revenue, days, p95, stage_en, stage_zh, en, zh in rows
        ),
        count_customers=count,
        revenue=revenue,
        all_revenue=all_revenue,
    )


def _concentration(
    marts: Marts, as_of: date, currency: str | None, feeds: Feeds
) -> Concentration | Absent:
    if not marts.has("book_concentration", "measure", "hhi", "gini", "top_5_share"):
        return Absent(no_mart("book_concentration"))
    # A year ago says something only where 12 months lie before it: 24 months in all.
    rows = marts.rows(
        """
        with months as (
            select *
            from book_concentration
            where measure = 'revenue_12_months' and currency = $currency and month_on <= $as_of
        )
        select
            months.state_on,
            months.count_customers,
            (select date_diff('month', min(month_on), max(month_on)) + 1 from months),
            months.hhi,
            before.hhi,
            months.gini,
            before.gini,
            months.top_5_share,
            before.top_5_share,
        from months
        left join months as before
            on before.month_on = months.month_on - interval 12 month
            and before.month_on >= (select min(month_on) + interval 11 month from months)
        where months.hhi is not null
        order by months.month_on desc
        limit 1
        """,
        {"currency": currency, "as_of": as_of},
    )
    if not rows:
        return Absent(feeds.why_empty("orders"))
    state_on, count_customers, count_months, *measures = rows[0]
    hhi, hhi_before, gini, gini_before, top_5, top_5_before = measures
    return Concentration(
        state_on=state_on,
        count_customers=count_customers,
        count_months=count_months,
        hhi=Measure(hhi, hhi_before),
        gini=Measure(gini, gini_before),
        top_5_share=Measure(top_5, top_5_before),
        groups=_concentrated_groups(marts),
    )


def _concentrated_groups(marts: Marts) -> tuple[ConcentratedGroup, ...] | Absent:
    """Groups that the strategic rules call a risk: the bound is theirs, and not repeated here."""
    if not marts.has("strategic_accounts", "is_concentration_risk", "group_key"):
        return Absent(no_mart("strategic_accounts"))
    if not marts.has("customer_groups", "group_key", "open_amount"):
        return Absent(no_mart("customer_groups"))
    balances = (
        "receivables_balances"
        if marts.has("receivables_balances", "customer_id", "open_amount", "overdue_amount")
        else "(select null::varchar as customer_id, null as open_amount, null as overdue_amount)"
    )
    return tuple(
        ConcentratedGroup(*row)
        for row in marts.rows(
            f"""
            with risks as (
                select
                    group_key,
                    any_value(customer_id) as customer_id,
                    any_value(group_share_of_revenue) as share_of_revenue,
                    any_value(group_share_of_receivables) as share_of_receivables,
                    count(*) as count_customers,
                from strategic_accounts
                where is_concentration_risk
                group by group_key
            )
            select
                coalesce(
                    customer_groups.group_name, dim_customers.customer_name, risks.group_key
                ),
                coalesce(customer_groups.count_customers, risks.count_customers),
                risks.share_of_revenue,
                risks.share_of_receivables,
                case when customer_groups.group_key is null
                    then balances.open_amount else customer_groups.open_amount end,
                case when customer_groups.group_key is null
                    then balances.overdue_amount else customer_groups.overdue_amount end,
            from risks
            left join customer_groups using (group_key)
            left join dim_customers on dim_customers.customer_id = risks.customer_id
            left join {balances} as balances on balances.customer_id = risks.customer_id
            order by risks.share_of_revenue desc nulls last, risks.group_key
            """
        )
    )


def _strategic(marts: Marts, currency: str | None, feeds: Feeds) -> Strategic | Absent:
    if not marts.has("strategic_accounts", "stage_reached", "score_rank"):
        return Absent(no_mart("strategic_accounts"))
    if not marts.has("strategic_weights", "ahp_weight", "consistency_ratio"):
        return Absent(no_mart("strategic_weights"))
    accounts = marts.rows(
        """
        select
            strategic_accounts.score_rank,
            coalesce(dim_customers.customer_name, strategic_accounts.customer_id),
            strategic_accounts.score,
            strategic_accounts.share_of_revenue,
            strategic_accounts.group_share_of_revenue,
            strategic_accounts.value_by_income_amount,
            strategic_accounts.is_concentration_risk,
        from strategic_accounts
        left join dim_customers using (customer_id)
        where strategic_accounts.stage_reached = 'listed'
            and strategic_accounts.currency = $currency
        order by strategic_accounts.score_rank
        """,
        {"currency": currency},
    )
    if not accounts:
        if not marts.count("fct_orders"):
            return Absent(feeds.why_empty("orders"))
        return Absent(text("absent.nobody_listed"))
    stages = marts.rows(
        """
        select stage_label_en, stage_label_zh, count(*)
        from strategic_accounts
        group by stage_reason, stage_label_en, stage_label_zh
        order by stage_reason = 'listed' desc, count(*), stage_reason
        """
    )
    criteria = marts.rows(
        """
        select
            criterion_label_en,
            criterion_label_zh,
            definition_en,
            definition_zh,
            ahp_weight,
            entropy_weight,
            count_customers,
            consistency_ratio,
            consistency_ratio_limit,
        from strategic_weights
        order by ahp_weight desc, criterion_order
        """
    )
    return Strategic(
        accounts=tuple(StrategicAccount(*row) for row in accounts),
        stages=tuple((Text(label_en, label_zh), count) for label_en, label_zh, count in stages),
        criteria=tuple(Criterion(Text(*row[:2]), Text(*row[2:4]), *row[4:7]) for row in criteria),
        consistency_ratio=criteria[0][7] if criteria else None,
        consistency_ratio_limit=criteria[0][8] if criteria else None,
    )


def _retention(marts: Marts, as_of: date, feeds: Feeds) -> Retention | Absent:
    if not marts.has("cohort_retention", "is_opening_cohort", "is_complete", "is_survival_known"):
        return Absent(no_mart("cohort_retention"))
    if not marts.count("cohort_retention"):
        return Absent(feeds.why_empty("orders"))
    rows = marts.rows(
        """
        select
            months_since,
            sum(count_customers)::bigint,
            sum(count_active)::bigint,
            coalesce(sum(count_customers) filter (where is_survival_known), 0)::bigint,
            coalesce(sum(count_ever_active_since) filter (where is_survival_known), 0)::bigint,
        from cohort_retention
        where not is_opening_cohort and is_complete
            and months_since <= $months and month_on <= $as_of
        group by months_since
        order by months_since
        """,
        {"months": RETENTION_MONTHS, "as_of": as_of},
    )
    if len(rows) < 2:
        return Absent(text("absent.no_cohorts"))
    count_cohorts, opening_on, count_opening = marts.row(
        """
        select
            count(*) filter (where not is_opening_cohort and is_complete),
            min(cohort_on) filter (where is_opening_cohort),
            coalesce(sum(count_customers) filter (where is_opening_cohort), 0)::bigint,
        from cohort_retention
        where months_since = 0
        """
    )
    return Retention(
        months=tuple(RetentionMonth(*row) for row in rows),
        count_cohorts=count_cohorts,
        opening_on=opening_on,
        count_opening=count_opening,
    )


def _offers(marts: Marts, currency: str | None, feeds: Feeds) -> tuple[Offer, ...] | Absent:
    if not marts.has("customer_product_gaps", "expected_revenue_amount", "reason_en", "reason_zh"):
        return Absent(no_mart("customer_product_gaps"))
    rows = marts.rows(
        f"""
        select
            coalesce(dim_customers.customer_name, customer_product_gaps.customer_id),
            customer_product_gaps.product_name,
            customer_product_gaps.expected_revenue_amount,
            customer_product_gaps.reason_en,
            customer_product_gaps.reason_zh,
        from customer_product_gaps
        left join dim_customers using (customer_id)
        where customer_product_gaps.currency = $currency
            and customer_product_gaps.customer_id not in ({_in_default(marts)})
        order by
            customer_product_gaps.expected_revenue_amount desc,
            customer_product_gaps.customer_id,
            customer_product_gaps.product_id
        limit $shown
        """,
        {"currency": currency, "shown": OFFERS_SHOWN},
    )
    if not rows:
        if marts.count("fct_order_lines"):
            return Absent(text("absent.no_offers"))
        return Absent(feeds.why_empty("order_lines"))
    return tuple(
        Offer(customer, product, expected, Text(reason_en, reason_zh))
        for customer, product, expected, reason_en, reason_zh in rows
    )


def _in_default(marts: Marts) -> str:
    """The customers that owe first, whatever they would bring or could be offered."""
    if marts.has("credit_scores", "is_in_default"):
        return "select customer_id from credit_scores where is_in_default"
    return "select null as customer_id where false"


def _expected_value(marts: Marts, currency: str | None, feeds: Feeds) -> ExpectedValue | Absent:
    if not marts.has("customer_clv", "expected_clv_12_months_amount", "clv_status", "margin_basis"):
        return Absent(no_mart("customer_clv"))
    if not marts.has("clv_model_runs", "is_scoring", "candidate", "bias_rate"):
        return Absent(no_mart("clv_model_runs"))
    in_default = _in_default(marts)
    customers = marts.rows(
        f"""
        select
            coalesce(dim_customers.customer_name, customer_clv.customer_id),
            customer_clv.probability_alive,
            customer_clv.expected_purchases_12_months,
            customer_clv.expected_clv_12_months_amount,
            customer_clv.expected_clv_12_months_low_amount,
            customer_clv.expected_clv_12_months_high_amount,
            customer_clv.expected_clv_36_months_amount,
            customer_clv.clv_status = 'provisional',
        from customer_clv
        left join dim_customers using (customer_id)
        where customer_clv.expected_clv_12_months_amount is not null
            and customer_clv.currency = $currency
            and customer_clv.customer_id not in ({in_default})
        order by customer_clv.expected_clv_12_months_amount desc, customer_clv.customer_id
        limit {VALUED_CUSTOMERS}
        """,
        {"currency": currency},
    )
    if not customers:
        if not marts.count("fct_orders"):
            return Absent(feeds.why_empty("orders"))
        return Absent(text("absent.nobody_valued"))
    count, count_in_default, total_12, total_36, margin_basis = marts.row(
        f"""
        select
            count(*),
            count(*) filter (where customer_id in ({in_default})),
            sum(expected_clv_12_months_amount),
            sum(expected_clv_36_months_amount),
            min(margin_basis),
        from customer_clv
        where expected_clv_12_months_amount is not null and currency = $currency
        """,
        {"currency": currency},
    )
    models = marts.rows(
        """
        select
            sale_type, split_part(model, '_', 2) as subject, candidate_label_en,
            candidate_label_zh, is_in_force, bias_rate, mae,
            least(naive_rate_mae, naive_silence_mae), verdict_en, verdict_zh,
        from clv_model_runs
        where is_scoring
        order by sale_type, subject <> 'purchases', subject
        """
    )
    return ExpectedValue(
        customers=tuple(ValuedCustomer(*row) for row in customers),
        count_in_default=count_in_default,
        count_valued=count,
        margin_basis=margin_basis,
        total_12=total_12,
        total_36=total_36,
        models=tuple(
            ValueModel(
                sale_type=text(f"sale_type.{sale_type}"),
                subject=text(f"subject.{subject}"),
                candidate=Text(candidate_en, candidate_zh),
                is_in_force=is_in_force,
                bias=bias,
                mae=mae,
                naive_mae=naive_mae,
                verdict=Text(verdict_en, verdict_zh),
            )
            for (
                sale_type,
                subject,
                candidate_en,
                candidate_zh,
                is_in_force,
                bias,
                mae,
                naive_mae,
                verdict_en,
                verdict_zh,
            ) in models
        ),
    )


def _portraits(marts: Marts, currency: str | None, feeds: Feeds) -> tuple[Portrait, ...] | Absent:
    if not marts.has("segment_profiles", "dimension", "is_thin", "count_csat_answers"):
        return Absent(no_mart("segment_profiles"))
    rows = marts.rows(
        """
        select
            class_code,
            class_label_en,
            class_label_zh,
            is_thin,
            count_customers,
            count_customers_change,
            share_of_customers,
            share_of_revenue,
            share_of_margin,
            margin_rate,
            gap_median_days,
            overdue_rate,
            csat_score_rate_mean,
            count_csat_answers,
            nps_score,
            count_nps_answers,
        from segment_profiles
        where dimension = 'lifecycle' and currency = $currency
        """,
        {"currency": currency},
    )
    if _only_potential(row[0] for row in rows):
        return Absent(feeds.why_empty("orders"))
    return tuple(
        Portrait(Text(*row[1:3]), *row[3:]) for row in sorted(rows, key=lambda row: _place(row[0]))
    )
