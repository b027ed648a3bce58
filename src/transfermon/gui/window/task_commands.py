"""Commands about transfers: the selected ones, or all.

Rule: a command asks the monitor; the event that follows changes the view.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QInputDialog

from transfermon.gui.dialogs.questions import ask, text_question
from transfermon.gui.panels.event_log import as_ndjson
from transfermon.gui.toolkit import files
from transfermon.gui.window.checksum import ask_for_checksum
from transfermon.gui.window.context import WindowContext
from transfermon.gui.window.enabling import PRIORITIES, toggled
from transfermon.gui.window.removal import take_off_the_list
from transfermon.gui.window.slices import in_slices
from transfermon.model import units
from transfermon.model.errors import InvalidAction, TransfermonError
from transfermon.model.task import Action, Kind, Task, TaskKey
from transfermon.model.translate import marked, tr


def _each(
    context: WindowContext,
    keys: Sequence[TaskKey],
    action: Action,
    command: Callable[[TaskKey], object],
) -> None:
    """Give a command to every task that can take it, in slices, so that ten thousand do not stall
    the window.
    """
    able = [task.key for task in context.tasks(keys) if task.can(action)]
    context.spawn(in_slices(able, command), f"{action.value} {len(able)} transfers")


def _all_keys(context: WindowContext) -> list[TaskKey]:
    return [task.key for task in context.monitor.tasks()]


def _to_come(context: WindowContext) -> list[TaskKey]:
    return [task.key for task in context.selected_tasks if task.can(Action.CANCEL)]


# Going on and stopping


def resume(context: WindowContext) -> None:
    _each(context, context.targets, Action.RESUME, context.monitor.commands.resume)


def pause(context: WindowContext) -> None:
    _each(context, context.targets, Action.SUSPEND, context.monitor.commands.suspend)


def toggle(context: WindowContext) -> None:
    if toggled(context.selected_tasks) is Action.SUSPEND:
        _each(context, context.selected, Action.SUSPEND, context.monitor.commands.suspend)
    else:
        _each(context, context.selected, Action.RESUME, context.monitor.commands.resume)


def cancel(context: WindowContext) -> None:
    _each(context, context.selected, Action.CANCEL, context.monitor.commands.cancel)


def retry(context: WindowContext) -> None:
    _each(context, context.targets, Action.RETRY, context.monitor.commands.retry)


def retry_task(context: WindowContext, key: TaskKey) -> None:
    _each(context, [key], Action.RETRY, context.monitor.commands.retry)


def retry_with_new_url(context: WindowContext) -> None:
    """Another address for the same file; what is stored goes on where the validator agrees."""
    for task in context.selected_tasks[:1]:
        dialog = text_question(
            context.window,
            "retry_url",
            title=tr("Retry with a new URL"),
            label=tr("The new address of the same file:"),
            text=task.url,
            ok=tr("Retry"),
        )
        dialog.textValueSelected.connect(lambda url, key=task.key: _retry_from(context, key, url))
        context.show_dialog("retry_url", dialog)


def _retry_from(context: WindowContext, key: TaskKey, url: str) -> None:
    try:
        context.monitor.commands.retry(key, url.strip())
    except (ValueError, KeyError, TransfermonError, InvalidAction) as exc:
        context.toast(str(exc))


def pause_all(context: WindowContext) -> None:
    _each(context, _all_keys(context), Action.SUSPEND, context.monitor.commands.suspend)


def resume_all(context: WindowContext) -> None:
    _each(context, _all_keys(context), Action.RESUME, context.monitor.commands.resume)


def retry_all_failed(context: WindowContext) -> None:
    _each(context, _all_keys(context), Action.RETRY, context.monitor.commands.retry)


# Copying


def copy_urls(context: WindowContext) -> None:
    QGuiApplication.clipboard().setText("\n".join(task.url for task in context.selected_tasks))


def copy_as_curl(context: WindowContext) -> None:
    QGuiApplication.clipboard().setText("\n".join(as_curl(task) for task in context.selected_tasks))


def as_curl(task: Task) -> str:
    """The same request for curl; “…” stands for what is not in the record: the values of headers, a
    body.
    """
    parts = ["curl", "-L"]
    if task.kind is Kind.DOWNLOAD:
        parts += ["-O"]
    elif task.kind is Kind.UPLOAD:
        parts += ["-X", task.method, "-T", task.file or "…"]
    else:
        parts += ["-I"] if task.method == "HEAD" else ["-X", task.method]
        parts += ["-d", "…"] if task.expected_to_send > 0 else []
    for name in task.header_names:
        parts += ["-H", f"{name}: …"]
    parts += ["--", task.url]
    return " ".join(shlex.quote(part) for part in parts)


def copy_events(context: WindowContext) -> None:
    if len(context.selected) == 1:
        context.spawn(
            _copy_events(context, context.selected[0]), "copying the events of one transfer"
        )


async def _copy_events(context: WindowContext, key: TaskKey) -> None:
    history = await context.monitor.overview.history(task=key)
    QGuiApplication.clipboard().setText(as_ndjson(history))
    context.toast(tr("%n events were copied.", "1 event was copied.", len(history)))


# Turns and speed


def prioritise_high(context: WindowContext) -> None:
    _prioritise(context, PRIORITIES["priority_high"])


def prioritise_normal(context: WindowContext) -> None:
    _prioritise(context, PRIORITIES["priority_normal"])


def prioritise_low(context: WindowContext) -> None:
    _prioritise(context, PRIORITIES["priority_low"])


def _prioritise(context: WindowContext, priority: float) -> None:
    def give(key: TaskKey) -> None:
        context.monitor.handle(key).priority = priority

    context.spawn(in_slices(_to_come(context), give), f"priority {priority}")


def queue_first(context: WindowContext) -> None:
    context.monitor.commands.move_in_queue(context.selected, first=True)


def queue_last(context: WindowContext) -> None:
    context.monitor.commands.move_in_queue(context.selected, first=False)


def ask_for_speed_limit(context: WindowContext) -> None:
    """One limit for each of the selected transfers that are not done."""
    keys = _to_come(context)
    if not keys:
        return
    dialog = QInputDialog(context.window)
    dialog.setObjectName("speed_limit")
    dialog.setWindowTitle(tr("Speed limit"))
    dialog.setInputMode(QInputDialog.InputMode.DoubleInput)
    dialog.setLabelText(tr("Megabytes per second for each transfer; 0 is no limit:"))
    dialog.setDoubleRange(0, 10_000)
    dialog.setDoubleDecimals(2)
    dialog.setDoubleValue(context.monitor.task(keys[0]).speed_limit / 1_000_000)
    dialog.doubleValueSelected.connect(
        lambda value: _limit(context, keys, round(value * 1_000_000))
    )
    context.show_dialog("speed_limit", dialog)


def _limit(context: WindowContext, keys: Sequence[TaskKey], limit: int) -> None:
    command = in_slices(keys, lambda key: context.monitor.commands.adjust(key, speed_limit=limit))
    context.spawn(command, f"speed limit {limit}")


# Leaving the list


def select_all(context: WindowContext) -> None:
    context.panels.table.selectAll()


def remove(context: WindowContext) -> None:
    tasks = [task for task in context.selected_tasks if task.can(Action.REMOVE)]
    if tasks:
        context.panels.table.clearSelection()
        take_off_the_list(context, tasks)


def remove_and_delete(context: WindowContext) -> None:
    keys = list(context.selected)
    if not keys:
        return

    def answered(answer: str, _remember: bool) -> None:
        if answer == "Delete":
            _each(
                context,
                keys,
                Action.REMOVE,
                lambda key: context.monitor.commands.remove(key, delete_file=True),
            )

    ask(
        context.window,
        tr("Delete %n transfers and their files?", "Delete this transfer and its file?", len(keys)),
        tr("Files that were deleted cannot be brought back."),
        [marked("Delete"), marked("Cancel")],
        answered,
        warning=True,
    )


# Files


def verify(context: WindowContext) -> None:
    for task in context.selected_tasks[:1]:
        ask_for_checksum(context, task)


def open_selected(context: WindowContext) -> None:
    if len(context.selected) == 1:
        open_or_show_details(context, context.selected[0])


def open_or_show_details(context: WindowContext, key: TaskKey) -> None:
    for task in context.tasks([key]):
        if task.succeeded:
            open_task(context, key)
        else:
            context.panels.turn_to(context.panels.details)


def open_task(context: WindowContext, key: TaskKey) -> None:
    """Open a finished file, after a question when that may run a program."""
    for task in context.tasks([key]):
        if not files.why_not(task) and files.may_run(task.file):
            name = units.clean(os.path.basename(task.file))
            ask(
                context.window,
                tr("Open {name}?").format(name=name),
                tr(
                    "Opening a file of this kind can run a program. Open it only if you trust where it came from."
                ),
                [marked("Open"), marked("Cancel")],
                lambda answer, _remember, task=task: (
                    context.complain(files.open_file(task)) if answer == "Open" else None
                ),  # type: ignore[misc]
                warning=True,
            )
        else:
            context.complain(files.open_file(task))


def show_selected_in_folder(context: WindowContext) -> None:
    if len(context.selected) == 1:
        show_task_folder(context, context.selected[0])


def show_task_folder(context: WindowContext, key: TaskKey) -> None:
    for task in context.tasks([key]):
        context.complain(files.show_in_folder(task))
