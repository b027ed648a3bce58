"""The control socket: what it answers, whom it answers, and how it treats those who behave
badly.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from transfermon.commands.main import main
from transfermon.control import server as server_module
from transfermon.control.api import Api
from transfermon.control.client import SOCKET, Client, EngineFull, NoEngine, task_path
from transfermon.control.connection import BACKLOG, LARGEST_BODY, Feed
from transfermon.control.json_records import task_dict
from transfermon.control.orders import (
    REFUSING,
    checked_body,
    order_of,
    orders_of,
    refusal_of,
    same_task,
)
from transfermon.control.server import CONNECTIONS, ControlServer
from transfermon.control.taking import OrderTaker
from transfermon.engine.monitor import Monitor
from transfermon.model.errors import Code, TransferError, TransfermonError
from transfermon.model.events import DownloadProgressEvent
from transfermon.model.task import Kind, Progress, State, Task
from transfermon.storage.settings import Settings

pytestmark = pytest.mark.anyio
URL = "http://127.0.0.1:9/a.bin"  # never asked: the tasks here are made suspended


@contextlib.asynccontextmanager
async def an_engine(folder: Path | str) -> AsyncIterator[tuple[Monitor, Client]]:
    async with Monitor.open(str(folder), settings=Settings()) as monitor:
        server = ControlServer(monitor)
        await server.start()
        try:
            yield monitor, Client(str(folder))
        finally:
            await server.close()


async def ask(
    client: Client, method: str, path: str, body: Any = None
) -> tuple[int, dict[str, Any]]:
    return await asyncio.to_thread(client.request, method, path, body)


async def add(client: Client, folder: Path, name: str = "a.bin", **more: Any) -> dict[str, Any]:
    order = {"url": URL, "destination": str(folder / name), "start": False, **more}
    status, task = await ask(client, "POST", "/v1/tasks", order)
    assert status in (200, 201), task
    return task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def raw(folder: Path, data: bytes) -> bytes:
    """Send bytes as they are; everything that comes back until the end."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(folder / SOCKET))
        with contextlib.suppress(BrokenPipeError):
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        out = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(65536):
                out += piece
        return out


# ---- answers


async def test_the_status_says_who_runs_and_what(tmp_path):
    async with an_engine(tmp_path) as (monitor, client):
        status, body = await ask(client, "GET", "/v1/status")
        assert status == 200
        assert body["pid"] == os.getpid()
        assert body["stateDir"] == str(tmp_path)
        assert body["sequence"] == monitor.sequence
        assert (body["running"], body["window"], body["frozenReason"]) == (0, False, "")
        assert await asyncio.to_thread(client.alive)


