"""The command line.

Rule: a command imports what it needs when it runs. `--help` loads argparse and nothing of ours, a command to a
running engine no event loop and no HTTP library. What goes wrong is one sentence on stderr, never a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from transfermon.commands import request_arguments
from transfermon.host.terminal import (
    DONE,
    FAILED,
    INTERRUPTED,
    NO_ENGINE,
    USAGE,
    Wrong,
    accepted,
    complain,
    say,
    say_json,
    say_table,
    sentence,
)

if TYPE_CHECKING:  # each of these costs time that `--help` does not have
    from transfermon.model.task import TaskKey

Arguments = argparse.Namespace
Request = tuple[str, str, "dict[str, Any] | str | None"]  # method, path, body
Reply = tuple[int, "dict[str, Any]"]

MISSING = 404
SMALLEST_PUSH = '{"aps": {"content-available": 1}}'
LONGEST_PAYLOAD = 1 << 20  # bytes
_ENDING = 10.0  # seconds that `quit` and `release` wait for the engine's end
_TAKING_TURNS = 3.0  # seconds in which an engine that is starting or ending may be neither reached nor owned
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit codes are 0 done, 1 a transfer failed, 2 wrong usage, 3 no engine, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a name must not end the program
    try:
        code = _parsed_and_run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `transfermon list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _parsed_and_run(words: list[str]) -> int:
    try:
        arguments = _parser(words).parse_args(words)
    except SystemExit as exc:  # argparse has said why
        return exc.code if isinstance(exc.code, int) else USAGE
    return _run(arguments)


def gui_main() -> int:
    """The app, for launchers that show no terminal."""
    return main(["gui", *sys.argv[1:]])


def _run(arguments: Arguments) -> int:
    from transfermon.control.client import EngineFull, NoEngine
    from transfermon.model.errors import EngineBusyError, TransfermonError

    try:
        code: int = arguments.run(arguments)
    except Wrong as exc:
        return complain(sentence(str(exc)), code=USAGE)
    except (NoEngine, EngineFull, EngineBusyError) as exc:
        return complain(exc.title, exc.hint, code=NO_ENGINE)
    except TransfermonError as exc:  # a state folder that cannot be used, and the like
        return complain(exc.title, exc.hint, code=USAGE)
    return code


# ---- what may be written


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="transfermon",
        description="Background transfers: downloads that survive a closed window, a crash and a reboot.",
        epilog="Exit codes: 0 done; 1 a transfer failed; 2 wrong usage; 3 no engine can be reached or owned; "
        "130 interrupted, what is there is kept.",
        parents=[_common(top=True)],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.set_defaults(run=_gui, demo=False, minimized=False, add=False, fetch=False, urls=[])
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")

    def add(name: str, run: Callable[[Arguments], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=text, description=text[:1].upper() + text[1:] + ".", parents=[_common()], allow_abbrev=False
        )
        command.set_defaults(run=run, command=name)
        return command

    _add_gui(add("gui", _gui, "open the window; without a command, too"))
    _add_get(add("get", _get, "download and wait; run again after an interruption, it resumes"))
    _add_put(
        add("put", _put, "upload a file and wait; run again after an interruption, it goes on where the server can")
    )
    _add_send(add("send", _send, "send a small request and print the answer"))
    _add_list(add("list", _list, "all transfers"))
    _add_task(add("show", _show, "one transfer in full"))
    add("sessions", _sessions, "the sessions and what is left in them")
    _add_events(add("events", _events, "what has happened, and with --follow what happens"))
    for name, text in _ACTIONS.items():
        _add_action(name, add(name, _act, text))
    _add_push(add("push", _push, "deliver a silent push to the running app"))
    add("fetch", _fetch, "start a background fetch in the running app")
    _add_simulate(add("simulate", _simulate, "what a phone's system would do to the running app"))
    _add_doctor(
        add("doctor", _doctor, "how this installation stands; with an address, whether a download of it resumes")
    )
    _add_run(add("run", _run_script, "run a handler script inside the app, or in an engine without a window"))
    _add_standby(add("standby", _standby, "be the engine without a window until nothing is left to do"))
    add("release", _end, "let the running engine give its transfers to another one, and end")
    _add_quit(add("quit", _quit, "end the running engine; its transfers are kept"))
    _add_videofarm(add("videofarm", _videofarm, "the demo server for videos and pictures"), words)
    return parser


def _common(*, top: bool = False) -> argparse.ArgumentParser:
    """Options that may stand before and after the command. Only the first place has defaults, or the second one's
    would overwrite what was given there.
    """
    common = argparse.ArgumentParser(add_help=False)
    suppress = argparse.SUPPRESS
    common.add_argument(
        "--state-dir", metavar="DIR", default=None if top else suppress, help="where the transfers are remembered"
    )
    common.add_argument(
        "--json", action="store_true", default=False if top else suppress, help="print one JSON object per line"
    )
    return common


_ACTIONS = {
    "pause": "stop moving bytes; they are kept",
    "resume": "go on with paused transfers",
    "cancel": "end transfers for good",
    "retry": "try failed transfers again; bytes that are there are used",
    "remove": "take transfers out of the list; finished files stay",
}


def _add_gui(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--demo", action="store_true", help="show it with a server and transfers of its own")
    parser.add_argument("--minimized", action="store_true", help="start in the tray")
    parser.add_argument("--add", action="store_true", help="ask for addresses to download")
    parser.add_argument("--fetch", action="store_true", help="start a background fetch, too")
    parser.add_argument("urls", metavar="URL", nargs="*", help="ask whether to download this; put -- before the first")


def _add_get(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("urls", metavar="URL", nargs="+")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("-o", "--output", metavar="FILE", help="save as this file")
    place.add_argument("-d", "--directory", metavar="DIR", help="save into this folder; the current one if not given")
    parser.add_argument("--session", metavar="ID", default="cli", help="the session it belongs to (%(default)s)")
    parser.add_argument(
        "-H", "--header", metavar="'NAME: VALUE'", action="append", default=[], help="send this header, too"
    )
    parser.add_argument("--sha256", metavar="HEX", default="", help="fail unless the file has this digest")
    parser.add_argument("--limit-rate", metavar="RATE", default="0", help="bytes per second, such as 500K or 2M")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.add_argument("--retry", metavar="N", type=_count, default=5, help="give up after N attempts (%(default)s)")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    request_arguments.add(parser, sends=False)


def _add_put(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("url", metavar="URL", help="where to; behind a slash at its end the file's name is put")
    parser.add_argument("--method", metavar="WORD", default="", help="the request's method (PUT)")
    parser.add_argument(
        "--protocol",
        metavar="WORD",
        type=_protocol,
        default="",
        help="auto, plain, tus, ietf, or ietf:N for one interop version; auto asks the server what it can (auto)",
    )
    parser.add_argument("--limit-rate", metavar="RATE", default="0", help="bytes per second, such as 500K or 2M")
    _add_sending(parser)


def _add_send(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--method", metavar="WORD", default="POST", help="the request's method (%(default)s)")
    parser.add_argument("--data", metavar="TEXT|@FILE", help="the body of the request")
    _add_sending(parser)


def _add_sending(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--session", metavar="ID", default="cli", help="the session it belongs to (%(default)s)")
    parser.add_argument(
        "-H", "--header", metavar="'NAME: VALUE'", action="append", default=[], help="send this header, too"
    )
    parser.add_argument("--retry", metavar="N", type=_count, default=5, help="give up after N attempts (%(default)s)")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    request_arguments.add(parser, sends=True)


def _add_task(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="TASK", type=_task, help="SESSION:NUMBER, as `transfermon list` shows it")


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--csv", action="store_true", help="as CSV with all columns, for a spreadsheet")


def _add_events(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new ones as they happen")
    parser.add_argument("--since", metavar="SEQ", type=_count, default=0, help="only those after this number")


def _add_action(name: str, parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tasks", metavar="TASK", nargs="*", type=_task, help="SESSION:NUMBER")
    parser.add_argument("--all", action="store_true", help="all that it is possible for")
    if name == "retry":
        parser.add_argument("--url", help="the new address, where the old one has expired")
    if name == "remove":
        parser.add_argument("--delete-file", action="store_true", help="delete the finished files, too")


def _add_push(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("payload", metavar="PAYLOAD", nargs="?", default=SMALLEST_PUSH, help="JSON, @FILE or -")


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        choices=("suspend", "wake", "network"),
        help="suspend: listeners hear nothing; wake: they hear what they missed; network: a bad one, until the app ends",
    )
    network = parser.add_argument_group("with network; without any of them it says what is simulated")
    network.add_argument("--profile", metavar="NAME", help="a slow line: gprs, edge, 3g, slow-4g, wi-fi-far-away, none")
    network.add_argument("--offline", action=argparse.BooleanOptionalAction, help="no network at all")
    network.add_argument("--loss", metavar="PERCENT", type=float, help="break so many connections, again each second")
    network.add_argument(
        "--answer", metavar="STATUS", type=_count, help="answer requests with it, 503 for example; 0 ends"
    )
    network.add_argument("--count", metavar="N", type=_count, help="give this answer N times only")
    network.add_argument("--etag-change", action="store_true", default=None, help="all files are other ones now")
    network.add_argument("--drop", action="store_true", default=None, help="break all open connections now")
    network.add_argument("--off", action="store_true", default=None, help="end all that is not named beside it")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", nargs="?", help="exit code 0 when it resumes, 1 when a pause starts over")
    parser.add_argument(
        "-H", "--header", metavar="'NAME: VALUE'", action="append", default=[], help="send this header, too"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("script", metavar="SCRIPT.py", help="it registers its listeners with `monitor`")
    parser.add_argument("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="for the script")
    parser.add_argument("--headless", action="store_true", help="without a window, until nothing is left to wait for")


def _add_standby(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lock-fd", metavar="N", type=_count, help=argparse.SUPPRESS)  # from the process that waited


def _add_quit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stop-transfers", action="store_true", help="end all transfers for good; what is stored is kept for a retry"
    )


def _add_videofarm(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    if "videofarm" in words:  # its options live with the server, which is not loaded for anything else
        from transfermon.videofarm.server import add_arguments

        add_arguments(parser)


def _task(text: str) -> TaskKey:
    from transfermon.model.task import TaskKey

    try:
        return TaskKey.parse(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise argparse.ArgumentTypeError(f"“{text}” is not a whole number")
    return int(text)


def _protocol(text: str) -> str:
    from transfermon.model.upload_protocol import parse

    try:
        parse(text or "auto")
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None
    return text


def _version() -> str:
    from transfermon import __version__

    return f"transfermon {__version__}"


# ---- asking the engine


def folder_of(arguments: Arguments) -> str:
    from transfermon.storage.settings import state_folder

    return state_folder(arguments.state_dir)


def ask(state_dir: str, requests: Sequence[Request]) -> list[Reply]:
    """The answers of the running engine; with none running, of one that lasts as long as the requests."""
    import time

    from transfermon.control.client import Client, EngineGone, NoEngine
    from transfermon.model.errors import EngineBusyError

    deadline = time.monotonic() + _TAKING_TURNS
    while True:
        try:
            client = Client(state_dir)
            return [client.request(*request) for request in requests]
        except EngineGone:
            raise  # half of it may have been done
        except NoEngine:
            try:
                return _answer_here(state_dir, requests)
            except EngineBusyError:
                if time.monotonic() > deadline:
                    raise
        time.sleep(0.05)


def _answer_here(state_dir: str, requests: Sequence[Request]) -> list[Reply]:
    import asyncio
    import json

    from transfermon.control.api import Api
    from transfermon.engine.monitor import Monitor

    async def answers() -> list[Reply]:
        async with Monitor.open(state_dir, what="a transfermon command", attached=False) as monitor:
            api = Api(monitor, started=False)
            for fault in monitor.settings.faults:
                complain(fault, code=DONE)
            out = []
            for method, path, body in requests:
                data = body if isinstance(body, str) else json.dumps(body) if body is not None else ""
                answer = await api.answer(method, path, data.encode("utf-8", "replace"))
                out.append((answer.status, dict(answer.body)))
            return out

    return asyncio.run(answers())


def only(state_dir: str, request: Request) -> dict[str, Any]:
    """The body of one answer. Raises Wrong with the engine's words when it refuses."""
    return accepted(ask(state_dir, [request])[0])


