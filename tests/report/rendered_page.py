"""A rendered report as the tests read it: parsed, with its words and its exact amounts."""

from __future__ import annotations

import re
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from customer_marts.report import write_report
from tests.report.marts_fixture import Book, build_marts, release_manifest


class Page(HTMLParser):
    """The parsed report: its elements, its text, and the exact amounts it carries."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.titles: list[str] = []
        self.languages: set[str] = set()
        self.open_tags: list[str] = []
        self.svg_titles: list[str] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name == "title" and value:
                self.titles.append(value)
            if name == "lang" and value:
                self.languages.add(value)
        if tag not in ("meta", "input", "path", "line", "rect"):
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open_tags and self.open_tags.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self.open_tags:
            self.words += data
        if self.open_tags[-2:] == ["svg", "title"]:
            self.svg_titles.append(data)

    def section(self, name: str) -> Page:
        found = re.search(rf'<section id="{name}">.*?</section>', self.html, re.DOTALL)
        assert found is not None
        return Page(found[0])


def render(folder: Path, book: Book | None = None, **changes: Any) -> Page:
    marts = folder / "marts.duckdb"
    build_marts(marts, book)
    manifest = {**release_manifest(), **changes}
    write_report(marts, manifest, folder / "report.html")
    assert sorted(entry.name for entry in folder.iterdir()) == ["marts.duckdb", "report.html"]
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def table(page: Page, caption: str, part: str = "tbody") -> list[list[str]]:
    """The cells of a part of the table whose caption opens with these words, as text."""
    for html in re.findall(r"<table.*?</table>", page.html, re.DOTALL):
        if Page(html).words.strip().startswith(caption):
            found = re.search(rf"<{part}>.*?</{part}>", html, re.DOTALL)
            assert found is not None
            return [
                [
                    " ".join(Page(cell).words.split())
                    for cell in re.findall(r"<t[hd][ >].*?</t[hd]>", row, re.DOTALL)
                ]
                for row in re.findall(r"<tr.*?</tr>", found[0], re.DOTALL)
            ]
    raise AssertionError(f"no table {caption!r}")


def exact(value: Decimal) -> str:
    sign = "\u2212" if value < 0 else ""
    return f"CNY {sign}{abs(value):,.2f}"
