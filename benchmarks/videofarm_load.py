"""What VideoFarm's server bears: many clients that fetch ranges while others put movies, and every
byte looked at.

`python -m benchmarks.videofarm_load [--clients N] [--uploads M] [--requests R] [--size MIB] [--seed
S]` A wave to warm up, and two more, of which the last is three times as long: the server's memory
must not have a higher peak in it. No answer may be wrong, late by a minute or missing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import struct
import sys
import time
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.helpers.farm import Farm
from transfermon.videofarm.samples import expected_bytes, pattern

MIB = 1 << 20
WHOLE = 1 << 30  # bytes of what is asked for in ranges
LATE = 60.0  # seconds
FLAT = 16 * MIB  # what the last peak may be above the one before: the allocator is no ruler
PIECE = 256 * 1024


@dataclass(kw_only=True)
class Wave:
    """What came of it."""

    requests: int = 0
    down: int = 0  # bytes
    up: int = 0
    wrong: int = 0  # bytes
    errors: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)  # seconds from the request to the head
    seconds: float = 0.0

    def check(self, data: bytes, offset: int) -> None:
        expected = pattern(offset, len(data))
        if data != expected:
            self.wrong += sum(one != other for one, other in zip(data, expected, strict=True))
        self.down += len(data)


class Connection:
    """One connection to the server; an answer is read to its end before the next request."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str
    ) -> None:
        self._reader, self._writer, self._host = reader, writer, host
        self._left = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Connection]:
        parts = urlsplit(url)
        assert parts.hostname is not None
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2 * PIECE)
        try:
            yield cls(reader, writer, parts.netloc)
        finally:
            writer.close()

    async def ask(
        self, method: str, path: str, *, headers: dict[str, str], body: Iterable[bytes] = ()
    ) -> tuple[int, dict[str, str]]:
        """Status and fields, in lower case."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self._host}",
            *(f"{n}: {v}" for n, v in headers.items()),
            "",
            "",
        ]
        self._writer.write("\r\n".join(lines).encode())
        for piece in body:
            self._writer.write(piece)
            await self._writer.drain()
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        status = int(head[0].split()[1])
        self._left = 0 if status == 204 else int(fields["content-length"])
        return status, fields

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body. Raises EOFError when it ends early."""
        while self._left:
            piece = await self._reader.read(min(PIECE, self._left))
            if not piece:
                raise EOFError(f"{self._left} bytes are missing")
            self._left -= len(piece)
            yield piece


class Load:
    """Against the server at `url`."""

    def __init__(self, url: str, *, clients: int, uploads: int, size: int, seed: int) -> None:
        self.url, self.clients, self.uploads, self.size, self.seed = (
            url,
            clients,
            uploads,
            size,
            seed,
        )

    async def wave(self, requests: int) -> Wave:
        """All at once: each client asks for `requests` ranges, each upload puts a movie and reads
        it again.
        """
        wave = Wave()
        begin = time.perf_counter()
        await asyncio.gather(
            *(
                self._one(wave, f"client {n}", self._ranges(wave, n, requests))
                for n in range(self.clients)
            ),
            *(self._one(wave, f"upload {n}", self._upload(wave, n)) for n in range(self.uploads)),
        )
        wave.seconds = time.perf_counter() - begin
        return wave

    async def _one(self, wave: Wave, name: str, work: AsyncIterator[None]) -> None:
        # An iterator of steps: each has its minute.
        try:
            while True:
                async with asyncio.timeout(LATE):
                    await anext(work)
        except StopAsyncIteration:
            return
        except (OSError, EOFError, ValueError, KeyError) as exc:  # TimeoutError is an OSError
            wave.errors.append(f"{name}: {exc or type(exc).__name__}")

    async def _ranges(self, wave: Wave, number: int, requests: int) -> AsyncIterator[None]:
        die = random.Random(self.seed * 1000 + number)
        async with Connection.to(self.url) as connection:
            for _ in range(requests):
                size = die.randint(1, self.size)
                start = die.randrange(WHOLE - size)
                await self._get(
                    wave, connection, f"/bytes/{WHOLE}", start, start + size, WHOLE, shift=0
                )
                yield

    async def _get(
        self,
        wave: Wave,
        connection: Connection,
        path: str,
        start: int,
        end: int,
        whole: int,
        *,
        shift: int,
    ) -> None:
        """A range, whose bytes are the pattern's from `shift` further on."""
        asked = time.perf_counter()
        status, fields = await connection.ask(
            "GET", path, headers={"Range": f"bytes={start}-{end - 1}"}
        )
        wave.latencies.append(time.perf_counter() - asked)
        if (status, fields.get("content-range")) != (206, f"bytes {start}-{end - 1}/{whole}"):
            raise ValueError(f"{path} was answered with {status} {fields.get('content-range')}")
        at = start
        async for piece in connection.pieces():
            wave.check(piece, at + shift)
            at += len(piece)
        if at != end:
            raise ValueError(f"{path} has {at - start} bytes of {end - start}")
        wave.requests += 1

    async def _upload(self, wave: Wave, number: int) -> AsyncIterator[None]:
        shift = number * 4099  # another movie for each
        async with Connection.to(self.url) as connection:
            body, kind = _form(f"Load {number}")
            headers = {"Content-Type": kind, "Content-Length": str(len(body))}
            status, fields = await connection.ask("POST", "/videos", headers=headers, body=[body])
            if status != 303:
                raise ValueError(f"a new video was answered with {status}")
            path = fields["location"] + "/movie"
            wave.requests += 1
            yield
            headers = {"Content-Type": "video/mp4", "Content-Length": str(self.size)}
            status, _ = await connection.ask(
                "PUT", path, headers=headers, body=_movie(self.size, shift)
            )
            if status != 201:
                raise ValueError(f"the movie was answered with {status}")
            wave.up += self.size
            wave.requests += 1
            yield
            await self._get(wave, connection, path, 0, self.size, self.size, shift=shift)
            yield


