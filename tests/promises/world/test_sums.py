"""The sums that storage services send beside their objects: checked, and not believed for ever."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, rest
from tests.helpers.sessions import code_of, parts_in, quick_session
from transfermon.engine.monitor import Monitor, Session
from transfermon.http import digests

pytestmark = pytest.mark.anyio
DATA = b"what an object holds"


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


MD5, CRC = hashlib.md5(DATA).digest(), zlib.crc32(DATA).to_bytes(4, "big")
SHA1, SHA256 = hashlib.sha1(DATA).digest(), hashlib.sha256(DATA).digest()

FIELDS = [
    ({"Content-MD5": b64(MD5)}, [f"md5:{MD5.hex()}"]),
    ({"x-goog-hash": f"crc32c=AAAAAA==, md5={b64(MD5)}"}, [f"md5:{MD5.hex()}"]),
    # unpacked on its way
    ({"x-goog-hash": f"md5={b64(MD5)}", "x-goog-stored-content-encoding": "gzip"}, []),
    (
        {"x-goog-hash": f"md5={b64(MD5)}", "x-goog-stored-content-encoding": "identity"},
        [f"md5:{MD5.hex()}"],
    ),
    ({"x-amz-checksum-sha256": b64(SHA256)}, [f"sha-256:{SHA256.hex()}"]),
    ({"x-amz-checksum-sha1": b64(SHA1)}, [f"sha-1:{SHA1.hex()}"]),
    ({"x-amz-checksum-crc32": b64(CRC)}, [f"crc32:{CRC.hex()}"]),
    ({"x-amz-checksum-crc32": f"{b64(CRC)}-3"}, []),  # of three parts
    ({"x-amz-checksum-crc32": b64(CRC), "x-amz-checksum-type": "COMPOSITE"}, []),
    (
        {"x-amz-checksum-crc32": b64(CRC), "x-amz-checksum-type": "FULL_OBJECT"},
        [f"crc32:{CRC.hex()}"],
    ),
    ({"x-amz-checksum-crc32c": b64(CRC), "x-amz-checksum-crc64nvme": b64(CRC + CRC)}, []),
    ({"x-ms-blob-content-md5": b64(MD5)}, [f"md5:{MD5.hex()}"]),
    ({"Content-MD5": b64(MD5), "x-ms-blob-content-md5": b64(MD5)}, [f"md5:{MD5.hex()}"]),
    ({"Content-MD5": "nonsense"}, []),
    ({"Content-MD5": b64(SHA1)}, []),
    ({"Content-MD5": ""}, []),
]


@pytest.mark.parametrize(("fields", "expected"), FIELDS)
def test_what_a_storage_service_says_of_an_object(fields: dict[str, str], expected: list[str]):
    given = {name.lower(): value for name, value in fields.items()}
    assert list(digests.sums(200, lambda name: given.get(name.lower(), ""))) == expected


def test_a_206_has_the_sums_of_its_part_but_for_azures():
    given = {
        "content-md5": b64(MD5),
        "x-amz-checksum-sha1": b64(SHA1),
        "x-ms-blob-content-md5": b64(MD5),
    }
    assert digests.sums(206, lambda name: given.get(name.lower(), "")) == (f"md5:{MD5.hex()}",)


@pytest.mark.parametrize("algorithm", ["md5", "sha-1", "sha-256", "crc32"])
def test_every_algorithm_is_computed_in_pieces(algorithm: str):
    hashes = digests.Hashes([algorithm])
    for at in range(0, len(DATA), 7):
        hashes.update(memoryview(DATA[at : at + 7]))
    right = {"md5": MD5, "sha-1": SHA1, "sha-256": SHA256, "crc32": CRC}[algorithm]
    assert hashes.value(algorithm) == right.hex()


@pytest.fixture
def session(monitor: Monitor) -> Session:
    return quick_session(monitor)


@pytest.fixture
def resource() -> Resource:
    return Resource(os.urandom(400_000), etag='"v1"')


def crc(body: bytes) -> str:
    return b64(zlib.crc32(body).to_bytes(4, "big"))


async def test_a_sum_that_fits_is_checked_after_a_continuation(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.headers = {"x-amz-checksum-crc32": crc(resource.body)}
    resource.cut_after = 250_000
    record = await session.download_task(server.url("/a.bin")).wait()
    assert (record.succeeded, record.restarts, record.remark) == (True, 0, "")
    assert [request.header("Range") for request in server.requests] == ["", rest(250_000)]


async def test_a_mixture_that_no_place_shows_is_found_by_its_sum(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    """Another version under the same tag, equal where it is compared: the sum of the first answer
    tells.
    """
    old = resource.body
    new = old[:1000] + os.urandom(1000) + old[2000:300_000] + os.urandom(100_000)

    def before(conn: Conn, request: Request) -> bool:
        first = len(server.requests) == 1
        resource.body, resource.cut_after = (old, 250_000) if first else (new, None)
        resource.headers = (
            {"Content-MD5": b64(hashlib.md5(resource.body).digest())} if first else {}
        )
        return False

    resource.before = before
    record = await session.download_task(server.url("/a.bin")).wait()
    assert (record.succeeded, record.restarts) == (True, 1)
    assert (downloads / "a.bin").read_bytes() == new


async def test_a_field_that_is_wrong_twice_in_the_same_way_is_said_and_not_believed(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.headers = {"Content-MD5": b64(MD5)}
    record = await session.download_task(server.url("/a.bin")).wait()
    assert (record.succeeded, record.restarts, len(server.requests)) == (True, 1, 2)
    assert record.remark == "the server's checksum does not fit"
    assert (downloads / "a.bin").read_bytes() == resource.body


async def test_a_body_that_is_another_each_time_fails(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.headers = {"Content-MD5": b64(MD5)}

    def before(conn: Conn, request: Request) -> bool:
        resource.body = os.urandom(400_000)
        return False

    resource.before = before
    task = session.download_task(server.url("/a.bin"))
    await task.wait()
    assert code_of(task) == -1011
    assert len(server.requests) == 2
    assert parts_in(downloads) == list(downloads.iterdir()) == []


async def test_what_the_caller_expects_counts_more(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.headers = {"Content-MD5": b64(MD5)}
    digest = f"sha-256:{hashlib.sha256(resource.body).hexdigest()}"
    record = await session.download_task(server.url("/a.bin"), expected_digest=digest).wait()
    assert (record.succeeded, record.restarts, record.remark) == (True, 0, "")
