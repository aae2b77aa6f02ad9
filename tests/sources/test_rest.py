"""HTTP with pages against the real survey platform, polite and stubborn, and clear when refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from customer_marts.errors import SourceUnavailable
from scripts.survey_platform import Misbehaviour, SurveyPlatform
from tests.landings import land_feed, land_feed_or_nothing, quarantined, rows_of
from tests.mini import MiniCompany

TOKEN = "test-token"


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


@pytest.fixture
def surveyed(tmp_path: Path, responses: Path) -> Iterator[tuple[MiniCompany, SurveyPlatform]]:
    """The mini company with a platform that refuses, fails and cuts on the way, ten a page."""
    faults = Misbehaviour(too_many_every=2, error_every=3, cut_every=5, retry_after_seconds=0)
    platform = SurveyPlatform(responses, TOKEN, faults)
    with platform:
        mini = MiniCompany(tmp_path / "company", surveys=platform.start())
        mini.mapping["sources"]["surveys"]["tables"]["responses"]["parameters"] = {"limit": "10"}
        mini.save_mapping()
        yield mini, platform


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


def test_an_expired_token_is_infrastructure_and_not_printed(
    surveyed: tuple[MiniCompany, SurveyPlatform],
) -> None:
    mini, _ = surveyed
    mini.environment["SAMPLE_SURVEY_TOKEN"] = "an-old-token"
    with pytest.raises(SourceUnavailable, match="401: it refuses our token") as caught:
        land_feed(mini, "survey_responses")
    assert "an-old-token" not in str(caught.value)


def test_a_service_that_repeats_its_cursor_is_left(
    surveyed: tuple[MiniCompany, SurveyPlatform],
) -> None:
    mini, platform = surveyed
    platform.misbehaviour = Misbehaviour(too_many_every=0, error_every=0, stuck_every=2)
    with pytest.raises(SourceUnavailable, match="repeats its page cursor"):
        land_feed(mini, "survey_responses")


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
