"""One request and the head of its answer, on the client that carries both."""

from __future__ import annotations

import time
from dataclasses import replace

from transfermon.http import proxies
from transfermon.http.framing import Framing, framing_of
from transfermon.http.proxies import Proxy
from transfermon.model.metrics import Trace
from transfermon.model.record import record
from transfermon.model.task import Response
from transfermon.wire.clients import Clients
from transfermon.wire.http11 import AnswerHead
from transfermon.wire.http_client import HttpClient
from transfermon.wire.network_errors import BadAnswer, NetworkError, TooSlow
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
        head: AnswerHead,
        hop: Hop,
        trace: Trace,
        idle_timeout: float,
    ) -> None:
        start, connection = trace.fetch_start, client.connection
        assert connection is not None
        self._clients = clients
        self._idle_timeout = idle_timeout
        self.trace = trace
        self.client = client
        self.connection = connection
        self.reader = connection.reader
        self.hop = hop
        self.head = Response(
            status=head.status,
            url=hop.url,
            headers=head.fields,
            http_version=head.version,
            remote_address=connection.stream.remote_address,
        )
        proxy = client.speaker
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
        return self.client.speaker

    @property
    def confines(self) -> bool:
        """Whether an address that this server names must not lead into a private network."""
        return server_confines(self.hop, self.head.remote_address, self.client.target)

    async def next_chunk(self) -> bytes:
        """The next bytes of the body, freed of its framing; b"" at its end."""
        return await self.reader.next_chunk(self._idle_timeout)

    async def discard(self) -> None:
        """Read a small body to its end, so that the connection can be kept; give up a large one."""
        try:
            if isinstance(self.framing, int) and self.framing <= DISCARDED:
                while chunk := await self.next_chunk():
                    self.trace.response_body_bytes += len(chunk)
        except (NetworkError, BadAnswer, TooSlow):
            pass
        finally:
            self.trace.response_end = time.monotonic()
            await self.close()

    async def close(self) -> None:
        """Keep the connection where the body was read to its end, or is here to it; close it
        otherwise.
        """
        try:
            if self.framing == 0:
                await self.next_chunk()  # tells h11 the end
            else:
                self.reader.pass_over_rest()
        except BaseException:
            self.connection.close()
            raise
        finally:
            if self.framing is Framing.CHUNKED and self.head.header("Content-Length"):
                # two lengths: who is in between may see another end (RFC 9112 §6.3)
                self.connection.close()
            self._clients.take_back(self.client)


def note_connection(trace: Trace, client: HttpClient) -> None:
    """Write down what the connection knows of the exchange."""
    connection = client.connection
    if connection is None:
        trace.lookup = client.lookup
        return
    trace.reused, trace.remote_address = connection.reused, connection.stream.remote_address
    if not connection.reused:
        trace.lookup, trace.connect, trace.secure = (
            client.lookup,
            client.connecting,
            connection.secured,
        )
    writer, reader = connection.writer, connection.reader
    if writer.head_bytes:
        trace.request = (writer.began, max(writer.began, writer.ended))
    trace.response_start = reader.head_began
    trace.request_header_bytes, trace.request_body_bytes = writer.head_bytes, writer.body_bytes
    trace.response_header_bytes = reader.head_bytes
