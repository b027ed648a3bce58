"""Reaching a host: its addresses, which of them is tried when (RFC 8305), and the way through a
proxy.

Rule: the address that is connected to is the one that was checked, on every way. No word for people
is here; a failure says at which hop it happened.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from transfermon.http.proxies import Proxy
from transfermon.wire.deadlines import WANT, Deadlines
from transfermon.wire.network_errors import (
    ConnectError,
    ConnectTimeout,
    NetworkError,
    NotTheProtocol,
    ReadError,
    ReadTimeout,
    TalkRefused,
    TooSlow,
)

if TYPE_CHECKING:
    from transfermon.wire.proxy_talks import Step

# seconds until the next address is tried beside those that have not answered (RFC 8305 §5)
NEXT_ADDRESS = 0.25
ADDRESSES_TRIED = 8

Address = tuple[socket.AddressFamily, tuple[Any, ...]]
A = TypeVar("A")


class AddressRefused(ConnectError):  # noqa: N818 - what the policy did
    """All addresses of the host are private, and the policy does not let this request reach
    them.
    """


class ProxyFailed(Exception):  # noqa: N818 - as in network_errors
    """The way to or through a proxy failed. `cause` is what it met: a failure of the network, or an
    answer that says no.
    """

    def __init__(self, proxy: Proxy, cause: Exception) -> None:
        super().__init__(str(cause))
        self.proxy = proxy
        self.cause = cause


class Dialer:
    """Makes the connections of one client. `permits(host, port, address)` judges every address of a
    server; the proxy is the person's own. With an http proxy it is asked for the proxy, by whoever
    speaks HTTP; a SOCKS proxy is spoken to here.
    """

    def __init__(
        self, permits: Callable[[str, int, str], bool], deadlines: Deadlines, proxy: Proxy | None
    ) -> None:
        self._permits = permits
        self._deadlines = deadlines
        self._proxy = proxy
        self.lookup: tuple[float, float] | None = None  # of the last connection
        self.resolved = 0.0
        self.target = ""  # the address that a proxy which resolves no names was asked for

    def __repr__(self) -> str:
        return f"<Dialer {self._proxy.bare if self._proxy else 'direct'}>"

    async def dial(
        self, host: str, port: int, deadline: float, timeout: float | None
    ) -> socket.socket:
        """A connection, by `deadline` (monotonic); a proxy's answer is waited for `timeout`
        seconds.

        Raises ConnectError, whose context has the errno, ConnectTimeout, AddressRefused
        and ProxyFailed.
        """
        self.lookup = None
        proxy, limit = self._proxy, deadline - time.monotonic()
        if proxy is None:
            return await self._connect(
                await self._addresses(host, port, deadline, self._permits), deadline
            )
        if proxy.speaks_http:
            return await self._to_proxy(proxy, deadline)
        from transfermon.wire.proxy_talks import handshake  # brings socksio, which few need

        targets = [host] if proxy.resolves else await self._targets(proxy, host, port, deadline)
        refusals: list[TalkRefused] = []
        for target in targets:  # a refusal may have taken its time
            sock = await self._to_proxy(proxy, time.monotonic() + limit)
            try:
                await talk(sock, handshake(proxy, target, port), timeout, self._deadlines)
            except TalkRefused as exc:
                sock.close()
                refusals.append(exc)
            except (NotTheProtocol, NetworkError, TooSlow) as exc:
                sock.close()
                raise ProxyFailed(proxy, exc) from exc
            except BaseException:
                sock.close()
                raise
            else:
                self.target = "" if proxy.resolves else target
                return sock
        raise ProxyFailed(proxy, refusals[-1])

    async def _to_proxy(self, proxy: Proxy, deadline: float) -> socket.socket:
        try:
            return await self._connect(
                await self._addresses(proxy.host, proxy.port, deadline, _anywhere), deadline
            )
        except (ConnectError, ConnectTimeout) as exc:
            raise ProxyFailed(proxy, exc) from exc

    async def _targets(self, proxy: Proxy, host: str, port: int, deadline: float) -> list[str]:
        """What a proxy that resolves no names is asked for."""
        found = await self._addresses(host, port, deadline, self._permits)
        usable = [item[1][0] for item in found if not proxy.only_ipv4 or item[0] == socket.AF_INET]
        if not usable:
            raise ProxyFailed(proxy, TalkRefused("address type"))
        return usable

    async def _addresses(
        self, host: str, port: int, deadline: float, permits: Callable[[str, int, str], bool]
    ) -> list[Address]:
        began = time.monotonic()
        found = await _resolve(host, port, deadline - began)
        self.resolved = time.monotonic()
        if not _is_address(host):
            self.lookup = (began, self.resolved)
        permitted = [item for item in in_turn(found) if permits(host, port, item[1][0])]
        if not permitted:
            raise AddressRefused(f"{host} has no public address")
        return permitted[:ADDRESSES_TRIED]

    async def _connect(self, addresses: Sequence[Address], deadline: float) -> socket.socket:
        async def connect(address: Address) -> socket.socket:
            return await _connected(*address, deadline - time.monotonic(), self._deadlines)

        try:
            return await race(addresses, connect)
        except ExceptionGroup as group:
            failures = list(group.exceptions)
        raise _telling(failures)


def _anywhere(host: str, port: int, address: str) -> bool:
    return True


def _telling(failures: list[Exception]) -> Exception:
    """The failure of all addresses that says most: one that was refused, or else the last."""
    telling = next(
        (exc for exc in failures if isinstance(exc, ConnectionRefusedError)), failures[-1]
    )
    if isinstance(telling, ConnectTimeout):
        return telling
    error = ConnectError(str(telling))
    error.__cause__ = telling
    return error


async def talk(
    sock: socket.socket,
    steps: Generator[Step, bytes, None],
    timeout: float | None,
    deadlines: Deadlines,
) -> None:
    """Lead a talk over a new connection. Raises ReadError and ReadTimeout, and what the
    talk raises.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    answer: bytes | None = None
    while True:
        try:
            step = next(steps) if answer is None else steps.send(answer)
        except StopIteration:
            return
        if isinstance(step, bytes):
            await _send(sock, step, deadline, deadlines)
            answer = b""
        else:
            answer = await _read(sock, step, deadline, deadlines)


