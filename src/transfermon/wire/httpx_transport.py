"""A transport for httpx: what scripts ask with its clients goes over our connections.

Rule: redirects, cookies and codings are the client's, as with any other transport; proxies, trust,
and which addresses may be reached are ours. Failures are httpx's, with our words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx

from transfermon.http.addresses import check_url
from transfermon.model.errors import Code, TransferFailure
from transfermon.wire.answer import Answer
from transfermon.wire.call import Call
from transfermon.wire.transport import Transport

# ours to say: they belong to the connection, and to the body, whose length is told apart
_OURS = frozenset({"host", "connection", "content-length", "transfer-encoding"})
_FAILURES: dict[int, type[httpx.TransportError]] = {
    Code.TIMED_OUT: httpx.TimeoutException,
    Code.CANNOT_FIND_HOST: httpx.ConnectError,
    Code.DNS_LOOKUP_FAILED: httpx.ConnectError,
    Code.CANNOT_CONNECT: httpx.ConnectError,
    Code.NOT_CONNECTED: httpx.ConnectError,
    Code.CONNECTION_LOST: httpx.ReadError,
    Code.CANNOT_PARSE_RESPONSE: httpx.RemoteProtocolError,
    Code.UNSUPPORTED_URL: httpx.UnsupportedProtocol,
}


class HttpxTransport(httpx.AsyncBaseTransport):
    """`call` is what all requests have in common. Closing it closes nothing: connections stay with
    the transport.
    """

    def __init__(self, transport: Transport, call: Call) -> None:
        self._transport = transport
        self._call = call

    def __repr__(self) -> str:
        return f"<HttpxTransport over {self._transport}>"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx.TransportError."""
        body = request.stream
        assert isinstance(body, httpx.AsyncByteStream)
        length = request.headers.get("content-length", "0")
        has_body = length != "0" or "transfer-encoding" in request.headers
        try:
            call = replace(
                self._call,
                url=check_url(str(request.url)),
                method=request.method,
                headers={
                    name: value
                    for name, value in request.headers.items()
                    if name.lower() not in _OURS
                },
                content=body.__aiter__ if has_body else None,
                content_length=int(length) if length != "0" else None,
                follows_redirects=False,
                idle_timeout=request.extensions.get("timeout", {}).get("read")
                or self._call.idle_timeout,
            )
            answer = await self._transport.open(call)
        except TransferFailure as failure:
            raise _in_httpx(failure, request) from failure
        return httpx.Response(
            answer.response.status,
            headers=[
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in answer.response.headers
            ],
            stream=_Body(answer, request),
            extensions={"http_version": answer.response.http_version.encode()},
        )


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: Answer, request: httpx.Request) -> None:
        self._answer = answer
        self._chunks = answer.chunks()
        self._request = request

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except TransferFailure as failure:
            raise _in_httpx(failure, self._request) from failure

    async def aclose(self) -> None:
        await self._chunks.aclose()
        await self._answer.aclose()


def _in_httpx(failure: TransferFailure, request: httpx.Request) -> httpx.TransportError:
    kind = _FAILURES.get(failure.error.code, httpx.TransportError)
    return kind(failure.error.message, request=request)