async def test_a_new_task_is_stored_listed_and_shown(tmp_path):
    async with an_engine(tmp_path) as (monitor, client):
        task = await add(
            client,
            tmp_path,
            url=URL + "?key=secret",
            headers={"X-Token": "hush"},
            session="my photos/1",
        )
        assert task["id"] == "my photos/1:1"
        assert (task["state"], task["status"], task["name"], task["folder"]) == (
            "suspended",
            "Paused",
            "a.bin",
            str(tmp_path),
        )
        assert task["url"] == URL + "?key=…"
        assert "hush" not in json.dumps(task)
        status, found = await ask(client, "GET", task_path("my photos/1", 1))
        assert (status, found["id"]) == (200, task["id"])
        _, listed = await ask(client, "GET", "/v1/tasks")
        assert [one["id"] for one in listed["tasks"]] == [task["id"]]
        assert listed["sequence"] == monitor.sequence
        _, sessions = await ask(client, "GET", "/v1/sessions")
        assert [(one["key"], one["outstanding"]) for one in sessions["sessions"]] == [
            ("my photos/1", 1)
        ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/", None, 404),
        ("GET", "/v1/nothing", None, 404),
        ("GET", "/v1/tasks/cli/1/burn", None, 404),
        ("POST", "/v1/tasks/cli/1/burn", {}, 404),
        ("GET", "/v1/tasks/cli/99", None, 404),
        ("POST", "/v1/tasks/cli/99/pause", None, 404),
        ("GET", "/v1/tasks/cli/x", None, 400),
        ("DELETE", "/v1/tasks", None, 405),
        ("GET", "/v1/quit", None, 405),
        ("POST", "/v1/status", None, 405),
        ("GET", "/v1/tasks/cli/1/pause", None, 405),
        ("POST", "/v1/tasks", "no json", 400),
        ("POST", "/v1/tasks", "[1]", 400),
        ("POST", "/v1/tasks", "[" * 100_000, 400),
        ("POST", "/v1/tasks", {}, 400),
        ("POST", "/v1/tasks", {"url": "ftp://h/x"}, 400),
        ("POST", "/v1/tasks", {"url": 7}, 400),
        ("POST", "/v1/tasks", {"url": URL, "destination": "here"}, 400),
        ("POST", "/v1/tasks", {"url": URL, "headers": {"Host": "evil"}}, 400),
        ("POST", "/v1/tasks", {"url": URL, "headers": {"X": 1}}, 400),
        ("POST", "/v1/tasks", {"url": URL, "speedLimit": -1}, 400),
        ("POST", "/v1/tasks", {"url": URL, "overwrite": "yes"}, 400),
        ("POST", "/v1/tasks", {"url": URL, "sha256": "12"}, 400),
        ("POST", "/v1/tasks", {"url": URL, "origin": "elsewhere"}, 400),
        ("POST", "/v1/tasks", {"url": URL, "sped": 1}, 400),
        ("POST", "/v1/tasks/cli/1/resume", {"url": URL}, 400),
        ("POST", "/v1/tasks/cli/1/retry", None, 409),
        ("POST", "/v1/tasks/cli/1/pause", None, 409),
        ("GET", "/v1/events?since=x", None, 400),
        ("POST", "/v1/push", "no json", 400),
        ("POST", "/v1/push", '{"a": 1}', 400),
        ("POST", "/v1/show", None, 409),
    ],
)
async def test_what_cannot_be_done_is_a_problem_and_changes_nothing(
    tmp_path, method, path, body, status
):
    async with an_engine(tmp_path) as (monitor, client):
        await add(client, tmp_path)
        before = monitor.tasks()
        got, problem = await ask(client, method, path, body)
        assert (got, problem["status"]) == (status, status)
        assert not problem["title"][0].islower()
        assert problem["title"].endswith(".")
        assert monitor.tasks() == before


async def test_the_actions_do_what_their_names_say(tmp_path):
    async with an_engine(tmp_path) as (monitor, client):
        for name in ("a", "b"):
            await add(client, tmp_path, name)
        assert (await ask(client, "POST", "/v1/tasks/cli/1/cancel"))[1]["error"][
            "code"
        ] == Code.CANCELLED
        assert (await ask(client, "POST", "/v1/tasks/cli/1/cancel"))[0] == 409
        assert (await ask(client, "POST", "/v1/tasks/cli/1/remove"))[0] == 200
        assert (await ask(client, "GET", "/v1/tasks/cli/1"))[0] == 404
        assert (await ask(client, "POST", "/v1/tasks/cli/2/remove", {"deleteFile": True}))[0] == 200
        assert monitor.tasks() == ()


async def test_fetch_and_push_go_through_the_wake_path_and_return_their_handler(tmp_path):
    async with an_engine(tmp_path) as (monitor, client):
        heard: list[str] = []
        monitor.add_event_listener("silentpush", lambda event: heard.append(event.handler_id))
        monitor.add_event_listener("backgroundfetch", lambda event: heard.append(event.handler_id))
        _, fetched = await ask(client, "POST", "/v1/fetch")
        _, pushed = await ask(
            client, "POST", "/v1/push", '{"aps": {"content-available": 1}, "x": "y"}'
        )
        await until(lambda: len(heard) == 2)
        assert heard == [fetched["handlerId"], pushed["handlerId"]]


async def test_show_raises_the_window_where_there_is_one(tmp_path):
    async with an_engine(tmp_path) as (monitor, client):
        assert not await asyncio.to_thread(client.show)
        raised: list[bool] = []
        monitor.on_show = lambda: raised.append(True)
        assert await asyncio.to_thread(client.show)
        assert raised == [True]
        assert (await ask(client, "GET", "/v1/status"))[1]["window"] is True


