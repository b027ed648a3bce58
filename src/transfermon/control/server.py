"""The control socket: HTTP/1.1 for the owner of the state directory, `curl --unix-socket` included.

Rule: the socket is bound and removed only while the engine lock is held, which is what makes it
safe to clear a stale one away. What a client is answered is up to its `ControlConnection`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from typing import TYPE_CHECKING

from transfermon.control.api import Api
from transfermon.control.client import FULL, SOCKET, peer_uid, short_path
from transfermon.system.runners import Runners

if TYPE_CHECKING:
    from transfermon.control.connection import ControlConnection
    from transfermon.engine.monitor import Monitor

log = logging.getLogger(__name__)

WAITING = 64  # connections that wait to be accepted
PAUSE = 1.0  # seconds until the next one is accepted where there is no room for it
WRITE_BUFFER = 65536  # bytes that may wait for a slow reader
CLOSING = 30.0  # seconds that a client may take for the last of them
LAST_WORDS = 1.0  # seconds that answers on their way get when the server closes
CONNECTIONS = 128  # at one time; more are turned away
REFUSALS = 64  # of these so many at one time are told why


class ControlServer:
    """Serves one Monitor, from `start` to `close`; both while the engine lock is held."""

    def __init__(self, monitor: Monitor, api: Api | None = None) -> None:
        self._monitor = monitor
        self._runners = Runners()
        # None before it has begun
        self._connections: dict[asyncio.Task[None], ControlConnection | None] = {}
        self._listener: socket.socket | None = None
        self._api = api or Api(monitor)
        self.path = os.path.join(monitor.state_dir, SOCKET)

    def __repr__(self) -> str:
        return f"<ControlServer {self.path} {len(self._runners)} connections>"

    async def start(self) -> None:
        """Listen. Raises OSError when the socket cannot be made."""
        listener = self._bind()
        try:
            listener.setblocking(False)
            listener.listen(WAITING)
        except BaseException:
            listener.close()
            raise
        self._listener = listener
        self._look()

    def _bind(self) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            # of an engine that was killed: we hold the lock, so it is nobody's
            os.unlink(self.path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)  # owner-only from birth
        try:
            with short_path(self._monitor.state_dir) as address:
                listener.bind(address)
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(before)
        return listener

    def _look(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    async def close(self) -> None:
        """Quick whoever is connected: clients that stalled are cut off. A no-op when it never
        started.
        """
        listener, self._listener = self._listener, None
        if listener is None:
            return
        asyncio.get_running_loop().remove_reader(listener.fileno())
        listener.close()
        connections = [one for one in self._connections.values() if one is not None]
        for connection in connections:
            connection.last = True
        if answering := [
            task for task, one in self._connections.items() if one is not None and one.answering
        ]:
            await asyncio.wait(answering, timeout=LAST_WORDS)
        await self._runners.close()
        for connection in connections:
            connection.abort()  # one that did not end
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def _accept(self) -> None:
        """Take all that have come. asyncio's own server keeps those open that it has just accepted
        when it is closed, and who asked there would wait as long as this process lives.
        """
        while self._listener is not None:
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:  # mostly there is no descriptor left
                log.warning("no control connection can be taken now: %s", exc.strerror)
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._listener.fileno())
                loop.call_later(PAUSE, self._look)
                return
            self._take(sock)

    def _take(self, sock: socket.socket) -> None:
        if peer_uid(sock) != os.getuid() or len(self._runners) >= CONNECTIONS + REFUSALS:
            sock.close()
            return
        if len(self._connections) >= CONNECTIONS:
            runner = self._runners.spawn(_refuse(sock), "refusal of a control connection")
        else:
            runner = self._runners.spawn(self._serve(sock), "control connection")
            self._connections[runner] = None

        def ended(runner: asyncio.Task[None]) -> None:
            self._connections.pop(runner, None)
            sock.close()  # of one that was cancelled before it had begun

        runner.add_done_callback(ended)

    async def _serve(self, sock: socket.socket) -> None:
        # it brings h11, and most engines nobody asks
        from transfermon.control.connection import ControlConnection

        reader, writer = await asyncio.open_unix_connection(sock=sock)
        writer.transport.set_write_buffer_limits(WRITE_BUFFER)
        connection = ControlConnection(reader, writer, self._api, self._monitor)
        runner = asyncio.current_task()
        assert runner is not None
        self._connections[runner] = connection
        try:
            await connection.serve()
            async with asyncio.timeout(CLOSING):
                writer.close()
                await writer.wait_closed()
        except (ConnectionError, TimeoutError):
            pass  # it went away, or stalled
        finally:
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()
            else:
                writer.close()


async def _refuse(sock: socket.socket) -> None:
    """Say that there are too many, and close. What was asked is taken first: an answer that comes
    before is lost.
    """
    reader, writer = await asyncio.open_unix_connection(sock=sock)
    body = json.dumps({"type": "about:blank", "status": 503, "title": FULL, "detail": ""}).encode()
    head = f"HTTP/1.1 503 X\r\nContent-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
    try:
        async with asyncio.timeout(LAST_WORDS):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"{head}Retry-After: 1\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()
