"""A model of sessions, tasks and restarts, driven at random against a real engine and a real
server.

Rule: the model knows only what the specification promises: states by the table, counts of
suspensions, which files must exist. After each step the engine must agree with it; a restart, clean
or not, must change nothing that was accepted.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from tests.helpers.harness import Held
from transfermon.engine.monitor import Monitor
from transfermon.engine.session import Session
from transfermon.engine.session_core import SessionState
from transfermon.model.configuration import RetryPolicy, SessionConfiguration
from transfermon.model.errors import (
    InvalidAction,
    SessionInvalidatedError,
    SessionInvalidatingError,
)
from transfermon.model.events import TERMINAL, Event
from transfermon.model.task import Action, Activity, State, TaskKey
from transfermon.storage.settings import Settings

T = TypeVar("T")
BODY = bytes(range(256)) * 200
LIMIT = 60.0


class Server:
    """`/good…` gives the file, `/none…` is not there, `/held…` gives half of it and waits for
    `release`.
    """

    def __init__(self) -> None:
        self.good = Resource(BODY, etag='"v1"')
        self.held = Held(BODY, len(BODY) // 2, etag='"v1"')

    def __call__(self, conn: Conn, request: Request) -> None:
        if request.target.startswith("/none"):
            conn.send(reply(404))
        else:
            (self.held if request.target.startswith("/held") else self.good)(conn, request)

    def release(self) -> None:
        """From now on the held ones give all."""
        self.held.released.set()


@dataclass
class Known:
    """What the model knows of a task."""

    kind: str  # of the address
    suspensions: int = 0


class Machine(RuleBasedStateMachine):
    tasks: Bundle[TaskKey] = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="transfermon-model."))
        self.out = self.folder / "out"
        self.loop = asyncio.new_event_loop()
        self.serving = Server()
        self.server = ByteServer(self.serving)
        self.known: dict[TaskKey, Known] = {}
        self.ids: dict[str, str] = {}  # event_id -> type, of all terminal events
        self.names: dict[tuple[TaskKey, str], int] = {}
        self.invalidated: set[str] = set()
        self.sequence = 0
        self.number = 0

    # ---- the engine

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        async def limited() -> T:
            async with asyncio.timeout(LIMIT):
                return await work

        return self.loop.run_until_complete(limited())

    @initialize()
    def start(self) -> None:
        self.opened = self._open()
        self.monitor = self.run(self.opened.__aenter__())

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Monitor]:
        async with Monitor.open(
            str(self.folder / "state"), settings=Settings(download_folder=str(self.out))
        ) as monitor:
            monitor.subscribe(self._hear)
            monitor.ready()
            yield monitor

    def _hear(self, event: Event) -> None:
        if event.journalled:
            assert event.sequence > self.sequence, "O-07: the numbers grow, over restarts too"
            self.sequence = event.sequence
        if event.type in TERMINAL:
            assert event.event_id not in self.ids, "O-17: told twice"
            self.ids[event.event_id] = event.type

    def _session(self, name: str) -> Session:
        found = self.monitor.find_session(name)
        if found is not None and found.state is SessionState.ACTIVE:
            return found
        own = SessionConfiguration.background(name)
        own.retry_policy = RetryPolicy(minimum=0.01, maximum=0.02)
        made = self.monitor.create_session(own)
        self._forget(name)  # an earlier one of that name has taken its tasks along
        return made

    def _forget(self, name: str) -> None:
        self.known = {key: known for key, known in self.known.items() if key.session != name}

    # ---- steps

    @rule(
        target=tasks,
        session=st.sampled_from(["one", "two"]),
        kind=st.sampled_from(["good", "none", "held"]),
        started=st.booleans(),
    )
    def add(self, session: str, kind: str, started: bool) -> TaskKey:
        self.number += 1

        async def work() -> TaskKey:
            try:
                own = self._session(session)
            except SessionInvalidatingError:
                await self._settle_session(session)
                own = self._session(session)
            task = own.download_task(self.server.url(f"/{kind}/{self.number}.bin"), start=started)
            await task.accepted
            return task.key

        key = self.run(work())
        assert key not in self.known, "S-08: a number is given once"
        self.invalidated.discard(session)
        self.known[key] = Known(kind, suspensions=0 if started else 1)
        return key

    async def _settle_session(self, name: str) -> None:
        self.serving.release()
        while self.monitor.find_session(name) is not None:
            for key in [key for key in self.known if key.session == name]:
                self.monitor.commands.cancel(key)
            await asyncio.sleep(0.005)

    @rule(key=tasks)
    def suspend(self, key: TaskKey) -> None:
        known = self._listed(key)

        async def work() -> None:
            if known is None or self._listed(key) is None:
                return
            task = self.monitor.handle(key)
            before = task.record
            task.suspend()
            if (
                before.state in (State.RUNNING, State.SUSPENDED)
                and before.activity is not Activity.FINALIZING
            ):
                assert task.state is State.SUSPENDED
                known.suspensions = before.suspend_count + 1
            else:
                assert task.record == before, "T-07"

        self.run(work())

    @rule(key=tasks)
    def resume(self, key: TaskKey) -> None:
        known = self._listed(key)

        async def work() -> None:
            if known is None or self._listed(key) is None:
                return
            task = self.monitor.handle(key)
            before = task.record
            task.resume()
            if before.state is State.SUSPENDED:
                known.suspensions -= 1
                wanted = State.SUSPENDED if known.suspensions else State.RUNNING
                assert task.state is wanted, "T-03: as many resumes as suspensions"
            else:
                assert task.record == before, "T-07"

        self.run(work())

    @rule(key=tasks)
    def cancel(self, key: TaskKey) -> None:
        if self._listed(key) is None:
            return

        async def work() -> None:
            task = self.monitor.handle(key)
            before = task.record
            self.monitor.commands.cancel(key)
            if before.state is State.COMPLETED:
                assert task.record == before, "T-07"
                return
            after = await task.wait()
            assert after.state is State.COMPLETED
            assert after.error is None or after.error.code in (-999, -1011), (
                "T-06, or it had ended by itself"
            )

        self.run(work())

    @rule(key=consumes(tasks), delete=st.booleans())
    def remove(self, key: TaskKey, delete: bool) -> None:
        if self._listed(key) is None:
            return

        async def work() -> None:
            self.monitor.commands.remove(key, delete_file=delete)
            path = ""
            while key in {task.key for task in self.monitor.tasks()}:
                path = self.monitor.task(key).final_path
                await asyncio.sleep(0.002)
            # a session that is over takes its tasks along, the file follows
            while delete and os.path.exists(path):
                await asyncio.sleep(0.002)

        self.run(work())
        del self.known[key]

    @rule(key=tasks)
    def retry(self, key: TaskKey) -> None:
        known = self._listed(key)
        if known is None:
            return

        async def work() -> None:
            before = self.monitor.task(key)
            try:
                self.monitor.commands.retry(key)
            except (InvalidAction, SessionInvalidatedError):
                assert not before.can(Action.RETRY) or key.session in self.invalidated
            else:
                assert before.failed
                assert self.monitor.task(key).state is State.RUNNING
                known.suspensions = 0

        self.run(work())

    @rule()
    def release(self) -> None:
        self.serving.release()

    @rule()
    def let_all_end(self) -> None:
        self.serving.release()

        async def work() -> None:
            for key in list(self.known):
                if (
                    self._listed(key) is not None
                    and self.monitor.task(key).state is not State.SUSPENDED
                ):
                    await self.monitor.handle(key).wait()

        self.run(work())
        for key, known in self.known.items():
            if self.monitor.find_session(key.session) is None:
                continue
            record = self.monitor.task(key)
            if record.state is State.SUSPENDED:
                continue
            assert record.state is State.COMPLETED
            if record.error is None:
                assert known.kind != "none"
                assert Path(record.final_path).read_bytes() == BODY
            else:
                assert (
                    record.error.code == (-1011 if known.kind == "none" else -999)
                    or record.error.code == -999
                )

    @rule()
    def restart(self) -> None:
        """As at the end of the app: everything is as it was."""
        before = {task.key: task for task in self.monitor.tasks()}
        active = {
            session.key for session in self.monitor.sessions if session.state is SessionState.ACTIVE
        }
        self.run(self.opened.__aexit__(None, None, None))
        self.start()
        after = {task.key: task for task in self.monitor.tasks()}
        assert {key for key in before if key.session in active} <= set(after) <= set(before)
        for key, task in after.items():
            old = before[key]
            if old.state is State.COMPLETED or task.state is State.SUSPENDED:
                assert task.state is old.state
                assert task.suspend_count == old.suspend_count
            assert (task.url, task.name or old.name, task.folder) == (
                old.url,
                old.name or task.name,
                old.folder,
            )

    @rule(name=st.sampled_from(["one", "two"]), canceling=st.booleans())
    def invalidate(self, name: str, canceling: bool) -> None:
        session = self.monitor.find_session(name)
        if session is None or session.state is not SessionState.ACTIVE:
            return

        async def work() -> None:
            session.invalidate_and_cancel() if canceling else session.finish_tasks_and_invalidate()
            try:
                session.download_task(self.server.url("/good/x.bin"))
            except SessionInvalidatedError:
                pass
            else:
                raise AssertionError("S-12: an invalidated session took a task")
            if canceling:
                while self.monitor.find_session(name) is not None:
                    await asyncio.sleep(0.002)

        self.run(work())
        self.invalidated.add(name)
        if canceling:
            self._forget(name)

    def _listed(self, key: TaskKey) -> Known | None:
        # its session has ended, and took it along
        if self.monitor.find_session(key.session) is None:
            self.known.pop(key, None)
        return self.known.get(key)

    # ---- what always holds

    @invariant()
    def the_list_agrees(self) -> None:
        if not hasattr(self, "monitor"):
            return
        self.run(asyncio.sleep(0))
        listed = {task.key: task for task in self.monitor.tasks()}
        for key in list(self.known):
            if self._listed(key) is not None:
                assert key in listed, f"I5: {key} was accepted, and is gone"
        for task in listed.values():
            assert task.state is not State.SUSPENDED or task.suspend_count > 0
            assert (
                task.state is State.COMPLETED
                or task.error is None
                or task.activity is Activity.RETRYING
            )
            if task.succeeded and os.path.exists(task.final_path):
                assert os.path.getsize(task.final_path) == len(BODY), "I1"
        for session in self.monitor.sessions:
            own = [task for task in listed.values() if task.session == session.key]
            assert session.outstanding == sum(task.outstanding for task in own)

    def teardown(self) -> None:
        try:
            if hasattr(self, "opened"):
                self.serving.release()
                self.run(self.opened.__aexit__(None, None, None))
            self._check_disk()
        finally:
            self.loop.close()
            self.server.stop()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _check_disk(self) -> None:
        if self.out.exists():
            for name in os.listdir(self.out):
                if not name.startswith(".transfermon-"):
                    assert (self.out / name).read_bytes() == BODY, f"I1: {name}"


SETTINGS = settings(
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    phases=[Phase.generate],  # fifteen steps are few enough to read
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


def test_fault_s8_the_model_and_the_program_agree_after_every_step():
    run_state_machine_as_test(Machine, settings=SETTINGS)
