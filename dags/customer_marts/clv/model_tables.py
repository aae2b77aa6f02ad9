"""The value models' fits and forecasts between DuckDB tables and :mod:`customer_marts.clv`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from customer_marts.clv.books import Book
from customer_marts.clv.coding import COVARIATES, PartedBook
from customer_marts.clv.fitting import USABLE
from customer_marts.clv.forecasts import FORECAST_COLUMNS, ForecastRules, forecasts
from customer_marts.clv.holdouts import Holdout, PurchaseFit
from customer_marts.clv.margin_refit import (
    MarginFit,
    MarginHoldout,
    Margins,
    refit_margins,
)
from customer_marts.clv.refit import SALE_TYPES, refit_purchases
from customer_marts.clv.refit_rules import RefitRules
from customer_marts.clv.renewals import Runs, refit_renewals, renewal_fit, renewal_forecasts
from customer_marts.model_run_tables import RUN_COLUMNS, ThisRun, known_runs, table_of
from customer_marts.model_runs import ModelRun, in_force, is_due

if TYPE_CHECKING:
    import duckdb

PURCHASES, MARGIN = "clv_purchases_", "clv_margin_"
RENEWALS = "clv_renewals_contract"
MODELS = (
    *(prefix + sale_type for prefix in (PURCHASES, MARGIN) for sale_type in SALE_TYPES),
    RENEWALS,
)
RENEWAL_COLUMNS = {
    "renewals": pa.int32(),
    "renewal_probability": pa.float64(),
    "renewal_probability_low": pa.float64(),
    "renewal_probability_high": pa.float64(),
    "model_version": pa.string(),
    "is_promoted": pa.bool_(),
}
GROUP = "repeats, last_at_days, age_days"


def model_runs(
    runs: duckdb.DuckDBPyRelation,
    context: duckdb.DuckDBPyRelation,
    histories: duckdb.DuckDBPyRelation,
    tracking: duckdb.DuckDBPyRelation,
    contracts: duckdb.DuckDBPyRelation,
    parameters: duckdb.DuckDBPyRelation,
) -> pa.Table:
    """The fits known before this run, and its own where one is due.

    Columns: MODEL_RUN_COLUMNS; ``is_in_force``, true for the promoted fit that scores on the as-of
    date; ``is_scoring``, true for that one, or where none was ever promoted for the last fit that
    gives figures at all, which are then provisional.
    """
    known = known_runs(runs, MODELS)
    this = ThisRun.of(context)
    rules = RefitRules.of(dict(parameters.project("parameter, value").fetchall()))
    for sale_type in SALE_TYPES:
        name = PURCHASES + sale_type
        if is_due(known, name, this.as_of, is_refit=this.is_refit, every_days=rules.refit_days):
            of_type = histories.filter(f"sale_type = '{sale_type}'")
            champion = fit_in_force(known, name, this.as_of)
            fitted = refit_purchases(
                _book(of_type),
                _holdouts(of_type, tracking, sale_type),
                champion,
                rules,
                partial(_parted, of_type, 0),
            )
            known.append(this.record(name, fitted))
        name = MARGIN + sale_type
        if is_due(known, name, this.as_of, is_refit=this.is_refit, every_days=rules.refit_days):
            run = in_force(known, name, this.as_of)
            worth = MarginFit.from_json(run.artefact) if run is not None and run.artefact else None
            of_type = histories.filter(f"sale_type = '{sale_type}' and value_purchases > 0")
            fitted = refit_margins(
                _margins(of_type.filter("origin_no = 0")), _margin_holdouts(of_type), worth, rules
            )
            known.append(this.record(name, fitted))
    if is_due(known, RENEWALS, this.as_of, is_refit=this.is_refit, every_days=rules.refit_days):
        run = in_force(known, RENEWALS, this.as_of)
        renewing = renewal_fit(run.artefact) if run is not None and run.artefact else None
        fitted = refit_renewals(_contract_runs(contracts), this.as_of, renewing, rules)
        known.append(this.record(RENEWALS, fitted))
    rows = [
        (
            *astuple(run),
            run is in_force(known, run.model, this.as_of),
            is_scoring(known, run, this.as_of),
        )
        for run in known
    ]
    return table_of(rows, {**RUN_COLUMNS, "is_in_force": pa.bool_(), "is_scoring": pa.bool_()})


def fit_in_force(runs: Iterable[ModelRun], model: str, as_of: date) -> PurchaseFit | None:
    """The promoted fit of purchases that scores on a day."""
    run = in_force(runs, model, as_of)
    return PurchaseFit.from_json(run.artefact) if run is not None and run.artefact else None


def is_scoring(runs: Sequence[ModelRun], run: ModelRun, as_of: date) -> bool:
    """Whether this fit gives the figures of the day: see ``model_runs``."""
    return run is (in_force(runs, run.model, as_of) or _provisional(runs, run.model, as_of))


def _provisional(runs: Sequence[ModelRun], model: str, as_of: date) -> ModelRun | None:
    usable = [
        run
        for run in runs
        if run.model == model
        and run.fitted_as_of <= as_of
        and run.artefact
        and run.fit_status in USABLE
    ]
    return max(usable, key=lambda run: (run.fitted_as_of, run.release_sequence), default=None)


def forecast_table(
    runs: duckdb.DuckDBPyRelation,
    histories: duckdb.DuckDBPyRelation,
    parameters: duckdb.DuckDBPyRelation,
) -> pa.Table:
    """What the scoring fits forecast for every different history: FORECAST_COLUMNS.

    One row per sale type and (repeats, last_at_days, age_days) at the as-of date, and of a fit
    with covariates per category of these; categories it does not read are null. None for a sale
    type without a fit that may forecast.
    """
    rules = ForecastRules.of(dict(parameters.project("parameter, value").fetchall()))
    found = []
    for sale_type in SALE_TYPES:
        scoring = runs.filter(f"is_scoring and model = '{PURCHASES}{sale_type}'")
        of_type = histories.filter(f"sale_type = '{sale_type}' and origin_no = 0")
        for version, status, is_promoted, artefact in scoring.project(
            "version, fit_status, is_in_force, artefact"
        ).fetchall():
            fit = PurchaseFit.from_json(artefact)
            told = {
                "sale_type": sale_type,
                "model_version": version,
                "purchase_model": fit.candidate,
                "fit_status": status,
                "is_promoted": is_promoted,
            }
            found += [
                _forecast_of(of_type, fit, categories, told, rules)
                for categories in _combinations(of_type, fit)
            ]
    return pa.concat_tables([table_of([], FORECAST_COLUMNS), *found])


def renewal_table(
    runs: duckdb.DuckDBPyRelation,
    contracts: duckdb.DuckDBPyRelation,
    parameters: duckdb.DuckDBPyRelation,
) -> pa.Table:
    """What the scoring fit of renewals forecasts, by how often a run was renewed: RENEWAL_COLUMNS.

    Nothing without a fit.
    """
    rules = ForecastRules.of(dict(parameters.project("parameter, value").fetchall()))
    scoring = runs.filter(f"is_scoring and model = '{RENEWALS}'")
    told = scoring.project("version, is_in_force, artefact").fetchall()
    often = contracts.project("last_year_no - first_year_no as renewals").distinct()
    renewals = _whole(often.order("renewals").fetchnumpy()["renewals"])
    if not told or renewals.size == 0:
        return table_of([], RENEWAL_COLUMNS)
    ((version, is_promoted, artefact),) = told
    found = renewal_forecasts(renewal_fit(artefact), renewals, rules.interval_level)
    rows = zip(*(each.tolist() for each in found.values()), strict=True)
    return table_of([(*row, version, is_promoted) for row in rows], RENEWAL_COLUMNS)


def _contract_runs(contracts: duckdb.DuckDBPyRelation) -> Runs:
    keys = "first_year_no, last_year_no, complete_years"
    grouped = contracts.aggregate(f"{keys}, count(*) as runs", keys).order(keys).fetchnumpy()
    return Runs(*(np.ma.getdata(each).astype(np.int64) for each in grouped.values()))


def _combinations(histories: duckdb.DuckDBPyRelation, fit: PurchaseFit) -> list[dict[str, str]]:
    """The customers' categories that the fit reads; one of nothing for a fit that reads none."""
    if fit.coding is None:
        return [{}] if histories.limit(1).fetchall() else []
    names = list(fit.coding.levels)
    rows = histories.project(", ".join(names)).distinct().order(", ".join(names)).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