async def _send(
    sock: socket.socket, data: bytes, deadline: float | None, deadlines: Deadlines
) -> None:
    while data:
        try:
            data = data[sock.send(data) :]
        except WANT:
            await deadlines.wait_for_socket(sock.fileno(), True, _left(deadline), ReadTimeout)
        except OSError as exc:
            raise ReadError(str(exc)) from exc


async def _read(
    sock: socket.socket, count: int, deadline: float | None, deadlines: Deadlines
) -> bytes:
    data = b""
    while len(data) < count:
        try:
            piece = sock.recv(count - len(data))
        except WANT:
            await deadlines.wait_for_socket(sock.fileno(), False, _left(deadline), ReadTimeout)
            continue
        except OSError as exc:
            raise ReadError(str(exc)) from exc
        if not piece:
            raise ReadError("the connection ended inside an answer")
        data += piece
    return data


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - time.monotonic()


def in_turn(addresses: Sequence[Address]) -> list[Address]:
    """The families by turns, each in the resolver's order; the resolver's first stays first (RFC
    8305 §4).
    """
    if not addresses:
        return []
    first = [address for address in addresses if address[0] == addresses[0][0]]
    second = [address for address in addresses if address[0] != addresses[0][0]]
    mixed = [pair for both in zip(first, second, strict=False) for pair in both]
    return mixed + first[len(second) :] + second[len(first) :]


async def race(
    addresses: Sequence[A], connect: Callable[[A], Awaitable[socket.socket]]
) -> socket.socket:
    """The connection that stood first. An address is given `NEXT_ADDRESS` before the next one is
    tried beside it; one that fails, none. Raises an ExceptionGroup of OSErrors and time-outs when
    all have failed, in their order.
    """
    waiting = list(addresses)
    runners: list[asyncio.Future[socket.socket]] = []
    try:
        while waiting or not all(runner.done() for runner in runners):
            if waiting:
                runners.append(asyncio.ensure_future(connect(waiting.pop(0))))
            running = [runner for runner in runners if not runner.done()]
            await asyncio.wait(
                running,
                timeout=NEXT_ADDRESS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for runner in runners:
                if runner.done() and runner.exception() is None:
                    runners.remove(runner)
                    return runner.result()
        raise ExceptionGroup("no address answered", [_failure(runner) for runner in runners])
    finally:
        for runner in runners:
            runner.add_done_callback(_drop)
            runner.cancel()


def _failure(runner: asyncio.Future[socket.socket]) -> Exception:
    error = runner.exception()
    if not isinstance(error, Exception):  # a mistake of ours, never the network's
        raise error or AssertionError
    return error


def _drop(runner: asyncio.Future[socket.socket]) -> None:
    """One that lost: nobody wants its connection, or the reason why it has none."""
    if not runner.cancelled() and runner.exception() is None:
        runner.result().close()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _resolve(host: str, port: int, limit: float) -> list[Address]:
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        pass
    else:
        return [(family, (host, port))]
    loop = asyncio.get_running_loop()
    looking = asyncio.ensure_future(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    looking.add_done_callback(_forget)
    try:
        done, _ = await asyncio.wait({looking}, timeout=limit)
    finally:
        looking.cancel()
    if not done:
        raise ConnectTimeout("the name was not resolved in time")
    try:
        return list(dict.fromkeys((info[0], info[4]) for info in looking.result()))
    except (OSError, UnicodeError) as exc:
        raise ConnectError(str(exc)) from exc


def _forget(looking: asyncio.Future[Any]) -> None:
    """Who asked may have gone meanwhile: a name that is not found is nobody's failure then."""
    if not looking.cancelled():
        looking.exception()


async def _connected(
    family: socket.AddressFamily, sockaddr: tuple[Any, ...], limit: float, deadlines: Deadlines
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(sockaddr)
        if code == errno.EINPROGRESS:
            await deadlines.wait_for_socket(sock.fileno(), True, limit, ConnectTimeout)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock
