"""What a Content-Encoding is worth, by its words, the first bytes, and the server's name and
type.
"""

from __future__ import annotations

import functools
import gzip
import zlib

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfermon.http.labels import LOOKED_AT, CodingVerdict, codings_in, judge
from transfermon.wire.codings import opens, zstd

TEXT = b"".join(b"line %d of a text\n" % n for n in range(20_000))
ZIP = b"PK\x03\x04\x14\x00" + bytes(range(256)) * 20
TAR = b"folder/file".ljust(100, b"\0") + TEXT
packed = functools.partial(gzip.compress, mtime=0)  # the same bytes in every process
BARE = zlib.compressobj(wbits=-15)
DEFLATED = BARE.compress(TEXT) + BARE.flush()


def verdict(label: str, body: bytes, name: str = "f", kind: str = "") -> CodingVerdict:
    """The judgement, with as few of the first bytes as it wants to see."""
    for seen in range(len(body) + 1):
        found = judge(
            label, name=name, kind=kind, first=body[:seen], whole=seen == len(body), opens=opens
        )
        if found is not None:
            assert seen <= LOOKED_AT
            return found
    raise AssertionError("no verdict")


@pytest.mark.parametrize(
    ("label", "codings"),
    [
        ("", ()),
        ("identity", ()),
        (" , identity ,", ()),
        ("aws-chunked", ()),
        ("none", ()),
        ("binary", ()),
        ("UTF-8", ()),
        ("8bit", ()),
        ("ISO-8859-1", ()),
        ("windows-1252", ()),
        ("us-ascii", ()),
        ("application/octet-stream", ()),
        ("chunked", ()),
        ("gzip", ("gzip",)),
        ("X-GZip", ("gzip",)),
        ('"gzip"', ("gzip",)),
        ("aws-chunked, gzip", ("gzip",)),
        ("gzip,gzip", ("gzip", "gzip")),
        ("gzip, br", ("gzip", "br")),
        ("zstd", ("zstd",)),
        ("dcb", ("dcb",)),
        ("made-up", ("made-up",)),
    ],
)
def test_a_label_names_codings_or_none(label: str, codings: tuple[str, ...]):
    assert codings_in(label) == codings


@pytest.mark.parametrize(
    ("label", "body", "name", "kind"),
    [
        ("gzip", packed(TEXT), "a.txt", "text/plain"),
        ("x-gzip", packed(TEXT), "a", "application/octet-stream"),
        ("gzip", packed(ZIP), "f.zip", "application/zip"),
        ("gzip", packed(packed(TAR)), "a.tar.gz", "application/gzip"),
        ("gzip, gzip", packed(TEXT), "a.txt", "text/plain"),
        ("aws-chunked,gzip", packed(TEXT), "a.txt", ""),
        ("deflate", zlib.compress(TEXT), "a.txt", ""),
        ("deflate", DEFLATED, "a.txt", ""),
        ("br", brotli.compress(TEXT, quality=1), "a.txt", ""),
        ("br", brotli.compress(b"ok", quality=1), "a.txt", ""),
        ("zstd", zstd().compress(TEXT), "a.tar", "application/x-tar"),
        ("zstd", zstd().compress(b""), "a", ""),
    ],
)
def test_a_coding_that_is_there_is_undone(label: str, body: bytes, name: str, kind: str):
    coding = codings_in(label)[0]
    assert verdict(label, body, name, kind) == CodingVerdict(undo=coding)


@pytest.mark.parametrize(
    ("label", "body", "name", "kind"),
    [
        ("aws-chunked", TEXT, "a.csv", "text/csv"),
        ("none", packed(TEXT), "a.tar.gz", ""),
        ("gzip", packed(TAR), "a.tar.gz", ""),
        ("x-gzip", packed(TAR), "A.TGZ", "application/octet-stream"),
        ("gzip", packed(TAR), "download", "application/x-gzip; charset=binary"),
        ("gzip", packed(b"<svg/>"), "a.svgz", "image/svg+xml"),
        ("gzip", TAR, "a.tar.gz", ""),  # unpacked by who sent it, and named as before
        ("br", brotli.compress(TEXT, quality=1), "a.txt.br", ""),
        ("zstd", zstd().compress(TAR), "a.tar.zst", ""),
        ("x-compress", b"\x1f\x9d\x90" + TEXT, "a.Z", ""),
        ("bzip2", b"BZh9" + TEXT, "a.tar.bz2", ""),
        ("gzip", b"", "a.txt", ""),
        ("br", b"", "a.txt", ""),
    ],
)
def test_a_label_that_only_repeats_the_name_or_says_nothing_changes_nothing(
    label: str, body: bytes, name: str, kind: str
):
    found = verdict(label, body, name, kind)
    assert (found.undo, found.still_coded) == ("", False)
    assert found.remark == "" or name == "a.tar.gz"


@pytest.mark.parametrize("label", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize(
    "body",
    [
        TEXT,
        "Lübeck, ".encode() * 40,
        ZIP,
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        b"%PDF-1.7\n" + TEXT,
        b"\xff\xd8\xff\xe0" + ZIP,
        b"ok",
        b"{}",
    ],
)
def test_a_label_that_lies_leaves_the_file_as_it_came_and_is_told(label: str, body: bytes):
    found = verdict(label, body, "a.bin")
    assert found.undo == ""
    assert f"“{label}”" in found.remark


@pytest.mark.parametrize(
    "label", ["compress", "exi", "gzip, br", "deflate, gzip", "made-up", "gzip, gzip, gzip"]
)
def test_what_cannot_be_undone_is_told(label: str):
    body = packed(packed(packed(TEXT)))
    found = verdict(label, body, "a.txt")
    assert (found.undo, found.still_coded) == ("", True)
    assert "still coded" in found.remark


def test_a_window_beyond_the_limit_is_not_opened():
    large = zstd().ZstdCompressor(options={zstd().CompressionParameter.window_log: 27})
    assert verdict("zstd", large.compress(TEXT) + large.flush(), "a.txt").still_coded


@settings(deadline=None)
@given(
    st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, gzip", "compress", "aws-chunked"]),
    st.binary(max_size=200)
    | st.sampled_from([packed(TEXT), zlib.compress(TEXT), brotli.compress(TEXT, quality=1)]),
    st.sampled_from(["a.txt", "a.tar.gz", "a.zip", ""]),
)
def test_the_verdict_does_not_depend_on_how_the_bytes_came(label: str, body: bytes, name: str):
    found = verdict(label, body, name)
    assert found == judge(label, name=name, kind="", first=body, whole=True, opens=opens)
    assert not (found.undo and found.still_coded)
