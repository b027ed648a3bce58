"""Who owns the transfers, when processes come and go (K10, K11, K15, K16, K22, K24, P21).

Every test ends with the whole file, made by processes that owned the lock one after the other: each
byte that the server sent was asked for by the owner of that moment, from where the last one had
stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import pwd
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.owners import LIMIT, Place, alive, quick, slow, until
from transfermon.engine.monitor import Monitor
from transfermon.http.resume import OVERLAP
from transfermon.model.events import TERMINAL, Event
from transfermon.storage.settings import Settings

# less than what several connections share, so that its length is how far it is
BODY = random.Random(7).randbytes(8_000_000)


@pytest.fixture
def resource() -> Resource:
    resource = Resource(BODY, etag='"v1"')
    slow(resource)
    return resource


@pytest.fixture
def server(resource: Resource) -> Iterator[ByteServer]:
    with ByteServer(resource) as server:
        yield server


def ranges(server: ByteServer) -> list[int]:
    """Where each request began."""
    found = [
        re.fullmatch(r"bytes=(\d+)-", request.header("Range", "bytes=0-"))
        for request in server.requests
    ]
    return [int(match[1]) for match in found if match is not None]


def is_whole(path: Path) -> bool:
    return hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(BODY).digest()


def a_part_is_there(place: Place) -> int:
    """How much."""
    return until(
        "a part of the file", lambda: received if (received := place.received()) > 200_000 else 0
    )


def taken_over(place: Place, waiter: int | None, task: str) -> None:
    """The waiter is the engine, and moves bytes of the same task."""
    status = place.successor(waiter)
    assert status["window"] is False
    assert place.owner() == waiter
    assert [found["id"] for found in place.tasks()] == [task]


def goes_on(place: Place, than: int) -> None:
    until("new bytes", lambda: place.received() > than)


def finished(place: Place, name: str = "a.bin") -> Path:
    path = place.out / name
    until("the file", path.exists)
    return path


def test_fault_k10_a_killed_owner_is_followed_at_once_by_the_one_that_waited(
    place, server, resource
):
    is_followed_at_once(place, server, resource, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_fault_k24_a_crashed_owner_is_followed_at_once_by_the_one_that_waited(
    place, server, resource, number
):
    is_followed_at_once(place, server, resource, number)


def is_followed_at_once(place, server, resource, number):
    app = place.small_app()
    waiter = place.waiter()
    task = place.add(server.url("/a.bin"))
    had = a_part_is_there(place)
    place.kill(app, number)
    taken_over(place, waiter, task)
    goes_on(place, had)
    quick(resource)
    assert is_whole(finished(place))
    assert len(ranges(server)) == 2
    # Nothing that was there is fetched again but what is compared: no reboot was in between.
    assert ranges(server)[1] >= had - OVERLAP
    until("its end", lambda: not alive(waiter or 0) and place.owner() == 0)


def test_fault_k10_the_window_is_killed_and_the_download_goes_on_and_k11_a_new_window_takes_it_back(
    place, server, resource
):
    app = place.app()
    waiter = place.waiter()
    task = place.add(server.url("/a.bin"))
    had = a_part_is_there(place)
    place.kill(app)
    taken_over(place, waiter, task)
    goes_on(place, had)

    app = place.app()
    assert place.owner() == app.pid
    assert place.status()["window"] is True
    until("the end of the one without a window", lambda: not alive(waiter or 0))
    assert place.waiter() not in (None, waiter)
    goes_on(place, place.received())
    quick(resource)
    assert is_whole(finished(place))
    starts = ranges(server)
    assert len(starts) == 3
    assert starts == sorted(starts)
    assert starts[2] > starts[1] >= had - OVERLAP
    assert [found["id"] for found in place.tasks()] == [task]


@pytest.mark.slow
def test_fault_k24_a_crash_of_the_window_is_told_at_the_next_start_without_secrets(
    place, server, resource
):
    app = place.app()
    waiter = place.waiter()
    task = place.add(server.url("/a.bin?token=s3cret"), headers={"Authorization": "Bearer s3cret"})
    a_part_is_there(place)
    place.kill(app, signal.SIGSEGV)
    taken_over(place, waiter, task)
    report = (place.state / "crash.log").read_text()
    assert report.startswith("Fatal Python error: Segmentation fault")
    assert "s3cret" not in report
    place.app()
    told = [event for event in place.events() if event["type"] == "notification"]
    assert [event["alertTitle"] for event in told] == ["Transfermon crashed the last time"]
    assert str(place.state / "crash.last.log") in told[0]["alertBody"]
    assert (place.state / "crash.last.log").read_text() == report
    assert (place.state / "crash.last.log").stat().st_mode & 0o777 == 0o600
    place.client.request("POST", "/v1/quit")
    until("its end", lambda: place.owner() == 0)
    place.app()
    assert len([event for event in place.events() if event["type"] == "notification"]) == 1


def test_fault_k11_release_means_exit(place, server, resource):
    app = place.small_app()
    waiter = place.waiter()
    place.add(server.url("/a.bin"))
    a_part_is_there(place)
    place.kill(app)
    place.successor(waiter)
    assert place.run("release") == (0, "", "")
    until("its end", lambda: not alive(waiter or 0) and place.owner() == 0)
    assert place.waiter() is None
    (task,) = [json.loads(line) for line in place.run("list", "--json")[1].splitlines()]
    assert task["state"] == "running"  # it is kept, and goes on with the next engine
    quick(resource)
    assert place.run("standby") == (0, "", "")
    assert is_whole(finished(place))


def test_fault_k11_a_get_gives_its_download_to_the_window_and_follows_it(place, server, resource):
    getter = place.start("get", "-q", "-d", str(place.out), server.url("/a.bin"))
    a_part_is_there(place)
    app = place.app()
    assert place.owner() == app.pid
    goes_on(place, place.received())
    quick(resource)
    assert getter.communicate(timeout=LIMIT) == ("", "")
    assert getter.returncode == 0
    assert is_whole(finished(place))
    assert len(ranges(server)) == 2


@pytest.mark.slow
def test_fault_k11_a_window_that_starts_in_the_moment_of_the_crash_gets_the_transfers(
    place, server, resource
):
    app = place.app()
    place.add(server.url("/a.bin"))
    a_part_is_there(place)
    app.kill()
    app = place.app()  # it meets an engine that starts, and does not answer yet
    assert place.owner() == app.pid
    quick(resource)
    assert is_whole(finished(place))


def test_fault_k15_a_killed_standby_leaves_everything_to_the_next_start(place, server, resource):
    app = place.small_app()
    waiter = place.waiter()
    assert waiter is not None
    task = place.add(server.url("/a.bin"))
    had = a_part_is_there(place)
    place.kill(app)
    taken_over(place, waiter, task)
    goes_on(place, had)
    os.kill(waiter, signal.SIGKILL)
    until("its end", lambda: not alive(waiter) and place.owner() == 0)

    place.small_app()
    assert [found["id"] for found in place.tasks()] == [task]
    quick(resource)
    assert is_whole(finished(place))
    assert ranges(server) == sorted(ranges(server))


def test_fault_k15_the_command_standby_goes_on_after_it_was_killed(place, server, resource):
    app = place.small_app()
    waiter = place.waiter()
    assert waiter is not None
    place.add(server.url("/a.bin"))
    a_part_is_there(place)
    place.kill(app)
    place.successor(waiter)
    os.kill(waiter, signal.SIGKILL)
    until("its end", lambda: not alive(waiter) and place.owner() == 0)
    quick(resource)
    assert place.run("standby") == (0, "", "")
    assert is_whole(finished(place))


AS_ANOTHER = """
import contextlib, io, os, platformdirs.unix, sys, transfermon.host.standby
from transfermon.commands.main import main
user, group, home, rehearsal, *words = sys.argv[1:]
with contextlib.redirect_stdout(io.StringIO()):  # loads all: the other user may not be allowed to read it
    main(["--state-dir", rehearsal, "sessions"])
