"""Answers with content: ranges, validators, streaming, and the faults woven in.

The one rule to keep: `plan_answer` decides on plain values, `ContentResponse` only carries out; a
file is read in pieces, off the loop, never whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import re
import socket
import struct
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import field
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from transfermon.model.record import record
from transfermon.videofarm.faults import Faults

PIECE = 256 * 1024
_SHIFT = [bytes((value + by) % 256 for value in range(256)) for by in range(256)]


def _nothing() -> None:
    return


@record
class Content:
    """A body that can be read at any place. `read(offset, size)` may block; it is never called on
    the loop.

    `etag` is the opaque part without quotes. `modified` is in seconds since 1970, None when it has
    no meaning.
    """

    size: int
    media_type: str
    etag: str
    read: Callable[[int, int], bytes]
    modified: float | None = None
    filename: str | None = None
    attachment: bool = False
    close: Callable[[], None] = field(default=_nothing)


def content_of_bytes(body: bytes, media_type: str, *, filename: str | None = None) -> Content:
    return Content(
        size=len(body),
        media_type=media_type,
        etag=hashlib.sha256(body).hexdigest()[:32],
        read=lambda offset, size: body[offset : offset + size],
        filename=filename,
    )


def content_of_json(value: Any) -> Content:
    return content_of_bytes(
        json.dumps(value, ensure_ascii=False).encode() + b"\n", "application/json"
    )


def content_of_file(
    path: str | os.PathLike[str], media_type: str, *, filename: str, attachment: bool
) -> Content:
    """Opens the file, so a later replacement does not change this answer. Blocks.

    Raises FileNotFoundError for anything but a regular file; links are not followed. The tag is
    made of time and size: whoever replaces a file with another of the same size must give it a
    later time.
    """
    flags = (
        os.O_RDONLY
        | getattr(os, "O_NOFOLLOW", 0)
        | getattr(os, "O_NONBLOCK", 0)
        | getattr(os, "O_BINARY", 0)
    )
    try:
        file = open(os.open(path, flags), "rb", buffering=0)  # noqa: SIM115 (the answer closes it)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(str(path)) from error
    stat = os.fstat(file.fileno())
    if not os.path.isfile(file.fileno()):
        file.close()
        raise FileNotFoundError(str(path))

    def read(offset: int, size: int) -> bytes:
        file.seek(offset)
        return file.read(size)

    return Content(
        size=stat.st_size,
        media_type=media_type,
        etag=f"{stat.st_mtime_ns:x}-{stat.st_size:x}",
        read=read,
        modified=stat.st_mtime,
        filename=filename,
        attachment=attachment,
        close=file.close,
    )


class UnsatisfiableError(Exception):
    """A range that begins after the end (RFC 9110, 15.5.17)."""


def requested_range(header: str, size: int) -> tuple[int, int] | None:
    """First byte and end (one past the last) of a single byte range; None when the header is to be
    ignored.

    Ignored are other units, bad syntax and several ranges (RFC 9110, 14.2). Raises
    UnsatisfiableError.
    """
    match = re.fullmatch(
        r"bytes=[ \t]*([0-9]{0,100})-([0-9]{0,100})[ \t]*", header, re.ASCII | re.IGNORECASE
    )
    if match is None:
        return None
    first, last = match[1], match[2]
    if not first and not last:
        return None
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise UnsatisfiableError
    return start, end


@record
class FarmAnswer:
    """What goes out: head, and which bytes of the content. `end` equals `start` when there is no
    body to send.
    """

    status: int
    headers: dict[str, str]
    start: int
    end: int


def plan_answer(
    method: str, headers: Mapping[str, str], content: Content, faults: Faults, now: float
) -> FarmAnswer:
    """The answer to GET or HEAD. `headers` has lower-case names; `now` is in seconds since 1970."""
    etag, modified = _validators(content, faults)
    head = _representation_headers(content, faults, etag, modified)
    if etag and _is_listed(etag, headers.get("if-none-match", "")):
        return FarmAnswer(
            status=304, headers=_without(head, "content-length", "content-type"), start=0, end=0
        )
    whole = FarmAnswer(status=200, headers=head, start=0, end=content.size)
    wanted = headers.get("range")
    # Range has a meaning for GET alone (RFC 9110, 14.2); a compressed body has no ranges of the
    # original.
    if method != "GET" or wanted is None or faults.no_range or faults.gzip:
        return whole
    if not _if_range_holds(headers.get("if-range"), etag, modified, now):
        return whole
    try:
        found = requested_range(wanted, content.size)
    except UnsatisfiableError:
        head = {
            **_without(head, "content-type", "content-disposition"),
            "content-range": f"bytes */{content.size}",
        }
        return FarmAnswer(status=416, headers={**head, "content-length": "0"}, start=0, end=0)
    if found is None:
        return whole
    start, end = found
    head["content-range"] = f"bytes {start}-{end - 1}/{content.size}"
    if "content-length" in head:
        head["content-length"] = str(end - start)
    return FarmAnswer(status=206, headers=head, start=start, end=end)


def _validators(content: Content, faults: Faults) -> tuple[str | None, float | None]:
    tag = (
        content.etag
        + (f"-v{faults.version}" if faults.version else "")
        + ("-gzip" if faults.gzip else "")
    )
    etag = {"none": None, "weak": f'W/"{tag}"'}.get(faults.etag, f'"{tag}"')
    if content.modified is None or faults.modified == "none":
        return etag, None
    return etag, int(content.modified) + faults.version


def _representation_headers(
    content: Content, faults: Faults, etag: str | None, modified: float | None
) -> dict[str, str]:
    head = {"content-type": content.media_type, "x-content-type-options": "nosniff"}
    if faults.gzip:
        head["content-encoding"] = "gzip"
    if not (faults.gzip or faults.no_length):
        head["content-length"] = str(content.size)
    if not (faults.gzip or faults.no_range):
        head["accept-ranges"] = "bytes"
    if etag:
        head["etag"] = etag
    if modified is not None:
        head["last-modified"] = formatdate(modified, usegmt=True)
    if content.filename:
        head["content-disposition"] = content_disposition(
            content.filename, attachment=content.attachment
        )
    return head


def content_disposition(filename: str, *, attachment: bool) -> str:
    """The header's value; the second, encoded form is there only when the name needs it (RFC 6266,
    RFC 8187).
    """
    plain = re.sub(r"[^ !#-\[\]-~]", "_", filename)
    value = f'{"attachment" if attachment else "inline"}; filename="{plain}"'
    return value if plain == filename else f"{value}; filename*=UTF-8''{quote(filename, safe='')}"


def _is_listed(etag: str, listed: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in listed.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags


def _if_range_holds(
    condition: str | None, etag: str | None, modified: float | None, now: float
) -> bool:
    # RFC 9110, 13.1.5: the strong comparison, so a weak tag never holds, and a date must match
    # exactly and must be strong, which takes a second between the last change and now (8.8.2.2).
    if condition is None:
        return True
    if condition.startswith(('"', "W/")):
        return condition == etag and not condition.startswith("W/")
    try:
        asked = parsedate_to_datetime(condition).timestamp()
    except (ValueError, OverflowError):
        return False
    return modified is not None and asked == modified and modified + 1 <= now


def _without(head: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in head.items() if name not in names}


class ContentResponse(Response):
    """Sends `content`, whole or in part, and closes it. The faults wait in `scope["state"]`, with
    the transport.
    """

    def __init__(self, content: Content, pool: Executor) -> None:
        super().__init__()
        self._content, self._pool = content, pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        faults: Faults = scope["state"].get("faults", Faults())
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            answer = plan_answer(scope["method"], headers, self._content, faults, time.time())
            await send(
                {
                    "type": "http.response.start",
                    "status": answer.status,
                    "headers": [
                        (name.encode(), value.encode("latin-1"))
                        for name, value in answer.headers.items()
                    ],
                }
            )
            if scope["method"] == "HEAD" or answer.start == answer.end:
                await send({"type": "http.response.body", "body": b""})
            else:
                await _Stream(
                    self._content, answer, faults, self._pool, scope["state"]["transport"], send
                ).run()
        finally:
            self._content.close()


class _Stream:
    """One body on its way out."""

    def __init__(
        self,
        content: Content,
        answer: FarmAnswer,
        faults: Faults,
        pool: Executor,
        transport: asyncio.Transport,
        send: Send,
    ) -> None:
        self._content, self._at, self._end = content, answer.start, answer.end
        self._faults, self._pool, self._transport, self._send = faults, pool, transport, send
        self._piece = PIECE if faults.rate is None else max(1, min(PIECE, faults.rate // 20))
        self._coder = zlib.compressobj(1, wbits=31) if faults.gzip else None
        self._left, self._ending = _breaking_point(faults, answer.end - answer.start)
        self._due = 0.0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time()
        while self._left > 0 and self._at < self._end:
            body = await loop.run_in_executor(self._pool, self._next)
            # The server library swallows what is sent on a closed connection; without this look we
            # would read on.
            if self._transport.is_closing():
                return await self._wait_until_closed()
            if body is None:
                self._left, self._ending = 0, "cut"
            elif body:
                await self._send_paced(body[: int(min(len(body), self._left))])
        if self._left <= 0:
            await self._break_off()
        else:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        return None

    def _next(self) -> bytes | None:
        """The next bytes as sent, maybe none while they are compressed; None when the file has
        become shorter.
        """
        size = min(self._piece, self._end - self._at)
        data = self._content.read(self._at, size if self._coder else int(min(size, self._left)))
        if not data:
            return None
        self._at += len(data)
        if self._faults.version:
            data = data.translate(_SHIFT[self._faults.version % 256])
        if self._coder is None:
            return data
        return self._coder.compress(data) + (self._coder.flush() if self._at >= self._end else b"")

    async def _send_paced(self, body: bytes) -> None:
        if self._faults.rate is not None:
            now = asyncio.get_running_loop().time()
            # A late timer is made up for; a client that did not read for a while gets no burst
            # afterwards.
            self._due = max(self._due, now - 0.25) + len(body) / self._faults.rate
            if self._due > now:
                await asyncio.sleep(self._due - now)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        self._left -= len(body)

    async def _break_off(self) -> None:
        # What is still in our own buffer would be lost by abort(). With a limit of 0 the next send
        # waits for it.
        self._transport.set_write_buffer_limits(high=0)
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})
        while self._ending == "stall" and not self._transport.is_closing():
            await asyncio.sleep(0.1)
        connection: socket.socket = self._transport.get_extra_info("socket")
        if self._ending == "reset" and connection.fileno() >= 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        await self._wait_until_closed()

    async def _wait_until_closed(self) -> None:
        # The server library takes an answer that ends early on an open connection for a mistake of
        # ours.
        connection: socket.socket = self._transport.get_extra_info("socket")
        while connection.fileno() >= 0:
            await asyncio.sleep(0)


def _breaking_point(faults: Faults, length: int) -> tuple[float, str]:
    """After how many bytes the body breaks off, and how; infinite when it arrives whole."""
    limits = [
        (float(limit), kind)
        for limit, kind in (
            (faults.cut, "cut"),
            (faults.reset, "reset"),
            (faults.stall, "stall"),
            (max(0, length - faults.short) if faults.short else None, "cut"),
        )
        if limit is not None and (limit < length or faults.gzip)
    ]
    return min(limits, default=(math.inf, ""))


def problem_answer(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None
) -> Response:
    """An error in the form of RFC 9457."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    response = Response(
        json.dumps(body, ensure_ascii=False).encode(),
        status_code=status,
        media_type="application/problem+json",
    )
    response.headers.update({"x-content-type-options": "nosniff", **(headers or {})})
    return response
