"""The whole line on a company of a few rows: releases, increments, refusals."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from customer_marts import landing, pipeline, planning, releases
from customer_marts.deadlines import DEADLINE_MART
from customer_marts.errors import (
    BatchFault,
    ConfigurationError,
    GateFailure,
    Incomplete,
    MartsError,
)
from customer_marts.model_runs import MODEL_RUN_MARTS
from customer_marts.settings import EXPECTATIONS_DIR
from tests.mini import MiniCompany
from tests.runs import published, query, refresh, tables


@pytest.fixture
def mini(released: MiniCompany) -> MiniCompany:
    """A company after its first release."""
    return released


@pytest.fixture
def first(mini: MiniCompany) -> releases.Release:
    return readers_see(mini)


def readers_see(company: MiniCompany) -> releases.Release:
    release = releases.current_release(company.settings.paths)
    assert release is not None
    return release


def test_first_release_holds_what_readers_need(released_in_full: MiniCompany) -> None:
    first = readers_see(released_in_full)
    current = released_in_full.settings.paths.current
    assert current.is_symlink()
    for name in ("marts.duckdb", "manifest.json", "report.html", "parquet/customer_360.parquet"):
        assert (current / name).is_file(), name
    assert not list(current.rglob("*.wal"))
    assert query(first, "select revenue_amount, margin_amount from fct_orders order by 1") == [
        ("5000.00", "1000.00"),
        ("5000.00", "1000.00"),
    ]
    [[due]] = query(
        first,
        "select sum(open_amount) from receivables_ageing where ageing_basis = 'due_date'",
    )
    assert due == "10300.00"
    manifest = first.manifest
    assert manifest["parent_release_id"] is None
    assert manifest["data_through"]["payments"] == "2026-01-20"
    assert all(line["success"] for line in manifest["gates"])
    assert {line["gate"] for line in manifest["gates"]} == {"landing", "dbt", "marts"}


def test_nothing_new_makes_no_release_and_an_increment_equals_a_rebuild(
    mini: MiniCompany, first: releases.Release
) -> None:
    """What was cancelled and deleted at the source reaches the facts; that every mart follows them
    is for the toy and the sample company to show.
    """
    assert refresh(mini) is None
    mini.add_order("O3", "C2", at="2026-02-03 09:00:00")
    mini.execute(
        "update so_order set status = '已取消', updated_at = '2026-02-03 10:00:00' "
        "where order_no = 'O1'"
    )
    mini.execute(
        "update fi_invoice set deleted = '1', updated_at = '2026-02-03 11:00:00' "
        "where invoice_no = 'F1'"
    )
    mini.write_bank("2026-02-03", [mini.payment("B2", "C2", at="2026-02-03 15:00:00")])
    second = published(mini)
    assert second.manifest["parent_release_id"] == first.release_id
    assert not second.manifest["is_rebuild"]
    assert query(second, "select order_id, is_cancelled from fct_orders order by 1") == [
        ("O1", "True"),
        ("O2", "False"),
        ("O3", "False"),
    ]
    assert query(second, "select invoice_id from fct_invoices") == [("F2",)]
    rebuilt = published(mini, rebuild=True)
    assert rebuilt.manifest["is_rebuild"]
    assert tables(second) == tables(rebuilt)


def test_faulty_and_orphaned_rows_wait_and_are_let_in(
    mini: MiniCompany, first: releases.Release
) -> None:
    """An order before its customer; payments of which none can be read or be true, as bad rows on a
    quiet day must not keep everybody from the rest of the day's data.
    """
    mini.add_order("O9", "C9", at="2026-01-15 09:00:00")
    bad = mini.payment("B3", amount="壹万元", at="2026-01-21 11:00:00")
    mini.write_bank("2026-01-21", [mini.payment("B7", amount="-1.00"), bad])
    held = published(mini)
    assert query(held, "select count(*) from fct_orders") == [("2",)]
    assert query(held, "select payment_id from fct_payments") == [("B1",)]
    assert {
        (row["feed"], row["rule"], row["count_rows"]) for row in held.manifest["quarantine"]
    } == {
        ("orders", "unknown_customer", 1),
        ("order_lines", "unknown_order", 1),
        ("payments", "amount_in_range", 1),
        ("payments", "invalid_amount", 1),
    }
    ledger = "select sum(count_rows_quarantined), sum(count_rows_accepted) from conservation_ledger"
    assert query(held, f"{ledger} where feed = 'orders'") == [("1", "2")]
    mini.add_customer("C9", "新客户", at="2026-01-22 09:00:00")
    right = [
        mini.payment("B3", amount="10000.00", at="2026-01-22 09:00:00"),
        mini.payment("B7", amount="1.00", at="2026-01-22 09:00:00"),
    ]
    mini.write_bank("2026-01-22", right)
    freed = published(mini)
    assert query(freed, "select count(*) from fct_orders") == [("3",)]
    assert query(freed, "select sum(payment_amount) from fct_payments") == [("11001.00",)]
    assert freed.manifest["quarantine"] == []
    assert query(freed, f"{ledger} where feed = 'orders'") == [("0", "3")]


def test_an_earlier_as_of_date_sees_no_later_row(released_in_full: MiniCompany) -> None:
    mini, first = released_in_full, readers_see(released_in_full)
    earlier = published(mini, as_of=date(2026, 1, 10))
    assert query(earlier, "select order_id from fct_orders") == [("O1",)]
    assert query(earlier, "select count(*) from fct_payments") == [("0",)]
    assert query(earlier, "select distinct as_of from customer_360") == [("2026-01-10",)]
    before, after = tables(first), tables(published(mini))
    # what was fitted and asked for the earlier day is told beside that of the later one
    for mart, count_keys in {**dict.fromkeys(MODEL_RUN_MARTS, 4), DEADLINE_MART: 3}.items():
        rows = after.pop(mart, [])
        assert set(before.pop(mart, [])) <= set(rows)
        assert len(rows) == len({row[:count_keys] for row in rows})
    assert after == before


def test_a_refused_batch_keeps_the_last_release_until_it_passes(
    mini: MiniCompany, first: releases.Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused as it is read; delivered again, by a rule that came after it had landed; judged anew
    when that rule goes.
    """
    mini.write_bank("2026-01-21", [mini.payment("B2")], trailer="合计,9,1.00")
    with pytest.raises(BatchFault):
        refresh(mini)
    assert readers_see(mini).release_id == first.release_id
    mini.write_bank("2026-01-21", [mini.payment("B2", at="2026-01-21 10:00:00")])
    run = pipeline.open_run(mini.settings)
    pipeline.pull(run, "payments")
    folder = tmp_path / "expectations"
    shutil.copytree(EXPECTATIONS_DIR, folder)
    suite = folder / "landing" / "payments.json"
    rules = json.loads(suite.read_text("utf-8"))
    [limit] = [item for item in rules["expectations"] if item["meta"]["rule"] == "amount_in_range"]
    limit["kwargs"]["max_value"] = 1000
    suite.write_text(json.dumps(rules), "utf-8")
    with monkeypatch.context() as stricter:
        stricter.setattr(landing, "EXPECTATIONS_DIR", folder)
        with pytest.raises(GateFailure, match="gate 1 refused") as caught:
            pipeline.gate_landing(run, ["payments"])
        assert "payments" in caught.value.what
        assert "amount_in_range" in caught.value.what
        assert planning.plan(run) is None, "no candidate takes a refused batch"
    assert query(published(mini), "select count(*) from fct_payments") == [("2",)]


