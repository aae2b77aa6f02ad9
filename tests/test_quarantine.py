"""The life of a quarantined row: decided, replayed, closed; waivers that end."""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from customer_marts import quarantine
from customer_marts.cli import marts
from customer_marts.errors import BatchFault, ConfigurationError
from customer_marts.landing import Batch
from tests.landings import (
    apply,
    land_everything,
    land_feed,
    land_feed_or_nothing,
    publish,
    rows_of,
    table,
)
from tests.mini import MiniCompany

TODAY = date(2026, 6, 30)
WHO = {"by": "王芳", "reason": "the bank confirmed it"}


class Case:
    """A company whose first release holds what its sources give, and the releases after it."""

    def __init__(self, mini: MiniCompany, database: Path) -> None:
        self.mini, self.database = mini, database
        self.batches = land_everything(mini)
        self.sequence = 0
        self._release({feed: list(items) for feed, items in self.batches.items()}, TODAY)

    def release(self, *batches: Batch, as_of: date = TODAY) -> None:
        fresh: dict[str, list[Batch]] = {}
        for batch in batches:
            fresh.setdefault(batch.feed, []).append(batch)
            self.batches.setdefault(batch.feed, []).append(batch)
        self._release(fresh, as_of)

    def _release(self, fresh: dict[str, list[Batch]], as_of: date) -> None:
        self.sequence += 1
        apply(self.mini, self.database, fresh, sequence=self.sequence, as_of=as_of)
        publish(self.mini, self.database, self.batches)

    def rows(self) -> list[quarantine.QuarantinedRow]:
        return quarantine.quarantined_rows(self.mini.settings)

    def only(self) -> quarantine.QuarantinedRow:
        [row] = self.rows()
        return row

    def fix(self, row: quarantine.QuarantinedRow, **changes: str) -> None:
        quarantine.fix(self.mini.settings, self.mini.company, row, changes, **WHO)

    def waive(self, row: quarantine.QuarantinedRow, until: date) -> None:
        quarantine.waive(self.mini.settings, row, rules=[], until=until, today=TODAY, **WHO)

    def replay(self) -> list[Batch]:
        return quarantine.replay(self.mini.settings, self.mini.company, self.rows(), TODAY)

    def table(self, sql: str) -> list[tuple[Any, ...]]:
        return table(self.database, sql)

    def rebuilt(self, path: Path, sql: str, as_of: date = TODAY) -> list[tuple[Any, ...]]:
        return table(apply(self.mini, path, self.batches, as_of=as_of), sql)


def faulty_payment(mini: MiniCompany, database: Path) -> Case:
    """Two payments; the method of B2 is not known."""
    mini.write_bank("2026-01-20", [mini.payment("B1"), mini.payment("B2", method="微信红包")])
    return Case(mini, database)


@pytest.fixture
def case(mini: MiniCompany, tmp_path: Path) -> Case:
    return faulty_payment(mini, tmp_path / "build.duckdb")


def test_a_fixed_row_is_replayed_with_its_origin_and_closed(case: Case, tmp_path: Path) -> None:
    row = case.only()
    assert (row.rule, row.column, row.value, row.state) == (
        "method_known",
        "method",
        "微信红包",
        "open",
    )
    case.fix(row, method="转账")
    assert case.only().state == "fixed"
    [batch] = case.replay()
    assert rows_of(batch, "payment_id, method, _source") == [
        ("B2", "transfer", "bank_2026-01-20.csv:record 2")
    ]
    assert case.only().state == "replayed"
    case.release(batch)
    assert case.rows() == []
    closed = (
        "select quarantine_id, closed_by, decided_by, decision_reason, replay_batch_id "
        "from landing.quarantine_closed"
    )
    expected = [(row.quarantine_id, "fix", WHO["by"], WHO["reason"], batch.batch_id)]
    assert case.table(closed) == expected == case.rebuilt(tmp_path / "rebuilt.duckdb", closed)
    ledger = "select sum(rows_pulled), sum(rows_accepted + rows_quarantined) from landing.ledger"
    assert len(set(case.table(ledger)[0])) == 1


def test_the_same_faulty_row_delivered_again_is_no_new_case(case: Case) -> None:
    case.fix(case.only(), method="转账")
    case.release(*case.replay())
    mini = case.mini
    mini.write_bank("2026-01-21", [mini.payment("B2", method="微信红包"), mini.payment("B3")])
    case.release(land_feed(mini, "payments", case.batches["payments"]))
    assert case.rows() == []
    paid = "select payment_id, method from landing.payments order by 1"
    assert case.table(paid) == [("B1", "transfer"), ("B2", "transfer"), ("B3", "transfer")]


