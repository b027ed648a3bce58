"""T-20 to T-22: data tasks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.recorder import Recorder, eventually, recorder_of
from tests.helpers.sessions import code_of, default_session
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor, Session
from transfermon.model.task import State

pytestmark = pytest.mark.anyio


def echo(conn: Conn, request: Request) -> None:
    conn.send(reply(200, {"Content-Type": "text/plain; charset=utf-8"}, request.body))


@pytest.fixture
def server() -> Any:
    with ByteServer(echo) as server:
        yield server


@pytest.mark.parametrize(
    ("data", "body", "kind"),
    [
        (b"\x00\xff", b"\x00\xff", "application/octet-stream"),
        (bytearray(b"ab"), b"ab", "application/octet-stream"),
        ({"a": [1, None, "ü"]}, b'{"a": [1, null, "\\u00fc"]}', "application/json"),
        ("text", b'"text"', "application/json"),
        (0, b"0", "application/json"),
        ([], b"[]", "application/json"),
        (None, b"", ""),
        (b"", b"", "application/octet-stream"),
    ],
)
async def test_t20_bytes_go_as_they_are_and_values_as_json(
    session: Session, server: ByteServer, data: object, body: bytes, kind: str
):
    task = session.data_task(server.url("/a"), data)
    assert (await task.wait()).succeeded
    (request,) = server.requests
    assert (request.method, request.body, request.header("Content-Type")) == ("POST", body, kind)


async def test_t20_method_and_type_are_the_caller_s_where_given(
    session: Session, server: ByteServer
):
    headers = {"content-type": "application/vnd.example+json"}
    await session.data_task(
        server.url("/a"), {"a": 1}, method="PATCH", request_headers=headers
    ).wait()
    await session.data_task(server.url("/a"), method="GET").wait()
    assert [(r.method, r.header("Content-Type")) for r in server.requests] == [
        ("PATCH", "application/vnd.example+json"),
        ("GET", ""),
    ]


@pytest.mark.parametrize("data", [object(), float("nan"), {1: {2}}])
async def test_t20_what_is_no_json_is_refused_at_once(
    session: Session, server: ByteServer, data: object
):
    with pytest.raises((TypeError, ValueError)):
        session.data_task(server.url("/a"), data)
    assert session.tasks.records() == []


async def test_t21_only_the_end_tells_of_a_data_task(
    monitor: Monitor, session: Session, recorder: Recorder, server: ByteServer
):
    task = session.data_task(server.url("/a"), "grüß".encode())
    assert (await task.wait()).succeeded
    assert {event.type for event in recorder.events if event.task_key == task.key} <= {
        "taskcreated",
        "taskstate",
        "taskactivity",
        "sessioncompleted",
    }
    (event,) = recorder.of("sessioncompleted", task)
    assert (event["success"], event["statusCode"], event["responseText"]) == (True, 200, "grüß")
    assert task.response_body == "grüß"


async def test_t21_a_refusal_is_told_the_same_way(
    monitor: Monitor, recorder: Recorder, server: ByteServer
):
    server.handler = lambda conn, request: conn.send(reply(404, {}, b"gone"))
    task = default_session(monitor).data_task(server.url("/a"), {"a": 1})
    assert code_of(await task.wait()) == -1011
    (event,) = recorder.of("sessioncompleted", task)
    assert (event["statusCode"], event["responseText"]) == (404, "gone")


async def test_t22_a_data_task_that_ran_when_the_process_ended_is_reported_and_not_sent_again(
    open_monitor: OpenMonitor, server: ByteServer
):
    server.handler = lambda conn, request: conn.stall()
    async with open_monitor() as monitor:
        session = monitor.session("com.example.test")
        running = session.data_task(server.url("/a"), {"a": 1})
        waiting = session.data_task(server.url("/b"), {"b": 1}, start=False)
        await eventually(lambda: len(server.requests) == 1)
    async with open_monitor() as monitor:
        for task in (running, waiting):
            again = monitor.handle(task.key)
            assert code_of(await again.wait()) == -997
            assert again.state is State.COMPLETED
            (event,) = recorder_of(monitor).of("sessioncompleted", again)
            assert event.error_code == -997
    assert len(server.requests) == 1
