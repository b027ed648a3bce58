"""Digests in header fields (RFC 9530) and what is known of a file by them (SPEC D-18, R-20).

Rule: only sha-256 and sha-512 count; other algorithms are ignored, and so is a field that is malformed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

_PIECE = 1 << 20  # bytes that are read at once
_LENGTHS = {"sha-256": 32, "sha-512": 64}
# One member of a dictionary of structured fields (RFC 8941 §3.2): a key, a byte sequence, parameters.
_MEMBER = re.compile(r"([a-z*][a-z0-9_\-.*]*)=(?::([A-Za-z0-9+/=]*):|[^,;:]*)((?:;[^,]*)?)")


def parse(value: str) -> tuple[str, ...]:
    """ "sha-256:HEX" and "sha-512:HEX" from the value of Repr-Digest or Content-Digest; () for anything else."""
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
    """ "sha-256:HEX" of a whole file, read now; "" when `reading` was stopped. Takes a while; raises OSError."""
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
    """Several algorithms over the same bytes. `update` may be called on any thread, on one at a time."""

    def __init__(self, names: Iterable[str]) -> None:
        self._running: Mapping[str, Any] = {name: hashlib.new(name.replace("-", "")) for name in sorted(names)}

    def __repr__(self) -> str:
        return f"<Hashes {' '.join(self._running)}>"

    def update(self, data: memoryview, /) -> None:
        for one in self._running.values():
            one.update(data)

    def value(self, algorithm: str) -> str | None:
        """In hexadecimal; None for an algorithm that was not asked for."""
        one = self._running.get(algorithm)
        return None if one is None else one.hexdigest()
