"""What a task leaves behind: resume data when it is cancelled; and nothing when it is taken out of
the list, neither parts, body, answer nor secrets, nor the finished file where a person says so.
"""

from __future__ import annotations

import asyncio

from transfermon.engine import task_files
from transfermon.engine.resume_data import ResumeOffer
from transfermon.engine.shared import Engine
from transfermon.model.events import TaskRemovedEvent
from transfermon.model.task import Task
from transfermon.storage.changes import Change, ResumeRow


async def keep_offer(engine: Engine, row: ResumeRow) -> None:
    """Make resume data durable, the headers that belong to it first."""
    await engine.vault.saved()
    await engine.store.commit(Change(resume=row))


def drop_sent(engine: Engine, task: Task) -> None:
    """The secrets and the kept body of a task that has succeeded."""
    engine.vault.drop(str(task.key))
    if task.spooled:
        drop = asyncio.to_thread(task_files.drop_file, task.source)
        engine.runners.spawn(drop, f"drop the body of {task.key}")


async def drop_parts(task: Task) -> None:
    for path in task.part_paths:
        await asyncio.to_thread(task_files.drop_part, path)


async def drop_traces(
    engine: Engine, offer: ResumeOffer, task: Task, *, delete_file: bool
) -> tuple[TaskRemovedEvent, ResumeRow | None]:
    """What is to be told, and the row of resume data that is of no use any more. A part that
    another task was made from stays; a file that cannot be deleted is named in the event.
    """
    own_part, spent = offer.take_back(task)
    if own_part:
        await drop_parts(task)
    deleted, kept = False, ""
    if delete_file and task.final_path:
        deleted, kept = await asyncio.to_thread(task_files.delete_written, task)
    if task.spooled:
        await asyncio.to_thread(task_files.drop_file, task.source)
    engine.answers.drop(task.key)
    engine.vault.drop(str(task.key))
    return TaskRemovedEvent(file_deleted=deleted, file_kept=kept), spent
