"""A network of our own: the test in one namespace, servers in another, a cable between them that
can be cut.

Rule: nothing leaves the machine, and the namespaces end with the block, whatever happened. Only the
calling thread moves; threads that it starts meanwhile belong to the namespace in which they were
started.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Self

CLIENT, SERVER = "10.77.0.2", "10.77.0.1"
CLIENT_6, SERVER_6 = "fd77::2", "fd77::1"
_NEWNET = 0x40000000


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _enter(fd: int) -> None:
    if _libc().setns(fd, _NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _unshare() -> None:
    if _libc().unshare(_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")


@contextlib.contextmanager
def _returning() -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _enter(home)
        os.close(home)


@functools.cache
def why_not() -> str:
    """Why namespaces cannot be had here; "" when they can."""
    if sys.platform != "linux":
        return "network namespaces are a thing of Linux"
    if shutil.which("ip") is None:
        return "ip (iproute2) is not installed"
    try:
        with _returning():
            _unshare()
            tried = subprocess.run(
                ["ip", "link", "set", "lo", "up"], capture_output=True, check=False
            )
    except OSError as exc:
        return f"namespaces may not be made here: {exc}"
    return "" if tried.returncode == 0 else "namespaces cannot be set up here"


def run(*command: str) -> None:
    """Run a command in the namespace of this thread; raises CalledProcessError with its words."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(
            done.returncode, command, done.stdout, done.stderr.strip()
        )


class Network:
    """Made by `network()`."""

    def __init__(self, server_fd: int) -> None:
        self._server_fd = server_fd

    @contextlib.contextmanager
    def on_server(self) -> Iterator[None]:
        """Be in the servers' namespace: what is made in the block belongs there."""
        with _returning():
            _enter(self._server_fd)
            yield

    def ip(self, *words: str) -> None:
        """`ip` in the namespace of the test."""
        run("ip", *words)

    def down(self) -> None:
        """Pull the cable on our side; addresses and routes go with it."""
        run("ip", "addr", "flush", "dev", "c0")
        run("ip", "link", "set", "c0", "down")

    def up(self, address: str = CLIENT) -> None:
        run("ip", "link", "set", "c0", "up")
        run("ip", "addr", "add", f"{address}/24", "dev", "c0")
        run("ip", "route", "add", "default", "via", SERVER)


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """Two namespaces with a cable between them: the test is at CLIENT, servers are at SERVER."""
    with _returning():
        _unshare()
        server_fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        # gives the namespace a number that ip understands
        holder = subprocess.Popen(["sleep", "600"])
        try:
            run("ip", "link", "set", "lo", "up")
            _unshare()
            run("ip", "link", "set", "lo", "up")
            run(
                "ip",
                "link",
                "add",
                "c0",
                "type",
                "veth",
                "peer",
                "name",
                "s0",
                "netns",
                str(holder.pid),
            )
            made = Network(server_fd)
            with made.on_server():
                run("ip", "addr", "add", f"{SERVER}/24", "dev", "s0")
                run("ip", "-6", "addr", "add", f"{SERVER_6}/64", "dev", "s0", "nodad")
                run("ip", "link", "set", "s0", "up")
            made.up()
            run("ip", "-6", "addr", "add", f"{CLIENT_6}/64", "dev", "c0", "nodad")
            yield made
        finally:
            holder.kill()
            holder.wait()
            os.close(server_fd)


def nameserver() -> str:
    """Where this machine's resolver asks; the C library's own default without an entry."""
    with (
        contextlib.suppress(OSError),
        open("/etc/resolv.conf", encoding="ascii", errors="replace") as file,
    ):
        for line in file:
            words = line.split()
            if len(words) > 1 and words[0] == "nameserver":
                return words[1].partition("%")[0]
    return "127.0.0.1"


# name and type (1 A, 28 AAAA) to what `found` or `failed` make
Answer = Callable[[str, int], bytes | None]


class NameServer:
    """Answers the machine's resolver over UDP, inside a namespace, where it takes the address of
    the real one.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer  # returns the code and the records, or None for silence
        self.asked: list[str] = []
        address = nameserver()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if not address.startswith("127."):
            run("ip", "addr", "add", f"{address}/{128 if ':' in address else 32}", "dev", "lo")
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sock.bind((address, 53))
        self._replies: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._serve, name="names")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with socket.socket(self._sock.family, socket.SOCK_DGRAM) as end:
            # wakes the thread; a closed descriptor may be another's by then
            end.sendto(b"", self._sock.getsockname())
        self._thread.join()
        for reply in self._replies:
            reply.join()
        self._sock.close()

    def _serve(self) -> None:
        while True:
            try:
                query, sender = self._sock.recvfrom(2048)
            except OSError:
                return
            if not query:
                return
            self._replies.append(threading.Thread(target=self._reply, args=(query, sender)))
            self._replies[-1].start()

    def _reply(self, query: bytes, sender: tuple[str, int]) -> None:
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode("ascii"))
            at += length + 1
        (kind,) = struct.unpack_from("!H", query, at + 1)
        name = ".".join(labels)
        self.asked.append(name)
        answer = self.answer(name, kind)
        if answer is None:
            return
        code, records = answer[0], answer[1:]
        count = 1 if records else 0
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, count, 0, 0)
        with contextlib.suppress(OSError):
            self._sock.sendto(head + query[12 : at + 5] + records, sender)


def found(address: str, kind: int) -> bytes:
    """The address, where it is of the kind that was asked for; else an answer without any."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if (kind == 28) != (family == socket.AF_INET6):
        return b"\0"
    packed = socket.inet_pton(family, address)
    return b"\0" + struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(packed)) + packed


def failed(code: int) -> bytes:
    """2 SERVFAIL, 3 NXDOMAIN."""
    return bytes([code])
