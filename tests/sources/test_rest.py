"""HTTP with pages against the real survey platform, polite and stubborn, and clear when refused."""

from __future__ import annotations

import gzip
import json
import logging
import re
import threading
import time
import traceback
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from customer_marts.errors import BatchFault, ConfigurationError, MartsError, SourceUnavailable
from customer_marts.sources import rest, rest_service
from customer_marts.sources.extract import ControlTotal, Extract, Watermark
from customer_marts.sources.rest import extract_rest
from scripts.survey_platform import WELL_BEHAVED, Misbehaviour, SurveyPlatform
from tests.landings import land_feed, land_feed_or_nothing, quarantined, rows_of
from tests.mini import MiniCompany

TOKEN = "test-token"
# stands for the secret: it must come up in no message and no log
CANARY = "canary-6f1d2c"

# a record without elements
RECORD = """{"response_id": "R1", "question": "nps", "customer_code": "C1",
  "submitted_at": "2026-03-01T10:00:00+08:00", %s}"""

PAGINGS: dict[str, dict[str, Any]] = {
    "cursor": {"path": "/v1/responses"},
    "page": {"path": "/v1/responses/pages", "paging": "page"},
    "link": {"path": "/v1/responses/links", "paging": "link", "next_link": "links.next"},
    "list": {"path": "/v1/responses/list", "paging": "link", "items": ""},
}


def response(number: int, customer: str = "C1", score: object = 9) -> dict[str, object]:
    moment = f"2026-03-{1 + number // 60:02d}T10:{number % 60:02d}:00+08:00"
    return {
        "response_id": f"R{number:04d}",
        "customer_code": customer,
        "survey_id": "2026Q1",
        "submitted_at": moment,
        "updated_at": moment,
        "answers": [
            {"question": "nps", "score": score, "min": 0, "max": 10, "text": "发货及时"},
            {"question": "csat_overall", "score": 4, "min": 1, "max": 5},
        ],
    }


def write_responses(path: Path, responses: list[dict[str, object]]) -> None:
    text = "\n".join(json.dumps(item, ensure_ascii=False) for item in responses)
    path.write_text(text + "\n", "utf-8")


@pytest.fixture
def responses(tmp_path: Path) -> Path:
    path = tmp_path / "responses.jsonl"
    write_responses(path, [response(i) for i in range(25)])
    return path


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six attempts in a moment instead of ten seconds."""
    monkeypatch.setattr(rest_service, "FIRST_WAIT_SECONDS", 0.01)


@contextmanager
def surveyed_by(
    root: Path, responses: Path, faults: Misbehaviour, token: str = TOKEN, **table: Any
) -> Iterator[tuple[MiniCompany, SurveyPlatform]]:
    """The mini company with a survey platform, ten answers a page."""
    with SurveyPlatform(responses, token, faults) as platform:
        mini = MiniCompany(root, surveys=platform.start())
        mini.environment["SAMPLE_SURVEY_TOKEN"] = token
        described = mini.mapping["sources"]["surveys"]["tables"]["responses"]
        described |= {"parameters": {"limit": "10"}, **table}
        mini.save_mapping()
        yield mini, platform


@pytest.fixture
def surveyed(tmp_path: Path, responses: Path) -> Iterator[tuple[MiniCompany, SurveyPlatform]]:
    """A platform that refuses, fails and cuts on the way."""
    faults = Misbehaviour(too_many_every=2, error_every=3, cut_every=5, retry_after_seconds=0)
    with surveyed_by(tmp_path / "company", responses, faults) as both:
        yield both


def pull(
    mini: MiniCompany, since: str | None = None, most_rows: int | None = None
) -> Extract | None:
    """What the connector itself gives."""
    company = mini.company
    source = company.sources["surveys"]
    assert source.kind == "rest"
    work = mini.root / "work"
    work.mkdir(exist_ok=True)
    mapping = company.feeds["survey_responses"]
    mark = Watermark(since)
    return extract_rest(mini.settings, "survey_responses", mapping, source, mark, work, most_rows)


def ids_of(extract: Extract | None) -> list[str]:
    import pyarrow.parquet as pq

    assert extract is not None
    listed: list[str] = pq.read_table(extract.raw)["response_id"].to_pylist()
    return listed


@contextmanager
def answering(
    *bodies: bytes, kind: str = "application/json", status: int = 200
) -> Iterator[tuple[str, list[str]]]:
    """A real service that gives these answers one after the other, the last one again and again,
    with its own host for SELF; its address, and the paths that it is asked for.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = bodies[min(len(asked), len(bodies) - 1)]
            body = body.replace(b"SELF", self.headers["Host"].encode())
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # it looks that often whether it is to stop, and each test stops it
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_every_answer_arrives_in_spite_of_refusals_errors_and_cuts(
    surveyed: tuple[MiniCompany, SurveyPlatform],
) -> None:
    mini, platform = surveyed
    batch = land_feed(mini, "survey_responses")
    rows = rows_of(batch, "response_id, question_code, score, answered_on, text")
    assert len(rows) == 50
    assert rows[0] == ("R0000", "nps", "9.00", "2026-03-01", "发货及时")
    assert platform.requests > 3  # three pages and the refusals between them


