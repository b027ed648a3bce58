"""A line with a round trip of so many milliseconds between a client and a server on this machine.

`python -m benchmarks.relay TARGET_PORT MILLISECONDS`, which prints its port; `delayed` starts it.
Rule: bytes leave the relay half a round trip after they came, and the first ones of a connection a
whole one later, which is what its handshake would take. It has no rate, no loss and no slow start;
those are `tunnel`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator

PIECE = 1 << 16


async def _carry(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float, first: float
) -> None:
    """Raises nothing: a side that breaks off ends the other one."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)

    async def read() -> None:
        piece = b"more"
        with contextlib.suppress(OSError):
            while piece:
                piece = await source.read(PIECE)
                await waiting.put((max(loop.time(), first) + delay, piece))

    reading = asyncio.ensure_future(read())
    try:
        while True:
            due, piece = await waiting.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not piece:
                break
            sink.write(piece)
            await sink.drain()
    except OSError:
        pass
    finally:
        reading.cancel()
        sink.close()


async def _serve(target: int, trip: float) -> None:
    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = asyncio.get_running_loop().time() + trip
        there, onwards = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(
            _carry(reader, onwards, trip / 2, first), _carry(there, writer, trip / 2, 0.0)
        )

    server = await asyncio.start_server(join, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def delayed(port: int, milliseconds: int) -> Iterator[int]:
    """A port of this machine that leads to `port` over such a line, for as long as the block lasts."""
    relay = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.relay", str(port), str(milliseconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert relay.stdout is not None
        yield int(relay.stdout.readline())
    finally:
        relay.kill()
        relay.wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]) / 1000))
