"""No answer whatever leads to a file of two versions under the final name.

The old file breaks off in the middle; what the server says to the next questions is every
combination of a status, a Content-Range, validators, a length and bytes of either version; then it
behaves. Whatever it was, the file that gets its name is the old one or the new one, whole, whenever
the two differ in tag, date, total, digest or in a compared place: the last 64 KiB before the break
(half of what the connection before brought, if that is less, and 4 KiB at the least), without a
validator also the first ones.

What lies outside, because nobody could know: two versions of one length under the same tag and date
(or without either) that are equal in all compared places; where a field has contradicted itself
twice, also the middle counts. And under the policy "lenient", which leaves the comparison out, a
server that confirms its condition and does not mean it.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import random
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.sessions import quick_session
from transfermon.engine.monitor import Monitor

pytestmark = pytest.mark.anyio
SIZE, AT = 120_000, 70_000
OLD_DATE, NEW_DATE = "Mon, 01 Jun 2026 10:00:00 GMT", "Mon, 01 Jun 2026 10:30:00 GMT"
OLD, OTHER = os.urandom(SIZE), os.urandom(SIZE)

STATUSES = (200, 206, 204, 403, 416, 500)
RANGES = ("right", "none", "odd", "from 0", "earlier", "later", "total", "junk")
TAGS = ("same", "other", "weak", "none")
DATES = ("same", "other", "none")
BODIES = ("rest", "whole", "short", "note")


def changed_places(*places: tuple[int, int], size: int = SIZE) -> bytes:
    new = bytearray(OLD[:size] + os.urandom(max(0, size - SIZE)))
    for begin, end in places:
        new[begin:end] = os.urandom(end - begin)
    return bytes(new)


# The new versions, and what tells each from the old one where the server's labels do not.
EVERYWHERE = OTHER
AT_THE_BREAK = changed_places((AT - 4000, SIZE))
# no mixture to make: what is stored is the new one's, too
BEHIND_THE_BREAK = changed_places((AT, SIZE))
LONGER = changed_places((1000, 2000), (AT, SIZE + 500), size=SIZE + 500)
IN_THE_MIDDLE = changed_places((10_000, 20_000), (AT, SIZE))  # only tag and date tell
VERSIONS = {
    "everywhere": EVERYWHERE,
    "at the break": AT_THE_BREAK,
    "behind the break": BEHIND_THE_BREAK,
    "longer": LONGER,
    "in the middle": IN_THE_MIDDLE,
}


class Server:
    """One path for each combination; the first answer breaks, the next two are odd, then the new
    version is served.
    """

    def __init__(self) -> None:
        self.plans: dict[str, tuple[tuple[object, ...], bytes, bool]] = {}
        self.asked: dict[str, int] = {}

    def __call__(self, conn: Conn, request: Request) -> None:
        plan, new, labelled = self.plans[request.target]
        number = self.asked[request.target] = self.asked.get(request.target, 0) + 1
        if number == 1:
            fields = {"ETag": '"v1"', "Last-Modified": OLD_DATE} if labelled else {}
            conn.send(reply(200, {**fields, "Content-Length": str(SIZE)}, OLD[:AT]))
            conn.close()
        elif number <= 3 and request.header("Range"):
            odd(conn, request, plan, new)
        else:
            honest(conn, request, new, labelled)


def honest(conn: Conn, request: Request, new: bytes, labelled: bool) -> None:
    fields = {"ETag": '"v2"', "Last-Modified": NEW_DATE} if labelled else {}
    value = request.header("Range")
    if not value or (request.header("If-Range") and request.header("If-Range") != '"v2"'):
        conn.send(reply(200, fields, new))
        return
    first, _, last = value[6:].partition("-")
    begin, end = int(first), min(len(new), int(last) + 1) if last else len(new)
    if begin >= len(new):
        conn.send(reply(416, {"Content-Range": f"bytes */{len(new)}"}))
        return
    conn.send(
        reply(
            206, {**fields, "Content-Range": f"bytes {begin}-{end - 1}/{len(new)}"}, new[begin:end]
        )
    )


def odd(conn: Conn, request: Request, plan: tuple[object, ...], new: bytes) -> None:
    status, where, tag, date, body = plan
    assert isinstance(status, int)
    first, _, last = request.header("Range")[6:].partition("-")
    begin, end = int(first), min(len(new), int(last) + 1) if last else len(new)
    begin = {"from 0": 0, "earlier": max(0, begin - 100), "later": min(end - 1, begin + 5)}.get(
        str(where), begin
    )
    total = len(new) + (7 if where == "total" else 0)
    fields = {
        "right": f"bytes {begin}-{end - 1}/{total}",
        "odd": f"bytes={begin}-{end - 1}/{total}",
        "from 0": f"bytes {begin}-{end - 1}/{total}",
        "earlier": f"bytes {begin}-{end - 1}/{total}",
        "later": f"bytes {begin}-{end - 1}/{total}",
        "total": f"bytes {begin}-{end - 1}/{total}",
        "junk": "bytes all of it",
    }
    named = {"Content-Range": fields[str(where)]} if where in fields else {}
    named |= {"same": {"ETag": '"v1"'}, "other": {"ETag": '"v2"'}, "weak": {"ETag": 'W/"v1"'}}.get(
        str(tag), {}
    )
    named |= {"same": {"Last-Modified": OLD_DATE}, "other": {"Last-Modified": NEW_DATE}}.get(
        str(date), {}
    )
    bodies = {
        "rest": new[begin:end],
        "whole": new,
        "short": new[begin : begin + 9000],
        "note": b'{"error": 1}',
    }
    conn.send(reply(status, named, b"" if status == 204 else bodies[str(body)]))


PLANS = list(itertools.product(STATUSES, RANGES, TAGS, DATES, BODIES))


def tells(plan: tuple[object, ...], new: bytes, labelled: bool) -> bool:
    """Whether anything but an uncompared place tells the new version from the old one in the odd
    answers.
    """
    if new is not IN_THE_MIDDLE:
        return True
    return labelled and (plan[2] not in ("same", "none") or plan[3] == "other")


def is_a_third(plan: tuple[object, ...], data: bytes, new: bytes, labelled: bool) -> bool:
    """Whether the odd answer itself was a version: a 200 with a validator of its own, whatever
    bytes it has.
    """
    own = (
        plan[2] in ("other", "weak")
        or plan[3] == "other"
        or (not labelled and (plan[2], plan[3]) != ("none", "none"))
    )
    return plan[0] == 200 and own and (data == b'{"error": 1}' or data in new)


@pytest.mark.parametrize(
    ("new", "labelled"),
    [
        pytest.param(
            new,
            labelled,
            id=f"{name}, {'tag and date' if labelled else 'neither'}",
            marks=() if name in ("everywhere", "at the break") else pytest.mark.slow,
        )
        for name, new in VERSIONS.items()
        for labelled in (True, False)
        if labelled or new is not IN_THE_MIDDLE
    ],
)
async def test_the_file_is_the_old_one_or_the_new_one_whole(
    monitor: Monitor, tmp_path: Path, new: bytes, labelled: bool
):
    session = quick_session(monitor)
    plans = [plan for plan in PLANS if tells(plan, new, labelled)]
    plans = random.Random(17).sample(plans, 50)
    server = Server()
    for number, plan in enumerate(plans):
        server.plans[f"/{number}.bin"] = (plan, new, labelled)
    with ByteServer(server) as served:
        tasks = {
            number: session.download_task(
                served.url(f"/{number}.bin"),
                destination=tmp_path / "out" / f"{number}.bin",
                maximum_attempts=6,
            )
            for number in range(len(plans))
        }
        (tmp_path / "out").mkdir()
        for number, task in tasks.items():
            record = await task.wait()
            if record.succeeded:
                data = (tmp_path / "out" / f"{number}.bin").read_bytes()
                right = data in (OLD, new) or is_a_third(plans[number], data, new, labelled)
                assert right, (plans[number], len(data))
            else:
                assert not (tmp_path / "out" / f"{number}.bin").exists(), plans[number]
                assert record.error is not None
                assert record.error.message
    assert sum(task.record.succeeded for task in tasks.values()) > len(plans) // 2


@pytest.mark.parametrize("etag", ["same", "none"])
async def test_a_digest_tells_what_no_compared_place_does(
    monitor: Monitor, tmp_path: Path, etag: str
):
    digest = base64.b64encode(hashlib.sha256(IN_THE_MIDDLE).digest()).decode()
    count = itertools.count()

    def handler(conn: Conn, request: Request) -> None:
        fields = {
            "Repr-Digest": f"sha-256=:{digest}:",
            **({"ETag": '"v1"'} if etag == "same" else {}),
        }
        if next(count) == 0:
            conn.send(reply(200, {**fields, "Content-Length": str(SIZE)}, OLD[:AT]))
            conn.close()
            return
        value = request.header("Range")
        if not value:
            conn.send(reply(200, fields, IN_THE_MIDDLE))
            return
        first, _, last = value[6:].partition("-")
        end = int(last) + 1 if last else SIZE
        where = {"Content-Range": f"bytes {first}-{end - 1}/{SIZE}"}
        conn.send(reply(206, {**fields, **where}, IN_THE_MIDDLE[int(first) : end]))

    with ByteServer(handler) as server:
        task = quick_session(monitor).download_task(server.url("/f"), destination=tmp_path / "f")
        assert (await task.wait()).succeeded
    assert (tmp_path / "f").read_bytes() == IN_THE_MIDDLE
