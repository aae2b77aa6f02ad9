"""Company files: every mistake is named with its file and field before any source is read."""

from __future__ import annotations

import pytest

from customer_marts.errors import ConfigurationError
from customer_marts.feeds import FEEDS, load_company, load_contract
from customer_marts.settings import COMPANIES_DIR, Settings
from tests.mini import MiniCompany


@pytest.mark.parametrize("name", sorted(file.stem for file in COMPANIES_DIR.glob("*.yml")))
def test_the_shipped_company_files_are_valid(name: str) -> None:
    company = load_company(Settings.load({}, company=name))
    assert set(company.feeds) <= set(FEEDS)


def test_references_point_to_feeds_before_them() -> None:
    for position, feed in enumerate(FEEDS):
        for reference in load_contract(feed).references:
            assert FEEDS.index(reference.feed) < position


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("time_zone",), "Asia/Peking", "not a time zone"),
        (("sources", "bank", "time_zone"), "Asia/Shangai", "not a time zone"),
        (("cut_off",), "25:00", "cut_off"),
        (("feeds", "orders", "source"), "crm", "source 'crm' is not declared"),
        (("feeds", "orders", "columns", "colour"), "x", "not in its contract: colour"),
        (("feeds", "orders", "columns", "status"), None, "status"),
        (("feeds", "orders", "query"), "select 1", "either table or query"),
        (("sources", "bank", "encoding"), "latin-1", "encoding"),
        (("reporting_currency",), "yuan", "reporting_currency"),
        (("areas",), ["core", "marketing"], "'marketing' is not an area; areas are core, segments"),
        (("areas",), [], "areas"),
    ],
)
def test_a_mistake_is_named(
    mini: MiniCompany, path: tuple[str, ...], value: str | list[str] | None, message: str
) -> None:
    place = mini.mapping
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    mini.save_mapping()
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_company(mini.settings)
    assert "mini.yml" in str(caught.value)


def test_a_required_column_must_be_mapped(mini: MiniCompany) -> None:
    del mini.mapping["feeds"]["payments"]["columns"]["amount"]
    mini.save_mapping()
    with pytest.raises(ConfigurationError, match="required, not mapped: amount"):
        load_company(mini.settings)


def test_an_unknown_company_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="no company 'nobody'") as caught:
        load_company(Settings.load({}, company="nobody"))
    assert "olist, receivables_ibm, sample" in caught.value.todo


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MARTS_COMPANY", "../etc"),
        ("MARTS_MEMORY_LIMIT", "much"),
        ("MARTS_KEEP_RELEASES", "0"),
        ("MARTS_HOME", "/tmp/o'brien"),
    ],
)
def test_a_bad_setting_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({variable: value})
    assert variable in caught.value.where


def test_an_unset_variable_is_named() -> None:
    with pytest.raises(ConfigurationError, match="ERP_URI is not set"):
        Settings.load({}).expand("${ERP_URI}", "feed orders")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("postgresql://reader:a%2Fb@db/erp", "postgresql://reader:a%2Fb@db/erp"),
        (
            (
                '{"conn_type": "postgres", "login": "reader", "password": "a/b@c", "host": "db", '
                '"port": 5433, "schema": "erp", "extra": {"sslmode": "require"}}'
            ),
            "postgres://reader:a%2Fb%40c@db:5433/erp?sslmode=require",
        ),
        (
            ' {"conn_type": "postgres", "host": "db", "schema": "erp", "extra": "{\\"a\\": 1}"}',
            "postgres://db/erp?a=1",
        ),
        ('{"conn_type": "sqlite", "host": "/data/erp.db"}', "sqlite:////data/erp.db"),
    ],
)
def test_a_connection_may_be_written_as_airflow_reads_it(text: str, address: str) -> None:
    settings = Settings.load({"AIRFLOW_CONN_ERP": text})
    assert settings.expand("${AIRFLOW_CONN_ERP}", "feed orders") == address


@pytest.mark.parametrize("text", ['{"password": "hush"}', '{"conn_type": "postgres", hush}'])
def test_a_connection_that_is_no_json_is_named_without_its_password(text: str) -> None:
    settings = Settings.load({"AIRFLOW_CONN_ERP": text})
    with pytest.raises(ConfigurationError, match="no JSON with a conn_type") as caught:
        settings.expand("${AIRFLOW_CONN_ERP}", "feed orders")
    assert caught.value.where == "AIRFLOW_CONN_ERP"
    assert "hush" not in str(caught.value)
