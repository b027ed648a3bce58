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
from transfermon.gui.window.command import TABLE, ChosenTasks, Command
from transfermon.gui.window.context import WindowContext
from transfermon.gui.window.removal import take_off_the_list
from transfermon.gui.window.slices import in_slices
from transfermon.model import units
from transfermon.model.errors import InvalidAction, TransfermonError
from transfermon.model.task import Action, Activity, Kind, State, Task, TaskKey
from transfermon.model.translate import marked, tr

PRIORITIES = {"priority_high": 0.75, "priority_normal": 0.5, "priority_low": 0.25}


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


def toggled(selected: Sequence[Task]) -> Action:
    """What Space means: pause while anything of it runs, else resume."""
    return Action.SUSPEND if any(task.can(Action.SUSPEND) for task in selected) else Action.RESUME


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


def has_priority(name: str) -> Callable[[ChosenTasks], bool]:
    """Whether that is the nearest one of all that are chosen."""

    def nearest(task: Task) -> str:
        return min(PRIORITIES, key=lambda name: abs(PRIORITIES[name] - task.priority))

    return lambda choice: {nearest(task) for task in choice.selected} == {name}


def any_queued(choice: ChosenTasks) -> bool:
    """Whether one waits for its turn, and can have another one."""
    return any(
        task.state is State.RUNNING and task.activity is Activity.QUEUED for task in choice.selected
    )


COMMANDS = (
    Command(id="open", offered=lambda choice: choice.one is not None and choice.one.succeeded, run=open_selected, text=marked("&Open"), menu="Transfer/", icon="external-link", keys="Return", where=TABLE, can=lambda choice: choice.one is not None, of_tasks=marked("Open")),
    Command(id="show_in_folder", run=show_selected_in_folder, text=marked("Show in &folder"), menu="Transfer", icon="folder-open", keys="Ctrl+Return", where=TABLE, can=lambda choice: choice.one is not None, of_tasks=marked("Show in folder")),
    Command(id="resume", run=resume, text=marked("&Resume"), menu="Transfer/", icon="play", tip=marked("Resume the selected transfers, or all that are shown"), can=lambda choice: choice.can_over(Action.RESUME), of_tasks=marked("Resume"), line=True),
    Command(id="pause", run=pause, text=marked("&Pause"), menu="Transfer", icon="pause", tip=marked("Pause the selected transfers, or all that are shown"), can=lambda choice: choice.can_over(Action.SUSPEND), of_tasks=marked("Pause")),
    Command(id="toggle", run=toggle, text=marked("Pause or resume"), menu="Transfer", keys="Space", where=TABLE, can=lambda choice: choice.can(Action.SUSPEND) or choice.can(Action.RESUME)),
    Command(id="cancel", run=cancel, text=marked("&Cancel"), menu="Transfer", icon="x", tip=marked("Cancel the selected transfers"), can=lambda choice: choice.can(Action.CANCEL), of_tasks=marked("Cancel")),
    Command(id="retry", run=retry, text=marked("Re&try"), menu="Transfer", icon="rotate-cw", tip=marked("Try the failed ones of the selection again, or all that are shown"), can=lambda choice: choice.can_over(Action.RETRY), of_tasks=marked("Retry")),
    Command(id="retry_url", run=retry_with_new_url, text=marked("Retry with a &new URL…"), menu="Transfer", icon="rotate-cw", tip=marked("For an address that has expired: what is stored is kept where the new one has the same file"), can=lambda choice: choice.one is not None and choice.can(Action.RETRY), of_tasks=marked("Retry with a new URL…")),
    Command(id="copy_url", run=copy_urls, text=marked("Copy &URLs"), menu="Transfer/", icon="copy", keys="Ctrl+C", where=TABLE, can=lambda choice: bool(choice.selected), of_tasks=marked("Copy URLs"), counted=lambda count: tr("Copy %n URLs", "Copy URL", count), line=True),
    Command(id="copy_curl", run=copy_as_curl, text=marked("Copy as cur&l"), menu="Transfer", icon="terminal", can=lambda choice: bool(choice.selected), of_tasks=marked("Copy as curl")),
    Command(id="copy_events", run=copy_events, text=marked("Copy &events"), menu="Transfer", icon="copy", tip=marked("The journal of the selected transfer, one JSON object a line"), can=lambda choice: choice.one is not None, of_tasks=marked("Copy events")),
    Command(id="priority_high", run=prioritise_high, text=marked("&High priority"), menu="Transfer/", icon="circle-arrow-up", tip=marked("Before the others that wait for the same host"), can=lambda choice: choice.can(Action.CANCEL), of_tasks=marked("High"), line=True, group=marked("Priority"), chosen=has_priority("priority_high")),
    Command(id="priority_normal", run=prioritise_normal, text=marked("N&ormal priority"), menu="Transfer", icon="clock", can=lambda choice: choice.can(Action.CANCEL), of_tasks=marked("Normal"), group=marked("Priority"), chosen=has_priority("priority_normal")),
    Command(id="priority_low", run=prioritise_low, text=marked("Lo&w priority"), menu="Transfer", icon="circle-arrow-down", tip=marked("After the others that wait for the same host"), can=lambda choice: choice.can(Action.CANCEL), of_tasks=marked("Low"), group=marked("Priority"), chosen=has_priority("priority_low")),
    Command(id="queue_first", run=queue_first, text=marked("Move to the front of the queue"), menu="Transfer", icon="circle-arrow-up", tip=marked("Start before the others of the same priority"), can=any_queued, of_tasks=marked("To the front"), group=marked("Move in queue")),
    Command(id="queue_last", run=queue_last, text=marked("Move to the back of the queue"), menu="Transfer", icon="circle-arrow-down", tip=marked("Start after the others of the same priority"), can=any_queued, of_tasks=marked("To the back"), group=marked("Move in queue")),
    Command(id="verify", run=verify, text=marked("&Verify checksum…"), menu="Transfer", icon="circle-check", tip=marked("Compare the finished file with a SHA-256, or show its own"), can=lambda choice: choice.one is not None and choice.one.succeeded, of_tasks=marked("Verify checksum…")),
    Command(id="speed_limit", run=ask_for_speed_limit, text=marked("&Speed limit…"), menu="Transfer", icon="sliders-horizontal", can=lambda choice: choice.can(Action.CANCEL), of_tasks=marked("Speed limit…")),
    Command(id="remove", run=remove, text=marked("Re&move from the list"), menu="Transfer/", icon="list-x", keys="Del", where=TABLE, can=lambda choice: choice.can(Action.REMOVE), of_tasks=marked("Remove from list"), line=True),
    Command(id="remove_and_delete", run=remove_and_delete, text=marked("Remove and &delete the file…"), menu="Transfer", icon="trash-2", keys="Shift+Del", where=TABLE, can=lambda choice: choice.can(Action.REMOVE), of_tasks=marked("Remove and delete file…")),
    Command(id="select_all", run=select_all, text=marked("Select &all shown"), menu="Edit", keys="Ctrl+A", where=TABLE, can=lambda choice: choice.anything),
    Command(id="pause_all", run=pause_all, text=marked("&Pause all"), menu="Edit/", icon="pause"),
    Command(id="resume_all", run=resume_all, text=marked("&Resume all"), menu="Edit", icon="play"),
    Command(id="retry_failed", run=retry_all_failed, text=marked("Re&try all failed"), menu="Edit", icon="rotate-cw"),
)  # fmt: skip
