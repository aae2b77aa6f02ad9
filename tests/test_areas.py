"""A company builds the areas it wants; another can come later, and one can go."""

from __future__ import annotations

from customer_marts import releases
from customer_marts.deadlines import DEADLINE_MART
from customer_marts.feeds import AREAS
from customer_marts.model_runs import MODEL_RUN_MARTS
from tests.mini import MiniCompany
from tests.runs import published, query, tables


def released_tables(release: releases.Release) -> set[str]:
    """The release's marts, which its dictionary describes, its manifest counts and its gates judged
    all alike.
    """
    marts = set(release.manifest["rows"])
    assert {name for (name,) in query(release, "select table_name from duckdb_tables()")} == marts
    assert {file.stem for file in (release.folder / "parquet").iterdir()} == marts
    described = query(release, "select distinct table_name from data_dictionary")
    assert {name for (name,) in described} == marts
    gates = release.manifest["gates"]
    assert {line["table"] for line in gates if line["gate"] == "marts"} == marts
    return marts


def test_areas_come_and_go(released: MiniCompany, released_in_full: MiniCompany) -> None:
    """Areas added are as if they had been there from the first release on."""
    mini = released
    core = releases.current_release(mini.settings.paths)
    full = releases.current_release(released_in_full.settings.paths)
    assert core is not None
    assert full is not None
    assert {"fct_orders", "release_log"} <= released_tables(core) < released_tables(full)
    assert "customer_360" not in released_tables(core)

    mini.mapping["areas"] = list(AREAS)
    mini.save_mapping()
    added = published(mini)
    assert released_tables(added) == released_tables(full)
    before, after = tables(full), tables(added)
    for mart in (*MODEL_RUN_MARTS, DEADLINE_MART):
        # it tells in which release a model was fitted, and what is due was told first
        assert len(before.pop(mart)) == len(after.pop(mart))
    assert after == before

    mini.mapping["areas"] = ["core"]
    mini.save_mapping()
    less = published(mini)
    assert released_tables(less) == released_tables(core)
    assert tables(less) == tables(core)