def test_raw_pages_are_kept(surveyed: tuple[MiniCompany, SurveyPlatform]) -> None:
    mini, _ = surveyed
    batch = land_feed(mini, "survey_responses")
    with gzip.open(batch.folder / "raw.jsonl.gz", "rt", encoding="utf-8") as stream:
        pages = [json.loads(line) for line in stream]
    assert [len(page["items"]) for page in pages] == [10, 10, 5]


def test_the_next_pull_asks_from_the_cursor_on(
    surveyed: tuple[MiniCompany, SurveyPlatform], responses: Path
) -> None:
    mini, _ = surveyed
    first = land_feed(mini, "survey_responses")
    assert first.manifest["cursor"] == "2026-03-01T10:24:00+08:00"
    late = {**response(99), "submitted_at": "2026-03-02T09:00:00+08:00"}
    late["updated_at"] = late["submitted_at"]
    write_responses(responses, [*(response(i) for i in range(25)), late])
    mini.mapping["feeds"]["survey_responses"]["cursor"]["overlap_minutes"] = 5
    mini.save_mapping()
    again = land_feed(mini, "survey_responses")
    second = land_feed(mini, "survey_responses", after=[again, first])
    assert {row[0] for row in rows_of(second, "response_id")} == {"R0099"}


def test_a_score_outside_its_scale_is_quarantined(
    surveyed: tuple[MiniCompany, SurveyPlatform], responses: Path
) -> None:
    mini, _ = surveyed
    write_responses(responses, [response(0), response(1, score=11), response(2, score="九")])
    batch = land_feed(mini, "survey_responses")
    assert sorted(quarantined(batch)) == [
        ("invalid_score", "score", "九"),
        ("score_within_scale", "score", "11"),
    ]


# --- paging ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PAGINGS)
@pytest.mark.parametrize("limit", ["10", "25", "500"])
def test_each_kind_of_paging_brings_every_answer_once(
    tmp_path: Path, responses: Path, kind: str, limit: str
) -> None:
    table = {**PAGINGS[kind], "parameters": {"limit": limit}, "explode": None}
    with surveyed_by(tmp_path, responses, WELL_BEHAVED, **table) as (mini, _):
        assert ids_of(pull_whole_records(mini)) == [f"R{i:04d}" for i in range(25)]


def pull_whole_records(mini: MiniCompany, most_rows: int | None = None) -> Extract | None:
    """One row a response: what stands in its list of answers is left unread."""
    columns = mini.mapping["feeds"]["survey_responses"]["columns"]
    for name in ("score", "scale_min", "scale_max", "importance", "urgency", "need_type", "text"):
        columns.pop(name, None)
    columns["question_code"] = {"constant": "nps"}
    mini.save_mapping()
    return pull(mini, most_rows=most_rows)


