"""Batches into the build database: increments equal a rebuild, currencies, identities, cases."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from customer_marts.errors import ConfigurationError, DataError
from customer_marts.landing import Batch, feed_work_folder, land
from customer_marts.settings import PROJECT_ROOT
from customer_marts.sources.extract import SOURCE_COLUMN, Extract
from tests.landings import apply, land_everything, land_feed, land_feed_or_nothing, table
from tests.mini import MiniCompany

# --- the same rows under another company file --------------------------------------------------

# where a company's sources lie is the same; how they are read is not
CONTENTS = {
    "customers": "customer_id, size_class, credit_limit, onboarded_on, updated_at, is_deleted",
    "payments": "payment_id, amount, method, received_at, received_on, is_deleted",
    "fx_rates": "rate_on, currency, rate",
}


def misread(mini: MiniCompany) -> None:
    """Wrong unit, value maps, date format and time zone; a rate per 100 taken for one per 1."""
    feeds = mini.mapping["feeds"]
    customers = feeds["customers"]["columns"]
    customers["credit_limit"] = {"column": "credit_limit", "unit": "万元"}
    customers["size_class"] = {"column": "size_class", "values": {"大型": "small"}}
    customers["onboarded_on"] = {"column": "created_on", "format": "%Y-%d-%m"}
    feeds["payments"]["columns"]["amount"] = {"column": "金额", "unit": "千元"}
    feeds["payments"]["columns"]["method"]["values"]["转账"] = "cash"
    mini.mapping["sources"]["bank"]["time_zone"] = "Europe/Paris"
    feeds["fx_rates"]["columns"]["rate"] = "parity"
    mini.save_mapping()


def read_rightly(mini: MiniCompany, right: str) -> None:
    mini.mapping = yaml.safe_load(right)
    mini.save_mapping()


def ledger(database: Path) -> list[tuple[Any, ...]]:
    return table(
        database,
        "select feed, batch_id, rows_pulled, rows_accepted, rows_duplicate, rows_superseded, "
        "rows_quarantined from landing.ledger order by feed, release_sequence, batch_id",
    )


@pytest.mark.parametrize("late", [False, True], ids=["rebuilt at once", "rebuilt, then pulled"])
def test_a_corrected_mapping_takes_effect_on_rows_that_landed(
    trader: MiniCompany, tmp_path: Path, late: bool
) -> None:
    """A unit, value maps, a date format and a time zone are put right: what was landed under the
    wrong ones is superseded by what is read in the right way, and every version of a customer too.
    """
    write_rates(trader, "2026-01-02,USD,702.5", "2026-01-08,USD,703.0")
    trader.write_bank("2026-01-20", [trader.payment("B1"), trader.payment("B2", amount="12.00")])
    trader.execute("update crm_customer set created_on = '2025-03-01'")
    right = yaml.safe_dump(trader.mapping, allow_unicode=True)
    misread(trader)
    old = land_everything(trader)
    database = apply(trader, tmp_path / "build.duckdb", old)
    wrong = {
        feed: table(database, f"select {c} from landing.{feed}") for feed, c in CONTENTS.items()
    }

    read_rightly(trader, right)
    database.unlink()
    if late:  # the sources could not be reached when the company file changed
        apply(trader, database, old)
    new = {
        feed: [land_feed(trader, feed, after=old[feed], released=database if late else None)]
        for feed in CONTENTS
    }
    # the pipeline rebuilds when a mapping's first batches come
    database.unlink(missing_ok=True)
    apply(trader, database, {feed: [*old[feed], *new.get(feed, [])] for feed in old})

    fresh = MiniCompany(tmp_path / "fresh")
    read_rightly(fresh, right.replace(str(trader.root), str(fresh.root)))
    fresh.add_order("O1", at="2026-01-05 10:00:00")
    fresh.execute("update so_order set currency = 'USD'")
    fresh.execute("update crm_customer set created_on = '2025-03-01'")
    write_rates(fresh, "2026-01-02,USD,702.5", "2026-01-08,USD,703.0")
    fresh.write_bank("2026-01-20", [fresh.payment("B1"), fresh.payment("B2", amount="12.00")])
    known = apply(fresh, tmp_path / "fresh.duckdb", land_everything(fresh))
    for feed, columns in CONTENTS.items():
        query = f"select {columns} from landing.{feed} order by all"
        assert table(database, query) == table(known, query)
        assert table(database, query) != sorted(wrong[feed])
    versions = f"select {CONTENTS['customers']}, _updated_on from landing.customer_versions"
    assert table(database, f"{versions} order by all") == table(known, f"{versions} order by all")
    for feed, batch, pulled, accepted, *lost in ledger(database):
        if feed in CONTENTS:
            is_new = batch == new[feed][0].batch_id
            assert (accepted, lost[1]) == ((pulled, "0") if is_new else ("0", pulled))
    # a third company file, by which nothing was read yet: what the second made stands
    trader.mapping["cut_off"] = "17:00"
    trader.save_mapping()
    third = apply(
        trader, tmp_path / "third.duckdb", {feed: old[feed] + new.get(feed, []) for feed in old}
    )
    for feed, columns in CONTENTS.items():
        query = f"select {columns} from landing.{feed} order by all"
        assert table(third, query) == table(known, query)
    read_rightly(trader, right)
    # nothing of it is news a second time
    assert (
        land_feed_or_nothing(trader, "customers", old["customers"] + new["customers"], database)
        is None
    )


def test_what_a_file_no_longer_makes_under_the_present_mapping_goes(
    mini: MiniCompany, tmp_path: Path
) -> None:
    """A row for trial was read as a payment and an amount found faulty; the mapping that leaves the
    first out and reads the second is the only one that counts, in the quarantine too. A file that
    has left the folder keeps its old reading.
    """
    gone = mini.write_bank("2026-01-05", [mini.payment("B0"), mini.payment("B9", amount="#9")])
    mini.write_bank(
        "2026-01-20", [mini.payment("B1"), mini.payment("TRY"), mini.payment("B3", amount="#100")]
    )
    right = {
        **mini.mapping["feeds"]["payments"],
        "query": """
            select * replace (ltrim(金额, '#') as 金额)
            from movements where 流水号 <> 'TRY'
        """,
    }
    del right["table"]
    old = land_feed(mini, "payments")
    database = apply(mini, tmp_path / "build.duckdb", {"payments": [old]})
    payments = "select payment_id from landing.payments order by 1"
    faulty = "select row_key from landing.quarantine where rule = 'invalid_amount' order by 1"
    assert table(database, payments) == [("B0",), ("B1",), ("TRY",)]
    assert table(database, faulty) == [("B3",), ("B9",)]

    gone.unlink()
    mini.mapping["feeds"]["payments"] = right
    mini.save_mapping()
    new = land_feed(mini, "payments", after=[old])
    database.unlink()
    apply(mini, database, {"payments": [old, new]})
    assert table(database, payments) == [("B0",), ("B1",), ("B3",)]
    assert table(database, faulty) == [("B9",)]
    assert table(database, "select row_key, closed_by from landing.quarantine_closed") == [
        ("B3", "source")
    ]
    assert sorted(line[2:] for line in ledger(database)) == [
        ("2", "2", "0", "0", "0"),
        ("5", "1", "0", "2", "2"),
    ]


def test_a_row_that_stays_faulty_is_listed_as_it_is_read_now(
    mini: MiniCompany, tmp_path: Path
) -> None:
    """With the day it was first seen: a decision on it needs the columns mapped now."""
    mini.write_bank("2026-01-20", [mini.payment("B1"), mini.payment("B2", amount="x")])
    old = land_feed(mini, "payments")
    mini.mapping["feeds"]["payments"]["columns"]["amount"] = {"column": "金额", "unit": "元"}
    mini.save_mapping()
    new = land_feed(mini, "payments", after=[old])
    database = apply(mini, tmp_path / "build.duckdb", {"payments": [old, new]})
    [(batch, first_seen)] = table(
        database,
        "select batch_id, first_seen_at from landing.quarantine where rule = 'invalid_amount'",
    )
    assert batch == new.batch_id
    assert first_seen[:26] == old.manifest["landed_at"].replace("T", " ")[:26]


# --- a history in any order --------------------------------------------------------------------

START = datetime(2026, 1, 5, 9)  # noqa: DTZ001 the ERP's own clock


def order_version(number: int, version: int, customer: int, kind: str) -> dict[str, Any]:
    """One state of an order as the ERP would give it; of one version there is one content."""
    status = {"ok": "已确认", "bad": "？", "deleted": "已取消"}[kind]
    return {
        "order_no": f"O{number}",
        "cust_code": f"C{customer}",
        "order_time": str(START + timedelta(days=number)),
        "status": status,
        "currency": "CNY",
        "channel": None,
        "contract_no": None,
        "sale_type": "现货",
        "updated_at": str(START + timedelta(days=10, hours=version)),
        "deleted": "1" if kind == "deleted" else "0",
    }


def customer_version(number: int, version: int) -> dict[str, Any]:
    return {
        **dict.fromkeys(
            ("uscc", "group_code", "industry", "size_class", "province", "cust_type", "manager",
             "terms_days", "credit_limit", "created_on")
        ),
        "cust_code": f"C{number}",
        "cust_name": f"客户{number}-{version}",
        "updated_at": str(START + timedelta(hours=version)),
        "deleted": "0",
    }  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[list[tuple[str, dict[str, Any]]]]:
    """Versions of five orders and three customers, shuffled, some twice, cut into batches."""
    kinds = st.sampled_from(["ok", "ok", "ok", "bad", "deleted"])
    rows: list[tuple[str, dict[str, Any]]] = []
    for number in range(1, 6):
        versions = draw(st.lists(st.tuples(st.integers(1, 3), kinds), min_size=1, max_size=4))
        rows += [
            ("orders", order_version(number, version, customer, kind))
            for version, (customer, kind) in enumerate(versions)
        ]
    for number in range(1, 3 + draw(st.integers(0, 1))):  # customer 3 may never come
        rows += [("customers", customer_version(number, v)) for v in range(draw(st.integers(1, 2)))]
    rows += draw(st.lists(st.sampled_from(rows), max_size=6))
    shuffled = draw(st.permutations(rows))
    cuts = sorted(draw(st.sets(st.integers(1, len(shuffled) - 1), min_size=1, max_size=3)))
    return [list(shuffled[a:b]) for a, b in zip([0, *cuts], [*cuts, None], strict=True)]


def within_budget(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The rows in batches of which none holds more than two faulty ones."""
    faulty = [row for row in rows if row.get("status") == "？"]
    sound = [row for row in rows if row.get("status") != "？"]
    parts = [sound + faulty[:2], *([row] for row in faulty[2:])]
    return [part for part in parts if part]


