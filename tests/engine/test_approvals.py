"""The question at the first use of a host by a push (P13)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.recorder import eventually
from transfermon.engine.approvals import MOST, host_of
from transfermon.engine.monitor import Monitor
from transfermon.model.task import State
from transfermon.model.wake_policy import WakeOutcome
from transfermon.storage.settings import Settings
from transfermon.videofarm.sync import PUSH_SESSION, VideoSync

pytestmark = pytest.mark.anyio
FILE = "https://files.example.com/a.bin"


@pytest.fixture
async def monitor(tmp_path: Path) -> AsyncIterator[Monitor]:
    settings = Settings(download_folder=str(tmp_path / "downloads"), push_maximum_bytes=1_000)
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as made:
        sync = VideoSync(made)
        made.ready()
        yield made
        sync.close()


async def pushed(monitor: Monitor, url: str, *, by_hand: bool = False) -> None:
    before = len(monitor.background.ledger)
    await monitor.push(json.dumps({"content-available": 1, "download_url": url}), by_hand=by_hand)
    await eventually(
        lambda: (
            len(monitor.background.ledger) > before
            and monitor.background.ledger[-1].outcome is not WakeOutcome.NONE
        ),
        "the end of its handler",
    )


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("HTTPS://Files.Example.com/a", "files.example.com"),
        ("http://files.example.com:8080/a", "files.example.com:8080"),
        ("http://files.example.com:443/", "files.example.com:443"),
        ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443"),
    ],
)
def test_a_host_is_named_with_its_port_where_that_is_unusual(url, host):
    assert host_of(url) == host


async def test_a_download_from_a_new_host_waits_and_one_question_is_told(monitor: Monitor):
    told: list[str] = []
    monitor.subscribe(
        lambda event: told.append(event.alert_title) if event.type == "notification" else None  # type: ignore[attr-defined]
    )
    await pushed(monitor, FILE)
    (task,) = monitor.tasks()
    assert (task.state, task.started) == (State.SUSPENDED, None)
    assert monitor.approvals.waiting == {"files.example.com": [task.key]}
    await eventually(lambda: told, "the question")
    assert told == ["May pushes download from files.example.com?"]


async def test_an_allowed_host_is_not_asked_about_and_neither_is_a_push_by_hand(monitor: Monitor):
    monitor.preferences.update(push_hosts=("files.example.com",))
    await pushed(monitor, FILE)
    await pushed(monitor, "https://other.example.com/b", by_hand=True)
    assert monitor.approvals.waiting == {}
    assert [task.state for task in monitor.tasks()] == [State.RUNNING, State.RUNNING]


async def test_allowing_starts_what_waits_for_that_host_alone(monitor: Monitor):
    await pushed(monitor, FILE)
    await pushed(monitor, "https://other.example.com/b")
    monitor.approvals.start("files.example.com")
    assert {task.url: task.state for task in monitor.tasks()} == {
        FILE: State.RUNNING,
        "https://other.example.com/b": State.SUSPENDED,
    }
    assert list(monitor.approvals.waiting) == ["other.example.com"]


async def test_dropping_takes_it_off_the_list(monitor: Monitor):
    await pushed(monitor, FILE)
    monitor.approvals.drop("files.example.com")
    await eventually(lambda: not monitor.tasks(), "an empty list")
    assert monitor.approvals.waiting == {}


async def test_a_task_that_was_resumed_by_hand_waits_no_more(monitor: Monitor):
    await pushed(monitor, FILE)
    (task,) = monitor.tasks()
    monitor.commands.resume(task.key)
    assert monitor.approvals.waiting == {}


async def test_what_waits_is_bounded(monitor: Monitor):
    session = monitor.session(PUSH_SESSION)
    for number in range(MOST):
        monitor.approvals.hold(
            session.download_task(f"{FILE}?{number}", start=False).key, "files.example.com"
        )
    await pushed(monitor, FILE)
    assert monitor.background.ledger[-1].outcome is WakeOutcome.FAILED
    assert len(monitor.tasks()) == MOST


async def test_what_waits_is_known_after_a_restart(tmp_path: Path):
    folder = str(tmp_path / "state")
    async with Monitor.open(folder, settings=Settings()) as monitor:
        sync = VideoSync(monitor)
        monitor.ready()
        await pushed(monitor, FILE)
        sync.close()
    async with Monitor.open(folder, settings=Settings()) as monitor:
        assert list(monitor.approvals.waiting) == ["files.example.com"]


async def test_pushes_have_a_folder_and_a_longest_file_of_their_own(
    monitor: Monitor, tmp_path: Path
):
    monitor.preferences.update(push_folder=str(tmp_path / "pushed"))
    await pushed(monitor, FILE)
    session = monitor.find_session(PUSH_SESSION)
    assert session is not None
    assert session.configuration.maximum_bytes == 1_000
    assert monitor.tasks()[0].folder == str(tmp_path / "pushed")


async def test_sessions_follow_the_settings_unless_they_were_given_their_own(monitor: Monitor):
    follows, own = monitor.session("a"), monitor.session("b")
    own.reconfigure(http_maximum_connections_per_host=1, connections=2)
    monitor.preferences.update(connections_per_host=5, connections=3, attempts=7)
    assert follows.configuration.http_maximum_connections_per_host == 5
    assert follows.configuration.connections == 3
    assert follows.configuration.retry_policy.attempts == 7
    assert own.configuration.http_maximum_connections_per_host == 1
    assert own.configuration.connections == 2
    assert monitor.session("c").configuration.connections == 3