def _movie(size: int, shift: int) -> Iterator[bytes]:
    for piece in expected_bytes(shift + size, shift):
        yield from (piece[at : at + PIECE] for at in range(0, len(piece), PIECE))


def _form(title: str) -> tuple[bytes, str]:
    """A new video with a picture of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    pixel = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(
        b"IDAT", zlib.compress(b"\0\x80")
    )
    lines = [
        b"--load",
        b'Content-Disposition: form-data; name="title"',
        b"",
        title.encode(),
        b"--load",
        b'Content-Disposition: form-data; name="thumbnail"; filename="a.png"',
        b"Content-Type: image/png",
        b"",
        b"\x89PNG\r\n\x1a\n" + pixel + chunk(b"IEND", b""),
        b"--load--",
        b"",
    ]
    return b"\r\n".join(lines), "multipart/form-data; boundary=load"


def memory(pid: int, name: str) -> int:
    """Bytes of a line in the kernel's status of a process: VmRSS now, VmHWM at the highest."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def run(farm: Farm, *, clients: int, uploads: int, requests: int, size: int, seed: int) -> bool:
    """Print the figures; False when anything is wrong, missing or grows."""
    load, pid = (
        Load(farm.url, clients=clients, uploads=uploads, size=size, seed=seed),
        farm.process.pid,
    )
    idle = memory(pid, "VmRSS")
    peaks, waves = [], []
    for count in (max(1, requests // 2), requests, 3 * requests):
        forget_peak(pid)
        waves.append(asyncio.run(load.wave(count)))
        peaks.append(memory(pid, "VmHWM"))
    wrong, errors = (
        sum(wave.wrong for wave in waves),
        [error for wave in waves for error in wave.errors],
    )
    print(
        f"\nVideoFarm's server: {clients} clients that fetch ranges and {uploads} that put movies, all at once"
    )
    for wave in waves:
        rate = (wave.down + wave.up) / wave.seconds / 1e6
        print(
            f"  {wave.requests} requests in {wave.seconds:.1f} s: {wave.down / 1e6:,.0f} MB down,"
            f" {wave.up / 1e6:,.0f} MB up, {rate:,.0f} MB/s"
        )
        if wave.latencies:
            print(
                f"  until an answer begins: median {statistics.median(wave.latencies) * 1000:.0f} ms,"
                f" worst {max(wave.latencies) * 1000:.0f} ms"
            )
    print(
        f"  wrong bytes: {wrong}; errors: {len(errors)} {json.dumps(errors[:3]) if errors else ''}".rstrip()
    )
    print(
        f"  memory: {idle / 1e6:.0f} MB idle, peaks {', '.join(f'{peak / 1e6:.0f}' for peak in peaks)} MB"
    )
    return not wrong and not errors and peaks[-1] - peaks[-2] <= FLAT


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--uploads", type=int, default=50)
    parser.add_argument(
        "--requests", type=int, default=6, help="of each client in the second wave (6)"
    )
    parser.add_argument(
        "--size", type=int, default=4, metavar="MIB", help="of a range at the most, and a movie (4)"
    )
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(words)
    with Farm.start("--empty") as farm:
        well = run(
            farm,
            clients=asked.clients,
            uploads=asked.uploads,
            requests=asked.requests,
            size=asked.size * MIB,
            seed=asked.seed,
        )
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
