"""Faults, group U, as far as it is about what is printed, logged and copied: nothing of a
stranger's acts there, and no secret is in it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.owners import Place, slow, until
from transfermon.gui.panels.details import facts_of
from transfermon.http.addresses import check_url, without_credentials
from transfermon.model.errors import redacted
from transfermon.model.task import Kind, Task

HOSTILE = "a\x1b]52;c;ZXZpbA==\x07\x1b[2J\rb\u202egpj\u2028c\x9bd"
ACTING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def printed(place: Place) -> dict[str, str]:
    """What the commands that look say, on both streams."""
    key = place.tasks()[0]["id"]
    looks = {
        "list": ("list",),
        "list as JSON": ("--json", "list"),
        "show": ("show", key),
        "show as JSON": ("--json", "show", key),
        "events": ("events",),
        "events as NDJSON": ("--json", "events"),
    }
    out = {}
    for name, words in looks.items():
        code, said, complained = place.run(*words)
        assert code == 0, (name, complained)
        out[name] = said + complained
    return out


def test_fault_u12_no_name_and_no_address_acts_on_a_terminal(place: Place, tmp_path: Path):
    resource = Resource(
        b"x" * 1000,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quoted(HOSTILE)}"},
    )
    with ByteServer(resource) as server:
        place.app()
        place.add(server.url(f"/{quoted(HOSTILE)}?q={quoted(HOSTILE)}"))
        until("its end", lambda: [task for task in place.tasks() if task["path"]])
        place.run(
            "push", '{"content-available": 1, "alert": "\\u001b]0;title\\u0007", "x": "\\u001b[2J"}'
        )
        said = printed(place)
        assert "gpj" in said["list"]  # what can be shown is shown
        for name, text in said.items():
            assert not ACTING.search(text.replace("\t", " ")), (name, ACTING.findall(text))
            if "JSON" in name and name != "list as JSON" and name != "show as JSON":
                # an event is one line
                assert all(line.startswith("{") for line in text.splitlines()), name


def quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def test_fault_u13_no_secret_is_in_what_is_printed_or_kept_for_others(place: Place):
    resource = Resource(bytes(12_000_000), etag='"v1"', headers={"Set-Cookie": "session=CANARY-4"})
    slow(resource)
    with ByteServer(resource) as server:
        app = place.app()
        url = server.url("/a.bin?token=CANARY-5&sig=CANARY-6").replace(
            "http://", "http://name:CANARY-1@"
        )
        place.add(url, headers={"X-Api-Key": "CANARY-2", "Cookie": "a=CANARY-3"})
        until("the transfer", place.received)
        said = printed(place)
        assert "a.bin" in said["list"]
        assert "token" in said["show as JSON"]
        for name, text in said.items():
            assert "CANARY" not in text, name
        place.run("cancel", place.tasks()[0]["id"])
        for name, text in printed(place).items():
            assert "CANARY" not in text, name
        assert place.run("quit")[0] == 0
        _, complained = app.communicate(timeout=60)
    assert "CANARY" not in complained
    for log in place.state.glob("*.log"):
        assert b"CANARY" not in log.read_bytes(), log.name


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("https://me:secret@example.com/a", "https://example.com/a"),
        ("https://example.com/a?token=secret&b=", "https://example.com/a?token=…&b=…"),
        ("http://example.com:8080/a%20b;c=d@e", "http://example.com:8080/a%20b;c=d@e"),
        ("http://example.com:8080/a-b_(c).txt", "http://example.com:8080/a-b_(c).txt"),
        # a Cyrillic letter between Latin ones
        ("https://ex\u0430mple.com/", "https://xn--exmple-4nf.com/"),
    ],
)
def test_fault_u14_an_address_is_shown_without_secrets_and_with_its_real_host(
    typed: str, shown: str
):
    address = check_url(typed)
    assert redacted(address) == shown
    bare, _ = without_credentials(address)  # what a record holds
    task = Task(session="s", number=1, kind=Kind.DOWNLOAD, url=bare)
    row = " ".join(facts_of(task, None, 0.0, 0.0).values())
    assert "me:secret" not in row
    assert shown.partition("?")[0] in row


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.UTF-8", "ar_EG.UTF-8"])
def test_fault_u19_no_locale_changes_a_file_name_or_a_number(place: Place, locale: str):
    name = "Übergröße 1,5 \u05d0.bin"
    with ByteServer(Resource(b"x" * 1500)) as server:
        place.environment |= {"LC_ALL": locale, "LANG": locale}
        url = server.url(f"/{quoted(name)}")
        code, _, complained = place.run(
            "get", "-q", "-d", str(place.out), "--limit-rate", "1.5M", url
        )
        assert (code, complained) == (0, "")
        assert [path.name for path in place.out.iterdir()] == [name]
        code, said, complained = place.run("list")
        assert (code, complained) == (0, "")
        assert "1.5 kB" in said