@pytest.mark.parametrize("kind", PAGINGS)
def test_faults_on_the_way_lose_nothing_in_any_kind_of_paging(
    tmp_path: Path, responses: Path, kind: str
) -> None:
    faults = Misbehaviour(too_many_every=3, error_every=4, cut_every=5, retry_after_seconds=0)
    with surveyed_by(tmp_path, responses, faults, **PAGINGS[kind]) as (mini, platform):
        extract = pull(mini)
        assert ids_of(extract) == [f"R{i // 2:04d}" for i in range(50)]
        assert platform.requests > 4


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("cursor", "repeats its page cursor"),
        ("page", r"repeats the content of a page \(its page 2\)"),
        ("link", "repeats its link to the next page"),
        ("list", "repeats its link to the next page"),
    ],
)
def test_a_service_that_goes_round_in_circles_is_left(
    tmp_path: Path, responses: Path, kind: str, message: str
) -> None:
    faults = Misbehaviour(0, 0, stuck_every=2)
    with (
        surveyed_by(tmp_path, responses, faults, **PAGINGS[kind]) as (mini, platform),
        pytest.raises(SourceUnavailable, match=message),
    ):
        land_feed(mini, "survey_responses")
    assert platform.requests == 2
    assert landed_nothing(mini)


def landed_nothing(mini: MiniCompany) -> bool:
    return not list(mini.settings.paths.landing.glob("*/*/manifest.json"))


@pytest.mark.parametrize("kind", ["link", "list"])
def test_a_link_to_another_place_is_not_followed(
    tmp_path: Path, responses: Path, kind: str
) -> None:
    with SurveyPlatform(responses, TOKEN, WELL_BEHAVED) as other:
        faults = Misbehaviour(0, 0, elsewhere=other.start())
        with (
            surveyed_by(tmp_path, responses, faults, **PAGINGS[kind]) as (mini, _),
            pytest.raises(SourceUnavailable, match="another place: our credentials are not sent"),
        ):
            land_feed(mini, "survey_responses")
        assert other.requests == 0


def test_a_redirect_to_another_place_is_not_followed(tmp_path: Path, responses: Path) -> None:
    with SurveyPlatform(responses, TOKEN, WELL_BEHAVED) as other:
        faults = Misbehaviour(0, 0, redirect_every=2, elsewhere=other.start())
        with (
            surveyed_by(tmp_path, responses, faults) as (mini, _),
            pytest.raises(SourceUnavailable, match=r"redirects to another place, http://.*/login"),
        ):
            land_feed(mini, "survey_responses")
        assert other.requests == 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"next_cursor": "nextCursor"}, "offers another page in next_cursor"),
        ({"paging": "link", "next_link": "next"}, "offers another page in next_cursor"),
        ({**PAGINGS["list"], "paging": "cursor"}, "another page in the header Link"),
        ({**PAGINGS["link"], "next_link": "next"}, "offers another page in links.next"),
    ],
)
def test_a_page_that_offers_more_where_nobody_looks_is_not_the_last(
    tmp_path: Path, responses: Path, table: dict[str, Any], message: str
) -> None:
    with (
        surveyed_by(tmp_path, responses, WELL_BEHAVED, **table) as (mini, _),
        pytest.raises(BatchFault, match=message),
    ):
        land_feed(mini, "survey_responses")


def plain_company(root: Path, url: str, **table: Any) -> MiniCompany:
    """Records without elements, as ``RECORD`` writes them."""
    mini = MiniCompany(root, surveys=url)
    described = mini.mapping["sources"]["surveys"]["tables"]["responses"]
    del described["explode"]
    described |= table
    mini.save_mapping()
    return mini


def page(number: int, beside: str, field: str = "items") -> bytes:
    record = RECORD.replace("R1", f"R{number}") % '"score": 9'
    return f'{{"{field}": [{record}], {beside}}}'.encode()


@pytest.mark.parametrize(
    ("pages", "table"),
    [
        # fields inside an envelope
        (
            [
                b'{"code": 0, "data": %s}' % page(1, '"meta": {"next": "c2"}', "list"),
                b'{"code": 0, "data": %s}' % page(2, '"meta": {"next": ""}', "list"),
            ],
            {"items": "data.list", "next_cursor": "data.meta.next"},
        ),
        # a cursor on every page, and a word that there is no more
        (
            [
                page(1, '"next_cursor": 100, "has_more": true'),
                page(2, '"next_cursor": 200, "has_more": false'),
            ],
            {},
        ),
        # the last cursor again beside an empty page
        (
            [
                page(1, '"next_cursor": "c2"'),
                page(2, '"next_cursor": "c3"'),
                b'{"items": [], "next_cursor": "c3"}',
            ],
            {},
        ),
        # a number that ends
        ([page(1, '"next_cursor": 7'), page(2, '"next_cursor": 0')], {}),
        # an object around the link
        (
            [page(1, '"_links": {"next": {"href": "/v1/more?c=2"}}'), page(2, '"_links": {}')],
            {"paging": "link", "next_link": "_links.next"},
        ),
        # what is not about paging is not taken for it
        ([page(1, '"next_run": "2026-07-01", "nextSyncToken": "x"')], {}),
    ],
)
def test_the_ways_in_which_services_say_where_they_end(
    tmp_path: Path, pages: list[bytes], table: dict[str, Any]
) -> None:
    with answering(*pages) as (url, asked):
        found = ids_of(pull(plain_company(tmp_path, url, **table)))
    assert found == ["R1", "R2"][: len(pages)]
    assert len(asked) == len(pages)


