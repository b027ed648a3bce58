"""What a `kill -9` costs uploads: many random kills during resumable uploads, an engine after the
other.

`python -m benchmarks.survival_uploads [--kills N] [--files M] [--protocol ietf|tus] [--seed S]` The
server keeps every byte that it reads, as a good one does; what arrived at its end of the
connections is what the kernel says. At the end every file is compared, and every task must have
ended once.
"""

from __future__ import annotations

import argparse
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.helpers.byte_server import ByteServer, Conn, Request
from tests.helpers.harness import content, eventually, left
from tests.helpers.upload_server import UploadServer

MIB = 1 << 20
RATE = 12 * MIB  # bytes per second of all uploads together, so that there is a middle
_TCP_INFO, _BYTES_RECEIVED = 11, 128

_ENGINE = """
import asyncio, dataclasses, sys
from transfermon.model.configuration import RetryPolicy, SessionConfiguration
from transfermon.engine.monitor import Monitor
from transfermon.storage.settings import Settings

async def main(state, url, protocol, rate, *files):
    async with Monitor.open(state, settings=Settings(speed_limit=int(rate))) as monitor:
        session = monitor.create_session(dataclasses.replace(
            SessionConfiguration.background("bench"), retry_policy=RetryPolicy(minimum=0.01, maximum=0.05)))
        monitor.ready()
        known = {task.source for task in session.tasks.records()}
        for path in files:
            if path not in known:
                session.upload_task(url, path, method="POST", protocol=protocol)
        print("ready", flush=True)
        await asyncio.gather(*(session.task(task.number).wait() for task in session.tasks.records()))
    print("done", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


class Counting(UploadServer):
    """Also counts what came to its end of each connection, read or not."""

    arrived = 0

    def __call__(self, conn: Conn, request: Request) -> None:
        before = _bytes_received(conn.sock)
        super().__call__(conn, request)
        if request.method == "PATCH" and conn.sock.fileno() >= 0:
            self.arrived += _bytes_received(conn.sock) - before


def _bytes_received(sock: socket.socket) -> int:
    info = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 192)
    return int(struct.unpack_from("=Q", info, _BYTES_RECEIVED)[0])


def run(folder: Path, *, kills: int, files: int, protocol: str, seed: int) -> bool:
    """Print the figures; False when anything is wrong, lost or there twice."""
    die = random.Random(seed)
    sources = []
    for number in range(files):
        path = folder / f"f{number}.bin"
        path.write_bytes(content(int(MIB * 2 ** die.uniform(2, 6)), seed=number + 2))
        sources.append(path)
    total = sum(path.stat().st_size for path in sources)
    server = Counting()
    rate = max(MIB, min(RATE, int(total / max(1, kills * 0.5))))
    pauses: list[float] = []
    done = 0
    with ByteServer(server, reads_bodies=False) as listener:
        words = [
            str(folder / "state"),
            listener.url("/in"),
            protocol,
            str(rate),
            *map(str, sources),
        ]
        engine = _started(words)
        for _ in range(kills):
            time.sleep(die.uniform(0.2, 1.0))
            if engine.poll() is not None:
                break
            engine.send_signal(signal.SIGKILL)
            engine.wait()
            done += 1
            eventually(lambda: server.busy == 0, "the server to see it")
            before, begin = server.received, time.perf_counter()
            engine = _started(words)
            eventually(
                lambda before=before, engine=engine: (
                    server.received > before or engine.poll() is not None
                ),  # type: ignore[misc]
                "a byte",
                limit=30,
            )
            pauses.append(time.perf_counter() - begin)
        engine.wait(600)
    _, journal = left(folder / "state")
    ends = [event for event in journal if event["type"] == "sessioncompleted"]
    wanted = sorted(path.read_bytes() for path in sources)
    wrong = sum(one != other for one, other in zip(sorted(server.stored), wanted, strict=False))
    wrong += abs(len(server.stored) - len(wanted))
    beyond = max(server.arrived, server.received) - total
    lost = files - len({event["taskIdentifier"] for event in ends})
    print(
        f"\n{files} uploads ({protocol}), {total / MIB:.0f} MiB in all, {done} kills, seed {seed}"
    )
    print(f"  arrived beyond the files: {beyond:,} bytes, {beyond / max(1, done):,.0f} per kill")
    if pauses:
        print(
            f"  from the new start to its first byte: median {statistics.median(pauses):.2f} s, worst {max(pauses):.2f} s"
        )
    print(
        f"  files wrong or missing: {wrong}; ends lost: {lost}; told as another: {len(ends) - files + lost}"
    )
    return not wrong and not lost and len(ends) == files and beyond <= 8 * MIB * max(1, done)


def _started(words: list[str]) -> subprocess.Popen[str]:
    engine = subprocess.Popen(
        [sys.executable, "-c", _ENGINE, *words], stdout=subprocess.PIPE, text=True
    )
    assert engine.stdout is not None
    if engine.stdout.readline() != "ready\n":
        raise RuntimeError("the engine does not start")
    return engine


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--files", type=int, default=6)
    parser.add_argument("--protocol", action="append", choices=("ietf", "tus"))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(words)
    well = True
    for protocol in arguments.protocol or ("ietf", "tus"):
        with tempfile.TemporaryDirectory(prefix="transfermon-uploads.") as folder:
            well &= run(
                Path(folder),
                kills=arguments.kills,
                files=arguments.files,
                protocol=protocol,
                seed=arguments.seed,
            )
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
