"""A local survey platform: the sample company's answers over HTTP, misbehaving on purpose.

    SURVEY_TOKEN=… python scripts/survey_platform.py --data DIR/surveys/responses.jsonl --port 0

prints its URL and serves until interrupted. The interface:

    GET /v1/responses?updated_after=2026-06-30T00:00:00+08:00&cursor=…&limit=200
    Authorization: Bearer <token>

answers {"items": […], "next_cursor": "…" or null, "total": n}: the responses updated after that
moment, ordered by (updated_at, response_id), each as the file writes it; `cursor` continues after
the last item of the page before. total counts all of them. The file is read again when it changes.

The same responses in the other ways that services page:

    GET /v1/responses/pages?page=1&limit=200    {"items": […], "total": n}; past the end: no items
    GET /v1/responses/links?limit=200           {"items": […], "total": n, "links": {"next": …}}
    GET /v1/responses/list?limit=200            […], the next page's address in the header Link

Misbehaviour depends on the count of authorised requests alone (`Misbehaviour`), so a test that
sends the same requests meets the same faults.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hmac
import json
import os
import sys
import threading
import time
from bisect import bisect_right
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

MAX_LIMIT = 1000
# the server looks that often whether it is to stop
_SECONDS_BETWEEN_LOOKS = 0.01
"""Most items on a page; a larger `limit` is cut to it."""

Key = tuple[datetime, str]
"""The order of responses: (updated_at in UTC, response_id)."""


@dataclass(frozen=True)
class Misbehaviour:
    """Which authorised requests fail: every n-th, counted from 1; 0 is never.

    The first that applies wins: too many requests (429 with Retry-After, in seconds or as a date),
    server error (500), cut (the connection closes in the middle of a 200 answer), stuck (a 200
    answer whose next page is the one asked for, or, by page numbers, whose content is the page
    before), html (a proxy's page with status 200), redirect (302 to a login page), slow (a 200
    answer in forty pieces, `slow_seconds` before each).

    recovers_after: so many requests fail at first (500). expires_after: from then on the token is
    refused (401). total_error: added to the stated total.
    elsewhere: the origin that links and redirects point to instead of our own.
    """

    too_many_every: int = 7
    error_every: int = 11
    cut_every: int = 0
    stuck_every: int = 0
    retry_after_seconds: int = 1
    html_every: int = 0
    redirect_every: int = 0
    slow_every: int = 0
    slow_seconds: float = 1.0
    expires_after: int = 0
    total_error: int = 0
    retry_after_is_date: bool = False
    elsewhere: str = ""
    recovers_after: int = 0

    def fault(self, request: int) -> str | None:
        """The fault of the n-th request, or None."""
        if self.expires_after and request > self.expires_after:
            return "expired"
        if request <= self.recovers_after:
            return "error"
        for name in ("too_many", "error", "cut", "stuck", "html", "redirect", "slow"):
            every = getattr(self, f"{name}_every")
            if every and request % every == 0:
                return name
        return None


LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Log in</title></head><body></body></html>"


def proxy_page(header: str) -> bytes:
    """A proxy's error page, which shows the request's credentials to whoever reads it."""
    title = "<title>Gateway</title>"
    return f"<html><head>{title}</head><body>Authorization: {header}</body></html>".encode()


WELL_BEHAVED = Misbehaviour(too_many_every=0, error_every=0)


class BadRequestError(Exception):
    """A parameter that cannot be read; becomes a 400."""


class Responses:
    """The responses of a JSONL file in order, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._keys: list[Key] = []
        self._offsets: list[int] = []

    def page(
        self, after: Key | None, limit: int, skip: int = 0
    ) -> tuple[list[str], Key | None, int]:
        """Up to `limit` responses after a key and `skip` more, as the file writes them; the key to
        go on from (None: no more); and how many there are after the first key.
        """
        with self._lock, self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            if stamp != self._stamp:
                self._index(file.read().splitlines(keepends=True))
                self._stamp = stamp
            start = bisect_right(self._keys, after) if after else 0
            first = start + skip
            items = []
            for offset in self._offsets[first : first + limit]:
                file.seek(offset)
                items.append(file.readline().decode().strip())
            last = first + len(items)
            following = self._keys[last - 1] if items and last < len(self._keys) else None
            return items, following, len(self._keys) - start

    def _index(self, lines: list[bytes]) -> None:
        entries = []
        offset = 0
        for line in lines:
            response = json.loads(line)
            key = (datetime.fromisoformat(response["updated_at"]), response["response_id"])
            entries.append((key, offset))
            offset += len(line)
        entries.sort()
        self._keys = [key for key, _ in entries]
        self._offsets = [offset for _, offset in entries]