@pytest.mark.parametrize(
    "link",
    [
        "http://[",
        "//elsewhere.example/v1",
        "https://127.0.0.1/v1",
        "http://127.0.0.1:1/v1",
        "file:///etc/passwd",
        "http://a:b@SELF/v1",
    ],
)
def test_links_that_are_not_the_services_own(tmp_path: Path, link: str) -> None:
    with answering(page(1, f'"next": "{link}"')) as (url, asked):
        mini = plain_company(tmp_path, url, paging="link", next_link="next")
        with pytest.raises(SourceUnavailable, match="another place: our credentials") as caught:
            pull(mini)
    assert "a:b@" not in str(caught.value)
    assert len(asked) == 1


def test_a_link_may_be_whole_or_relative(tmp_path: Path) -> None:
    pages = [
        page(1, '"next": "http://SELF/v1/b?c=2"'),
        page(2, '"next": "?c=3"'),
        page(3, '"n": 1'),
    ]
    with answering(*pages) as (url, asked):
        mini = plain_company(tmp_path, url, paging="link", next_link="next")
        assert ids_of(pull(mini)) == ["R1", "R2", "R3"]
    assert [path.partition("?")[::2] for path in asked[1:]] == [("/v1/b", "c=2"), ("/v1/b", "c=3")]


def test_the_paths_own_query_is_kept_beside_the_parameters(tmp_path: Path) -> None:
    with answering(page(1, '"next_cursor": "c2"'), page(2, '"next_cursor": null')) as (url, asked):
        mini = plain_company(tmp_path, url, path="/v1/x?kind=a", parameters={"limit": "5"})
        pull(mini)
    assert asked == ["/v1/x?kind=a&limit=5", "/v1/x?kind=a&limit=5&cursor=c2"]


def test_a_sample_is_the_first_pages(tmp_path: Path, responses: Path) -> None:
    table = {**PAGINGS["cursor"], "total": "total", "explode": None}
    with surveyed_by(tmp_path, responses, WELL_BEHAVED, **table) as (mini, platform):
        sample = pull_whole_records(mini, most_rows=12)
        assert sample is not None
        # the service's count is of all its records, and compared with no part of them
        assert (sample.rows, platform.requests, sample.controls) == (20, 2, [])


# --- totals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cursor", "page", "link"])
def test_the_services_count_is_a_control_total(tmp_path: Path, responses: Path, kind: str) -> None:
    table = {**PAGINGS[kind], "total": "total", "explode": None}
    with surveyed_by(tmp_path, responses, WELL_BEHAVED, **table) as (mini, platform):
        whole = pull_whole_records(mini)
        assert whole is not None
        assert whole.controls == [ControlTotal(None, 25, None)]
        assert land_feed(mini, "survey_responses").manifest["ledger"][0]["source_rows"] == 25
        platform.misbehaviour = Misbehaviour(0, 0, total_error=1)
        with pytest.raises(BatchFault, match="counts 26 records, 25 were read"):
            pull(mini)
        before = platform.requests
        platform.misbehaviour = Misbehaviour(0, 0, total_error=-6)
        with pytest.raises(BatchFault, match="counts 19 records, 20 were read"):
            pull(mini)
        assert platform.requests - before == 2  # it is left as soon as it gives too many


def test_a_count_of_records_controls_records_not_their_elements(
    tmp_path: Path, responses: Path
) -> None:
    with surveyed_by(tmp_path, responses, WELL_BEHAVED, total="total") as (mini, _):
        extract = pull(mini)
        assert extract is not None
        assert (extract.rows, extract.controls) == (50, [])


