"""A candidate that changes too much waits for a person's word, on the whole line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from customer_marts import releases
from customer_marts.cli import marts
from customer_marts.errors import GateFailure
from customer_marts.gates.changes import measures
from tests.mini import MiniCompany
from tests.readme import approval_commands
from tests.runs import published, query, refresh

COUNT_ORDERS = measures()[0] + 20


@pytest.fixture
def mini(tmp_path: Path) -> MiniCompany:
    """A company of some orders after its first release."""
    company = MiniCompany(tmp_path / "company")
    for number in range(COUNT_ORDERS):
        company.add_order(f"O{number}")
    published(company)
    return company


def lose_orders(mini: MiniCompany, count: int, at: str) -> None:
    numbers = ", ".join(f"'O{number}'" for number in range(count))
    mini.execute(
        f"update so_order set deleted = '1', updated_at = '{at}' where order_no in ({numbers})"
    )


def command(mini: MiniCompany, *arguments: str) -> Result:
    return CliRunner().invoke(marts, arguments, env=mini.environment)


def test_a_loss_of_orders_waits_is_looked_at_approved_and_released(mini: MiniCompany) -> None:
    paths = mini.settings.paths
    first = releases.current_release(paths)
    assert first is not None
    lose_orders(mini, 5, "2026-02-03 11:00:00")
    with pytest.raises(GateFailure, match="changes more than a release may") as refused:
        refresh(mini)
    lost = f"orders: {COUNT_ORDERS} to {COUNT_ORDERS - 5} (-4.2%), at most 1.0%"
    assert lost in str(refused.value)
    assert "marts approve" in str(refused.value)
    assert releases.current_release(paths) == first

    assert lost in command(mini, "status").output
    look, word, run = [shlex.split(line)[1:] for line in approval_commands()]
    shown = command(mini, *look).output
    assert f"! {lost}" in shown
    assert f"fct_orders: {COUNT_ORDERS} rows to {COUNT_ORDERS - 5} rows" in shown

    # nobody's word: it waits on
    with pytest.raises(GateFailure):
        refresh(mini)
    approved = command(mini, *word)
    assert approved.exit_code == 0, approved.output
    assert lost in approved.output
    assert command(mini, *run).exit_code == 0
    release = releases.current_release(paths)
    assert release is not None
    assert query(release, "select count(*) from fct_orders") == [(str(COUNT_ORDERS - 5),)]
    [line] = [line for line in release.manifest["gates"] if line["gate"] == "changes"]
    assert line["success"]
    assert "approved by Wang Fang: the plant was sold" in json.dumps(line, ensure_ascii=False)
    told = command(mini, "diff").output
    assert f"* {lost}" in told
    assert "approved by Wang Fang" in told

    # a release that was taken back was not right after all: it asks again
    releases.rollback(mini.settings)
    with pytest.raises(GateFailure, match="changes more than a release may"):
        refresh(mini)
    releases.rollback(mini.settings, release.release_id)

    # the word was for that release: the next loss waits for its own
    lose_orders(mini, 12, "2026-02-04 11:00:00")
    with pytest.raises(GateFailure, match="orders: "):
        refresh(mini)
    assert releases.current_release(paths) == release


def test_nothing_can_be_approved_that_does_not_wait(mini: MiniCompany) -> None:
    nothing = command(mini, "approve", "--by", "王芳", "--reason", "why not")
    assert nothing.exit_code == 2
    assert "nothing waits for approval" in nothing.output
    assert command(mini, "diff", "candidate").exit_code == 2
    assert "there is no earlier release" in command(mini, "diff").output
    mini.add_order("O-more", at="2026-02-03 09:00:00")
    published(mini)
    first, second = releases.all_releases(mini.settings.paths)
    told = json.loads(command(mini, "diff", "--json").output)
    assert (told["before"], told["after"]) == (first.release_id, second.release_id)
    assert told["rows"]["fct_orders"] == [COUNT_ORDERS, COUNT_ORDERS + 1]
    assert not any(change["waits"] for change in told["changes"])
    wrong = command(mini, "diff", "r99999-20260101")
    assert wrong.exit_code == 2
    assert second.release_id in wrong.output
