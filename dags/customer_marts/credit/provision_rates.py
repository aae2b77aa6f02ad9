"""Loss rates by bucket for provisions: roll rates where there is evidence, else given rates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from decimal import Decimal
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from customer_marts.credit.binning import Floats
from customer_marts.credit.roll_rates import absorption, estimate_transitions
from customer_marts.errors import ConfigurationError, DataError

Texts = npt.NDArray[np.str_]
Flags = npt.NDArray[np.bool_]

OWN, BOOK, GIVEN, LOST = "own_roll_rates", "book_roll_rates", "seed_rates", "lost"
SETTLED_STATE, LOST_STATE = "settled", "lost"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What it takes for a rate to be estimated. min_moves: moves out of a bucket below which it is
    not; prior_moves: how many moves the wider estimate counts for, above 0.
    """

    min_moves: int
    prior_moves: float


@dataclass(frozen=True, slots=True)
class BucketRates:
    """By group and bucket, g x m: loss_rates; credibility, the weight of the group's own moves; and
    where the rate comes from, one of OWN, BOOK, GIVEN.
    """

    loss_rates: Floats
    credibility: Floats
    basis: Texts


def bucket_loss_rates(
    amounts: npt.ArrayLike,
    counts: npt.ArrayLike,
    given_rates: npt.ArrayLike,
    lost_rate: float,
    evidence: Evidence,
) -> BucketRates:
    """The share of each bucket's balance that is finally lost, for each of g groups.

    amounts: g x m x (m + 2), what moved in one period from each of m buckets to each of them, to
    settled and to lost. counts: g x m, the claims behind it. given_rates: g x m, the rates that
    hold without evidence. lost_rate: what is lost of a balance that counts as lost, above 0.

    A group's one-period row is n / (n + prior_moves) its own, the rest the book's (all groups
    together). A row of fewer than min_moves moves is not used: a group then has the book's. Where
    the book has too few as well, or where no balance of a bucket ever ended, the given rate takes
    the row's place: the balance ends at once, with that rate lost. Given rates are never mixed with
    estimated rows: they are shares of what ends, not of what moves in one period.

    Raises:
        DataError: shapes differ, an amount is negative, or a given rate is above lost_rate.
    """
    moved = np.asarray(amounts, dtype=np.float64)
    claims = np.asarray(counts, dtype=np.float64)
    given = np.asarray(given_rates, dtype=np.float64)
    if moved.ndim != 3 or moved.shape != (*claims.shape, claims.shape[-1] + 2):
        raise DataError(
            "Moves and their counts do not fit together",
            where=f"amounts {moved.shape}, counts {claims.shape}",
            todo="give groups x buckets x (buckets, settled, lost) and groups x buckets",
        )
    is_sound = given.shape == claims.shape and 0 < lost_rate <= 1 and evidence.prior_moves > 0
    if not is_sound or not ((given >= 0) & (given <= lost_rate)).all():
        raise DataError(
            "The given loss rates do not fit",
            where=f"rates {given.tolist()}, of a lost balance {lost_rate}, {evidence}",
            todo="rates from 0 to that of the bucket that counts as lost; prior_moves above 0",
        )
    book_counts = claims.sum(axis=0)
    book_amounts = moved.sum(axis=0)
    has_book = _end(book_amounts, (book_counts >= evidence.min_moves) & (book_counts > 0))
    has_own = has_book & (claims >= evidence.min_moves) & (claims > 0)
    loss_rates, credibility = np.empty_like(given), np.empty_like(given)
    for group in range(len(given)):
        book = estimate_transitions(
            book_amounts, _rows_that_end(given[group] / lost_rate), 0.0, book_counts * has_book
        )
        own = estimate_transitions(
            moved[group],
            np.hstack([book.transient, book.absorbing]),
            evidence.prior_moves,
            claims[group] * has_own[group],
        )
        ends = absorption(own.transient, own.absorbing).shares
        # the solved shares leave [0, 1] by rounding only
        loss_rates[group] = np.clip(ends[:, 1] * lost_rate, 0.0, 1.0)
        credibility[group] = own.credibility
    basis = np.where(has_own, OWN, np.where(has_book, BOOK, GIVEN))
    return BucketRates(loss_rates, credibility, basis)


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of int_provision_cells: a bucket of a group at the end of a month."""

    month_on: date
    provision_group: str
    bucket_code: str
    bucket_order: int
    is_lost: bool
    seed_loss_rate: float
    min_moves: int
    prior_moves: float


@dataclass(frozen=True, slots=True)
class Move:
    """One row of int_provision_moves."""

    month_on: date
    provision_group: str
    from_bucket: str
    to_state: str
    moved_amount: Decimal
    count_moves: int


@dataclass(frozen=True, slots=True)
class BucketRate:
    """One row of int_provision_roll_rates."""

    month_on: date
    provision_group: str
    bucket_code: str
    historical_loss_rate: float
    rate_basis: str
    count_moves: int | None
    credibility_rate: float | None


SCHEMA = pa.schema(
    {
        "month_on": pa.date32(),
        "provision_group": pa.string(),
        "bucket_code": pa.string(),
        "historical_loss_rate": pa.float64(),
        "rate_basis": pa.string(),
        "count_moves": pa.int32(),
        "credibility_rate": pa.float64(),
    }
)
Row = TypeVar("Row", Cell, Move)


def loss_rate_table(cells: pa.Table, moves: pa.Table) -> pa.Table:
    """The rate of every row of int_provision_cells by int_provision_moves.

    Raises:
        ConfigurationError: the buckets that count as lost are not the last ones of a month.
    """
    moves_of = _by_month(_rows(moves, Move))
    rates = [
        rate
        for month_on, of_month in _by_month(_rows(cells, Cell)).items()
        for rate in rates_of_month(of_month, moves_of.get(month_on, []))
    ]
    return pa.Table.from_pylist([asdict(rate) for rate in rates], schema=SCHEMA)


def rates_of_month(cells: Sequence[Cell], moves: Iterable[Move]) -> list[BucketRate]:
    """The rate of each cell of one month. A move of a group or bucket that the month's parameters
    do not know is left out, one to such a bucket as well.
    """
    of_buckets = {cell.bucket_code: cell for cell in sorted(cells, key=lambda c: c.bucket_order)}
    late = [code for code, cell in of_buckets.items() if not cell.is_lost]
    lost = [code for code, cell in of_buckets.items() if cell.is_lost]
    if not late or not lost or list(of_buckets) != late + lost:
        raise ConfigurationError(
            "The buckets of provisions do not end in lost ones",
            where=f"provision_buckets: {', '.join(of_buckets)}; lost: {', '.join(lost) or 'none'}",
            todo="set is_lost on the last bucket, or on several last ones, and on no other",
        )
    groups = sorted({cell.provision_group for cell in cells})
    amounts = np.zeros((len(groups), len(late), len(late) + 2))
    counts = np.zeros((len(groups), len(late)))
    states = [*late, SETTLED_STATE, LOST_STATE]
    for move in moves:
        if (
            move.provision_group in groups
            and move.from_bucket in late
            and (move.to_state in states)
        ):
            at = groups.index(move.provision_group), late.index(move.from_bucket)
            amounts[*at, states.index(move.to_state)] += float(move.moved_amount)
            counts[at] += move.count_moves
    given = {(cell.provision_group, cell.bucket_code): cell.seed_loss_rate for cell in cells}
    rates = bucket_loss_rates(
        amounts,
        counts,
        [[given[group, bucket] for bucket in late] for group in groups],
        # a balance is lost as it enters the first such bucket
        max(given[group, lost[0]] for group in groups),
        Evidence(cells[0].min_moves, cells[0].prior_moves),
    )
    estimated = [
        BucketRate(
            cells[0].month_on,
            group,
            bucket,
            float(rates.loss_rates[row, column]),
            str(rates.basis[row, column]),
            int(counts[row, column]),
            float(rates.credibility[row, column]),
        )
        for row, group in enumerate(groups)
        for column, bucket in enumerate(late)
    ]
    return estimated + [
        BucketRate(cells[0].month_on, group, code, given[group, code], LOST, None, None)
        for group in groups
        for code in lost
    ]


def _end(amounts: Floats, is_used: Flags) -> Flags:
    """Which of the used rows lead, by used rows only, to an end or to a row that is not used."""
    size = len(amounts)
    ends: Flags = ~is_used | (amounts[:, size:].sum(axis=1) > 0)
    for _ in range(size):
        ends = ends | ((amounts[:, :size] > 0) @ ends)
    leads_out: Flags = is_used & ends
    return leads_out


def _rows_that_end(loss_shares: Floats) -> Floats:
    """Rows of a prior whose balance settles or is lost at once, m x (m + 2)."""
    size = len(loss_shares)
    return np.hstack([np.zeros((size, size)), (1.0 - loss_shares)[:, None], loss_shares[:, None]])


def _rows(table: pa.Table, kind: type[Row]) -> list[Row]:
    columns = [field.name for field in fields(kind)]
    return [kind(**row) for row in table.select(columns).to_pylist()]


def _by_month(rows: Iterable[Row]) -> dict[date, list[Row]]:
    of_month: dict[date, list[Row]] = {}
    for row in rows:
        of_month.setdefault(row.month_on, []).append(row)
    return dict(sorted(of_month.items()))
