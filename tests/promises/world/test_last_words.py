"""The last words of a command, and what a task that waits says: true of what really follows."""

from __future__ import annotations

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from tests.helpers.owners import Place
from transfermon.model import units

BODY = bytes(range(256)) * 4000
CUT = 600_000


def breaks_each_time(conn: Conn, _: Request) -> None:
    conn.send(reply(200, {"Content-Length": str(len(BODY)), "ETag": '"v1"'}) + BODY[:CUT])
    conn.close()


def without_validator(conn: Conn, _: Request) -> None:
    conn.send(reply(200, {"Content-Length": str(len(BODY)), "Accept-Ranges": "none"}) + BODY[:CUT])
    conn.close()


def busy(conn: Conn, _: Request) -> None:
    conn.send(reply(503, {}, b"later"))


def silent(conn: Conn, _: Request) -> None:
    conn.close()


@pytest.mark.parametrize(
    "handler",
    [
        breaks_each_time,
        busy,
        *(pytest.param(other, marks=pytest.mark.slow) for other in (without_validator, silent)),
    ],
)
def test_a_command_that_gave_up_promises_no_retry(handler, place: Place):
    """Its own words, those of `show` and those that programs read."""
    with ByteServer(handler) as server:
        code, _, said = place.run("get", "-d", str(place.out), "--retry", "2", server.url("/f.bin"))
        shown = place.run("show", "cli:1")[1]
    assert code == 1
    for words in (said.splitlines()[-1], shown):
        assert "by itself" not in words
        assert "Try again later" in words


@pytest.mark.slow
def test_what_is_kept_is_promised_only_where_a_retry_goes_on_with_it(place: Place):
    with ByteServer(without_validator) as server:
        said = place.run("get", "-d", str(place.out), "--retry", "2", server.url("/f.bin"))[2]
    assert "is kept" not in said
    resource = Resource(BODY, etag='"v1"')
    resource.cut_after = 50_000
    with ByteServer(resource) as server:
        place.run("get", "-d", str(place.out), "--retry", "2", server.url("/g.bin"))
        said = place.run("show", "cli:2")[1]
    begun = int(server.requests[-1].header("Range").removeprefix("bytes=").removesuffix("-"))
    kept = units.size(begun + resource.cut_after)
    assert f"What was received ({kept}) is kept, and a retry goes on with it." in said
