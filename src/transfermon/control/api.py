"""What the control API answers, apart from how it is asked: HTTP in `control`, a call in the
command line's own engine.

Rule: it knows the Monitor and the rules only. Every refusal is an RFC 9457 problem; JSON becomes a
record at this door.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from transfermon.control.answers import ApiAnswer, problem_answer
from transfermon.control.json_records import (
    _status,
    event_dict,
    plain_record,
    response_dict,
    task_dict,
    task_dict_at_rest,
)
from transfermon.control.orders import (
    REFUSING,
    Fields,
    OrderRefused,
    json_body,
    number_of,
    order_of,
    refusal_of,
    utf8_text,
)
from transfermon.control.taking import OrderTaker
from transfermon.model.events import Event
from transfermon.model.task import Action, Progress, State, Task, TaskKey
from transfermon.model.translate import in_english
from transfermon.model.wake_policy import Wake, WakeVerdict, verdict_text
from transfermon.system.runners import LongWork
from transfermon.wire.simulation import NONE, profile_named

if TYPE_CHECKING:  # handed in: the command line makes it, and loads it only where it needs one
    from transfermon.engine.monitor import Monitor


HISTORY = 100_000  # journalled events that one answer replays at the most: the newest ones
SETTLING = 5.0  # seconds that a cancelled task may take to let go


ACTIONS = {
    "pause": Action.SUSPEND,
    "resume": Action.RESUME,
    "cancel": Action.CANCEL,
    "retry": Action.RETRY,
    "remove": Action.REMOVE,
}


class Api:
    """Answers requests from the Monitor; the command line uses it in its own process, too."""

    def __init__(self, monitor: Monitor, *, started: bool = True) -> None:
        self._monitor = monitor
        self.taker = OrderTaker(monitor, started=started)

    async def answer(self, method: str, target: str, body: bytes = b"") -> ApiAnswer:
        """Never raises for what was asked; every refusal is an RFC 9457 problem."""
        try:
            return await self._route(method, target, body)
        except REFUSING as exc:
            return refusal_of(exc)

    async def _route(self, method: str, target: str, body: bytes) -> ApiAnswer:
        path, _, query = target.partition("?")
        match path.strip("/").split("/"):
            case ["v1", "status"]:
                _only(method, "GET")
                return self._status()
            case ["v1", "sessions"]:
                _only(method, "GET")
                return ApiAnswer(
                    body={
                        "sessions": [
                            plain_record(info)
                            for info in self._monitor.overview.snapshot().sessions
                        ]
                    }
                )
            case ["v1", "tasks"]:
                _only(method, "GET", "POST")
                return await self._add(json_body(body)) if method == "POST" else await self._tasks()
            case ["v1", "tasks", session, number]:
                _only(method, "GET")
                return ApiAnswer(body=self._one(_key(session, number)))
            case ["v1", "tasks", session, number, action] if action in ACTIONS:
                _only(method, "POST")
                return await self._act(_key(session, number), action, json_body(body))
            case ["v1", "events"]:
                _only(method, "GET")
                return await self._events(number_of(query, "since"))
            case ["v1", "push"]:
                _only(method, "POST")
                return _wake_answer(await self._monitor.push(utf8_text(body)))
            case ["v1", "fetch"]:
                _only(method, "POST")
                return _wake_answer(await self._monitor.fetch())
            case ["v1", "wakes"]:
                _only(method, "GET")
                return ApiAnswer(
                    body={"wakes": [wake.to_dict() for wake in self._monitor.background.ledger]}
                )
            case ["v1", "simulate", ("suspend" | "wake") as word]:
                _only(method, "POST")
                return self._simulate(word)
            case ["v1", "simulate", "network"]:
                _only(method, "GET", "POST")
                return self._network(json_body(body) if method == "POST" else {})
            case ["v1", "show"]:
                _only(method, "POST")
                return self._show(json_body(body))
            case ["v1", ("release" | "quit") as word]:
                _only(method, "POST")
                return await self._end(word, json_body(body))
        raise OrderRefused(
            404, "There is no such thing.", "The control API is described in the manual."
        )

    def _status(self) -> ApiAnswer:
        return ApiAnswer(
            body={
                **plain_record(self._monitor.overview.status()),
                "window": self._monitor.on_show is not None,
            }
        )

    async def _tasks(self) -> ApiAnswer:
        snapshot = self._monitor.overview.snapshot()
        live = self._monitor.overview.running_progress()
        turns = LongWork()
        found = []
        for task in snapshot.tasks:
            found.append(self._dict(task, live.get(task.key)))
            await turns.give_way()
        return ApiAnswer(body={"sequence": snapshot.sequence, "tasks": found})

    def _dict(self, task: Task, progress: Progress | None) -> dict[str, Any]:
        if self.taker.is_at_rest(task.key):
            return task_dict_at_rest(task)
        return task_dict(task, progress)

    def _one(self, key: TaskKey) -> dict[str, Any]:
        found = self._dict(self._record(key), self._monitor.overview.progress(key))
        return {
            "sequence": self._monitor.sequence,
            **found,
            **response_dict(self._monitor.overview.kept_response(key)),
        }

    def _record(self, key: TaskKey) -> Task:
        task = self._find(key)
        if task is None:
            raise OrderRefused(
                404, f"There is no task {key}.", "`transfermon list` shows those that are there."
            )
        return task

    async def _act(self, key: TaskKey, action: str, body: dict[str, Any]) -> ApiAnswer:
        task = self._record(key)
        url, delete_file = _act_options(action, body)
        # it is tried already, or waits for it: no error
        if action == "retry" and task.state is State.RUNNING:
            self._monitor.commands.hasten(key, url=url or None)
            self.taker.name(key)
            return ApiAnswer(
                body=self._dict(self._record(key), self._monitor.overview.progress(key))
            )
        if not task.can(ACTIONS[action]):
            raise OrderRefused(409, f"Task {key} cannot be {_PAST[action]}: it is {_status(task)}.")
        match action:
            case "pause":
                self._monitor.commands.suspend(key)
            case "resume":
                self._monitor.commands.resume(key)
            case "cancel":
                self._monitor.commands.cancel(key)
            case "retry":
                self._monitor.commands.retry(key, url=url or None)
            case _:
                self._monitor.commands.remove(key, delete_file=delete_file)
        self.taker.name(key)
        answer = task_dict(
            await self._settled(key, action) or task, self._monitor.overview.progress(key)
        )
        if delete_file and task.final_path and self._find(key) is None:
            answer["fileDeleted"] = not await asyncio.to_thread(os.path.lexists, task.final_path)
        return ApiAnswer(body=answer)

    async def _settled(self, key: TaskKey, action: str) -> Task | None:
        """The record when the action has taken effect; one that hangs is not waited for longer than
        `SETTLING`.
        """
        changed = asyncio.Event()
        leave = self._monitor.subscribe(lambda _: changed.set())
        try:
            async with asyncio.timeout(SETTLING):
                while not _has_settled(self._find(key), action):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            pass  # its state says so
        finally:
            leave()
        return self._find(key)

    def _find(self, key: TaskKey) -> Task | None:
        try:
            return self._monitor.task(key)
        except KeyError:
            return None

    async def _add(self, body: dict[str, Any]) -> ApiAnswer:
        """Answered when the task is durable."""
        taken = await self.taker.take(order_of(body))
        if taken.accepted is not None:
            await taken.accepted
        return ApiAnswer(
            status=200 if taken.accepted is None else 201,
            body={**self._one(taken.key), "sequence": taken.sequence},
        )

    async def _events(self, since: int) -> ApiAnswer:
        """The journal as one body; over HTTP it is a stream, which `ControlConnection` sends itself."""
        return ApiAnswer(
            body={
                "events": [event_dict(event) for event in await events_since(self._monitor, since)]
            }
        )

    def _simulate(self, word: str) -> ApiAnswer:
        """B-17. Asking for what is so already changes nothing."""
        if word == "suspend":
            self._monitor.presence.suspend()
        else:
            self._monitor.presence.wake()
        return ApiAnswer(body={"suspended": self._monitor.presence.suspended})

    def _network(self, body: dict[str, Any]) -> ApiAnswer:
        """What is named changes, the rest stays; `off` forgets the rest first. `loss` is in per
        cent.
        """
        fields = Fields(body)
        now = NONE if fields.flag("off") else self._monitor.bad_network.simulation
        profile = fields.text("profile")
        wanted = dataclasses.replace(
            now,
            offline=fields.flag("offline", default=now.offline),
            profile=profile_named(profile) if profile else now.profile,
            loss=fields.number("loss", default=now.loss * 100) / 100,
        )
        if "answer" in body:
            wanted = dataclasses.replace(
                wanted, status=fields.count("answer"), answers=fields.count("count")
            )
        if fields.flag("changeEtag"):
            wanted = wanted.next_version()
        drop = fields.flag("drop")
        fields.end()
        self._monitor.bad_network.simulate(wanted)
        dropped = self._monitor.bad_network.drop_connections() if drop else 0
        return ApiAnswer(body={**wanted.to_dict(), "dropped": dropped})

    def _show(self, body: dict[str, Any]) -> ApiAnswer:
        fields = Fields(body)
        add, urls = fields.flag("add"), fields.texts("urls")
        fields.end()
        if not self._monitor.show():
            raise OrderRefused(
                409, "This engine has no window.", "`transfermon gui` takes the transfers over."
            )
        if (add or urls) and self._monitor.on_given is not None:
            self._monitor.on_given(urls)
        return ApiAnswer(body={"shown": True})

    async def _end(self, word: str, body: dict[str, Any]) -> ApiAnswer:
        fields = Fields(body)
        stop = fields.flag("stopTransfers") if word == "quit" else False
        fields.end()
        if stop:
            # one that hangs ends with the engine; nobody goes on with it
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTLING):
                    await self._monitor.stop_transfers()
        then = partial(self._monitor.request_quit, released=word == "release")
        return ApiAnswer(status=202, body={"ending": True, "pid": os.getpid()}, then=then)


def _act_options(action: str, body: dict[str, Any]) -> tuple[str, bool]:
    fields = Fields(body)
    url = fields.text("url") if action == "retry" else ""
    delete_file = fields.flag("deleteFile") if action == "remove" else False
    fields.end()
    return url, delete_file


def _has_settled(task: Task | None, action: str) -> bool:
    if action == "remove":
        return task is None
    return action != "cancel" or task is None or task.state is State.COMPLETED


_PAST = {
    "pause": "paused",
    "resume": "resumed",
    "cancel": "cancelled",
    "retry": "tried again",
    "remove": "removed",
}


async def events_since(monitor: Monitor, since: int) -> list[Event]:
    """All journalled events after `since`, oldest first, the newest `HISTORY` of them."""
    return (
        await monitor.overview.history(since=since, limit=HISTORY)
        if since < monitor.sequence
        else []
    )


def _wake_answer(wake: Wake) -> ApiAnswer:
    """200 when it was delivered, 202 when it waits, 409 when the policy refuses it."""
    if wake.verdict is WakeVerdict.REFUSED:
        with in_english():
            return problem_answer(409, verdict_text(wake))
    return ApiAnswer(status=202 if wake.waiting else 200, body=wake.to_dict())


def _only(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise OrderRefused(405, f"{method[:20]} is not possible here.", allow=", ".join(allowed))


def _key(session: str, number: str) -> TaskKey:
    return TaskKey.parse(f"{unquote(session)}:{number}")
