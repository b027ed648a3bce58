from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.system import autostart


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "autostart" / "transfermon.desktop"


def value_of(text: str, key: str) -> str:
    """A string of a desktop entry, as the specification reads it."""
    (raw,) = re.findall(f"^{key}=(.*)$", text, re.MULTILINE)
    letters = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
    return re.sub(r"\\(.)", lambda match: letters[match.group(1)], raw)


def words_of(line: str) -> list[str]:
    """The words of an Exec line by the rules of the specification, without field codes."""
    words: list[str] = []
    at = 0
    while at < len(line):
        if line[at] == " ":
            at += 1
        elif line[at] == '"':
            match = re.compile(r'"((?:[^"`$\\]|\\["`$\\])*)"', re.DOTALL).match(line, at)
            assert match, f"no end of the quotes: {line[at:]}"
            words.append(re.sub(r"\\(.)", r"\1", match.group(1)))
            at = match.end()
        else:
            match = re.compile(r"""[^\s"'\\><~|&;$*?#()`]+""").match(line, at)
            assert match, f"a reserved character outside of quotes: {line[at:]}"
            words.append(match.group())
            at = match.end()
    assert all(re.fullmatch("(?:[^%]|%%)*", word, re.DOTALL) for word in words)
    return [word.replace("%%", "%") for word in words]


def test_it_is_off_until_it_is_switched_on_and_off_again(place):
    assert not autostart.is_autostarted()
    autostart.set_enabled(True, minimized=False)
    assert autostart.is_autostarted()
    assert not autostart.starts_minimized()
    autostart.set_enabled(True, minimized=True)
    assert autostart.is_autostarted()
    assert autostart.starts_minimized()
    autostart.set_enabled(False, minimized=True)
    assert not autostart.is_autostarted()
    assert not place.exists()
    autostart.set_enabled(False, minimized=False)


def test_the_file_is_owner_only_and_nothing_is_left_beside_it(place):
    old = os.umask(0)
    try:
        autostart.set_enabled(True, minimized=True)
    finally:
        os.umask(old)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert os.listdir(place.parent) == [place.name]


def test_the_entry_starts_the_window_in_the_tray(place):
    autostart.set_enabled(True, minimized=True)
    words = words_of(value_of(place.read_text(), "Exec"))
    assert words[-2:] == ["gui", "--minimized"]
    assert words[: len(words) - 2] == autostart.start_command()
    assert value_of(place.read_text(), "TryExec") == words[0]
    assert value_of(place.read_text(), "Type") == "Application"


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/transfermon", "/usr/bin/transfermon"),
        ("/a b/c", '"/a b/c"'),
        ("100%", '"100%%"'),
        ('a"b', r'"a\\"b"'),
        ("a\\b", r'"a\\\\b"'),
        ("$HOME`id`", r'"\\$HOME\\`id\\`"'),
        ("a\nb", r'"a\nb"'),
        ("é", "é"),
        ("", '""'),
    ],
)
def test_a_word_is_quoted_by_the_rules_of_desktop_entries(word, written):
    assert autostart.exec_line([word]) == written


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
        min_size=1,
    )
)
def test_whatever_the_words_are_they_come_back(words):
    text = autostart.desktop_entry(words)
    assert text.count("\n") == text.rstrip("\n").count("\n") + 1
    lines = [line for line in text.split("\n") if line.startswith("Exec=")]
    assert words_of(value_of(lines[0], "Exec")) == words


@pytest.mark.parametrize(
    "text",
    [
        "[Desktop Entry]\nType=Application\nExec=transfermon gui\nHidden=true\n",
        "[Desktop Entry]\nExec=transfermon gui\nX-GNOME-Autostart-enabled=false\n",
        "Exec=transfermon gui\n",
        "[Other]\nExec=x\n",
        "\x00\xff",
        "",
    ],
)
def test_an_entry_that_is_off_or_damaged_starts_nothing_and_can_be_replaced(place, text):
    place.parent.mkdir(parents=True)
    place.write_text(text, encoding="latin-1")
    assert not autostart.is_autostarted()
    autostart.set_enabled(True, minimized=False)
    assert autostart.is_autostarted()


def test_an_entry_of_another_make_counts(place):
    place.parent.mkdir(parents=True)
    place.write_text(
        "# by hand\n[Desktop Entry]\nExec=transfermon gui --minimized\n\n[Other]\nHidden=true\n"
    )
    assert autostart.is_autostarted()
    assert autostart.starts_minimized()


@pytest.mark.parametrize("config", ["", "relative/folder"])
def test_without_a_usable_folder_it_is_the_users_own(config, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", config)
    assert autostart.autostart_path() == str(
        tmp_path / ".config" / "autostart" / "transfermon.desktop"
    )


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    assert not autostart.is_autostarted()
    with pytest.raises(NotADirectoryError):
        autostart.set_enabled(True, minimized=False)


def test_it_starts_this_installation_and_not_what_lies_in_the_current_folder(tmp_path):
    """Without a script beside Python, as it may be: the module of this Python, from any folder."""
    (tmp_path / "transfermon").mkdir()
    (tmp_path / "transfermon" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "transfermon" / "__main__.py").write_text("")
    words = [sys.executable, "-P", "-m", "transfermon"]
    assert autostart.start_command() in ([str(Path(sys.executable).parent / "transfermon")], words)
    for program in (words, autostart.start_command()):
        done = subprocess.run(
            [*program, "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("transfermon ")