def test_a_later_version_of_the_source_wins_over_a_fix(case: Case) -> None:
    case.fix(case.only(), method="转账")
    case.release(*case.replay())
    mini = case.mini
    later = mini.payment("B2", method="现金").rsplit(",", 1)[0] + ",2026-01-25 10:00:00"
    mini.write_bank("2026-01-25", [later])
    case.release(land_feed(mini, "payments", case.batches["payments"]))
    assert case.table("select method from landing.payments where payment_id = 'B2'") == [("cash",)]


def test_a_fix_that_is_still_faulty_lands_nothing(case: Case) -> None:
    case.fix(case.only(), method="支付宝")
    with pytest.raises(BatchFault, match="still faulty") as caught:
        case.replay()
    assert "method = '支付宝'" in caught.value.what
    assert case.only().state == "fixed"
    case.fix(case.only(), method="现金")
    assert rows_of(case.replay()[0], "method") == [("cash",)]


def test_a_waived_row_counts_until_its_day(case: Case, tmp_path: Path) -> None:
    case.waive(case.only(), TODAY + timedelta(days=10))
    [batch] = case.replay()
    # the suite does not judge what was waived from it
    assert not batch.has_rows_to_judge
    case.release(batch)
    standing = "select payment_id, _held_reason from landing.payments order by 1"
    assert case.table(standing) == [("B1", None), ("B2", None)]
    assert case.rows() == []

    late = TODAY + timedelta(days=11)
    case.release(as_of=late)
    expired = [("B1", None), ("B2", "waiver_expired")]
    assert case.table(standing) == expired
    assert case.rebuilt(tmp_path / "rebuilt.duckdb", standing, as_of=late) == expired
    held = case.only()
    assert held.rule == "waiver_expired"

    case.waive(held, TODAY + timedelta(days=60))
    case.release(*case.replay(), as_of=late)
    assert case.table(standing) == [("B1", None), ("B2", None)]


def test_a_row_that_waits_for_its_reference_can_be_given_another(
    mini: MiniCompany, tmp_path: Path
) -> None:
    mini.add_order("O1", "C9")
    case = Case(mini, tmp_path / "build.duckdb")
    held = next(row for row in case.rows() if row.feed == "orders")
    assert held.is_held
    with pytest.raises(ConfigurationError, match="unknown_customer cannot be waived"):
        case.waive(held, TODAY)
    with pytest.raises(ConfigurationError, match="the key of a row that waits"):
        case.fix(held, order_id="O2")
    case.fix(held, customer_id="C1")
    case.release(*case.replay())
    assert case.rows() == []
    assert case.table(
        "select order_id, customer_id, ordered_at, ordered_on, _held_reason from landing.orders"
    ) == [("O1", "C1", "2026-01-05 02:00:00", "2026-01-05", None)]


def test_a_line_that_could_not_be_split_is_entered_by_hand(
    mini: MiniCompany, tmp_path: Path
) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B1"), "B2,broken"], trailer="合计,2,5650.00")
    case = Case(mini, tmp_path / "build.duckdb")
    row = case.only()
    assert (row.rule, row.raw) == ("unreadable_row", {})
    case.fix(
        row,
        payment_id="B2",
        customer_id="C1",
        received_at="2026-01-20 12:00:00",
        amount="10.00",
        currency="CNY",
        method="现金",
        kind="收款",
    )
    case.release(*case.replay())
    assert case.rows() == []
    assert case.table("select amount from landing.payments where payment_id = 'B2'") == [("10.00",)]


# --- the command line ---------------------------------------------------------------------------


