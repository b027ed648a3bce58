"""Faults, group C: statuses, redirects, sign-in pages, and sessions that must not mix."""

from __future__ import annotations

import asyncio
import email.utils
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import nginx
from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply, rest
from tests.helpers.recorder import LIMIT, Recorder, recorder_of
from tests.helpers.sessions import always, code_of, default_session, parts_in, quick_session, sent
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor, Session
from transfermon.http import cookies
from transfermon.http.resume import OVERLAP
from transfermon.model.configuration import RetryPolicy
from transfermon.model.task import Activity, State
from transfermon.storage.records import task_text
from transfermon.text.humanize import status

pytestmark = pytest.mark.anyio


def redirecting(resource: Resource, targets: dict[str, tuple[int, str]]) -> None:
    """Answer these paths with a status and a Location."""

    def before(conn: Conn, request: Request) -> bool:
        found = targets.get(request.target)
        if found is not None:
            conn.send(reply(found[0], {"Location": found[1]}))
        return found is not None

    resource.before = before


def answering(*answers: bytes) -> Any:
    """In place of a `Resource`'s answers: these, then its own."""
    left = iter(answers)

    def before(conn: Conn, request: Request) -> bool:
        answer = next(left, None)
        if answer is not None:
            conn.send(answer)
        return answer is not None

    return before


def cut_then(resource: Resource, *answers: bytes, at: int = 90_000) -> Any:
    """The file up to `at`, where the connection ends; then these answers, then the file's rest."""
    cut = True
    rest = answering(*answers)

    def before(conn: Conn, request: Request) -> bool:
        nonlocal cut
        resource.cut_after = at if cut else None
        first, cut = cut, False
        return False if first else bool(rest(conn, request))

    return before


# ---- C1 to C3


