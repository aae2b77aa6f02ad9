"""Writing the release report: figures, charts and run record into one HTML file.

The file needs nothing but itself: style sheet and SVG are inside, there is no script, and it
refers to no other address. It opens from disk, prints, and follows the reader's dark mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customer_marts.report import formats
from customer_marts.report.formats import Text
from customer_marts.report.labels import has_label, text

if TYPE_CHECKING:
    from markupsafe import Markup

    from customer_marts.report.charts import Chart
    from customer_marts.report.credit_figures import Bridge, CreditFigures, MetricMonth
    from customer_marts.report.figures import Absent, Bucket, Figures, Grouping, Nps
    from customer_marts.report.sales_figures import Concentration, Measure, SalesFigures

_TEMPLATES = Path(__file__).parent
_GATE_KINDS = (
    ("landing", ("landing",)),
    ("marts", ("dbt", "marts", "changes")),
)
_CURRENCY_WORDS_ZH = {"CNY": "元", "USD": "美元", "EUR": "欧元", "HKD": "港元", "JPY": "日元"}


@dataclass(frozen=True)
class Note:
    """A line under a key figure; a change has a direction (`up` or `down`).

    Up is good unless the direction says otherwise (`up worse`, `down better`).
    """

    words: Text
    direction: str = ""


@dataclass(frozen=True)
class Tile:
    """A key figure: its value as text in both languages, or the reason why it has none."""

    label: Text
    value: Text | None = None
    exact: str | None = None
    notes: tuple[Note, ...] = ()
    absent: Text | None = None


@dataclass(frozen=True)
class FeedDate:
    """How far a feed's data reach, and how many days that is before the as-of date."""

    label: Text
    through: date | None
    days_behind: int | None


@dataclass(frozen=True)
class Finding:
    """An expectation that was not met."""

    gate: str
    suite: str
    table: str
    column: str
    rule: str
    severity: str
    message: str


@dataclass(frozen=True)
class SuiteResult:
    """One suite of a gate: passed, warned (only warnings not met) or failed."""

    gate: str
    suite: str
    table: str
    outcome: str
    rows: int | None
    seconds: float


@dataclass(frozen=True)
class GateSummary:
    """The suites of a gate counted by outcome."""

    title: Text
    count_suites: int
    count_passed: int
    count_warned: int
    count_failed: int
    seconds: float


@dataclass(frozen=True)
class MartRows:
    """Rows of a mart now and in the previous release (None: not in it)."""

    mart: str
    now: int
    before: int | None

    @property
    def difference(self) -> int | None:
        """Rows more (or, negative, fewer) than before; None without a before."""
        return None if self.before is None else self.now - self.before


@dataclass(frozen=True)
class Step:
    """A step of the run, and its share of the run's time."""

    name: str
    seconds: float
    share: float


@dataclass(frozen=True)
class RunRecord:
    """What the manifest tells about the run, made safe against missing keys."""

    feeds: tuple[FeedDate, ...]
    gates: tuple[GateSummary, ...]
    suites: tuple[SuiteResult, ...]
    findings: tuple[Finding, ...]
    steps: tuple[Step, ...]
    seconds: float
    marts: tuple[MartRows, ...]
    files: tuple[tuple[str, int | None, str], ...]
    batches: tuple[tuple[Text, tuple[str, ...]], ...]


