"""P-01 to P-03, P-08, P-11, P-12: registration, the provider, and the channel that brings
pushes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.farm import Farm
from tests.helpers.recorder import eventually
from tests.helpers.sessions import App
from tests.promises.rules.conftest import OpenMonitor
from transfermon.cloud import (
    Cloud,
    NotificationType,
    PushRegistered,
    register_for_push_notifications,
)
from transfermon.engine.monitor import Monitor
from transfermon.engine.push_channel import ChannelState, back_off, lines
from transfermon.model.configuration import PUSHES_PER_HOUR
from transfermon.model.wake_policy import Wake, WakeOutcome, WakeVerdict
from transfermon.storage.settings import Settings
from transfermon.videofarm.sync import VideoSync

pytestmark = pytest.mark.anyio
SILENT = {"alert": "", "content-available": 1}
TOKEN = "ab" * 32


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with Farm.start("--data-dir", str(tmp_path / "farm"), "--empty") as running:
        yield running


class Ntfy:
    """A server that speaks ntfy's JSON stream from a script: each connection gets the next answer,
    then silence.
    """

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.url = ""
        self._open = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if self.answers:
                writer.write(self.answers.pop(0))
                await writer.drain()
            if not self.answers:
                await self._open.wait()
        writer.close()

    def end(self) -> None:
        self._open.set()


@contextlib.asynccontextmanager
async def an_ntfy(*answers: bytes) -> AsyncIterator[Ntfy]:
    made = Ntfy(*answers)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        made.end()
        server.close()
        await server.wait_closed()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"


def said(
    identifier: str, payload: Any = None, *, topic: str = "t", event: str = "message", **fields: Any
) -> bytes:
    text = (
        payload if isinstance(payload, str) else json.dumps(payload or {**SILENT, "id": identifier})
    )
    line = {"id": identifier, "time": 1, "event": event, "topic": topic, "message": text, **fields}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


@contextlib.asynccontextmanager
async def channel(
    open_monitor: OpenMonitor, settings: Settings, url: str
) -> AsyncIterator[tuple[Monitor, App]]:
    on = dataclasses.replace(settings, push_enabled=True, push_server=url, push_topics=("t",))
    async with open_monitor(settings=on, ready=False) as monitor:
        monitor._engine.random = lambda: 0.999  # the shortest back-off
        app = App(monitor, "silentpush")
        monitor.ready()
        yield monitor, app


# ---- P-01


async def test_p01_success_is_called_with_a_token_that_stays(open_monitor: OpenMonitor):
    tokens: list[PushRegistered] = []
    for _ in range(2):
        async with open_monitor() as monitor:
            failures: list[Any] = []
            register_for_push_notifications(
                monitor, [NotificationType.ALERT], tokens.append, failures.append
            )
            assert failures == []
    assert tokens[0] == tokens[1]
    assert tokens[0].type == "remote"
    assert len(bytes.fromhex(tokens[0].device_token)) == 32


async def test_p01_without_the_mode_only_error_is_called(monitor: Monitor):
    tokens: list[Any] = []
    failures: list[Any] = []
    monitor.preferences.set_background_modes(["fetch"])
    register_for_push_notifications(monitor, [], tokens.append, failures.append)
    (failure,) = failures
    assert tokens == []
    assert (failure.type, "remote-notification" in failure.error) == ("remote", True)


# ---- P-02, P-11


async def test_p02_every_refusal_is_an_answer(monitor: Monitor, farm: Farm):
    cloud = Cloud(monitor, farm.url)
    push = cloud.push_notifications
    assert (await push.subscribe_token(TOKEN, "news")).success
    for answer, words in [
        (await push.subscribe("news", TOKEN), "logged in"),
        (await push.subscribe_token(TOKEN, " "), "channel is empty"),
        (await push.subscribe_token("no token", "news"), "token is unknown"),
    ]:
        assert not answer.success
        assert words in answer.error
    assert (await cloud.login("mia")).success
    assert (await push.subscribe("films", TOKEN)).success
    assert (await push.query_channels(TOKEN)).channels == ("films", "news")
    assert (await push.unsubscribe("films", TOKEN)).success
    assert (await push.unsubscribe_token(TOKEN, "news")).success


async def test_p02_a_provider_that_is_not_there_is_a_refusal_too(monitor: Monitor):
    answer = await Cloud(monitor, "http://127.0.0.1:9").push_notifications.query_channels(TOKEN)
    assert not answer.success
    assert answer.error


@pytest.mark.parametrize(
    ("payload", "headers", "words"),
    [
        (SILENT, {"apns_push_type": "background", "apns_priority": 10}, "priority"),
        ({"alert": "x", "content-available": 1}, {"apns_push_type": "background"}, "alert"),
        ({**SILENT, "sound": "s"}, {"apns_push_type": "background"}, "sound"),
        ({**SILENT, "badge": 1}, {"apns_push_type": "background"}, "badge"),
        ({**SILENT, "x": "x" * 4096}, {}, "4096"),
    ],
)
async def test_p11_the_provider_refuses_what_apple_refuses(
    monitor: Monitor, farm: Farm, payload: Any, headers: Any, words: str
):
    push = Cloud(monitor, farm.url).push_notifications
    assert (await push.subscribe_token(TOKEN, "news")).success
    answer = await push.notify("news", payload, **headers)
    assert not answer.success
    assert words in answer.error


# ---- P-03, P-08: the whole way


async def test_p03_a_push_to_a_channel_wakes_every_subscribed_app(
    open_monitor: OpenMonitor, settings: Settings, farm: Farm
):
    on = dataclasses.replace(
        settings, push_enabled=True, push_server=f"{farm.url}push", push_topics=(TOKEN,)
    )
    async with open_monitor(settings=on, ready=False) as monitor:
        app = App(monitor, "silentpush", "notification")
        monitor.ready()
        await eventually(
            lambda: monitor.push_channel.status.state is ChannelState.CONNECTED, "a connection"
        )
        push = Cloud(monitor, farm.url).push_notifications
        await push.subscribe_token(TOKEN, "news")
        assert (await push.notify("news", SILENT)).success
        (event,) = await app.hears("silentpush")
        await app.settles()
        assert (app.names, event.by_hand) == (["silentpush"], False)


# ---- the channel


T = 1_800_000_000  # the server's clock


async def test_the_channel_takes_each_message_once_over_cuts(
    open_monitor: OpenMonitor, settings: Settings
):
    # cut in a line
    first = HEAD + said("o", event="open", time=T) + said("a", time=T + 5) + said("b")[:30]
    second = (
        HEAD + said("o", event="open", time=T + 9) + said("a", time=T + 5) + said("b", time=T + 6)
    )
    second += said("k", event="keepalive", time=T + 54) + said("u", event="poll_request")
    async with (
        an_ntfy(first, second) as ntfy,
        channel(open_monitor, settings, ntfy.url) as (_, app),
    ):
        await app.hears("silentpush", 2)
        assert [event["id"] for event in app.heard] == ["a", "b"]
        assert [request.split()[1] for request in ntfy.asked[:2]] == [
            "/t/json",
            f"/t/json?since={T + 5 - 120}",
        ]


async def test_the_channel_goes_on_where_it_was_after_a_restart(
    open_monitor: OpenMonitor, settings: Settings
):
    again = (
        HEAD + said("o", event="open", time=T + 900) + said("a", time=T) + said("b", time=T + 300)
    )
    async with an_ntfy(HEAD + said("a", time=T), again) as ntfy:
        async with channel(open_monitor, settings, ntfy.url) as (_, app):
            await app.hears("silentpush")
            await app.settles()
        async with channel(open_monitor, settings, ntfy.url) as (_, app):
            await app.hears("silentpush")
            await app.settles()
            assert [event["id"] for event in app.heard] == ["b"]
        assert ntfy.asked[1].split()[1] == f"/t/json?since={T - 120}"


async def test_at_another_server_nothing_old_is_asked_for(
    open_monitor: OpenMonitor, settings: Settings
):
    async with an_ntfy(HEAD + said("a", time=T)) as ntfy, an_ntfy(HEAD) as other:
        async with channel(open_monitor, settings, ntfy.url) as (_, app):
            await app.hears("silentpush")
            await app.settles()
        async with channel(open_monitor, settings, other.url) as (monitor, _):
            await eventually(lambda: other.asked, "a request")
            assert other.asked[0].split()[1] == "/t/json"
            monitor.preferences.update(push_server=ntfy.url)
            await eventually(lambda: len(ntfy.asked) == 2, "a request to the first one")
            assert ntfy.asked[1].split()[1] == "/t/json"


async def test_a_server_that_does_not_understand_since_is_asked_without_it_at_once(
    open_monitor: OpenMonitor, settings: Settings
):
    no = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    script = (HEAD + said("a", time=T), no, HEAD + said("o", event="open", time=T + 50))
    async with an_ntfy(*script) as ntfy, channel(open_monitor, settings, ntfy.url) as (_, app):
        await app.hears("silentpush")
        await eventually(lambda: len(ntfy.asked) == 3, "a third request")
        assert [request.split()[1] for request in ntfy.asked] == [
            "/t/json",
            f"/t/json?since={T - 120}",
            "/t/json",
        ]


async def test_an_update_takes_the_place_of_a_push_that_is_held(
    open_monitor: OpenMonitor, settings: Settings
):
    """Over the hour's budget, so that the first one waits."""
    async with an_ntfy(HEAD) as ntfy, channel(open_monitor, settings, ntfy.url) as (monitor, _):
        monitor.background._pushes.extend([monitor._engine.now()] * PUSHES_PER_HOUR)
        for number in (1, 2):
            line = said(f"m{number}", time=T, sequence_id="s")
            monitor.push_channel._take(line)
        first, second = monitor.background.ledger
        assert (first.outcome, first.note) == (WakeOutcome.DROPPED, "An update took its place.")
        assert second.waiting
        monitor.push_channel._take(said("m3", event="message_delete", time=T, sequence_id="s"))
        assert (newest(monitor).outcome, newest(monitor).note) == (
            WakeOutcome.DROPPED,
            "Its sender took it back.",
        )
        assert not monitor.background.expects