async def test_fault_l15_addresses_that_a_launch_brings_are_handed_to_the_window_as_they_are(
    tmp_path,
):
    async with an_engine(tmp_path) as (monitor, client):
        given: list[list[str]] = []
        monitor.on_show = lambda: None
        monitor.on_given = lambda urls: given.append(list(urls))
        assert await asyncio.to_thread(lambda: client.show(add=True))
        assert await asyncio.to_thread(
            lambda: client.show(urls=["--demo", "https://example.com/\udcff"])
        )
        assert given == [[], ["--demo", "https://example.com/\udcff"]]
        for bad in ({"urls": "https://example.com/"}, {"urls": [1]}, {"add": 1}, {"url": ""}):
            assert (await ask(client, "POST", "/v1/show", bad))[0] == 400
        assert len(given) == 2
        assert monitor.tasks() == ()


@pytest.mark.parametrize(("word", "released"), [("quit", False), ("release", True)])
async def test_quit_and_release_are_answered_and_then_obeyed(tmp_path, word, released):
    async with an_engine(tmp_path) as (monitor, client):
        status, body = await ask(client, "POST", f"/v1/{word}")
        assert (status, body["pid"]) == (202, os.getpid())
        await asyncio.wait_for(monitor.quitting.wait(), 10)
        assert monitor.released is released


# ---- the same task


FOLDER = "/srv/files"


def a_task(**fields: Any) -> Task:
    base = {
        "session": "cli",
        "number": 1,
        "kind": Kind.DOWNLOAD,
        "url": URL,
        "folder": FOLDER,
        "name": "a.bin",
    }
    return Task(**{**base, "state": State.RUNNING, **fields})


def failed(code: int) -> dict[str, Any]:
    return {"state": State.COMPLETED, "error": TransferError(code=code, message="No.")}


@pytest.mark.parametrize(
    ("task", "order", "same"),
    [
        ({}, {}, True),
        ({"state": State.SUSPENDED}, {}, True),
        (failed(Code.TIMED_OUT), {}, True),
        (failed(Code.CANCELLED), {}, False),
        ({"state": State.COMPLETED}, {}, False),
        ({"state": State.CANCELING}, {}, False),
        ({"name": "b.bin"}, {}, False),
        ({"folder": "/srv"}, {}, False),
        ({"session": "other"}, {}, False),
        ({"url": URL + "?2"}, {}, False),
        ({"name": "whatever the server said"}, {"destination": FOLDER + "/"}, True),
        ({}, {"url": "http://user:word@127.0.0.1:9/a.bin"}, True),
        ({}, {"sha256": "0" * 64}, False),
        ({"expected_digest": "sha-256:" + "0" * 64}, {"sha256": "0" * 64}, True),
        (failed(Code.AUTHENTICATION_REQUIRED), {}, True),
        (failed(Code.AUTHENTICATION_REQUIRED), {"headers": {"Authorization": "new"}}, False),
    ],
)
def test_the_same_address_to_the_same_place_unfinished_is_the_same_task(task, order, same):
    asked = order_of({"url": URL, "destination": FOLDER + "/a.bin", **order})
    assert (same_task((a_task(**task),), asked) is not None) is same


async def test_joining_goes_on_with_a_task_and_makes_none(tmp_path):
    async with an_engine(tmp_path) as (monitor, client):
        first = await add(client, tmp_path)
        second = await add(client, tmp_path, join=True)
        assert second["id"] == first["id"]
        assert monitor.tasks()[0].state is State.RUNNING
        assert (await add(client, tmp_path, join=False))["id"] != first["id"]


async def test_a_plain_call_takes_an_order_as_the_socket_does(tmp_path):
    async with an_engine(tmp_path) as (monitor, client):
        order = {"url": URL, "start": False, "join": True, "speedLimit": 9, "headers": {"X": "1"}}
        told = await add(client, tmp_path, "a.bin", **order)
        taker = OrderTaker(monitor, started=True)
        asked = {**order, "destination": str(tmp_path / "b.bin")}
        taken = await taker.take(order_of(checked_body(asked)))
        assert taken.accepted is not None
        await taken.accepted
        first, second = task_dict(monitor.tasks()[0]), task_dict(monitor.task(taken.key))
        own = {"id", "number", "name", "added"}
        assert {name for name in first if first[name] != second[name]} == own
        assert first["id"] == told["id"]
        again = await taker.take(order_of({**asked, "start": True}))
        assert (again.key, again.accepted) == (taken.key, None)
        assert again.sequence >= taken.sequence
        assert monitor.task(taken.key).state is State.RUNNING


