"""The survey platform: pages through everything, with authentication and its known faults."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from scripts.survey_platform import WELL_BEHAVED, Misbehaviour, SurveyPlatform

TOKEN = "token-of-the-test"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twenty-five responses, not in the order of their stamps; four share one stamp."""
    path = tmp_path / "responses.jsonl"
    lines = []
    for number in range(25):
        minute = 30 if number < 4 else 59 - number
        lines.append(
            {
                "response_id": f"R{number:03d}",
                "customer_code": "C000001",
                "updated_at": f"2026-06-30T09:{minute:02d}:00+08:00",
                "answers": [{"question": "nps", "score": 9, "text": "供应稳定"}],
            }
        )
    write(path, lines)
    return path


def write(path: Path, responses: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in responses)
    path.write_text(text, encoding="utf-8")


def get(url: str, token: str | None = TOKEN, **parameters: str) -> dict[str, Any]:
    request = Request(f"{url}/v1/responses?{urlencode(parameters)}")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    with urlopen(request, timeout=10) as response:
        body: dict[str, Any] = json.load(response)
    return body


def status_of(url: str, **arguments: Any) -> int:
    try:
        get(url, **arguments)
    except HTTPError as error:
        with error:
            return error.code
    return 200


def everything(url: str, **parameters: str) -> tuple[list[str], list[int]]:
    """All response ids by following cursors and repeating refused requests; and the refusals."""
    found: list[str] = []
    refusals: list[int] = []
    while True:
        try:
            page = get(url, **parameters)
        except HTTPError as error:
            with error:
                refusals.append(error.code)
            continue
        found += [item["response_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return found, refusals
        parameters["cursor"] = page["next_cursor"]


def in_order(path: Path) -> list[str]:
    listed = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    listed.sort(key=lambda each: (each["updated_at"], each["response_id"]))
    return [each["response_id"] for each in listed]


@pytest.mark.parametrize("limit", ["1", "2", "7", "25", "200"])
def test_pages_hold_everything_once_and_in_order(data: Path, limit: str) -> None:
    with SurveyPlatform(data, TOKEN, WELL_BEHAVED) as platform:
        assert everything(platform.start(), limit=limit) == (in_order(data), [])


def test_faults_come_by_the_count_of_requests(data: Path) -> None:
    with SurveyPlatform(data, TOKEN) as platform:
        url = platform.start()
        found, refusals = everything(url, limit="1")
        assert found == in_order(data)
        # 25 pages within 30 requests: the 7th, 14th, 21st and 28th, and the 11th and 22nd.
        assert refusals == [429, 500, 429, 429, 500, 429]
        assert platform.requests == 31


def test_too_many_requests_say_when_to_come_back(data: Path) -> None:
    rude = Misbehaviour(too_many_every=1, retry_after_seconds=3)
    with SurveyPlatform(data, TOKEN, rude) as platform:
        url = platform.start()
        with pytest.raises(HTTPError) as caught:
            get(url)
        with caught.value as error:
            assert (error.code, error.headers["Retry-After"]) == (429, "3")


def test_updated_after_is_exclusive_and_minds_the_offset(data: Path) -> None:
    with SurveyPlatform(data, TOKEN, WELL_BEHAVED) as platform:
        url = platform.start()
        local, _ = everything(url, updated_after="2026-06-30T09:51:00+08:00")
        world, _ = everything(url, updated_after="2026-06-30T01:51:00Z", limit="2")
        assert local == world == ["R007", "R006", "R005", "R004"]
        nothing, _ = everything(url, updated_after="2026-07-01T00:00:00+08:00")
        assert nothing == []


def test_without_the_token_nothing_is_served_nor_counted(data: Path) -> None:
    with SurveyPlatform(data, TOKEN, Misbehaviour(too_many_every=2)) as platform:
        url = platform.start()
        assert [status_of(url, token=token) for token in (None, "", "wrong")] == [401] * 3
        assert platform.requests == 0
        assert [status_of(url), status_of(url)] == [200, 429]


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "0"},
        {"limit": "many"},
        {"cursor": "not-a-cursor"},
        {"updated_after": "yesterday"},
        {"updated_after": "2026-06-30T09:00:00"},
        {"updatedafter": "2026-06-30T09:00:00Z"},
    ],
)
def test_unreadable_requests_are_refused(data: Path, parameters: dict[str, str]) -> None:
    with SurveyPlatform(data, TOKEN, WELL_BEHAVED) as platform:
        assert status_of(platform.start(), **parameters) == 400


