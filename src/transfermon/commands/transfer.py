"""`transfermon get`, `put` and `send`: hand tasks to the running engine and follow them, or be the engine meanwhile.

Rule: whoever the engine is may change at any time. The loop in `Getter.run` follows the one that answers, becomes it
when nobody does, and finds its tasks again by their keys.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import unquote, urlsplit

from transfermon.commands import request_arguments
from transfermon.control.client import Client, NoEngine, task_path
from transfermon.host.terminal import DONE, FAILED, INTERRUPTED, accepted, complain
from transfermon.http.addresses import check_url
from transfermon.model import units
from transfermon.model.configuration import SessionConfiguration, checked_headers
from transfermon.model.errors import EngineBusyError, StateError, TransferFailure
from transfermon.model.task import TaskKey
from transfermon.text import advice

if TYPE_CHECKING:  # loaded when this process has to be the engine
    from transfermon.control.server import ControlServer
    from transfermon.engine.monitor import Monitor
    from transfermon.model.events import Event

Json = dict[str, Any]

HAND_OVER = 20.0  # seconds in which the next engine must answer, or free the lock
AFTER_RELEASE = 15.0  # seconds that the one who asked for the lock may take to get it
BAR_PER_SECOND = 10
LARGEST_DATA = 512 * 1024  # bytes; with their coding they fit into a message of the control socket
_ODD = "{} is no ordinary file."


# ---- from arguments to orders


def orders(arguments: argparse.Namespace) -> list[Json]:
    """What is to be asked of the engine. Raises ValueError with a sentence for what cannot be asked."""
    session = SessionConfiguration.background(arguments.session).identifier
    common = {
        "session": session,
        "headers": headers(arguments.header),
        "sha256": _digest(arguments.sha256),
        "speedLimit": _rate(arguments.limit_rate),
        "overwrite": arguments.overwrite,
        "maximumAttempts": arguments.retry,
        "join": True,
    }
    if len(arguments.urls) > 1 and (arguments.output or arguments.sha256):
        raise ValueError("--output and --sha256 are for one address at a time.")
    destination = _file(arguments.output, arguments.overwrite) if arguments.output else _folder(arguments.directory)
    urls = dict.fromkeys(address(url) for url in arguments.urls)
    return [
        {"url": url, "destination": destination, **request_arguments.fields(arguments, url), **common} for url in urls
    ]


def upload_orders(arguments: argparse.Namespace) -> list[Json]:
    """As `orders`, for `transfermon put`."""
    path = os.path.abspath(arguments.file)
    if os.path.isdir(path):
        raise ValueError(f"{arguments.file} is a folder; pack it first.")
    if not os.path.isfile(path):
        raise ValueError(f"The file {arguments.file} is not there." if not os.path.exists(path) else _ODD.format(path))
    if not os.access(path, os.R_OK):
        raise ValueError(f"The file {arguments.file} cannot be read.")
    url = address(arguments.url)
    order = {
        "kind": "upload",
        "url": url,
        "file": path,
        "protocol": arguments.protocol,
        "intoFolder": True,
        "method": _method(arguments.method) if arguments.method else "",
        "session": SessionConfiguration.background(arguments.session).identifier,
        "headers": request_arguments.content_type(arguments, headers(arguments.header)),
        **request_arguments.fields(arguments, url),
        "speedLimit": _rate(arguments.limit_rate),
        "maximumAttempts": arguments.retry,
        "join": True,
    }
    return [order]


def data_orders(arguments: argparse.Namespace) -> list[Json]:
    """As `orders`, for `transfermon send`."""
    url = address(arguments.url)
    order: Json = {
        "kind": "data",
        "url": url,
        "method": _method(arguments.method),
        "session": SessionConfiguration.background(arguments.session).identifier,
        "headers": request_arguments.content_type(arguments, headers(arguments.header)),
        **request_arguments.fields(arguments, url),
        "maximumAttempts": arguments.retry,
    }
    if arguments.data is not None:
        order["dataBase64"] = base64.b64encode(_data(arguments.data)).decode()
    return [order]


def _data(text: str) -> bytes:
    if not text.startswith("@"):
        return os.fsencode(text)  # the very bytes that were written, whatever the terminal's encoding
    try:
        with open(text[1:], "rb") as file:
            found = file.read(LARGEST_DATA + 1)
    except OSError as exc:
        raise ValueError(f"{text[1:]} cannot be read: {exc.strerror}.") from None
    if len(found) > LARGEST_DATA:
        raise ValueError("A data task sends 512 KiB at the most; `transfermon put` sends files of any size.")
    return found


def _method(text: str) -> str:
    if not (text.isascii() and text.isalpha()):
        raise ValueError(f"“{text}” is not a method; write PUT or POST.")
    return text.upper()


def address(text: str) -> str:
    """In its normal form. Raises ValueError with a sentence for one that cannot be loaded."""
    try:
        return check_url(text)
    except TransferFailure as exc:
        raise ValueError(f"{exc.title} {exc.hint}".strip()) from None


def headers(given: list[str]) -> dict[str, str]:
    """Of lines `Name: value`. Raises ValueError with a sentence for the first that is none."""
    found = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon:
            raise ValueError(f"“{text}” is not a header; write 'NAME: VALUE'.")
        found[name.strip()] = value.strip()
    return checked_headers(found)


def _digest(text: str) -> str:
    if text and not re.fullmatch("[0-9A-Fa-f]{64}", text):
        raise ValueError("A SHA-256 digest has 64 hexadecimal digits.")
    return text.lower()


def _rate(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]+)?)([kKmMgG]?)", text)
    if not found:
        raise ValueError(f"“{text}” is not a rate; write bytes per second, such as 500K or 2M.")
    return int(float(found[1]) * 1024 ** " KMG".index(found[2].upper() or " "))


def _folder(given: str | None) -> str:
    try:
        folder = os.path.abspath(given or ".")
    except FileNotFoundError:
        raise ValueError("The current folder is gone.") from None
    _must_take_files(folder)
    return folder.rstrip(os.sep) + os.sep


def _file(given: str, overwrite: bool) -> str:
    path = os.path.abspath(given)
    if given.endswith(os.sep) or os.path.isdir(path):
        raise ValueError(f"The path {given} is a folder; name a file, or use --directory.")
    _must_take_files(os.path.dirname(path))
    if os.path.lexists(path) and not overwrite:
        raise ValueError(f"The file {given} is there already; --overwrite replaces it.")
    return path


def _must_take_files(folder: str) -> None:
    if not os.path.isdir(folder):
        raise ValueError(f"The folder {folder} is not there.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"The folder {folder} cannot be written to.")


# ---- what is shown


class Screen:
    """Told of everything; shows failures only, which is what `--quiet` means."""

    failed = False  # to show what it is there for

    def added(self, task: Json) -> None: ...

    def event(self, event: Json, task: Json) -> None: ...

    def moved(self, tasks: Collection[Json]) -> None: ...

    def ended(self, task: Json) -> None:
        if failure := _failure(task):
            complain(failure, code=FAILED)

    def close(self) -> None: ...


class JsonScreen(Screen):
    """Every event of the tasks, one on a line; failures on stderr, too."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def event(self, event: Json, task: Json) -> None:
        self._out.write(json.dumps(event) + "\n")
        self._out.flush()


