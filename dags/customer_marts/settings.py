"""Settings, read once from the environment and validated; and the layout of the state folder."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

from customer_marts.errors import ConfigurationError

PROJECT_ROOT = Path(__file__).resolve().parents[2]
COMPANIES_DIR = PROJECT_ROOT / "dags" / "companies"
DBT_PROJECT_DIR = PROJECT_ROOT / "dbt_project"
EXPECTATIONS_DIR = PROJECT_ROOT / "expectations"

Connections = Callable[[str], str | None]

_CONNECTION = "AIRFLOW_CONN_"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Settings:
    """What a process needs to know about its place.

    home: the state folder (``MARTS_HOME``). company: name of the company file (``MARTS_COMPANY``).
    memory_limit: DuckDB's memory limit per process (``MARTS_MEMORY_LIMIT``, e.g. ``1500MB``).
    keep_releases: how many releases stay on disk (``MARTS_KEEP_RELEASES``).
    """

    home: Path
    company: str
    memory_limit: str = "1200MB"
    keep_releases: int = 10
    environment: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    connections: Connections | None = field(default=None, repr=False, compare=False)

    @classmethod
    def load(
        cls,
        environment: Mapping[str, str] | None = None,
        company: str | None = None,
        connections: Connections | None = None,
    ) -> Settings:
        """Read the settings; raises :class:`ConfigurationError` naming the variable at fault.

        connections: gives the address of a named Airflow connection, for ``${AIRFLOW_CONN_NAME}``
        in a company file where no such variable is set.
        """
        env = dict(os.environ if environment is None else environment)
        chosen = company or env.get("MARTS_COMPANY") or "sample"
        if not re.fullmatch(r"[a-z0-9_]+", chosen):
            raise ConfigurationError(
                f"'{chosen}' is not a company name",
                where="MARTS_COMPANY or --company",
                todo="use lower-case letters, digits and _",
            )
        memory = env.get("MARTS_MEMORY_LIMIT") or "1200MB"
        if not re.fullmatch(r"\d+(\.\d+)?\s?(MB|GB|MiB|GiB)", memory):
            raise ConfigurationError(
                f"'{memory}' is not a memory size",
                where="MARTS_MEMORY_LIMIT",
                todo="write it like 1200MB or 4GB",
            )
        keep = env.get("MARTS_KEEP_RELEASES") or "10"
        if not keep.isdigit() or int(keep) < 1:
            raise ConfigurationError(
                f"'{keep}' is not a number of releases",
                where="MARTS_KEEP_RELEASES",
                todo="write a whole number of 1 or more",
            )
        home = Path(env.get("MARTS_HOME") or PROJECT_ROOT / "var").expanduser().absolute()
        if "'" in str(home):
            raise ConfigurationError(
                f"the state folder's path has a quote in it: {home}",
                where="MARTS_HOME",
                todo="choose a folder without one",
            )
        return cls(home, chosen, memory, int(keep), env, connections)

    @property
    def paths(self) -> StatePaths:
        return StatePaths(self.home / self.company)

    @property
    def dbt_cache(self) -> Path:
        """Where dbt keeps the parsed project; the companies of a machine may share it."""
        return Path(self.environment.get("MARTS_CACHE") or self.paths.cache) / "dbt"

    @property
    def company_file(self) -> Path:
        folder = Path(self.environment.get("MARTS_COMPANIES_DIR") or COMPANIES_DIR)
        return folder / f"{self.company}.yml"

    def expand(self, text: str, where: str) -> str:
        """Replace ``${NAME}`` and ``${NAME:-default}`` by the environment's values."""

        def value(match: re.Match[str]) -> str:
            name, default = match.group(1), match.group(2)
            found = self._variable(name) or self._connection(name) or default
            if found is None:
                raise ConfigurationError(
                    f"the environment variable {name} is not set",
                    where=where,
                    todo=f"export {name}, or put it into .env (see .env.example)",
                )
            return found

        return _VARIABLE.sub(value, text)

    def _variable(self, name: str) -> str | None:
        text = self.environment.get(name)
        if text and name.startswith(_CONNECTION) and text.lstrip().startswith("{"):
            return _address_of_json(text, name)
        return text

    def _connection(self, variable: str) -> str | None:
        if self.connections is None or not variable.startswith(_CONNECTION):
            return None
        return self.connections(variable.removeprefix(_CONNECTION).lower())


def _address_of_json(text: str, variable: str) -> str:
    """The address of a connection that Airflow was given as JSON."""
    try:
        parts = json.loads(text)
        kind = str(parts["conn_type"])
    except (ValueError, KeyError) as error:
        # from None: the text holds a password
        raise ConfigurationError(
            f"the connection is no JSON with a conn_type: {type(error).__name__}",
            where=variable,
            todo="write it as Airflow's documentation says, or as an address",
        ) from None
    if kind == "sqlite":
        return f"sqlite:///{parts.get('host', '')}"
    login, password = (quote(str(parts.get(name) or ""), safe="") for name in ("login", "password"))
    user = f"{login}:{password}@" if password else f"{login}@" if login else ""
    port = f":{parts['port']}" if parts.get("port") else ""
    extra = parts.get("extra") or {}
    options = json.loads(extra) if isinstance(extra, str) else extra
    query = f"?{urlencode(options)}" if options else ""
    return f"{kind}://{user}{parts.get('host') or ''}{port}/{parts.get('schema') or ''}{query}"


@dataclass(frozen=True)
class StatePaths:
    """The state folder of one company; nothing is written anywhere else."""

    root: Path

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def releases(self) -> Path:
        return self.root / "releases"

    @property
    def current(self) -> Path:
        return self.root / "current"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def approvals(self) -> Path:
        """What people approved of a candidate's changes, a line each."""
        return self.root / "approvals.jsonl"

    @property
    def candidate(self) -> Path:
        """The one candidate there may be."""
        return self.runs / "candidate"

    @property
    def cache(self) -> Path:
        """Reusable, disposable files (dbt's parsed project)."""
        return self.root / "runs" / ".cache"

    def run(self, run_id: str) -> Path:
        return self.runs / run_id
