"""An HTTP service that answers in JSON: asked politely, waited for, and told no more than it must.

Numbers keep the text they were written in (1234567890.10 stays so). Credentials go to the source's
own origin alone and into no message and no log.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, quote, quote_plus, unquote, urljoin, urlsplit

from customer_marts import __version__
from customer_marts.errors import ConfigurationError, MartsError, SourceUnavailable
from customer_marts.feeds import RestSource, RestTable
from customer_marts.settings import Settings

ATTEMPTS = 6
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 60.0
# a service that asks for more is left alone: the scheduler tries again later
LONGEST_ASKED_SECONDS = 300.0
# a page that drips in slower than this many time limits is given up
SLOWEST_PAGE_TIMEOUTS = 10
LARGEST_PAGE_BYTES = 256 << 20
MOST_REDIRECTS = 3

KEPT = "nothing landed; the last release stands"
_CHECK_ADDRESS = "check url in the company file"
_CHECK_SERVICE = "check that the service is up and its address is right, then run again"

_VARIABLE = re.compile(r"\$\{[^}]*\}")
# escapes of half a character or of a NUL, and the sign of a lost character
_SUSPECT = re.compile(r"\\u(?:[dD][89a-fA-F]|0000|[fF]{3}[dD])|\ufffd")


class Number(str):
    """A JSON number, as it was written."""

    __slots__ = ()


@dataclass(frozen=True)
class Answer:
    """A page: where it came from, its text and content, and the next page's address as the
    header Link gives it.
    """

    url: str
    text: str
    content: Any
    link: str | None

    @property
    def line(self) -> bytes:
        """The text on one line; JSON allows line ends only where a space would do."""
        line = self.text.replace("\r", " ").replace("\n", " ")
        return line.strip().encode() + b"\n"

    @property
    def is_suspect(self) -> bool:
        """Whether it may hold characters that are none."""
        return _SUSPECT.search(self.text) is not None


class _Fault(Exception):
    """An attempt that failed. passing: it is worth another; asked_seconds: when, if the service
    says so.
    """

    def __init__(
        self, what: str, todo: str, *, passing: bool = False, asked_seconds: float | None = None
    ) -> None:
        super().__init__(what)
        self.what, self.todo, self.asked_seconds = what, todo, asked_seconds
        self.passing = passing and (asked_seconds or 0) <= LONGEST_ASKED_SECONDS


class Service:
    """One resource of one service: asks for its pages with our credentials, and keeps them safe."""

    def __init__(
        self, settings: Settings, source: RestSource, table: RestTable, where: str
    ) -> None:
        import httpx

        def value(template: str, name: str) -> str:
            expanded = settings.expand(template, where).strip()
            for variable in _VARIABLE.findall(template):
                self._secrets.append(settings.expand(variable, where).strip())
            if not (expanded.isascii() and expanded.isprintable()):
                raise ConfigurationError(
                    f"the {name} holds characters that a request's header cannot carry",
                    where=where,
                    todo="set its environment variable anew: one line, no accents or quotes",
                )
            return expanded

        self._secrets: list[str] = []
        self.answered = 0
        self.timeout = source.timeout_seconds
        base = _parsed(settings.expand(source.url, where).strip())
        if base is None:
            raise ConfigurationError(
                "the service's url is not an address like https://host/path",
                where=where,
                todo="correct url in the company file or its environment variable",
            )
        host = base.netloc.rpartition("@")[2]
        query = f"?{base.query}" if base.query else ""
        self.url = f"{base.scheme}://{host}{base.path.rstrip('/')}{table.path}{query}"
        self.where = where
        self.parameters = {
            name: value(template, f"parameter {name}") if "${" in template else template
            for name, template in table.parameters.items()
        }
        headers = {
            "Accept": "application/json",
            "User-Agent": f"customer-marts/{__version__}",
            **{name: value(text, f"header {name}") for name, text in source.headers.items()},
        }
        self.has_credentials = bool(source.token or source.headers or base.password)
        login = None
        if source.token is not None:
            headers["Authorization"] = f"Bearer {value(source.token, 'token')}"
        elif base.username:
            login = httpx.BasicAuth(unquote(base.username), unquote(base.password or ""))
        if base.password:
            pair = f"{unquote(base.username or '')}:{unquote(base.password)}"
            self._secrets += [base.password, unquote(base.password)]
            self._secrets.append(b64encode(pair.encode()).decode())
        # what the company file takes from the environment for the address's path or query
        self._secrets += [
            settings.expand(variable, where)
            for variable in _VARIABLE.findall(source.url.partition("://")[2].partition("/")[2])
        ]
        self.where = f"{where}: {self.shown(self.url)}"
        self._client = httpx.Client(headers=headers, auth=login, timeout=source.timeout_seconds)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, url: str, parameters: dict[str, str]) -> Answer:
        """One page, tried again while that makes sense."""
        import tenacity

        def failed(error: BaseException) -> bool:
            return isinstance(error, _Fault) and error.passing

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.asked_seconds if isinstance(error, _Fault) else None
            if asked is not None:
                # never earlier than asked, and not all clients in the same moment
                return asked + random.uniform(0, min(1.0, asked / 10))
            longest = FIRST_WAIT_SECONDS * 2**state.attempt_number
            return float(min(longest, LONGEST_WAIT_SECONDS) * random.uniform(0.5, 1))

        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception(failed),
            wait=wait,
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            reraise=True,
        )
        try:
            with _addresses_without_query():
                answer: Answer = retry(self._once, url, parameters)
        except _Fault as error:
            # the cause is left out: libraries quote addresses and headers in their messages
            raise SourceUnavailable(
                error.what, where=self.where, kept=KEPT, todo=error.todo
            ) from None
        self.answered += 1
        return answer

    def own(self, base: str, link: str) -> str:
        """The address that a link on a page leads to, if it is the service's own; credentials go
        nowhere else.
        """
        try:
            url = urljoin(base, link)
        except ValueError:
            url = link
        if _origin(url) != _origin(self.url):
            raise SourceUnavailable(
                f"the next page is said to be at {self.shown(url)}, which is another place: "
                "our credentials are not sent there",
                where=self.where,
                kept=KEPT,
                todo="if that place is right, make it the source's url in the company file",
            )
        return url

    def circle(self, what: str, url: str) -> MartsError:
        """The service never comes to an end."""
        return SourceUnavailable(
            f"the service {what}",
            where=f"{self.where} ({self.shown(url)})" if url != self.url else self.where,
            kept=KEPT,
            todo="check the table's paging in the company file; if it is right, report it to the "
            "service's operator, then run again",
        )

    def shown(self, address: str) -> str:
        """A cursor or an address, short and without what may be secret in it."""
        return self._redacted(_shown(address) if "://" in address else address)[:120]

    def _once(self, url: str, parameters: dict[str, str]) -> Answer:
        import httpx

        try:
            target = httpx.URL(url).copy_merge_params(parameters)
            for _ in range(MOST_REDIRECTS + 1):
                with self._client.stream("GET", target) as response:
                    if not response.has_redirect_location:
                        return self._answer(response, self._body(response))
                    target = target.join(response.headers["Location"])
                self._refuse_elsewhere(str(target))
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise self._no_answer(error) from None
        except httpx.InvalidURL:
            raise _Fault("the service sends us to no valid address", _CHECK_ADDRESS) from None
        raise _Fault("the service redirects without end", _CHECK_ADDRESS)

    def _refuse_elsewhere(self, url: str) -> None:
        if _origin(url) != _origin(self.url):
            raise _Fault(
                f"the service redirects to another place, {self.shown(url)}: "
                "our credentials are not sent there",
                "if that place is right, make it the source's url in the company file; a login "
                "page means that the service does not know our credentials",
            )

    def _body(self, response: Any) -> bytes:
        """The whole answer, which must come within limits of time and size."""
        deadline = time.monotonic() + SLOWEST_PAGE_TIMEOUTS * self.timeout
        parts, size = [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > LARGEST_PAGE_BYTES:
                raise _Fault(
                    f"a page is larger than {LARGEST_PAGE_BYTES >> 20} MB",
                    "ask for smaller pages (parameters in the company file)",
                )
            if time.monotonic() > deadline:
                raise _Fault(
                    f"the answer took longer than {SLOWEST_PAGE_TIMEOUTS * self.timeout:g} s",
                    "ask for smaller pages (parameters) or raise timeout_seconds in the company "
                    "file",
                )
        return b"".join(parts)

    def _answer(self, response: Any, body: bytes) -> Answer:
        content_type = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
        encoding = response.charset_encoding or json.detect_encoding(body)
        try:
            text = body.decode(encoding).removeprefix("\ufeff")
        except (LookupError, UnicodeDecodeError) as error:
            text = body.decode("utf-8", "replace")
            if response.is_success and "json" in content_type:
                place = f": byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
                raise _Fault(
                    f"the answer is not {encoding}{place}", "report it to the service's operator"
                ) from None
        if not response.is_success:
            raise self._refused(response, text)
        try:
            content = json.loads(text, parse_float=Number, parse_int=Number, parse_constant=Number)
        except (ValueError, RecursionError) as error:
            raise self._not_json(text, content_type, error) from None
        link = response.links.get("next", {}).get("url")
        return Answer(str(response.url), text, content, link)

    def _refused(self, response: Any, text: str) -> _Fault:
        status = response.status_code
        asked = _asked_seconds(response.headers)
        what, todo = f"the service answered {status}", "try again later"
        if status in (401, 403) and not self.has_credentials:
            what += ": it wants credentials, and the company file gives none"
            todo = "set token or headers of the source in the company file"
        elif status in (401, 403):
            what += ": it refuses our token" + (
                f", after {self.answered} pages: it has probably expired" if self.answered else ""
            )
            todo = "renew the token's environment variable"
        elif status == 404:
            todo = "check url and path in the company file"
        elif 400 <= status < 500 and status not in (408, 429):
            todo = "check path and parameters in the company file"
        if asked is not None and asked > LONGEST_ASKED_SECONDS:
            what += f" and asks us to come back in {asked:,.0f} s"
        if status not in (401, 403) and text.strip():
            what += f"; it says: {self._start(text)}"
        passing = status in (408, 425, 429) or status >= 500
        return _Fault(what, todo, passing=passing, asked_seconds=asked)

    def _not_json(self, text: str, content_type: str, error: Exception) -> _Fault:
        kind = content_type or "no content type"
        if not text.strip():
            return _Fault("the service gave an empty answer", _CHECK_SERVICE, passing=True)
        # a page of data that was cut may begin with anybody's name: only what is no JSON is shown
        if "json" in kind and not text.lstrip().startswith("<"):
            return _Fault(
                f"the service gave no usable answer: its JSON is broken or cut short ({error})",
                _CHECK_SERVICE,
                passing=True,
            )
        return _Fault(
            f"the service gave no JSON but {kind}, beginning: {self._start(text)}",
            "a login or proxy page means that the address or the credentials are wrong: check url, "
            "token and headers in the company file",
        )

    def _no_answer(self, error: Exception) -> _Fault:
        import httpx

        if isinstance(error, httpx.TimeoutException):
            what = f"nothing came within {self.timeout:g} s"
        else:
            what = self._redacted(str(error)) or type(error).__name__
        return _Fault(f"the service gave no usable answer: {what}", _CHECK_SERVICE, passing=True)

    def _start(self, text: str) -> str:
        return self._redacted(" ".join(text.split()))[:160]

    def _redacted(self, text: str) -> str:
        for secret in sorted(filter(None, self._secrets), key=len, reverse=True):
            for written in {secret, quote(secret, safe=""), quote_plus(secret)}:
                text = text.replace(written, "***")
        return text


class _WithoutQuery(logging.Filter):
    """Cuts queries off the addresses that httpx logs: they may carry keys."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                _shown(str(item)) if type(item).__name__ == "URL" else item for item in record.args
            )
        return True


@contextmanager
def _addresses_without_query() -> Iterator[None]:
    log, cut = logging.getLogger("httpx"), _WithoutQuery()
    log.addFilter(cut)
    try:
        yield
    finally:
        log.removeFilter(cut)


def _asked_seconds(headers: Any) -> float | None:
    """How long Retry-After asks us to wait: a number of seconds, or a moment by the service's own
    clock (its Date, where it gives one).
    """
    asked = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", asked):
        return float(asked)
    try:
        until = parsedate_to_datetime(asked)
        now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
        return float(max((until - now).total_seconds(), 0))
    except (ValueError, TypeError):
        return None


def _parsed(url: str) -> SplitResult | None:
    """The parts of an address; None if it is no address of an HTTP service."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_address else None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; an address with a login in it has an origin of its own."""
    parts = _parsed(url)
    if parts is None or "@" in parts.netloc:
        return ("", None, None)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]


def _shown(url: str) -> str:
    """The address without what may be secret in it: user, password and query."""
    scheme, _, rest = url.partition("://")
    host, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
