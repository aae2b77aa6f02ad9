"""A local survey platform: the sample company's answers over HTTP, misbehaving on purpose.

    SURVEY_TOKEN=… python scripts/survey_platform.py --data DIR/surveys/responses.jsonl --port 0

prints its URL and serves until interrupted. The interface:

    GET /v1/responses?updated_after=2026-06-30T00:00:00+08:00&cursor=…&limit=200
    Authorization: Bearer <token>

answers {"items": […], "next_cursor": "…" or null}: the responses updated after that moment, ordered
by (updated_at, response_id); `cursor` continues after the last item of the page before. The file
is read again when it changes.

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
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

MAX_LIMIT = 1000
"""Most items on a page; a larger `limit` is cut to it."""

Key = tuple[datetime, str]
"""The order of responses: (updated_at in UTC, response_id)."""


@dataclass(frozen=True)
class Misbehaviour:
    """Which authorised requests fail: every n-th, counted from 1; 0 is never.

    The first that applies wins: too many requests (429 with Retry-After), server error (500), cut
    (the connection closes in the middle of a 200 answer), stuck (a 200 answer whose `next_cursor`
    is the request's own, which a client that trusts it follows for ever).
    """

    too_many_every: int = 7
    error_every: int = 11
    cut_every: int = 0
    stuck_every: int = 0
    retry_after_seconds: int = 1

    def fault(self, request: int) -> str | None:
        """The fault of the n-th request, or None."""
        for name in ("too_many", "error", "cut", "stuck"):
            every = getattr(self, f"{name}_every")
            if every and request % every == 0:
                return name
        return None


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

    def page(self, after: Key | None, limit: int) -> tuple[list[dict[str, Any]], Key | None]:
        """Up to `limit` responses after a key, and the key to go on from (None: no more)."""
        with self._lock, self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            if stamp != self._stamp:
                self._index(file.read().splitlines(keepends=True))
                self._stamp = stamp
            first = bisect_right(self._keys, after) if after else 0
            items = []
            for offset in self._offsets[first : first + limit]:
                file.seek(offset)
                items.append(json.loads(file.readline()))
            last = first + len(items)
            return items, self._keys[last - 1] if last < len(self._keys) else None

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
        self._token = token
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def start(self, port: int = 0) -> str:
        """Serve on localhost in a thread; port 0 takes a free one. Returns the base URL."""
        if self._server is not None:
            raise RuntimeError("the survey platform is already running")
        platform = self

        class Handler(_Handler):
            survey_platform = platform

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        """Stop serving and free the port; a platform that is not running stays so."""
        if self._server is not None and self._thread is not None:
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

    def answer(self, query: str) -> dict[str, Any]:
        """The body for a query string.

        Raises:
            BadRequestError: a parameter is unknown or cannot be read.
        """
        try:
            parsed = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError as error:
            raise BadRequestError(f"query cannot be read: {query!r}") from error
        unknown = parsed.keys() - {"updated_after", "cursor", "limit"}
        if unknown:
            raise BadRequestError(f"unknown parameter: {', '.join(sorted(unknown))}")
        limit_text = parsed.get("limit", ["200"])[-1]
        if not limit_text.isascii() or not limit_text.isdigit() or int(limit_text) < 1:
            raise BadRequestError(f"limit must be a positive number: {limit_text!r}")
        after = None
        if "updated_after" in parsed:
            after = (_moment(parsed["updated_after"][-1]), "\U0010ffff")
        if "cursor" in parsed:
            position = decode_cursor(parsed["cursor"][-1])
            after = max(after, position) if after else position
        items, following = self.responses.page(after, min(int(limit_text), MAX_LIMIT))
        return {"items": items, "next_cursor": encode_cursor(following) if following else None}


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
        parts = urlsplit(self.path)
        if not platform.is_authorised(self.headers.get("Authorization", "")):
            self._send(HTTPStatus.UNAUTHORIZED, {"error": "a valid bearer token is required"})
            return
        if parts.path != "/v1/responses":
            self._send(HTTPStatus.NOT_FOUND, {"error": f"no such path: {parts.path}"})
            return
        fault = platform.count_request()
        if fault == "too_many":
            wait = str(platform.misbehaviour.retry_after_seconds)
            headers = {"Retry-After": wait}
            self._send(HTTPStatus.TOO_MANY_REQUESTS, {"error": "too many requests"}, headers)
            return
        if fault == "error":
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "internal error"})
            return
        try:
            body = platform.answer(parts.query)
        except BadRequestError as error:
            self._send(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            return
        if fault == "stuck":
            body["next_cursor"] = parse_qs(parts.query).get("cursor", [body["next_cursor"]])[-1]
        self._send(HTTPStatus.OK, body, is_cut=fault == "cut")

    def _send(
        self,
        status: HTTPStatus,
        body: dict[str, Any],
        headers: dict[str, str] | None = None,
        is_cut: bool = False,
    ) -> None:
        content = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if is_cut else content)
        if is_cut:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet: the client's log says what it asked for."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the responses' JSONL file")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--token-env", default="SURVEY_TOKEN", help="variable with the token")
    faults = Misbehaviour()
    for name in ("too_many_every", "error_every", "cut_every", "stuck_every"):
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=getattr(faults, name), help="0 is never")
    parser.add_argument("--retry-after-seconds", type=int, default=faults.retry_after_seconds)
    chosen = parser.parse_args(arguments)
    token = os.environ.get(chosen.token_env, "")
    if not token or not chosen.data.is_file():
        missing = f"the variable {chosen.token_env}" if not token else f"the file {chosen.data}"
        print(f"error: {missing} is missing or empty", file=sys.stderr)
        return 1
    misbehaviour = Misbehaviour(
        chosen.too_many_every,
        chosen.error_every,
        chosen.cut_every,
        chosen.stuck_every,
        chosen.retry_after_seconds,
    )
    with SurveyPlatform(chosen.data, token, misbehaviour) as platform:
        print(platform.start(chosen.port), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
