"""Three servers that serve one file in the same ways: nginx, Apache, and the one that we wrote.

The one rule to keep: a scene says in `Traits` what the server is like, and never which server it
is.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.helpers import apache, nginx
from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from tests.helpers.real_server import RealServer

RATE = 4_000_000  # bytes a second, about, of a slow server
WEAK = 'W/"weak"'
NAMES = ("nginx", "apache", "ours")


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What the server is like. `/old` leads to `/a.bin` for all."""

    slow: bool = True  # so that a test can look on
    tag: str = "strong"  # or "weak", "none"
    ranges: bool = True
    dates: bool = True
    fields: tuple[tuple[str, str], ...] = ()  # with every answer


class Asked(NamedTuple):
    """A request as the server saw it."""

    target: str
    range: str
    if_range: str


class Opponent(Protocol):
    port: int

    def url(self, path: str = "/") -> str: ...
    def put(self, content: bytes, *, age: float) -> None: ...
    def asked(self) -> list[Asked]: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


def why_not(name: str) -> str:
    """ "" where that server can be had."""
    if name == "nginx":
        return "" if nginx.PATH else nginx.WHY_NOT
    return "" if name == "ours" or apache.PATH else apache.WHY_NOT


def serving(name: str, folder: Path, traits: Traits) -> AbstractContextManager[Opponent]:
    """That server, with a folder of its own."""
    return {"nginx": _nginx, "apache": _apache, "ours": _ours}[name](folder, traits)


class _Real:
    """A server of other people's."""

    def __init__(self, server: RealServer) -> None:
        self.server, self.port = server, server.port
        self.url, self.start, self.stop = server.url, server.start, server.stop

    def put(self, content: bytes, *, age: float) -> None:
        self.server.put("a.bin", content, age=age)

    def asked(self) -> list[Asked]:
        found = []
        for line in self.server.requests():
            _, target, _, _, *asked, _ = shlex.split(re.sub(r"\\x22", r"\"", line))
            found.append(Asked(target, *(value if value != "-" else "" for value in asked)))
        return found


@contextlib.contextmanager
def _nginx(folder: Path, traits: Traits) -> Iterator[Opponent]:
    words = ["location = /old { return 302 /a.bin; }"]
    words += ["limit_rate 1500000;"] * traits.slow  # the share of the first second comes at once
    words += ["max_ranges 0;"] * (not traits.ranges)
    fields = list(traits.fields)
    if traits.tag != "strong":
        words.append("etag off;")
        fields += [("ETag", WEAK)] * (traits.tag == "weak")
    fields += [("Last-Modified", "")] * (not traits.dates)
    words += [f"add_header {name} '{value}';" for name, value in fields]
    (folder / "root").mkdir(parents=True)
    with nginx.running(folder / "server", folder / "root", server=" ".join(words)) as server:
        yield _Real(server)


@contextlib.contextmanager
def _apache(folder: Path, traits: Traits) -> Iterator[Opponent]:
    words = ["Redirect 302 /old /a.bin", f"MaxRanges {'default' if traits.ranges else 'none'}"]
    words += [f"SetOutputFilter RATE_LIMIT\nSetEnv rate-limit {RATE // 1024}"] * traits.slow
    words += {"strong": [], "weak": ["Header edit ETag ^ W/"], "none": ["FileETag None"]}[
        traits.tag
    ]
    words += ["Header unset Last-Modified"] * (not traits.dates)
    words += [f"Header set {name} '{value}'" for name, value in traits.fields]
    with apache.running(folder / "server", directory="\n".join(words)) as server:
        yield _Real(server)


class _Ours:
    def __init__(self, traits: Traits) -> None:
        pause = 65536 / RATE if traits.slow else 0.0
        self._resource = Resource(
            b"", headers=dict(traits.fields), ranges=traits.ranges, piece=65536, pause=pause
        )
        self._resource.before = self._redirect
        self._traits = traits
        self._server = ByteServer(self._resource)
        self._earlier: list[Request] = []
        self.port = self._server.port

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def put(self, content: bytes, *, age: float) -> None:
        self._resource.body = content
        tags = {"strong": f'"{hashlib.sha256(content).hexdigest()[:16]}"', "weak": WEAK, "none": ""}
        self._resource.etag = tags[self._traits.tag]
        self._resource.last_modified = ""
        if self._traits.dates:
            self._resource.last_modified = email.utils.formatdate(time.time() - age, usegmt=True)

    def asked(self) -> list[Asked]:
        requests = [*self._earlier, *self._server.requests]
        return [Asked(r.target, r.header("Range"), r.header("If-Range")) for r in requests]

    def start(self) -> None:
        self._server = ByteServer(self._resource, port=self.port)

    def stop(self) -> None:
        self._server.stop()
        self._earlier += self._server.requests
        self._server.requests = []

    def _redirect(self, conn: Conn, request: Request) -> bool:
        self._resource.headers["Date"] = email.utils.formatdate(usegmt=True)
        if request.target == "/old":
            conn.send(reply(302, {"Location": "/a.bin"}))
        return request.target == "/old"


@contextlib.contextmanager
def _ours(folder: Path, traits: Traits) -> Iterator[Opponent]:
    server = _Ours(traits)
    try:
        yield server
    finally:
        server.stop()
