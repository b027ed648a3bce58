"""What an engine finds when it opens a state directory, and what it makes of it.

Rule: nothing here starts a transfer. A default session ended with its process; a background session
goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from transfermon.engine import task_files
from transfermon.engine.session import Session
from transfermon.engine.session_core import SessionState
from transfermon.engine.shared import FILER_FOLDERS, Engine
from transfermon.model.task import Task
from transfermon.storage import name_trial, part_names, small_parts
from transfermon.storage.changes import Change, Remembered, SessionRow
from transfermon.storage.filer import folders_of
from transfermon.storage.settings import download_folder

DEFAULT = "(default {})"  # the key of a default session


class Restored(NamedTuple):
    sessions: dict[str, Session]
    retired: dict[str, SessionRow]  # invalidated ones: their numbers are not given again (S-08)
    defaults: int  # the highest number that a default session had


async def restore_sessions(
    engine: Engine, remembered: Remembered, forget: Callable[[Session], None]
) -> Restored:
    """The sessions with their tasks, none of which runs yet; part files that belong to nobody are
    swept away.
    """
    engine.resume_rows = {row.token: row for row in remembered.resume}
    await asyncio.to_thread(engine.vault.load)
    await _sweep(engine, remembered)
    await _sweep_bodies(engine, remembered)
    by_session: dict[str, list[Task]] = {}
    for task in remembered.tasks:
        by_session.setdefault(task.session, []).append(task)
    sessions: dict[str, Session] = {}
    retired: dict[str, SessionRow] = {}
    defaults = 0
    for row in remembered.sessions:
        tasks = by_session.get(row.key, [])
        if row.configuration.identifier is None:
            await _drop_default(engine, row, tasks, remembered)
            defaults = max(defaults, _default_number(row.key))
        elif row.state == SessionState.INVALIDATED.value:
            retired[row.key] = row
        else:
            sessions[row.key] = Session(engine, row, tasks=tuple(tasks), forget=forget)
    return Restored(sessions, retired, defaults)


def loss_in_words(engine: Engine, remembered: Remembered) -> str:
    """Blocking. What was damaged, where it is now, and what is left (K18); "" where nothing was."""
    if not remembered.set_aside:
        return ""
    kept = f"The damaged file is kept as {remembered.set_aside}."
    if remembered.from_backup is None:
        left = "The list starts empty."
    else:
        day = time.strftime("%d %B %Y, %H:%M", time.localtime(remembered.from_backup))
        left = f"The list is as it was on {day}; what was added since is missing."
    folders = {
        os.path.join(engine.state_dir, "parts"),
        engine.settings.download_folder or download_folder(),
    }
    parts = [path for folder in folders for path in part_names.parts_in(folder)]
    if not parts:
        return f"{kept} {left}"
    return f"{kept} {left} Unfinished files are not touched: {', '.join(parts[:3])}{' …' if parts[3:] else ''}"


async def _sweep(engine: Engine, remembered: Remembered) -> None:
    unfinished = [task for task in remembered.tasks if task.outstanding]
    kept = remembered.values.get(FILER_FOLDERS, "")
    listed = folders_of(kept)
    engine.filer.mark = engine.database_id
    if not unfinished and not listed:
        return
    parts = os.path.join(engine.state_dir, "parts")
    everybody = (*remembered.tasks, *(row.task for row in remembered.resume))
    known = {path for task in everybody for path in task.part_paths}
    folders = {task.folder or parts for task in unfinished}
    leftover = await asyncio.to_thread(
        small_parts.sweep,
        listed,
        folders,
        engine.database_id,
        known,
        lambda: _claims(engine, remembered),
    )
    engine.filer.take_over(leftover, kept)
    known |= leftover.named
    await asyncio.to_thread(part_names.sweep_parts, folders, engine.database_id, known)
    await asyncio.to_thread(name_trial.sweep, folders, engine.database_id)


async def _sweep_bodies(engine: Engine, remembered: Remembered) -> None:
    """A crash came between the end of a task, or its leaving, and that of its secrets and its kept
    body. Of a list that is not whole nobody knows what it lacks.
    """
    for task in remembered.tasks:
        if task.succeeded:
            engine.vault.drop(str(task.key))
    if not remembered.set_aside:
        unsent = [task for task in remembered.tasks if not task.succeeded]
        unsent += [row.task for row in remembered.resume if not row.spent]
        kept = {os.path.basename(task.source) for task in unsent if task.spooled}
        await asyncio.to_thread(task_files.drop_bodies, engine.state_dir, kept)


def _claims(engine: Engine, remembered: Remembered) -> dict[str, bool]:
    """The paths of the tasks' small parts, and which of them a later attempt will ask for."""
    over = {
        row.key
        for row in remembered.sessions
        if row.configuration.identifier is None or row.state == SessionState.INVALIDATED.value
    }
    return {
        engine.filer.part_of(task): task.outstanding
        and not task.part_path
        and not task.named_path
        and task.session not in over
        for task in remembered.tasks
        if task.folder
    }


async def _drop_default(
    engine: Engine, row: SessionRow, tasks: Iterable[Task], remembered: Remembered
) -> None:
    """Its parts are of no use to anybody."""
    for task in tasks:
        for path in task.part_paths:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(os.unlink, path)
    for event in remembered.unheard.events:
        if event.session == row.key:
            engine.store.acknowledge(event.sequence)
    engine.store.commit(Change(session_removed=row.key))


def _default_number(key: str) -> int:
    before, _, after = DEFAULT.partition("{}")
    digits = key.removeprefix(before).removesuffix(after)
    return int(digits) if digits.isdigit() else 0