def newest(monitor: Monitor) -> Wake:
    return monitor.background.ledger[-1]


@pytest.mark.parametrize("event", ["message", "message_delete"])
async def test_a_download_that_nobody_has_begun_goes_with_the_push_that_asked_for_it(
    open_monitor: OpenMonitor, settings: Settings, event: str
):
    """The host is not allowed yet: its task waits, paused. The sender changes its mind
    meanwhile.
    """
    async with an_ntfy(HEAD) as ntfy, channel(open_monitor, settings, ntfy.url) as (monitor, app):
        app.monitor.remove_event_listener("silentpush", app.heard.append)
        sync = VideoSync(monitor)
        payload = {**SILENT, "download_url": "http://example.com/a"}
        monitor.push_channel._take(said("m1", payload, time=T))
        await eventually(monitor.tasks, "a task")
        (first,) = monitor.tasks()
        payload["download_url"] = "http://example.com/b"
        monitor.push_channel._take(said("m2", payload, event=event, time=T, sequence_id="m1"))
        urls = ["http://example.com/b"] if event == "message" else []
        await eventually(
            lambda: [task.url for task in monitor.tasks()] == urls, "another task, or none"
        )
        assert first.key not in [task.key for task in monitor.tasks()]
        sync.close()


async def test_a_push_that_is_taken_back_before_its_handler_ran_begins_nothing(
    open_monitor: OpenMonitor, settings: Settings
):
    lines = said("m1", {**SILENT, "download_url": "http://example.com/a"}, time=T)
    lines += said("m2", event="message_delete", time=T, sequence_id="m1")
    async with (
        an_ntfy(HEAD + lines) as ntfy,
        channel(open_monitor, settings, ntfy.url) as (monitor, app),
    ):
        app.monitor.remove_event_listener("silentpush", app.heard.append)
        removed = App(monitor, "taskremoved")
        sync = VideoSync(monitor)
        await removed.hears("taskremoved")
        assert monitor.tasks() == ()
        sync.close()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (said("a", topic="other"), "topic that nobody asked for"),
        (said("a", expires=2), "expired"),
        (said("a", '{"alert": ""}'), "content-available"),
        (said("a", "{ not json"), "Line 1"),
        (said("a", "/w==", encoding="base64"), "no text"),
    ],
)
async def test_what_is_not_passed_on_is_in_the_ledger(
    open_monitor: OpenMonitor, settings: Settings, line: bytes, reason: str
):
    async with (
        an_ntfy(HEAD + line) as ntfy,
        channel(open_monitor, settings, ntfy.url) as (monitor, app),
    ):
        await eventually(lambda: monitor.background.ledger, "a line in the ledger")
        (wake,) = monitor.background.ledger
        assert (wake.verdict, wake.source, app.heard) == (WakeVerdict.REFUSED, "ntfy", [])
        assert reason in wake.reason


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refusal_is_final_until_the_settings_change(
    open_monitor: OpenMonitor, settings: Settings, status: int
):
    no = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()
    async with an_ntfy(no, HEAD) as ntfy, channel(open_monitor, settings, ntfy.url) as (monitor, _):
        await eventually(
            lambda: monitor.push_channel.status.state is ChannelState.REFUSED, "a refusal"
        )
        assert str(status) in monitor.push_channel.status.words
        monitor.preferences.switch_push_channel(True, token="secret")
        await eventually(
            lambda: monitor.push_channel.status.state is ChannelState.CONNECTED, "a connection"
        )
        assert "authorization: bearer secret" in ntfy.asked[1].lower()
        monitor.preferences.switch_push_channel(False)
        assert monitor.push_channel.status.state is ChannelState.OFF