def running(state_dir: str, method: str, path: str, body: dict[str, Any] | str | None = None) -> dict[str, Any]:
    """The same, of the engine that runs now; NoEngine when none does."""
    from transfermon.control.client import Client

    return accepted(Client(state_dir).request(method, path, body))


# ---- the commands


def _gui(arguments: Arguments) -> int:
    from transfermon.gui import app  # brings Qt only when there is a display for it
    from transfermon.gui.launch import Asked

    asked = Asked(add=arguments.add, fetch=arguments.fetch, urls=tuple(arguments.urls))
    return app.run(arguments.state_dir, demo=arguments.demo, minimized=arguments.minimized, asked=asked)


def _get(arguments: Arguments) -> int:
    from transfermon.commands import transfer

    return _ordered(arguments, transfer.orders)


def _put(arguments: Arguments) -> int:
    from transfermon.commands import transfer

    return _ordered(arguments, transfer.upload_orders)


def _send(arguments: Arguments) -> int:
    from transfermon.commands import transfer

    return _ordered(arguments, transfer.data_orders)


def _ordered(arguments: Arguments, made: Callable[[Arguments], list[dict[str, Any]]]) -> int:
    from transfermon.commands import transfer

    try:
        orders = made(arguments)
    except ValueError as exc:
        raise Wrong(str(exc)) from None
    for note in request_arguments.notes(arguments):
        complain(note, code=DONE)
    return transfer.Getter(folder_of(arguments), orders, transfer.screen(arguments)).run()