# --- a feed that does not come ------------------------------------------------------------------


def test_one_feed_at_fault_keeps_the_others_from_no_reader(
    mini: MiniCompany, first: releases.Release
) -> None:
    """A broken file of the bank, and a column that the ERP renamed: the invoice of the day is
    released, and what was missed comes with the next run. Nothing is lost, nothing counts twice.
    """
    mini.write_bank("2026-01-21", [mini.payment("B2")], trailer="合计,9,1.00")
    mini.execute("alter table so_order rename column cust_code to customer")
    mini.add_invoice("F3", "O1", on="2026-01-21")
    with pytest.raises(Incomplete) as caught:
        refresh(mini)
    second = readers_see(mini)
    assert second.release_id == caught.value.release_id != first.release_id
    assert caught.value.exit_code == 1
    assert [type(failure) for failure in caught.value.failures] == [BatchFault] * 2
    for said in ("no longer has cust_code", "its trailer counts 9 rows", second.release_id):
        assert said in str(caught.value)
    count = "select (select count(*) from fct_invoices), (select count(*) from fct_payments)"
    assert query(second, count) == [("3", "1")]
    with pytest.raises(Incomplete) as again:  # no news, so no release
        refresh(mini)
    assert again.value.release_id is None
    mini.write_bank("2026-01-21", [mini.payment("B2")])
    mini.execute("alter table so_order rename column customer to cust_code")
    assert query(published(mini), count) == [("3", "2")]
    ledger = (
        "select sum(count_rows_pulled - count_rows_accepted - count_rows_quarantined"
        " - count_rows_duplicate - count_rows_superseded) from conservation_ledger"
    )
    assert query(readers_see(mini), ledger) == [("0",)]


def test_there_is_no_release_without_any_row_of_a_feed_that_failed(tmp_path: Path) -> None:
    """Without one payment every invoice would seem unpaid, whoever asks for the candidate."""
    company = MiniCompany(tmp_path)
    company.add_order("O1")
    company.write_bank("2026-01-20", [company.payment("B1")], trailer="合计,9,1.00")
    with pytest.raises(BatchFault, match="trailer counts 9 rows"):
        refresh(company)
    run = pipeline.open_run(company.settings)
    with pytest.raises(GateFailure, match="payments: its trailer counts 9 rows"):
        pipeline.build_candidate(run)
    assert releases.current_release(company.settings.paths) is None
    company.write_bank("2026-01-20", [company.payment("B1")])
    assert query(published(company), "select count(*) from fct_payments") == [("1",)]


def test_where_no_source_answers_no_day_goes_by(mini: MiniCompany) -> None:
    """A day on which nothing could be pulled is not a day without business."""
    mini.mapping["as_of"] = "yesterday"
    mini.save_mapping()

    def refresh_on(day: int) -> releases.Release | None:
        run = pipeline.open_run(mini.settings, now=datetime(2026, 1, day, 4, tzinfo=UTC))
        return pipeline.refresh(run)

    refresh_on(26)
    assert readers_see(mini).as_of == date(2026, 1, 25)
    away = mini.erp.rename(mini.root / "away"), mini.bank.rename(mini.root / "bank-away")
    with pytest.raises(MartsError) as caught:
        refresh_on(27)
    assert "the database file does not exist" in str(caught.value)
    assert caught.value.exit_code == 3
    assert readers_see(mini).as_of == date(2026, 1, 25)
    away[0].rename(mini.erp)
    away[1].rename(mini.bank)
    assert refresh_on(27) is not None, "a quiet day is a day"
    assert readers_see(mini).as_of == date(2026, 1, 26)


def test_before_the_first_pull_nothing_can_be_planned(tmp_path: Path) -> None:
    empty = MiniCompany(tmp_path)
    with pytest.raises(ConfigurationError, match="nothing has landed yet"):
        planning.plan(pipeline.open_run(empty.settings))
