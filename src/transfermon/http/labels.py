"""What a Content-Encoding is worth: a hint, which the first bytes and the server's name and type of
the file confirm or refute (RFC 9110 §8.4).

Rule: at most one coding is undone, and only one that is surely there; all else is stored as it
came, and said where the file may not be what its name promises. The name that a person gave counts
for nothing here. No I/O.

| label | stored |
|---|---|
| none, `identity`, a word that is no coding (`aws-chunked`, `none`, `binary`, `utf-8`, `8bit`, a media type) | as it came |
| `gzip`, `deflate`, `br`, `zstd` on bytes that are so coded | undone |
| the same where the server's name or type is of a file that is so compressed by itself (`.tar.gz`) | as it came |
| `gzip` on such a file that holds gzip again: the server has coded a compressed file | undone, once |
| `gzip` in two fields, and once in the body | undone |
| any of them on other bytes, several codings, a coding that we cannot undo | as it came, and said |
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Callable

from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.model.record import record

LOOKED_AT = 64 * 1024  # bytes after which a verdict is given whatever they are

_OTHER_NAMES = {
    "x-gzip": "gzip",
    "x-compress": "compress",
    "x-bzip2": "bzip2",
    "x-zstd": "zstd",
    "x-br": "br",
}
_NO_CODING = lazy_pattern(
    r"identity|aws-chunked|chunked|none|null|nil|no|off|false|undefined|unknown|default|raw|plain|text|binary|bytes"
    r"|[78]-?bits?|base64|quoted-printable|.*/.*"
    r"|(?:x-)?(?:utf|ucs|iso|windows|cp|latin|us-ascii|ascii|ansi|gb|big5|euc|shift|koi8|unicode)[-_ 0-9a-z:.]*"
)
_GZIP = b"\x1f\x8b\x08"
_MARKS = {
    "gzip": lazy_pattern(_GZIP),
    "zstd": lazy_pattern(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
}
# What passes for brotli or deflate for as long as one likes: some texts, and files of these kinds.
_OTHERS = (b"\xd0\xcf\x11\xe0", b"OggS", b"LZIP", b"MM\0*", b"\x1f\x8b", b"PK\x03\x04", b"\0\1\0\0")
# bytes that tell: few others pass for brotli so long
_NEEDED = {"gzip": 3, "zstd": 18, "br": 64, "deflate": 64}
_NAMES = {  # endings of files that are so compressed by themselves
    "gzip": (
        *(
            ".gz",
            ".tgz",
            ".taz",
            ".gzip",
            ".svgz",
            ".emz",
            ".wmz",
            ".vgz",
            ".crate",
            ".apk",
            ".ipk",
            ".unitypackage",
        ),
        *(".gnumeric", ".dia", ".als", ".rds", ".cpgz"),
    ),
    "br": (".br",),
    "zstd": (".zst", ".zstd", ".tzst"),
    "compress": (".z", ".taz"),
    "bzip2": (".bz2", ".tbz", ".tbz2"),
    "xz": (".xz", ".txz"),
}
_TYPES = {
    "gzip": lazy_pattern(
        r"application/(?:x-)?(?:gzip|gunzip|gtar|gtar-compressed|compressed-tar|tgz|tar-gz|tar\+gzip)"
    ),
    "br": lazy_pattern(r"application/(?:x-)?(?:br|brotli)"),
    "zstd": lazy_pattern(r"application/(?:x-)?zstd?"),
    "compress": lazy_pattern(r"application/(?:x-)?compress"),
    "bzip2": lazy_pattern(r"application/(?:x-)?(?:bzip2?|bzip-compressed-tar)"),
    "xz": lazy_pattern(r"application/(?:x-)?(?:xz|xz-compressed-tar)"),
}

Opens = Callable[[str, bytes, bool], bool]


@record
class CodingVerdict:
    undo: str = ""  # the coding to be undone; "" for none
    still_coded: bool = False  # what is stored as it came is not the file that was meant
    # what a person should know of the stored file; "" where there is nothing to tell
    remark: str = ""


def codings_in(label: str) -> tuple[str, ...]:
    """The content codings that the value of Content-Encoding really names, in the order in which
    they were applied.
    """
    if not label:
        return ()
    words = (word.strip(" \t").strip('"').lower() for word in label.split(","))
    return tuple(
        _OTHER_NAMES.get(word, word) for word in words if word and not _NO_CODING.fullmatch(word)
    )


def judge(
    label: str, *, name: str, kind: str, first: bytes, whole: bool, opens: Opens
) -> CodingVerdict | None:
    """What to do with a body that begins with `first`; None when more of it must be seen.

    `name` and `kind` (a Content-Type) are the server's; `whole`: these are all the bytes that there
    are. `opens` tries whether we can undo a coding on bytes that are the beginning of a body or,
    its last argument says, all of it.
    """
    named = codings_in(label)
    if not named or (whole and not first):
        return CodingVerdict()
    coding, shown = named[0], ", ".join(named)[:60]
    still = CodingVerdict(still_coded=True, remark=f"stored as it came, still coded as “{shown}”")
    if len(named) > 1 and set(named) != {"gzip"}:
        return still
    itself = _is_itself(coding, name.lower(), kind.partition(";")[0].strip().lower())
    whole = whole or len(first) >= LOOKED_AT
    needed = _NEEDED.get(coding, 0)
    if len(first) < needed and not whole:
        return None
    if _is_refuted(coding, first[:needed]):
        return CodingVerdict(
            remark="" if itself else f"stored as it came: it is not coded as “{shown}”"
        )
    if coding == "gzip" and (itself or len(named) > 1):
        inside = _inside(first)
        if len(inside) < len(_GZIP) and not whole:
            return None
        once_more = inside.startswith(_GZIP)
        if itself:
            return CodingVerdict(undo=coding if once_more else "")
        return still if once_more else CodingVerdict(undo=coding)
    if itself:
        return CodingVerdict()
    if coding == "gzip" or opens(coding, first[:needed], len(first) < needed):
        # where the rest turns out to be damaged, the download fails
        return CodingVerdict(undo=coding)
    return still


def _is_refuted(coding: str, first: bytes) -> bool:
    if coding in _MARKS:
        return _MARKS[coding].match(first) is None
    return coding in _NEEDED and (first.startswith(_OTHERS) or _is_text(first))


def _is_text(first: bytes) -> bool:
    try:
        # which may end inside a character
        text = codecs.getincrementaldecoder("utf-8")().decode(first)
    except UnicodeDecodeError:
        return False
    return not any(char < " " and char not in "\t\n\f\r" for char in text)


def _is_itself(coding: str, name: str, kind: str) -> bool:
    """Whether a file of that name or type is what the coding makes, so that the label only repeats
    it.
    """
    matched = coding in _TYPES and _TYPES[coding].fullmatch(kind) is not None
    return matched or name.endswith(_NAMES.get(coding, ()))


def _inside(first: bytes) -> bytes:
    """The first bytes of what is in a gzip file; fewer when they are not there yet."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(first, len(_GZIP))
    except zlib.error:
        return b"?" * len(_GZIP)
