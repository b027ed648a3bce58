"""A simulated network (UX 2) on the real path of bytes: against a farm in another process, and byte
by byte.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Resource, rest
from tests.helpers.farm import Farm, expected_sha256
from tests.helpers.recorder import Recorder, eventually
from tests.helpers.sessions import code_of, default_session, quick_session
from tests.promises.rules.conftest import OpenMonitor
from transfermon.commands import main
from transfermon.control.api import Api
from transfermon.control.server import ControlServer
from transfermon.engine.monitor import Monitor, Session, TransferTask
from transfermon.model.task import Activity
from transfermon.text.humanize import event as event_text
from transfermon.wire.simulation import NONE, PROFILES, Profile, Simulation, profile_named

pytestmark = pytest.mark.anyio
OFFLINE = Simulation(offline=True)
SIZE = 8_000_000


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with Farm.start(
        "--data-dir", str(tmp_path_factory.mktemp("farm")), "--fault", "rate=4M"
    ) as farm:
        yield farm


@pytest.fixture
def big(farm: Farm) -> str:
    return f"{farm.url}bytes/{SIZE}"


def received(monitor: Monitor, task: TransferTask) -> int:
    progress = monitor.overview.progress(task.key)
    return -1 if progress is None else progress.received


async def moving(monitor: Monitor, task: TransferTask, least: int = 300_000) -> None:
    await eventually(lambda: received(monitor, task) >= least)


# ---- offline


async def test_offline_makes_tasks_wait_in_words_and_online_lets_them_go_on_from_their_bytes(
    monitor: Monitor, big: str, downloads: Path, recorder: Recorder
):
    task = monitor.session("com.example.test").download_task(big)
    await moving(monitor, task)
    monitor.bad_network.simulate(OFFLINE)
    await eventually(lambda: task.activity is Activity.WAITING_FOR_CONNECTIVITY)
    assert task.record.waiting_reason == "The network simulation is offline."
    assert task.record.received > 0
    monitor.bad_network.simulate(NONE)
    assert (await task.wait()).succeeded
    resumed = await recorder.wait_for("downloadresumed", task)
    assert resumed.file_offset > 0
    whole = (downloads / task.record.name).read_bytes()
    assert hashlib.sha256(whole).hexdigest() == expected_sha256(SIZE)


async def test_offline_a_new_task_asks_nobody(
    monitor: Monitor, session: Session, server: ByteServer
):
    monitor.bad_network.simulate(OFFLINE)
    task = session.download_task(server.url("/a"))
    assert task.activity is Activity.WAITING_FOR_CONNECTIVITY
    monitor.bad_network.simulate(NONE)
    assert (await task.wait()).succeeded
    assert server.connections == 1


async def test_offline_a_default_session_fails_at_once(monitor: Monitor, server: ByteServer):
    monitor.bad_network.simulate(OFFLINE)
    task = default_session(monitor).download_task(server.url("/a"))
    await task.wait()
    assert code_of(task) == -1009
    assert server.connections == 0


async def test_offline_breaks_a_default_sessions_transfer(monitor: Monitor, big: str):
    task = default_session(monitor).download_task(big)
    await moving(monitor, task)
    monitor.bad_network.simulate(OFFLINE)
    await task.wait()
    assert code_of(task) in (-1005, -1009)


async def test_the_simulation_ends_with_its_engine(open_monitor: OpenMonitor, server: ByteServer):
    async with open_monitor() as monitor:
        monitor.bad_network.simulate(OFFLINE)
        key = monitor.session("com.example.test").download_task(server.url("/a")).key
    async with open_monitor() as monitor:
        assert monitor.bad_network.simulation == NONE
        assert (await monitor.handle(key).wait()).succeeded


# ---- dropped connections


async def test_dropped_connections_break_tasks_which_go_on_from_their_stored_bytes(
    monitor: Monitor, big: str, downloads: Path, recorder: Recorder
):
    session = quick_session(monitor)
    tasks = [session.download_task(f"{big}?{number}") for number in (1, 2)]
    for task in tasks:
        await moving(monitor, task)
    assert monitor.bad_network.drop_connections() == 2
    for task in tasks:
        waiting = await recorder.wait_for("taskstate", task)
        assert waiting.activity == "retrying"
        assert (await task.wait()).succeeded
        assert (await recorder.wait_for("downloadresumed", task)).file_offset > 0
        whole = (downloads / task.record.name).read_bytes()
        assert hashlib.sha256(whole).hexdigest() == expected_sha256(SIZE)
    assert monitor.bad_network.drop_connections() == 0


async def test_a_body_that_h11_reads_is_dropped_too(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    resource.stall_after = 50_000
    session = quick_session(monitor)
    small = session.download_task(server.url("/a"))
    await moving(monitor, small, 50_000)
    resource.stall_after = None
    assert monitor.bad_network.drop_connections() == 1
    assert (await small.wait()).succeeded
    assert server.requests[-1].header("Range") == rest(50_000)


async def test_a_dropped_upload_is_sent_again(
    monitor: Monitor, server: ByteServer, tmp_path: Path, recorder: Recorder
):
    source = tmp_path / "out.bin"
    source.write_bytes(bytes(6_000_000))  # more than the socket buffers hold
    monitor.bad_network.simulate(
        Simulation(profile=Profile(name="Slow", rate=300_000, latency=0.0))
    )
    task = quick_session(monitor).upload_task(
        server.url("/in"), str(source), method="PUT", protocol="plain"
    )
    await moving(monitor, task, 10_000)
    monitor.bad_network.simulate(NONE)
    assert monitor.bad_network.drop_connections() == 1
    assert (await recorder.wait_for("taskstate", task)).activity == "retrying"
    assert (await task.wait()).succeeded
    assert [len(request.body) for request in server.requests] == [6_000_000]


async def test_a_body_under_tls_is_dropped_on_the_pumps_thread(
    open_monitor: OpenMonitor, resource: Resource, downloads: Path
):
    resource.body *= 10
    resource.stall_after = 2_000_000
    with ByteServer(resource, tls=True) as server:
        async with open_monitor() as monitor:
            (await monitor._engine.lines())._contexts.contexts["", ""] = server.client_context()
            task = quick_session(monitor).download_task(server.url("/a.bin"))
            await moving(monitor, task, 2_000_000)
            resource.stall_after = None
            assert monitor.bad_network.drop_connections() == 1
            assert (await task.wait()).succeeded
            assert server.requests[1].header("Range") == rest(2_000_000)
            assert (downloads / "a.bin").read_bytes() == resource.body


# ---- slow and lossy


async def test_a_slow_line_slows_what_runs_already_and_its_end_lets_it_run_again(
    monitor: Monitor, big: str
):
    task = monitor.session("com.example.test").download_task(big)
    await moving(monitor, task)
    monitor.bad_network.simulate(
        Simulation(profile=Profile(name="Thread", rate=20_000, latency=0.0))
    )
    limiter = monitor._engine._limiters[""]
    assert limiter.rate == 20_000
    began, before = time.monotonic(), received(monitor, task)
    await moving(monitor, task, before + 1)
    seconds = time.monotonic() - began
    # what was read in the turn that was under way, and a tenth of a second's worth, come on top
    assert received(monitor, task) - before <= 2_200_000 + 20_000 * seconds
    assert not task.record.succeeded
    monitor.bad_network.simulate(NONE)
    assert limiter.rate == 0
    assert (await task.wait()).succeeded


async def test_a_rate_holds_for_a_whole_body_and_for_an_upload(
    monitor: Monitor, server: ByteServer, resource: Resource, tmp_path: Path
):
    monitor.bad_network.simulate(
        Simulation(profile=Profile(name="Slow", rate=600_000, latency=0.0))
    )
    began = time.monotonic()
    assert (
        await monitor.session("com.example.test").download_task(server.url("/a")).wait()
    ).succeeded
    assert time.monotonic() - began >= (len(resource.body) - 60_000) / 600_000 * 0.9
    source = tmp_path / "out.bin"
    source.write_bytes(bytes(300_000))
    began = time.monotonic()
    assert (
        await monitor.session("com.example.test")
        .upload_task(server.url("/in"), str(source), method="PUT", protocol="plain")
        .wait()
    ).succeeded
    assert time.monotonic() - began >= (300_000 - 60_000) / 600_000 * 0.9


async def test_the_settings_limit_counts_where_it_is_lower(monitor: Monitor, server: ByteServer):
    monitor.preferences.update(speed_limit=100_000_000)
    assert (
        await monitor.session("com.example.test").download_task(server.url("/a")).wait()
    ).succeeded
    limiter = monitor._engine._limiters[""]
    monitor.bad_network.simulate(Simulation(profile=profile_named("3g")))
    assert limiter.rate == 200_000
    monitor.preferences.update(speed_limit=50_000)
    assert limiter.rate == 50_000
    monitor.bad_network.simulate(NONE)
    assert limiter.rate == 50_000


async def test_latency_is_met_by_the_connection_and_by_the_request(
    monitor: Monitor, server: ByteServer
):
    monitor.bad_network.simulate(Simulation(profile=Profile(name="Moon", rate=0, latency=0.15)))
    began = time.monotonic()
    assert (
        await monitor.session("com.example.test").download_task(server.url("/a")).wait()
    ).succeeded
    assert time.monotonic() - began >= 0.3


async def test_a_lossy_line_breaks_requests_and_running_bodies(
    monitor: Monitor, server: ByteServer, big: str, recorder: Recorder
):
    running = quick_session(monitor).download_task(big)
    await moving(monitor, running)
    monitor.bad_network.simulate(Simulation(loss=1.0))
    asking = quick_session(monitor).download_task(server.url("/a"))
    for task in (running, asking):
        assert (await recorder.wait_for("taskstate", task)).activity == "retrying"
    monitor.bad_network.simulate(NONE)
    for task in (running, asking):
        assert (await task.wait()).succeeded


# ---- answers and entity tags


@pytest.mark.parametrize("tls", [False, True])
async def test_a_counted_answer_is_given_in_place_of_the_server_and_used_up(
    open_monitor: OpenMonitor, resource: Resource, tls: bool
):
    with ByteServer(resource, tls=tls) as server:
        async with open_monitor() as monitor:
            if tls:
                (await monitor._engine.lines())._contexts.contexts["", ""] = server.client_context()
            monitor.bad_network.simulate(Simulation(status=503, answers=2))
            task = quick_session(monitor).download_task(server.url("/a"))
            assert (await task.wait()).succeeded
            assert monitor.bad_network.simulation == NONE
            assert [row.response for row in task.metrics.transactions] == [503, 503, 200]
            assert len(server.requests) == 1


async def test_an_answer_without_a_count_stays_and_no_idle_connection_slips_by(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource
):
    resource.body = b"small"
    assert (await session.download_task(server.url("/a")).wait()).succeeded
    monitor.bad_network.simulate(Simulation(status=404))
    for name in ("/b", "/c"):
        task = session.download_task(server.url(name))
        await task.wait()
        assert task.error is not None
        assert task.error.status == 404
    assert len(server.requests) == 1


async def test_an_answer_comes_through_a_proxys_tunnel_without_the_proxy(monitor: Monitor):
    monitor.bad_network.simulate(Simulation(status=404))
    session = quick_session(monitor, proxy="http://127.0.0.1:9")  # nobody is there
    task = session.download_task("https://example.org/a")
    await task.wait()
    assert task.error is not None
    assert task.error.status == 404


async def test_an_upload_is_answered_before_the_server_has_a_byte(
    monitor: Monitor, server: ByteServer, tmp_path: Path, recorder: Recorder
):
    source = tmp_path / "out.bin"
    source.write_bytes(bytes(3_000_000))
    monitor.bad_network.simulate(Simulation(status=503, answers=1))
    task = quick_session(monitor).upload_task(
        server.url("/in"), str(source), method="PUT", protocol="plain"
    )
    assert (await task.wait()).succeeded
    assert [row.response for row in task.metrics.transactions] == [503, 200]
    assert [len(request.body) for request in server.requests] == [3_000_000]


async def test_a_changed_entity_tag_makes_a_download_start_over_once_and_then_resume(
    monitor: Monitor, server: ByteServer, resource: Resource, downloads: Path, recorder: Recorder
):
    resource.stall_after = 50_000
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    await moving(monitor, task, 50_000)
    monitor.bad_network.simulate(NONE.next_version())
    monitor.bad_network.drop_connections()
    await eventually(
        lambda: (found := task.record.validators) is not None and found.etag == '"v1~1"'
    )
    await moving(monitor, task, 50_000)  # of the new version
    assert server.requests[1].header("Range") == ""
    assert task.record.restarts == 1
    resource.stall_after = None
    monitor.bad_network.drop_connections()
    assert (await task.wait()).succeeded
    assert server.requests[2].header("If-Range") == '"v1"'
    assert server.requests[2].header("Range") == rest(50_000)
    assert (downloads / "a.bin").read_bytes() == resource.body


# ---- telling, and the control API


async def test_observers_hear_of_each_change_once(monitor: Monitor):
    heard = []
    monitor.subscribe(
        lambda event: heard.append(event) if event.type == "networksimulation" else None
    )
    for simulation in (
        Simulation(profile=PROFILES[2], loss=0.05),
        Simulation(profile=PROFILES[2], loss=0.05),
        NONE,
    ):
        monitor.bad_network.simulate(simulation)
    await eventually(lambda: len(heard) == 2)
    assert [event_text(event) for event in heard] == [
        "Network simulation: 3G, 5 % lost",
        "Network simulation: off",
    ]
    assert heard[0].to_dict()["simulation"]["profile"] == "3G"


async def test_the_control_api_changes_what_is_named_and_keeps_the_rest(monitor: Monitor):
    api = Api(monitor)

    async def ask(body: str, status: int = 200):
        answer = await api.answer("POST", "/v1/simulate/network", body.encode())
        assert answer.status == status, answer.body
        return answer.body

    assert (await ask('{"profile": "3g", "loss": 5}'))["words"] == "3G, 5 % lost"
    assert (await ask('{"answer": 503, "count": 2, "changeEtag": true}'))["words"] == (
        "3G, 5 % lost, answers 503 2 times, ETags changed"
    )
    assert (await ask('{"profile": "none", "answer": 0, "drop": true}'))["dropped"] == 0
    assert monitor.bad_network.simulation == Simulation(loss=0.05, version=1)
    assert (await api.answer("GET", "/v1/simulate/network")).body[
        "words"
    ] == "5 % lost, ETags changed"
    assert (await ask('{"off": true, "offline": true}'))["words"] == "offline"
    for bad in (
        '{"loss": 101}',
        '{"loss": true}',
        '{"profile": "5G"}',
        '{"answer": 200}',
        '{"count": 1}',
        '{"rain": 1}',
    ):
        await ask(bad, 400)
    assert monitor.bad_network.simulation == OFFLINE
    assert (await ask('{"off": true}'))["on"] is False


async def test_the_command_line_changes_what_is_named(
    monitor: Monitor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    async def run(*words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(
            main.main, ["--state-dir", str(tmp_path / "state"), "simulate", *words]
        )
        said = capsys.readouterr()
        return code, said.out + said.err

    server = ControlServer(monitor)
    await server.start()
    try:
        assert await run("network") == (0, "Network simulation: off\n")
        assert await run("network", "--profile", "3g", "--loss", "5", "--offline") == (
            0,
            "Network simulation: offline, 3G, 5 % lost\n",
        )
        words = (
            "--no-offline",
            "--drop",
            "--answer",
            "503",
            "--count",
            "1",
            "--etag-change",
            "--profile",
            "none",
        )
        assert await run("network", *words) == (
            0,
            "Network simulation: 5 % lost, answers 503 once, ETags changed\n0 connections were dropped.\n",
        )
        assert monitor.bad_network.simulation == Simulation(
            loss=0.05, status=503, answers=1, version=1
        )
        assert (await run("network", "--profile", "5g"))[0] == 2
        assert (await run("network", "--count", "1"))[0] == 2
        assert (await run("suspend", "--offline"))[0] == 2
        assert not monitor.presence.suspended
        assert await run("network", "--off") == (0, "Network simulation: off\n")
    finally:
        await server.close()
