"""What lean_dbt leaves out of dbt's own work changes nothing that dbt makes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from dbt.adapters.events.types import ConnectionUsed
from dbt.clients.jinja import MacroGenerator
from dbt.context.providers import generate_runtime_model_context
from dbt_common.events.base_types import EventLevel
from dbt_common.events.event_manager_client import get_event_manager
from dbt_common.events.functions import fire_event
from dbt_common.events.types import Note

from customer_marts.lean_dbt import lean_dbt
from tests.dbt.conftest import Dbt
from tests.dbt.landing_fixture import Landing


def test_nodes_compile_to_the_same_from_the_same_macros(
    dbt: Dbt, landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    macros: dict[str, dict[str, str]] = {}

    def remember(node: Any, *arguments: Any) -> dict[str, Any]:
        context = generate_runtime_model_context(node, *arguments)
        macros[node.unique_id] = {
            name: value.macro.unique_id
            for name, value in context.items()
            if isinstance(value, MacroGenerator)
        }
        return context

    monkeypatch.setattr("dbt.compilation.generate_runtime_model_context", remember)

    def compiled() -> dict[str, tuple[str, dict[str, str]]]:
        results = dbt("compile", "--select", "dim_customers", "fct_customer_months")
        return {
            result.node.unique_id: (result.node.compiled_code, macros[result.node.unique_id])
            for result in results
        }

    lean = compiled()
    monkeypatch.setitem(dbt.__globals__, "lean_dbt", nullcontext)
    assert lean == compiled()
    assert sum("is_sound" in node for node in lean) > 10
    assert all(len(found) > 600 for _, found in lean.values())


def test_warnings_are_heard_and_debug_events_are_not_even_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[str] = []
    manager = get_event_manager()
    monkeypatch.setattr(manager, "callbacks", [lambda event: heard.append(event.info.msg)])

    def fire_both() -> None:
        fire_event(ConnectionUsed(conn_type="duckdb", conn_name="quiet"))
        fire_event(Note(msg="loud"), level=EventLevel.WARN)

    with lean_dbt():
        fire_both()
        with pytest.raises(AttributeError):
            _ = ConnectionUsed(conn_type="duckdb", conn_name="quiet").pb_msg
    assert heard == ["loud"]
    fire_both()
    assert heard[1:] == ['Using duckdb connection "quiet"', "loud"]