def _list(arguments: Arguments) -> int:
    tasks = only(folder_of(arguments), ("GET", "/v1/tasks", None))["tasks"]
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
    done = units.percent(task["received"], task["expected"]) if known else units.size(task["received"])
    return (
        task["id"],
        done,
        units.size(task["expected"]),
        units.rate(task["speed"]),
        units.clean(task["name"] or task["url"], 60),
        task["status"],
    )


def _show(arguments: Arguments) -> int:
    from transfermon.control.client import task_path

    task = only(folder_of(arguments), ("GET", task_path(*arguments.task), None))
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
        ("TLS keys", task["options"].get("tlsKeys", "")),
        ("Resumes", "" if task["state"] == "completed" else "yes" if task["resumable"] else "no, a pause starts over"),
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


def _sessions(arguments: Arguments) -> int:
    sessions = only(folder_of(arguments), ("GET", "/v1/sessions", None))["sessions"]
    if arguments.json:
        say_json(sessions)
    elif not sessions:
        say("No sessions.")
    else:
        rows = [("SESSION", "STATE", "LEFT", "DONE", "FAILED")]
        rows += [
            (one["key"], one["state"], str(one["outstanding"]), str(one["completed"]), str(one["failed"]))
            for one in sessions
        ]
        say_table(rows, right=(2, 3, 4))
    return DONE


