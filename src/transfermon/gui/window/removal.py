"""Transfers that leave the list: at once to the eye, for good when the message with Undo goes."""

from __future__ import annotations

from collections.abc import Sequence

from transfermon.gui.window.context import WindowContext
from transfermon.gui.window.slices import in_slices, tolerant
from transfermon.model.events import TaskCreatedEvent
from transfermon.model.task import Action, Task, TaskKey
from transfermon.model.translate import tr

UNDO_MS = 8000


def take_off_the_list(context: WindowContext, tasks: Sequence[Task]) -> None:
    """Now; out of the records when the message with Undo goes."""
    keys = [task.key for task in tasks]
    context.leaving.update((task.key, task.can(Action.SUSPEND)) for task in tasks)
    context.panels.model.remove(keys)

    def pause(key: TaskKey) -> None:
        if context.leaving.get(key):  # not if it was brought back meanwhile
            context.monitor.commands.suspend(key)

    context.spawn(in_slices(keys, pause), f"pausing {len(keys)} transfers that leave the list")
    words = tr(
        "%n transfers were removed; files are kept.",
        "1 transfer was removed from the list; files are kept.",
        len(keys),
    )
    context.panels.toasts.show_message(
        words,
        action=tr("Undo"),
        on_action=lambda: _bring_back(context, keys),
        on_end=lambda: _remove_now(context, keys),
        ms=UNDO_MS,
    )


def _bring_back(context: WindowContext, keys: Sequence[TaskKey]) -> None:
    ran = {key for key in keys if context.leaving.pop(key, False)}

    def bring(key: TaskKey) -> None:
        task = context.monitor.task(key)
        context.panels.model.apply(
            TaskCreatedEvent(session=key.session, task_identifier=key.number, task=task)
        )
        if key in ran and task.can(Action.RESUME):
            context.monitor.commands.resume(key)
        context.refresh_soon()

    context.spawn(in_slices(keys, bring), f"bringing {len(keys)} transfers back")


def _remove_now(context: WindowContext, keys: Sequence[TaskKey]) -> None:
    if context.attached:
        work = in_slices(keys, lambda key: _remove_one(context, key))
        context.spawn(work, f"removing {len(keys)} transfers")


def _remove_one(context: WindowContext, key: TaskKey) -> None:
    if context.attached and context.leaving.get(key) is not None:
        context.leaving[key] = None  # once only; it leaves the dict with the event that comes back
        tolerant(context.monitor.commands.remove, key)


def finish_removals(context: WindowContext) -> None:
    """Remove now what could still have been undone."""
    context.panels.toasts.end_all()
    for key in list(context.leaving):
        _remove_one(context, key)