async def test_fault_c1_a_server_that_asks_to_wait_is_given_the_time_and_the_user_is_told(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.before = cut_then(resource, reply(503, {"Retry-After": "1"}))
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    await recorder.wait_for_state(task, State.RUNNING, Activity.WAITING_UNTIL)
    assert status(task.record, time.time()).startswith("Waiting: the server asks to wait, 0:01")
    assert (await task.wait()).succeeded
    asked, came = server.requests[-2].time, server.requests[-1].time
    assert 0.95 <= came - asked <= 2.5
    assert server.requests[-1].header("Range") == rest(90_000)
    assert (downloads / "a.bin").read_bytes() == resource.body


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(
    ("value", "lowest", "highest"),
    [
        (lambda: email.utils.formatdate(time.time() + 1000, usegmt=True), 998, 1001),
        (
            lambda: time.strftime("%A, %d-%b-%y %H:%M:%S GMT", time.gmtime(time.time() + 1000)),
            998,
            1001,
        ),
        (lambda: email.utils.formatdate(time.time() - 1000, usegmt=True), 0, 0),
        (lambda: "Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
        (lambda: email.utils.formatdate(time.time() + 10 * 365 * 86400, usegmt=True), 3e8, 4e8),
        (lambda: "99999999999999999999999", 3e8, 4e8),
        (lambda: "soon", 20, 40),
        (lambda: "-5", 20, 40),
        (lambda: "1.5", 20, 40),
        (lambda: "", 20, 40),
    ],
    ids=[
        "date",
        "old date",
        "past",
        "long past",
        "ten years",
        "huge",
        "junk",
        "negative",
        "fraction",
        "empty",
    ],
)
async def test_fault_c2_retry_after_in_any_form(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    code: int,
    value: Any,
    lowest: float,
    highest: float,
):
    resource.before = answering(reply(code, {"Retry-After": value()}))
    session = quick_session(monitor, retry_policy=RetryPolicy(minimum=20, maximum=40))
    task = session.download_task(server.url("/a"))
    event = await recorder.wait_for("taskstate", task)
    assert event.until is not None
    waited = event.until - event.time
    assert lowest - 1 <= waited <= highest + 1
    if not highest:
        assert (await task.wait()).succeeded
    else:
        assert task.record.waiting_until == event.until  # shown


async def test_fault_c2_the_task_s_own_limit_ends_a_wait_of_years(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    resource.before = answering(reply(503, {"Retry-After": str(10 * 365 * 86400)}))
    task = quick_session(monitor, timeout_interval_for_resource=0.3).download_task(server.url("/a"))
    async with asyncio.timeout(LIMIT):
        await task.wait()
    assert code_of(task) == -1001


async def test_fault_c3_errors_without_end_are_tried_less_and_less_often_and_end_with_the_last_status(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder
):
    monitor._engine.random = lambda: 1.0
    resource.before = always(reply(502))
    session = quick_session(
        monitor, retry_policy=RetryPolicy(minimum=0.01, maximum=0.08, attempts=6)
    )
    task = session.download_task(server.url("/a"))
    record = await task.wait()
    assert record.error is not None
    assert (record.error.status, record.attempt, len(server.requests)) == (502, 6, 6)
    times = [request.time for request in server.requests]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert all(
        gap >= wanted for gap, wanted in zip(gaps, [0.009, 0.018, 0.038, 0.078, 0.078], strict=True)
    )


# ---- C4, C5: a real server


@pytest.fixture
def web(tmp_path: Path) -> Iterator[nginx.Nginx]:
    if nginx.PATH is None:
        pytest.skip(nginx.WHY_NOT)
    root = tmp_path / "www"
    root.mkdir()
    (root / "a.bin").write_bytes(b"x" * 100_000)
    (tmp_path / "users").write_text("user:{PLAIN}password\n")
    locations = f"""
      location /gone {{ return 410; }}
      location /forbidden {{ deny all; }}
      location /private {{ auth_basic "members"; auth_basic_user_file {tmp_path}/users; alias {root}; }}
    """
    with nginx.running(tmp_path / "nginx", root, server=locations) as server:
        yield server


@pytest.mark.parametrize(
    ("path", "code", "reason", "words"),
    [
        ("/missing", 404, "srv.http-404", "404"),
        ("/gone", 410, "srv.http-410", "410"),
        ("/private/a.bin", 401, "srv.auth", "password"),
        ("/forbidden", 403, "srv.forbidden", "not allowed"),
    ],
)
async def test_fault_c4_c5_what_will_not_change_fails_at_once(
    monitor: Monitor,
    web: nginx.Nginx,
    downloads: Path,
    path: str,
    code: int,
    reason: str,
    words: str,
):
    task = quick_session(monitor).download_task(web.url(path))
    record = await task.wait()
    assert record.error is not None
    assert (record.error.status, record.error.reason, record.attempt) == (code, reason, 1)
    assert words in record.error.message
    assert str(code) in record.error.message
    assert record.error.hint
    assert len(web.requests()) == 1
    assert not downloads.exists() or list(downloads.iterdir()) == []


async def test_fault_c5_with_the_password_it_works(
    monitor: Monitor, web: nginx.Nginx, downloads: Path
):
    url = web.url("/private/a.bin").replace("//", "//user:password@", 1)
    assert (await quick_session(monitor).download_task(url).wait()).succeeded
    assert (downloads / "a.bin").stat().st_size == 100_000


@pytest.mark.parametrize("code", [401, 403, 404, 410])
async def test_fault_c4_c5_the_part_is_kept_and_serves_later(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    code: int,
):
    refusals = 2 if code == 403 else 1  # after a 403 the file is asked for plainly, once

    def before(conn: Conn, request: Request) -> bool:
        resource.cut_after = 90_000 if len(server.requests) == 1 else None
        return 2 <= len(server.requests) < 2 + refusals and sent(conn, reply(code))

    resource.before = before
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    record = await task.wait()
    assert record.error is not None
    assert record.error.status == code
    assert len(server.requests) == 1 + refusals
    (part,) = parts_in(downloads)
    assert part.stat().st_size == 90_000
    monitor.commands.retry(task.key)
    assert (await task.wait()).succeeded
    assert server.requests[-1].header("Range") == rest(90_000)
    assert (downloads / "a.bin").read_bytes() == resource.body


# ---- C7

SIGN_IN = b"<!DOCTYPE html><title>Welcome</title><p>Please accept our terms"


@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=utf-8", "application/xhtml+xml"])
async def test_fault_c7_a_sign_in_page_never_takes_the_place_of_the_file(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    kind: str,
):
    """Only a redirect, or another host, speaks for a network that wants somebody to sign in."""
    session = quick_session(monitor, retry_policy=RetryPolicy(minimum=0.2, maximum=0.2))
    page = reply(200, {"Content-Type": kind, "Cache-Control": "no-store"}, SIGN_IN)
    with ByteServer(lambda conn, request: conn.send(page)) as portal:
        resource.before = cut_then(resource, reply(302, {"Location": portal.url("/login")}))
        task = session.download_task(server.url("/film.mp4"))
        await recorder.wait_for_state(task, State.RUNNING, Activity.WAITING_FOR_CONNECTIVITY)
        assert "This network wants you to sign in" in task.record.waiting_reason
        (part,) = parts_in(downloads)
        assert part.read_bytes() == resource.body[:90_000]
        assert recorder.of("downloadcompleted") == []
        assert (await task.wait()).succeeded  # the user has signed in
        assert server.requests[-1].header("Range") == rest(90_000)
        assert (downloads / "film.mp4").read_bytes() == resource.body
        assert task.record.restarts == 0


@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=utf-8", "application/xhtml+xml"])
async def test_fault_c7_a_page_of_the_same_server_is_an_expired_link(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    kind: str,
):
    resource.before = cut_then(resource, reply(200, {"Content-Type": kind}, SIGN_IN))
    task = quick_session(monitor).download_task(server.url("/film.mp4"))
    record = await task.wait()
    assert record.error is not None
    assert (record.error.reason, record.received) == ("srv.note", 90_000)
    assert "expired" in record.error.message
    (part,) = parts_in(downloads)
    assert part.read_bytes() == resource.body[:90_000]
    monitor.commands.retry(task.key)
    assert (await task.wait()).succeeded
    assert server.requests[-1].header("Range") == rest(90_000)
    assert (downloads / "film.mp4").read_bytes() == resource.body


async def test_fault_c7_the_head_alone_tells_what_was_to_come(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.before = cut_then(resource, reply(200, {"Content-Type": "text/html"}, SIGN_IN), at=0)
    task = quick_session(monitor).download_task(server.url("/film.mp4"))
    record = await task.wait()
    assert record.error is not None
    assert record.error.reason == "srv.note"
    monitor.commands.retry(task.key)
    assert (await task.wait()).succeeded
    assert (downloads / "film.mp4").read_bytes() == resource.body


async def test_fault_c7_a_default_session_fails_and_keeps_the_part(
    monitor: Monitor, server: ByteServer, resource: Resource, downloads: Path
):
    resource.cut_after = 90_000
    session = default_session(monitor)
    task = session.download_task(server.url("/film.mp4"))
    await task.wait()
    assert code_of(task) == -1005
    resource.before = answering(reply(200, {"Content-Type": "text/html"}, SIGN_IN))
    monitor.commands.retry(task.key)
    record = await task.wait()
    assert record.error is not None
    assert record.error.reason == "srv.note"
    (part,) = parts_in(downloads)
    assert part.read_bytes() == resource.body[:90_000]


async def test_fault_c7_a_page_that_is_the_file_is_no_sign_in_page(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.headers["Content-Type"] = "text/html"
    page = reply(200, {"Content-Type": "text/html", "ETag": '"v2"'}, b"<p>another page")
    resource.before = cut_then(resource, page)
    task = quick_session(monitor).download_task(server.url("/page.html"))
    record = await task.wait()
    assert record.succeeded
    assert record.restarts == 1
    assert (downloads / "page.html").read_bytes() == b"<p>another page"


# ---- C9 to C12, C16


async def test_fault_c9_a_mixed_chain_is_followed_and_the_last_hop_names_the_file(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    hops = {
        "/0.zip": (301, "/1"),
        "/1": (302, "/2"),
        "/2": (303, "/3"),
        "/3": (307, "/4"),
        "/4": (308, "/the end.mp4"),
    }
    redirecting(resource, hops)
    task = session.download_task(server.url("/0.zip"))
    assert (await task.wait()).succeeded
    assert task.current_request == server.url("/the%20end.mp4")
    assert task.original_request == server.url("/0.zip")
    assert (downloads / "the end.mp4").read_bytes() == resource.body


@pytest.mark.parametrize("shape", ["loop", "chain"])
async def test_fault_c10_redirects_without_end_fail_after_the_limit(
    session: Session, server: ByteServer, resource: Resource, shape: str
):
    if shape == "loop":
        redirecting(resource, {"/a": (302, "/b"), "/b": (302, "/a")})
    else:
        redirecting(
            resource, {"/a": (302, "/1"), **{f"/{n}": (302, f"/{n + 1}") for n in range(1, 21)}}
        )
    task = session.download_task(server.url("/a"))
    record = await task.wait()
    assert code_of(task) == -1007
    assert record.error is not None
    assert "20 times" in record.error.message
    assert len(server.requests) == 21  # the first, and those of twenty redirects


FOREIGN = [
    "file:///etc/passwd",
    "file://localhost/etc/hostname",
    "ftp://127.0.0.1/a",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "smb://127.0.0.1/share",
    "\\\\127.0.0.1\\share",
    "//\\127.0.0.1/a",
    "vnd.example:open",
    "mailto:a@example.org",
]


@pytest.mark.parametrize("target", FOREIGN)
async def test_fault_c11_a_redirect_to_another_kind_of_address_is_refused(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    target: str,
):
    resource.before = cut_then(resource, reply(302, {"Location": target}))
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    record = await task.wait()
    assert code_of(task) == -1010
    assert record.error is not None
    assert record.error.reason in ("pol.scheme", "srv.redirect")
    assert record.attempt == 2
    (part,) = parts_in(downloads)
    assert part.read_bytes() == resource.body[:90_000]
    assert [path for path in downloads.iterdir() if path != part] == []


SECRETS = {"Authorization": "Bearer canary-1", "Cookie": "id=canary-2", "X-Api-Key": "canary-3"}


@pytest.mark.parametrize("other", ["port", "host"])
async def test_fault_c12_nothing_secret_follows_a_redirect_to_another_origin(
    monitor: Monitor, server: ByteServer, resource: Resource, other: str
):
    with ByteServer(Resource(b"x" * 1000)) as second:
        host = "localhost" if other == "host" else ""
        redirecting(resource, {"/a": (302, "/b"), "/b": (307, second.url("/c", host))})
        headers = {"X-Session-Key": "canary-4", "Proxy-Authorization": "canary-5"}
        session = quick_session(monitor, http_header_fields=headers)
        task = session.download_task(server.url("/a"), request_headers=SECRETS)
        assert (await task.wait()).succeeded
        # its own origin gets them
        assert all(b"canary-3" in request.raw for request in server.requests)
        assert len(server.requests) == 2
        (request,) = second.requests
        assert b"canary" not in request.raw
        assert request.header("User-Agent")


async def test_fault_c12_what_was_dropped_does_not_come_back(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    """A chain that leads away and back: the origin in between chose the last address."""
    with ByteServer(Resource(b"")) as second:
        second.handler = lambda conn, request: conn.send(
            reply(302, {"Location": server.url("/end")})
        )
        redirecting(resource, {"/a": (302, second.url("/b"))})
        task = quick_session(monitor).download_task(server.url("/a"), request_headers=SECRETS)
        assert (await task.wait()).succeeded
        assert b"canary" not in server.requests[-1].raw


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("b", "/dir/b"),
        ("./b", "/dir/b"),
        ("../b", "/b"),
        ("?q=1", "/dir/a?q=1"),
        ("/b#part", "/b"),
        ("  /b  ", "/b"),
        ("/with space", "/with%20space"),
        ("/caf\u00e9", "/caf%C3%A9"),
        ("//{host}/b", "/b"),
    ],
)
async def test_fault_c16_valid_forms_of_location_work(
    session: Session, server: ByteServer, resource: Resource, location: str, target: str
):
    value = location.format(host=f"127.0.0.1:{server.port}")
    head = b"HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: " + value.encode() + b"\r\n\r\n"
    resource.before = answering(head)
    task = session.download_task(server.url("/dir/a"))
    assert (await task.wait()).succeeded
    assert server.requests[-1].target == target


@pytest.mark.parametrize(
    "field",
    [
        b"",
        b"Location: \r\n",
        b"Location: /b\r\nLocation: /c\r\n",
        b"Location: /b\tc\r\n",
        b"Location: /b\x00c\r\n",
        b"Location: /b\\c\r\n",
        b"Location: http://\r\n",
        b"Location: http:///b\r\n",
        b"Location: http://[::1/b\r\n",
        b"Location: http://127.0.0.1:0/b\r\n",
        b"Location: http://127.0.0.1:99999/b\r\n",
        b"Location: /" + b"b" * 65_536 + b"\r\n",
    ],
    ids=[
        "none",
        "empty",
        "two",
        "tab",
        "nul",
        "backslash",
        "no host",
        "slashes",
        "bracket",
        "port 0",
        "port",
        "64 kB",
    ],
)
async def test_fault_c16_unusable_forms_of_location_fail(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, field: bytes
):
    resource.before = always(b"HTTP/1.1 302 X\r\nContent-Length: 0\r\n" + field + b"\r\n")
    task = session.download_task(server.url("/a"))
    record = await task.wait()
    assert code_of(task) in (-1010, -1017)
    assert record.error is not None
    assert record.error.reason in ("srv.redirect", "srv.protocol")
    assert record.attempt == 1
    assert len(task_text(record)) < 100_000
    assert not downloads.exists() or list(downloads.iterdir()) == []


# ---- C20, C22, C24, C26


def setting(resource: Resource, fields: dict[str, list[str]]) -> None:
    """Send these Set-Cookie fields with the file at these paths."""

    def before(conn: Conn, request: Request) -> bool:
        if request.target not in fields:
            return False
        cookies = "".join(f"Set-Cookie: {field}\r\n" for field in fields[request.target])
        conn.send(f"HTTP/1.1 200 OK\r\n{cookies}Content-Length: 1\r\n\r\n".encode("latin-1") + b"x")
        return True

    resource.before = before


async def cookies_after(session: Session, server: ByteServer, *fields: str, url: str = "") -> str:
    """The Cookie that goes to `url` after an answer that set these."""
    assert isinstance(server.handler, Resource)
    setting(server.handler, {"/set": list(fields)})
    await session.download_task(server.url("/set")).wait()
    assert (await session.download_task(url or server.url("/b")).wait()).succeeded
    return server.requests[-1].header("Cookie")


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("a=1", "a=1"),
        ("a=1; Path=/", "a=1"),
        ("a=1; Path=/deeper", ""),
        ("a=1; Domain=127.0.0.1; Path=/", "a=1"),
        ("a=1; Domain=1", ""),
        ("a=1; Domain=com", ""),
        ("a=1; Domain=example.com", ""),
        ("a=1; Secure", ""),
        ("__Host-a=1; Secure; Path=/", ""),  # not over TLS
        ("__Secure-a=1", ""),
        ("a=1\x01\x02", ""),
        ("a=" + "x" * 5000, ""),
        ("a=1; Max-Age=0", ""),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", ""),
        ("", ""),
        ("=", ""),
    ],
)
async def test_fault_c19_a_cookie_goes_back_where_it_came_from_or_nowhere(
    monitor: Monitor, server: ByteServer, field: str, sent: str
):
    """To its host; with a Domain to that, where it is no public suffix (RFC 6265;
    `tests/test_cookies.py`).
    """
    assert await cookies_after(quick_session(monitor), server, field) == sent


async def test_fault_c19_a_cookie_never_reaches_another_host_session_or_a_session_without_cookies(
    monitor: Monitor, server: ByteServer
):
    one, two = quick_session(monitor, "one"), quick_session(monitor, "two")
    elsewhere = server.url("/b").replace("127.0.0.1", "localhost")
    assert await cookies_after(one, server, "a=1", url=elsewhere) == ""
    await two.download_task(server.url("/b")).wait()
    assert server.requests[-1].header("Cookie") == ""
    off = quick_session(monitor, "off", http_should_set_cookies=False)
    assert await cookies_after(off, server, "a=1") == ""


async def test_fault_c19_a_cookie_of_a_redirect_opens_the_file(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    def gate(conn: Conn, request: Request) -> bool:
        if request.header("Cookie") == "pass=1":
            return False
        conn.send(reply(302, {"Location": "/a.bin", "Set-Cookie": "pass=1; HttpOnly"}))
        return True

    resource.before = gate
    assert (await quick_session(monitor).download_task(server.url("/a.bin")).wait()).succeeded
    own = quick_session(monitor).download_task(
        server.url("/b.bin"), request_headers={"Cookie": "pass=1"}
    )
    assert (await own.wait()).succeeded
    assert [request.header("Cookie") for request in server.requests] == ["", "pass=1", "pass=1"]


async def test_fault_c19_cookies_without_end_are_bounded(monitor: Monitor, server: ByteServer):
    session = quick_session(monitor)
    for page in range(10):
        sent = await cookies_after(
            session, server, *(f"c{page}-{number}=1" for number in range(500))
        )
        assert sent.count(";") < cookies.MOST
    assert len(sent) < 64 * 1024
    assert monitor.task(session.tasks.records()[-1].key).succeeded


async def test_fault_c21_reset_leaves_nothing_of_a_session_but_its_running_tasks(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    session = quick_session(monitor)
    assert await cookies_after(session, server, "a=1") == "a=1"
    resource.before = always(reply(401, {"WWW-Authenticate": "Basic"}))
    await session.download_task(
        server.url("/c"), request_headers={"Authorization": "Bearer s3cret"}
    ).wait()
    running = session.download_task(
        server.url("/d"), request_headers={"Authorization": "Bearer kept"}, start=False
    )
    folder = Path(monitor.state_dir) / "parts"
    folder.mkdir(exist_ok=True)
    orphan = folder / ".transfermon-0123456789abcdef.part"
    orphan.write_bytes(b"x")
    orphan.chmod(0o600)
    os.utime(orphan, (time.time() - 3600,) * 2)
    await session.reset()
    resource.before = None
    assert parts_in(folder) == []
    secrets = (Path(monitor.state_dir) / "secrets.json").read_text()
    assert "s3cret" not in secrets
    assert (await running.resume().wait()).succeeded
    last = server.requests[-1]
    assert (last.header("Cookie"), last.header("Authorization")) == ("", "Bearer kept")


async def test_fault_c20_sessions_with_other_credentials_do_not_mix(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    def echo(conn: Conn, request: Request) -> bool:
        conn.send(reply(200, {"Set-Cookie": f"id={request.header('Authorization')}"}, b"x"))
        return True

    resource.before = echo
    names = ["alice", "bob"]
    sessions = {
        name: quick_session(
            monitor, f"com.example.{name}", http_header_fields={"Authorization": name}
        )
        for name in names
    }
    tasks = [
        sessions[name].download_task(server.url(f"/{name}/{n}")) for n in range(8) for name in names
    ]
    for task in tasks:
        assert (await task.wait()).succeeded
    by_connection: dict[int, set[str]] = {}
    for request in server.requests:
        user = request.target.split("/")[1]
        assert request.header("Authorization") == user
        assert request.header("Cookie") in ("", f"id={user}")
        by_connection.setdefault(request.connection, set()).add(user)
    assert all(len(users) == 1 for users in by_connection.values())


async def fifty(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
) -> list[Any]:
    resource.body = resource.body[:2000]
    resource.stall_after = 1000
    tasks = [session.download_task(server.url(f"/{n}.bin")) for n in range(50)]
    await recorder.until(lambda: len(recorder.of("downloadprogress")) >= 1, "progress")
    return tasks


async def test_fault_c22_cancelling_a_session_ends_fifty_tasks(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    session = quick_session(monitor)
    tasks = await fifty(session, server, resource, recorder)
    session.invalidate_and_cancel()
    with pytest.raises(RuntimeError):
        session.download_task(server.url("/one more"))
    await recorder.wait_for("sessioninvalidated")
    assert {code_of(task) for task in tasks} == {-999}
    assert len(recorder.of("sessioncompleted")) == 50
    assert recorder.events[-1].type == "sessioninvalidated"
    assert parts_in(downloads) == []


async def test_fault_c22_finishing_a_session_lets_fifty_tasks_end(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    session = quick_session(monitor, timeout_interval_for_request=0.2)
    tasks = await fifty(session, server, resource, recorder)
    session.finish_tasks_and_invalidate()
    with pytest.raises(RuntimeError):
        session.download_task(server.url("/one more"))
    resource.stall_after = None
    await recorder.wait_for("sessioninvalidated")
    assert all(task.record.succeeded for task in tasks)
    assert recorder.events[-1].type == "sessioninvalidated"
    assert len(list(downloads.glob("*.bin"))) == 50
    assert parts_in(downloads) == []


@pytest.mark.parametrize("size", [10, 60_000, 1_000_000])
async def test_fault_c24_a_realm_is_text_and_small(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    size: int,
):
    realm = "<b>Sign in</b>\x1b[31m " + "x" * size
    resource.before = always(reply(401, {"WWW-Authenticate": f'Basic realm="{realm}"'}))
    task = session.download_task(server.url("/a"))
    record = await task.wait()
    assert record.error is not None
    assert code_of(task) in (-1013, -1017)
    shown = record.error.message + record.error.hint
    assert "<b>" not in shown
    assert "\x1b" not in shown
    assert len(task_text(record)) < 20_000
    assert sum(len(str(event.to_dict())) for event in recorder.events) < 20_000


async def test_fault_c26_a_retried_attempt_is_not_counted_twice(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.body = resource.body * 4
    cuts = iter([200_000, 200_000, 200_000])

    def before(conn: Conn, request: Request) -> bool:
        resource.cut_after = next(cuts, None)
        return False

    resource.before = before
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    record = await task.wait()
    assert record.succeeded
    assert record.attempt == 4
    totals = [event.total_bytes_written for event in recorder.of("downloadprogress", task)]
    assert totals == sorted(totals)
    told = sum(event.bytes_written for event in recorder.of("downloadprogress", task))
    assert told <= len(resource.body)
    came = sum(one.response_body_bytes for one in record.metrics.transactions)
    # what is compared comes twice, and is not told of
    assert came == len(resource.body) + 3 * OVERLAP
    assert len(recorder.of("downloadcompleted")) == 1
    assert record.wasted == 0


async def test_fault_c1_a_task_resumed_by_hand_does_not_wait(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource
):
    resource.before = answering(reply(503, {"Retry-After": "1000"}))
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a"))
        await recorder_of(monitor).wait_for_state(task, State.RUNNING, Activity.WAITING_UNTIL)
        monitor.commands.suspend(task.key)
        monitor.commands.resume(task.key)  # whoever takes it in hand knows better
        assert (await task.wait()).succeeded
