"""What lives as long as one task goes with it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.sessions import engine_process
from transfermon.engine.monitor import Monitor
from transfermon.engine.session_core import SessionState
from transfermon.engine.task_ends import OUR_MISTAKE
from transfermon.engine.task_run import TaskRun
from transfermon.model.task import Activity, State

pytestmark = pytest.mark.anyio
MIB = 1 << 20
MOST = 40_000_000  # bytes that the process may have grown by; the answers alone were 200 MiB

MANY_ANSWERS = """
import ctypes, gc, json, os, weakref

def resident():
    gc.collect()
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)  # what is held is asked for, not what the allocator keeps for later
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def held():
    holders = [session, session._core, monitor._engine.answers]
    return [name for one in holders for name, value in vars(one).items() if isinstance(value, dict | set | list) and value]

async def gone(tasks):
    for task in tasks:
        record = await task.wait()
        assert record.succeeded and len(task.response_body or "x" * {mib}) == {mib}, record
    for task in tasks:
        monitor.commands.remove(task.key)
    while session.tasks.records() or session._core.leaving:
        await asyncio.sleep(0.01)

await gone([session.data_task({url!r})])  # brings the libraries
before = resident()
tasks = [session.data_task({url!r}) for _ in range(200)]
runs = [weakref.ref(run) for run in session.tasks]
await gone(tasks)
del tasks
while any(run() is not None for run in runs):  # until the last event of each has been told
    await asyncio.sleep(0.01)
    gc.collect()
print(json.dumps({{"runs": len(runs), "held": held(), "grown": resident() - before}}), flush=True)
"""


async def test_of_two_hundred_answers_nothing_is_left_when_their_tasks_have_been_removed(
    tmp_path: Path,
):
    with ByteServer(Resource(b"x" * MIB)) as server:
        script = MANY_ANSWERS.format(url=server.url("/answer"), mib=MIB)
        with engine_process(tmp_path, script) as process:
            assert process.stdout is not None
            found = json.loads(await asyncio.to_thread(process.stdout.readline))
    assert (found["runs"], found["held"]) == (200, [])
    assert found["grown"] <= MOST


async def test_transfers_whose_last_step_fails_while_their_session_is_cancelled_wait_for_no_other(
    tmp_path: Path,
):
    """What had its file's name ends before the cancelled ones (O-12); two of these must not wait
    for each other.
    """
    async with Monitor.open(str(tmp_path / "state")) as monitor:
        monitor.ready()
        session = monitor.session("s")
        refused = asyncio.Event()

        async def give_the_name(run: TaskRun) -> None:
            await refused.wait()
            run.runner = None
            await run._attempt_ended(run._new_attempt(), OUR_MISTAKE, stopped=False)

        for n in range(2):
            session.download_task(f"http://127.0.0.1:9/{n}", start=False)
        for run in session.tasks:
            run.change(state=State.RUNNING, activity=Activity.FINALIZING)
            run.runner = asyncio.create_task(give_the_name(run))
        session.invalidate_and_cancel()
        refused.set()
        async with asyncio.timeout(30):
            await asyncio.gather(*(run.ended() for run in session.tasks))
        assert session.state is SessionState.INVALIDATED
