"""A stray byte or half a character is refused in one sentence, by whatever door it comes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from transfermon.control.api import Api
from transfermon.engine.monitor import Monitor
from transfermon.engine.session import Session
from transfermon.model import checked_text
from transfermon.model.configuration import SessionConfiguration, checked_headers
from transfermon.model.task import TaskKey

pytestmark = pytest.mark.anyio

HALF = "caf\udce9"  # what Python makes of the byte E9 in an argument
NEVER = "caf\ud800"  # no bytes at all


@pytest.mark.parametrize(
    ("value", "text", "path"), [("café", True, True), (HALF, False, True), (NEVER, False, False)]
)
def test_a_file_may_be_called_by_any_bytes_but_a_text_is_text(value: str, text: bool, path: bool):
    assert checked_text.is_text(value) == text
    for check, fine in ((checked_text.checked_text, text), (checked_text.checked_path, path)):
        if fine:
            assert check(value, "it") == value
        else:
            with pytest.raises(ValueError, match="it holds half a character"):
                check(value, "it")


def test_a_nul_is_in_no_path():
    with pytest.raises(ValueError, match="NUL"):
        checked_text.checked_path("a\0b", "the path")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": ["b", {"c": NEVER}]}, NEVER),
        ({NEVER: 1}, NEVER),
        ({"a": [1, None, "é", True]}, None),
        (HALF, HALF),
    ],
)
def test_half_a_character_is_found_wherever_it_hides_in_json(value: Any, found: str | None):
    assert checked_text.without_text(value) == found


@pytest.mark.parametrize("name", [HALF, NEVER])
@pytest.mark.parametrize(
    "enter",
    [
        SessionConfiguration.background,
        lambda name: SessionConfiguration(identifier=name).check(),
        lambda name: checked_headers({"X": name}),
        lambda name: TaskKey.parse(f"{name}:1"),
    ],
)
def test_python_refuses_it(enter: Callable[[str], object], name: str):
    with pytest.raises(ValueError, match="valid text"):
        enter(name)


@pytest.fixture
async def session(tmp_path: Path):
    async with Monitor.open(str(tmp_path / "state"), attached=False) as monitor:
        monitor.ready()
        yield monitor.create_session(SessionConfiguration.background("s"))


@pytest.mark.parametrize(
    "fields",
    [
        {"destination": f"/tmp/{NEVER}/"},
        {"destination": "/tmp/a\0b"},
        {"description": HALF},
        {"name": NEVER},
    ],
    ids=["half", "nul", "description", "name"],
)
async def test_a_task_is_not_made_with_it(session: Session, fields: dict[str, Any]):
    with pytest.raises(ValueError, match="holds"):
        session.download_task("http://127.0.0.1:9/f", start=False, **fields)
    assert session.tasks.records() == []


@pytest.mark.parametrize(
    "body",
    [
        {"session": HALF},
        {"session": NEVER},
        {"destination": "/tmp/a\0b"},
        {"destination": f"/tmp/{NEVER}"},
        {"kind": "upload", "file": f"/tmp/{NEVER}"},
        {"headers": {"X": HALF}},
        {"headers": {HALF: "x"}},
        {"method": HALF},
        {"url": f"http://127.0.0.1:9/{HALF}"},
    ],
    ids=str,
)
async def test_the_control_socket_answers_400_and_the_engine_goes_on(
    tmp_path: Path, body: dict[str, Any]
):
    async with Monitor.open(str(tmp_path), attached=False) as monitor:
        monitor.ready()
        api = Api(monitor)
        answer = await api.answer(
            "POST", "/v1/tasks", json.dumps({"url": "http://127.0.0.1:9/f", **body}).encode()
        )
        assert answer.status == 400, answer.body
        assert (
            "holds" in answer.body["title"]
            or "must be" in answer.body["title"]
            or "word" in answer.body["title"]
        )
        fine = {"url": "http://127.0.0.1:9/f", "start": False, "destination": f"{tmp_path}/"}
        assert (await api.answer("POST", "/v1/tasks", json.dumps(fine).encode())).status == 201


@pytest.mark.parametrize(
    "arguments",
    [
        [b"get", b"--session", b"caf\xe9", b"http://127.0.0.1:9/f"],
        [b"put", b"--session", b"caf\xe9", b"/dev/null", b"http://127.0.0.1:9/f"],
        [b"send", b"--session", b"caf\xe9", b"http://127.0.0.1:9/f"],
        [b"get", b"-H", b"X: caf\xe9", b"http://127.0.0.1:9/f"],
        [b"get", b"http://127.0.0.1:9/caf\xe9"],
        [b"show", b"caf\xe9:1"],
        [b"pause", b"caf\xe9:1"],
        [b"retry", b"cli:1", b"--url", b"http://127.0.0.1:9/caf\xe9"],
    ],
    ids=str,
)
def test_the_command_line_says_one_sentence(tmp_path: Path, arguments: list[bytes]):
    command = [
        os.fsencode(sys.executable),
        b"-m",
        b"transfermon",
        b"--state-dir",
        os.fsencode(tmp_path),
        *arguments,
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()[-1]) > 20
