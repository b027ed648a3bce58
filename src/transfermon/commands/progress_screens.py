"""What `get`, `put` and `send` show while they work: lines, a bar, an answer, or JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
import unicodedata
from collections.abc import Collection
from typing import TextIO
from urllib.parse import unquote, urlsplit

from transfermon.host.terminal import FAILED, Json, complain
from transfermon.model import units

BAR_PER_SECOND = 10


class Screen:
    """Shows failures only, which is what `--quiet` means."""

    follows = False  # it is told of everything that happens; else of the ends alone
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

    follows = True

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def event(self, event: Json, task: Json) -> None:
        self._out.write(json.dumps(event) + "\n")
        self._out.flush()


class LineScreen(Screen):
    """Plain lines, for logs: what happens on stderr, what is there now on stdout."""

    follows = True

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
            self._say(
                self._out,
                f"Saved {task['path'] or task['name']} ({size}){': ' + said if said else ''}",
            )
        else:
            place = f", stored as {task['storedAs']}" if task["storedAs"] else ""
            sent = (
                f"Sent {_label(task)} ({units.size(task['received'])}): {task['statusCode']}{place}"
            )
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
            complain(
                "The answer is too long: 8 MiB are kept at the most.",
                "Nothing of it is printed.",
                code=FAILED,
            )
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
        import shutil  # brings compression

        width = shutil.get_terminal_size().columns - 1
        self._err.write("\r" + progress_bar(tasks, width, _glyphs(self._err)) + "\x1b[K")
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


def progress_bar(tasks: Collection[Json], width: int, glyphs: str = "=-") -> str:
    """One line of at most `width` columns: one task by its name, several by what is left of
    them.
    """
    left = [task for task in tasks if task["state"] != "completed"]
    title = (
        _label(left[0])
        if len(tasks) == 1 and left
        else f"{len(tasks) - len(left)} of {len(tasks)} done"
    )
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
    return (
        units.size(received)
        if expected < 0
        else f"{units.size(received)} of {units.size(expected)}"
    )


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
    return units.clean(
        task["name"] or unquote(parts.path.rpartition("/")[2]) or parts.netloc or task["id"], 200
    )


def _worth_a_line(event: Json) -> str:
    if event["type"] == "downloadresumed":
        if event.get("fileOffset"):
            return f"goes on at {units.size(event['fileOffset'])}"
        return f"starts from zero: {event['reason']}" if event.get("reason") else ""
    if event["type"] == "mirrordropped":
        return f"does without the mirror {event['mirror']}: {event['reason']}"
    if event["type"] == "taskstate" and event.get("reason"):
        return f"waiting: {event['reason']}"
    return "paused" if event["type"] == "taskstate" and event.get("state") == "suspended" else ""


def _is_not_it(task: Json) -> bool:
    """Whether what was asked for is not there now."""
    return bool(
        task["error"] or task["state"] != "completed" or task["instead"] or task["unconfirmed"]
    )


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
        part
        for part in (f"{_label(task)}:", task["error"]["message"], said, task["error"]["hint"])
        if part
    )


def screen_for(arguments: argparse.Namespace) -> Screen:
    """The kind that the arguments and the terminal ask for."""
    if arguments.json:
        return JsonScreen(sys.stdout)
    if arguments.quiet:
        return Screen()
    if arguments.command == "send":
        return AnswerScreen(sys.stdout)
    return (
        BarScreen(sys.stdout, sys.stderr)
        if sys.stderr.isatty()
        else LineScreen(sys.stdout, sys.stderr)
    )
