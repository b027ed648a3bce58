"""The words of a page of HTML that a person would read; few answers are one."""

from __future__ import annotations

from html.parser import HTMLParser


def words_of(page: str) -> list[str]:
    """In their order, without those of scripts, styles and the title."""
    words = _Words()
    words.feed(page)
    return words.found


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style", "title")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in ("script", "style", "title")))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found += data.split()
