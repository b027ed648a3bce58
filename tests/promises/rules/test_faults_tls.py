"""Faults, group E: what a certificate that does not hold must not cost, and must not let
through.
"""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import warnings
from functools import partial
from pathlib import Path

import pytest
import trustme

from tests.helpers.byte_server import ByteServer, Resource, authority, bare_server
from tests.helpers.recorder import LIMIT, eventually
from tests.helpers.sessions import default_session, quick_session
from transfermon.engine.monitor import DownloadTask, Monitor
from transfermon.gui.panels.sidebar import properties_of
from transfermon.model.configuration import RetryPolicy, SessionConfiguration
from transfermon.storage.settings import Settings
from transfermon.wire.transport import Transport
from transfermon.wire.trust import system_trust

pytestmark = pytest.mark.anyio
DAY = datetime.timedelta(days=1)
BODY = bytes(range(256)) * 16_384  # 4 MiB
HELD = 1_000_000


def certificate(
    *names: str, ca: trustme.CA | None = None, begins: int = -1, ends: int = 1
) -> trustme.LeafCert:
    now = datetime.datetime.now(datetime.UTC)
    return (ca or authority()).issue_cert(
        *names, not_before=now + begins * DAY, not_after=now + ends * DAY
    )


def present(server: ByteServer, shown: trustme.LeafCert) -> None:
    """Every handshake from now on is made with this one."""
    server._context = server._server_context(shown)


async def half(monitor: Monitor, server: ByteServer) -> DownloadTask:
    """A download that was paused in the middle, over a connection that was trusted."""
    monitor._engine.transport = Transport(tls_context=server.client_context())
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    await eventually(
        lambda: (monitor.overview.progress(task.key) or task.record).received == HELD,
        "the first megabyte",
    )
    task.suspend()
    await eventually(
        lambda: task.record.received == HELD and bool(task.record.part_path), "the checkpoint"
    )
    monitor._engine.transport.drop_idle()
    return task


WRONG = [
    ("expired", lambda: certificate("127.0.0.1", begins=-9, ends=-2), "tls.expired"),
    ("not yet valid", lambda: certificate("127.0.0.1", begins=2, ends=9), "tls.not-yet-valid"),
    ("of another host", lambda: certificate("elsewhere.example"), "tls.hostname"),
    (
        "of an unknown authority",
        lambda: certificate("127.0.0.1", ca=trustme.CA()),
        "tls.unknown-root",
    ),
]


@pytest.mark.parametrize(
    ("make", "reason"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG]
)
async def test_fault_e1_each_wrong_certificate_is_named_and_nothing_is_asked_for(
    monitor: Monitor, make, reason
):
    with ByteServer(Resource(BODY, etag='"v1"'), tls=True, certificate=make()) as server:
        monitor._engine.transport = Transport(tls_context=server.client_context())
        record = await quick_session(monitor).download_task(server.url("/a.bin")).wait()
        assert record.error is not None
        assert record.error.reason == reason
        assert not record.error.retryable
        assert server.requests == []


async def test_fault_t2_a_certificate_that_is_not_valid_yet_leads_to_the_clock(monitor: Monitor):
    with ByteServer(
        Resource(BODY), tls=True, certificate=certificate("127.0.0.1", begins=2, ends=9)
    ) as server:
        monitor._engine.transport = Transport(tls_context=server.client_context())
        record = await quick_session(monitor).download_task(server.url("/a.bin")).wait()
    assert record.error is not None
    assert record.error.hint.startswith("Check the date and time of this computer.")


@pytest.mark.parametrize(
    ("make", "reason"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG]
)
async def test_fault_e2_a_certificate_that_turned_bad_ends_the_resume_and_the_part_stays(
    monitor: Monitor, make, reason
):
    with ByteServer(Resource(BODY, etag='"v1"', stall_after=HELD), tls=True) as server:
        task = await half(monitor, server)
        part, stored, asked = (
            Path(task.record.part_path),
            task.record.received,
            len(server.requests),
        )
        present(server, make())
        task.resume()
        record = await task.wait()
        assert record.error is not None
        assert record.error.reason == reason
        assert len(server.requests) == asked
        assert part.read_bytes()[:stored] == BODY[:stored]
        assert record.received == stored


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_fault_e4_a_server_with_outdated_encryption_is_refused_with_words(
    monitor: Monitor, version: ssl.TLSVersion
):
    with ByteServer(Resource(b"x"), tls=True) as server:
        assert server._context is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is outdated is the point
            server._context.minimum_version = server._context.maximum_version = version
        server._context.set_ciphers("ALL:@SECLEVEL=0")
        context = system_trust()  # by itself, whatever versions the system's OpenSSL would take
        authority().configure_trust(context)
        monitor._engine.transport = Transport(tls_context=context)
        record = await quick_session(monitor).download_task(server.url("/a")).wait()
        assert record.error is not None
        assert (record.error.reason, record.error.retryable) == ("tls.outdated", False)
        assert record.error.message == "127.0.0.1 offers only outdated encryption."
        assert server.requests == []


