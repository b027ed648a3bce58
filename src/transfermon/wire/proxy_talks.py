"""How a way is opened through a proxy that does not speak HTTP, in plain values: `TALKS`, by kind.

Rule: a new kind is a talk here and a row of `proxies.KINDS`. No socket is here; whoever leads the
talk sends and reads what it yields.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator

from socksio import ProtocolError, SOCKSError, socks4, socks5

from transfermon.http.proxies import Proxy
from transfermon.wire.network_errors import NotTheProtocol, TalkRefused

Step = bytes | int  # what goes to the proxy, or how many bytes are wanted from it


REASONS = {  # of SOCKS 5 (RFC 1928 §6)
    2: "forbidden",
    3: "network unreachable",
    4: "host unreachable",
    5: "refused",
    6: "timed out",
    8: "address type",
}
NO_METHOD = 0xFF


def handshake(proxy: Proxy, host: str, port: int) -> Generator[Step, bytes, None]:
    """The talk that opens a way to a host through a proxy: yields bytes to send and counts of bytes
    to be read. It reads no byte more than the proxy's answers have. Raises TalkRefused and NotTheProtocol.
    """
    try:
        yield from TALKS[proxy.kind](proxy, host, port)
    except (ProtocolError, SOCKSError) as exc:
        raise NotTheProtocol(str(exc)) from exc


def _version_4(proxy: Proxy, host: str, port: int) -> Generator[Step, bytes, None]:
    if ":" in host:
        raise TalkRefused("address type")
    user = (proxy.user or "").encode()
    way = socks4.SOCKS4Connection(user_id=user or b"-")
    kind = socks4.SOCKS4Request if _is_ipv4(host) else socks4.SOCKS4ARequest
    way.send(kind.from_address(socks4.SOCKS4Command.CONNECT, (host, port)))
    request = way.data_to_send()
    # socksio has no request without a user's name
    yield request if user else request[:8] + request[9:]
    reply = yield 8
    if reply[0] != 0:
        raise NotTheProtocol("an answer that is none of SOCKS 4")
    if reply[1] in (0x5C, 0x5D):
        raise TalkRefused("login")
    if way.receive_data(reply).reply_code != socks4.SOCKS4ReplyCode.REQUEST_GRANTED:
        raise TalkRefused("other")


def _version_5(proxy: Proxy, host: str, port: int) -> Generator[Step, bytes, None]:
    way = socks5.SOCKS5Connection()
    methods = [socks5.SOCKS5AuthMethod.NO_AUTH_REQUIRED]
    if proxy.user is not None:
        methods.append(socks5.SOCKS5AuthMethod.USERNAME_PASSWORD)
    way.send(socks5.SOCKS5AuthMethodsRequest(methods))
    yield way.data_to_send()
    reply = yield 2
    if reply[0] != 5:
        raise NotTheProtocol("an answer that is none of SOCKS 5")
    if reply[1] == NO_METHOD:
        # it wants one that was not offered
        raise TalkRefused("login" if proxy.user is None else "method")
    way.receive_data(reply)
    if reply[1:] not in methods:
        raise NotTheProtocol("a way to sign in that nobody offered")
    if way.state == socks5.SOCKS5State.CLIENT_WAITING_FOR_USERNAME_PASSWORD:
        way.send(
            socks5.SOCKS5UsernamePasswordRequest(
                (proxy.user or "").encode(), proxy.password.encode()
            )
        )
        yield way.data_to_send()
        reply = yield 2
        answer = way.receive_data(b"\x01" + reply[1:])  # some servers give another version
        if answer != socks5.SOCKS5UsernamePasswordReply(success=True):
            raise TalkRefused("login")
    way.send(socks5.SOCKS5CommandRequest.from_address(socks5.SOCKS5Command.CONNECT, (host, port)))
    yield way.data_to_send()
    reply = yield 4
    if reply[0] != 5:
        raise NotTheProtocol("an answer that is none of SOCKS 5")
    if reply[1] != 0:  # some close right behind it
        raise TalkRefused(REASONS.get(reply[1], "other"))
    lengths = {1: 4, 4: 16}
    if reply[3] == 3:
        length = (yield 1)[0]
    elif reply[3] in lengths:
        length = lengths[reply[3]]
    else:
        raise NotTheProtocol("an address of no known type")
    yield length + 2  # where the proxy stands on its other side: of no use to us


def _is_ipv4(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return False
    return True


TALKS: dict[str, Callable[[Proxy, str, int], Generator[Step, bytes, None]]] = {
    "socks4": _version_4,
    "socks4a": _version_4,
    "socks5": _version_5,
    "socks5h": _version_5,
}