@pytest.mark.parametrize(
    "order",
    [
        {"url": "ftp://h/x"},
        {"url": ""},
        {"url": URL, "sped": 1},
        {"url": URL, "destination": "here"},
        {"url": URL, "headers": {"Host": "evil"}},
        {"url": URL, "kind": "upload"},
        {"url": URL, "headers": {"X": "half a character: \ud800"}},
    ],
)
async def test_a_plain_call_is_refused_in_the_words_of_the_socket(tmp_path, order):
    async with an_engine(tmp_path) as (monitor, client):
        told = await ask(client, "POST", "/v1/tasks", order)
        with pytest.raises(REFUSING) as caught:
            await OrderTaker(monitor, started=True).take(order_of(checked_body(order)))
        answer = refusal_of(caught.value)
        assert (answer.status, dict(answer.body)) == told
        assert monitor.tasks() == ()


def test_orders_that_differ_in_their_address_alone_are_what_each_of_them_would_be():
    common: dict[str, Any] = {
        "destination": FOLDER + "/",
        "headers": {"X": "1"},
        "sha256": "0" * 64,
    }
    bodies: list[dict[str, Any]] = [
        *({"url": f"http://h/{number}", **common} for number in range(3)),
        {"url": "http://h/3", **common, "join": False},
        {"url": "http://h/4", **common, "headers": {"X": "2"}},
        {"url": "http://h/5", "join": True},
    ]
    assert orders_of(bodies) == [order_of(body) for body in bodies]
    for wrong in ({"url": 7, **common}, {"url": "http://h/\ud800", **common}):
        with pytest.raises(ValueError):
            orders_of([bodies[0], wrong])


async def test_a_restored_task_rests_until_somebody_names_it(tmp_path):
    async with an_engine(tmp_path) as (_, client):
        await add(client, tmp_path, "a.bin", start=True)
        await add(client, tmp_path, "b.bin", start=True)
    async with Monitor.open(str(tmp_path), settings=Settings()) as monitor:
        monitor.ready(start_restored=False)
        api = Api(monitor, started=False)
        first, second = (task.key for task in monitor.tasks())
        order = {"url": URL, "destination": str(tmp_path / "a.bin"), "join": True}
        assert (await api.taker.take(order_of(order))).key == first
        assert not api.taker.is_at_rest(first)
        assert api.taker.is_at_rest(second)
        tasks = (await api.answer("GET", "/v1/tasks")).body["tasks"]
        assert [task["status"] == "Interrupted" for task in tasks] == [False, True]


def test_a_task_tells_its_live_numbers_and_its_failure():
    task = a_task(
        received=10,
        expected=100,
        error=TransferError(code=-1001, message="Late.", reason="net", status=504),
    )
    live = task_dict(task, Progress(received=50, expected=100))
    assert (live["received"], live["fraction"]) == (50, 0.5)
    assert live["error"] == {
        "code": -1001,
        "message": "Late.",
        "reason": "net",
        "hint": "",
        "said": "",
        "status": 504,
    }
    assert task_dict(a_task())["fraction"] is None


# ---- events


async def test_a_follower_gets_history_then_live_events_with_no_gap_and_no_repeat(tmp_path):
    async with an_engine(tmp_path) as (monitor, client):
        session = monitor.session("cli")
        for number in range(50):
            session.download_task(URL, start=False, destination=str(tmp_path / str(number)))

        def follow() -> list[dict[str, Any]]:
            got = []
            for event in client.stream("/v1/events?since=0&follow=1"):
                got.append(event)
                if event["type"] == "taskremoved":
                    break
            return got

        following = asyncio.create_task(asyncio.to_thread(follow))
        for number in range(50, 150):
            session.download_task(URL, start=False, destination=str(tmp_path / str(number)))
            await asyncio.sleep(0)
        monitor.commands.remove(monitor.tasks()[0].key)
        got = await asyncio.wait_for(following, 20)
        assert [event["sequence"] for event in got] == list(range(1, monitor.sequence + 1))
        assert {event["session"] for event in got} == {"cli"}


