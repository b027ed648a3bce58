"""`transfermon get`, `put` and `send`: hand tasks to the running engine and follow them, or be the
engine meanwhile.

Rule: whoever the engine is may change at any time. The loop in `Getter.run` follows the one that
answers, becomes it when nobody does, and finds its tasks again by their keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import signal
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from typing import TYPE_CHECKING

from transfermon.commands.progress_screens import Screen, _is_not_it, _label
from transfermon.control.client import Client, NoEngine, task_path
from transfermon.host.terminal import (
    DONE,
    FAILED,
    INTERRUPTED,
    Json,
    Wrong,
    accepted,
    complain,
    refusal_words,
)
from transfermon.model.errors import EngineBusyError, StateError
from transfermon.model.task import Kind, State, TaskKey
from transfermon.system.runners import LongWork
from transfermon.text import advice

if TYPE_CHECKING:  # loaded when this process has to be the engine
    from transfermon.control.server import ControlServer
    from transfermon.engine.monitor import Monitor
    from transfermon.host.hosting import Host
    from transfermon.model.events import Event

HAND_OVER = 20.0  # seconds in which the next engine must answer, or free the lock
AFTER_RELEASE = 15.0  # seconds that the one who asked for the lock may take to get it
ENDS = frozenset({"sessioncompleted", "taskremoved"})
_NOT_LOOKED_AT: Json = {}
# of a download that has ended as it should: all that is asked of it where ends alone are shown
_WELL: Json = {"state": "completed", "error": None, "instead": "", "unconfirmed": ""}


class OwnEngine:
    """This process as the engine, asked by plain calls. What it answers is what the control API
    shows. `follows`: all events are wanted, not the ends alone.
    """

    def __init__(self, monitor: Monitor, *, follows: bool) -> None:
        from transfermon.control.api import Api

        self.monitor = monitor
        self.api = Api(monitor, started=False)
        # also of tasks that are being made: nobody knows their keys yet
        self._unheard: deque[Event] = deque()
        monitor.subscribe(self._unheard.append if follows else self._hear_end)

    def _hear_end(self, event: Event) -> None:
        if event.type in ENDS:
            self._unheard.append(event)

    def news(self) -> Iterator[Json]:
        """The events since the last time."""
        from transfermon.control.json_records import event_dict

        while self._unheard:
            yield event_dict(self._unheard.popleft())

    def ends(self, of: Container[str]) -> Iterator[tuple[str, Json]]:
        """Those of these tasks that have ended or left the list since the last time."""
        from transfermon.control.json_records import task_dict

        while self._unheard:
            last = self._unheard.popleft().task
            if last is not None and (name := str(last.key)) in of:
                task = _WELL if self._is_well(last.key) else self.look(name)
                yield name, {**task_dict(last), "state": "removed"} if task is None else task

    def _is_well(self, key: TaskKey) -> bool:
        """Whether it is a file that is there and in the list, and nothing is to be said of it."""
        try:
            task, leaves = self.monitor.task(key), self.monitor.overview.is_leaving(key)
        except KeyError:
            return False
        told = leaves or task.instead or task.unconfirmed
        return task.kind is Kind.DOWNLOAD and task.succeeded and not told

    def look(self, name: str) -> Json | None:
        from transfermon.control.json_records import response_dict, task_dict

        try:
            task = self.monitor.task(TaskKey.parse(name))
        except KeyError:
            return None
        found = task_dict(task, self.monitor.overview.progress(task.key))
        if self.monitor.overview.is_leaving(task.key):
            found["state"] = State.CANCELING.value  # what is to be told of it is that it is gone
        return {
            "sequence": self.monitor.sequence,
            **found,
            **response_dict(self.monitor.overview.kept_response(task.key)),
        }

    def go_on_with(self, names: Iterable[str]) -> None:
        self.monitor.run_only(TaskKey.parse(name) for name in names)

    async def take(self, orders: Iterable[Json]) -> list[str]:
        """The names of the tasks that they have become, which are durable then. All orders are
        checked before the first is taken. Raises Wrong in the words of the control API.
        """
        from transfermon.control.orders import REFUSING, orders_of, refusal_of

        turns = LongWork()
        taken = []
        try:
            for order in orders_of(orders):
                taken.append(await self.api.taker.take(order))
                await turns.give_way()
            for one in taken:
                if one.accepted is not None:
                    await one.accepted
        except REFUSING as exc:
            raise Wrong(refusal_words(refusal_of(exc).body)) from exc
        return [str(one.key) for one in taken]


async def _listen(server: ControlServer) -> None:
    try:
        await server.start()
    except OSError as exc:
        raise StateError(
            f"The control socket {server.path} cannot be made: {exc.strerror or exc}."
        ) from exc


def _load_what_moves(orders: Iterable[Json]) -> None:
    """What the engine would load when it begins with them."""
    downloads = all(order.get("kind", "download") == "download" for order in orders)
    importlib.import_module("transfermon.wire.transport")
    importlib.import_module(f"transfermon.engine.{'download' if downloads else 'upload'}")


class Getter:
    """One run of `transfermon get`, `put` or `send`."""

    def __init__(self, state_dir: str, orders: list[Json], screen: Screen) -> None:
        self._state_dir = state_dir
        self._client = Client(state_dir)
        self._orders = orders
        self._screen = screen
        self._ids: list[str] = []  # of the orders that were taken, in their order
        # as last heard; of those that our own engine runs, and of those that have ended, nothing
        # is kept where the screen does not follow them
        self._tasks: dict[str, Json] = {}
        self._ended: set[str] = set()
        self._failed = False  # something that was asked for is not there

    def __repr__(self) -> str:
        return f"<Getter {len(self._ended)} of {len(self._orders)} ended>"

    def run(self) -> int:
        """Until every download has ended. Raises NoEngine or EngineBusyError where no engine can be
        had.
        """
        try:
            return self._run()
        except KeyboardInterrupt:
            self._screen.close()
            return complain(self._goes_on(), code=INTERRUPTED)
        finally:
            self._screen.close()

    def _run(self) -> int:
        deadline = time.monotonic() + HAND_OVER
        alone_from = 0.0  # before this time the lock is left to the one who asked for it
        while not self._all_ended:
            with contextlib.suppress(NoEngine):
                if self._client.alive():
                    deadline = time.monotonic() + HAND_OVER
                    self._follow()
                    continue
            if time.monotonic() >= alone_from:
                try:
                    released = asyncio.run(self._own())
                except EngineBusyError:
                    if time.monotonic() > deadline:
                        raise
                else:
                    if not self._all_ended and not released:
                        return complain(advice.stopped(self._left()), code=INTERRUPTED)
                    alone_from = time.monotonic() + AFTER_RELEASE
                    deadline = alone_from + HAND_OVER
                    continue
            time.sleep(0.02)
        return FAILED if self._screen.failed or self._failed else DONE

    @property
    def _all_ended(self) -> bool:
        return len(self._ids) == len(self._orders) and len(self._ended) == len(self._tasks)

    @property
    def _unended(self) -> list[str]:
        return [name for name in self._tasks if name not in self._ended]

    def _left(self) -> list[tuple[str, int, str]]:
        tasks = [self._tasks[name] for name in self._unended]
        return [(_label(task), task["received"], task["notResumable"]) for task in tasks]

    def _goes_on(self) -> str:
        left = ", ".join(self._unended) or "what was asked for"
        return (
            f"Following ended; transfermon goes on with {left}. `transfermon pause TASK` stops it."
        )

    # ---- with another process as the engine

    def _follow(self) -> None:
        self._known_again(self._look_there)
        since = []
        for order in self._orders[len(self._ids) :]:
            task = accepted(self._client.request("POST", "/v1/tasks", order))
            since.append(task["sequence"])
            self._taken(task)
        start = min(
            [
                *since,
                *(self._tasks[name]["sequence"] for name in self._unended),
            ],
            default=0,
        )
        if self._all_ended:
            return
        progress = int(self._screen.follows)
        for event in self._client.stream(f"/v1/events?since={start}&follow=1&progress={progress}"):
            self._heard(event, self._look_there)
            if self._all_ended:
                return

    def _look_there(self, name: str) -> Json | None:
        session, _, number = name.rpartition(":")
        status, body = self._client.request("GET", task_path(session, int(number)))
        return body if status == 200 else None

    # ---- as the engine

    async def _own(self) -> bool:
        """True when another engine asked for the state directory."""
        from transfermon.host.hosting import Host, complain_of_settings
        from transfermon.system.stay_awake import COMMAND, Inhibitor

        # in the first turn of the loop that waits: while the store's thread opens the list
        asyncio.get_running_loop().call_soon(_load_what_moves, self._orders)
        host, inhibitor = Host(), Inhibitor(after=COMMAND)
        with host.heeding(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            async with host.owning(
                self._state_dir, "transfermon get", inhibitor=inhibitor
            ) as monitor:
                engine = OwnEngine(monitor, follows=self._screen.follows)
                complain_of_settings(monitor)
                async with host.serving(monitor, api=engine.api, wakes=False) as server:
                    await _listen(server)
                    self._known_again(engine.look)
                    monitor.ready(start_restored=False)
                    engine.go_on_with(self._unended)
                    for name in await engine.take(self._orders[len(self._ids) :]):
                        self._taken_here(name, engine)
                    await self._until_done(host, engine)
                    for name in self._unended:
                        self._tasks[name] = engine.look(name) or self._tasks[name]
                return monitor.released

    async def _until_done(self, host: Host, engine: OwnEngine) -> None:
        while True:
            host.changed.clear()
            if self._screen.follows:
                for event in engine.news():
                    self._heard(event, engine.look)
            else:
                for name, task in engine.ends(self._tasks):
                    self._see(name, task)
            if self._all_ended or host.ending:
                return
            await host.changed.wait()

    # ---- with either

    def _taken_here(self, name: str, engine: OwnEngine) -> None:
        if not self._screen.follows:  # its end comes as an event
            self._ids.append(name)
            self._tasks.setdefault(name, _NOT_LOOKED_AT)
        elif (task := engine.look(name)) is not None:
            self._taken(task)
        else:
            raise Wrong(f"{name} was taken out of the list.")

    def _taken(self, task: Json) -> None:
        name = task["id"]
        is_new = name not in self._tasks  # two orders can be one task
        self._ids.append(name)
        self._tasks[name] = task
        if is_new:
            self._screen.added(task)
        self._see(name, task)

    def _known_again(self, look: Callable[[str], Json | None]) -> None:
        """A new engine: see where our tasks stand."""
        for name in self._unended:
            self._see(name, look(name))

    def _see(self, name: str, task: Json | None) -> None:
        if task is None:
            self._end(name, {**self._tasks[name], "state": "removed"})
        elif task["state"] in ("completed", "removed"):
            if name not in self._ended:
                self._end(name, task)
        else:
            self._tasks[name] = task

    def _heard(self, event: Json, look: Callable[[str], Json | None]) -> None:
        name = f"{event.get('session')}:{event.get('taskIdentifier')}"
        task = self._tasks.get(name)
        if task is None or name in self._ended:
            return
        if not self._screen.follows:
            if event["type"] in ENDS:
                self._see(name, look(name))
            return
        self._screen.event(event, task)
        match event["type"]:
            case "downloadprogress":
                task["received"] = event["totalBytesWritten"]
                task["expected"] = event["totalBytesExpectedToWrite"] if event["totalKnown"] else -1
                task["speed"] = event["speed"]
            case "uploadprogress":
                task["received"], task["expected"] = (
                    event["totalBytesSent"],
                    event["totalBytesExpectedToSend"],
                )
            case "taskstate" | "taskactivity":
                found = look(name)
                # else its end is still to be told
                if found is None or found["state"] != "completed":
                    self._see(name, found)
            case "sessioncompleted" | "taskremoved":
                self._see(name, look(name))
        self._screen.moved(self._tasks.values())

    def _end(self, name: str, task: Json) -> None:
        self._tasks[name] = task if self._screen.follows else _NOT_LOOKED_AT
        self._ended.add(name)
        self._failed = self._failed or _is_not_it(task)
        self._screen.ended(task)
