"""What a session keeps beside its tasks: made durable, emptied on request, forgotten at its end
(S-16, S-17).
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable, Iterable
from typing import Any

from transfermon.engine import task_files
from transfermon.engine.session_core import SessionCore
from transfermon.model.task import Task
from transfermon.storage.tables import part_paths

Done = Callable[[dict[str, bool]], Any]  # gets {"completed": True}; may return an awaitable


async def flush(core: SessionCore, callback: Done | None) -> None:
    engine = core.engine
    await engine.vault.saved()
    await engine.store.read(lambda database: None)  # after all that was queued before
    if engine.transport is not None:
        engine.transport.drop_idle(core.key)
    if callback is not None:
        answer = callback({"completed": True})
        if inspect.isawaitable(answer):
            await answer


async def empty(core: SessionCore, tasks: Iterable[Task], callback: Done | None) -> None:
    """Cookies, the credentials of ended tasks, and part files in the engine's own folder that no
    task knows.
    """
    engine = core.engine
    for task in tasks:
        if not task.outstanding:
            engine.vault.drop(str(task.key))
    if engine.transport is not None:
        engine.transport.forget(core.key)
    known = await engine.store.read(part_paths)  # of all sessions, ended tasks too
    await asyncio.to_thread(task_files.drop_orphans, os.path.join(engine.state_dir, "parts"), known)
    await flush(core, callback)


def forget(core: SessionCore, tasks: Iterable[Task]) -> None:
    """The session is over: nothing of its tasks stays but finished files, and parts that resume
    data names.
    """
    engine = core.engine
    engine.vault.drop(core.key)
    engine.vault.drop(f"{core.key} proxy")
    wanted = {
        path for row in engine.resume_rows.values() if not row.spent for path in row.task.part_paths
    }
    for task in tasks:
        engine.vault.drop(str(task.key))
        if task.spooled:
            drop = asyncio.to_thread(task_files.drop_file, task.source)
            engine.runners.spawn(drop, f"drop the body of {task.key}")
        for path in task.part_paths:
            if path not in wanted:
                engine.runners.spawn(
                    asyncio.to_thread(task_files.drop_part, path), f"forget {task.key}"
                )
    if engine.transport is not None:
        engine.transport.forget(core.key)
        engine.transport.drop_idle(core.key)