async def test_the_journal_ends_where_it_ends_without_follow_and_starts_after_since(tmp_path):
    async with an_engine(tmp_path) as (monitor, client):
        await add(client, tmp_path)
        events = await asyncio.to_thread(lambda: list(client.stream("/v1/events?since=1")))
        assert [event["sequence"] for event in events] == list(range(2, monitor.sequence + 1))
        assert (
            await asyncio.to_thread(lambda: list(client.stream("/v1/events?since=1000000"))) == []
        )


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [("", ["taskremoved"]), ("&progress=1", ["downloadprogress", "taskremoved"])],
)
async def test_progress_is_told_to_those_who_ask_for_it(tmp_path, asked, kinds):
    async with an_engine(tmp_path) as (monitor, client):
        await add(client, tmp_path)
        stream = client.stream(f"/v1/events?since={monitor.sequence}&follow=1{asked}")
        bus = monitor._engine.bus
        before = len(bus._observers)
        first = asyncio.create_task(asyncio.to_thread(next, stream))
        await until(lambda: len(bus._observers) > before)
        progress = DownloadProgressEvent(session="cli", task_identifier=1, task=monitor.tasks()[0])
        await until(lambda: not any(run.on_the_way for run in monitor._sessions["cli"].tasks))
        bus.publish(progress)
        monitor.commands.remove(monitor.tasks()[0].key)
        got = [(await first)["type"]]
        while got[-1] != "taskremoved":
            got.append((await asyncio.to_thread(next, stream))["type"])
        stream.close()
        assert [kind for kind in got if kind in ("downloadprogress", "taskremoved")] == kinds


async def test_a_follower_that_falls_behind_catches_up_from_the_journal(tmp_path):
    async with Monitor.open(str(tmp_path), settings=Settings()) as monitor:
        feed = Feed(monitor, 0, progress=False, wake=asyncio.Event())
        session = monitor.session("cli")
        assert [event.type async for event in feed.batches()] in ([], ["sessioncreated"])
        last = None
        for _ in range(BACKLOG + 100):
            last = session.download_task(URL, start=False, destination=str(tmp_path / "x"))
        assert last is not None
        await last.accepted
        await until(lambda: len(feed._live) == BACKLOG)
        numbers = [event.sequence async for event in feed.batches()]
        while numbers[-1] < monitor.sequence:
            numbers += [event.sequence async for event in feed.batches()]
        feed.leave()
        assert numbers == list(range(numbers[0], monitor.sequence + 1))
        assert numbers[0] <= 2


async def test_a_follower_is_told_when_the_engine_goes(tmp_path):
    async with an_engine(tmp_path) as (_, client):
        stream = client.stream("/v1/events?follow=1")
        await add(client, tmp_path)
        assert (await asyncio.to_thread(next, stream))["sequence"] == 1
    with pytest.raises(NoEngine):
        await asyncio.to_thread(list, stream)


async def test_a_stream_that_is_refused_says_why(tmp_path):
    async with an_engine(tmp_path) as (_, client):
        with pytest.raises(TransfermonError, match="whole number"):
            await asyncio.to_thread(list, client.stream("/v1/events?since=-1"))


# ---- curl


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_is_a_full_client(tmp_path):
    async with an_engine(tmp_path) as (_, client):
        await add(client, tmp_path)

        async def curl(*arguments: str) -> str:
            process = await asyncio.create_subprocess_exec(
                *(
                    "curl",
                    "-sS",
                    "-m",
                    "10",
                    "-w",
                    " %{http_code}",
                    "--unix-socket",
                    str(tmp_path / SOCKET),
                    *arguments,
                ),
                stdout=subprocess.PIPE,
            )
            out, _ = await process.communicate()
            return out.decode()

        assert (await curl("http://t/v1/status")).endswith(" 200")
        order = json.dumps({"url": URL, "destination": str(tmp_path / "c"), "start": False})
        assert '"id": "cli:2"' in await curl("-d", order, "http://t/v1/tasks")
        assert (
            await curl("-H", "Expect: 100-continue", "-d", order, "http://t/v1/tasks")
        ).endswith(" 201")
        assert (await curl("-X", "POST", "http://t/v1/tasks/cli/1/cancel")).endswith(" 200")
        assert '"taskcreated"' in await curl("http://t/v1/events")
        big = tmp_path / "big"
        big.write_bytes(b"x" * (LARGEST_BODY + 1))
        assert (await curl("--data-binary", f"@{big}", "http://t/v1/push")).endswith(" 413")


