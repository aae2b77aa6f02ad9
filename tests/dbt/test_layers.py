"""The project's layers and the mart's paperwork, read from dbt's manifest."""

from __future__ import annotations

import csv
import re
from typing import Any

import pytest

from customer_marts.feeds import AREAS
from customer_marts.transform import marts_of
from tests.dbt.conftest import PROJECT, Dbt

# What a layer may read, besides seeds. Within marts the folders are layers of their own.
MAY_READ = {
    "staging": {"source"},
    "intermediate": {"staging", "intermediate"},
    # what a customer was known for month by month: steps between the facts and their classes
    "intermediate.segments": {"staging", "intermediate", "intermediate.segments", "core"},
    # which credit paid which claim, step by step
    "intermediate.receivables": {
        *("staging", "intermediate"),
        *("intermediate.receivables", "core"),
    },
    # what the score of a customer rests on: spans of lateness, defaults, a panel, the fits
    "intermediate.credit": {
        *("staging", "intermediate", "intermediate.receivables"),
        *("intermediate.credit", "core"),
    },
    "core": {"staging", "intermediate", "intermediate.receivables", "core"},
    # purchase histories, the value models' fits and what they forecast
    "intermediate.value": {"staging", "intermediate.value", "core"},
    # what is expected of a customer is less what it may fail to pay
    "value": {"staging", "intermediate.value", "core", "credit", "value"},
    "segments": {
        *("staging", "intermediate.segments"),
        *("core", "value", "credit", "segments"),
    },
    "credit": {
        *("staging", "intermediate", "intermediate.receivables"),
        *("intermediate.credit", "core", "credit"),
    },
    # what customers say, beside what they are and do
    "intermediate.voice": {"staging", "core", "segments", "intermediate.voice"},
    "voice": {
        *("staging", "intermediate", "intermediate.voice"),
        *("core", "segments", "value", "credit", "voice"),
    },
    # what is suggested and what may go wrong, before it is known since when somebody is asked
    "intermediate.management": {"staging", "core", "value", "segments", "credit", "voice"},
    "management": {
        *("staging", "intermediate.management"),
        *("core", "value", "segments", "credit", "voice", "management"),
    },
    "trust": {"staging", "trust"},
}
PREFIX = {
    "staging": r"stg_landing__",
    "intermediate": r"int_",
    "intermediate.segments": r"int_",
    "intermediate.receivables": r"int_",
    "intermediate.credit": r"int_",
    "intermediate.value": r"int_",
    "intermediate.voice": r"int_",
    "intermediate.management": r"int_",
    "core": r"(dim|fct)_",
}
# core marts about the ids themselves, neither a dimension nor a fact
UNPREFIXED = {"customer_identities", "identity_proposals"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")

Manifest = dict[str, Any]


def models(manifest: Manifest) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def seed_rows(name: str) -> list[dict[str, str]]:
    """The rows of a seed of parameters."""
    with (PROJECT / "seeds" / "parameters" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def marts(manifest: Manifest) -> list[dict[str, Any]]:
    return [node for node in models(manifest) if node["fqn"][1] == "marts"]


def layer(node: dict[str, Any]) -> str:
    if node["resource_type"] in ("source", "seed"):
        return str(node["resource_type"])
    folders = node["fqn"][1:-1]
    return str(folders[1] if folders[0] == "marts" else ".".join(folders))


Rule = tuple[str, dict[str, Any]]


def rules_of(node: dict[str, Any]) -> list[Rule]:
    """Kind and arguments of every rule of a mart's test; a singular test is one."""
    if "test_metadata" not in node:
        return [("singular", {})]
    assert node["test_metadata"]["name"] == "is_sound", node["name"]
    return [pair for rule in node["test_metadata"]["kwargs"]["rules"] for pair in rule.items()]


def rules_about(manifest: Manifest, model: dict[str, Any]) -> tuple[list[Rule], list[Rule]]:
    """The rules of the model's own test, and those of others that compare with it."""
    own, of_others = [], []
    for node in manifest["nodes"].values():
        if node["resource_type"] != "test" or model["unique_id"] not in node["depends_on"]["nodes"]:
            continue
        rules = rules_of(node)
        if node.get("attached_node") == model["unique_id"]:
            own += rules
        else:
            named = f"ref('{model['name']}')"
            of_others += [
                (kind, arguments)
                for kind, arguments in rules
                if kind == "singular" or arguments.get("to") == named
            ]
    return own, of_others


def test_references_point_one_way(manifest: Manifest) -> None:
    nodes = manifest["nodes"] | manifest["sources"]
    wrong = [
        f"{node['name']} ({layer(node)}) reads {nodes[parent]['name']} ({layer(nodes[parent])})"
        for node in models(manifest)
        for parent in node["depends_on"]["nodes"]
        if layer(nodes[parent]) not in MAY_READ[layer(node)] | {"seed"}
    ]
    assert len(models(manifest)) > 30
    assert not wrong


def test_the_areas_of_a_company_file_are_the_folders_of_marts(manifest: Manifest) -> None:
    assert {layer(mart) for mart in marts(manifest)} == {*AREAS, "trust"}


@pytest.mark.parametrize("area", ["core", "segments", "management"])
def test_a_mart_that_an_area_brings_along_brings_all_its_rules(dbt: Dbt, area: str) -> None:
    """Cautious selection leaves out a test that also reads what is not built."""
    marts = marts_of(dbt("parse"), [area])
    selected = [f"+{mart}" for mart in marts]
    names = dbt("ls", "--resource-type=test", "--indirect-selection=cautious",
                "--select", *selected)  # fmt: skip
    assert {f"{mart}__is_sound" for mart in marts} <= {name.rpartition(".")[2] for name in names}
    assert ("customer_360" in marts) == (area == "management")
    # of which a segment is told, and its rule's own comparison
    assert {"customer_clv", "clv_model_runs"} <= set(marts) or area == "core"


def test_names_tell_the_layer(manifest: Manifest) -> None:
    wrong = [
        node["name"]
        for node in models(manifest)
        if not re.match(PREFIX.get(layer(node), r"(?!stg_|int_)"), node["name"])
    ]
    assert set(wrong) == UNPREFIXED


def test_nothing_reads_the_clock_or_dbt_vars(manifest: Manifest) -> None:
    """The as-of date comes from the run context; a dbt var would force a full parse a run."""
    forbidden = re.compile(
        r"current_date|current_timestamp|\bnow\(|\btoday\(|\bvar\(|run_started_at"
    )
    written = models(manifest) + [
        macro for macro in manifest["macros"].values() if macro["package_name"] == "customer_marts"
    ]
    texts = {node["name"]: node.get("raw_code") or node["macro_sql"] for node in written}
    assert [name for name, text in texts.items() if forbidden.search(text)] == []


@pytest.mark.parametrize("mark", ["owner", "grain", "description_zh"])
def test_every_mart_states(manifest: Manifest, mark: str) -> None:
    wrong = [mart["name"] for mart in marts(manifest) if not mart["config"]["meta"].get(mark)]
    assert marts(manifest)
    assert not wrong


def test_descriptions_open_with_the_grain_and_end_in_chinese(manifest: Manifest) -> None:
    for mart in marts(manifest):
        assert mart["description"].startswith("One row per "), mart["name"]
        assert "Answers" in mart["description"], mart["name"]
        assert CHINESE.search(mart["description"]), mart["name"]


def test_every_mart_has_an_enforced_contract_with_both_languages(manifest: Manifest) -> None:
    for mart in marts(manifest):
        assert mart["config"]["contract"]["enforced"], mart["name"]
        for column in mart["columns"].values():
            name = f"{mart['name']}.{column['name']}"
            assert column["data_type"], name
            assert column["description"], name
            assert CHINESE.search(column["config"]["meta"]["label_zh"]), name


def test_every_mart_has_its_grain_tested_and_an_invariant(manifest: Manifest) -> None:
    for mart in marts(manifest):
        own, of_others = rules_about(manifest, mart)
        grains = [arguments["columns"] for kind, arguments in own if kind == "unique_combination"]
        assert mart["config"]["meta"]["grain"] in grains, mart["name"]
        kinds = {kind for kind, _ in own + of_others}
        assert {"sums_to", "holds", "relationships", "singular"} & kinds, mart["name"]


def test_texts_have_readers(manifest: Manifest) -> None:
    """Each area of a seed of texts stands in some SQL, and what a description leaves to the code
    book is there.
    """
    nodes = [*manifest["nodes"].values(), *manifest["macros"].values()]
    sql = "\n".join(node.get("raw_code") or node.get("macro_sql") or "" for node in nodes)
    for name in ("performance_texts", "voice_texts"):
        areas = {row["area"] for row in seed_rows(name)}
        assert {area for area in areas if f"'{area}'" not in sql} == set()
    columns = (column for node in marts(manifest) for column in node["columns"].values())
    named = {
        domain
        for column in columns
        for domain in re.findall(r"code_book:\s+(\w+)", column["description"])
    }
    assert {"credit_metric_status", "loyalty_component_status"} <= named
    assert named <= {row["domain"] for row in seed_rows("code_labels")}


def test_money_columns_are_decimals_and_carry_a_currency(manifest: Manifest) -> None:
    for mart in marts(manifest):
        money = {
            name: column["data_type"]
            for name, column in mart["columns"].items()
            if name.endswith("_amount")
        }
        for name, data_type in money.items():
            assert data_type in ("decimal(18, 2)", "decimal(38, 2)"), f"{mart['name']}.{name}"
        # a limit and a balance sheet are in the reporting currency
        if money and mart["name"] not in ("dim_customers", "dim_customer_history"):
            assert "currency" in mart["columns"], mart["name"]


def test_unit_tests_cover_the_awkward_cases(manifest: Manifest) -> None:
    tested = {unit_test["model"] for unit_test in manifest["unit_tests"].values()}
    assert tested >= {
        "stg_landing__orders",
        "stg_landing__customer_versions",
        "int_customer_versions",
        "int_customers",
        "int_rows_changed",
        "dim_customers",
        "customer_groups",
        "customer_identities",
        "identity_proposals",
        "fct_orders",
        "fct_order_lines",
        "fct_invoices",
        "fct_payments",
        "fct_complaints",
        "fct_interactions",
        "fct_customer_costs",
        "fct_opportunities",
        "fct_deliveries",
        "fct_receivables",
        "fct_customer_months",
        "customer_rfm",
        "customer_abc",
        "customer_lifecycle",
        "strategic_measures",
        "strategic_screenings",
        "strategic_weights",
        "strategic_values",
        "strategic_accounts",
        "customer_values",
        "customer_segment_history",
        "segment_migration",
        "book_concentration",
        "int_customer_states",
        "int_season_days",
        "customer_clv",
        "int_clv_histories",
        "open_documents",
        "receivables_balances",
        "receivables_ageing",
        "int_credit_late_spans",
        "int_credit_defaults",
        "int_credit_defaults_changed",
        "int_credit_flow_months",
        "int_credit_flows",
        "int_credit_months",
        "int_credit_observations",
        "int_credit_model_scores",
        "int_credit_scores",
        "credit_scores",
        "rating_migration",
        "provision_matrix",
        "expected_credit_loss",
        "credit_loss_movement",
        "int_bucket_transitions",
        "int_provision_group_months",
        "int_provision_cells",
        "int_provision_moves",
        "int_provision_rates",
        "int_specific_provision_months",
        "int_customer_provisions",
        "int_customer_actions",
        "int_customer_risks",
        "deadline_history",
        "customer_360",
        "quarantine_summary",
    }
