"""`transfermon put` and `send`, and the control API's uploads and data tasks."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.recorder import eventually
from transfermon.commands import main
from transfermon.control.api import Api
from transfermon.control.server import ControlServer
from transfermon.engine.monitor import Monitor
from transfermon.storage.settings import Settings

BODY = os.urandom(700_000)


class Receiver:
    def __init__(self) -> None:
        self.status = 201
        self.bodies: list[bytes] = []

    def __call__(self, conn: Conn, request: Request) -> None:
        if request.method == "OPTIONS":  # it knows no resuming
            conn.send(reply(405))
            return
        self.bodies.append(request.body)
        conn.send(reply(self.status, {"Content-Type": "text/plain"}, b"got %d" % len(request.body)))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def server(receiver: Receiver) -> Any:
    with ByteServer(receiver) as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "film one.bin").write_bytes(BODY)
    return tmp_path / "film one.bin"


def run(tmp_path: Path, *words: str) -> int:
    return main.main(["--state-dir", str(tmp_path / "state"), *words])


def test_put_sends_a_file_and_says_so(tmp_path, server, receiver, source, capsys):
    assert run(tmp_path, "put", str(source), server.url("/a"), "-H", "X-A: 1") == 0
    assert receiver.bodies == [BODY]
    probe, request = server.requests
    assert probe.method == "OPTIONS"
    assert (request.method, request.header("X-A")) == ("PUT", "1")
    assert "Sent film one.bin (700 kB): 201" in capsys.readouterr().out


def test_put_again_is_a_new_upload_once_the_first_is_done(tmp_path, server, receiver, source):
    for _ in range(2):
        assert run(tmp_path, "put", "-q", str(source), server.url("/a"), "--method", "post") == 0
    assert [request.method for request in server.requests] == ["OPTIONS", "POST"] * 2


def test_put_goes_on_with_the_same_task_after_a_failure(tmp_path, server, receiver, source, capsys):
    receiver.status = 507
    assert run(tmp_path, "put", "-q", str(source), server.url("/a")) == 1
    assert "no space left" in capsys.readouterr().err
    receiver.status = 204
    assert run(tmp_path, "put", "-q", str(source), server.url("/a")) == 0
    assert run(tmp_path, "list", "--json") == 0
    (task,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (task["kind"], task["state"], task["received"], task["source"]) == (
        "upload",
        "completed",
        700_000,
        str(source),
    )


def test_put_tells_events_as_json(tmp_path, server, source, capsys):
    assert run(tmp_path, "put", "--json", str(source), server.url("/a")) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["type"] == "sessioncompleted"
    assert events[-1]["responseText"] == "got 700000"
    assert [event["totalBytesSent"] for event in events if event["type"] == "uploadprogress"][
        -1
    ] == 700_000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("put", "missing", "http://127.0.0.1:1/"), "is not there"),
        (("put", "FOLDER", "http://127.0.0.1:1/"), "is a folder"),
        (("put", "PIPE", "http://127.0.0.1:1/"), "no ordinary file"),
        (("put", "FILE", "ftp://127.0.0.1/"), "http"),
        (("put", "FILE", "http://127.0.0.1:1/", "--method", "P U T"), "not a method"),
        (("send", "http://127.0.0.1:1/", "--data", "@missing"), "cannot be read"),
        (("send", "http://127.0.0.1:1/", "-H", "no header"), "not a header"),
    ],
)
def test_what_is_wrong_before_there_is_a_task_is_wrong_usage(tmp_path, source, capsys, words, said):
    os.mkfifo(tmp_path / "pipe")
    places = {"FOLDER": str(tmp_path), "FILE": str(source), "PIPE": str(tmp_path / "pipe")}
    assert run(tmp_path, *(places.get(word, word) for word in words)) == 2
    assert said in capsys.readouterr().err


def test_send_prints_the_answer(tmp_path, server, receiver, capsys):
    assert (
        run(tmp_path, "send", server.url("/a"), "--data", "hello", "-H", "Content-Type: text/plain")
        == 0
    )
    assert capsys.readouterr().out == "got 5\n"
    (tmp_path / "body").write_bytes(b"\x00\xff")
    assert (
        run(
            tmp_path, "send", server.url("/a"), "--method", "PUT", "--data", f"@{tmp_path / 'body'}"
        )
        == 0
    )
    assert receiver.bodies == [b"hello", b"\x00\xff"]
    receiver.status = 404
    assert run(tmp_path, "send", server.url("/a")) == 1
    out = capsys.readouterr()
    assert "404" in out.err
    assert "got 0" in out.out


@pytest.mark.anyio
async def test_a_running_engine_takes_both_over(tmp_path, server, receiver, source, capsys):
    async with Monitor.open(
        str(tmp_path / "state"), settings=Settings(download_folder=str(tmp_path))
    ) as monitor:
        control = ControlServer(monitor)
        await control.start()
        monitor.ready()
        assert (
            await asyncio.to_thread(run, tmp_path, "put", "-q", str(source), server.url("/a")) == 0
        )
        assert await asyncio.to_thread(run, tmp_path, "send", server.url("/b"), "--data", "x") == 0
        assert {task.kind.value for task in monitor.tasks()} == {"upload", "data"}
        await control.close()
    assert receiver.bodies == [BODY, b"x"]
    assert capsys.readouterr().out == "got 1\n"


@pytest.mark.anyio
async def test_the_control_api_checks_what_it_is_asked(tmp_path, server, receiver, source):
    async with Monitor.open(str(tmp_path / "state"), settings=Settings()) as monitor:
        monitor.ready()
        api = Api(monitor)

        async def add(**fields: Any) -> Any:
            return await api.answer(
                "POST", "/v1/tasks", json.dumps({"url": server.url("/a"), **fields}).encode()
            )

        for fields, words in (
            ({"kind": "upload"}, "needs a “file”"),
            ({"kind": "upload", "file": "a"}, "absolute"),
            ({"kind": "film"}, "must be download"),
            ({"kind": "data", "dataBase64": "%"}, "not Base64"),
            ({"kind": "data", "data": 5}, "must be a text"),
            ({"kind": "upload", "file": str(source), "method": "P T"}, "method"),
        ):
            answer = await add(**fields)
            assert answer.status == 400
            assert words in f"{answer.body['title']} {answer.body['detail']}", fields
        for fields in ({"data": "grüß"}, {"dataBase64": base64.b64encode(b"\0").decode()}, {}):
            assert (await add(kind="data", **fields)).status == 201
        await eventually(lambda: len(receiver.bodies) == 3)
    assert sorted(receiver.bodies) == [b"", b"\0", "grüß".encode()]


def test_put_loads_nothing_that_it_does_not_need_and_leaves_no_work_for_its_end(
    tmp_path, server, receiver, source
):
    script = """