# ---- those who behave badly


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\xff\x16\x03" * 100,
        b"GET",
        b"GET /v1/status HTTP/1.1\r\n",
        b"POST /v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
        b"POST /v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST /v1/push HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff",
        b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET //[::v1/%zz/..%2f?=&&since HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_garbage_is_refused_and_the_engine_goes_on(tmp_path, data, caplog):
    async with an_engine(tmp_path) as (_, client):
        answer = await asyncio.to_thread(raw, tmp_path, data)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
        assert await asyncio.to_thread(client.alive)
    assert caplog.records == []


async def test_a_body_over_the_limit_is_413_whether_announced_or_not(tmp_path):
    async with an_engine(tmp_path) as (_, client):
        assert (await ask(client, "POST", "/v1/push", "x" * (LARGEST_BODY + 1)))[0] == 413
        chunk = b"%x\r\n%b\r\n" % (65536, b"x" * 65536)
        head = b"POST /v1/push HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await asyncio.to_thread(raw, tmp_path, head + chunk * 17)
        assert answer.startswith(b"HTTP/1.1 413")
        assert await asyncio.to_thread(client.alive)


async def test_requests_in_one_connection_are_answered_in_order(tmp_path):
    async with an_engine(tmp_path):
        two = (
            b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        answer = await asyncio.to_thread(raw, tmp_path, two)
        assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"404"]


async def test_stalled_and_waiting_followers_do_not_hold_up_the_end(tmp_path):
    async with Monitor.open(str(tmp_path), settings=Settings()) as monitor:
        server = ControlServer(monitor)
        await server.start()
        session = monitor.session("cli")
        for _ in range(3000):
            task = session.download_task(URL, start=False, destination=str(tmp_path / "x"))
        await task.accepted
        followers = []
        for _ in range(3):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(tmp_path / SOCKET))
            # 3,000 events, and nobody reads
            sock.sendall(b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
            followers.append(sock)
        await until(lambda: len(server._runners) == 3)
        gone = followers.pop()
        gone.close()
        await until(lambda: len(server._runners) == 2)
        async with asyncio.timeout(2):
            await server.close()
        assert not os.path.lexists(tmp_path / SOCKET)
        assert len(server._runners) == 0
        for sock in followers:
            sock.close()


@pytest.mark.parametrize("turns", range(8))
async def test_who_asks_in_the_moment_of_the_end_is_not_left_waiting(tmp_path, turns):
    """Whatever the connection has come to by then: what was accepted is answered or closed."""
    async with Monitor.open(str(tmp_path), settings=Settings()) as monitor:
        server = ControlServer(monitor)
        await server.start()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(tmp_path / SOCKET))
            sock.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
            for _ in range(turns):
                await asyncio.sleep(0)
            await server.close()

            def read() -> bytes:
                sock.settimeout(60)
                with contextlib.suppress(ConnectionResetError):
                    while sock.recv(65536):
                        pass
                return b"the end"

            assert await asyncio.to_thread(read) == b"the end"


