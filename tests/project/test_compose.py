"""The container set-up, checked with the real Docker Compose; nothing is started."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
COMPOSE_TEXT = COMPOSE_FILE.read_text(encoding="utf-8")
REQUIRED = sorted(set(re.findall(r"\$\{([A-Z_]+):\?", COMPOSE_TEXT)))
FILLED = {name: f"value-of-{name.lower()}" for name in REQUIRED}
ONE_SHOT = {"init"}
SERVICES = sorted(yaml.safe_load(COMPOSE_TEXT)["services"])
AIRFLOW_SERVICES = sorted(set(SERVICES) - {"postgres", "redis"})


def compose_binary() -> Path:
    spec = importlib.util.find_spec("compose")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("docker-compose")


def run_compose(
    folder: Path, values: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    env_file = folder / "test.env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    command = [str(compose_binary()), "--file", str(COMPOSE_FILE), "--env-file", str(env_file)]
    # an empty environment: what the caller's shell has set must not fill a gap
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, env=env, check=False
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_compose(tmp_path_factory.mktemp("compose"), FILLED, "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    resolved: dict[str, Any] = json.loads(done.stdout)
    return resolved


def test_secrets_are_required() -> None:
    assert {
        "AIRFLOW_API_SECRET_KEY",
        "AIRFLOW_FERNET_KEY",
        "AIRFLOW_JWT_SECRET",
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
    } <= set(REQUIRED)


def test_filled_environment_is_accepted(tmp_path: Path) -> None:
    done = run_compose(tmp_path, FILLED, "config", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower()


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_missing_secret_stops_the_start(name: str, how: str, tmp_path: Path) -> None:
    values = {key: value for key, value in FILLED.items() if key != name}
    if how == "empty":
        values[name] = ""
    done = run_compose(tmp_path, values, "config", "--quiet")
    assert done.returncode != 0
    assert name in done.stderr


def test_no_secret_has_a_default() -> None:
    assert re.findall(r"\$\{\w*(?:PASSWORD|SECRET|KEY|TOKEN)\w*:?-", COMPOSE_TEXT) == []


@pytest.mark.parametrize("service", SERVICES)
def test_secrets_come_from_the_environment_alone(service: str, config: dict[str, Any]) -> None:
    environment = config["services"][service].get("environment", {})
    secret = re.compile(r"PASSWORD|SECRET|_KEY$|_CONN$|BROKER_URL|RESULT_BACKEND")
    values = {name: value for name, value in environment.items() if secret.search(name)}
    assert values
    for name, value in values.items():
        assert "value-of-" in value, f"{name} of {service} does not come from a required variable"


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_contained(service: str, config: dict[str, Any]) -> None:
    settings = config["services"][service]
    assert settings["user"].split(":")[0] not in ("", "0", "root")
    assert settings["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in settings["security_opt"]
    assert "privileged" not in settings
    limits = settings["deploy"]["resources"]["limits"]
    assert limits["cpus"] > 0
    assert int(limits["memory"]) > 0
    for port in settings.get("ports", []):
        assert port["host_ip"] == "127.0.0.1"


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_watched_and_restarted(service: str, config: dict[str, Any]) -> None:
    settings = config["services"][service]
    if service in ONE_SHOT:
        assert settings["restart"].startswith("on-failure:")
        return
    assert settings["restart"] == "unless-stopped"
    assert settings["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries", "start_period"} <= set(settings["healthcheck"])


@pytest.mark.parametrize("service", sorted(set(AIRFLOW_SERVICES) - ONE_SHOT))
def test_service_waits_for_the_database(service: str, config: dict[str, Any]) -> None:
    waits = {
        name: rule["condition"] for name, rule in config["services"][service]["depends_on"].items()
    }
    assert waits["init"] == "service_completed_successfully"
    assert waits["postgres"] == waits["redis"] == "service_healthy"


def test_signing_key_reaches_only_its_two_services(config: dict[str, Any]) -> None:
    holders = {
        name
        for name, settings in config["services"].items()
        if FILLED["AIRFLOW_JWT_SECRET"] in str(settings.get("environment"))
    }
    assert holders == {"api-server", "scheduler"}


def test_only_the_worker_has_the_marts(config: dict[str, Any]) -> None:
    home = config["services"]["worker"]["environment"]["MARTS_HOME"]
    holders = {
        name
        for name, settings in config["services"].items()
        if home in {volume["target"] for volume in settings.get("volumes", [])}
    }
    assert holders == {"worker"}


def test_state_can_live_in_a_folder_of_the_machine(tmp_path: Path) -> None:
    values = {**FILLED, "MARTS_VOLUME": str(tmp_path)}
    done = run_compose(tmp_path, values, "config", "--format", "json")
    volumes = json.loads(done.stdout)["services"]["worker"]["volumes"]
    assert (str(tmp_path), "bind") in {(volume["source"], volume["type"]) for volume in volumes}


def test_source_settings_reach_the_worker_when_set(tmp_path: Path) -> None:
    values = {**FILLED, "SAMPLE_ERP_URI": "here"}
    done = run_compose(tmp_path, values, "config", "--format", "json")
    environment = json.loads(done.stdout)["services"]["worker"]["environment"]
    assert environment["SAMPLE_ERP_URI"] == "here"
    assert environment.get("SAMPLE_BANK_DIR") is None


def test_airflow_settings_exist_in_this_airflow(config: dict[str, Any]) -> None:
    spec = importlib.util.find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    template = Path(spec.origin).parent / "config_templates" / "config.yml"
    known = yaml.safe_load(template.read_text(encoding="utf-8"))
    names = {
        name
        for settings in config["services"].values()
        for name in settings.get("environment", {})
        if name.startswith("AIRFLOW__") and not name.startswith("AIRFLOW__CELERY__")
    }
    names |= set(re.findall(r"AIRFLOW__[A-Z_]+", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
    assert len(names) >= 6
    for name in names:
        _, section, option = name.lower().split("__")
        assert option in known[section]["options"], f"{name} is not a setting of this Airflow"


def test_example_environment_names_what_is_read_and_nothing_else() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = re.findall(r"^(?:# )?([A-Z][A-Z_]+)=", example, flags=re.MULTILINE)
    read = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE_TEXT))
    # a name without a value in the compose file is passed on from .env
    read |= set(re.findall(r"^  ([A-Z][A-Z_]+):$", COMPOSE_TEXT, flags=re.MULTILINE))
    settings = (ROOT / "dags/customer_marts/settings.py").read_text(encoding="utf-8")
    read |= set(re.findall(r"\"(MARTS_[A-Z_]+)\"", settings))
    for company in (ROOT / "dags/companies").glob("*.yml"):
        read |= set(re.findall(r"\$\{([A-Z][A-Z_]+)", company.read_text(encoding="utf-8")))
    assert sorted(named) == sorted(read)


def test_example_environment_holds_no_secret_and_is_enough(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    values = dict(re.findall(r"^([A-Z][A-Z_]+)=(.*)$", example, flags=re.MULTILINE))
    assert sorted(values) == REQUIRED
    assert set(values.values()) == {""}
    filled = dict.fromkeys(values, "0123abcd")
    assert run_compose(tmp_path, filled, "config", "--quiet").returncode == 0


def test_image_installs_from_the_hashed_lock_and_drops_root() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    instructions = [line.split(None, 1) for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    users = [value for name, value in instructions if name == "USER"]
    assert users
    assert users[-1].split(":")[0] not in ("0", "root")
    installs = [
        step
        for name, value in instructions
        if name == "RUN"
        for step in value.split("&&")
        if re.search(r"\bpip (install|sync)\b", step)
    ]
    assert len(installs) == 3
    for step in installs:
        assert "--require-hashes" in step or "--no-deps" in step, step


def test_image_copies_files_that_exist_and_are_not_ignored() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    sources = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, flags=re.MULTILINE)
        for name in line.split()[:-1]
    ]
    assert {"dags", "dbt_project", "expectations", "requirements-docker.lock"} <= set(sources)
    for name in sources:
        assert (ROOT / name).exists(), name
        assert name not in ignored
    assert {".env", ".git", ".venv", "var"} <= set(ignored)


def test_image_has_a_python_that_the_project_allows() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    versions = set(re.findall(r"^FROM python:(\d+\.\d+)-", text, flags=re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert versions == {re.findall(r">=(\d+\.\d+)", project["requires-python"])[0]}