def call(mini: MiniCompany, *arguments: str) -> Result:
    result = CliRunner().invoke(marts, ["quarantine", *arguments], env=mini.environment)
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def undecided(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The same faulty payment, for commands that change nothing."""
    root = tmp_path_factory.mktemp("undecided")
    return faulty_payment(MiniCompany(root), root / "build.duckdb")


DECIDED = ("--by", "王芳", "--reason", "checked with the bank")


def test_the_whole_life_by_commands(case: Case, tmp_path: Path) -> None:
    mini = case.mini
    [listed] = json.loads(call(mini, "list", "--json").output)
    assert listed["state"] == "open"
    assert listed["age_days"] >= 0
    shown = call(mini, "show", listed["quarantine_id"]).output
    for part in ("method_known", "bank_2026-01-20.csv:record 2", "微信红包", "finance"):
        assert part in shown

    target = tmp_path / "payments.csv"
    assert call(mini, "export", str(target), "--feed", "payments").exit_code == 0
    with target.open(encoding="utf-8-sig", newline="") as stream:
        [line] = csv.DictReader(stream)
    line["结算方式"] = "现金"
    with target.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, line)
        writer.writeheader()
        writer.writerow(line)
    assert "1 rows fixed" in call(mini, "fix", "--from", str(target), *DECIDED).output
    assert "fixed" in call(mini, "list").output

    replayed = call(mini, "replay")
    assert replayed.exit_code == 0, replayed.output
    assert "they count from the next release on" in replayed.output
    assert "nothing is decided" in call(mini, "replay").output
    [row] = case.rows()
    assert row.state == "replayed"
    again = call(mini, "fix", row.quarantine_id, "--set", "method=转账", *DECIDED)
    assert again.exit_code == 2
    assert "was replayed already" in again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nothing"], "no quarantined row has the id nothing"),
        (["fix", "ID", "--set", "colour=red", *DECIDED], "not a column of this row: colour"),
        (["fix", "ID", "--set", "method", *DECIDED], "is not COLUMN=VALUE"),
        (["fix", "ID", "--set", "method=转账"], "Missing option"),
        (["waive", "ID", "--until", "2020-01-01", *DECIDED], "2020-01-01 has passed"),
        (["waive", "ID", *DECIDED], "Missing option '--until'"),
        (["replay", "ID"], "not decided, or not in quarantine"),
    ],
)
def test_a_mistake_is_a_message(undecided: Case, arguments: list[str], message: str) -> None:
    own = undecided.only().quarantine_id
    result = call(undecided.mini, *[own if text == "ID" else text for text in arguments])
    assert result.exit_code == 2
    assert message in result.output


def test_personal_texts_are_masked_for_people_and_whole_in_a_replay(
    mini: MiniCompany, tmp_path: Path
) -> None:
    mini.mapping["feeds"]["customers"]["columns"]["contact_phone"] = "contact_phone"
    mini.save_mapping()
    mini.execute("update crm_customer set terms_days = 'thirty' where cust_code = 'C2'")
    case = Case(mini, tmp_path / "build.duckdb")
    row = case.only()
    target = tmp_path / "customers.csv"
    call(mini, "export", str(target))
    texts = [
        call(mini, "list").output,
        call(mini, "list", "--json").output,
        call(mini, "show", row.quarantine_id).output,
        target.read_text("utf-8-sig"),
    ]
    assert not [text for text in texts if "19000001111" in text]
    case.fix(row, payment_terms_days="30")
    [batch] = case.replay()
    assert rows_of(batch, "contact_phone, payment_terms_days") == [("190****1111", "30")]
    assert [text for (text,) in table_of(batch)] == ["19000001111"]


def table_of(batch: Batch) -> list[tuple[Any, ...]]:
    import duckdb

    with duckdb.connect() as connection:
        return connection.execute(
            f"select contact_phone from read_parquet('{batch.restricted}')"
        ).fetchall()


# --- what must not come undone ------------------------------------------------------------------


def test_the_sources_unchanged_row_does_not_undo_a_fix(mini: MiniCompany, tmp_path: Path) -> None:
    mini.add_order("O1", "C9")
    case = Case(mini, tmp_path / "build.duckdb")
    case.fix(next(row for row in case.rows() if row.feed == "orders"), customer_id="C1")
    case.release(*case.replay())
    # the overlap of the cursor brings O1 as the source has it, beside a new order
    mini.add_order("O2", at="2026-01-05 10:30:00")
    orders = land_feed(mini, "orders", case.batches["orders"], case.database)
    assert orders.manifest["rows"]["accepted"] == 2
    case.release(orders)
    fixed = "select order_id, customer_id, _held_reason from landing.orders order by 1"
    expected = [("O1", "C1", None), ("O2", "C1", None)]
    assert case.table(fixed) == expected == case.rebuilt(tmp_path / "rebuilt.duckdb", fixed)


def test_of_a_row_that_stays_faulty_the_last_version_waits(case: Case, tmp_path: Path) -> None:
    """The source changes another column of B2, and later takes that back: one row to mend, one
    amount that waits, however often it comes.
    """
    mini = case.mini
    first = case.only()

    def deliver(day: str, amount: str) -> None:
        faulty = mini.payment("B2", amount=amount, method="微信红包")
        mini.write_bank(day, [faulty, mini.payment(f"B-{day}")])  # a file is read once by content
        case.release(land_feed(mini, "payments", case.batches["payments"]))

    deliver("2026-01-21", "750.00")
    second = case.only()
    assert second.quarantine_id != first.quarantine_id
    assert second.raw["金额"] == "750.00"
    deliver("2026-01-22", "750.00")  # the same again is the same case, since the first day
    assert (case.only().quarantine_id, case.only().first_seen_at) == (
        second.quarantine_id,
        second.first_seen_at,
    )
    closed = "select quarantine_id, closed_by from landing.quarantine_closed order by 1"
    assert case.table(closed) == [(first.quarantine_id, "source")]
    deliver("2026-01-23", first.raw["金额"])
    assert case.only().quarantine_id == first.quarantine_id
    expected = sorted([(first.quarantine_id, "source"), (second.quarantine_id, "source")])
    waits = "select quarantine_id, batch_id, amount from landing.quarantine"
    rebuilt = tmp_path / "rebuilt.duckdb"
    assert case.table(closed) == expected == case.rebuilt(rebuilt, closed)
    assert case.table(waits) == table(rebuilt, waits)


def test_rows_that_share_a_key_in_one_pull_wait_each(mini: MiniCompany, tmp_path: Path) -> None:
    """Two contents, one key: the one that changes is replaced, the other stays as it came."""
    mini.write_bank("2026-01-20", [mini.payment("B1", amount="1.00"), mini.payment("B1")])
    case = Case(mini, tmp_path / "build.duckdb")
    assert [row.rule for row in case.rows()] == ["key_conflict"] * 2
    for day, amount in (("2026-01-21", "1.00"), ("2026-01-22", "2.00"), ("2026-01-23", "2.00")):
        mini.write_bank(
            day, [mini.payment("B1", amount=amount), mini.payment("B1"), mini.payment(f"B-{day}")]
        )
        case.release(land_feed(mini, "payments", case.batches["payments"]))
        amounts = sorted(row.raw["金额"] for row in case.rows())
        assert amounts == [amount, "5650.00"]
    closed = "select row_key, closed_by from landing.quarantine_closed"
    assert case.table(closed) == [("B1", "source")]


def test_a_waiver_can_be_renewed_again_and_an_earlier_day_sees_it_stand(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a script decides as fast as the clock's second
    monkeypatch.setattr(quarantine, "_now", lambda: "2026-06-30T08:00:00+00:00")
    standing = "select _waived_until, _held_reason from landing.payments where payment_id = 'B2'"
    for number in range(3):
        day = TODAY + timedelta(days=20 * number)
        case.waive(case.only(), day + timedelta(days=10))
        case.release(*case.replay(), as_of=day)
        assert case.table(standing) == [(str(day + timedelta(days=10)), None)]
        case.release(as_of=day + timedelta(days=11))
        assert case.only().rule == "waiver_expired"
    case.release(as_of=TODAY)
    assert case.table(standing)[0][1] is None
    rebuilt = case.rebuilt(tmp_path / "rebuilt.duckdb", standing)
    assert rebuilt == case.table(standing)


def test_a_waived_row_that_waits_can_be_given_its_reference(
    mini: MiniCompany, tmp_path: Path
) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B2", "C9", method="微信红包")])
    case = Case(mini, tmp_path / "build.duckdb")
    case.waive(case.only(), TODAY + timedelta(days=10))
    case.release(*case.replay())
    assert case.only().rule == "unknown_customer"
    case.fix(case.only(), customer_id="C1")
    case.release(*case.replay())
    assert case.table("select customer_id, _held_reason, _waived from landing.payments") == [
        ("C1", None, ";method_known;")
    ]


def test_a_fix_must_not_take_another_rows_key(mini: MiniCompany, tmp_path: Path) -> None:
    mini.write_bank("2026-01-20", [mini.payment("B1"), mini.payment("", amount="9.00")])
    case = Case(mini, tmp_path / "build.duckdb")
    with pytest.raises(ConfigurationError, match="another row has the key B1"):
        case.fix(case.only(), payment_id="B1")
    case.fix(case.only(), payment_id="B2")
    case.release(*case.replay())
    assert case.table("select payment_id, amount from landing.payments order by 1") == [
        ("B1", "5650.00"),
        ("B2", "9.00"),
    ]


def test_a_case_of_an_older_mapping_is_not_replayed(case: Case) -> None:
    case.fix(case.only(), method="转账")
    case.mini.mapping["feeds"]["payments"]["columns"]["order_id"] = "付款方名称"
    case.mini.save_mapping()
    with pytest.raises(ConfigurationError, match="before the company file changed"):
        case.replay()


def test_after_a_fix_the_unchanged_source_brings_nothing_new(
    mini: MiniCompany, tmp_path: Path
) -> None:
    del mini.mapping["feeds"]["orders"]["cursor"]
    mini.save_mapping()
    mini.add_order("O1", status="？")
    mini.add_order("O2")
    case = Case(mini, tmp_path / "build.duckdb")
    case.fix(next(row for row in case.rows() if row.feed == "orders"), status="已完成")
    case.release(*case.replay())
    assert land_feed_or_nothing(mini, "orders", case.batches["orders"], case.database) is None
