"""What clients put into the farm: new videos, their films whole or in parts, and what is left of
unfinished ones.

Films come by PUT in one piece, or by the draft "Resumable Uploads for HTTP", interop version 8, on
the same address. The one rule to keep: a film is in the catalogue only once all of it is on the
disk under a name of its own, so nobody ever reads a half one, and what was there before stays until
then.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from transfermon.model.record import record
from transfermon.videofarm.bodies import problem_answer
from transfermon.videofarm.samples import picture_size

PARTIAL = "application/partial-upload"
MAX_SIZE = 1 << 40  # bytes of a film
MAX_AGE = 86_400  # seconds that an unfinished upload is kept
MAX_PICTURE = 5 << 20  # bytes
MAX_SIDE = 8192  # pixels
BATCH = 256 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_LIMITS = f"max-size={MAX_SIZE}, max-age={MAX_AGE}"


class UploadRefused(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.answer = problem_answer(status, detail, headers=headers)


@record
class Begun:
    """An unfinished upload, or a finished one that its client may still ask for. Times are epoch
    seconds.
    """

    video: str
    length: int | None  # None while it is not known
    created: float
    media_type: str = ""
    complete: bool = False


def checked_picture(data: bytes) -> str:
    """The ending of its name. Raises Refused for what is no picture that anybody should have to
    draw (M11).
    """
    if len(data) > MAX_PICTURE:
        raise UploadRefused(413, f"A thumbnail has {MAX_PICTURE >> 20} MiB at the most.")
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            (width, height), ending = struct.unpack_from(">II", data, 16), ".png"
        else:
            (width, height), ending = picture_size(data), ".jpg"
    except (ValueError, struct.error, IndexError):
        raise UploadRefused(422, "The thumbnail must be a PNG or JPEG picture.") from None
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise UploadRefused(422, f"A thumbnail has {MAX_SIDE} pixels at the most to each side.")
    return ending


def is_true(request: Request, name: str) -> bool | None:
    """A structured boolean; None when it is not there. Raises Refused for anything else."""
    text = request.headers.get(name)
    if text is None:
        return None
    if text.strip() not in ("?0", "?1"):
        raise UploadRefused(400, f"{name} must be ?0 or ?1.")
    return text.strip() == "?1"


def count_of(request: Request, name: str) -> int | None:
    """The same for an integer of zero or more."""
    text = request.headers.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,15}", text.strip(), re.ASCII):
        raise UploadRefused(400, f"{name} must be a whole number.")
    return int(text)


class Depot:
    """The folder of unfinished uploads. Its blocking methods may run in any thread."""

    def __init__(self, folder: Path, off_loop: Callable[..., Awaitable[Any]]) -> None:
        self._folder = folder
        self._off_loop = off_loop
        self._turns: dict[str, asyncio.Lock] = {}
        self._stops: dict[str, asyncio.Event] = {}  # ends the request that has its turn
        folder.mkdir(mode=0o700, exist_ok=True)
        self.sweep()

    def __repr__(self) -> str:
        return f"<Depot {self._folder}>"

    def sweep(self) -> None:
        """Remove what has expired, and what nobody can ask for."""
        for path in self._folder.iterdir():
            begun = self.find(path.stem) if path.suffix == ".json" else None
            if path.suffix == ".json" and begun is None:
                self.forget(path.stem)
            elif path.suffix != ".json" and self.find(path.stem) is None:
                path.unlink(missing_ok=True)

    def begin(self, video: str, length: int | None, media_type: str) -> str:
        """The token of a new upload, durable on return."""
        token = secrets.token_urlsafe(32)
        self.part(token).touch(mode=0o600)
        self.save(
            token, Begun(video=video, length=length, created=time.time(), media_type=media_type)
        )
        return token

    def find(self, token: str) -> Begun | None:
        """None for one that never was, or has expired."""
        if not _TOKEN.fullmatch(token):
            return None
        try:
            begun = Begun(**json.loads((self._folder / f"{token}.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return None if time.time() > begun.created + MAX_AGE else begun

    def save(self, token: str, begun: Begun) -> None:
        path = self._folder / f"{token}.json"
        with open(new := path.with_suffix(".new"), "w", encoding="utf-8") as file:
            json.dump(asdict(begun), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)

    def part(self, token: str) -> Path:
        return self._folder / f"{token}.part"

    def offset(self, token: str) -> int:
        """What is in the file is what was received, also after a crash of this process."""
        try:
            return self.part(token).stat().st_size
        except FileNotFoundError:
            return 0

    def forget(self, token: str) -> None:
        for ending in (".json", ".part"):
            (self._folder / f"{token}{ending}").unlink(missing_ok=True)

    def finish(self, token: str, begun: Begun) -> Path:
        """The whole film, synced; the upload says from now on that it is complete."""
        path = self.part(token)
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        self.save(token, replace(begun, complete=True))
        return path

    @contextlib.asynccontextmanager
    async def turn(self, token: str) -> AsyncIterator[asyncio.Event]:
        """One request at a time for an upload: a new one ends the one before, whose client has most
        likely gone.

        The event is set when this turn must end.
        """
        if token in self._stops:
            self._stops[token].set()
        lock = self._turns.setdefault(token, asyncio.Lock())
        async with lock:
            stop = self._stops[token] = asyncio.Event()
            try:
                yield stop
            finally:
                if self._stops.get(token) is stop:
                    del self._stops[token]
                    if not lock.locked():
                        self._turns.pop(token, None)

    async def receive(
        self, request: Request, path: Path, limit: int, stop: asyncio.Event | None = None
    ) -> int:
        """Add the body of a request to a file; how many bytes. What came is kept when the client
        goes (-1) or another request takes over (-2). Raises Refused 413 beyond `limit`.
        """
        received, batch = 0, bytearray()
        stream = request.stream()
        ended = asyncio.ensure_future(stop.wait()) if stop is not None else None
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            while True:
                piece = asyncio.ensure_future(anext(stream, b""))
                waits = {piece, ended} if ended is not None else {piece}
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                if not piece.done():
                    piece.cancel()
                    return -2
                try:
                    data = piece.result()
                except ClientDisconnect:
                    return -1
                received += len(data)
                if received > limit:
                    raise UploadRefused(
                        413, "The body is longer than it may be.", {"connection": "close"}
                    )
                batch += data
                if len(batch) >= BATCH or (batch and not data):
                    full, batch = bytes(batch), bytearray()
                    await self._off_loop(_write, fd, full)
                if not data:
                    return received
        finally:
            if batch:
                await self._off_loop(_write, fd, bytes(batch))
            if ended is not None:
                ended.cancel()
            os.close(fd)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def offered_length() -> Response:
    """What the film's address can do (OPTIONS)."""
    headers = {"allow": "GET, HEAD, OPTIONS, PUT", "accept-patch": PARTIAL, "upload-limit": _LIMITS}
    return Response(status_code=204, headers=headers)