def test_records_that_come_while_the_pages_are_read_are_told_apart(
    tmp_path: Path, responses: Path
) -> None:
    table = {**PAGINGS["page"], "total": "total"}
    with surveyed_by(tmp_path, responses, Misbehaviour(0, 0), **table) as (mini, platform):

        class Growing(type(platform.responses)):  # type: ignore[misc]
            pages = 0

            def page(self, *arguments: Any) -> Any:
                items, following, total = super().page(*arguments)
                self.pages += 1
                return items, following, total + (1 if self.pages > 2 else 0)

        platform.responses = Growing(responses)
        with pytest.raises(SourceUnavailable, match="counted 25, then 26, and gave 25"):
            pull(mini)


def test_a_page_without_the_count_is_refused(tmp_path: Path, responses: Path) -> None:
    with (
        surveyed_by(tmp_path, responses, WELL_BEHAVED, total="count") as (mini, _),
        pytest.raises(BatchFault, match=r"no count in 'count'; it has items, next_cursor, total"),
    ):
        pull(mini)


# --- what a record becomes ------------------------------------------------------------------------


def one_record(record: str, *items: str) -> bytes:
    return f'{{"items": [{", ".join([record, *items])}], "next_cursor": null}}'.encode()


@contextmanager
def service_of(
    tmp_path: Path, body: bytes, kind: str = "application/json"
) -> Iterator[MiniCompany]:
    with answering(body, kind=kind) as (url, _):
        mini = MiniCompany(tmp_path, surveys=url)
        del mini.mapping["sources"]["surveys"]["tables"]["responses"]["explode"]
        mini.save_mapping()
        yield mini


def raw_row(extract: Extract | None) -> dict[str, Any]:
    import pyarrow.parquet as pq

    assert extract is not None
    row: dict[str, Any] = pq.read_table(extract.raw).to_pylist()[0]
    return row


@pytest.mark.parametrize(
    "number",
    [
        "1234567890.10",
        "0.1000000000000000055",
        "12345678901234567890123",
        "1e3",
        "-0",
        "9.00",
        "NaN",
    ],
)
def test_numbers_keep_their_text(tmp_path: Path, number: str) -> None:
    with service_of(tmp_path, one_record(RECORD % f'"score": {number}')) as mini:
        assert raw_row(pull(mini))["score"] == number


def test_objects_and_lists_are_text_and_names_with_dots_read_inside(tmp_path: Path) -> None:
    given = '"score": 9, "tags": [1.50, {"急": true}], "customer": {"code": "C7", "vip": false}'
    with service_of(tmp_path, one_record(RECORD % given)) as mini:
        columns = mini.mapping["feeds"]["survey_responses"]["columns"]
        columns |= {"text": "tags", "customer_id": "customer.code", "need_type": "customer.vip"}
        mini.save_mapping()
        extract = pull(mini)
        row = raw_row(extract)
    assert row["tags"] == '[1.50, {"急": true}]'
    assert (row["customer.code"], row["customer.vip"]) == ("C7", "false")
    assert extract is not None
    assert extract.unmapped == ["customer_code"]


def test_a_field_that_no_record_has_is_empty_unless_it_is_required(tmp_path: Path) -> None:
    with service_of(tmp_path, one_record(RECORD % '"score": 9')) as mini:
        assert raw_row(pull(mini))["text"] is None
        mini.mapping["feeds"]["survey_responses"]["columns"]["customer_id"] = "customer_cod"
        mini.save_mapping()
        with pytest.raises(BatchFault, match=r"- customer_cod   \(renamed to customer_code\?\)"):
            pull(mini)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\\ud83d half", "half of a surrogate pair"),
        ("a\\u0000b", "a NUL byte"),
        ("发\ufffd及时", "the replacement character"),
    ],
)
def test_characters_that_are_none_are_a_reject_not_a_crash(
    tmp_path: Path, text: str, reason: str
) -> None:
    broken = RECORD.replace("R1", "R2") % f'"text": "{text}"'
    whole = RECORD % '"text": "\\ud83d\\ude00"'
    with service_of(tmp_path, one_record(whole, broken)) as mini:
        extract = pull(mini)
        assert raw_row(extract)["text"] == "😀"
        assert extract is not None
        [reject] = extract.rejects
        assert (extract.rows, reject.source, reject.column) == (2, "/v1/responses:record 2", "text")
        assert reason in reject.reason
        batch = land_feed(mini, "survey_responses")
    assert batch.manifest["rows"] == {"pulled": 2, "accepted": 1, "quarantined": 1}


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [
        ("utf-8", "application/json"),
        ("utf-8-sig", "application/json"),
        ("utf-16", "application/json"),
        ("gb18030", "application/json; charset=GB18030"),
    ],
)
def test_the_declared_encoding_is_read_and_kept_as_utf_8(
    tmp_path: Path, encoding: str, kind: str
) -> None:
    body = one_record(RECORD % '"text": "发货及时"').decode().encode(encoding)
    with service_of(tmp_path, body, kind) as mini:
        extract = pull(mini)
        assert raw_row(extract)["text"] == "发货及时"
        assert extract is not None
        assert extract.pages is not None
        with gzip.open(extract.pages, "rt", encoding="utf-8") as stream:
            [line] = stream
        assert json.loads(line)["items"][0]["text"] == "发货及时"