def _forecast_of(
    histories: duckdb.DuckDBPyRelation,
    fit: PurchaseFit,
    categories: dict[str, str],
    told: dict[str, Any],
    rules: ForecastRules,
) -> pa.Table:
    from duckdb import ColumnExpression, ConstantExpression

    for name, category in categories.items():
        histories = histories.filter(ColumnExpression(name) == ConstantExpression(category))
    groups = histories.project(GROUP).distinct().order(GROUP).fetchnumpy()
    history = [_whole(groups[name]) for name in GROUP.split(", ")]
    columns = forecasts(fit.of_categories(categories), history[0], history[1], history[2], rules)
    told = dict.fromkeys(COVARIATES) | told | categories
    size = history[0].size
    return pa.table(
        {
            name: pa.array(
                [told[name]] * size if name in told else columns[name], kind, from_pandas=True
            )
            for name, kind in FORECAST_COLUMNS.items()
        }
    )


def _grouped(histories: duckdb.DuckDBPyRelation, more: str = "") -> dict[str, Any]:
    keys = GROUP + more
    columns = histories.aggregate(
        f"{keys}, count(*) as customers, cast(sum(log_gap_sum) as double) as log_gap_sum", keys
    )
    return {name: np.ma.getdata(each) for name, each in columns.order(keys).fetchnumpy().items()}


