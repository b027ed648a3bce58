"""Faults, group P: what a hostile, broken or flooding push cannot do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.byte_server import ByteServer
from tests.helpers.recorder import eventually
from tests.helpers.sessions import App
from tests.promises.rules.conftest import OpenMonitor
from tests.promises.rules.test_push import HEAD, SILENT, an_ntfy, channel, said
from transfermon.engine.handlers import FetchResult
from transfermon.engine.monitor import Monitor
from transfermon.engine.push_channel import ChannelState
from transfermon.model import push_payload
from transfermon.model.task import Origin, State
from transfermon.model.wake_policy import AppState, WakeOutcome, WakeVerdict
from transfermon.storage.settings import Settings
from transfermon.videofarm.sync import VideoSync

pytestmark = pytest.mark.anyio


class Canary:
    """A server on this machine that counts who comes."""

    def __init__(self) -> None:
        self.port = 0
        self.visits = 0

    async def serve(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.close()


@contextlib.asynccontextmanager
async def a_canary() -> AsyncIterator[Canary]:
    canary = Canary()
    server = await asyncio.start_server(canary.serve, "0.0.0.0", 0)
    canary.port = server.sockets[0].getsockname()[1]
    try:
        yield canary
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
def sync(monitor: Monitor) -> Iterator[VideoSync]:
    made = VideoSync(monitor)
    yield made
    made.close()


async def pushed(monitor: Monitor, url: Any, **fields: Any) -> None:
    """A push with this address has come, its handler has ended, and so have the tasks that it
    made.
    """
    await monitor.push(json.dumps({**SILENT, "download_url": url, **fields}), by_hand=False)
    await eventually(
        lambda: monitor.background.ledger[-1].outcome is not WakeOutcome.NONE,
        "the end of its handler",
    )
    for task in monitor.tasks():
        await monitor.handle(task.key).wait()


async def test_fault_p1_a_valid_push_makes_one_task_and_no_banner(
    monitor: Monitor, sync: VideoSync, server: ByteServer
):
    app = App(monitor, "notification", "handlerended")
    monitor._engine.allowed_hosts.add(f"127.0.0.1:{server.port}")
    await pushed(monitor, server.url("/a.bin"))
    (task,) = monitor.tasks()
    assert task.succeeded
    assert (task.origin, task.user_initiated) == (Origin.GIVEN, False)
    assert [event.result for event in app.of("handlerended")] == ["new_data"]
    assert app.of("notification") == []


@pytest.mark.parametrize(
    "line", [said("a", topic="stranger"), said("a", expires=5), said("a", "{}")]
)
async def test_fault_p2_what_is_foreign_expired_or_empty_is_dropped_and_counted(
    open_monitor: OpenMonitor, settings: Settings, line: bytes
):
    async with (
        an_ntfy(HEAD + line) as ntfy,
        channel(open_monitor, settings, ntfy.url) as (monitor, app),
    ):
        await eventually(lambda: monitor.background.ledger, "a line in the ledger")
        assert [wake.verdict for wake in monitor.background.ledger] == [WakeVerdict.REFUSED]
        assert (app.heard, monitor.tasks()) == ([], ())


async def test_fault_p2_a_replay_is_dropped(open_monitor: OpenMonitor, settings: Settings):
    script = HEAD + said("a") + said("a") + said("b")
    async with an_ntfy(script) as ntfy, channel(open_monitor, settings, ntfy.url) as (_, app):
        await app.hears("silentpush", 2)
        await app.settles()
        assert [event["id"] for event in app.heard] == ["a", "b"]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/a",
        "data:,x",
        "javascript:alert(1)",
        "smb://h/s",
        "\\\\h\\s",
        "a/b",
        "",
    ],
)
async def test_fault_p4_other_schemes_make_no_task(monitor: Monitor, sync: VideoSync, url: str):
    await pushed(monitor, url)
    assert monitor.tasks() == ()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "0.0.0.0",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "①②⑦.⓪.⓪.①",
    ],
)
async def test_fault_p5_no_spelling_of_this_machine_is_reached(
    monitor: Monitor, sync: VideoSync, host: str
):
    async with a_canary() as canary:
        await pushed(monitor, f"http://{host}:{canary.port}/a")
        assert canary.visits == 0
        assert not any(task.succeeded for task in monitor.tasks())


@pytest.mark.parametrize(
    "form",
    ["http://good@127.0.0.1:{}/", "http://127.0.0.1:{}#@good/", "http://127.0.0.1:{}\\@good/"],
)
async def test_fault_p11_an_ambiguous_address_reaches_nobody(
    monitor: Monitor, sync: VideoSync, form: str
):
    async with a_canary() as canary:
        await pushed(monitor, form.format(canary.port))
        assert canary.visits == 0


async def test_fault_p12_an_address_that_a_person_types_may_be_private(
    monitor: Monitor, server: ByteServer
):
    task = monitor.session("downloads").download_task(server.url("/a.bin"), user_initiated=True)
    assert (await task.wait()).error is None


async def test_fault_p13_outside_the_list_of_hosts_a_push_starts_nothing(
    monitor: Monitor, sync: VideoSync, server: ByteServer
):
    monitor.preferences.update(push_hosts=("files.example.com",))
    await monitor.push(
        json.dumps({**SILENT, "download_url": "https://other.example.com/a"}), by_hand=False
    )
    await eventually(
        lambda: monitor.background.ledger[-1].outcome is not WakeOutcome.NONE,
        "the end of its handler",
    )
    (task,) = monitor.tasks()
    assert (task.state, task.started) == (State.SUSPENDED, None)
    assert monitor.approvals.waiting == {"other.example.com": [task.key]}


async def test_fault_p13_inside_the_list_folder_and_size_of_pushes_hold(
    monitor: Monitor, sync: VideoSync, server: ByteServer, tmp_path: Path
):
    monitor._engine.allowed_hosts.add(f"127.0.0.1:{server.port}")
    monitor.preferences.update(push_folder=str(tmp_path / "pushed"), push_maximum_bytes=1_000)
    await pushed(monitor, server.url("/large.bin"))
    monitor.preferences.update(push_maximum_bytes=1_000_000)
    await pushed(monitor, server.url("/small.bin"))
    large, small = monitor.tasks()
    assert large.error is not None
    assert (large.error.reason, large.received) == ("pol.too-big", 0)
    assert small.succeeded
    assert [path.name for path in (tmp_path / "pushed").iterdir()] == ["small.bin"]


async def test_fault_p14_a_flood_is_held_to_the_budget_and_the_ledger_is_bounded(monitor: Monitor):
    monitor.presence.set_state(AppState.BACKGROUND)
    app = App(monitor, "silentpush")
    for number in range(1500):
        await monitor.push(json.dumps({**SILENT, "n": number}), by_hand=False)
    await app.settles()
    assert len(app.heard) == 3
    assert len(monitor.background.ledger) == 1000
    assert sum(wake.waiting for wake in monitor.background.ledger) == 1


async def test_fault_p15_a_push_names_an_address_and_nothing_else(
    monitor: Monitor, sync: VideoSync, server: ByteServer
):
    monitor._engine.allowed_hosts.add(f"127.0.0.1:{server.port}")
    asked = {
        "headers": {"X-Evil": "1"},
        "method": "DELETE",
        "username": "me",
        "path": "/tmp/evil",
        "destination": "/tmp/evil",
        "proxy": "http://127.0.0.1:9",
        "verify": False,
    }
    await pushed(monitor, server.url("/a.bin"), **asked)
    (task,) = monitor.tasks()
    assert (task.method, task.header_names, task.succeeded) == ("GET", (), True)
    assert task.folder == monitor.settings.download_folder
    assert all(not request.header("X-Evil") for request in server.requests)


async def test_fault_p18_a_server_that_comes_back_is_found_again_without_a_busy_loop(
    open_monitor: OpenMonitor, settings: Settings
):
    down = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
    async with (
        an_ntfy(down, HEAD + said("a")) as ntfy,
        channel(open_monitor, settings, ntfy.url) as (monitor, app),
    ):
        await eventually(
            lambda: monitor.push_channel.status.state is ChannelState.WAITING, "a wait"
        )
        assert monitor.push_channel.status.at > monitor._engine.now() + 0.5
        await app.hears("silentpush")
        assert len(ntfy.asked) == 2


async def test_fault_p18_a_line_that_breaks_off_is_no_end_of_the_channel(
    open_monitor: OpenMonitor, settings: Settings
):
    broken = HEAD[:-2] + b"Content-Length: 1000\r\n\r\n" + said("a")[:20]
    async with (
        an_ntfy(broken, HEAD + said("a")) as ntfy,
        channel(open_monitor, settings, ntfy.url) as (_, app),
    ):
        await app.hears("silentpush")
        assert len(ntfy.asked) == 2


async def test_fault_p20_a_handler_that_raises_is_told_and_the_next_one_runs(
    monitor: Monitor, caplog: pytest.LogCaptureFixture
):
    heard: list[str] = []

    def broken(event: Any) -> None:
        heard.append(event.handler_id)
        raise RuntimeError("a mistake in a script")

    monitor.add_event_listener("silentpush", broken)
    for number in range(2):
        wake = await monitor.push(json.dumps({**SILENT, "n": number}))
        await eventually(lambda: len(heard) == number + 1, "a delivery")  # noqa: B023 - asked at once
        assert monitor.end_background_handler(wake.handler_id, FetchResult.FAILED)
    assert "a mistake in a script" in caplog.text
    assert [wake.outcome for wake in monitor.background.ledger] == [WakeOutcome.FAILED] * 2


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=30,
)
FIELDS = st.sampled_from(
    ["alert", "content-available", "aps", "download_url", "sound", "badge", "x"]
)
PAYLOADS = st.one_of(
    st.dictionaries(FIELDS, NESTED, max_size=6).map(json.dumps),
    st.sampled_from(
        [
            *(
                f'{{"content-available": {value}}}'
                for value in ("0", '"1"', "true", "[1]", "1e400", "-1", "NaN")
            ),
            *('{"a": ' * depth + "1" + "}" * depth for depth in (50, 5_000, 100_000)),
            '{"content-available": 1, "content-available": 0}',
            '{"content-available": 1, "x": "\ud800"}',
            '{"content-available": 1, "x": "' + "a" * 1_000_000 + '"}',
            "[1]",
            "1",
            '"text"',
            "",
        ]
    ),
    st.text(max_size=200),
)


@settings(max_examples=200, deadline=None)
@given(text=PAYLOADS)
def test_fault_p3_any_payload_is_read_or_refused_with_a_sentence(text: str):
    problem = ""
    try:
        push_payload.parse_payload(text)
    except ValueError as exc:
        problem = f"{exc}"
        assert problem.endswith(".")
    if len(text.encode("utf-8", "replace")) > push_payload.LIMIT:
        assert problem


async def test_fault_p3_a_malformed_push_starts_nothing_and_the_next_one_comes(monitor: Monitor):
    for text in (
        "",
        "[1]",
        '{"content-available": "1"}',
        '{"a": ' * 100_000,
        '{"x": "' + "a" * 1_000_000 + '"}',
    ):
        with contextlib.suppress(ValueError):
            await monitor.push(text, by_hand=False)
    assert monitor.tasks() == ()
    assert (await monitor.push(json.dumps(SILENT))).verdict is WakeVerdict.GRANTED


async def test_fault_p23_a_refused_address_looks_the_same_whether_its_port_is_open_or_not(
    monitor: Monitor, sync: VideoSync
):
    async with a_canary() as canary:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            shut = closed.getsockname()[1]
        told = []
        for port in (canary.port, shut):
            await pushed(monitor, f"http://127.0.0.1:{port}/a")
            task = monitor.tasks()[-1]
            assert task.error is not None
            told.append(
                (
                    task.error.code,
                    task.error.reason,
                    task.error.message,
                    task.error.hint,
                    task.attempt,
                )
            )
        assert told[0] == told[1]
        assert told[0][1] == "pol.private-address"
        assert canary.visits == 0