@pytest.mark.parametrize(
    ("kind", "reason"), [("silence", "net.timeout"), ("end", "net.closed"), ("http", "tls.not-tls")]
)
async def test_fault_e5_a_handshake_that_does_not_come_to_an_end_is_bounded_and_named(
    monitor: Monitor, kind: str, reason: str
):
    with bare_server(partial(shake_badly, kind)) as port:
        session = default_session(
            monitor, timeout_interval_for_request=0.5, retry_policy=RetryPolicy(attempts=1)
        )
        task = session.download_task(f"https://127.0.0.1:{port}/a")
        async with asyncio.timeout(LIMIT):
            record = await task.wait()
    assert record.error is not None
    assert record.error.reason == reason
    assert record.received == 0


def shake_badly(kind: str, sock: socket.socket) -> None:
    """Takes the greeting and answers with nothing, with the end, or with something else."""
    sock.recv(65536)
    if kind == "http":
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    if kind != "silence":
        sock.close()


async def test_fault_e7_the_name_goes_to_the_server_and_the_certificate_is_checked_against_it(
    monitor: Monitor,
):
    seen: list[str | None] = []
    with ByteServer(
        Resource(b"x", etag='"v1"'), tls=True, certificate=certificate("localhost")
    ) as server:
        assert server._context is not None
        server._context.sni_callback = lambda _socket, name, _context: seen.append(name)
        monitor._engine.transport = Transport(tls_context=server.client_context())
        session = quick_session(monitor)
        url = server.url("/a").replace("127.0.0.1", "localhost")
        assert (await session.download_task(url).wait()).succeeded
        assert server.requests[0].header("Host") == f"localhost:{server.port}"
        # the same address, by another name
        record = await session.download_task(server.url("/a")).wait()
        assert record.error is not None
        assert record.error.reason == "tls.hostname"
        assert seen[0] == "localhost"
        assert len(server.requests) == 1


async def test_fault_e9_a_certificate_for_a_name_is_none_for_an_address(monitor: Monitor):
    with ByteServer(Resource(b"x"), tls=True, certificate=certificate("localhost")) as server:
        monitor._engine.transport = Transport(tls_context=server.client_context())
        record = await quick_session(monitor).download_task(server.url("/a")).wait()
        assert record.error is not None
        assert record.error.reason == "tls.hostname"
        assert server.requests == []


def test_fault_e10_nothing_promises_an_upgrade_to_https():
    root = Path(__file__).parents[3]
    texts = [root / "README.md", *(root / "docs").glob("*.md"), *(root / "src").rglob("*.py")]
    assert [str(path) for path in texts if "hsts" in path.read_text("utf-8").lower()] == []


async def test_fault_e3_a_file_of_authorities_counts_for_its_session_and_survives_a_restart(
    tmp_path: Path,
):
    pem = tmp_path / "ours.pem"
    authority().cert_pem.write_to_path(pem)
    trusting = SessionConfiguration.background("trusting")
    trusting.ca_file = str(pem)
    with ByteServer(Resource(BODY, etag='"v1"'), tls=True) as server:
        for start in range(2):  # the second time the session is a restored one
            async with Monitor.open(str(tmp_path / "state"), settings=Settings()) as monitor:
                session = (
                    monitor.create_session(trusting) if start == 0 else monitor.session("trusting")
                )
                monitor.ready()
                assert session.configuration.ca_file == str(pem)
                task = session.download_task(
                    server.url("/a.bin"), destination=str(tmp_path / f"a{start}")
                )
                assert (await task.wait()).succeeded
                others = monitor.session("others").download_task(
                    server.url("/b.bin"), destination=str(tmp_path / "b")
                )
                error = (await others.wait()).error
                assert error is not None
                assert error.reason == "tls.unknown-root"
                (info,) = [
                    info
                    for info in monitor.overview.snapshot().sessions
                    if info.identifier == "trusting"
                ]
                assert ("Own authorities", str(pem)) in properties_of(
                    info, session.configuration, str(tmp_path)
                )
        pem.unlink()
        async with Monitor.open(str(tmp_path / "state"), settings=Settings()) as monitor:
            monitor.ready()
            task = monitor.session("trusting").download_task(
                server.url("/a.bin"), destination=str(tmp_path / "c")
            )
            error = (await task.wait()).error
            assert error is not None
            assert (error.reason, str(pem) in error.message) == ("tls.ca-file", True)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"no certificate", "holds no certificates"), (b"", "holds no")],
)
async def test_fault_e3_a_file_without_authorities_makes_no_session(
    monitor: Monitor, tmp_path: Path, content, words
):
    path = tmp_path / "bad.pem"
    if content is not None:
        path.write_bytes(content)
    configuration = SessionConfiguration.background("bad")
    configuration.ca_file = str(path)
    with pytest.raises(ValueError, match=words):
        monitor.create_session(configuration)
    assert monitor.find_session("bad") is None