@pytest.mark.parametrize(
    "server", ["ntfy.sh", "http://[bad", "ftp://example.org", "http://127.0.0.1:99999"]
)
async def test_an_address_that_cannot_be_is_refused_and_not_tried_again(
    open_monitor: OpenMonitor, settings: Settings, server: str
):
    async with channel(open_monitor, settings, server) as (monitor, _):
        await eventually(
            lambda: monitor.push_channel.status.state is ChannelState.REFUSED, "a refusal"
        )
        assert "address" in monitor.push_channel.status.words.lower()


async def test_a_busy_server_is_given_the_time_it_asks_for(
    open_monitor: OpenMonitor, settings: Settings
):
    busy = b"HTTP/1.1 429 Busy\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n"
    async with an_ntfy(busy) as ntfy, channel(open_monitor, settings, ntfy.url) as (monitor, _):
        await eventually(
            lambda: monitor.push_channel.status.state is ChannelState.WAITING, "a wait"
        )
        assert monitor.push_channel.status.at == pytest.approx(monitor._engine.now() + 600, abs=20)


async def test_it_is_off_until_it_is_switched_on_and_then_makes_a_random_topic(monitor: Monitor):
    assert monitor.push_channel.status.state is ChannelState.OFF
    monitor.preferences.update(push_server="http://127.0.0.1:9")
    monitor.preferences.switch_push_channel(True)
    (topic,) = monitor.settings.push_topics
    assert len(bytes.fromhex(topic)) == 16
    assert monitor.push_channel.addresses == (f"http://127.0.0.1:9/{topic}",)


