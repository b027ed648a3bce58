"""B-06 and B-07: what goes on after the app, and what does not."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.owners import Place, alive, quick, slow, until
from tests.helpers.recorder import recorder_of
from transfermon.model.errors import Code
from transfermon.model.events import TaskCompletedEvent
from transfermon.model.task import State

pytestmark = pytest.mark.anyio


@pytest.fixture
def resource() -> Resource:
    resource = Resource(bytes(range(256)) * 47_000, etag='"v1"')
    slow(resource)
    return resource


def running(place: Place, server: ByteServer) -> int | None:
    """A download has begun; the process that waits behind the app."""
    place.add(server.url("/a.bin"))
    until("a part of the file", lambda: place.received() > 100_000)
    return place.waiter()


def is_whole(place: Place, resource: Resource) -> bool:
    return (place.out / "a.bin").read_bytes() == resource.body


def settings(place: Place, **chosen: object) -> None:
    place.state.mkdir(mode=0o700)
    (place.state / "settings.json").write_text(json.dumps(chosen))


def test_b06_transfers_finish_after_a_crash_and_the_next_start_shows_them(place, server, resource):
    app = place.small_app()
    waiter = running(place, server)
    place.kill(app)
    place.successor(waiter)
    quick(resource)
    until("the end of the engine without a window", lambda: not alive(waiter or 0))
    assert is_whole(place, resource)
    place.small_app()
    assert [(task["status"], task["path"]) for task in place.tasks()] == [
        ("Done", f"{place.out}/a.bin")
    ]


def test_b06_transfers_finish_after_a_normal_end_where_the_person_wants_it(place, server, resource):
    settings(place, keep_after_quit="yes")
    app = place.app()
    waiter = running(place, server)
    assert place.run("quit") == (0, "", "")
    app.communicate(timeout=60)
    assert app.returncode == 0
    place.successor(waiter)
    quick(resource)
    until("the end of the engine without a window", lambda: not alive(waiter or 0))
    assert is_whole(place, resource)
    assert '"status": "Done"' in place.run("list", "--json")[1]


def test_b06_a_quit_ends_the_transfers_until_the_next_start_where_nothing_was_chosen(
    place, server, resource
):
    app = place.app()
    waiter = running(place, server)
    assert place.run("quit") == (0, "", "")
    app.communicate(timeout=60)
    assert not alive(waiter or 0)
    assert (place.owner(), place.waiter()) == (0, None)
    quick(resource)
    place.small_app()
    until("the file", lambda: (place.out / "a.bin").exists())
    assert is_whole(place, resource)


def test_b06_without_the_setting_nobody_waits_behind_the_app(place, server, resource):
    settings(place, keep_transferring=False)
    app = place.start("gui", "--minimized")
    until("the app", lambda: place.status().get("window"))
    assert place.waiter() is None
    place.kill(app)
    assert place.owner() == 0


def test_b07_quit_and_stop_ends_all_and_nothing_goes_on(place, server, resource):
    settings(place, keep_after_quit="yes")
    app = place.app()
    waiter = running(place, server)
    paused = place.add(server.url("/b.bin"), start=False)
    assert place.run("quit", "--stop-transfers") == (0, "", "")
    app.communicate(timeout=60)
    assert app.returncode == 0
    assert not alive(waiter or 0)
    assert (place.owner(), place.waiter()) == (0, None)

    tasks = [json.loads(line) for line in place.run("list", "--json")[1].splitlines()]
    assert [(task["state"], task["error"]["code"]) for task in tasks] == [
        ("completed", Code.CANCELLED)
    ] * 2
    events = place.events()
    ended = {
        f"{event['session']}:{event['taskIdentifier']}": event
        for event in events
        if event["type"] == "sessioncompleted"
    }
    assert {
        (event["errorCode"], event["cancelReason"], event["reason"]) for event in ended.values()
    } == {(-999, 0, "user-force-quit")}
    assert [ended[name]["resumable"] for name in (tasks[0]["id"], paused)] == [True, False]
    asked = len(server.requests)
    assert place.run("standby") == (0, "", "")
    assert len(server.requests) == asked


def test_b07_with_no_engine_running_everything_ends_as_well(place, server, resource):
    app = place.small_app()
    running(place, server)
    place.client.request("POST", "/v1/quit")
    app.communicate(timeout=60)
    assert place.run("quit", "--stop-transfers") == (0, "", "")
    (task,) = [json.loads(line) for line in place.run("list", "--json")[1].splitlines()]
    assert task["error"]["reason"] == "user-force-quit"
    assert task["error"]["message"] == "The transfer was stopped when Transfermon was quit."


def test_b07_other_fields_of_a_quit_are_refused(place):
    place.small_app()
    status, body = place.client.request("POST", "/v1/quit", {"stop": True})
    assert status == 400
    assert "stop" in body["title"] + body["detail"]
    assert place.client.request("POST", "/v1/release", {"stopTransfers": True})[0] == 400


async def test_b07_a_retry_goes_on_with_what_was_stored(
    monitor, session, server, resource, tmp_path
):
    task = session.download_task(server.url("/a.bin"), destination=tmp_path / "a.bin")
    async with asyncio.timeout(60):
        while task.count_of_bytes_received < 100_000:
            await asyncio.sleep(0.01)
        await monitor.stop_transfers()
    assert monitor.force_quit
    (ended,) = [
        event for event in recorder_of(monitor).events if isinstance(event, TaskCompletedEvent)
    ]
    assert (ended.error_code, ended.cancel_reason, ended.resumable) == (-999, 0, True)
    assert ended.resume_data is not None
    assert task.record.cancel_reason == 0
    quick(resource)
    session.tasks.run_of(task.task_identifier).retry()
    async with asyncio.timeout(60):
        record = await task.wait()
    assert record.state is State.COMPLETED
    assert (record.error, record.cancel_reason) == (None, None)
    assert (tmp_path / "a.bin").read_bytes() == resource.body
    assert server.requests[1].header("Range").startswith("bytes=")
    again = session.download_task_with_resume_data(ended.resume_data)
    assert (await again.wait()).error is not None  # the retry has used it
