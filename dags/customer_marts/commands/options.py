"""What all commands share: the company, machine-readable output, errors as plain messages."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from customer_marts.errors import MartsError, tells_of_a_full_disk

P = ParamSpec("P")
R = TypeVar("R")


def plain_errors(function: Callable[P, R]) -> Callable[P, R]:
    """A person's mistake or a source's failure is a message, never a traceback."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except MartsError as error:
            click.echo(f"marts: {error}", err=True)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            raise  # whoever read has seen enough: click ends without a word
        except Exception as error:
            if not isinstance(error, OSError) and not tells_of_a_full_disk(str(error)):
                raise
            click.echo(f"marts: the state folder cannot be used: {error}", err=True)
            click.echo("  to do: check the rights and the space at MARTS_HOME", err=True)
            sys.exit(3)
        except KeyboardInterrupt:
            click.echo("marts: interrupted; the last release stands, run again", err=True)
            sys.exit(130)

    return wrapped


def company_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--company NAME``."""
    return click.option(
        "--company", help="The company file to use (default: MARTS_COMPANY, else sample)."
    )(function)


def printed_json(value: Any) -> str:
    """A value for scripts to read; dates and amounts as texts."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def plan_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--as-of DATE --rebuild --refit``: what a run is asked for, hence what a plan may ask."""
    as_of = click.option(
        "--as-of",
        type=click.DateTime(["%Y-%m-%d"]),
        callback=lambda _context, _option, moment: moment.date() if moment else None,
        help="Compute every figure as of this date (default: as the company file says).",
    )
    rebuild = click.option(
        "--rebuild", is_flag=True, help="Build from all landed batches, not incrementally."
    )
    refit = click.option("--refit", is_flag=True, help="Fit the models that are due anew.")
    return as_of(rebuild(refit(function)))


def as_json(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``."""
    return click.option("--json", "print_json", is_flag=True, help="Machine-readable output.")(
        function
    )


def decider(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--by NAME --reason TEXT``: nothing is decided anonymously."""
    by = click.option("--by", required=True, metavar="NAME", help="Who decides.")
    why = click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept.")
    return by(why(function))
