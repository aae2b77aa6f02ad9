"""Texts in SQL and in Python alike."""

from __future__ import annotations

import sys

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from customer_marts.sql import trim, trimmed

BLANKS = "\t\n\x0b\x0c\r \x1c\x85\u00a0\u180e\u2003\u2028\u200b\u200e\u202a\u2060\u3000\ufeff"


@given(st.lists(st.text(st.sampled_from(BLANKS + "C7户'")), max_size=20))
def test_texts_are_trimmed_alike_in_sql_and_in_python(texts: list[str]) -> None:
    with duckdb.connect() as connection:
        found = connection.execute(
            f"select {trimmed('text')} from (select unnest(?::varchar[]) as text)", [texts]
        ).fetchall()
    assert [value for (value,) in found] == [trim(text) or None for text in texts]


def test_every_white_space_is_trimmed_at_the_ends_alone() -> None:
    spaces = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
    assert len(spaces) > 20
    for space in [*spaces, *BLANKS]:
        assert trim(f"{space}华能{space}电厂\t{space}") == f"华能{space}电厂"
    with duckdb.connect() as connection:
        left = connection.execute(
            f"select count(*) from (select unnest(?::varchar[]) as text) where {trimmed('text')} "
            "is not null",
            [spaces],
        ).fetchall()
    assert left == [(0,)]