def _events(arguments: Arguments) -> int:
    from transfermon.control.client import Client, NoEngine

    folder = folder_of(arguments)
    path = f"/v1/events?since={arguments.since}"
    try:
        for event in Client(folder).stream(path + ("&follow=1" if arguments.follow else "")):
            _print_event(event, as_json=arguments.json)
    except NoEngine:
        if arguments.follow:
            raise
        for event in only(folder, ("GET", path, None))["events"]:
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


def _act(arguments: Arguments) -> int:
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
    replies = ask(folder, [("POST", task_path(key.session, key.number, name), body) for key in keys]) if keys else []
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

    tasks = only(folder, ("GET", "/v1/tasks", None))["tasks"]
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


def _push(arguments: Arguments) -> int:
    return _say_wake(arguments, running(folder_of(arguments), "POST", "/v1/push", _payload(arguments.payload)))


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


def _fetch(arguments: Arguments) -> int:
    return _say_wake(arguments, running(folder_of(arguments), "POST", "/v1/fetch"))


def _simulate(arguments: Arguments) -> int:
    given = {key: getattr(arguments, name) for name, key in _NETWORK.items() if getattr(arguments, name) is not None}
    if arguments.what == "network":
        return _simulate_network(arguments, given)
    if given:
        raise Wrong("these options are for `transfermon simulate network`")
    answer = running(folder_of(arguments), "POST", f"/v1/simulate/{arguments.what}")
    if arguments.json:
        say_json([answer])
    elif answer["suspended"]:
        say("The app is suspended: its listeners hear nothing, transfers go on. End it with: transfermon simulate wake")
    else:
        say("The app is awake; its listeners are told what they have missed.")
    return DONE


