"""Errors a person can act on: what happened, where, what was kept, what to do next."""

from __future__ import annotations

import errno
import os


class MartsError(Exception):
    """A failure with a remedy. ``exit_code`` is what the command line returns for it.

    what: one sentence without a stop. where: file, row, column, value, feed.
    kept: what is untouched or saved. todo: the next step for the operator.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", kept: str = "", todo: str = "") -> None:
        self.what, self.where, self.kept, self.todo = what, where, kept, todo
        parts = [what]
        if where:
            parts.append(f"  where: {where}")
        if kept:
            parts.append(f"  kept:  {kept}")
        if todo:
            parts.append(f"  to do: {todo}")
        super().__init__("\n".join(parts))

    def __reduce__(self) -> tuple[object, ...]:
        # keyword-only arguments are lost by the default pickling between task processes
        return (_rebuild, (type(self), self.what, self.where, self.kept, self.todo))


def _rebuild(kind: type[MartsError], what: str, where: str, kept: str, todo: str) -> MartsError:
    return kind(what, where=where, kept=kept, todo=todo)


class DataError(MartsError):
    """The data are at fault: a batch or a candidate was stopped. Exit code 1."""


class BatchFault(DataError):
    """A whole batch cannot be landed (schema, encoding, truncation, budget)."""


class GateFailure(DataError):
    """A gate refused a landed batch or a candidate; the last release stands."""


class ConfigurationError(MartsError):
    """The company file, a setting or the command line is wrong. Exit code 2."""

    exit_code = 2


def absent_parameter(of_what: str, seed: str, error: KeyError) -> ConfigurationError:
    """The error of a parameter that no row of its seed gives on the as-of date."""
    return ConfigurationError(
        f"A parameter of {of_what} is absent on the as-of date",
        where=f"seed {seed}, parameter {error}",
        todo="add a row that is in force on that day",
    )


class SourceUnavailable(MartsError):
    """A source did not answer or refused us: infrastructure, never "bad data". Exit code 3."""

    exit_code = 3


class Busy(MartsError):
    """Another writer holds the company's lock, or overtook this candidate. Exit code 4."""

    exit_code = 4


def tells_of_a_full_disk(message: str) -> bool:
    """Whether a library that has no error of its own for it (DuckDB, dbt) says so."""
    return os.strerror(errno.ENOSPC) in message


class Incomplete(MartsError):
    """A refresh of which something failed. Exit code: the lowest of the failures' own.

    failures: what happened, to each feed that failed and in serving. release_id: the release that
    was made all the same, of what the other feeds brought; None: there is none.
    """

    def __init__(self, failures: list[MartsError], release_id: str | None) -> None:
        self.failures, self.release_id = failures, release_id
        self.exit_code = min(failure.exit_code for failure in failures)
        places: dict[tuple[str, str], list[str]] = {}
        for failure in failures:  # a source that is down fails each of its feeds alike
            places.setdefault((failure.what, failure.todo), []).append(failure.where)
        parts = []
        for (what, todo), where in places.items():
            lines = [what, f"where: {'; '.join(where)}", f"to do: {todo}"]
            parts.append("  - " + "\n    ".join("\n".join(lines).split("\n")))
        super().__init__(
            "not everything went well:\n" + "\n".join(parts),
            kept=f"release {release_id} is published; of a feed that failed it has what was known "
            "before"
            if release_id
            else "the last release stands",
            todo="mend that and run again",
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (Incomplete, (self.failures, self.release_id))