def test_changed_file_is_read_again(data: Path) -> None:
    with SurveyPlatform(data, TOKEN, WELL_BEHAVED) as platform:
        url = platform.start()
        assert len(everything(url)[0]) == 25
        response = json.loads(data.read_text(encoding="utf-8").splitlines()[0])
        draft = data.with_suffix(".new")
        write(draft, [response | {"response_id": "R900"}])
        draft.replace(data)
        assert everything(url)[0] == ["R900"]


def test_cut_answer_is_shorter_than_announced(data: Path) -> None:
    with SurveyPlatform(data, TOKEN, Misbehaviour(0, 0, cut_every=2)) as platform:
        url = platform.start()
        get(url)
        with pytest.raises(http.client.IncompleteRead):
            get(url)
        assert len(get(url)["items"]) == 25


def test_stuck_cursor_repeats_itself(data: Path) -> None:
    with SurveyPlatform(data, TOKEN, Misbehaviour(0, 0, stuck_every=2)) as platform:
        url = platform.start()
        cursor = get(url, limit="5")["next_cursor"]
        assert get(url, limit="5", cursor=cursor)["next_cursor"] == cursor


def fetch(url: str) -> tuple[Any, Any, str]:
    """An answer's content, headers and final address."""
    request = Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    with urlopen(request, timeout=10) as response:
        body = response.read()
        kind = response.headers.get_content_type()
        return json.loads(body) if "json" in kind else body, response.headers, response.url


def next_link(page: Any, headers: Any) -> str | None:
    """The next page's address: in the body where that is an object, else in the header Link."""
    if isinstance(page, dict):
        link: str | None = page["links"]["next"]
        return link
    return headers.get("Link", "").partition(">")[0].removeprefix("<") or None


def test_numbered_pages_hold_everything_and_end_with_an_empty_one(data: Path) -> None:
    with SurveyPlatform(data, TOKEN, WELL_BEHAVED) as platform:
        url = platform.start()
        found: list[str] = []
        for number in range(1, 5):
            page, _, _ = fetch(f"{url}/v1/responses/pages?limit=10&page={number}")
            found += [item["response_id"] for item in page["items"]]
            assert page["total"] == 25
        assert found == in_order(data)
        assert page["items"] == []


@pytest.mark.parametrize("form", ["links", "list"])
def test_links_lead_through_everything(data: Path, form: str) -> None:
    with SurveyPlatform(data, TOKEN, WELL_BEHAVED) as platform:
        url = platform.start()
        link: str | None = (
            f"/v1/responses/{form}?limit=10&updated_after=2026-06-30T09:00:00%2B08:00"
        )
        found: list[str] = []
        while link:
            page, headers, _ = fetch(url + link)
            items = page["items"] if form == "links" else page
            found += [item["response_id"] for item in items]
            link = next_link(page, headers)
        assert found == in_order(data)


def test_the_total_counts_what_was_asked_for_not_the_page(data: Path) -> None:
    with SurveyPlatform(data, TOKEN, Misbehaviour(0, 0, total_error=3)) as platform:
        url = platform.start()
        first = get(url, limit="2", updated_after="2026-06-30T09:51:00+08:00")
        second = get(url, limit="2", cursor=first["next_cursor"])
        assert first["total"] == 4 + 3
        assert second["total"] == 25 + 3