async def test_lines_end_at_line_feeds_only():
    async def pieces() -> AsyncIterator[bytes]:
        for piece in ("a\u0085b\u2028c\r\n\n".encode(), b"d" * 70_000, b"e\nf", b"\ncut"):
            yield piece

    assert [line async for line in lines(pieces())] == ["a\u0085b\u2028c\r".encode(), b"f"]


async def test_the_back_off_doubles_up_to_two_minutes():
    assert [back_off(failures, 0.0) for failures in (0, 1, 2, 6, 99)] == [2, 4, 8, 120, 120]
    assert back_off(0, 1.0) == 1


# ---- P-12


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/a", "http://127.0.0.1:9/a", 7]
)
async def test_p12_an_address_from_a_push_is_used_only_when_it_is_http_and_allowed(
    monitor: Monitor, url: Any
):
    sync = VideoSync(monitor)
    try:
        wake = await monitor.push(json.dumps({**SILENT, "download_url": url}), by_hand=False)
        await eventually(
            lambda: monitor.background.ledger[-1].outcome is not WakeOutcome.NONE,
            "the end of its handler",
        )
        for task in monitor.tasks():
            await monitor.handle(task.key).wait()
        assert wake.handler_id
        for task in monitor.tasks():
            assert task.error is not None
            assert "inside a private network" in task.error.message  # nobody tried
    finally:
        sync.close()


async def test_p12_a_push_never_chooses_a_path(monitor: Monitor, farm: Farm, downloads: Path):
    sync = VideoSync(monitor)
    try:
        fields = {
            "download_url": "http://203.0.113.1/x",
            "destination": "/tmp/evil",
            "path": "/tmp/evil",
            "name": "../x",
        }
        await monitor.push(json.dumps({**SILENT, **fields}), by_hand=False)
        await eventually(monitor.tasks, "a task")
        (task,) = monitor.tasks()
        assert (task.folder, task.name) == (str(downloads), "")
        monitor.commands.cancel(task.key)
    finally:
        sync.close()
