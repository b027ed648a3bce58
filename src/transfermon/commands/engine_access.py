"""What commands ask of the engine: of the one that runs, or of one that lasts as long as the
question.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from transfermon.host.terminal import DONE, accepted, complain

Arguments = argparse.Namespace
Request = tuple[str, str, "dict[str, Any] | str | None"]  # method, path, body
Reply = tuple[int, "dict[str, Any]"]
# seconds in which an engine that is starting or ending may be neither reached nor owned
_TAKING_TURNS = 3.0


def folder_of(arguments: Arguments) -> str:
    from transfermon.storage.settings import state_folder

    return state_folder(arguments.state_dir)


def ask_engine(state_dir: str, requests: Sequence[Request]) -> list[Reply]:
    """The answers of the running engine; with none running, of one that lasts as long as the
    requests.
    """
    import time

    from transfermon.control.client import Client, EngineGone, NoEngine
    from transfermon.model.errors import EngineBusyError

    deadline = time.monotonic() + _TAKING_TURNS
    while True:
        try:
            client = Client(state_dir)
            return [client.request(*request) for request in requests]
        except EngineGone:
            raise  # half of it may have been done
        except NoEngine:
            try:
                return _answer_here(state_dir, requests)
            except EngineBusyError:
                if time.monotonic() > deadline:
                    raise
        time.sleep(0.05)


def _answer_here(state_dir: str, requests: Sequence[Request]) -> list[Reply]:
    import asyncio
    import json

    from transfermon.control.api import Api
    from transfermon.host.hosting import Host, complain_of_settings

    async def answers() -> list[Reply]:
        owning = Host().owning(state_dir, "a transfermon command", attached=False)
        async with owning as monitor:
            api = Api(monitor, started=False)
            complain_of_settings(monitor)
            out = []
            for method, path, body in requests:
                data = (
                    body if isinstance(body, str) else json.dumps(body) if body is not None else ""
                )
                answer = await api.answer(method, path, data.encode("utf-8", "replace"))
                out.append((answer.status, dict(answer.body)))
            return out

    return asyncio.run(answers())


def ask_once(state_dir: str, request: Request) -> dict[str, Any]:
    """The body of one answer. Raises Wrong with the engine's words when it refuses."""
    return accepted(ask_engine(state_dir, [request])[0])


def all_tasks(state_dir: str) -> list[dict[str, Any]]:
    """What `GET /v1/tasks` answers. With no engine running the tasks are read without becoming one,
    where they can be.
    """
    from transfermon.control.client import Client, EngineGone, NoEngine

    request: Request = ("GET", "/v1/tasks", None)
    try:
        reply = Client(state_dir).request(*request)
    except EngineGone:
        raise
    except NoEngine:
        found = _tasks_at_rest(state_dir)
        return ask_once(state_dir, request)["tasks"] if found is None else found
    tasks: list[dict[str, Any]] = accepted(reply)["tasks"]
    return tasks


def _tasks_at_rest(state_dir: str) -> list[dict[str, Any]] | None:
    import os

    from transfermon.control.json_records import task_dict_at_rest
    from transfermon.model import task_steps
    from transfermon.model.errors import EngineBusyError
    from transfermon.storage.settings import Settings, ensure_private
    from transfermon.storage.tasks_at_rest import tasks_at_rest
    from transfermon.system.lock import EngineLock

    ensure_private(state_dir)
    try:
        lock = EngineLock.acquire(state_dir, "a transfermon command")
    except EngineBusyError:
        return None  # it begins or ends: whoever asks takes turns with it
    try:
        found = tasks_at_rest(os.path.join(state_dir, "transfermon.db"))
        if found is None:
            return None
        for fault in Settings.load(os.path.join(state_dir, "settings.json")).faults:
            complain(fault, code=DONE)
        return [task_dict_at_rest(task_steps.as_found(task)) for task in found]
    finally:
        lock.release()


def ask_running(
    state_dir: str, method: str, path: str, body: dict[str, Any] | str | None = None
) -> dict[str, Any]:
    """The same, of the engine that runs now; NoEngine when none does."""
    from transfermon.control.client import Client

    return accepted(Client(state_dir).request(method, path, body))
