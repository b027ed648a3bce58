"""The trials: what a server sends, and what becomes of a transfer that was interrupted and
repeated.

Rule: what happened is judged by the bytes of the file alone. Whether anybody could have known is
judged by what the server said before and after, with the product out of the way.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.servers.asking import Reply, ask
from tools.servers.place import Place, content
from tools.servers.product import Ended, Product
from tools.servers.relay import Cut, Exchange, Relay
from tools.servers.signing import signed

SIZE = 4_000_003
CUT = 1_500_000
LONGER, SHORTER = SIZE + 5_000, 1_000_000
# before and after the cut, and far from every place that is compared
_CHANGED_BYTES = 500_000, 3_000_000
_HEADS = 64 * 1024  # what of the cut may be heads and chunks
_MINUTE = 60 * 10**9
DIGEST_FIELDS = (
    "Repr-Digest",
    "Digest",
    "Content-MD5",
    "x-goog-hash",
    "x-amz-checksum-crc32",
    "x-ms-blob-content-md5",
)

RESUMED, RESTARTED, FAILED = "resumed", "started over", "failed"
OLD = "old file, whole"  # a cache sends what it has
AS_SENT = "as sent"  # neither the old nor the new file, but what a plain request brings, too
MIXTURE = "MIXTURE"
# nothing that the server said had changed, nor any place that is compared
UNKNOWABLE = "mixture, unknowable"
CURED = "failed, then saved"  # by the same command once more
# as a plain request is at that server: less than it says, or nothing at all
BROKEN = "failed: cut short"
# no length and no chunks: the end of the connection is the end of the file
UNSEEN = "cut, unknowable"
UNSENT = "SAID TO BE SENT"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    verdict: str
    again: int = 0  # bytes that came (or went) more than the file is long
    words: str = ""  # the product's last line
    code: int = 0
    exchange: list[str] = field(default_factory=list)  # what the second run asked and was answered


# replaces the file of this name; the bytes that are served from then on
Change = Callable[[Place, str], bytes]


def _put(place: Place, name: str, body: bytes, changed_ns: int) -> bytes:
    place.put(name, body, changed_ns=changed_ns)
    return body


def _two_bytes(place: Place, name: str) -> bytes:
    body = bytearray(place.content("one", SIZE))
    for at in _CHANGED_BYTES:
        body[at] ^= 0xFF
    return _put(place, name, bytes(body), place.changed_ns(name))


CHANGES: dict[str, Change] = {
    "unchanged": lambda place, name: place.content("one", SIZE),
    "size": lambda place, name: _put(
        place, name, place.content("two", SIZE), time.time_ns() - _MINUTE
    ),
    "time": lambda place, name: _put(
        place, name, place.content("three", SIZE), place.changed_ns(name)
    ),
    "bytes": _two_bytes,
    "longer": lambda place, name: _put(
        place, name, place.content("four", LONGER), time.time_ns() - _MINUTE
    ),
    "shorter": lambda place, name: _put(
        place, name, place.content("five", SHORTER), time.time_ns() - _MINUTE
    ),
}
PROBE = "probe"
NAMES = (PROBE, *CHANGES)


# ---- what it sends


def look_at(place: Place, files: Place) -> dict[str, Any]:
    """The validators and how ranges under them are answered, asked for directly."""
    path = place.path_of(PROBE)
    plain = ask(place.port, path)
    length = len(plain.body)
    tag, date = plain.field("ETag"), plain.field("Last-Modified")

    def ranged(condition: str, first: int = length - 1000) -> str:
        fields = {"Range": f"bytes={first}-", **({"If-Range": condition} if condition else {})}
        return _said(ask(place.port, path, fields=fields), plain, first)

    found: dict[str, Any] = {
        "tag": tag,
        "date": bool(date),
        "length": bool(plain.field("Content-Length")),
        "accept_ranges": plain.field("Accept-Ranges"),
        "coding": plain.field("Content-Encoding"),
        "digests": [name for name in DIGEST_FIELDS if plain.field(name)],
        "range": ranged(""),
        "if_tag": ranged(tag) if tag else "",
        "if_other_tag": ranged('"another"'),
        "if_date": ranged(date) if date else "",
        "if_old_date": ranged("Mon, 02 Nov 2020 10:00:00 GMT"),
        "at_end": ranged("", length),
    }
    if files.setup.store is None:
        found["kept"] = _kept_validators(place, files, plain)
    return found


def _said(reply: Reply, plain: Reply, first: int) -> str:
    """`206` for the bytes that were asked for, with what is odd about it after it."""
    length, odd = len(plain.body), ""
    if reply.status == 206 and reply.body != plain.body[first:]:
        odd = " other bytes"
    if (
        reply.status == 206
        and reply.field("Content-Range") != f"bytes {first}-{length - 1}/{length}"
    ):
        odd += f" `{reply.field('Content-Range')}`"
    return f"{reply.status or 'no answer'}{odd}"


def _kept_validators(place: Place, files: Place, before: Reply) -> list[str]:
    """After which replacement by a file of the same length tag and date stay what they were."""
    kept = []
    base = (time.time_ns() // 10**9 - 500) * 10**9
    for name, changed_ns, seed in (
        ("first", base, "a"),
        ("same second", base + 400_000_000, "b"),
        ("same time", base + 400_000_000, "c"),
        ("another time", base + 60 * 10**9, "d"),
    ):
        files.put(PROBE, files.content(seed, SIZE), changed_ns=changed_ns)
        now = ask(place.port, place.path_of(PROBE))
        if name != "first" and _validators(now) == _validators(before):
            kept.append(name)
        before = now
    return kept


def _validators(reply: Reply) -> tuple[str, ...]:
    names = ("ETag", "Last-Modified", "Content-Length", "Content-Type", *DIGEST_FIELDS)
    return tuple(reply.field(name) for name in names)


# ---- downloads


def doctor(place: Place, command: str) -> tuple[str, str]:
    """What the product says of resuming there, and why. A cache has the file by then, as in each
    trial.
    """
    path = place.path_of(PROBE)
    ask(place.port, path)
    with _trial(command) as (product, _):
        return product.doctor(f"http://127.0.0.1:{place.port}{path}")


def downloads(place: Place, files: Place, command: str) -> dict[str, Outcome]:
    """What became of each change: all files in one command, each through a relay of its own, all
    interrupted at 1.5 MB when the program is killed; the files are changed, and the same command
    runs once more.
    """
    before = {change: ask(place.port, place.path_of(change)) for change in CHANGES}
    with _trial(command) as (product, folder), _relays(place) as relays:
        urls = {
            change: f"http://127.0.0.1:{relays[change].port}{place.path_of(change)}"
            for change in CHANGES
        }
        words = ("get", "-d", str(folder), *urls.values())
        product.run_until(
            [relay.broken for relay in relays.values()],
            folder,
            (CUT - _HEADS) * len(CHANGES),
            *words,
        )
        first = {change: relay.open() for change, relay in relays.items()}
        new = {change: replace(files, change) for change, replace in CHANGES.items()}
        after = {change: ask(place.port, place.path_of(change)) for change in CHANGES}
        ended = product.run(*words)
        second = {change: relay.open() for change, relay in relays.items()}
        saved = {change: _saved(folder, change) for change in CHANGES}
        if any(body is None and after[change].whole for change, body in saved.items()):
            product.run(*words)  # what only `remove` can cure fails again
        found = {}
        for change, body in saved.items():
            said = _last(ended, f"{change}{place.setup.ending}")
            exchange = _exchanges(second[change])
            if body is None:
                cured = CURED if _saved(folder, change) is not None else FAILED
                verdict = cured if after[change].whole else BROKEN
                found[change] = Outcome(
                    verdict=verdict, words=said, code=ended.code, exchange=exchange
                )
                continue
            came = _down(second[change])
            verdict = judge(body, new[change], before[change], after[change], came)
            again = max(0, _down(first[change]) + came - len(body))
            found[change] = Outcome(verdict=verdict, again=again, words=said, exchange=exchange)
        return found


def _saved(folder: Path, name: str) -> bytes | None:
    """The finished file of this name, whatever ending it got."""
    paths = sorted(folder.glob(f"{name}.*")) + sorted(folder.glob(f"{name}-*"))
    return paths[0].read_bytes() if paths else None


def judge(body: bytes, new: bytes, before: Reply, after: Reply, came: int) -> str:
    """What became of the file, by its bytes; whether anybody could have known, by what the server
    said.

    `came` is how many bytes the second run fetched.
    """
    if body == new:
        return RESUMED if came < len(new) - CUT // 2 else RESTARTED
    if body == before.body:
        return OLD
    if body == after.body:
        return AS_SENT
    if not any(
        before.field(name) for name in ("Content-Length", "Transfer-Encoding")
    ) and before.body.startswith(body):
        return UNSEEN
    told = _validators(before) != _validators(after)
    apart = sum(a != b for a, b in zip(before.body, new, strict=False))
    return MIXTURE if told or apart > len(_CHANGED_BYTES) else UNKNOWABLE


# ---- uploads


def upload(place: Place, files: Place, command: str, *, killed: bool) -> Outcome:
    """Broken at 1.5 MB: the program goes on by itself, or it is killed and the same command said
    once more.
    """
    plan = place.setup.upload
    assert plan is not None
    body = content(f"upload {killed}", SIZE)
    with (
        _trial(command) as (product, folder),
        _relay(place, Cut(up=CUT), stay_closed=killed) as relay,
    ):
        file = folder / ("killed.bin" if killed else "broken.bin")
        file.write_bytes(body)
        sign = files.setup.store.sign if files.setup.store else ""
        path = signed(
            sign, plan.method, f"127.0.0.1:{relay.port}", plan.path.replace("@NAME@", file.name)
        )
        url = f"http://127.0.0.1:{relay.port}{path}"
        headers = [
            word for name, value in plan.headers.items() for word in ("-H", f"{name}: {value}")
        ]
        words = (
            "put",
            "--method",
            plan.method,
            "--protocol",
            plan.protocol,
            *headers,
            str(file),
            url,
        )
        sent = 0
        if killed:
            early = product.run_until([relay.broken], folder, 0, *words)
            sent = sum(each.up for each in relay.open())
            if early is not None and early.code != 0:
                return Outcome(verdict=FAILED, words=_last(early, file.name), code=early.code)
        ended = product.run(*words)
        exchanges = relay.open()
        sent += sum(each.up for each in exchanges)
        there = _is_there(place, files, file.name, body)
        outcome = Outcome(
            verdict="",
            again=max(0, sent - SIZE),
            words=_last(ended, file.name),
            code=ended.code,
            exchange=_exchanges(exchanges),
        )
        if ended.code != 0:
            return Outcome(
                **{**asdict(outcome), "verdict": FAILED if not there else "failed, yet it is there"}
            )
        if not there:
            return Outcome(**{**asdict(outcome), "verdict": UNSENT})
        return Outcome(
            **{**asdict(outcome), "verdict": RESUMED if outcome.again < CUT // 2 else RESTARTED}
        )


def _is_there(place: Place, files: Place, name: str, body: bytes) -> bool:
    plan = place.setup.upload
    assert plan is not None
    if not plan.fetch:
        return files.has_received(body)
    sign = files.setup.store.sign if files.setup.store else ""
    path = signed(sign, "GET", f"127.0.0.1:{files.port}", plan.fetch.replace("@NAME@", name))
    return ask(files.port, path).body == body


# ---- both


@contextmanager
def _trial(command: str) -> Iterator[tuple[Product, Path]]:
    """The product with a state of its own, and an empty folder."""
    with tempfile.TemporaryDirectory(prefix="transfermon-servers-") as folder:
        for name in ("state", "files"):
            os.mkdir(os.path.join(folder, name))
        yield Product(command=command, state=Path(folder, "state")), Path(folder, "files")


@contextmanager
def _relay(place: Place, cut: Cut, *, stay_closed: bool = True) -> Iterator[Relay]:
    relay = Relay(target=place.port, cut=cut, stay_closed=stay_closed)
    try:
        yield relay
    finally:
        relay.close()


@contextmanager
def _relays(place: Place) -> Iterator[dict[str, Relay]]:
    with ExitStack() as stack:
        yield {change: stack.enter_context(_relay(place, Cut(down=CUT))) for change in CHANGES}


def _down(exchanges: list[Exchange]) -> int:
    return sum(each.down for each in exchanges)


def _last(ended: Ended, name: str) -> str:
    """The last sentence that the product said of this file."""
    lines = [line.strip() for line in ended.words.splitlines() if f"{name}: " in line]
    return (
        lines[-1].partition(f"{name}: ")[2][:300] if lines else f"exit code {ended.code}, no words"
    )


def _exchanges(exchanges: list[Exchange]) -> list[str]:
    """One line a connection: what was asked with which condition, and the answer's first line."""
    lines = []
    for each in exchanges:
        head = each.asked.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        kept = [
            line
            for line in head[1:]
            if line.lower().startswith(("range:", "if-range:", "upload-", "content-range:"))
        ]
        status = each.answered.partition(b"\r\n")[0].decode("latin-1")
        lines.append(
            " | ".join([head[0], *kept, f"-> {status}", f"{each.up} up, {each.down} down"])
        )
    return lines
