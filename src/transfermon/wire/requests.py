"""A hop as it is written: its request line and fields, its body, and who hears what comes before the
answer.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from transfermon.http.addresses import without_dots
from transfermon.http.head_marks import interim_heads
from transfermon.model.task import Progress, Response
from transfermon.wire.call import Call, Content, FileBody
from transfermon.wire.http_client import HttpClient, proxy_login
from transfermon.wire.pump import Pumps
from transfermon.wire.redirects import Hop, server_confines
from transfermon.wire.request_head import wire_request
from transfermon.wire.wire_request import Given, Outgoing, WireRequest


def request_of(
    call: Call, hop: Hop, made: bytes | Content | None, client: HttpClient, pumps: Pumps
) -> WireRequest:
    """With what was made of the hop's content. Raises as `wire_request` does."""
    scheme, host, path, query, _ = urlsplit(hop.url)
    path = without_dots(path)
    target = f"{path}?{query}" if query else path
    fields = hop.headers
    if (forwarder := client.forwarder) is not None:
        target = f"{scheme}://{host}{target}"
        fields = (*proxy_login(forwarder), *fields)
    length: int | None = None
    if isinstance(made, FileBody):
        length = made.length
    elif made is None or isinstance(made, bytes):
        length = len(made or b"")
    return wire_request(
        hop.method,
        target,
        host,
        fields,
        body=None if isinstance(made, FileBody) else made,
        length=length,
        outgoing=_outgoing_of(call, hop, made, client, pumps),
    )


def _outgoing_of(
    call: Call, hop: Hop, content: bytes | Content | None, client: HttpClient, pumps: Pumps
) -> Outgoing | None:
    """How the connection sends the body: from a file on the pump's thread, else as it comes."""
    heard = (
        functools.partial(_tell_interim, call, hop, client) if call.on_interim is not None else None
    )
    if content is None and heard is None:
        return None
    counter = call.sending or Progress()
    limiters = () if call.sending is None else call.limiters
    if not isinstance(content, FileBody):
        return Outgoing(counter=counter, limiters=limiters, heard=heard)
    body, pump = content, pumps.for_fd(content.fd)
    told: Callable[[bytes], object] | None = None
    if heard is not None:
        told = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, heard)

    async def give(sock: socket.socket, count: int, stall: float) -> Given:
        return await pump.give(
            sock,
            body.fd,
            body.offset,
            count,
            counter,
            check=body.check,
            heard=told,
            stall=stall,
            limiters=limiters,
        )

    return Outgoing(counter=counter, limiters=limiters, give=give, heard=heard)


def _tell_interim(call: Call, hop: Hop, client: HttpClient, data: bytes) -> None:
    if client.connection is None or call.on_interim is None:
        return
    remote_address = client.connection.stream.remote_address
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
        call.on_interim(response, server_confines(hop, remote_address, client.target))