def write_report(marts: Path, manifest: Mapping[str, Any], destination: Path) -> None:
    """Write the report of one release as a self-contained HTML file.

    marts: the release's ``marts.duckdb``, opened read-only. manifest: the release's manifest; keys
    that are missing leave their part of the page with a stated reason. destination: the file to
    write; it is replaced as a whole or not at all.

    Raises ValueError when neither the manifest nor the marts name an as-of date, and duckdb's own
    errors when the file cannot be opened.
    """
    import duckdb

    from customer_marts.report.credit_figures import read_credit_figures
    from customer_marts.report.figures import Feeds, Marts, quarantine_lines, read_figures
    from customer_marts.report.management_figures import read_management_figures
    from customer_marts.report.sales_figures import read_sales_figures

    with duckdb.connect(str(marts), read_only=True) as connection:
        figures = read_figures(connection, manifest)
        released, feeds = Marts(connection), Feeds(manifest)
        asked = (released, figures.as_of, figures.currency, feeds)
        sales = read_sales_figures(*asked)
        credit = read_credit_figures(*asked)
        management = read_management_figures(released, figures.currency, feeds)
        quarantine = quarantine_lines(connection, manifest)
    run = _run_record(manifest, figures.as_of)
    write_page(
        destination,
        "template.html.j2",
        manifest=manifest,
        company=_company(manifest),
        figures=figures,
        sales=sales,
        credit=credit,
        management=management,
        run=run,
        quarantine=quarantine,
        count_quarantined=sum(line.count_rows for line in quarantine),
        tiles=_tiles(figures),
        concentration_tiles=_concentration_tiles(sales.concentration),
        credit_tiles=_credit_tiles(credit, figures.currency),
        charts=_charts(figures) | _sales_charts(sales) | _credit_charts(credit),
        currency=figures.currency,
    )


# --- the template and its helpers -------------------------------------------------------------


def write_page(destination: Path, template: str, **values: object) -> None:
    """Write a page of the report's templates; the file is replaced as a whole or not at all."""
    page = _templates().get_template(template).render(**values)
    unfinished = destination.with_name(f"{destination.name}.unfinished")
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(destination)


