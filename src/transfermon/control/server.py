"""The control socket: HTTP/1.1 for the owner of the state directory, `curl --unix-socket` included.

Rule: the socket is bound and removed only while the engine lock is held, which is what makes it
safe to clear a stale one away. What a client is answered is up to its `ControlConnection`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from typing import TYPE_CHECKING

from transfermon.control.api import Api
from transfermon.control.client import FULL, SOCKET, peer_uid, short_path
from transfermon.system.runners import Runners

if TYPE_CHECKING:
    from transfermon.control.connection import ControlConnection
    from transfermon.engine.monitor import Monitor

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
        self._connections: dict[ControlConnection, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._api = api or Api(monitor)
        self.path = os.path.join(monitor.state_dir, SOCKET)

    def __repr__(self) -> str:
        return f"<ControlServer {self.path} {len(self._runners)} connections>"

    async def start(self) -> None:
        """Listen. Raises OSError when the socket cannot be made."""
        listener = self._bind()
        try:
            listener.setblocking(False)
            self._server = await asyncio.start_unix_server(
                self._connected, sock=listener, backlog=64
            )
        except BaseException:
            listener.close()
            raise

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

    async def close(self) -> None:
        """Quick whoever is connected: clients that stalled are cut off. A no-op when it never
        started.
        """
        if self._server is None:
            return
        self._server.close()  # not wait_closed: it waits for clients
        self._server = None
        for connection in self._connections:
            connection.last = True
        if answering := [
            task for connection, task in self._connections.items() if connection.answering
        ]:
            await asyncio.wait(answering, timeout=LAST_WORDS)
        await self._runners.close()
        for connection in self._connections:
            connection.abort()  # cancelled before it had begun
        self._connections.clear()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A plain function: a coroutine here would be spawned by asyncio, which neither keeps nor
        # awaits it.
        foreign = peer_uid(writer.get_extra_info("socket")) != os.getuid()
        if foreign or len(self._runners) >= CONNECTIONS + REFUSALS:
            writer.transport.abort()
            return
        if len(self._connections) >= CONNECTIONS:
            self._runners.spawn(_refuse(reader, writer), "refusal of a control connection")
            return
        writer.transport.set_write_buffer_limits(WRITE_BUFFER)
        # it brings h11, and most engines nobody asks
        from transfermon.control.connection import ControlConnection

        connection = ControlConnection(reader, writer, self._api, self._monitor)
        runner = self._runners.spawn(self._serve(connection, writer), "control connection")
        self._connections[connection] = runner

    async def _serve(self, connection: ControlConnection, writer: asyncio.StreamWriter) -> None:
        try:
            await connection.serve()
            async with asyncio.timeout(CLOSING):
                writer.close()
                await writer.wait_closed()
        except (ConnectionError, TimeoutError):
            pass  # it went away, or stalled
        finally:
            self._connections.pop(connection, None)
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()
            else:
                writer.close()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that there are too many, and close. What was asked is taken first: an answer that comes
    before is lost.
    """
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
