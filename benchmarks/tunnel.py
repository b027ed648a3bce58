"""A slow line with loss, between this machine and a server in a network namespace of its own.

`python -m benchmarks.tunnel MILLISECONDS MEGABITS LOSS` joins two TUN devices and prints "up";
`lossy` makes the namespace, starts it and the server behind it. Needs root, `/dev/net/tun` and `ip`.
Rule: each packet waits for its turn in a queue of one round trip at the line's rate, then half a
round trip; one of so many, drawn with a fixed seed, is lost on its way to the client. The server
sends with cubic, whatever this machine prefers, because cubic is what most servers have.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

NET, HERE, THERE = "10.77.0.0", "10.77.0.1", "10.77.0.2"
NEAR, FAR, SPACE = "tmbenchnear", "tmbenchfar", "tmbench"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
MTU = 1500
BURST = 64  # packets read from one side before the other has its turn


def why_not() -> str:
    """Why there is no such line here; "" when there is."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "needs /dev/net/tun"
    if shutil.which("ip") is None:
        return "needs the program ip (Debian: iproute2)"
    known = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    if "cubic" not in known.read_text(encoding="ascii").split():
        return "this kernel has no cubic"
    return ""


@contextlib.contextmanager
def lossy(folder: Path, root: Path, milliseconds: int, megabits: int, loss: float) -> Iterator[str]:
    """The address of an nginx behind such a line, which serves the files below `root`; `loss` is a
    share of the packets. Raises RuntimeError when the line cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove()
    with contextlib.ExitStack() as stack:
        stack.callback(_remove)
        _ip("netns", "add", SPACE)
        line = stack.enter_context(
            _started(
                [
                    sys.executable,
                    "-m",
                    "benchmarks.tunnel",
                    *map(str, (milliseconds, megabits, loss)),
                ]
            )
        )
        assert line.stdout is not None
        if line.stdout.readline().strip() != "up":
            raise RuntimeError("the line is not up")
        inside = ["ip", "netns", "exec", SPACE]
        configuration = folder / "nginx.conf"
        configuration.write_text(
            f"worker_processes 1; daemon off; user root; pid {folder}/pid; error_log {folder}/log;\n"
            "events {} http { access_log off; sendfile on;\n"
            f"server {{ listen {THERE}:80; root {root}; }} }}\n",
            encoding="utf-8",
        )
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        stack.enter_context(_started([*inside, nginx, "-p", str(folder), "-c", str(configuration)]))
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection((THERE, 80), 1):
                break
            if time.monotonic() > deadline:
                raise RuntimeError("the server behind the line does not answer")
            time.sleep(0.05)
        yield f"http://{THERE}"


@contextlib.contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _ip(*words: str) -> None:
    _call(["ip", *words])


def _call(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)}: {ended.stderr.strip()}")


def _remove() -> None:
    """What an earlier run may have left."""
    subprocess.run(["ip", "netns", "delete", SPACE], capture_output=True, check=False)


def _device(name: str) -> int:
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return file


class Direction:
    """Packets on their way from one device to the other."""

    def __init__(self, source: int, sink: int, rate: float, trip: float, loss: float) -> None:
        self.source, self._sink, self._rate, self._trip, self._loss = source, sink, rate, trip, loss
        self._die = random.Random(1)
        self._free = 0.0  # when the line has sent what waits
        self._waiting: deque[tuple[float, bytes]] = deque()

    def take(self) -> None:
        for _ in range(BURST):
            try:
                packet = os.read(self.source, MTU + 100)
            except BlockingIOError:
                return
            now = time.monotonic()
            begin = max(self._free, now)
            if begin - now > self._trip or (self._loss and self._die.random() < self._loss):
                continue
            self._free = begin + len(packet) / self._rate
            self._waiting.append((self._free + self._trip / 2, packet))

    def give(self) -> float:
        """Hand over what is due; seconds until the next one is."""
        while self._waiting:
            due = self._waiting[0][0] - time.monotonic()
            if due > 0:
                return due
            with contextlib.suppress(OSError):  # a full or closed device loses it, as a line does
                os.write(self._sink, self._waiting[0][1])
            self._waiting.popleft()
        return 3600.0


def join(trip: float, rate: float, loss: float) -> None:
    """Forever. Seconds, bytes per second, share of packets from the far side."""
    near, far = _device(NEAR), _device(FAR)
    _ip("link", "set", FAR, "netns", SPACE)
    _ip("address", "add", f"{HERE}/24", "dev", NEAR)
    _ip("link", "set", NEAR, "mtu", str(MTU), "up")
    for words in (
        ("address", "add", f"{THERE}/24", "dev", FAR),
        ("link", "set", FAR, "mtu", str(MTU), "up"),
        ("link", "set", "lo", "up"),
        ("route", "change", f"{NET}/24", "dev", FAR, "src", THERE, "congctl", "cubic"),
    ):
        _ip("-n", SPACE, *words)
    print("up", flush=True)
    directions = (Direction(far, near, rate, trip, loss), Direction(near, far, rate, trip, 0.0))
    poll = select.poll()
    for direction in directions:
        poll.register(direction.source, select.POLLIN)
    while True:
        for direction in directions:
            direction.take()
        soonest = min(direction.give() for direction in directions)
        poll.poll(min(soonest * 1000, 1000.0))


if __name__ == "__main__":
    join(int(sys.argv[1]) / 1000, int(sys.argv[2]) * 1e6 / 8, float(sys.argv[3]))