@cache
def _templates() -> Any:
    """The pages' templates and helpers, each compiled once a process."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup, escape

    def both(words: Text) -> Markup:
        if words.en == words.zh:
            return escape(words.en)
        return Markup(
            f'<span lang="en">{escape(words.en)}</span> '
            f'<span lang="zh-Hans">{escape(words.zh)}</span>'
        )

    def label(key: str, **values: object) -> Markup:
        return both(text(key, **values))

    def money(value: Decimal | None, currency: str | None) -> Markup:
        if value is None:
            return _nothing()
        shown = formats.amount(value, currency)
        negative = " negative" if shown.is_negative else ""
        return Markup(
            f'<span class="money{negative}" title="{escape(shown.exact)}">'
            f'<span lang="en">{escape(shown.en)}</span>'
            f'<span lang="zh-Hans">{escape(shown.zh)}</span></span>'
        )

    def rate(value: Decimal | float | None, places: int = 1) -> Markup:
        if value is None:
            return _nothing()
        return _number(formats.percent(value, places), value < 0)

    def change(value: Decimal | None) -> Markup:
        if value is None:
            return _nothing()
        return _number(_signed_percent(value), value < 0)

    def number(value: int | None) -> Markup:
        return _nothing() if value is None else _number(formats.count(value), value < 0)

    def decimals(value: float | None, places: int = 1) -> Markup:
        return _nothing() if value is None else _number(formats.decimal(value, places), value < 0)

    def _number(shown: str, is_negative: bool) -> Markup:
        return (
            Markup('<span class="negative">{}</span>').format(shown)
            if is_negative
            else escape(shown)
        )

    def _nothing() -> Markup:
        unknown = text("page.unknown")
        return Markup('<span class="nothing" title="{} {}">{}</span>').format(
            unknown.en, unknown.zh, formats.NOTHING
        )

    def named(prefix: str, name: str) -> Markup:
        """The label `prefix.name`, or the bare name when it has none."""
        key = f"{prefix}.{name}"
        return label(key) if has_label(key) else escape(name)

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        t=label,
        words=text,
        both=both,
        named=named,
        money=money,
        rate=rate,
        change=change,
        number=number,
        decimals=decimals,
        amount_words=_money_words,
        todo=_todo,
        share=formats.share,
        percent=formats.percent,
        relative=formats.change,
        difference=formats.difference,
        seconds=formats.seconds,
        size=formats.size_bytes,
        moment=formats.moment,
        nothing=_nothing,
    )
    environment.tests["absent"] = _is_absent
    return environment


def _is_absent(value: object) -> bool:
    from customer_marts.report.figures import Absent

    return isinstance(value, Absent)


_TODO_BY_RULE = {
    "unknown_unit": "type",
    "unknown": "unknown",
    "invalid": "type",
    "too_precise": "type",
    "waiver": "waiver",
    "currency_without_rate": "currency",
}


def _todo(rule: str) -> Text:
    for prefix, kind in _TODO_BY_RULE.items():
        if rule.startswith(prefix):
            return text(f"todo.{kind}")
    return text("todo.default")


def _company(manifest: Mapping[str, Any]) -> Text:
    fallback = str(manifest.get("company") or "customer-marts")
    en = str(manifest.get("company_name_en") or manifest.get("company_name_zh") or fallback)
    return Text(en, str(manifest.get("company_name_zh") or en))


def _signed_percent(value: Decimal, places: int = 1) -> str:
    shown = formats.percent(value, places)
    return shown if value < 0 else f"+{shown}"


# --- key figures ------------------------------------------------------------------------------


def _tiles(figures: Figures) -> tuple[Tile, ...]:
    overview = figures.overview
    no_orders = _reason(figures.months, text("absent.no_costs"))
    no_documents = _reason(figures.buckets, _empty("invoices"))
    return (
        _customers_tile(overview.count_customers),
        _active_tile(figures, no_orders),
        _amount_tile(
            "tile.revenue",
            None if _is_absent(figures.months) else overview.revenue,
            figures.currency,
            no_orders,
            overview.revenue_before,
        ),
        _margin_tile(figures, no_orders),
        _amount_tile(
            "tile.cash_in",
            overview.cash_in,
            figures.currency,
            _empty("payments"),
            overview.cash_in_before,
        ),
        _open_tile(figures, no_documents),
        _overdue_tile(figures, no_documents),
        _nps_tile(overview.nps, figures.nps_absent or text("absent.no_surveys")),
    )


def _reason(figure: object, otherwise: Text) -> Text:
    from customer_marts.report.figures import Absent

    return figure.reason if isinstance(figure, Absent) else otherwise


def _plain(shown: str) -> Text:
    return Text(shown, shown)


def _money_words(key: str, value: Decimal, currency: str | None, **values: object) -> Text:
    """The wording of `key` with `{amount}` scaled for each language."""
    shown = formats.amount(value, currency)
    return Text(
        text(key, amount=shown.en, **values).en,
        text(key, amount=shown.zh, **values).zh,
    )


def _compared(now: Decimal | None, before: Decimal | None) -> Note:
    relative = formats.change(now, before)
    if relative is None:
        return Note(text("tile.no_before"))
    return Note(text("tile.change", change=_signed_percent(relative)), _direction(relative))


def _amount_tile(
    key: str, value: Decimal | None, currency: str | None, absent: Text, before: Decimal | None
) -> Tile:
    if value is None:
        return Tile(text(key), absent=absent)
    return Tile(text(key), *_money_value(value, currency), notes=(_compared(value, before),))


def _money_value(value: Decimal, currency: str | None) -> tuple[Text, str]:
    shown = formats.amount(value, currency)
    return Text(f"{currency} {shown.en}" if currency else shown.en, shown.zh), shown.exact


def _customers_tile(count_customers: int | None) -> Tile:
    if count_customers is None:
        return Tile(text("tile.customers"), absent=_empty("customers"))
    return Tile(
        text("tile.customers"),
        _plain(formats.count(count_customers)),
        notes=(Note(text("tile.in_book")),),
    )


def _active_tile(figures: Figures, absent: Text) -> Tile:
    overview = figures.overview
    if overview.count_active is None:
        return Tile(text("tile.active"), absent=absent)
    active = Decimal(overview.count_active)
    before = overview.count_active_before
    notes = [_compared(active, None if before is None else Decimal(before))]
    of_all = formats.share(active, Decimal(overview.count_customers or 0))
    if of_all is not None:
        notes.append(Note(text("tile.active_note", share=formats.percent(of_all))))
    return Tile(
        text("tile.active"), _plain(formats.count(overview.count_active)), notes=tuple(notes)
    )


def _margin_tile(figures: Figures, no_orders: Text) -> Tile:
    overview = figures.overview
    now = formats.share(overview.margin, overview.revenue_with_cost)
    if now is None or overview.margin is None:
        reason = no_orders if _is_absent(figures.months) else text("absent.no_costs")
        return Tile(text("tile.margin_rate"), absent=reason)
    notes = []
    before = formats.share(overview.margin_before, overview.revenue_with_cost_before)
    if before is not None:
        points = (now - before) * 100
        sign = "+" if points >= 0 else formats.MINUS
        notes.append(
            Note(text("tile.change_points", change=f"{sign}{abs(points):.1f}"), _direction(points))
        )
    coverage = formats.share(overview.revenue_with_cost, overview.revenue)
    if coverage is not None:
        notes.append(Note(text("tile.coverage", share=formats.percent(coverage))))
    return Tile(
        text("tile.margin_rate"),
        _plain(formats.percent(now)),
        formats.amount(overview.margin, figures.currency).exact,
        tuple(notes),
    )


def _open_tile(figures: Figures, absent: Text) -> Tile:
    overview = figures.overview
    if overview.open_amount is None:
        return Tile(text("tile.open"), absent=absent)
    notes = [Note(text("tile.open_note"))]
    if overview.unapplied_cash:
        notes.append(
            Note(_money_words("tile.unapplied", overview.unapplied_cash, figures.currency))
        )
    return Tile(
        text("tile.open"),
        *_money_value(overview.open_amount, figures.currency),
        notes=tuple(notes),
    )


def _overdue_tile(figures: Figures, absent: Text) -> Tile:
    overview = figures.overview
    overdue_share = formats.share(overview.overdue_amount, overview.open_amount)
    if overview.overdue_amount is None:
        return Tile(text("tile.overdue"), absent=absent)
    if overdue_share is None:
        return Tile(text("tile.overdue"), absent=text("absent.nothing_open"))
    note = _money_words(
        "tile.overdue_note",
        overview.overdue_amount,
        figures.currency,
        count=overview.count_overdue_customers,
    )
    return Tile(
        text("tile.overdue"),
        _plain(formats.percent(overdue_share)),
        formats.amount(overview.overdue_amount, figures.currency).exact,
        (Note(note),),
    )


def _nps_tile(nps: Nps | None, absent: Text) -> Tile:
    if nps is None:
        return Tile(text("tile.nps"), absent=absent)

    def points(value: float) -> str:
        return formats.signed(f"{abs(value):.0f}", round(value) < 0)

    counts = {
        "answers": formats.count(nps.count_answers),
        "customers": formats.count(nps.count_customers),
    }
    note = (
        text("tile.nps_thin", **counts)
        if nps.low is None or nps.high is None
        else text("tile.nps_note", **counts, low=points(nps.low), high=points(nps.high))
    )
    return Tile(text("tile.nps"), _plain(points(nps.points)), f"{nps.points:.2f}", (Note(note),))


def _direction(relative: Decimal | None) -> str:
    """`up`, `down` or nothing, for the arrow beside a change."""
    if relative is None or relative == 0:
        return ""
    return "up" if relative > 0 else "down"


def _empty(feed: str) -> Text:
    name = text(f"feed.{feed}")
    reason = text("absent.no_feed")
    return Text(reason.en.format(feeds=name.en.lower()), reason.zh.format(feeds=name.zh))


def _concentration_tiles(concentration: Concentration | Absent) -> tuple[Tile, ...]:
    from customer_marts.report.figures import Absent

    if isinstance(concentration, Absent):
        return ()
    hhi, gini, top_5 = concentration.hhi, concentration.gini, concentration.top_5_share
    tiles = [
        Tile(
            text("tile.hhi"),
            _plain(formats.decimal(hhi.now, 0)),
            f"{hhi.now:.4f}",
            (
                _a_year_ago(hhi, "tile.change_year", 1, 0),
                Note(text("tile.hhi_note", count=formats.count(round(10_000 / hhi.now)))),
            ),
        ),
        Tile(
            text("tile.gini"),
            _plain(formats.decimal(gini.now, 3)),
            f"{gini.now:.4f}",
            (
                _a_year_ago(gini, "tile.change_year", 1, 3),
                Note(text("tile.gini_note")),
            ),
        ),
        Tile(
            text("tile.top_5"),
            _plain(formats.percent(top_5.now)),
            f"{100 * top_5.now:.4f} %",
            (
                _a_year_ago(top_5, "tile.change_year_points", 100, 1),
                Note(text("tile.top_5_note", count=formats.count(concentration.count_customers))),
            ),
        ),
    ]
    return (*tiles, _groups_tile(concentration))


def _a_year_ago(measure: Measure, key: str, factor: int, places: int) -> Note:
    """The change of a measure of concentration: more of it is worse."""
    if measure.before is None:
        return Note(text("tile.no_before"))
    change = factor * (measure.now - measure.before)
    size = formats.decimal(abs(change), places)
    if not float(size.replace(",", "")):
        return Note(text(key, change=size))
    sign = "+" if change > 0 else formats.MINUS
    return Note(text(key, change=f"{sign}{size}"), "up worse" if change > 0 else "down better")


def _groups_tile(concentration: Concentration) -> Tile:
    groups = concentration.groups
    if not isinstance(groups, tuple):
        return Tile(text("tile.groups"), absent=groups.reason)
    together = sum(group.share_of_revenue or 0 for group in groups)
    note = text("tile.groups_note", share=formats.percent(together))
    return Tile(
        text("tile.groups"),
        _plain(formats.count(len(groups))),
        notes=(Note(note if groups else text("tile.no_groups")),),
    )


def _credit_tiles(credit: CreditFigures, currency: str | None) -> tuple[Tile, ...]:
    return (
        _provision_tile(credit, currency),
        _dso_tile(credit),
        _over_limit_tile(credit, currency),
        _alerts_tile(credit),
    )


def _provision_tile(credit: CreditFigures, currency: str | None) -> Tile:
    from customer_marts.report.figures import Absent

    if isinstance(credit.provision, Absent):
        return Tile(text("tile.provision"), absent=credit.provision.reason)
    total = credit.provision.receivables
    notes = []
    if total.rate is not None:
        notes.append(Note(text("tile.provision_note", share=formats.percent(total.rate))))
    if not isinstance(credit.bridge, Absent):
        opening = credit.bridge.steps[0].months
        change = formats.change(credit.bridge.steps[-1].months, opening)
        if change is not None:
            key = text(
                "tile.provision_change",
                change=_signed_percent(change),
                count=credit.bridge.count_months,
            )
            notes.append(Note(key, "up worse" if change > 0 else "down better" if change else ""))
    return Tile(text("tile.provision"), *_money_value(total.provision, currency), tuple(notes))


def _dso_tile(credit: CreditFigures) -> Tile:
    from customer_marts.report.figures import Absent

    if isinstance(credit.metrics, Absent):
        return Tile(text("tile.dso"), absent=credit.metrics.reason)
    latest = credit.metrics[-1]
    if latest.dso is None:
        return Tile(text("tile.dso"), absent=text("absent.no_dso"))
    notes = []
    if latest.best_dso is not None:
        notes.append(Note(text("tile.dso_note", days=formats.decimal(latest.best_dso, 1))))
    before = [month for month in credit.metrics if _is_a_year_before(month, latest)]
    if before and before[0].dso is not None:
        change = round(latest.dso - before[0].dso, 1)
        sign = "+" if change > 0 else formats.MINUS if change < 0 else ""
        direction = "up worse" if change > 0 else "down better" if change < 0 else ""
        notes.append(Note(text("tile.dso_change", change=f"{sign}{abs(change):.1f}"), direction))
    return Tile(
        text("tile.dso"),
        Text(f"{latest.dso:.1f} days", f"{latest.dso:.1f} 天"),
        f"{latest.dso:.4f}",
        tuple(notes),
    )


def _is_a_year_before(month: MetricMonth, latest: MetricMonth) -> bool:
    on = latest.month_on
    return month.month_on == on.replace(year=on.year - 1)


def _over_limit_tile(credit: CreditFigures, currency: str | None) -> Tile:
    from customer_marts.report.figures import Absent

    exposures = credit.exposures
    if isinstance(exposures, Absent):
        return Tile(text("tile.over_limit"), absent=exposures.reason)
    notes = [
        Note(
            _money_words("tile.over_limit_note", exposures.over_limit, currency)
            if exposures.count_breached
            else text("tile.nobody_over")
        )
    ]
    if exposures.count_without_limit:
        notes.append(
            Note(text("tile.no_limit", count=formats.count(exposures.count_without_limit)))
        )
    return Tile(
        text("tile.over_limit"),
        _plain(formats.count(exposures.count_breached)),
        notes=tuple(notes),
    )


def _alerts_tile(credit: CreditFigures) -> Tile:
    from customer_marts.report.figures import Absent

    if isinstance(credit.alerts, Absent):
        return Tile(text("tile.alerts"), absent=credit.alerts.reason)
    note = text(
        "tile.alerts_note",
        critical=formats.count(credit.alerts.count_of("critical")),
        warning=formats.count(credit.alerts.count_of("warning")),
    )
    return Tile(
        text("tile.alerts"), _plain(formats.count(credit.alerts.count)), notes=(Note(note),)
    )


# --- charts -----------------------------------------------------------------------------------


def _charts(figures: Figures) -> dict[str, Chart]:
    """The charts that the figures allow, by name; what is absent has no chart."""
    from customer_marts.report import charts
    from customer_marts.report.figures import Grouping

    currency = figures.currency
    unit_zh = _CURRENCY_WORDS_ZH.get(currency or "", currency or "")
    drawn: dict[str, Chart] = {}
    if isinstance(figures.months, tuple):
        has_margin = any(month.margin is not None for month in figures.months)
        drawn["revenue"] = charts.revenue_chart(
            figures.months,
            currency,
            unit_zh,
            text("chart.revenue" if has_margin else "chart.revenue_only"),
        )
    if isinstance(figures.cash_months, tuple):
        drawn["cash"] = charts.cash_chart(
            figures.cash_months, currency, unit_zh, text("chart.cash")
        )
    if isinstance(figures.top_customers, tuple):
        total = figures.overview.revenue
        drawn["top"] = charts.bar_chart(
            [
                charts.Bar(
                    label=Text(customer.customer_name, customer.customer_name),
                    value=float(customer.revenue),
                    caption=_caption(customer.revenue),
                    colour=charts.REVENUE,
                    aside=_share_text(customer.cumulative_revenue, total),
                )
                for customer in figures.top_customers
            ],
            text("chart.top", count=len(figures.top_customers)),
            text("chart.cumulative"),
        )
    if isinstance(figures.rfm, Grouping):
        drawn["rfm"] = _segment_chart(figures.rfm)
    if isinstance(figures.buckets, tuple):
        for basis, key in (("due_date", "ageing_due"), ("invoice_date", "ageing_invoice")):
            buckets = [bucket for bucket in figures.buckets if bucket.basis == basis]
            if buckets:
                drawn[key] = _ageing_chart(buckets, text(f"chart.{key}"))
    return drawn


def _sales_charts(sales: SalesFigures) -> dict[str, Chart]:
    from customer_marts.report import charts
    from customer_marts.report.figures import Absent

    drawn: dict[str, Chart] = {}
    if not isinstance(sales.stages, Absent):
        drawn["stages"] = charts.stage_chart(sales.stages, text("chart.stages"))
    if not isinstance(sales.retention, Absent):
        drawn["retention"] = charts.retention_chart(
            sales.retention, text("chart.retention"), text("chart.of_cohort")
        )
    return drawn


def _credit_charts(credit: CreditFigures) -> dict[str, Chart]:
    from customer_marts.report import charts
    from customer_marts.report.figures import Absent

    drawn: dict[str, Chart] = {}
    if not isinstance(credit.bridge, Absent):
        drawn["bridge"] = charts.bridge_chart(
            credit.bridge,
            [_caption(step.months) for step in credit.bridge.steps],
            _bridge_title(credit.bridge),
        )
    if not isinstance(credit.metrics, Absent):
        months = [month.month_on for month in credit.metrics]
        full = [month for month in credit.metrics if not month.is_partial]
        drawn["dso"] = charts.line_chart(
            months,
            [
                charts.Line(
                    text("col.dso"), charts.LATE, tuple(month.dso for month in credit.metrics)
                ),
                charts.Line(
                    text("col.best_dso"),
                    charts.REVENUE,
                    tuple(month.best_dso for month in credit.metrics),
                ),
            ],
            text("chart.dso"),
            text("unit.days"),
        )
        if any(month.collection is not None for month in full):
            drawn["collection"] = charts.line_chart(
                [month.month_on for month in full],
                [
                    charts.Line(
                        text("col.collection"),
                        charts.CASH,
                        tuple(_hundredths(month.collection) for month in full),
                    ),
                    charts.Line(
                        text("col.cash_collection"),
                        charts.INVOICED,
                        tuple(_hundredths(month.cash_collection) for month in full),
                    ),
                ],
                text("chart.collection"),
                text("unit.percent"),
            )
    if not isinstance(credit.grades, Absent) and not isinstance(credit.grades.months, Absent):
        drawn["grades"] = charts.stage_chart(
            credit.grades.months, text("chart.grades"), charts.GRADE_COLOURS
        )
    return drawn


def _bridge_title(bridge: Bridge) -> Text:
    return text("chart.bridge", count=bridge.count_months)


def _hundredths(rate: float | None) -> float | None:
    return None if rate is None else 100 * rate


def _caption(value: Decimal) -> Text:
    # Chinese without its currency word: the heading names the currency.
    shown = formats.amount(value, None)
    return Text(shown.en, shown.zh)


def _share_text(part: Decimal, total: Decimal | None) -> Text | None:
    value = formats.share(part, total)
    if value is None:
        return None
    shown = formats.percent(value)
    return Text(shown, shown)


def _segment_chart(grouping: Grouping) -> Chart:
    from customer_marts.report import charts

    return charts.paired_chart(
        [
            charts.PairedBar(
                label=group.label,
                first=group.count_customers / grouping.count_customers,
                second=float(formats.share(group.revenue, grouping.revenue) or 0),
            )
            for group in grouping.groups
        ],
        text("chart.rfm"),
    )


def _ageing_chart(buckets: Sequence[Bucket], title: Text) -> Chart:
    from customer_marts.report import charts
    from customer_marts.report.figures import NOT_DUE_BUCKETS

    return charts.bar_chart(
        [
            charts.Bar(
                label=bucket.label,
                value=float(bucket.open_amount),
                caption=_caption(bucket.open_amount),
                colour=charts.REVENUE
                if bucket.basis == "invoice_date" or bucket.code in NOT_DUE_BUCKETS
                else charts.LATE,
                aside=None,
            )
            for bucket in buckets
        ],
        title,
    )


# --- the run, as the manifest tells it ----------------------------------------------------------


def _run_record(manifest: Mapping[str, Any], as_of: date) -> RunRecord:
    suites = []
    findings = []
    for entry in _mappings(manifest.get("gates")):
        gate = str(entry.get("gate") or "")
        suite = str(entry.get("suite") or "")
        table = str(entry.get("table") or "")
        unmet = list(_mappings(entry.get("failed")))
        findings += [
            Finding(
                gate=gate,
                suite=suite,
                table=table,
                column=str(item.get("column") or ""),
                rule=str(item.get("rule") or item.get("expectation") or ""),
                severity=str(item.get("severity") or "critical"),
                message=str(item.get("message") or ""),
            )
            for item in unmet
        ]
        suites.append(
            SuiteResult(
                gate=gate,
                suite=suite,
                table=table,
                outcome=_outcome(entry, unmet),
                rows=entry.get("rows"),
                seconds=float(entry.get("seconds") or 0),
            )
        )
    steps = [
        (str(entry.get("step") or ""), float(entry.get("seconds") or 0))
        for entry in _mappings(manifest.get("steps"))
    ]
    total = sum(spent for _, spent in steps)
    before = manifest.get("rows_before") or {}
    batches = manifest.get("batches") or {}
    return RunRecord(
        feeds=_feed_dates(manifest.get("data_through") or {}, as_of),
        gates=_gate_summaries(suites),
        suites=tuple(suites),
        findings=tuple(findings),
        steps=tuple(Step(name, spent, spent / total if total else 0.0) for name, spent in steps),
        seconds=total,
        marts=tuple(
            MartRows(mart, int(count), before.get(mart))
            for mart, count in (manifest.get("rows") or {}).items()
        ),
        files=tuple(
            (name, entry.get("bytes"), str(entry.get("sha256") or ""))
            for name, entry in (manifest.get("files") or {}).items()
            if isinstance(entry, Mapping)
        ),
        batches=tuple(
            (_feed_label(feed), tuple(str(batch) for batch in names or ()))
            for feed, names in batches.items()
        ),
    )


def _mappings(entries: object) -> Iterable[Mapping[str, Any]]:
    if not isinstance(entries, Iterable):
        return ()
    return (entry for entry in entries if isinstance(entry, Mapping))


def _outcome(entry: Mapping[str, Any], unmet: Sequence[Mapping[str, Any]]) -> str:
    # A suite's `success` is false for warnings too: the severity of what is unmet decides.
    if any(item.get("severity") != "warning" for item in unmet):
        return "failed"
    if unmet:
        return "warned"
    return "passed" if entry.get("success", True) else "failed"


def _gate_summaries(suites: Sequence[SuiteResult]) -> tuple[GateSummary, ...]:
    known = {gate for _, gates in _GATE_KINDS for gate in gates}
    other = sorted({suite.gate for suite in suites} - known)
    summaries = []
    for kind, gates in (*_GATE_KINDS, ("other", tuple(other))):
        of_kind = [suite for suite in suites if suite.gate in gates]
        if of_kind:
            outcomes = [suite.outcome for suite in of_kind]
            summaries.append(
                GateSummary(
                    title=text(f"health.gate_{kind}"),
                    count_suites=len(of_kind),
                    count_passed=outcomes.count("passed"),
                    count_warned=outcomes.count("warned"),
                    count_failed=outcomes.count("failed"),
                    seconds=sum(suite.seconds for suite in of_kind),
                )
            )
    return tuple(summaries)


def _feed_label(feed: str) -> Text:
    return text(f"feed.{feed}") if has_label(f"feed.{feed}") else Text(feed, feed)


def _feed_dates(data_through: Mapping[str, Any], as_of: date) -> tuple[FeedDate, ...]:
    found = []
    for feed, value in data_through.items():
        through = None if value is None else formats.as_date(value)
        found.append(
            FeedDate(
                label=_feed_label(feed),
                through=through,
                days_behind=None if through is None else max((as_of - through).days, 0),
            )
        )
    return tuple(found)
