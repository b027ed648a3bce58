"""Downloads through proxies of other people: microsocks, dante, tinyproxy and squid, each where it
is installed.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.real_server import RealServer, free_port
from tests.helpers.sessions import quick_session
from transfermon.engine.monitor import Monitor

pytestmark = pytest.mark.anyio
LOGIN = "me:s%40cret#@"


def program(*names: str) -> str:
    """Where it is; skips the test where it is not."""
    for name in names:
        if (found := shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")) is not None:
            return found
    pytest.skip(f"{names[0]} is not installed")


@contextmanager
def running(folder: Path, port: int, *command: str) -> Iterator[str]:
    """A proxy's `host:port`, as long as it runs."""
    proxy = RealServer(folder, folder, port, command)
    proxy.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        proxy.stop()


def own_address() -> str:
    """One of this machine's that is not of its loopback; skips the test where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("203.0.113.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(sock.getsockname()[0])


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def far() -> Iterator[ByteServer]:
    """A server on this machine by an address that no rule for loopback knows."""
    with ByteServer(Resource(b"far" * 200_000), address="0.0.0.0") as server:
        yield server


async def fetched(
    monitor: Monitor, far: ByteServer, proxy: str, downloads: Path, host: str = "0.0.0.0"
) -> str:
    """ "" when the file came through the proxy, else the failure in words."""
    session = quick_session(monitor, f"by {proxy}", proxy=proxy)
    record = await session.download_task(
        far.url("/f.bin", host), maximum_attempts=1, overwrite=True
    ).wait()
    if record.error is not None:
        return f"{record.error.reason}: {record.error.message}"
    assert (downloads / "f.bin").read_bytes() == b"far" * 200_000
    return ""


@pytest.mark.parametrize("kind", ["socks5", "socks5h"])
async def test_microsocks_opens_the_way(monitor, far, tmp_path, downloads, kind):
    port = free_port()
    with running(
        tmp_path, port, program("microsocks"), "-i", "127.0.0.1", "-p", str(port)
    ) as place:
        assert await fetched(monitor, far, f"{kind}://{place}", downloads) == ""


async def test_microsocks_resolves_the_name_itself(monitor, far, tmp_path, downloads):
    port = free_port()
    with running(
        tmp_path, port, program("microsocks"), "-i", "127.0.0.1", "-p", str(port)
    ) as place:
        failure = await fetched(monitor, far, f"socks5h://{place}", downloads, "nobody.invalid")
        assert f"proxy at {place}" in failure  # it was asked; nobody here looked the name up
        failure = await fetched(monitor, far, f"socks5://{place}", downloads, "nobody.invalid")
        assert "proxy" not in failure


async def test_microsocks_takes_a_right_login_only(monitor, far, tmp_path, downloads):
    port = free_port()
    command = (
        program("microsocks"),
        "-i",
        "127.0.0.1",
        "-p",
        str(port),
        "-u",
        "me",
        "-P",
        "s@cret#",
    )
    with running(tmp_path, port, *command) as place:
        assert await fetched(monitor, far, f"socks5h://{LOGIN}{place}", downloads) == ""
        wrong = await fetched(monitor, far, f"socks5h://me:wrong@{place}", downloads)
        assert (
            wrong
            == f"net.proxy-auth: The proxy at {place} does not accept this user name and password."
        )
        none = await fetched(monitor, far, f"socks5h://{place}", downloads)
        assert none == f"net.proxy-auth: The proxy at {place} needs a user name and password."


DANTE = """
logoutput: {folder}/log
internal: 127.0.0.1 port = {port}
external: {own}
socksmethod: none
clientmethod: none
user.privileged: root
user.unprivileged: {user}
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
socks block {{ from: 0.0.0.0/0 to: 203.0.113.0/24 }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 protocol: tcp }}
"""


@pytest.mark.parametrize("kind", ["socks4", "socks4a", "socks5", "socks5h"])
async def test_dante_opens_the_way(monitor, far, tmp_path, downloads, kind):
    path, port, own = program("danted", "sockd"), free_port(), own_address()
    user = "nobody" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
    (tmp_path / "dante.conf").write_text(
        DANTE.format(folder=tmp_path, port=port, user=user, own=own)
    )
    with running(
        tmp_path, port, path, "-f", str(tmp_path / "dante.conf"), "-p", str(tmp_path / "pid")
    ) as place:
        assert await fetched(monitor, far, f"{kind}://{place}", downloads, own) == ""
        blocked = await fetched(monitor, far, f"{kind}://{place}", downloads, "203.0.113.1")
        assert f"proxy at {place}" in blocked


TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 20
LogFile "{folder}/log"
PidFile "{folder}/pid"
BasicAuth me s3cret
"""


async def test_tinyproxys_401_of_a_wrong_password_is_the_proxys(monitor, far, tmp_path, downloads):
    path, port = program("tinyproxy"), free_port()
    (tmp_path / "tinyproxy.conf").write_text(TINYPROXY.format(folder=tmp_path, port=port))
    with running(tmp_path, port, path, "-d", "-c", str(tmp_path / "tinyproxy.conf")) as place:
        assert await fetched(monitor, far, f"http://me:s3cret@{place}", downloads) == ""
        for host in ("0.0.0.0", "files.example.org"):
            wrong = await fetched(monitor, far, f"http://me:wrong@{place}", downloads, host)
            assert (
                wrong
                == f"net.proxy-auth: The proxy at {place} does not accept this user name and password."
            )
        unreachable = await fetched(
            monitor, far, f"http://me:s3cret@{place}", downloads, "nobody.invalid"
        )
        assert f"The proxy at {place} answered 500" in unreachable
        session = quick_session(monitor, "tunnel", proxy=f"http://me:wrong@{place}")
        record = await session.download_task(
            "https://files.example.org/", maximum_attempts=1
        ).wait()
        assert record.error is not None
        assert record.error.reason == "net.proxy-auth"
        assert place in record.error.message


SQUID = """
http_port 127.0.0.1:{port}
pid_filename {folder}/pid
cache_log {folder}/cache.log
access_log none
cache deny all
coredump_dir {folder}
shutdown_lifetime 0 seconds
http_access allow all
"""


async def test_squid_forwards_and_its_tunnels_say_no(monitor, far, tmp_path, downloads):
    path, port = program("squid"), free_port()
    tmp_path.chmod(0o777)
    (tmp_path / "squid.conf").write_text(SQUID.format(folder=tmp_path, port=port))
    with running(tmp_path, port, path, "-N", "-f", str(tmp_path / "squid.conf")) as place:
        assert await fetched(monitor, far, f"http://{place}", downloads) == ""
        unreachable = await fetched(monitor, far, f"http://{place}", downloads, "nobody.invalid")
        assert f"The proxy at {place} answered 50" in unreachable
        session = quick_session(monitor, "tunnel", proxy=f"http://{place}")
        record = await session.download_task("https://nobody.invalid/", maximum_attempts=1).wait()
        assert record.error is not None
        assert (record.error.reason, f"proxy at {place}" in record.error.message) == (
            "net.proxy",
            True,
        )