class LineScreen(Screen):
    """Plain lines, for logs: what happens on stderr, what is there now on stdout."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err

    def added(self, task: Json) -> None:
        self._say(self._err, f"{task['id']}  {task['url']}")

    def event(self, event: Json, task: Json) -> None:
        if words := _worth_a_line(event):
            self._say(self._err, f"{_label(task)}: {words}")

    def ended(self, task: Json) -> None:
        super().ended(task)
        if task["state"] != "completed" or task["error"] or task["unconfirmed"]:
            return
        if task["kind"] == "download":
            size, said = units.size(task["received"]), task["instead"] or task["remark"]
            self._say(self._out, f"Saved {task['path'] or task['name']} ({size}){': ' + said if said else ''}")
        else:
            place = f", stored as {task['storedAs']}" if task["storedAs"] else ""
            sent = f"Sent {_label(task)} ({units.size(task['received'])}): {task['statusCode']}{place}"
            self._say(self._out, sent)

    def _say(self, stream: TextIO, text: str) -> None:
        stream.write(units.clean(text, 4000) + "\n")
        stream.flush()


class AnswerScreen(Screen):
    """The answer's text, all of it, and nothing else; what is not all of it is a failure."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def ended(self, task: Json) -> None:
        super().ended(task)
        if not task.get("responseWhole", True):
            self.failed = True
            complain("The answer is too long: 8 MiB are kept at the most.", "Nothing of it is printed.", code=FAILED)
        elif text := task.get("responseText"):
            self._out.write(text if text.endswith("\n") else text + "\n")
            self._out.flush()


