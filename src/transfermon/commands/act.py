"""The commands that change something: transfers, wakes, the simulated phone, the engine's end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from transfermon.commands.engine_access import (
    Arguments,
    Reply,
    Request,
    ask_engine,
    ask_once,
    ask_running,
    folder_of,
)
from transfermon.host.terminal import (
    DONE,
    FAILED,
    NO_ENGINE,
    USAGE,
    Wrong,
    complain,
    say,
    say_json,
)

if TYPE_CHECKING:  # each of these costs time that `--help` does not have
    from transfermon.model.task import TaskKey


MISSING = 404
LONGEST_PAYLOAD = 1 << 20  # bytes
_ENDING = 10.0  # seconds that `quit` and `release` wait for the engine's end
_NETWORK = {  # options of `simulate network`: their fields in the control API
    "profile": "profile",
    "offline": "offline",
    "loss": "loss",
    "answer": "answer",
    "count": "count",
    "etag_change": "changeEtag",
    "drop": "drop",
    "off": "off",
}


def act_on_tasks(arguments: Arguments) -> int:
    from transfermon.control.client import task_path

    name, folder = arguments.command, folder_of(arguments)
    if bool(arguments.tasks) == arguments.all:
        raise Wrong("Name the transfers as SESSION:NUMBER, or say --all.")
    keys: list[TaskKey] = arguments.tasks or _all_keys(folder, name)
    body: dict[str, Any] = {}
    if name == "retry" and arguments.url:
        if len(keys) != 1:
            raise Wrong("A new address can be given to one transfer at a time.")
        body["url"] = arguments.url
    if name == "remove" and arguments.delete_file:
        body["deleteFile"] = True
    replies = (
        ask_engine(
            folder, [("POST", task_path(key.session, key.number, name), body) for key in keys]
        )
        if keys
        else []
    )
    waits = name == "retry" and bool(keys) and not _is_running(folder)
    past = "queued" if waits else _PAST.get(name, "removed")
    code = max((_report(past, reply, as_json=arguments.json) for reply in replies), default=DONE)
    if waits and code == DONE:
        return complain(
            "Nothing runs that would try it: the app is not open.",
            "Open it, or run `transfermon standby`, which ends when all is done.",
            code=NO_ENGINE,
        )
    return code


def _is_running(folder: str) -> bool:
    from transfermon.control.client import Client, NoEngine

    try:
        Client(folder).request("GET", "/v1/status")
    except NoEngine:
        return False
    return True


def _all_keys(folder: str, name: str) -> list[TaskKey]:
    from transfermon.model.errors import Code
    from transfermon.model.task import TaskKey

    def fits(task: dict[str, Any]) -> bool:
        ended, failed = task["state"] == "completed", bool(task["error"])
        possible: dict[str, bool] = {
            "pause": task["state"] == "running",
            "resume": task["state"] == "suspended",
            "cancel": not ended and task["state"] != "canceling",
            "retry": failed and task["error"]["code"] != Code.CANCELLED,
            "remove": task["state"] != "canceling",
        }
        return possible[name]

    tasks = ask_once(folder, ("GET", "/v1/tasks", None))["tasks"]
    return [TaskKey(task["session"], task["number"]) for task in tasks if fits(task)]


_PAST = {"pause": "paused", "resume": "resumed", "cancel": "cancelled", "retry": "tried again"}


def _report(past: str, reply: Reply, *, as_json: bool) -> int:
    status, body = reply
    if status >= 400:
        code = USAGE if status in (400, MISSING) else FAILED
        return complain(str(body.get("title", "Refused.")), str(body.get("detail", "")), code=code)
    if as_json:
        say_json([body])
    else:
        say(f"{body['id']} {past}")
    if body.get("fileDeleted") is False:
        from transfermon.text import humanize

        return complain(humanize.kept_file(body["path"]), code=FAILED)
    return DONE


def send_push(arguments: Arguments) -> int:
    return _say_wake(
        arguments,
        ask_running(folder_of(arguments), "POST", "/v1/push", _payload(arguments.payload)),
    )


def _say_wake(arguments: Arguments, body: dict[str, Any]) -> int:
    from transfermon.model.wake_policy import verdict_text, wake_of

    wake = wake_of(body)
    if arguments.json:
        say_json([body])
    else:
        handler = f" ({wake.handler_id})" if wake.handler_id else ""
        say(f"{verdict_text(wake)}{handler}")
    return DONE


def _payload(text: str) -> str:
    if text != "-" and not text.startswith("@"):
        return text
    try:
        if text == "-":
            data = sys.stdin.buffer.read(LONGEST_PAYLOAD)
        else:
            with open(text[1:], "rb") as file:
                data = file.read(LONGEST_PAYLOAD)
        return data.decode()
    except OSError as exc:
        raise Wrong(f"The payload {text[1:]} cannot be read: {exc.strerror}.") from exc
    except UnicodeDecodeError:
        raise Wrong("The payload is not UTF-8.") from None


def start_fetch(arguments: Arguments) -> int:
    return _say_wake(arguments, ask_running(folder_of(arguments), "POST", "/v1/fetch"))


def simulate_phone(arguments: Arguments) -> int:
    given = {
        key: getattr(arguments, name)
        for name, key in _NETWORK.items()
        if getattr(arguments, name) is not None
    }
    if arguments.what == "network":
        return _simulate_network(arguments, given)
    if given:
        raise Wrong("these options are for `transfermon simulate network`")
    answer = ask_running(folder_of(arguments), "POST", f"/v1/simulate/{arguments.what}")
    if arguments.json:
        say_json([answer])
    elif answer["suspended"]:
        say(
            "The app is suspended: its listeners hear nothing, transfers go on. End it with: transfermon simulate wake"
        )
    else:
        say("The app is awake; its listeners are told what they have missed.")
    return DONE


def _simulate_network(arguments: Arguments, given: dict[str, Any]) -> int:
    if "count" in given and "answer" not in given:
        raise Wrong("--count says how often --answer is given")
    answer = ask_running(
        folder_of(arguments), "POST" if given else "GET", "/v1/simulate/network", given or None
    )
    if arguments.json:
        say_json([answer])
        return DONE
    say(f"Network simulation: {answer['words'] or 'off'}")
    if arguments.drop:
        count = answer["dropped"]
        say("1 connection was dropped." if count == 1 else f"{count} connections were dropped.")
    return DONE


def quit_engine(arguments: Arguments) -> int:
    if not arguments.stop_transfers:
        return end_engine(arguments)
    request: Request = ("POST", "/v1/quit", {"stopTransfers": True})
    return _ended(arguments, ask_once(folder_of(arguments), request))


def end_engine(arguments: Arguments) -> int:
    return _ended(arguments, ask_running(folder_of(arguments), "POST", f"/v1/{arguments.command}"))


def _ended(arguments: Arguments, body: dict[str, Any]) -> int:
    """Wait until the engine that said so has ended."""
    import time

    from transfermon.system.lock import owner

    folder = folder_of(arguments)
    deadline = time.monotonic() + _ENDING
    while owner(folder) == body["pid"] and time.monotonic() < deadline:
        time.sleep(0.02)
    if arguments.json:
        say_json([body])
    return DONE