def land_rows(mini: MiniCompany, feed: str, rows: list[dict[str, Any]]) -> Batch:
    columns = mini.company.feeds[feed].source_columns
    with feed_work_folder(mini.settings.paths, feed) as work:
        values = {name: pa.array([row[name] for row in rows], pa.string()) for name in columns}
        values[SOURCE_COLUMN] = pa.array([feed] * len(rows), pa.string())
        pq.write_table(pa.table(values), work / "raw.parquet")
        extract = Extract(work / "raw.parquet", len(rows), feed)
        batch = land(mini.settings, mini.company, feed, extract, work, None, date(2026, 6, 30))
    assert batch is not None
    return batch


def standing(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What a build database says, but for the release that said it first."""
    return {
        "orders": table(database, "select * exclude _changed_in from landing.orders order by all"),
        "customers": table(
            database, "select * exclude _changed_in from landing.customers order by all"
        ),
        "customer_versions": table(
            database, "select * exclude _changed_in from landing.customer_versions order by all"
        ),
        "quarantine": table(
            database,
            "select quarantine_id, rule, row_key, raw from landing.quarantine order by all",
        ),
        "closed": table(
            database,
            "select quarantine_id, rule, row_key, closed_by from landing.quarantine_closed "
            "order by all",
        ),
        "ledger": table(
            database,
            "select feed, sum(rows_pulled), sum(rows_quarantined), sum(rows_held), "
            "sum(rows_accepted + rows_duplicate + rows_superseded) "
            "from landing.ledger group by feed order by feed",
        ),
    }


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    # shrinking lands hundreds of batches; the failing history is short as it is
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=histories())
def test_increments_equal_a_rebuild_whatever_the_order(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[tuple[str, dict[str, Any]]]]
) -> None:
    """Late, corrected, deleted, duplicated and faulty rows in random batches give what all of
    them at once give, and of every order the latest valid version stands.
    """
    root = tmp_path_factory.mktemp("history")
    mini = MiniCompany(root / "company")
    everything: dict[str, list[Batch]] = {}
    for sequence, part in enumerate(history, start=1):
        fresh: dict[str, list[Batch]] = {}
        for feed in ("customers", "orders"):
            for rows in within_budget([row for name, row in part if name == feed]):
                batch = land_rows(mini, feed, rows)
                if batch.batch_id not in {b.batch_id for b in everything.get(feed, [])}:
                    fresh.setdefault(feed, []).append(batch)
                    everything.setdefault(feed, []).append(batch)
        apply(mini, root / "increment.duckdb", fresh, sequence=sequence)
    apply(mini, root / "rebuild.duckdb", everything)
    assert standing(root / "increment.duckdb") == standing(root / "rebuild.duckdb")

    latest: dict[str, dict[str, Any]] = {}
    versions = {
        (row["cust_code"], row["cust_name"])
        for part in history
        for feed, row in part
        if feed == "customers"
    }
    assert table(
        root / "increment.duckdb",
        "select customer_id, name from landing.customer_versions order by all",
    ) == sorted(versions)
    for feed, row in (item for part in history for item in part):
        # of a deleted row only the key counts; a faulty one is not landed
        if feed == "orders" and row["status"] != "？":
            known = latest.get(row["order_no"])
            if known is None or row["updated_at"] > known["updated_at"]:
                latest[row["order_no"]] = row
    assert table(
        root / "increment.duckdb",
        "select order_id, customer_id, is_deleted from landing.orders order by 1",
    ) == [
        (number, row["cust_code"], str(row["deleted"] == "1"))
        for number, row in sorted(latest.items())
    ]


# --- versions ----------------------------------------------------------------------------------


def customers_of(mini: MiniCompany, *changes: tuple[str, str], gone: bool = False) -> Batch:
    """A batch of customer 1's versions: (updated_at, name) each."""
    rows = [
        {**customer_version(1, 0), "cust_name": name, "updated_at": at, "deleted": str(int(gone))}
        for at, name in changes
    ]
    return land_rows(mini, "customers", rows)


VERSIONS = """
    select name, updated_at, _updated_on, is_deleted, _customer_id
    from landing.customer_versions order by updated_at, is_deleted
"""


def test_every_version_of_a_customer_is_kept_on_its_business_day(
    mini: MiniCompany, tmp_path: Path
) -> None:
    """The later version came first; one is read twice; the day ends at 17:00 in Shanghai."""
    mini.mapping["cut_off"] = "17:00"
    mini.save_mapping()
    batches = [
        customers_of(mini, ("2026-01-07 16:59:00", "C")),
        customers_of(mini, ("2026-01-05 08:00:00", "A"), ("2026-01-06 17:00:00", "B")),
        customers_of(mini, ("2026-01-06 17:00:00", "B"), ("2026-01-08 07:00:00", "D"), gone=True),
    ]
    database = apply(mini, tmp_path / "build.duckdb", {"customers": batches[:1]})
    for sequence, batch in enumerate(batches[1:], start=2):
        apply(mini, database, {"customers": [batch]}, sequence=sequence)
    decide(mini, "merge,C1,C2,,,,,王芳,2026-03-01,one customer under two codes")
    rebuilt = apply(mini, tmp_path / "rebuilt.duckdb", {"customers": batches})
    found = table(database, VERSIONS)
    assert found == [
        ("A", "2026-01-05 00:00:00", "2026-01-05", "False", "C1"),
        ("B", "2026-01-06 09:00:00", "2026-01-07", "False", "C1"),
        ("B", "2026-01-06 09:00:00", "2026-01-07", "True", "C1"),
        ("C", "2026-01-07 08:59:00", "2026-01-07", "False", "C1"),
        ("D", "2026-01-07 23:00:00", "2026-01-08", "True", "C1"),
    ]
    assert table(rebuilt, VERSIONS) == [(*row[:4], "C2") for row in found]


def deal_of(stage: str, at: str) -> dict[str, Any]:
    """One change of a deal, as the CRM keeps it."""
    return {
        "deal_id": "OP1", "account_code": "C1", "stage": stage, "amount_wan": "1.5",
        "currency": "CNY", "probability_percent": "50", "created_on": "2026-01-05",
        "expected_on": None, "closed_on": None, "won": None, "owner": "王芳", "lost_reason": None,
        "updated_at": at, "is_deleted": "N",
    }  # fmt: skip


def test_the_stages_of_a_deal_are_kept_however_they_come(mini: MiniCompany, tmp_path: Path) -> None:
    """A log of changes gives all at once, a table the latest of each pull, a late file an old one:
    the latest stage stands, and increments keep the same path as a rebuild.
    """
    sample = yaml.safe_load((PROJECT_ROOT / "dags/companies/sample.yml").read_text("utf-8"))
    mini.mapping["feeds"]["opportunities"] = sample["feeds"]["opportunities"] | {"source": "erp"}
    mini.save_mapping()
    changes = [
        [deal_of("Lead", "2026-01-05 01:00:00"), deal_of("Proposal", "2026-01-20 01:00:00")],
        [deal_of("Negotiation", "2026-02-02 01:00:00")],
        [deal_of("Qualified", "2026-01-09 20:00:00"), deal_of("Proposal", "2026-01-20 01:00:00")],
    ]
    batches = [land_rows(mini, "opportunities", rows) for rows in changes]
    database = tmp_path / "build.duckdb"
    for sequence, batch in enumerate(batches, start=1):
        apply(mini, database, {"opportunities": [batch]}, sequence=sequence)
    rebuilt = apply(mini, tmp_path / "rebuilt.duckdb", {"opportunities": batches})
    path = "select * exclude _changed_in from landing.opportunity_versions order by updated_at"
    assert table(database, path) == table(rebuilt, path)
    assert table(
        database,
        "select stage, _updated_on, _changed_in from landing.opportunity_versions "
        "order by updated_at",
    ) == [
        ("lead", "2026-01-05", "1"),
        ("qualified", "2026-01-09", "3"),
        ("proposal", "2026-01-20", "1"),
        ("negotiation", "2026-02-02", "2"),
    ]
    assert table(database, "select stage from landing.opportunities") == [("negotiation",)]


def test_a_feed_without_update_times_has_no_versions(mini: MiniCompany, tmp_path: Path) -> None:
    del mini.mapping["feeds"]["customers"]["columns"]["updated_at"]
    del mini.mapping["feeds"]["customers"]["cursor"]
    mini.save_mapping()
    database = apply(mini, tmp_path / "build.duckdb", land_everything(mini))
    assert table(database, "select count(*) from landing.customers") == [("2",)]
    assert table(database, "select count(*) from landing.customer_versions") == [("0",)]


# --- currencies ---------------------------------------------------------------------------------


@pytest.fixture
def trader(mini: MiniCompany) -> MiniCompany:
    """The mini company, selling in dollars too; the treasury's rates are in a file."""
    mini.mapping["currencies"] = ["USD"]
    mini.mapping["sources"]["treasury"] = {
        "kind": "files",
        "folder": str(mini.root),
        "encoding": "utf-8",
        "tables": {"rates": {"path": "rates*.csv"}},
    }
    mini.mapping["feeds"]["fx_rates"] = {
        "source": "treasury",
        "table": "rates",
        "columns": {
            "rate_on": "day",
            "currency": "code",
            "rate": {"column": "parity", "unit": "per_100"},
        },
    }
    mini.save_mapping()
    mini.add_order("O1", at="2026-01-05 10:00:00")
    mini.execute("update so_order set currency = 'USD'")
    return mini


def write_rates(mini: MiniCompany, *lines: str, name: str = "rates.csv") -> None:
    (mini.root / name).write_text("\n".join(["day,code,parity", *lines, ""]), "utf-8")


def test_a_rate_holds_until_the_next_and_ten_days_at_most(
    trader: MiniCompany, tmp_path: Path
) -> None:
    write_rates(trader, "2026-01-02,USD,702.5", "2026-01-08,USD,703.0")
    database = apply(trader, tmp_path / "build.duckdb", land_everything(trader))
    days = "select valid_on, rate_on, rate from landing.fx_days order by 1"
    assert table(database, f"{days} limit 7")[4:] == [
        ("2026-01-06", "2026-01-02", "7.02500000"),
        ("2026-01-07", "2026-01-02", "7.02500000"),
        ("2026-01-08", "2026-01-08", "7.03000000"),
    ]
    assert table(database, "select max(valid_on) from landing.fx_days") == [("2026-01-18",)]


def test_a_missing_rate_stops_and_says_which(trader: MiniCompany, tmp_path: Path) -> None:
    write_rates(trader, "2025-12-20,USD,702.5")
    with pytest.raises(DataError, match="orders: 1 rows in USD, 2026-01-05 to 2026-01-05"):
        apply(trader, tmp_path / "build.duckdb", land_everything(trader))


def test_a_corrected_rate_changes_the_rows_of_its_days(trader: MiniCompany, tmp_path: Path) -> None:
    write_rates(trader, "2026-01-02,USD,702.5", "2026-01-08,USD,703.0")
    trader.add_order("O2", at="2026-01-09 10:00:00")
    trader.execute("update so_order set currency = 'USD'")
    database = apply(trader, tmp_path / "build.duckdb", land_everything(trader))
    write_rates(trader, "2026-01-02,USD,700.0", name="rates_2.csv")
    later = land_feed(trader, "fx_rates", after=[])
    apply(trader, database, {"fx_rates": [later]}, sequence=2)
    assert table(database, "select order_id, _changed_in from landing.orders order by 1") == [
        ("O1", "2"),
        ("O2", "1"),
    ]


def test_an_undeclared_currency_is_faulty(trader: MiniCompany, tmp_path: Path) -> None:
    write_rates(trader, "2026-01-02,USD,702.5")
    trader.execute("update so_order set currency = 'JPY'")
    database = apply(trader, tmp_path / "build.duckdb", land_everything(trader))
    assert table(database, "select rule, value from landing.quarantine where feed = 'orders'") == [
        ("currency_without_rate", "JPY")
    ]


# --- identities ---------------------------------------------------------------------------------

HEADER = (
    "kind,from_customer_id,to_customer_id,feed,row_key,valid_from,valid_to,decided_by,decided_on,"
    "reason"
)


def decide(mini: MiniCompany, *lines: str) -> None:
    file = mini.root / "companies" / "mini.identity.csv"
    file.write_text("\n".join([HEADER, *lines, ""]), "utf-8")


def orders_by_customer(database: Path) -> list[tuple[Any, ...]]:
    return table(database, "select order_id, _customer_id from landing.orders order by 1")


def test_decisions_move_rows_and_removing_them_brings_them_back(
    mini: MiniCompany, tmp_path: Path
) -> None:
    mini.add_order("O1", "C1", at="2026-01-05 10:00:00")
    mini.add_order("O2", "C1", at="2026-02-05 10:00:00")
    mini.add_order("O3", "C1", at="2026-02-06 10:00:00")
    batches = land_everything(mini)
    decide(
        mini,
        "merge,C1,C2,,,2026-02-01,,王芳,2026-03-01,moved into the group",
        "split,C1,C7,orders,O3,,,王芳,2026-03-01,sold for the subsidiary",
        "distinct,C2,C9,,,,,王芳,2026-03-01,two mines of one name",
    )
    decided = apply(mini, tmp_path / "decided.duckdb", batches)
    assert orders_by_customer(decided) == [("O1", "C1"), ("O2", "C2"), ("O3", "C7")]
    assert table(decided, "select distinct customer_id from landing.orders") == [("C1",)]
    # the master record belongs to no day: a dated decision leaves it where it is
    assert table(decided, "select _customer_id from landing.customers order by 1") == [
        ("C1",),
        ("C2",),
    ]
    decide(mini, "merge,C1,C2,,,,,王芳,2026-03-01,one customer under two codes")
    merged = apply(mini, tmp_path / "merged.duckdb", batches)
    assert {customer for _, customer in orders_by_customer(merged)} == {"C2"}
    decide(mini)
    undone = apply(mini, tmp_path / "undone.duckdb", batches)
    assert {customer for _, customer in orders_by_customer(undone)} == {"C1"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["fuse,C1,C2,,,,,w,2026-01-01,x"], "'fuse' is no kind"),
        (["merge,C1,C1,,,,,w,2026-01-01,x"], "both ids are the same"),
        (["merge,C1,C2,,,,,,2026-01-01,x"], "decided_by is missing"),
        (["merge,C1,C2,,,1.2.2026,,w,2026-01-01,x"], "is not a date"),
        (["split,C1,C2,,,,,w,2026-01-01,x"], "a split names a row or a date range"),
        (
            ["merge,C1,C2,,,,,w,2026-01-01,x", "merge,C1,C3,,,2026-01-01,,w,2026-01-01,x"],
            "decided for the same days in line 2",
        ),
        (
            ["merge,C1,C2,,,,,w,2026-01-01,x", "merge,C2,C3,,,,,w,2026-01-01,x"],
            "C2 itself counts for C3",
        ),
    ],
)
def test_a_crosswalk_that_cannot_be_meant_is_refused(
    mini: MiniCompany, lines: list[str], message: str, tmp_path: Path
) -> None:
    decide(mini, *lines)
    with pytest.raises(ConfigurationError, match=message):
        apply(mini, tmp_path / "build.duckdb", {})


def test_rows_wait_for_the_customer_they_count_for(mini: MiniCompany, tmp_path: Path) -> None:
    mini.add_order("O1", "OLD")
    mini.add_order("O2", "C1")
    decide(
        mini,
        "rekey,OLD,C2,,,,,王芳,2026-03-01,the code was replaced",
        "merge,C1,NOSUCH,,,,,王芳,2026-03-01,a slip of the pen",
    )
    database = apply(mini, tmp_path / "build.duckdb", land_everything(mini))
    assert table(
        database, "select order_id, _customer_id, _held_reason from landing.orders order by 1"
    ) == [("O1", "C2", None), ("O2", "NOSUCH", "unknown_customer")]