def encode_cursor(key: Key) -> str:
    """The opaque cursor for a position."""
    return base64.urlsafe_b64encode(json.dumps([key[0].isoformat(), key[1]]).encode()).decode()


def decode_cursor(cursor: str) -> Key:
    """The position of a cursor.

    Raises:
        BadRequestError: not a cursor of this platform.
    """
    try:
        moment, response_id = json.loads(base64.urlsafe_b64decode(cursor))
        return datetime.fromisoformat(moment), str(response_id)
    except (ValueError, TypeError, binascii.Error) as error:
        raise BadRequestError(f"cursor cannot be read: {cursor!r}") from error


@dataclass(frozen=True)
class Page:
    """An answer: the items as JSON texts, the fields beside them (None: the list is the answer),
    and the address of the next page for the header Link.
    """

    items: list[str]
    fields: dict[str, Any] | None
    link: str | None = None

    @property
    def content(self) -> bytes:
        """The body. Items stand as the file writes them: a number keeps its decimals."""
        listed = f"[{', '.join(self.items)}]"
        if self.fields is None:
            return listed.encode()
        beside = json.dumps(self.fields, ensure_ascii=False)[1:]
        return f'{{"items": {listed}{", " if self.fields else ""}{beside}'.encode()


class SurveyPlatform:
    """The running platform; use as a context manager, or `start` and `stop`.

    Args:
        data: the responses' JSONL file.
        token: the bearer token that requests must carry.
        misbehaviour: which requests fail.
    """

    def __init__(self, data: Path, token: str, misbehaviour: Misbehaviour | None = None) -> None:
        if not token:
            raise ValueError("the survey platform needs a token")
        self.responses = Responses(data)
        self.misbehaviour = misbehaviour or Misbehaviour()
        self.requests = 0
        self.stopping = threading.Event()
        self._token = token
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def start(self, port: int = 0) -> str:
        """Serve on localhost in a thread; port 0 takes a free one. Returns the base URL."""
        if self._server is not None:
            raise RuntimeError("the survey platform is already running")
        platform = self
        self.stopping.clear()

        class Handler(_Handler):
            survey_platform = platform

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_SECONDS_BETWEEN_LOOKS,), daemon=True
        )
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        """Stop serving and free the port; a platform that is not running stays so."""
        if self._server is not None and self._thread is not None:
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def is_authorised(self, header: str) -> bool:
        """Whether an Authorization header carries the token."""
        return hmac.compare_digest(header.encode(), f"Bearer {self._token}".encode())

    def count_request(self) -> str | None:
        """Count an authorised request; returns its fault."""
        with self._lock:
            self.requests += 1
            return self.misbehaviour.fault(self.requests)

    def answer(self, path: str, query: str, is_stuck: bool = False) -> Page | None:
        """The page for a path and a query string; None where there is no such path.

        Raises:
            BadRequestError: a parameter is unknown or cannot be read.
        """
        try:
            parsed = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError as error:
            raise BadRequestError(f"query cannot be read: {query!r}") from error
        kind = path.removeprefix("/v1/responses")
        if kind not in ("", "/pages", "/links", "/list"):
            return None
        step = "page" if kind == "/pages" else "cursor"
        unknown = parsed.keys() - {"updated_after", step, "limit"}
        if unknown:
            raise BadRequestError(f"unknown parameter: {', '.join(sorted(unknown))}")
        limit = min(_positive(parsed, "limit", 200), MAX_LIMIT)
        after: Key | None = None
        if "updated_after" in parsed:
            after = (_moment(parsed["updated_after"][-1]), "\U0010ffff")
        error_of_total = self.misbehaviour.total_error
        if kind == "/pages":
            number = _positive(parsed, "page", 1)
            skip = (max(number - is_stuck, 1) - 1) * limit
            items, _, total = self.responses.page(after, limit, skip)
            return Page(items, {"total": total + error_of_total})
        given = parsed.get("cursor", [""])[-1]
        total = self.responses.page(after, 0)[2] + error_of_total
        if given:
            position = decode_cursor(given)
            after = max(after, position) if after else position
        items, following, _ = self.responses.page(after, limit)
        cursor = encode_cursor(following) if following else None
        if is_stuck:
            cursor = given or cursor
        if kind == "":
            return Page(items, {"next_cursor": cursor, "total": total})
        link = None
        if cursor:
            again = {name: values[-1] for name, values in parsed.items()} | {"cursor": cursor}
            link = f"{self.misbehaviour.elsewhere}{path}?{urlencode(again)}"
        if kind == "/links":
            return Page(items, {"total": total, "links": {"next": link}})
        return Page(items, None, link)