import atexit, gc, sys

def judge():
    assert gc.get_freeze_count() > 10_000, gc.get_freeze_count()
    print("judged")

atexit.register(judge)  # the first to come is the last to go
from transfermon.commands import main
assert main.main(sys.argv[1:]) == 0
heavy = {"email", "html.parser", "httpx", "mimetypes", "statistics"} & set(sys.modules)
assert not heavy, heavy
"""
    state = str(tmp_path / "state")
    words = [sys.executable, "-c", script, "--state-dir", state]
    found = subprocess.run(
        [*words, "put", "-q", str(source), server.url("/a")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.splitlines()[-1] == "judged"
    assert receiver.bodies == [BODY]


@pytest.mark.parametrize(
    ("words", "module"),
    [
        (["put", "-q", "SOURCE", "URL"], "transfermon.engine.upload"),
        (["send", "-q", "URL"], "transfermon.engine.upload"),
        (["get", "-q", "-d", "FOLDER", "URL"], "transfermon.engine.download"),
    ],
)
def test_what_moves_the_bytes_is_loaded_while_the_list_is_opened(
    tmp_path, server, receiver, source, words, module
):
    script = """
import sys
from transfermon.storage.store import Store

async def opened(store, there=Store.open):
    remembered = await there(store)
    print({sys.argv[1], "transfermon.wire.transport"} <= set(sys.modules))
    return remembered

Store.open = opened
from transfermon.commands import main
main.main(sys.argv[2:])
"""
    given = {"SOURCE": str(source), "URL": server.url("/a"), "FOLDER": str(tmp_path)}
    words = ["--state-dir", str(tmp_path / "state"), *(given.get(word, word) for word in words)]
    found = subprocess.run(
        [sys.executable, "-c", script, module, *words], check=True, capture_output=True, text=True
    )
    assert found.stdout.splitlines()[0] == "True"