def test_numbers_are_sent_as_the_file_writes_them(tmp_path: Path) -> None:
    line = (
        '{"response_id": "R1", "updated_at": "2026-06-30T09:00:00+08:00", "score": 1234567890.10}'
    )
    path = tmp_path / "responses.jsonl"
    path.write_text(f"{line}\n", "utf-8")
    with SurveyPlatform(path, TOKEN, WELL_BEHAVED) as platform:
        request = Request(
            f"{platform.start()}/v1/responses", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urlopen(request, timeout=10) as response:
            assert line.encode() in response.read()


def test_stuck_pages_repeat_the_one_before(data: Path) -> None:
    with SurveyPlatform(data, TOKEN, Misbehaviour(0, 0, stuck_every=2)) as platform:
        base = f"{platform.start()}/v1/responses/pages?limit=5"
        assert fetch(base)[0] == fetch(f"{base}&page=2")[0]


@pytest.mark.parametrize("form", ["links", "list"])
def test_stuck_links_lead_to_themselves(data: Path, form: str) -> None:
    with SurveyPlatform(data, TOKEN, Misbehaviour(0, 0, stuck_every=2)) as platform:
        url = platform.start()
        link = next_link(*fetch(f"{url}/v1/responses/{form}?limit=5")[:2])
        assert link is not None
        assert next_link(*fetch(url + link)[:2]) == link


def test_retry_after_may_be_a_date(data: Path) -> None:
    rude = Misbehaviour(too_many_every=1, retry_after_seconds=30, retry_after_is_date=True)
    with SurveyPlatform(data, TOKEN, rude) as platform:
        with pytest.raises(HTTPError) as caught:
            get(platform.start())
        with caught.value as error:
            asked = parsedate_to_datetime(error.headers["Retry-After"])
            sent = parsedate_to_datetime(error.headers["Date"])
    assert 29 <= (asked - sent).total_seconds() <= 31


def test_a_token_expires_and_a_service_recovers(data: Path) -> None:
    faults = Misbehaviour(0, 0, recovers_after=1, expires_after=3)
    with SurveyPlatform(data, TOKEN, faults) as platform:
        url = platform.start()
        assert [status_of(url) for _ in range(4)] == [500, 200, 200, 401]


def test_a_proxy_shows_a_page_and_a_redirect_leads_to_a_login(data: Path) -> None:
    with SurveyPlatform(
        data, TOKEN, Misbehaviour(0, 0, html_every=2, redirect_every=3)
    ) as platform:
        url = platform.start()
        get(url)
        body, headers, _ = fetch(f"{url}/v1/responses")
        assert headers.get_content_type() == "text/html"
        assert TOKEN.encode() in body
        body, _, landed_at = fetch(f"{url}/v1/responses")
        assert (b"Log in" in body, landed_at) == (True, f"{url}/login")


def test_slow_answers_come_in_pieces_and_do_not_hold_up_the_end(data: Path) -> None:
    with SurveyPlatform(data, TOKEN, Misbehaviour(0, 0, slow_every=1, slow_seconds=5)) as platform:
        request = Request(
            f"{platform.start()}/v1/responses", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        start = time.monotonic()
        with urlopen(request, timeout=0.3) as response, pytest.raises(TimeoutError):
            response.read()
    assert time.monotonic() - start < 4


def test_command_prints_its_url_and_serves(data: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "scripts/survey_platform.py", "--data", str(data), "--port", "0"]
    faults = ["--token-env", "TOKEN_OF_TEST", "--too-many-every", "0", "--error-every", "2"]
    faults += ["--retry-after-is-date", "--slow-seconds", "0.5"]
    environment = os.environ | {"TOKEN_OF_TEST": TOKEN}
    with subprocess.Popen(
        [*command, *faults], cwd=root, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert [status_of(url), status_of(url), status_of(url)] == [200, 500, 200]
        finally:
            process.terminate()


def test_command_needs_a_token(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scripts import survey_platform

    assert survey_platform.main(["--data", str(data), "--token-env", "NOT_SET_ANYWHERE"]) == 1
    assert "NOT_SET_ANYWHERE" in capsys.readouterr().err
