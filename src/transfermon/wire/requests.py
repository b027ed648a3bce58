"""A hop as httpcore sends it: its fields, its body, and who hears what comes before the answer."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import httpcore
import httpx

from transfermon.http.heads import interim_heads
from transfermon.model.task import Progress, Response
from transfermon.wire.backend import Backend
from transfermon.wire.call import Call, Content, FileBody
from transfermon.wire.pump import Pumps
from transfermon.wire.redirects import Hop, server_confines
from transfermon.wire.request_writer import Given, Outgoing

_BLANK = bytes(64 << 20)  # never touched: pages that nobody has seen


class _Content(httpx.AsyncByteStream):
    """A body to send. No generator: one that is given up in the middle would have nobody to
    end it.
    """

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces


class _Blanks:
    """In place of the bytes of a file, which h11 only has to count."""

    def __init__(self, length: int) -> None:
        self._left = length

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        blank = _BLANK if self._left >= len(_BLANK) else bytes(self._left)
        self._left -= len(blank)
        return blank


def request_of(hop: Hop, made: bytes | Content | None, wait: float) -> httpcore.Request:
    """With what was made of the hop's content, and `wait` seconds without a byte. httpx knows the
    fields that a body needs, and what of an address is sent.
    """
    content: bytes | _Content | None
    if isinstance(made, FileBody):
        content = _Content(_Blanks(made.length))
    else:
        content = made if isinstance(made, bytes | None) else _Content(made)
    request = httpx.Request(
        hop.method,
        hop.url,
        headers=[
            host_field(hop.url),
            *((name.encode("ascii"), _header_bytes(value)) for name, value in hop.headers),
        ],
        content=content,
    )
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        headers=request.headers.raw,
        # no generator around it
        content=content if isinstance(content, _Content) else request.stream,
        extensions={"timeout": {"connect": wait, "read": wait, "write": wait, "pool": wait}},
    )


def host_field(url: str) -> tuple[bytes, bytes]:
    """The field Host: httpx would decode the name first, and refuses those of IDNA 2003."""
    return b"Host", urlsplit(url).netloc.encode("ascii")


def _header_bytes(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8")


def outgoing_of(
    call: Call, hop: Hop, content: bytes | Content | None, backend: Backend, pumps: Pumps
) -> Outgoing | None:
    """How the connection sends the body: from a file on the pump's thread, else as h11 gives it."""
    heard = (
        functools.partial(_tell_interim, call, hop, backend)
        if call.on_interim is not None
        else None
    )
    if call.sending is None or content is None:
        return None if heard is None else Outgoing(counter=Progress(), heard=heard)
    counter, limiters = call.sending, call.limiters
    if not isinstance(content, FileBody):
        return Outgoing(counter=counter, limiters=limiters, heard=heard)
    body, pump = content, pumps.for_fd(content.fd)
    told: Callable[[bytes], object] | None = None
    if heard is not None:
        told = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, heard)

    async def give(sock: socket.socket, at: int, count: int, stall: float) -> Given:
        return await pump.give(
            sock,
            body.fd,
            body.offset + at,
            count,
            counter,
            check=body.check,
            heard=told,
            stall=stall,
            limiters=limiters,
        )

    return Outgoing(counter=counter, limiters=limiters, give=give, heard=heard)


def _tell_interim(call: Call, hop: Hop, backend: Backend, data: bytes) -> None:
    if backend.connection is None or call.on_interim is None:
        return
    remote_address = backend.connection.stream.remote_address
    for head in interim_heads(data):
        first, *lines = head.decode("latin-1").splitlines()
        status = first.partition(" ")[2][:3]
        pairs = (line.partition(":") for line in lines if ":" in line)
        response = Response(
            status=int(status) if status.isdigit() else 100,
            url=hop.url,
            headers=tuple((name.strip(), value.strip()) for name, _, value in pairs),
            remote_address=remote_address,
        )
        call.on_interim(response, server_confines(hop, remote_address, backend.target))
