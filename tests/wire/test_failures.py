"""Every failure is told in words, and as what it is."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from tests.helpers.answers import get, refused
from tests.helpers.byte_server import chunked, reply
from transfermon.model.errors import Code, Retry, TransferFailure
from transfermon.model.task import Progress
from transfermon.wire.call import Call
from transfermon.wire.connect import AddressRefused
from transfermon.wire.failures import translate_failure
from transfermon.wire.network_errors import (
    BadAnswer,
    ClosedEarly,
    ConnectError,
    ConnectTimeout,
    HeadTooLarge,
    NotHTTP,
    ReadError,
    WriteError,
    WriteTimeout,
)

pytestmark = pytest.mark.anyio


# ---- failures


async def test_a_refused_connection_a_silent_server_and_an_early_end_have_their_codes(
    serve, transport
):
    gone = serve(reply(200))
    gone.stop()
    failure = await refused(transport, gone.url("/x?key=secret"))
    assert (failure.code, failure.error.reason) == (Code.CANNOT_CONNECT, "net.refused")
    assert failure.title == "The server at 127.0.0.1 refused the connection."
    assert "secret" not in failure.error.url
    silent = serve(lambda conn, request: conn.stall())
    failure = await refused(transport, silent.url(), idle_timeout=0.2)
    assert (failure.code, failure.error.reason) == (Code.TIMED_OUT, "net.timeout")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3x\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nA: b\x00c\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;" + b"x" * 200_000 + b"\r\nabc",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 102 P\r\n\r\n" * 100,
    ],
)
async def test_a_malformed_answer_is_told_as_such(serve, transport, answer):
    failure = await refused(transport, serve(answer).url())
    assert (failure.code, failure.error.reason) == (Code.CANNOT_PARSE_RESPONSE, "srv.protocol")
    assert not failure.retryable


@pytest.mark.parametrize("length", ["3", "3, 3"])
async def test_equal_lengths_are_one_length(serve, transport, length):
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: " + length.encode() + b"\r\n\r\nabc")
    assert await get(transport, server.url()) == (200, b"abc")


async def test_a_folded_field_and_odd_bytes_are_no_reason_to_fail(serve, transport):
    server = serve(b"HTTP/1.1 200 \xfcber\r\nA: b\r\n  c\r\nB: \xff\r\nContent-Length: 1\r\n\r\nx")
    assert await get(transport, server.url()) == (200, b"x")


@pytest.mark.parametrize("limit", [999, 300_000])
async def test_a_body_beyond_the_limit_is_stopped(serve, transport, fd, limit):
    for body in (
        reply(200, {}, b"x" * 400_000),
        reply(200, {"Transfer-Encoding": "chunked"}, chunked([b"x" * 500] * 800)),
    ):
        answer = await transport.open(Call(url=serve(body).url()))
        with pytest.raises(TransferFailure) as caught:
            await answer.receive(fd, 0, Progress(), limit=limit)
        await answer.aclose()
        assert (caught.value.code, caught.value.error.reason) == (
            Code.DATA_TOO_LARGE,
            "pol.too-big",
        )
        assert os.fstat(fd).st_size <= limit


# ---- words


def failed(kind: type[Exception], cause: BaseException | None) -> Exception:
    exc = kind("")
    exc.__context__ = cause
    return exc


def verify_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


def alert(name: str) -> ssl.SSLError:
    error = ssl.SSLError(1, name)
    error.reason = name
    return error


@pytest.mark.parametrize(
    ("exc", "code", "reason", "retry"),
    [
        (
            failed(ConnectError, OSError(errno.ECONNREFUSED, "")),
            -1004,
            "net.refused",
            Retry.RETRY,
        ),
        (
            failed(ConnectError, OSError(errno.ENETUNREACH, "")),
            -1009,
            "net.unreachable",
            Retry.WAIT,
        ),
        (
            failed(ConnectError, OSError(errno.EHOSTUNREACH, "")),
            -1009,
            "net.unreachable",
            Retry.WAIT,
        ),
        (
            failed(ConnectError, OSError(errno.ETIMEDOUT, "")),
            -1001,
            "net.timeout",
            Retry.RETRY,
        ),
        (
            failed(ConnectError, OSError(errno.EMFILE, "")),
            -1004,
            "sys.too-many-files",
            Retry.RETRY,
        ),
        (
            failed(ConnectError, socket.gaierror(socket.EAI_NONAME, "")),
            -1003,
            "net.unknown-host",
            Retry.RETRY,
        ),
        (
            failed(ConnectError, socket.gaierror(socket.EAI_AGAIN, "")),
            -1006,
            "net.dns",
            Retry.RETRY,
        ),
        (failed(ConnectError, ssl.SSLEOFError(8, "")), -1005, "net.closed", Retry.RETRY),
        (failed(ConnectError, verify_error(10)), -1201, "tls.expired", Retry.FINAL),
        (failed(ConnectError, verify_error(18)), -1202, "tls.untrusted", Retry.FINAL),
        (failed(ConnectError, verify_error(20)), -1203, "tls.unknown-root", Retry.FINAL),
        (failed(ConnectError, verify_error(9)), -1204, "tls.not-yet-valid", Retry.FINAL),
        (
            failed(ConnectError, alert("TLSV1_ALERT_UNKNOWN_CA")),
            -1205,
            "tls.client-rejected",
            Retry.FINAL,
        ),
        (
            failed(ReadError, alert("TLSV13_ALERT_CERTIFICATE_REQUIRED")),
            -1206,
            "tls.client-required",
            Retry.FINAL,
        ),
        (
            failed(ConnectError, alert("SSLV3_ALERT_HANDSHAKE_FAILURE")),
            -1200,
            "tls.failed",
            Retry.FINAL,
        ),
        (
            failed(ReadError, OSError(errno.ECONNRESET, "")),
            -1005,
            "net.reset",
            Retry.RETRY,
        ),
        (failed(WriteError, OSError(errno.EPIPE, "")), -1005, "net.closed", Retry.RETRY),
        (
            failed(ReadError, OSError(errno.ENETUNREACH, "")),
            -1005,
            "net.closed",
            Retry.RETRY,
        ),
        (ConnectTimeout(), -1001, "net.timeout", Retry.RETRY),
        (WriteTimeout(), -1001, "net.timeout", Retry.RETRY),
        (BadAnswer(), -1017, "srv.protocol", Retry.FINAL),
        (AddressRefused(), -1004, "pol.private-address", Retry.FINAL),
        (NotHTTP(), -1017, "srv.protocol", Retry.FINAL),
        (HeadTooLarge(), -1017, "srv.protocol", Retry.FINAL),
        (ClosedEarly(), -1005, "net.closed", Retry.RETRY),
        (RuntimeError(), -1, "net.unknown", Retry.FINAL),
    ],
)
@pytest.mark.parametrize("responded", [True, False])
def test_every_failure_has_a_code_a_reason_and_words(exc, code, reason, retry, responded):
    error = translate_failure(
        exc, "https://me:secret@example.org/x?key=secret", responded=responded
    )
    assert (error.code, error.reason, error.retry) == (code, reason, retry)
    assert error.message.endswith(".")
    assert "secret" not in repr(error)