def _positive(parsed: dict[str, list[str]], name: str, default: int) -> int:
    text = parsed.get(name, [str(default)])[-1]
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise BadRequestError(f"{name} must be a positive number: {text!r}")
    return int(text)


def _moment(text: str) -> datetime:
    """An ISO moment with offset; a `+` that arrived as a space is mended."""
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "+"))
    except ValueError as error:
        raise BadRequestError(f"updated_after is not an ISO date and time: {text!r}") from error
    if moment.tzinfo is None:
        raise BadRequestError(f"updated_after needs an offset such as +08:00: {text!r}")
    return moment.astimezone(UTC)


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection; `SurveyPlatform.start` fills in the platform."""

    protocol_version = "HTTP/1.1"
    survey_platform: SurveyPlatform

    def do_GET(self) -> None:
        """Answer a GET request."""
        platform = self.survey_platform
        faults = platform.misbehaviour
        parts = urlsplit(self.path)
        if parts.path == "/login":
            self._send(HTTPStatus.OK, LOGIN_PAGE, kind="text/html")
            return
        header = self.headers.get("Authorization", "")
        if not platform.is_authorised(header):
            self._error(HTTPStatus.UNAUTHORIZED, "a valid bearer token is required")
            return
        fault = platform.count_request()
        if fault == "expired":
            self._error(HTTPStatus.UNAUTHORIZED, "the token has expired")
        elif fault == "too_many":
            wait = str(faults.retry_after_seconds)
            if faults.retry_after_is_date:
                wait = formatdate(time.time() + faults.retry_after_seconds, usegmt=True)
            self._error(HTTPStatus.TOO_MANY_REQUESTS, "too many requests", {"Retry-After": wait})
        elif fault == "error":
            self._error(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
        elif fault == "html":
            # a careless proxy shows the request it could not pass on
            self._send(HTTPStatus.OK, proxy_page(header), kind="text/html")
        elif fault == "redirect":
            headers = {"Location": f"{faults.elsewhere}/login"}
            self._error(HTTPStatus.FOUND, "log in first", headers)
        else:
            self._answer(parts.path, parts.query, fault)

    def _answer(self, path: str, query: str, fault: str | None) -> None:
        try:
            page = self.survey_platform.answer(path, query, is_stuck=fault == "stuck")
        except BadRequestError as error:
            self._error(HTTPStatus.BAD_REQUEST, str(error))
            return
        if page is None:
            self._error(HTTPStatus.NOT_FOUND, f"no such path: {path}")
            return
        headers = {"Link": f'<{page.link}>; rel="next"'} if page.link else {}
        self._send(HTTPStatus.OK, page.content, headers, fault)

    def _error(
        self, status: HTTPStatus, message: str, headers: dict[str, str] | None = None
    ) -> None:
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(
        self,
        status: HTTPStatus,
        content: bytes,
        headers: dict[str, str] | None = None,
        fault: str | None = None,
        kind: str = "application/json; charset=utf-8",
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if fault == "slow":
            self._drip(content)
            return
        self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
        if fault == "cut":
            self.close_connection = True

    def _drip(self, content: bytes) -> None:
        piece = len(content) // 40 + 1
        try:
            for start in range(0, len(content), piece):
                if self.survey_platform.stopping.wait(
                    self.survey_platform.misbehaviour.slow_seconds
                ):
                    break
                self.wfile.write(content[start : start + piece])
                self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):  # the client has had enough
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet: the client's log says what it asked for."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the responses' JSONL file")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--token-env", default="SURVEY_TOKEN", help="variable with the token")
    for field in fields(Misbehaviour):
        option = f"--{field.name.replace('_', '-')}"
        if isinstance(field.default, bool):
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=type(field.default), default=field.default)
    chosen = parser.parse_args(arguments)
    token = os.environ.get(chosen.token_env, "")
    if not token or not chosen.data.is_file():
        missing = f"the variable {chosen.token_env}" if not token else f"the file {chosen.data}"
        print(f"error: {missing} is missing or empty", file=sys.stderr)
        return 1
    misbehaviour = Misbehaviour(**{f.name: getattr(chosen, f.name) for f in fields(Misbehaviour)})
    with SurveyPlatform(chosen.data, token, misbehaviour) as platform:
        print(platform.start(chosen.port), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
