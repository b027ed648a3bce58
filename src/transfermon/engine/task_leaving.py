"""What a task leaves behind: resume data when it is cancelled; and nothing when it is taken out of
the list, neither parts, body, answer nor secrets, nor the finished file where a person says so.
"""

from __future__ import annotations

import asyncio
import contextlib

from transfermon.engine import task_files
from transfermon.engine.resume_data import ResumeOffer
from transfermon.engine.session_core import Recorded, SessionCore
from transfermon.engine.shared import Engine
from transfermon.model.errors import StateError
from transfermon.model.events import TaskRemovedEvent
from transfermon.model.task import Task
from transfermon.storage.changes import Change, ResumeRow


async def keep_offer(engine: Engine, row: ResumeRow) -> None:
    """Make resume data durable, the headers that belong to it first."""
    await engine.vault.saved()
    await engine.store.commit(Change(resume=row))


def drop_sent(engine: Engine, task: Task, stored: asyncio.Future[None]) -> None:
    """The secrets and the kept body of a task whose success was `stored`: before that a kill leaves
    a task that is sent again, with both.
    """
    if stored.cancelled() or stored.exception() is not None:
        return
    engine.vault.drop(str(task.key))
    if task.spooled:
        drop = asyncio.to_thread(task_files.drop_file, task.source)
        engine.runners.spawn(drop, f"drop the body of {task.key}")


async def drop_parts(task: Task) -> None:
    for path in task.part_paths:
        await asyncio.to_thread(task_files.drop_part, path)


async def leave_list(
    core: SessionCore, one: Recorded, offer: ResumeOffer, *, delete_file: bool
) -> None:
    """A part and a kept body that another task was made from stay; a file that cannot be deleted is
    named in the event. What it takes to send the task again goes when its removal is stored.
    """
    engine, task = core.engine, one.record
    own_part, spent = offer.take_back(task)
    if own_part:
        await drop_parts(task)
    deleted, kept = False, ""
    if delete_file and task.final_path:
        deleted, kept = await asyncio.to_thread(task_files.delete_written, task)
    engine.answers.drop(task.key)
    event = TaskRemovedEvent(file_deleted=deleted, file_kept=kept)
    stored = core.record_task(one, task, event, resume_row=spent)
    core.drop(one)
    with contextlib.suppress(StateError):  # then the next engine finds it in its list
        await stored
        engine.vault.drop(str(task.key))
        if task.spooled and own_part:
            await asyncio.to_thread(task_files.drop_file, task.source)
    await engine.vault.saved()
