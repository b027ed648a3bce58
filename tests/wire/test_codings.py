"""Codings undone in pieces of a bounded size, in little memory, and never taken for whole when they
are not.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zlib

import brotli
import pytest

from transfermon.wire.codings import CodingError, Decoder, UnknownCodingError, opens, zstd

BODY = os.urandom(50_000) + b"x" * 2_000_000
CODED = {
    "gzip": gzip.compress(BODY[:100]) + gzip.compress(BODY[100:]) + b"\0\0",
    "deflate": zlib.compress(BODY),
    "br": brotli.compress(BODY, quality=5),
    "zstd": b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    + zstd().compress(BODY[:100])
    + zstd().compress(BODY[100:]),
}


def decoded(decoder: Decoder, data: bytes, step: int) -> bytes:
    return b"".join(
        piece for at in range(0, len(data), step) for piece in decoder.decode(data[at : at + step])
    )


@pytest.mark.parametrize("coding", CODED)
@pytest.mark.parametrize("step", [7, 999, 1 << 30])
def test_a_coding_is_undone_however_it_is_split(coding: str, step: int):
    decoder = Decoder(coding)
    assert decoded(decoder, CODED[coding], step) == BODY
    assert decoder.whole
    assert opens(coding, CODED[coding][:64], False)


@pytest.mark.parametrize("coding", CODED)
@pytest.mark.parametrize("missing", [5, 500])
def test_what_is_cut_is_not_whole(coding: str, missing: int):
    decoder = Decoder(coding)
    assert BODY.startswith(decoded(decoder, CODED[coding][:-missing], 4096))
    assert not decoder.whole


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_what_is_damaged_raises(coding: str):
    harmed = bytearray(CODED[coding])
    harmed[-20:] = bytes(20)
    with pytest.raises(CodingError):
        decoded(Decoder(coding), bytes(harmed) * 2, 4096)


@pytest.mark.parametrize("coding", ["compress", "gzip, gzip", ""])
def test_another_coding_is_unknown(coding: str):
    with pytest.raises(UnknownCodingError):
        list(Decoder(coding).decode(b"x"))
    assert not opens(coding, b"x", False)


@pytest.mark.parametrize("coding", CODED)
def test_a_bomb_comes_in_small_pieces(coding: str):
    nothing = bytes(20_000_000)
    packed = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "br": lambda data: brotli.compress(data, quality=2),
        "zstd": zstd().compress,
    }[coding](nothing)
    sizes = [len(piece) for piece in Decoder(coding).decode(packed)]
    assert sum(sizes) == len(nothing)
    assert max(sizes) <= 1 << 20


def test_the_libraries_are_loaded_when_such_a_body_comes():
    # Python 3.14's own zstd is brought by its shutil, whether anybody unpacks or not.
    script = "import sys, transfermon.engine.monitor\nassert not {'brotli', 'backports.zstd'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