def _simulate_network(arguments: Arguments, given: dict[str, Any]) -> int:
    if "count" in given and "answer" not in given:
        raise Wrong("--count says how often --answer is given")
    answer = running(folder_of(arguments), "POST" if given else "GET", "/v1/simulate/network", given or None)
    if arguments.json:
        say_json([answer])
        return DONE
    say(f"Network simulation: {answer['words'] or 'off'}")
    if arguments.drop:
        count = answer["dropped"]
        say("1 connection was dropped." if count == 1 else f"{count} connections were dropped.")
    return DONE


def _doctor(arguments: Arguments) -> int:
    import asyncio

    from transfermon.commands import doctor

    if not arguments.url:
        found = asyncio.run(doctor.installation(folder_of(arguments)))
        if arguments.json:
            say_json([found])
        else:
            say_table(list(found.items()))
        return DONE
    return asyncio.run(_prognosis(arguments))


async def _prognosis(arguments: Arguments) -> int:
    from transfermon.commands import doctor, transfer
    from transfermon.model.errors import TransferFailure

    try:
        url, headers = transfer.address(arguments.url), transfer.headers(arguments.header)
    except ValueError as exc:
        raise Wrong(str(exc)) from None
    try:
        found = await doctor.examine(url, headers)
    except TransferFailure as exc:
        return complain(exc.title, exc.hint, code=FAILED)
    if arguments.json:
        say_json([found.to_dict()])
    else:
        say_table(found.facts())
    return FAILED if found.verdict == doctor.NO else DONE


def _run_script(arguments: Arguments) -> int:
    from transfermon.host import scripting

    headless, words = _script_words(arguments.arguments)
    headless |= arguments.headless
    script = scripting.Script.read(arguments.script, words)
    folder = folder_of(arguments)
    scripting.refuse_beside(folder)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)  # whoever reads along sees each line as it is printed
    if headless:
        return scripting.run_headless(folder, script)
    from transfermon.gui import app

    return app.run(folder, script=script)


def _script_words(words: list[str]) -> tuple[bool, list[str]]:
    """`--headless` may stand behind the script, too; what follows `--` is the script's in any case."""
    cut = words.index("--") if "--" in words else len(words)
    ours, its = words[:cut], words[cut + 1 :]
    return "--headless" in ours, [word for word in ours if word != "--headless"] + its


def _standby(arguments: Arguments) -> int:
    if arguments.lock_fd is not None:
        _adopted(arguments.lock_fd)
    from transfermon.host import standby

    return standby.run(folder_of(arguments), arguments.lock_fd)


def _adopted(fd: int) -> None:
    """First of all: a child that was started before this would keep the lock."""
    try:
        os.set_inheritable(fd, False)
    except (OSError, OverflowError) as exc:
        raise Wrong(f"There is no open file {fd}.") from exc


def _quit(arguments: Arguments) -> int:
    if not arguments.stop_transfers:
        return _end(arguments)
    request: Request = ("POST", "/v1/quit", {"stopTransfers": True})
    return _ended(arguments, only(folder_of(arguments), request))


def _end(arguments: Arguments) -> int:
    return _ended(arguments, running(folder_of(arguments), "POST", f"/v1/{arguments.command}"))


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


def _videofarm(arguments: Arguments) -> int:
    from transfermon.videofarm.server import serve

    return serve(arguments)
