"""Speaks to a running engine over its control socket: HTTP/1.1 on plain blocking sockets.

Rule: little is imported here. A command to a running engine pays for no HTTP library and no event
loop.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from collections.abc import Generator, Iterator, Sequence
from typing import IO, Any
from urllib.parse import quote

from transfermon.model import json_text
from transfermon.model.errors import Code, TransfermonError

SOCKET = "control.sock"
LONGEST_PATH = 100  # bytes; the kernel takes 107 at most
JSON = "application/json"
_LINE = 65536


class NoEngine(TransfermonError):  # noqa: N818 - a state of affairs, as InvalidAction is
    """Nobody listens on the control socket, or who listened has gone."""

    code = Code.SESSION_DISCONNECTED


def task_path(session: str, number: int, action: str = "") -> str:
    """The path of a task; a session's name may hold any character."""
    return f"/v1/tasks/{quote(session, safe='')}/{number}" + (f"/{action}" if action else "")


@contextlib.contextmanager
def short_path(state_dir: str) -> Iterator[str]:
    """The socket's path in a form that fits into a socket address, usable inside the block."""
    path = os.path.join(state_dir, SOCKET)
    if len(os.fsencode(path)) <= LONGEST_PATH or not hasattr(os, "O_PATH"):
        yield path
        return
    fd = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{SOCKET}"
    finally:
        os.close(fd)


def peer_uid(connection: socket.socket) -> int:
    """Who is at the other end. Where the system has no SO_PEERCRED the folder's mode has to do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.getuid()
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("3i", packed)[1])  # pid, uid, gid


class EngineFull(TransfermonError):  # noqa: N818 - a state of affairs
    """It runs, and takes no more connections now."""

    code = Code.SESSION_DISCONNECTED


FULL = "The running engine takes no more connections: 128 are open."


class EngineGone(NoEngine):
    """It listened, and went away before it had answered: what was asked may have been done."""


class Client:
    """One connection per request. Every method raises NoEngine when nobody answers, EngineFull when
    too many ask.
    """

    def __init__(self, state_dir: str, timeout: float = 10.0) -> None:
        self._state_dir = state_dir
        self._timeout = timeout  # seconds that an answer may keep us waiting

    def __repr__(self) -> str:
        return f"<Client {self._state_dir}>"

    def request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | str | None = None,
        *,
        timeout: float | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON body of the answer; a str is sent as it is, a dict as JSON."""
        with self._exchange(method, path, body, timeout or self._timeout) as (_, file):
            status, headers = _head(file)
            return status, _unless_full(_object(b"".join(_body(file, headers))))

    def stream(self, path: str) -> Generator[dict[str, Any], None, None]:
        """The lines of an NDJSON answer, as they come, without a limit in time. Raises
        TransfermonError when the engine refuses, NoEngine when it goes away in the middle.
        """
        with self._exchange("GET", path, None, self._timeout) as (connection, file):
            status, headers = _head(file)
            if status != 200:
                raise problem(_unless_full(_object(b"".join(_body(file, headers)))))
            connection.settimeout(None)
            rest = b""
            for piece in _body(file, headers):
                *lines, rest = (rest + piece).split(b"\n")
                yield from (_object(line) for line in lines if line)

    def alive(self) -> bool:
        """Whether an engine answers here."""
        try:
            return self.request("GET", "/v1/status", timeout=2.0)[0] == 200
        except EngineFull:
            return True
        except NoEngine:
            return False

    def show(self, *, add: bool = False, urls: Sequence[str] = ()) -> bool:
        """Raise the window of the running app, and have it ask for addresses or about these; False
        when it has no window. NoEngine when nothing runs.
        """
        asked = {"add": add, "urls": list(urls)} if add or urls else None
        return self.request("POST", "/v1/show", asked)[0] == 200

    def _listens(self) -> bool:
        """Whether there is an engine now, though it may not answer."""
        try:
            with (
                socket.socket(socket.AF_UNIX) as connection,
                short_path(self._state_dir) as address,
            ):
                connection.settimeout(1.0)
                connection.connect(address)
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def _exchange(
        self, method: str, path: str, body: dict[str, Any] | str | None, timeout: float
    ) -> Iterator[tuple[socket.socket, IO[bytes]]]:
        data = (
            b""
            if body is None
            else (body if isinstance(body, str) else json.dumps(body)).encode("utf-8", "replace")
        )
        head = f"{method} {path} HTTP/1.1\r\nHost: transfermon\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
        connected = False
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(timeout)
                with short_path(self._state_dir) as address:
                    connection.connect(address)
                connected = True
                if peer_uid(connection) != os.getuid():
                    raise NoEngine(f"The engine in {self._state_dir} belongs to another user.")
                # refused before it was read: the answer says why
                with contextlib.suppress(BrokenPipeError):
                    connection.sendall(head.encode("ascii") + data)
                with connection.makefile("rb") as file:
                    yield connection, file
        except TimeoutError as exc:
            raise EngineGone(
                "The engine does not answer.", "It may be stopped or very busy; try again."
            ) from exc
        except OSError as exc:
            if connected:
                if self._listens():
                    raise EngineGone(
                        "The engine broke off the connection.", "It is very busy; try again."
                    ) from exc
                raise EngineGone("The engine has ended.") from exc
            raise NoEngine(
                f"No transfermon is running for {self._state_dir}.",
                "Start it with `transfermon gui`.",
            ) from exc
        except ValueError as exc:
            raise EngineGone("The engine gave an answer that makes no sense.", f"{exc}.") from exc


def _unless_full(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("title") == FULL:
        raise EngineFull(FULL, "End some of the programs that follow it, then try again.")
    return body


def problem(body: dict[str, Any]) -> TransfermonError:
    """What an RFC 9457 body says, as an error to show."""
    return TransfermonError(
        str(body.get("title", "Refused.")), str(body.get("detail", "")), code=body.get("code")
    )


def _object(data: bytes) -> dict[str, Any]:
    found = json_text.loads(data)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _line(file: IO[bytes]) -> bytes:
    line = file.readline(_LINE)
    if not line.endswith(b"\n"):
        raise ConnectionResetError("the answer ends in the middle")
    return line.rstrip(b"\r\n")


def _head(file: IO[bytes]) -> tuple[int, dict[str, str]]:
    status = 100
    headers: dict[str, str] = {}
    while status < 200:
        status = int(_line(file).split()[1])
        headers = {}
        while line := _line(file):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
    return status, headers


def _body(file: IO[bytes], headers: dict[str, str]) -> Iterator[bytes]:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        yield _exactly(file, int(headers.get("content-length", 0)))
        return
    while size := int(_line(file).partition(b";")[0], 16):
        yield _exactly(file, size)
        _line(file)
    _line(file)


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ConnectionResetError("the answer ends in the middle")
    return data
