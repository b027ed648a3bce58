"""Faults, group L: what other users and other processes cannot do to the control socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.owners import Place, a_place, slow, until
from tests.helpers.sessions import FastLoop, advance
from transfermon.control.client import SOCKET, EngineFull
from transfermon.control.connection import LARGEST_BODY, PATIENCE
from transfermon.control.server import CONNECTIONS, ControlServer
from transfermon.engine.monitor import Monitor
from transfermon.storage.schema import MIGRATIONS
from transfermon.storage.settings import Settings
from transfermon.storage.store import Store


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio", {"loop_factory": FastLoop}


@pytest.fixture
def slowly() -> Iterator[ByteServer]:
    """A server of a body that outlasts the test."""
    resource = Resource(bytes(12_000_000), etag='"v1"', headers={"Set-Cookie": "session=CANARY-4"})
    slow(resource)
    with ByteServer(resource) as server:
        yield server


def family(pid: int) -> set[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text().rpartition(")")[2].split()[1]
                )
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def sockets_of(pid: int) -> set[str]:
    """The inodes of its sockets."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if match := re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink())):
                found.add(match[1])
    return found


def open_ports(pid: int) -> list[str]:
    """Where this process can be reached over a network: what listens on TCP, and every UDP
    socket.
    """
    own = sockets_of(pid)
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in own and (table.startswith("udp") or fields[3] == "0A"):
                found.append(f"{table} {fields[1]}")
    return found


# L1, L2, L4: the control socket


def test_fault_l1_nothing_listens_but_an_owner_only_socket(place: Place, slowly: ByteServer):
    app = place.app()
    place.add(slowly.url("/a.bin"))
    until("the transfer", place.received)
    processes = family(app.pid) | {place.waiter() or 0}
    assert len(processes) > 1
    assert {pid: ports for pid in processes if (ports := open_ports(pid))} == {}
    found = os.lstat(place.state / SOCKET)
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert stat.S_IMODE(place.state.stat().st_mode) == 0o700


_AS_NOBODY = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
with socket.socket(socket.AF_UNIX) as sock:
    sock.settimeout(10)
    try:
        sock.connect(sys.argv[1])
        sock.sendall(b"POST /v1/quit HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 0\\r\\n\\r\\n")
        print("heard", sock.recv(100))
    except PermissionError:
        print("by mode")
    except ConnectionError:
        print("heard b''")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_fault_l2_another_user_is_refused_by_the_mode_and_by_the_kernels_word():
    def as_nobody(path: Path) -> str:
        command = [sys.executable, "-I", "-S", "-c", _AS_NOBODY, str(path)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)  # the way there is open
        with a_place(Path(folder)) as place:
            app = place.small_app()
            assert as_nobody(place.state / SOCKET) == "by mode"
            os.chmod(place.state, 0o755)
            assert as_nobody(place.state / SOCKET) == "by mode"
            os.chmod(place.state / SOCKET, 0o666)
            assert as_nobody(place.state / SOCKET) == "heard b''"
            assert place.status()["pid"] == app.pid
            assert app.poll() is None


def answered(path: Path, pieces: Iterable[bytes]) -> bytes:
    """All that comes back for these bytes; sending ends early when nobody reads them any more."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(path))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
        out = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(65536):
                out += piece
        return out


WORDS = st.sampled_from(
    [
        *(
            b"GET ",
            b"POST ",
            b"/v1/status",
            b"/v1/push",
            b"/v1/tasks",
            b" HTTP/1.1\r\n",
            b"Host: x\r\n",
            b"\r\n",
        ),
        *(
            b"Content-Length: 5\r\n",
            b"Content-Length: -1\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"0\r\n",
        ),
        *(b"\r\n\r\n", b"{", b"\xff\0"),
    ]
)
GARBAGE = st.one_of(
    st.binary(max_size=600),
    st.lists(st.one_of(WORDS, st.binary(max_size=20)), max_size=25).map(b"".join),
)


def test_fault_l4_garbage_and_half_messages_are_answered_or_closed(place: Place):
    app = place.small_app()
    path = place.state / SOCKET

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(GARBAGE)
    def garbage(data: bytes) -> None:
        answer = answered(path, [data])
        assert answer == b"" or re.match(rb"HTTP/1\.1 [24]\d\d ", answer)

    garbage()
    assert place.status()["pid"] == app.pid
    assert place.tasks() == []
    app.terminate()
    _, said = app.communicate(timeout=60)
    assert said == ""


def resident(pid: int) -> int:
    """Bytes that it has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("way", ["announced", "chunked", "head"])
