"""The commands that show what there is: transfers, sessions and events."""

from __future__ import annotations

import sys
from typing import Any

from transfermon.commands.engine_access import Arguments, all_tasks, ask_once, folder_of
from transfermon.host.terminal import (
    DONE,
    say,
    say_json,
    say_table,
)
from transfermon.model.option_table import AUTOMATIC, ROWS, OptionRow, ValueKind


def list_tasks(arguments: Arguments) -> int:
    tasks = all_tasks(folder_of(arguments))
    if arguments.json:
        say_json(tasks)
    elif arguments.csv:
        from transfermon.text import spreadsheet

        sys.stdout.write(spreadsheet.table(tasks))
    elif not tasks:
        say("No transfers.")
    else:
        head = ("TASK", "DONE", "SIZE", "SPEED", "NAME", "STATUS")
        say_table([head, *map(_row, tasks)], right=(1, 2, 3))
    return DONE


def _row(task: dict[str, Any]) -> tuple[str, ...]:

    from transfermon.model import units

    known = task["expected"] >= 0
    done = (
        units.percent(task["received"], task["expected"]) if known else units.size(task["received"])
    )
    return (
        task["id"],
        done,
        units.size(task["expected"]),
        units.rate(task["speed"]),
        units.clean(task["name"] or task["url"], 60),
        task["status"],
    )


def show_task(arguments: Arguments) -> int:
    from transfermon.control.client import task_path

    task = ask_once(folder_of(arguments), ("GET", task_path(*arguments.task), None))
    if arguments.json:
        say_json([task])
    else:
        say_table(_facts(task))
    return DONE


def _facts(task: dict[str, Any]) -> list[tuple[str, str]]:

    from transfermon.model import units

    facts = [
        ("Task", task["id"]),
        ("Status", task["status"]),
        ("Address", task["url"]),
        ("Name", task["name"]),
        ("File", task["path"]),
        ("Folder", task["folder"]),
        ("Bytes", units.progress(task["received"], task["expected"])),
        ("Speed", units.rate(task["speed"]) if task["speed"] else ""),
        ("Attempt", str(task["attempt"] or "")),
        ("Added", _when(task["added"])),
        ("Ended", _when(task["finished"])),
        *((row.title, _option(row, task["options"].get(row.key))) for row in ROWS),
        (
            "Resumes",
            ""
            if task["state"] == "completed"
            else "yes"
            if task["resumable"]
            else "no, a pause starts over",
        ),
    ]
    if task["kind"] == "upload":
        facts += [("Stored as", task["storedAs"]), ("Not confirmed", task["unconfirmed"])]
        facts += [("Protocol", task["protocol"]), ("Uploads at", task["uploadHost"])]
    if task["error"]:
        facts += [("Failure", task["error"]["message"]), ("The server says", task["error"]["said"])]
        facts += [("Advice", task["error"]["hint"])]
    elif task["waitingHint"]:
        facts += [("Advice", task["waitingHint"])]
    return [(name, value) for name, value in facts if value]


def _when(seconds: float | None) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def list_sessions(arguments: Arguments) -> int:
    sessions = ask_once(folder_of(arguments), ("GET", "/v1/sessions", None))["sessions"]
    if arguments.json:
        say_json(sessions)
    elif not sessions:
        say("No sessions.")
    else:
        rows = [("SESSION", "STATE", "LEFT", "DONE", "FAILED")]
        rows += [
            (
                one["key"],
                one["state"],
                str(one["outstanding"]),
                str(one["completed"]),
                str(one["failed"]),
            )
            for one in sessions
        ]
        say_table(rows, right=(2, 3, 4))
    return DONE


def print_events(arguments: Arguments) -> int:
    from transfermon.control.client import Client, NoEngine

    folder = folder_of(arguments)
    path = f"/v1/events?since={arguments.since}"
    try:
        for event in Client(folder).stream(path + ("&follow=1" if arguments.follow else "")):
            _print_event(event, as_json=arguments.json)
    except NoEngine:
        if arguments.follow:
            raise
        for event in ask_once(folder, ("GET", path, None))["events"]:
            _print_event(event, as_json=arguments.json)
    return DONE


def _print_event(event: dict[str, Any], *, as_json: bool) -> None:
    from transfermon.model import events, units
    from transfermon.text import humanize

    if as_json:
        say_json([event])
        return
    try:
        words = humanize.event(events.from_dict(event, str(event.get("session", ""))))
    except (ValueError, TypeError):  # from a newer engine
        words = units.clean(str(event.get("type")))
    say(f"{event.get('sequence', 0):>6}  {_when(event.get('time'))}  {words}")


def _option(row: OptionRow, value: Any) -> str:
    """How an option of a request reads; "" where it is not used."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if row.kind is ValueKind.CONNECTIONS:
        return "auto" if value == AUTOMATIC else str(value or "")
    return ", ".join(value) if isinstance(value, list) else value or ""