os.setgroups([])
os.setgid(int(group))
os.setuid(int(user))
os.environ.update(HOME=home)
sys.exit(main(words))
"""


def test_fault_k16_two_users_do_not_see_each_other(place, server, resource, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only the superuser may run a program as somebody else")
    try:
        user = pwd.getpwnam("nobody")
    except KeyError:
        pytest.skip("there is no second user")
    place.small_app()
    place.add(server.url("/a.bin"))
    home = tmp_path / "other"
    home.mkdir()
    os.chown(home, user.pw_uid, user.pw_gid)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)  # pytest's own are private

    def as_the_other(*words: str) -> subprocess.CompletedProcess[str]:
        who = [str(user.pw_uid), str(user.pw_gid), str(home), str(tmp_path / "rehearsal")]
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("XDG_", "TRANSFERMON"))
        }
        return subprocess.run(
            [sys.executable, "-c", AS_ANOTHER, *who, *words],
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )

    mine = as_the_other("list")
    assert (mine.returncode, mine.stdout, mine.stderr) == (0, "No transfers.\n", "")
    assert (home / ".local/state/transfermon/engine.lock").stat().st_uid == user.pw_uid
    for words in (["list"], ["pause", "--all"], ["quit"], ["standby"]):
        foreign = as_the_other("--state-dir", str(place.state), *words)
        assert foreign.returncode in (2, 3), words
        assert foreign.stdout == ""
    quick(resource)
    assert is_whole(finished(place))


def test_fault_k22_what_ended_without_a_window_is_told_once_in_order_under_the_same_numbers(
    place, server, resource
):
    app = place.small_app()
    waiter = place.waiter()
    tasks = [place.add(server.url(f"/{name}.bin")) for name in "ab"]
    a_part_is_there(place)
    place.kill(app)
    place.successor(waiter)
    quick(resource)
    until("its end", lambda: not alive(waiter or 0))
    stored = [event for event in place.events() if event["type"] in TERMINAL]
    ended = [event for event in stored if event["type"] == "sessioncompleted"]
    assert sorted(f"{event['session']}:{event['taskIdentifier']}" for event in ended) == tasks
    assert all(event["success"] for event in ended)

    heard = asyncio.run(heard_by_an_app(place))
    assert [event.type for event in heard] == [
        "backgroundtransfer",
        *(event["type"] for event in stored),
        "sessioneventscompleted",
    ]
    assert [event.event_id for event in heard[1:-1]] == [event["eventId"] for event in stored]
    assert asyncio.run(heard_by_an_app(place)) == []


async def heard_by_an_app(place: Place) -> list[Event]:
    """What listeners of the next app are told."""
    heard: list[Event] = []
    async with Monitor.open(str(place.state), settings=Settings()) as monitor:
        monitor.session("com.example.test")
        for name in ("backgroundtransfer", *TERMINAL, "sessioneventscompleted"):
            monitor.add_event_listener(name, heard.append)
        monitor.ready()
        async with asyncio.timeout(LIMIT):
            for _ in range(3):  # told in the turn after, and once it is stored
                await monitor.overview.history(limit=1)
            while heard and heard[-1].type != "sessioneventscompleted":
                await asyncio.sleep(0.01)
    return heard


def test_fault_p21_a_push_reaches_the_engine_without_a_window(place, server, resource):
    (place.state).mkdir(mode=0o700)
    # the address comes from outside: only a setting lets it reach this machine
    host = f"127.0.0.1:{server.port}"
    (place.state / "settings.json").write_text(
        json.dumps({"download_folder": str(place.out), "allowed_hosts": [host]})
    )
    app = place.small_app()
    waiter = place.waiter()
    place.add(server.url("/a.bin"))
    a_part_is_there(place)
    place.kill(app)
    place.successor(waiter)
    url = server.url("/pushed.bin")
    code, _, err = place.run(
        "push", json.dumps({"aps": {"content-available": 1}, "download_url": url})
    )
    assert (code, err) == (0, "")
    quick(resource)
    assert is_whole(finished(place, "pushed.bin"))
    until("its end", lambda: not alive(waiter or 0))
    place.small_app()
    assert {(task["session"], task["status"]) for task in place.tasks()} == {
        ("com.example.test", "Done"),
        ("push", "Done"),
    }


def test_fault_k26_after_a_purge_nothing_runs_and_nothing_is_left(
    place, server, resource, tmp_path
):
    place.environment |= {"HOME": str(tmp_path / "home"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    for name in ("home", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    app = place.app()
    waiter = place.waiter()
    place.add(server.url("/a.bin"))
    a_part_is_there(place)
    assert place.run("quit", "--stop-transfers") == (0, "", "")
    until("their ends", lambda: not alive(app.pid) and not alive(waiter or 0))
    state = os.fsencode(place.state)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and alive(int(entry.name)):
            with contextlib.suppress(OSError):
                assert state not in (entry / "cmdline").read_bytes().split(b"\0"), entry
    manual = (Path(__file__).parents[3] / "docs" / "files.md").read_text()
    listed = manual.replace("`-wal`, `-shm`", "`transfermon.db-wal`, `transfermon.db-shm`")
    unlisted = [path.name for path in place.state.iterdir() if f"`{path.name}" not in listed]
    assert not unlisted
    assert list(place.out.glob(".transfermon-*.part")), (
        "a stopped download keeps its part for a retry; the manual says how to find it"
    )
    assert [
        path for name in ("home", "run") for path in (tmp_path / name).rglob("*") if path.is_file()
    ] == []
