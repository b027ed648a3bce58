"""The page for newcomers sends nobody to a file that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_path_on_the_page_for_newcomers_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    inline = re.findall(r"`((?:src|tests|docs|tools|benchmarks|findings)/[\w./-]*)`", text)
    links = re.findall(r"\]\(([\w./-]+)\)", text)
    assert len(inline) > 30
    assert [path for path in (*inline, *links) if not (ROOT / path).exists()] == []


def test_every_target_on_the_page_for_newcomers_can_be_made():
    named = set(re.findall(r"`make ([\w-]+)`", (ROOT / "CONTRIBUTING.md").read_text("utf-8")))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert named - set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE)) == set()
