"""A scripted HTTP/1.1 server that sends exactly the bytes it is told to, over plain TCP or TLS.

    def handler(conn: Conn, request: Request) -> None:
        conn.send(reply(200, {"X": "y"}, b"body"))        # any bytes at all, in any pieces
        conn.close()                                      # or conn.reset(), or return to serve the next request

    with ByteServer(handler) as server:                   # tls=True speaks TLS; server.client_context() trusts it
        server.url("/path"), server.requests, server.most_open

A handler runs on a thread of its own connection, once for each request; when it returns, the
connection is kept for the next one unless it was closed. `Resource` is a ready handler with ranges
and validators.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import trustme

from transfermon.http.resume import overlap_for


@functools.cache
def authority() -> trustme.CA:
    """The one test authority of a run; making one takes a while."""
    return trustme.CA()


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as it came. Header names keep their case; `header()` does not care for it."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    raw: bytes = b""  # the head as it came
    time: float = 0.0  # monotonic
    connection: int = 0  # number of the connection that it came on, from 1

    def header(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)


def reply(
    status: int, headers: Mapping[str, str] | None = None, body: bytes = b"", *, reason: str = "X"
) -> bytes:
    """A whole answer. Content-Length is added unless the headers frame the body themselves."""
    fields = dict(headers or {})
    names = {name.lower() for name in fields}
    if (
        not names & {"content-length", "transfer-encoding"}
        and status >= 200
        and status not in (204, 304)
    ):
        fields["Content-Length"] = str(len(body))
    lines = [
        f"HTTP/1.1 {status} {reason}",
        *(f"{name}: {value}" for name, value in fields.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + body


def rest(stored: int, brought: int = 0) -> str:
    """The Range of a download that goes on after an interruption; the last connection brought
    `brought` bytes, or all.
    """
    overlap = overlap_for(stored, brought)
    return f"bytes={stored - overlap if overlap < stored else stored}-"


def chunked(pieces: Iterable[bytes]) -> bytes:
    """The pieces in chunked coding, with the last chunk."""
    return (
        b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"
    )


class Conn:
    """One connection of the server, for its handler."""

    def __init__(self, sock: socket.socket, server: ByteServer, number: int) -> None:
        self.sock = sock
        self.server = server
        self.number = number
        self.open = True
        self._left = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_slowly(self, pieces: Iterable[bytes], seconds: float) -> None:
        """Send piece by piece, each in a segment of its own, with a pause between two."""
        for piece in pieces:
            self.send(piece)
            self.server.stopping.wait(seconds)

    def stall(self) -> None:
        """Send nothing more and keep the connection until the client ends it or the server
        stops.
        """
        self.sock.settimeout(0.05)
        while not self.server.stopping.is_set():
            try:
                if not self.sock.recv(65536):
                    break
            except (TimeoutError, ssl.SSLWantReadError):
                continue
            except OSError:
                break
        self.close()

    def close(self) -> None:
        """End the connection in good order (FIN; with TLS its end is announced first)."""
        if not self.open:
            return
        self.open = False
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock.settimeout(0.05)  # for the client's answer, which need not come
                self.sock = self.sock.unwrap()
        self.cut()

    def cut(self) -> None:
        """FIN without the end of TLS."""
        self.open = False
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
        with contextlib.suppress(OSError):
            self.sock.settimeout(0.5)
            while socket.socket.recv(self.sock, 65536):
                pass  # what the client still sends would turn our FIN into a reset
        self.sock.close()

    def reset(self) -> None:
        """RST."""
        self.open = False
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def read_request(self) -> Request | None:
        """The next request with its body; None when the client ended the connection."""
        head, found = self._left, -1
        while (found := head.find(b"\r\n\r\n")) < 0:
            data = self.sock.recv(65536)
            if not data:
                return None
            head += data
        raw, self._left = head[: found + 4], head[found + 4 :]
        first, *lines = raw[:-4].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = tuple(
            (name, value.strip()) for name, _, value in (line.partition(":") for line in lines)
        )
        request = Request(
            method=method,
            target=target,
            headers=pairs,
            raw=raw,
            time=time.monotonic(),
            connection=self.number,
        )
        if not self.server.reads_bodies:
            return request
        return Request(**{**vars(request), "body": self.read_body(request)})

    def read_some(self, count: int) -> bytes:
        """So many bytes of a body; raises ConnectionError when the client ends before."""
        return self._exactly(count)

    def read_body(self, request: Request) -> bytes:
        if request.header("Transfer-Encoding").lower() == "chunked":
            body = b""
            while size := int(self._line().partition(b";")[0], 16):
                body += self._exactly(size)
                self._exactly(2)
            while self._line():
                pass
            return body
        return self._exactly(int(request.header("Content-Length", "0")))

    def _line(self) -> bytes:
        while b"\r\n" not in self._left:
            self._more()
        line, _, self._left = self._left.partition(b"\r\n")
        return line

    def _exactly(self, count: int) -> bytes:
        while len(self._left) < count:
            self._more()
        data, self._left = self._left[:count], self._left[count:]
        return data

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the client ended the connection inside a request")
        self._left += data


Handler = Callable[[Conn, Request], None]


class ByteServer:
    """Serves one handler on a free port of 127.0.0.1 until `stop()` or the end of the `with`
    block.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        tls: bool = False,
        certificate: trustme.LeafCert | None = None,
        address: str = "127.0.0.1",
        port: int = 0,  # 0: a free one
        # False: the handler does it, with `conn.read_body` or `conn.read_some`
        reads_bodies: bool = True,
    ) -> None:
        self.reads_bodies = reads_bodies
        self.handler = handler  # may be replaced between requests
        self.requests: list[Request] = []
        self.connections = 0  # accepted so far
        self.open_now = 0
        self.most_open = 0  # at the same moment
        # that handlers raised, other than a client that went away
        self.errors: list[Exception] = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._context = self._server_context(certificate) if tls else None
        self._listener = socket.create_server((address, port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._address = address
        self._conns: set[Conn] = set()
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, name="byte-server", daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def url(self, path: str = "/", host: str = "") -> str:
        return f"{'https' if self._context else 'http'}://{host or self._address}:{self.port}{path}"

    @staticmethod
    def client_context() -> ssl.SSLContext:
        """Trusts the test authority only, and checks names as always."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority().configure_trust(context)
        return context

    def stop(self) -> None:
        """Close everything and wait for the threads; raises what a handler raised."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5)
        with self._lock:
            conns = list(self._conns)
        for conn in conns:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(conn.sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        if self.errors:
            raise self.errors[0]

    @staticmethod
    def _server_context(certificate: trustme.LeafCert | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (certificate or _certificate()).configure_cert(context)
        return context

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(
                target=self._serve, args=(sock, self.connections), daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        conn = Conn(sock, self, number)
        with self._lock:
            self._conns.add(conn)
            self.open_now += 1
            if self.stopping.is_set():  # `stop` has shut down those that it knew
                conn.cut()
            # Threads find out late under load that a client has gone; the kernel knows it already.
            self.most_open = max(
                self.most_open, sum(_is_established(known.sock) for known in self._conns)
            )
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                conn.sock = self._context.wrap_socket(sock, server_side=True)
            while conn.open and not self.stopping.is_set() and (request := conn.read_request()):
                # before anybody can know of the request and put in another one
                handler = self.handler
                self.requests.append(request)
                handler(conn, request)
        except (OSError, ValueError) as exc:
            if isinstance(exc, ValueError) and not isinstance(exc, ssl.SSLError):
                self.errors.append(exc)
        except Exception as exc:  # noqa: BLE001 - raised again by stop()
            self.errors.append(exc)
        finally:
            with self._lock:
                self._conns.discard(conn)
                self.open_now -= 1
            if conn.open:
                conn.cut()


def _is_established(sock: socket.socket) -> bool:
    """Whether the other side has not closed its end."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1  # TCP_ESTABLISHED
    except OSError:
        return sock.fileno() >= 0


@contextlib.contextmanager
def bare_server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port of 127.0.0.1; `serve` has each connection, one after the other, and may leave it open
    or close it.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                taken.append(listener.accept()[0])
                with contextlib.suppress(OSError):
                    serve(taken[-1])

    thread = threading.Thread(target=accept, name="bare-server")
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        for sock in (listener, *taken):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        thread.join()
        for sock in (listener, *taken):
            sock.close()


@functools.cache
def _certificate() -> trustme.LeafCert:
    return authority().issue_cert("127.0.0.1", "localhost", "::1", "other.localhost")


@dataclass
class Resource:
    """A handler: one file, with ranges (RFC 9110 §14), conditions on them, and hooks. Change it at
    any time.
    """

    body: bytes
    etag: str = ""  # with its quotes, such as '"v1"' or 'W/"v1"'
    last_modified: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # added to every answer, over our own
    ranges: bool = True  # False: ignores Range, and says so
    cut_after: int | None = None  # bytes of a body after which the connection ends; None: never
    reset_after: int | None = None
    stall_after: int | None = None
    before: Callable[[Conn, Request], bool] | None = None  # True: it answered in our place
    piece: int = 256 * 1024  # bytes of one write
    pause: float = 0.0  # seconds between two writes

    def __call__(self, conn: Conn, request: Request) -> None:
        if self.before is not None and self.before(conn, request):
            return
        if request.method == "PUT":  # taken; the answer to GET would be no receipt
            conn.send(reply(200))
            return
        begin, end, status = self._wanted(request)
        part = self.body[begin:end]
        fields = {
            "Accept-Ranges": "bytes" if self.ranges else "none",
            "Content-Type": "application/octet-stream",
        }
        if self.etag:
            fields["ETag"] = self.etag
        if self.last_modified:
            fields["Last-Modified"] = self.last_modified
        if status == 206:
            fields["Content-Range"] = f"bytes {begin}-{end - 1}/{len(self.body)}"
        elif status == 416:
            fields["Content-Range"] = f"bytes */{len(self.body)}"
        fields["Content-Length"] = str(len(part))
        conn.send(reply(status, {**fields, **self.headers}))
        if request.method != "HEAD":
            self._send(conn, part)

    def _wanted(self, request: Request) -> tuple[int, int, int]:
        size, asked = len(self.body), request.header("Range")
        condition = request.header("If-Range")
        if not self.ranges or not asked.startswith("bytes=") or "," in asked:
            return 0, size, 200
        if condition and condition not in self._strong_validators():
            return 0, size, 200
        first, _, last = asked.removeprefix("bytes=").partition("-")
        if not first:
            return max(0, size - int(last)), size, 206
        begin, end = int(first), min(size, int(last) + 1) if last else size
        return (begin, end, 206) if begin < size and begin < end else (0, 0, 416)

    def _strong_validators(self) -> set[str]:
        return {
            text for text in (self.etag, self.last_modified) if text and not text.startswith("W/")
        }

    def _send(self, conn: Conn, part: bytes) -> None:
        stops = [
            n
            for n in (self.cut_after, self.reset_after, self.stall_after)
            if n is not None and n < len(part)
        ]
        stop = min(stops, default=len(part))
        piece = self.piece  # a test may change it meanwhile, and this body must stay what it is
        for at in range(0, stop, piece):
            conn.send(part[at : min(at + piece, stop)])
            if self.pause and conn.server.stopping.wait(self.pause):
                conn.cut()
                return
        if not stops:
            return
        if stop == self.stall_after:
            conn.stall()
        elif stop == self.reset_after:
            conn.reset()
        else:
            conn.cut()
