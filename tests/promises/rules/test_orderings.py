"""Orderings. The recorder checks those that hold for any run; here each one is provoked."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Resource, reply
from tests.helpers.recorder import BOTH_LOOPS, Recorder, recorder_of
from tests.helpers.scripts import answers, stalls
from transfermon.engine.monitor import Monitor, Session
from transfermon.engine.session_core import SessionState
from transfermon.model.events import (
    DownloadCompletedEvent,
    DownloadProgressEvent,
    DownloadResumedEvent,
    Event,
    SessionIdleEvent,
    SessionInvalidatedEvent,
    TaskCompletedEvent,
    TaskCreatedEvent,
    TaskStateEvent,
)
from transfermon.model.task import Activity, Kind, State, Task

pytestmark = pytest.mark.anyio

SEED = (
    "taskwaiting",
    "downloadresumed",
    "downloadprogress",
    "downloadcompleted",
    "sessioncompleted",
)


def seed_events(recorder: Recorder, task: Any) -> list[Any]:
    return [event for event in recorder.events if event.task_key == task.key and event.type in SEED]


async def interrupted(
    session: Session, url: str, resource: Resource, recorder: Recorder, times: int = 1
) -> Any:
    """A task whose connection broke `times` times in the middle, and that ended well."""
    task = session.download_task(url)
    resource.pause, resource.piece = 0.002, 5000
    for n in range(times):
        resource.stall_after = 60_000
        await recorder.wait_for(
            "downloadprogress", task, count=len(recorder.of("downloadprogress", task)) + 1
        )
        task.suspend()
        resource.stall_after = None if n == times - 1 else 60_000
        task.resume()
    await task.wait()
    return task


# ---- O-01 to O-04


@BOTH_LOOPS
async def test_o01_resumed_then_progress_then_the_file_then_the_end(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    task = await interrupted(session, server.url("/a"), resource, recorder, times=3)
    assert task.record.succeeded
    names = [event.type for event in seed_events(recorder, task)]
    assert names[-2:] == ["downloadcompleted", "sessioncompleted"]
    assert set(names[:-2]) == {"downloadresumed", "downloadprogress"}
    assert names[0] == "downloadprogress"  # a first attempt from zero needs no announcement
    await session.download_task(server.url("/other")).wait()
    assert [event.type for event in seed_events(recorder, task)] == names


async def test_o02_a_failed_download_has_no_file_event(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    good = session.download_task(server.url("/good"))
    await good.wait()
    resource.before = answers(reply(410))
    bad = session.download_task(server.url("/bad"))
    await bad.wait()
    names = [
        event.type for event in seed_events(recorder, good) if event.type != "downloadprogress"
    ]
    assert names == ["downloadcompleted", "sessioncompleted"]
    assert [event.type for event in seed_events(recorder, bad)] == ["sessioncompleted"]


async def test_o03_each_attempt_is_announced_once_before_its_first_progress(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    task = await interrupted(session, server.url("/a"), resource, recorder, times=4)
    by_attempt: dict[int, list[str]] = {}
    for event in seed_events(recorder, task)[:-2]:
        by_attempt.setdefault(event.task.attempt, []).append(event.type)
    first, *later = by_attempt.values()
    assert "downloadresumed" not in first
    assert later
    for names in later:
        assert names[0] == "downloadresumed"
        assert names.count("downloadresumed") == 1


async def test_o03_a_start_from_zero_is_announced_with_offset_zero(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 60_000
    task = session.download_task(server.url("/a"))
    await recorder.wait_for("downloadprogress", task)
    task.suspend()
    resource.stall_after = None
    resource.body, resource.etag = b"other" * 30_000, '"v2"'
    task.resume()
    assert (await task.wait()).succeeded
    assert [event.file_offset for event in recorder.of("downloadresumed", task)] == [0]


@BOTH_LOOPS
async def test_o04_totals_grow_and_the_last_one_is_the_whole(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.pause, resource.piece = 0.01, 10_000
    task = session.download_task(server.url("/a"))
    await task.wait()
    totals = [event.total_bytes_written for event in recorder.of("downloadprogress", task)]
    assert len(totals) > 1
    assert totals == sorted(totals)
    assert totals[-1] == len(resource.body)
    assert sum(event.bytes_written for event in recorder.of("downloadprogress", task)) == len(
        resource.body
    )


async def test_o04_no_progress_after_a_cancel(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.pause, resource.piece = 0.001, 1000
    task = session.download_task(server.url("/a"))
    await recorder.wait_for("downloadprogress", task, count=2)
    task.cancel()
    seen = len(recorder.of("downloadprogress", task))
    await task.wait()
    await session.download_task(server.url("/other")).wait()
    assert len(recorder.of("downloadprogress", task)) == seen


# ---- O-05, O-06


async def test_o05_a_listener_finds_the_task_in_the_state_that_the_event_says(
    monitor: Monitor, session: Session, server: ByteServer
):
    found: list[Any] = []
    task = session.download_task(server.url("/a"), start=False)

    def at_the_file(event: Any) -> None:
        found.append((task.state, task.activity, Path(event.location).exists()))

    async def at_the_end(event: Any) -> None:
        found.append((task.state, task.error, task.response.status if task.response else None))
        before = task.record
        await asyncio.sleep(0)
        found.append(task.record == before)

    monitor.add_event_listener("downloadcompleted", at_the_file)
    monitor.add_event_listener("sessioncompleted", at_the_end)
    await task.resume().wait()
    assert found == [(State.RUNNING, Activity.FINALIZING, True), (State.COMPLETED, None, 200), True]


@pytest.mark.parametrize("outcome", ["success", "failure", "cancel"])
async def test_o06_what_an_event_says_is_in_the_database_when_it_is_told(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource, outcome: str
):
    path = Path(monitor.state_dir) / "transfermon.db"
    wrong: list[str] = []
    seen: set[str] = set()

    def look(event: Event) -> None:
        if not event.journalled:
            return
        seen.add(event.type)
        with sqlite3.connect(path) as database:  # as another program sees it
            rows = database.execute(
                "select type from journal where sequence=?", (event.sequence,)
            ).fetchall()
            state = database.execute(
                "select state from task where session=? and number=?",
                (event.session, getattr(event, "number", 1)),
            ).fetchone()
        database.close()
        if rows != [(event.type,)]:
            wrong.append(f"{event.type} is not in the journal")
        if isinstance(event, TaskCompletedEvent) and state != ("completed",):
            wrong.append(f"{event.type}: the task is {state}")
        if isinstance(event, TaskCreatedEvent | TaskStateEvent) and state is None:
            wrong.append(f"{event.type}: there is no task")

    monitor.subscribe(look)
    if outcome == "failure":
        resource.before = answers(reply(404))
    if outcome == "cancel":
        resource.stall_after = 1000
    task = session.download_task(server.url("/a"))
    if outcome == "cancel":
        await recorder_of(monitor).wait_for("downloadprogress", task)
        task.cancel()
    await task.wait()
    await recorder_of(monitor).wait_for("sessionidle")
    assert wrong == []
    assert {"taskcreated", "sessioncompleted", "sessionidle"} <= seen


# ---- O-07, O-08


@BOTH_LOOPS
async def test_o07_ends_are_told_in_the_order_in_which_tasks_finished(
    monitor: Monitor, server: ByteServer, recorder: Recorder
):
    sessions = [monitor.session(f"com.example.{n}") for n in range(2)]
    heard: list[int] = []
    monitor.add_event_listener("sessioncompleted", lambda event: heard.append(event.sequence))
    tasks = [session.download_task(server.url(f"/{n}")) for n in range(10) for session in sessions]
    for task in tasks:
        await task.wait()
    for session in sessions:
        ends = recorder.of("sessioncompleted", session=session.key)
        assert [end.sequence for end in ends] == sorted(end.sequence for end in ends)
        finished = [end.task.finished for end in ends]
        assert finished == sorted(finished)
    assert heard == sorted(heard)


async def test_o08_listeners_run_in_the_order_of_registration(
    monitor: Monitor, session: Session, server: ByteServer
):
    log: list[str] = []

    async def second(event: Any) -> None:
        await asyncio.sleep(0)
        log.append("second")

    monitor.add_event_listener("sessioncompleted", lambda event: log.append("first"))
    monitor.add_event_listener("sessioncompleted", second)
    monitor.add_event_listener("sessioncompleted", lambda event: log.append("third"))
    await session.download_task(server.url("/a")).wait()
    assert log == ["first", "second", "third"]


async def test_o08_a_listener_added_during_delivery_does_not_get_that_event(
    monitor: Monitor, session: Session, server: ByteServer
):
    late: list[int] = []

    def adds(event: Any) -> None:
        if event.task_identifier == 1:
            monitor.add_event_listener(
                "sessioncompleted", lambda event: late.append(event.task_identifier)
            )

    monitor.add_event_listener("sessioncompleted", adds)
    await session.download_task(server.url("/1")).wait()
    await session.download_task(server.url("/2")).wait()
    assert late == [2]


# ---- O-09 to O-12


async def test_o09_resume_data_is_there_before_the_end_is_told(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 60_000
    task = session.download_task(server.url("/a"))
    await recorder.wait_for("downloadprogress", task)
    log: list[Any] = []
    monitor.subscribe(
        lambda event: log.append(event.type) if event.type == "sessioncompleted" else None
    )

    async def produce() -> None:
        log.append(await task.cancel_by_producing_resume_data())

    producing = asyncio.ensure_future(produce())
    await task.wait()
    await producing
    data, told = log
    assert told == "sessioncompleted"
    assert isinstance(data, bytes)
    (ended,) = recorder.of("sessioncompleted", task)
    assert (ended.resume_data, ended.resumable) == (data, True)


async def test_o10_idle_comes_between_the_last_end_and_the_invalidation(
    session: Session, server: ByteServer, recorder: Recorder
):
    for n in range(3):
        session.download_task(server.url(f"/{n}"))
    session.finish_tasks_and_invalidate()
    await recorder.wait_for("sessioninvalidated")
    names = recorder.names(
        but=("downloadprogress", "taskactivity", "downloadcompleted", "taskcreated")
    )
    assert names[-3:] == ["sessioncompleted", "sessionidle", "sessioninvalidated"]
    assert names.count("sessionidle") == 1


async def test_o11_a_cancelled_session_waits_for_every_end(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 1000
    tasks = [session.download_task(server.url(f"/{n}")) for n in range(5)]
    await recorder.wait_for("downloadprogress", tasks[0])
    session.invalidate_and_cancel()
    await recorder.wait_for("sessioninvalidated")
    assert recorder.events[-1].type == "sessioninvalidated"
    assert len(recorder.of("sessioncompleted")) == 5


@BOTH_LOOPS
@pytest.mark.parametrize("later", [False, True])
async def test_o12_cancelling_the_session_inside_a_success_keeps_that_success_and_tells_it_first(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    later: bool,
):
    session = monitor.session("com.example.test")
    resource.before = stalls(only="/stalls")
    others = [session.download_task(server.url(f"/stalls/{n}")) for n in range(5)]
    others.append(session.download_task(server.url("/paused"), start=False))

    def cancel(event: Any) -> None:
        session.invalidate_and_cancel()

    async def cancel_later(event: Any) -> None:
        await asyncio.sleep(0)
        cancel(event)
        await asyncio.sleep(0)

    monitor.add_event_listener("downloadcompleted", cancel_later if later else cancel)
    good = session.download_task(server.url("/good.bin"), priority=1.0)
    others[0].cancel()  # makes room: three connections to a host are the app's default
    await recorder.wait_for("sessioninvalidated")
    ends = [(end.task_identifier, end.success) for end in recorder.of("sessioncompleted")]
    assert ends[0] == (others[0].task_identifier, False)
    assert ends[1] == (good.task_identifier, True)
    assert [success for _, success in ends[2:]] == [False] * 5
    assert session.state is SessionState.INVALIDATED
    assert (downloads / "good.bin").read_bytes() == resource.body


# ---- the recorder itself: a check that finds nothing proves nothing


def a_record(
    number: int, state: State = State.RUNNING, *, attempt: int = 1, **changes: Any
) -> Task:
    return Task(
        session="s", number=number, kind=Kind.DOWNLOAD, url="http://h/", state=state, attempt=attempt, received=10,
        **changes,
    )  # fmt: skip


def fed(
    events: list[tuple[type[Event], dict[str, Any]]], numbers: list[int] | None = None
) -> Recorder:
    """A recorder that was told these events of one task, numbered in order unless said
    otherwise.
    """
    recorder = Recorder.__new__(Recorder)
    recorder.mistakes, recorder.heard, recorder._waiting = [], [], []
    recorder._restored, recorder._restored_sessions = set(), set()
    recorder.events = []
    for at, (kind, fields) in enumerate(events, 1):
        if issubclass(kind, SessionIdleEvent | SessionInvalidatedEvent):
            fields = {"session": "s", **fields}
        else:
            fields = {"session": "s", "task_identifier": 1, "task": a_record(1), **fields}
        sequence = numbers[at - 1] if numbers else at
        recorder._take(kind(sequence=sequence, event_id=f"e{sequence}", **fields))
    return recorder


DONE = a_record(1, State.COMPLETED)
SOME = (DownloadProgressEvent, {"total_bytes_written": 5})
ALL = (DownloadProgressEvent, {"total_bytes_written": 10})
CREATED: tuple[type[Event], dict[str, Any]] = (TaskCreatedEvent, {})
FILE = (DownloadCompletedEvent, {})
END = (TaskCompletedEvent, {"success": True, "task": DONE})
IDLE: tuple[type[Event], dict[str, Any]] = (SessionIdleEvent, {})
OVER: tuple[type[Event], dict[str, Any]] = (SessionInvalidatedEvent, {})
RESUMED = (DownloadResumedEvent, {"file_offset": 5})


def test_o01_the_recorder_accepts_a_good_run():
    fed([CREATED, SOME, ALL, FILE, END, IDLE, OVER]).check()


@pytest.mark.parametrize(
    ("row", "events"),
    [
        ("O-01", [CREATED, ALL, FILE, END, SOME]),
        ("O-02", [CREATED, ALL, END]),
        ("O-02", [CREATED, ALL, FILE, FILE, END]),
        ("O-03", [CREATED, SOME, RESUMED]),
        ("O-03", [CREATED, RESUMED, RESUMED]),
        ("O-04", [CREATED, ALL, SOME]),
        ("O-04", [CREATED, SOME, FILE, END]),
        ("O-04", [CREATED, ALL, FILE, ALL]),
        ("O-10", [CREATED, IDLE]),
        ("O-10", [CREATED, ALL, FILE, END, OVER]),
        ("O-11", [CREATED, ALL, FILE, END, IDLE, OVER, IDLE]),
        ("O-05", [CREATED, ALL, FILE, (TaskCompletedEvent, {"success": True})]),
    ],
)
def test_o01_the_recorder_finds_a_bad_run(
    row: str, events: list[tuple[type[Event], dict[str, Any]]]
):
    with pytest.raises(AssertionError, match=row):
        fed(events).check()


def test_o07_the_recorder_finds_numbers_that_do_not_grow():
    with pytest.raises(AssertionError, match="O-07"):
        fed([CREATED, ALL, FILE, END], numbers=[1, 2, 4, 3]).check()