def begun_answer(location: str) -> Response:
    headers = {
        "location": location,
        "upload-complete": "?0",
        "upload-limit": _LIMITS,
        "upload-offset": "0",
    }
    return Response(status_code=201, headers=headers)


def state_answer(offset: int, begun: Begun) -> Response:
    """The answer to HEAD, and to an append that was not the last."""
    age = max(0, round(begun.created + MAX_AGE - time.time()))
    headers = {
        "upload-offset": str(offset),
        "upload-complete": "?1" if begun.complete else "?0",
        "upload-limit": f"max-size={MAX_SIZE}, max-age={age}",
        "cache-control": "no-store",
    }
    if begun.length is not None:
        headers["upload-length"] = str(begun.length)
    return Response(status_code=204, headers=headers)


def length_mismatch(offset: int, provided: int) -> Response:
    """RFC 9457, with the members that the draft names."""
    body = {
        "type": "https://iana.org/assignments/http-problem-types#mismatching-upload-offset",
        "title": "offset from request does not match offset of resource",
        "status": 409,
        "expected-offset": offset,
        "provided-offset": provided,
    }
    headers = {"upload-offset": str(offset), "upload-complete": "?0"}
    return Response(
        json.dumps(body), status_code=409, media_type="application/problem+json", headers=headers
    )
