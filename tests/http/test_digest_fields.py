from __future__ import annotations

import base64
import hashlib

import pytest

from transfermon.http.digests import Hashes, algorithms, parse

DATA = b"Transfermon"
HEX = {"sha-256": hashlib.sha256(DATA).hexdigest(), "sha-512": hashlib.sha512(DATA).hexdigest()}
FIELD = {
    name: f"{name}=:{base64.b64encode(bytes.fromhex(value)).decode()}:"
    for name, value in HEX.items()
}
KNOWN = tuple(f"{name}:{value}" for name, value in HEX.items())


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (FIELD["sha-256"], KNOWN[:1]),
        (FIELD["sha-512"], KNOWN[1:]),
        (f"{FIELD['sha-512']},\t{FIELD['sha-256']}", KNOWN),
        (f"md5=:AAAA:, {FIELD['sha-256']}, unixsum=30637", KNOWN[:1]),
        (f"{FIELD['sha-256']};note=1", KNOWN[:1]),
        ("sha=:AAAA:, crc32c=:AAAA:", ()),
        ("", ()),
        ("sha-256=AAAA", ()),
        ("sha-256=:AAAA:", ()),  # too short
        ("sha-256=:####:", ()),
        (f"{FIELD['sha-256']}, ???", ()),  # a malformed field is ignored as a whole
        ("sha-256=" + HEX["sha-256"], ()),  # not the form of RFC 9530
    ],
)
def test_known_algorithms_are_read_and_the_rest_is_ignored(value: str, found: tuple[str, ...]):
    assert parse(value) == found


def test_several_algorithms_run_over_the_same_bytes():
    hashes = Hashes(algorithms(KNOWN))
    for byte in DATA:
        hashes.update(memoryview(bytes([byte])))
    assert {name: hashes.value(name) for name in HEX} == HEX
    assert Hashes(["sha-256"]).value("sha-512") is None
