"""``marts plan``: what the next run would build, told before it, without a trace on disk."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from customer_marts import pipeline, releases
from customer_marts.cli import marts
from tests.mini import MiniCompany


def call(mini: MiniCompany, *arguments: str) -> Result:
    return CliRunner().invoke(marts, ["plan", *arguments], env=mini.environment)


def facts(mini: MiniCompany, *arguments: str) -> dict[str, Any]:
    done = call(mini, "--json", *arguments)
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.output)
    return told


def files(mini: MiniCompany) -> dict[str, int]:
    root = mini.settings.paths.root
    return {str(item): item.stat().st_mtime_ns for item in root.rglob("*")}


def land_an_order(mini: MiniCompany) -> pipeline.Run:
    mini.add_order("O9", at="2026-01-21 08:00:00")
    run = pipeline.open_run(mini.settings)
    for feed in ("orders", "order_lines"):
        assert pipeline.pull(run, feed) is not None
    return run


def test_before_anything_landed_it_says_what_to_do(mini: MiniCompany) -> None:
    done = call(mini)
    assert done.exit_code == 2
    assert "nothing has landed yet" in done.output
    assert not mini.settings.paths.root.exists()


def test_what_landed_is_applied_once_gate_one_has_passed_it(released: MiniCompany) -> None:
    assert "nothing new landed since r00001-20260120" in call(released).output
    run = land_an_order(released)
    before = files(released)
    unjudged = facts(released)
    assert unjudged["release_id"] is None
    assert unjudged["batches_unjudged"] == {"orders": 1, "order_lines": 1}
    assert files(released) == before, "whoever only asks leaves nothing behind"

    pipeline.gate_landing(run, released.company.feeds)
    judged = facts(released)
    # the cursor's overlap brings the last row again
    assert judged["rows"] == {"orders": 2, "order_lines": 2}
    assert judged["batches_unjudged"] == {}
    assert (judged["is_rebuild"], judged["like"]) == (False, None)
    told = call(released).output
    for part in (
        "mini: r00002-20260121, an increment on r00001-20260120, as of 2026-01-21",
        "applies      rows: orders 2, order_lines 2",
    ):
        assert part in told, told
    planned = judged["release_id"]
    release = pipeline.refresh(pipeline.open_run(released.settings))
    assert release is not None
    assert release.release_id == planned


def test_a_rebuild_is_told_with_its_cause_and_what_the_last_one_took(
    released: MiniCompany,
) -> None:
    current = releases.current_release(released.settings.paths)
    assert current is not None
    asked = facts(released, "--rebuild", "--as-of", "2026-01-15")
    assert asked["release_id"] == "r00002-20260115"
    assert asked["reason"] == "rebuild asked for"
    assert asked["like"]["release_id"] == current.release_id
    assert asked["like"]["bytes"] > current.marts.stat().st_size

    released.mapping["name"]["en"] = "Another name"
    released.save_mapping()
    done = call(released).output
    assert "mini: r00002-20260120, a rebuild, as of 2026-01-20" in done
    assert "because      changed: company file\n" in done


def test_of_a_release_that_keeps_no_parts_any_may_have_changed(released: MiniCompany) -> None:
    current = releases.current_release(released.settings.paths)
    assert current is not None
    manifest = {**current.manifest, "code_version": "0"}
    del manifest["code"]
    (current.folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    told = "changed: one or more of code, dbt project, suites, company file, crosswalk"
    assert facts(released)["reason"] == told