class Scarce:
    """A listener whose process has no descriptor left, once."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.refused = 0
        self.fileno, self.close = listener.fileno, listener.close

    def accept(self) -> tuple[socket.socket, Any]:
        if not self.refused:
            self.refused += 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return self._listener.accept()


async def test_who_asks_while_no_descriptor_is_left_is_answered_later(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(server_module, "PAUSE", 0.01)
    async with Monitor.open(str(tmp_path), settings=Settings()) as monitor:
        server = ControlServer(monitor)
        await server.start()
        assert server._listener is not None
        scarce: Any = Scarce(server._listener)
        server._listener = scarce
        assert await asyncio.to_thread(Client(str(tmp_path)).alive)
        assert scarce.refused == 1
        assert "no control connection can be taken now" in caplog.text
        await server.close()


async def test_a_follower_that_leaves_while_nothing_happens_is_noticed(tmp_path):
    async with Monitor.open(str(tmp_path), settings=Settings()) as monitor:
        server = ControlServer(monitor)
        await server.start()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(tmp_path / SOCKET))
            sock.sendall(b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: len(server._runners) == 1)
        await until(lambda: len(server._runners) == 0)
        await server.close()


# ---- where it is and who may use it


async def test_the_socket_is_owner_only_replaces_a_stale_one_and_goes_with_the_engine(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    (folder / SOCKET).write_text("left behind")
    old = os.umask(0)
    try:
        async with an_engine(folder) as (_, client):
            assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
            assert stat.S_IMODE(os.lstat(folder / SOCKET).st_mode) == 0o600
            assert await asyncio.to_thread(client.alive)
    finally:
        os.umask(old)
    assert not os.path.lexists(folder / SOCKET)
    assert not await asyncio.to_thread(client.alive)
    with pytest.raises(NoEngine, match="No transfermon is running"):
        await ask(client, "GET", "/v1/status")


async def test_a_path_too_long_for_a_socket_address_works(tmp_path):
    folder = tmp_path / ("long" * 20) / ("path" * 20)
    folder.mkdir(parents=True)
    async with an_engine(folder) as (_, client):
        assert (await ask(client, "GET", "/v1/status"))[1]["stateDir"] == str(folder)
        assert len(str(folder / SOCKET)) > 108
        assert os.path.lexists(folder / SOCKET)
    assert not os.path.lexists(folder / SOCKET)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_turned_away_even_where_the_modes_let_him_in():
    code = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
sock = socket.socket(socket.AF_UNIX); sock.settimeout(10)
sock.connect(sys.argv[1])
sock.sendall(b"GET /v1/status HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
try:
    print(sock.recv(100))
except ConnectionError:
    print("b''")
"""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        async with an_engine(folder) as (_, client):
            os.chmod(folder, 0o755)
            os.chmod(Path(folder) / SOCKET, 0o666)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", code, f"{folder}/{SOCKET}"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            out, err = await process.communicate()
            assert out.strip() == b"b''" or b"BrokenPipe" in err
            assert await asyncio.to_thread(client.alive)


def test_the_path_of_a_task_takes_any_session_name():
    assert task_path("a/b:c d", 3, "pause") == f"/v1/tasks/{quote('a/b:c d', safe='')}/3/pause"


async def test_an_engine_with_too_many_connections_says_so_and_answers_again_when_some_end(
    tmp_path,
):
    async with an_engine(tmp_path) as (_monitor, client):
        idle = [
            await asyncio.open_unix_connection(str(tmp_path / "control.sock"))
            for _ in range(CONNECTIONS)
        ]
        await asyncio.sleep(0)
        for ask in (
            lambda: client.request("GET", "/v1/status"),
            lambda: next(client.stream("/v1/events?follow=1")),
        ):
            with pytest.raises(EngineFull, match="takes no more connections"):
                await asyncio.to_thread(ask)
        assert await asyncio.to_thread(client.alive)
        assert await asyncio.to_thread(main, ["--state-dir", str(tmp_path), "list"]) == 3
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()
        status = 503
        while status != 200:
            with contextlib.suppress(EngineFull):
                status, _ = await asyncio.to_thread(client.request, "GET", "/v1/status")


async def test_of_a_flood_of_connections_all_are_closed_and_the_engine_goes_on(tmp_path):
    async with an_engine(tmp_path) as (_monitor, client):
        flood = [
            await asyncio.open_unix_connection(str(tmp_path / "control.sock")) for _ in range(400)
        ]
        for _, writer in flood:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in flood), return_exceptions=True)
        status = 503
        while status != 200:
            with contextlib.suppress(EngineFull, NoEngine):
                status, _ = await asyncio.to_thread(client.request, "GET", "/v1/status")
