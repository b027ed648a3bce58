"""Transfers that leave the list: at once to the eye, for good when the message with Undo goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from transfermon.gui.list.model import TaskModel
from transfermon.gui.toolkit.toasts import Toasts
from transfermon.gui.window.slices import in_slices, tolerant
from transfermon.model.events import TaskCreatedEvent, TaskRemovedEvent
from transfermon.model.task import Action, Task, TaskKey
from transfermon.model.translate import tr

if TYPE_CHECKING:  # the monitor brings httpx, which loads after the window shows
    from transfermon.engine.monitor import Monitor

UNDO_MS = 8000


class Host(Protocol):
    """What the window does for it."""

    toasts: Toasts
    model: TaskModel

    @property
    def monitor(self) -> Monitor: ...
    @property
    def attached(self) -> bool: ...
    def spawn(self, work: object, name: str) -> None: ...
    def refresh_soon(self) -> None: ...


class Removal:
    """What has left the list of one window and can still come back."""

    def __init__(self, window: Host) -> None:
        self._window = window
        # True or False: it was running or not, and can come back; None: its removal was asked for.
        self._leaving: dict[TaskKey, bool | None] = {}

    def __repr__(self) -> str:
        return f"<Removal of {len(self._leaving)}>"

    def __contains__(self, key: object) -> bool:
        return key in self._leaving

    def __len__(self) -> int:
        return len(self._leaving)

    def gone(self, event: TaskRemovedEvent) -> None:
        """Its removal is done."""
        if event.task_key is not None:
            self._leaving.pop(event.task_key, None)

    def take(self, tasks: Sequence[Task]) -> None:
        """Off the list now, out of the records when the message with Undo goes."""
        keys = [task.key for task in tasks]
        self._leaving.update((task.key, task.can(Action.SUSPEND)) for task in tasks)
        self._window.model.remove(keys)
        self._window.spawn(in_slices(keys, self._pause_leaving), f"pausing {len(keys)} transfers that leave the list")
        words = tr(
            "%n transfers were removed; files are kept.",
            "1 transfer was removed from the list; files are kept.",
            len(keys),
        )
        self._window.toasts.show_message(
            words,
            action=tr("Undo"),
            on_action=lambda: self._bring_back(keys),
            on_end=lambda: self._remove_now(keys),
            ms=UNDO_MS,
        )

    def _pause_leaving(self, key: TaskKey) -> None:
        if self._leaving.get(key):  # not if it was brought back meanwhile
            self._window.monitor.suspend(key)

    def _bring_back(self, keys: Sequence[TaskKey]) -> None:
        ran = {key for key in keys if self._leaving.pop(key, False)}

        def bring(key: TaskKey) -> None:
            task = self._window.monitor.task(key)
            self._window.model.apply(TaskCreatedEvent(session=key.session, task_identifier=key.number, task=task))
            if key in ran and task.can(Action.RESUME):
                self._window.monitor.resume(key)
            self._window.refresh_soon()

        self._window.spawn(in_slices(keys, bring), f"bringing {len(keys)} transfers back")

    def _remove_now(self, keys: Sequence[TaskKey]) -> None:
        if self._window.attached:
            self._window.spawn(in_slices(keys, self._remove_one), f"removing {len(keys)} transfers")

    def _remove_one(self, key: TaskKey) -> None:
        if self._window.attached and self._leaving.get(key) is not None:
            self._leaving[key] = None  # once only; it leaves the dict with the event that comes back
            tolerant(self._window.monitor.remove, key)

    def finish(self) -> None:
        """Remove now what could still have been undone."""
        self._window.toasts.end_all()
        for key in list(self._leaving):
            self._remove_one(key)