def test_fault_l4_a_message_of_a_gigabyte_is_refused_after_a_megabyte(place: Place, way: str):
    app = place.small_app()
    before = resident(app.pid)
    post = b"POST /v1/push HTTP/1.1\r\nHost: x\r\n"
    first, piece = {
        "announced": (post + b"Content-Length: 1073741824\r\n\r\n", bytes(65536)),
        "chunked": (
            post + b"Transfer-Encoding: chunked\r\n\r\n",
            b"10000\r\n" + bytes(65536) + b"\r\n",
        ),
        "head": (post + b"X: ", b"y" * 65536),
    }[way]
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        yield first
        for _ in range((1 << 30) // 65536):
            sent += 65536
            yield piece

    answer = answered(place.state / SOCKET, pieces())
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert sent < 4 * LARGEST_BODY
    assert resident(app.pid) - before < 32 << 20
    assert place.status()["pid"] == app.pid


@pytest.mark.anyio
async def test_fault_l4_a_slow_writer_is_cut_off(tmp_path: Path):
    async with Monitor.open(str(tmp_path), settings=Settings()) as monitor:
        server = ControlServer(monitor)
        await server.start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET))
        for byte in b"GET /v1/status HTTP/1.1\r\nHost: x":  # never ends
            with contextlib.suppress(ConnectionError):
                writer.write(bytes([byte]))
                await writer.drain()
            await asyncio.sleep(0)
            advance(PATIENCE / 20)  # each byte comes in good time, the request does not
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()
        await server.close()


def test_fault_l4_a_thousand_connections_are_bounded_and_the_transfers_go_on(
    place: Place, slowly: ByteServer
):
    app = place.small_app()
    place.add(slowly.url("/a.bin"))
    until("the transfer", place.received)
    with contextlib.ExitStack() as held:
        for _ in range(1000):
            sock = held.enter_context(socket.socket(socket.AF_UNIX))
            # waits for its turn: with a time limit it would be refused
            sock.connect(str(place.state / SOCKET))
        path = f"/proc/{app.pid}/fd"
        until("the surplus ones to be closed", lambda: len(os.listdir(path)) < CONNECTIONS + 100)
        part = until("the part file", lambda: list(place.out.glob(".transfermon-*.part")))[0]
        before = part.stat().st_size
        until("more bytes", lambda: part.stat().st_size > before)
    until("room for a request", lambda: status_of(place).get("pid") == app.pid)
    assert app.poll() is None


def status_of(place: Place) -> dict[str, Any]:
    try:
        return place.status()
    except EngineFull:
        return {}


# L8: what others may read


@pytest.mark.anyio
async def test_fault_l8_the_copy_before_a_migration_is_private(tmp_path: Path):
    path = tmp_path / "transfermon.db"
    with contextlib.closing(sqlite3.connect(path)) as older:
        older.executescript(f"{MIGRATIONS[0]}; pragma user_version=1;")
    before = os.umask(0)
    try:
        store = Store(str(path))
        await store.open()
        await store.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "transfermon.db.v1").stat().st_mode) == 0o600


# L9, L10: secrets


def with_secrets(place: Place, server: ByteServer) -> None:
    """A transfer that is on its way with a password, a token and a cookie."""
    url = server.url("/a.bin").replace("http://", "http://name:CANARY-1@")
    place.add(url, headers={"X-Api-Key": "CANARY-2", "Cookie": "a=CANARY-3"})
    until("the transfer", place.received)


def test_fault_l9_secrets_are_at_rest_in_one_owner_only_file(place: Place, slowly: ByteServer):
    app = place.app()
    with_secrets(place, slowly)
    sent = slowly.requests[-1]
    assert sent.header("X-Api-Key") == "CANARY-2"  # they are in use
    assert sent.header("Authorization").startswith("Basic ")
    assert place.run("quit")[0] == 0
    # what stands on the disk now is what a thief of the disk finds
    until("the end", lambda: app.poll() is not None)
    holders = {
        path.name
        for path in place.state.rglob("*")
        if path.is_file() and re.search(b"CANARY-[0-9]", path.read_bytes())
    }
    assert holders == {"secrets.json"}
    assert stat.S_IMODE((place.state / "secrets.json").stat().st_mode) == 0o600


def test_fault_l10_no_process_shows_a_secret_in_its_arguments_or_environment(
    place: Place, slowly: ByteServer
):
    app = place.app()
    with_secrets(place, slowly)
    processes = family(app.pid) | {place.waiter() or app.pid}
    assert len(processes) > 1
    for pid in processes:
        for name in ("cmdline", "environ"):
            assert b"CANARY" not in Path(f"/proc/{pid}/{name}").read_bytes(), (pid, name)