def test_a_wrong_encoding_is_named(tmp_path: Path) -> None:
    body = one_record(RECORD % '"text": "发货及时"').decode().encode("gb18030")
    with (
        service_of(tmp_path, body) as mini,
        pytest.raises(SourceUnavailable, match="the answer is not utf-8: byte"),
    ):
        pull(mini)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", r"no list 'items'; the answer itself is a list \(items: ''\)"),
        (
            '{"code": 401, "msg": "令牌过期", "phone": "19000001111"}'.encode(),
            "no list 'items'; it has code=401, msg=令牌过期, phone$",
        ),
        (b'{"items": [7]}', "a record is not an object"),
        (
            b'{"items": [{"answers": 1, "response_id": "R1"}]}',
            "'answers' of a record is not a list",
        ),
        (b'{"items": [{"response_id": "R1"}]}', "no record has the list 'answers'"),
    ],
)
def test_answers_of_another_form_are_refused(tmp_path: Path, body: bytes, message: str) -> None:
    with answering(body) as (url, _):
        mini = MiniCompany(tmp_path, surveys=url)
        with pytest.raises(BatchFault) as caught:
            pull(mini)
    first = str(caught.value).splitlines()[0]
    assert re.search(message, first), first


def test_memory_stays_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are written as they come: a pull of ten times the rows takes no ten times the memory."""
    monkeypatch.setattr(rest, "ROWS_AT_ONCE", 200)
    peaks = []
    for count in (100, 500, 4_000):  # the first imports what is needed
        path = tmp_path / f"{count}.jsonl"
        write_responses(
            path, [{**response(i % 1800), "response_id": f"R{i}"} for i in range(count)]
        )
        with surveyed_by(
            tmp_path / str(count), path, WELL_BEHAVED, parameters={"limit": "100"}
        ) as (mini, platform):
            platform.responses.page(None, 0)  # the platform's own index is not the client's
            tracemalloc.start()
            extract = pull(mini)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert extract is not None
        assert extract.rows == 2 * count
    assert peaks[2] < 2 * peaks[1], peaks


# --- a service in trouble -------------------------------------------------------------------------


@pytest.mark.parametrize("as_date", [False, True])
def test_we_come_back_when_asked_to_and_not_before(
    tmp_path: Path, responses: Path, as_date: bool
) -> None:
    faults = Misbehaviour(2, 0, retry_after_seconds=2, retry_after_is_date=as_date)
    with surveyed_by(tmp_path, responses, faults, parameters={"limit": "20"}) as (mini, platform):
        start = time.monotonic()
        assert len(ids_of(pull(mini))) == 50
        # a date has whole seconds
        assert 2 - as_date <= time.monotonic() - start < 6
        assert platform.requests == 3


def test_a_service_that_asks_for_hours_is_left_alone(tmp_path: Path, responses: Path) -> None:
    faults = Misbehaviour(1, 0, retry_after_seconds=7200)
    with (
        surveyed_by(tmp_path, responses, faults) as (mini, platform),
        pytest.raises(SourceUnavailable, match="429 and asks us to come back in 7,200 s"),
    ):
        pull(mini)
    assert platform.requests == 1


def test_a_token_that_expires_on_the_way_lands_nothing(tmp_path: Path, responses: Path) -> None:
    with (
        surveyed_by(tmp_path, responses, Misbehaviour(0, 0, expires_after=2)) as (mini, _),
        pytest.raises(
            SourceUnavailable,
            match="401: it refuses our token, after 2 pages: it has probably expired",
        ),
    ):
        land_feed(mini, "survey_responses")
    assert landed_nothing(mini)


def test_a_service_too_slow_to_answer(tmp_path: Path, responses: Path) -> None:
    with surveyed_by(tmp_path, responses, Misbehaviour(0, 0, slow_every=2)) as (mini, platform):
        mini.mapping["sources"]["surveys"]["timeout_seconds"] = 0.2
        mini.save_mapping()
        # the second page is late, its next attempt comes in time
        assert len(ids_of(pull(mini))) == 50
        platform.misbehaviour = Misbehaviour(0, 0, slow_every=1, slow_seconds=0.5)
        with pytest.raises(SourceUnavailable, match=r"nothing came within 0\.2 s"):
            pull(mini)


def test_a_service_that_drips_is_given_up(tmp_path: Path, responses: Path) -> None:
    faults = Misbehaviour(0, 0, slow_every=1, slow_seconds=0.05)
    with surveyed_by(tmp_path, responses, faults) as (mini, platform):
        mini.mapping["sources"]["surveys"]["timeout_seconds"] = 0.1
        mini.save_mapping()
        with pytest.raises(SourceUnavailable, match="the answer took longer than 1 s"):
            pull(mini)
    assert platform.requests == 1


def test_waits_grow_and_are_not_the_same_for_all(
    tmp_path: Path, responses: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_service, "FIRST_WAIT_SECONDS", 0.1)
    waited = set()
    with surveyed_by(tmp_path, responses, Misbehaviour(0, 0)) as (mini, platform):
        for _ in range(3):
            platform.requests = 0
            platform.misbehaviour = Misbehaviour(0, 0, recovers_after=3)
            start = time.monotonic()
            pull(mini)
            waited.add(round(time.monotonic() - start, 4))
    # three waits of up to 0.2, 0.4 and 0.8 s, at least half of each
    assert all(0.7 <= seconds < 2.5 for seconds in waited)
    assert len(waited) == 3


def test_a_proxys_page_shows_its_beginning_without_our_token(
    tmp_path: Path, responses: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faults = Misbehaviour(0, 0, html_every=2)
    with (
        surveyed_by(tmp_path, responses, faults, token=CANARY) as (mini, _),
        pytest.raises(SourceUnavailable) as caught,
    ):
        land_feed(mini, "survey_responses")
    message = str(caught.value)
    assert "no JSON but text/html, beginning: <html><head><title>Gateway</title>" in message
    assert "Authorization: Bearer ***" in message
    assert CANARY not in message
    assert landed_nothing(mini)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (200, "no JSON but text/html, beginning: <html>"),
        (502, "the service answered 502; it says: <html>"),
    ],
)
def test_a_page_in_no_known_encoding_is_still_told(
    tmp_path: Path, status: int, message: str
) -> None:
    body = "<html>网关错误</html>".encode("gb18030")
    with (
        answering(body, kind="text/html", status=status) as (url, asked),
        pytest.raises(SourceUnavailable, match=message),
    ):
        pull(MiniCompany(tmp_path, surveys=url))
    assert len(asked) == (6 if status == 502 else 1)


def test_a_login_page_behind_a_redirect_is_recognised(tmp_path: Path, responses: Path) -> None:
    with (
        surveyed_by(tmp_path, responses, Misbehaviour(0, 0, redirect_every=1)) as (mini, _),
        pytest.raises(SourceUnavailable, match=r"no JSON but text/html.*<title>Log in</title>"),
    ):
        land_feed(mini, "survey_responses")


def test_a_page_cut_inside_whole_looking_json_is_tried_again(tmp_path: Path) -> None:
    body = one_record(RECORD % '"text": "王芳 19000001111"')[:-30]
    with (
        service_of(tmp_path, body) as mini,
        pytest.raises(SourceUnavailable, match="its JSON is broken or cut short") as caught,
    ):
        pull(mini)
    # what was cut may be anybody's data
    assert "王芳" not in str(caught.value)


# --- credentials ----------------------------------------------------------------------------------


def secret_places(url: str) -> dict[str, Any]:
    """The secret in every place that a company file has for one."""
    return {
        "url": url.replace("http://", "http://reader:${CANARY}@"),
        "headers": {"X-Api-Key": "Key ${CANARY}"},
        "parameters": {"limit": "10", "api_key": "${CANARY}"},
    }


FAULTS = {
    "refused": Misbehaviour(0, 0, expires_after=1),
    "broken": Misbehaviour(0, error_every=1),
    "html": Misbehaviour(0, 0, html_every=1),
    "redirect": Misbehaviour(0, 0, redirect_every=1),
    "cut": Misbehaviour(0, 0, cut_every=1),
    "elsewhere": Misbehaviour(0, 0, redirect_every=1, elsewhere="http://127.0.0.1:9"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", ["token", "url", "headers", "parameters"])
def test_no_message_and_no_log_holds_a_secret(
    tmp_path: Path,
    responses: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fault: str,
    place: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    token = CANARY if place == "token" else TOKEN
    with surveyed_by(tmp_path, responses, FAULTS[fault], token) as (mini, _):
        source = mini.mapping["sources"]["surveys"]
        places = secret_places(mini.environment["SAMPLE_SURVEY_URL"])
        if place == "parameters":
            source["tables"]["responses"]["parameters"] = places["parameters"]
        elif place != "token":
            source[place] = places[place]
        mini.environment["CANARY"] = CANARY
        mini.save_mapping()
        with pytest.raises(MartsError) as caught:
            land_feed(mini, "survey_responses")
    written = "".join(traceback.format_exception(caught.value))
    written += caplog.text + "".join(capfd.readouterr())
    assert "HTTP Request: GET http://127.0.0.1" in caplog.text
    assert CANARY not in written


@pytest.mark.parametrize("token", ["no\nline", "sécret-6f1d2c"])
def test_a_token_no_header_can_carry_is_not_quoted(
    tmp_path: Path, responses: Path, token: str
) -> None:
    with surveyed_by(tmp_path, responses, WELL_BEHAVED) as (mini, _):
        mini.environment["SAMPLE_SURVEY_TOKEN"] = token
        with pytest.raises(ConfigurationError, match="the token holds characters") as caught:
            pull(mini)
    assert token not in str(caught.value)


def test_a_service_without_a_token_is_asked_without(tmp_path: Path, responses: Path) -> None:
    with surveyed_by(tmp_path, responses, WELL_BEHAVED) as (mini, _):
        del mini.mapping["sources"]["surveys"]["token"]
        mini.save_mapping()
        with pytest.raises(SourceUnavailable, match="401: it wants credentials, and the company"):
            pull(mini)
        mini.mapping["sources"]["surveys"]["headers"] = {"Authorization": "Bearer ${THE_TOKEN}"}
        mini.environment["THE_TOKEN"] = TOKEN
        mini.save_mapping()
        assert len(ids_of(pull(mini))) == 50


@pytest.mark.parametrize("url", ["ftp://host/x", "host.example/api", "https://"])
def test_an_address_that_is_none_is_a_mistake_of_configuration(tmp_path: Path, url: str) -> None:
    mini = MiniCompany(tmp_path, surveys="x")
    mini.environment["SAMPLE_SURVEY_URL"] = url
    with pytest.raises(ConfigurationError, match="not an address like https://host/path"):
        pull(mini)


def test_an_expired_token_is_infrastructure_and_not_printed(
    surveyed: tuple[MiniCompany, SurveyPlatform],
) -> None:
    mini, _ = surveyed
    mini.environment["SAMPLE_SURVEY_TOKEN"] = "an-old-token"
    with pytest.raises(SourceUnavailable, match="401: it refuses our token") as caught:
        land_feed(mini, "survey_responses")
    assert "an-old-token" not in str(caught.value)


def test_a_service_that_is_down_is_infrastructure(tmp_path: Path) -> None:
    mini = MiniCompany(tmp_path, surveys="http://127.0.0.1:9")
    with pytest.raises(SourceUnavailable, match="no usable answer"):
        land_feed(mini, "survey_responses")


def test_no_answers_land_nothing(
    surveyed: tuple[MiniCompany, SurveyPlatform], responses: Path
) -> None:
    mini, _ = surveyed
    responses.write_text("", "utf-8")
    assert land_feed_or_nothing(mini, "survey_responses") is None