def _book_of(groups: dict[str, Any]) -> Book:
    return Book.of(
        groups["repeats"],
        groups["last_at_days"],
        groups["age_days"],
        groups["customers"],
        groups["log_gap_sum"],
    )


def _book(histories: duckdb.DuckDBPyRelation) -> Book | None:
    groups = _grouped(histories.filter("origin_no = 0"))
    return _book_of(groups) if groups["repeats"].size else None


def _parted(histories: duckdb.DuckDBPyRelation, origin_no: int) -> PartedBook:
    """The book of an origin split by category."""
    keys = ", ".join([GROUP, "holdout_purchases", *COVARIATES])
    table = (
        histories.filter(f"origin_no = {origin_no}")
        .aggregate(f"{keys}, count(*) as customers", keys)
        .order(keys)
        .to_arrow_table()
    )
    numbers = {name: table[name].to_numpy() for name in (*GROUP.split(", "), "customers")}
    encoded = {name: table[name].combine_chunks().dictionary_encode() for name in COVARIATES}
    return PartedBook(
        Book.of(
            numbers["repeats"], numbers["last_at_days"], numbers["age_days"], numbers["customers"]
        ),
        table["holdout_purchases"].fill_null(0).to_numpy().astype(np.float64),
        {name: each.dictionary.to_pylist() for name, each in encoded.items()},
        {name: each.indices.to_numpy().astype(np.int64) for name, each in encoded.items()},
    )


def _holdouts(
    histories: duckdb.DuckDBPyRelation, tracking: duckdb.DuckDBPyRelation, sale_type: str
) -> list[Holdout]:
    found = []
    for number, on, days in _origins(histories):
        groups = _grouped(histories.filter(f"origin_no = {number}"), ", holdout_purchases")
        repeats = tracking.filter(f"sale_type = '{sale_type}' and origin_no = {number}")
        found.append(
            Holdout(
                on,
                days,
                _book_of(groups),
                groups["holdout_purchases"].astype(np.float64),
                dict(repeats.project("month_no, count_repeats").fetchall()),
                partial(_parted, histories, number),
            )
        )
    return found


def _margins(histories: duckdb.DuckDBPyRelation) -> Margins:
    names = "value_purchases, value_mean, value_variance, revenue_mean"
    columns = histories.order("customer_id").project(names).fetchnumpy()
    return Margins(*(_known(columns[name]) for name in names.split(", ")))


def _margin_holdouts(histories: duckdb.DuckDBPyRelation) -> list[MarginHoldout]:
    found = []
    for number, on, days in _origins(histories):
        of_origin = histories.filter(f"origin_no = {number}")
        names = "holdout_value_purchases, holdout_value_mean"
        columns = of_origin.order("customer_id").project(names).fetchnumpy()
        bought, realised = (_known(columns[name]) for name in names.split(", "))
        found.append(MarginHoldout(on, days, _margins(of_origin), bought, realised))
    return found


def _origins(histories: duckdb.DuckDBPyRelation) -> list[tuple[int, date, int]]:
    return (
        histories.filter("origin_no > 0")
        .project("origin_no, origin_on, holdout_days")
        .distinct()
        .order("origin_no")
        .fetchall()
    )


def _known(values: Any) -> Any:
    """Floats, 0 where nothing is known."""
    return np.ma.filled(np.ma.asarray(values, dtype=np.float64), 0.0)


def _whole(values: Any) -> Any:
    return np.ma.getdata(values).astype(np.float64)
