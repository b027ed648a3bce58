"""Digests in header fields (RFC 9530) and what is known of a file by them (D-18, R-20).

Rule: of the standard's fields only sha-256 and sha-512 count; other algorithms are ignored, and so
is a field that is malformed. Of what storage services send beside them (`sums`) only md5, sha-1,
sha-256 and crc32 of a whole object count, and not more than once: such fields are kept with an
object, and are wrong where something was changed behind them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from transfermon.model.lazy_pattern import lazy_pattern

_PIECE = 1 << 20  # bytes that are read at once
_LENGTHS = {"sha-256": 32, "sha-512": 64}
# One member of a dictionary of structured fields (RFC 8941 §3.2): a key, a byte sequence,
# parameters.
_MEMBER = lazy_pattern(r"([a-z*][a-z0-9_\-.*]*)=(?::([A-Za-z0-9+/=]*):|[^,;:]*)((?:;[^,]*)?)")


def parse(value: str) -> tuple[str, ...]:
    """ "sha-256:HEX" and "sha-512:HEX" from the value of Repr-Digest or Content-Digest; () for
    anything else.
    """
    if not value:
        return ()
    found: dict[str, str] = {}
    for part in filter(None, (part.strip(" \t") for part in value.split(","))):
        match = _MEMBER.fullmatch(part)
        if match is None:
            return ()
        algorithm, text = match[1], match[2]
        if algorithm not in _LENGTHS or text is None:
            continue
        try:
            raw = base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            return ()
        if len(raw) != _LENGTHS[algorithm]:
            return ()
        found[algorithm] = raw.hex()
    return tuple(f"{algorithm}:{value}" for algorithm, value in sorted(found.items()))


_SUM_LENGTHS = {"md5": 16, "sha-1": 20, "sha-256": 32, "crc32": 4}
_AMAZON = {
    "x-amz-checksum-sha256": "sha-256",
    "x-amz-checksum-sha1": "sha-1",
    "x-amz-checksum-crc32": "crc32",
}


SUM_FIELDS = frozenset({"x-ms-blob-content-md5", "content-md5", "x-goog-hash", *_AMAZON})


def sums(status: int, field: Callable[[str], str]) -> tuple[str, ...]:
    """ "md5:HEX" and the like of the whole file, as storage services announce them; for an answer
    without a coding.

    `field` gives the value of a header field, "" for none. A 206 may carry those of its part, but
    for Azure's; composite ones ("-3" behind the value) are made of parts that nobody here knows;
    Google's are of the object as it is stored, which may be unpacked on its way.
    """
    found = [("md5", field("x-ms-blob-content-md5"))]
    if status == 200:
        found.append(("md5", field("Content-MD5")))
        if field("x-goog-stored-content-encoding").strip().lower() in ("", "identity"):
            for part in field("x-goog-hash").split(","):
                name, _, value = part.strip().partition("=")
                found.append((name if name == "md5" else "", value))
        if field("x-amz-checksum-type").strip().upper() != "COMPOSITE":
            found += [(algorithm, field(name)) for name, algorithm in _AMAZON.items()]
    read = (
        (algorithm, _raw(value.strip(), _SUM_LENGTHS.get(algorithm, 0)))
        for algorithm, value in found
        if value
    )
    return tuple(dict.fromkeys(f"{algorithm}:{raw.hex()}" for algorithm, raw in read if raw))


def _raw(value: str, length: int) -> bytes:
    """The bytes of base64; b"" for anything else, or another length."""
    try:
        raw = base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return b""
    return raw if len(raw) == length else b""


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: Any, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def new(algorithm: str) -> Any:
    """A hash that is fed with `update` and tells its `hexdigest`. Raises ValueError for an unknown
    algorithm.
    """
    name = algorithm.lower().replace("-", "")
    if name == "crc32":
        return _Crc32()
    if name not in ("sha256", "sha512", "sha384", "sha224", "sha1", "md5"):
        raise ValueError(f"“{algorithm}” is not a known digest; use sha-256 or sha-512.")
    return hashlib.new(name, usedforsecurity=False)


class Reading:
    """One pass over a file, on another thread: how far it is, and the wish that it ends."""

    def __init__(self) -> None:
        self.done = 0  # bytes
        self.stopped = False

    def __repr__(self) -> str:
        return f"<Reading {self.done}>"

    def stop(self) -> None:
        self.stopped = True


def sha256_of(path: str, reading: Reading | None = None) -> str:
    """ "sha-256:HEX" of a whole file, read now; "" when `reading` was stopped. Takes a while;
    raises OSError.
    """
    reading, sha256 = reading or Reading(), hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while not reading.stopped and (data := file.read(_PIECE)):
            sha256.update(data)
            reading.done += len(data)
    return "" if reading.stopped else f"sha-256:{sha256.hexdigest()}"


def algorithms(wanted: Iterable[str]) -> frozenset[str]:
    """The algorithms that values like "sha-256:HEX" need."""
    return frozenset(text.partition(":")[0] for text in wanted)


class Hashes:
    """Several algorithms over the same bytes. `update` may be called on any thread, on one at a
    time.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._running: Mapping[str, Any] = {name: new(name) for name in sorted(names)}
        self.count = 0  # bytes

    def __repr__(self) -> str:
        return f"<Hashes {' '.join(self._running)} of {self.count}>"

    def update(self, data: memoryview, /) -> None:
        self.count += len(data)
        for one in self._running.values():
            one.update(data)

    def stop(self) -> None:
        """What comes is not all of it: no value is to be had any more."""
        self._running = {}

    def value(self, algorithm: str) -> str | None:
        """In hexadecimal; None for an algorithm that was not asked for."""
        one = self._running.get(algorithm)
        return None if one is None else one.hexdigest()
