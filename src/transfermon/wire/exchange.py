"""One request and the head of its answer, on the client that carries both."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast

import httpcore

from transfermon.http import proxies
from transfermon.http.framing import Framing, framing_of
from transfermon.http.proxies import Proxy
from transfermon.model.metrics import Trace
from transfermon.model.record import record
from transfermon.model.task import Response
from transfermon.wire.clients import Clients, HttpClient
from transfermon.wire.redirects import Hop, server_confines

DISCARDED = 64 * 1024  # of a redirect's body, to keep the connection


@record
class Timing:
    """Monotonic seconds of the last hop."""

    start: float
    connected: float  # equal to start on a connection that was open already
    head: float


class Exchange:
    """A request whose final head is here: the client that carries it, and how its body is
    framed.
    """

    def __init__(
        self,
        clients: Clients,
        client: HttpClient,
        response: httpcore.Response,
        hop: Hop,
        trace: Trace,
    ) -> None:
        start = trace.fetch_start
        connection = client.backend.connection
        assert connection is not None
        self._clients = clients
        self._response = response
        self._chunks: AsyncIterator[bytes] | None = None
        self.trace = trace
        self.client = client
        self.connection = connection
        self.reader = connection.reader
        self.hop = hop
        self.head = _head_of(response, hop.url, connection.stream.remote_address)
        proxy = client.backend.speaker
        if proxy is not None and proxies.answers_itself(self.head.status, self.head.header):
            self.head = replace(self.head, by_proxy=proxy.authority)
        self.framing = framing_of(self.head, hop.method)
        self.reader.expect_body(self.framing)
        self.timing = Timing(
            start=start,
            connected=start if connection.reused else max(start, connection.connected_at),
            head=time.monotonic(),
        )
        note_connection(trace, client)
        trace.status, trace.protocol = self.head.status, self.head.http_version.lower()

    def __repr__(self) -> str:
        return f"<Exchange {self.head.status} of {self.client}>"

    @property
    def speaker(self) -> Proxy | None:
        """The proxy where it, and not the server, is at the other end."""
        return self.client.backend.speaker

    @property
    def confines(self) -> bool:
        """Whether an address that this server names must not lead into a private network."""
        return server_confines(self.hop, self.head.remote_address, self.client.backend.target)

    async def next_chunk(self) -> bytes:
        """The next bytes of the body as h11 frames them; b"" at its end."""
        if self._chunks is None:
            self._chunks = aiter(cast(AsyncIterator[bytes], self._response.stream))
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            return b""

    async def discard(self) -> None:
        """Read a small body to its end, so that the connection can be kept; give up a large one."""
        try:
            if isinstance(self.framing, int) and self.framing <= DISCARDED:
                while chunk := await self.next_chunk():
                    self.trace.response_body_bytes += len(chunk)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
            pass
        finally:
            self.trace.response_end = time.monotonic()
            await self.close()

    async def close(self) -> None:
        """Keep the connection where h11 saw the end of the body, close it otherwise."""
        try:
            if self.framing == 0:
                await self.next_chunk()  # tells h11 the end
            await self._response.aclose()
        except BaseException:
            self.connection.close()
            raise
        finally:
            await self._unwind()
            if self.framing is Framing.CHUNKED and self.head.header("Content-Length"):
                # two lengths: who is in between may see another end (RFC 9112 §6.3)
                self.connection.close()
            self._clients.take_back(self.client)

    async def _unwind(self) -> None:
        # Closing httpcore's nested generators in the middle leaves the inner ones to the garbage
        # collector, which under Qt's loop has nobody to run them. A read that fails on the closed
        # socket ends them all.
        with contextlib.suppress(Exception):
            while self._chunks is not None and await self.next_chunk():
                pass


def note_connection(trace: Trace, client: HttpClient) -> None:
    """Write down what the connection knows of the exchange."""
    backend, connection = client.backend, client.backend.connection
    if connection is None:
        trace.lookup = backend.lookup
        return
    trace.reused, trace.remote_address = connection.reused, connection.stream.remote_address
    if not connection.reused:
        trace.lookup, trace.connect, trace.secure = (
            backend.lookup,
            backend.connecting,
            connection.secured,
        )
    writer, reader = connection.writer, connection.reader
    if writer.head_bytes:
        trace.request = (writer.began, max(writer.began, writer.ended))
    trace.response_start = reader.head_began
    trace.request_header_bytes, trace.request_body_bytes = writer.head_bytes, writer.body_bytes
    trace.response_header_bytes = reader.head_bytes


def _head_of(response: httpcore.Response, url: str, remote_address: str) -> Response:
    version = response.extensions.get("http_version", b"HTTP/1.1")
    return Response(
        status=response.status,
        url=url,
        headers=tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers
        ),
        http_version=version.decode("ascii", "replace"),
        remote_address=remote_address,
    )