class BarScreen(LineScreen):
    """A line that moves, under those that stay; at most ten times a second."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        super().__init__(out, err)
        self._drawn = False
        self._next = 0.0

    def moved(self, tasks: Collection[Json]) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + 1 / BAR_PER_SECOND
        width = shutil.get_terminal_size().columns - 1
        self._err.write("\r" + bar(tasks, width, _glyphs(self._err)) + "\x1b[K")
        self._err.flush()
        self._drawn = True

    def ended(self, task: Json) -> None:
        self.close()
        super().ended(task)

    def _say(self, stream: TextIO, text: str) -> None:
        self.close()
        super()._say(stream, text)

    def close(self) -> None:
        if self._drawn:
            self._err.write("\r\x1b[K")
            self._err.flush()
            self._drawn = False
            self._next = 0.0


def bar(tasks: Collection[Json], width: int, glyphs: str = "=-") -> str:
    """One line of at most `width` columns: one task by its name, several by what is left of them."""
    left = [task for task in tasks if task["state"] != "completed"]
    title = _label(left[0]) if len(tasks) == 1 and left else f"{len(tasks) - len(left)} of {len(tasks)} done"
    received = sum(task["received"] for task in tasks)
    known = all(task["expected"] >= 0 for task in tasks)
    expected = sum(task["expected"] for task in tasks) if known else -1
    speed = sum(task["speed"] for task in left)
    figures = [units.percent(received, expected), _amount(received, expected)]
    if speed >= 1:
        figures += [units.rate(speed), units.time_left(received, expected, speed)]
    elif len(left) == 1:
        figures.append(left[0]["status"].partition(":")[0].lower())
    text = "  ".join(figure for figure in figures if figure and figure != "–")
    room = width - len(text) - 2
    if room < 8:
        return _fit(text, width)
    name = _fit(title, min(room, 40))
    space = room - _columns(name) - 2
    if not known or space < 10:
        return f"{name}  {text}"
    length = min(space, 40)
    full = length if expected <= received else received * length // expected
    return f"{name}  {glyphs[0] * full}{glyphs[1] * (length - full)}  {text}"


def _amount(received: int, expected: int) -> str:
    return units.size(received) if expected < 0 else f"{units.size(received)} of {units.size(expected)}"


def _glyphs(stream: TextIO) -> str:
    return "━─" if (stream.encoding or "").lower().replace("-", "") == "utf8" else "=-"


def _columns(text: str) -> int:
    return sum(_column(char) for char in text)


def _column(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _fit(text: str, width: int) -> str:
    text = units.clean(text)
    if _columns(text) <= width:
        return text
    out = ""
    for char in text:
        if _columns(out) + _column(char) > width - 1:
            break
        out += char
    return out + "…" if width > 0 else ""


def _label(task: Json) -> str:
    """The name once it is known, else the end of the address."""
    parts = urlsplit(task["url"])
    return units.clean(task["name"] or unquote(parts.path.rpartition("/")[2]) or parts.netloc or task["id"], 200)


def _worth_a_line(event: Json) -> str:
    if event["type"] == "downloadresumed":
        if event.get("fileOffset"):
            return f"goes on at {units.size(event['fileOffset'])}"
        return f"starts from zero: {event['reason']}" if event.get("reason") else ""
    if event["type"] == "taskstate" and event.get("reason"):
        return f"waiting: {event['reason']}"
    return "paused" if event["type"] == "taskstate" and event.get("state") == "suspended" else ""


def _is_not_it(task: Json) -> bool:
    """Whether what was asked for is not there now."""
    return bool(task["error"] or task["state"] != "completed" or task["instead"] or task["unconfirmed"])


def _failure(task: Json) -> str:
    if task["state"] == "removed":
        return f"{_label(task)}: somebody took it out of the list."
    if task["instead"]:
        return f"{_label(task)}: this is {task['instead']}. Open the address in a browser to see what it wants."
    if task["unconfirmed"] and not task["error"]:
        return f"{_label(task)}: sent, not confirmed. {task['unconfirmed']} Look on the server."
    if not task["error"]:
        return ""
    said = f"It says: “{task['error']['said'].removesuffix('.')}”." if task["error"]["said"] else ""
    return " ".join(
        part for part in (f"{_label(task)}:", task["error"]["message"], said, task["error"]["hint"]) if part
    )


def screen(arguments: argparse.Namespace) -> Screen:
    """The kind that the arguments and the terminal ask for."""
    if arguments.json:
        return JsonScreen(sys.stdout)
    if arguments.quiet:
        return Screen()
    if arguments.command == "send":
        return AnswerScreen(sys.stdout)
    return BarScreen(sys.stdout, sys.stderr) if sys.stderr.isatty() else LineScreen(sys.stdout, sys.stderr)


# ---- the work


class _Engine:
    """This process as the engine, asked in the words of the control API."""

    def __init__(self, monitor: Monitor, changed: asyncio.Event) -> None:
        from transfermon.control.api import Api

        self.monitor = monitor
        self.changed = changed
        self.api = Api(monitor, started=False)
        self._unheard: deque[Event] = deque()  # also of tasks that are being made: nobody knows their keys yet
        self.leave = monitor.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        self._unheard.append(event)
        self.changed.set()

    def news(self) -> Iterator[Json]:
        from transfermon.control.api import event_dict

        while self._unheard:
            yield event_dict(self._unheard.popleft())

    def look(self, name: str) -> Json | None:
        from transfermon.control.api import response_dict, task_dict

        try:
            task = self.monitor.task(TaskKey.parse(name))
        except KeyError:
            return None
        found = task_dict(task, self.monitor.progress(task.key))
        return {"sequence": self.monitor.sequence, **found, **response_dict(self.monitor.kept_response(task.key))}

    def go_on_with(self, names: Iterable[str]) -> None:
        self.monitor.run_only(TaskKey.parse(name) for name in names)

    async def take(self, order: Json) -> Json:
        answer = await self.api.answer("POST", "/v1/tasks", json.dumps(order).encode())
        return accepted((answer.status, dict(answer.body)))


async def _listen(server: ControlServer) -> None:
    try:
        await server.start()
    except OSError as exc:
        raise StateError(f"The control socket {server.path} cannot be made: {exc.strerror or exc}.") from exc


class Getter:
    """One run of `transfermon get`, `put` or `send`."""

    def __init__(self, state_dir: str, orders: list[Json], screen: Screen) -> None:
        self._state_dir = state_dir
        self._client = Client(state_dir)
        self._orders = orders
        self._screen = screen
        self._ids: list[str] = []  # of the orders that were taken, in their order
        self._tasks: dict[str, Json] = {}  # as last heard
        self._ended: set[str] = set()
        self._signalled = False

    def __repr__(self) -> str:
        return f"<Getter {len(self._ended)} of {len(self._orders)} ended>"

    def run(self) -> int:
        """Until every download has ended. Raises NoEngine or EngineBusyError where no engine can be had."""
        try:
            return self._run()
        except KeyboardInterrupt:
            self._screen.close()
            return complain(self._goes_on(), code=INTERRUPTED)
        finally:
            self._screen.close()

    def _run(self) -> int:
        deadline = time.monotonic() + HAND_OVER
        alone_from = 0.0  # before this time the lock is left to the one who asked for it
        while not self._all_ended:
            with contextlib.suppress(NoEngine):
                if self._client.alive():
                    deadline = time.monotonic() + HAND_OVER
                    self._follow()
                    continue
            if time.monotonic() >= alone_from:
                try:
                    released = asyncio.run(self._own())
                except EngineBusyError:
                    if time.monotonic() > deadline:
                        raise
                else:
                    if not self._all_ended and not released:
                        return complain(advice.stopped(self._left()), code=INTERRUPTED)
                    alone_from = time.monotonic() + AFTER_RELEASE
                    deadline = alone_from + HAND_OVER
                    continue
            time.sleep(0.02)
        failed = self._screen.failed or any(_is_not_it(self._tasks[name]) for name in self._ids)
        return FAILED if failed else DONE

    @property
    def _all_ended(self) -> bool:
        return len(self._ids) == len(self._orders) and len(self._ended) == len(self._tasks)

    def _left(self) -> list[tuple[str, int, str]]:
        tasks = [task for name, task in self._tasks.items() if name not in self._ended]
        return [(_label(task), task["received"], task["notResumable"]) for task in tasks]

    def _goes_on(self) -> str:
        left = ", ".join(name for name in self._ids if name not in self._ended) or "what was asked for"
        return f"Following ended; transfermon goes on with {left}. `transfermon pause TASK` stops it."

    # ---- with another process as the engine

    def _follow(self) -> None:
        self._known_again(self._look_there)
        since = []
        for order in self._orders[len(self._ids) :]:
            task = accepted(self._client.request("POST", "/v1/tasks", order))
            since.append(task["sequence"])
            self._taken(task)
        start = min(
            [*since, *(self._tasks[name]["sequence"] for name in self._ids if name not in self._ended)], default=0
        )
        if self._all_ended:
            return
        for event in self._client.stream(f"/v1/events?since={start}&follow=1&progress=1"):
            self._heard(event, self._look_there)
            if self._all_ended:
                return

    def _look_there(self, name: str) -> Json | None:
        session, _, number = name.rpartition(":")
        status, body = self._client.request("GET", task_path(session, int(number)))
        return body if status == 200 else None

    # ---- as the engine

    async def _own(self) -> bool:
        """True when another engine asked for the state directory."""
        from transfermon.control.server import ControlServer
        from transfermon.engine.monitor import Monitor
        from transfermon.system.stay_awake import COMMAND, Inhibitor

        changed = asyncio.Event()
        with self._signals(changed):
            opened = Monitor.open(self._state_dir, what="transfermon get", inhibitor=Inhibitor(after=COMMAND))
            async with opened as monitor:
                engine = _Engine(monitor, changed)
                for fault in monitor.settings.faults:
                    complain(fault, code=DONE)
                server = ControlServer(monitor, engine.api)
                await _listen(server)
                try:
                    self._known_again(engine.look)
                    monitor.ready(start_restored=False)
                    engine.go_on_with(name for name in self._ids if name not in self._ended)
                    asked = [engine.take(order) for order in self._orders[len(self._ids) :]]
                    for task in await asyncio.gather(*asked):
                        self._taken(task)
                    await self._until_done(engine)
                finally:
                    engine.leave()
                    await server.close()
                return monitor.released

    async def _until_done(self, engine: _Engine) -> None:
        quitting = asyncio.create_task(engine.monitor.quitting.wait())
        quitting.add_done_callback(lambda _: engine.changed.set())
        try:
            while True:
                engine.changed.clear()
                for event in engine.news():
                    self._heard(event, engine.look)
                if self._all_ended or self._signalled or quitting.done():
                    return
                await engine.changed.wait()
        finally:
            quitting.cancel()
            await asyncio.wait([quitting])

    @contextlib.contextmanager
    def _signals(self, changed: asyncio.Event) -> Iterator[None]:
        """Ctrl+C, a closed terminal and a polite kill all let the engine put things down."""
        loop = asyncio.get_running_loop()
        all_of_them = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        wanted = [number for number in all_of_them if signal.getsignal(number) != signal.SIG_IGN]  # nohup stays nohup

        def stop() -> None:
            self._signalled = True
            changed.set()

        for number in wanted:
            loop.add_signal_handler(number, stop)
        try:
            yield
        finally:
            for number in wanted:
                loop.remove_signal_handler(number)

    # ---- with either

    def _taken(self, task: Json) -> None:
        name = task["id"]
        is_new = name not in self._ids  # two orders can be one task
        self._ids.append(name)
        self._tasks[name] = task
        if is_new:
            self._screen.added(task)
        self._see(name, task)

    def _known_again(self, look: Callable[[str], Json | None]) -> None:
        """A new engine: see where our tasks stand."""
        for name in self._ids:
            if name not in self._ended:
                self._see(name, look(name))

    def _see(self, name: str, task: Json | None) -> None:
        if task is None:
            self._end(name, {**self._tasks[name], "state": "removed"})
        elif task["state"] == "completed":
            if name not in self._ended:
                self._end(name, task)
        else:
            self._tasks[name] = task

    def _heard(self, event: Json, look: Callable[[str], Json | None]) -> None:
        name = f"{event.get('session')}:{event.get('taskIdentifier')}"
        task = self._tasks.get(name)
        if task is None or name in self._ended:
            return
        self._screen.event(event, task)
        match event["type"]:
            case "downloadprogress":
                task["received"] = event["totalBytesWritten"]
                task["expected"] = event["totalBytesExpectedToWrite"] if event["totalKnown"] else -1
                task["speed"] = event["speed"]
            case "uploadprogress":
                task["received"], task["expected"] = event["totalBytesSent"], event["totalBytesExpectedToSend"]
            case "taskstate" | "taskactivity":
                found = look(name)
                if found is None or found["state"] != "completed":  # else its end is still to be told
                    self._see(name, found)
            case "sessioncompleted" | "taskremoved":
                self._see(name, look(name))
        self._screen.moved(self._tasks.values())

    def _end(self, name: str, task: Json) -> None:
        self._tasks[name] = task
        self._ended.add(name)
        self._screen.ended(task)
