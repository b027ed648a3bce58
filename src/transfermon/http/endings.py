"""What the ending of a name promises: which one a type has, and whether a body is what its name
says.

Rule: an ending is only ever added where there is none, and never one by which a program could run.
Only what the server named is looked at here; a name that a person gave is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from transfermon.http.filenames import shortened, split
from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.model.record import record

FIRST_BYTES = 512  # of the body that the judgements below look at

# Pictures, sound, video, text, PDF and archives (IANA's types, and those that servers use in their
# place).
_ENDINGS = {
    **dict.fromkeys(("image/jpeg", "image/jpg", "image/pjpeg"), ".jpg"),
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/jxl": ".jxl",
    "image/tiff": ".tiff",
    **dict.fromkeys(("image/bmp", "image/x-bmp", "image/x-ms-bmp"), ".bmp"),
    "image/apng": ".png",
    "image/svg+xml": ".svg",
    "image/x-icon": ".ico",
    "image/vnd.microsoft.icon": ".ico",
    "image/jp2": ".jp2",
    "image/vnd.adobe.photoshop": ".psd",
    **dict.fromkeys(("audio/mpeg", "audio/mp3", "audio/x-mp3", "audio/x-mpeg"), ".mp3"),
    "audio/x-ms-wma": ".wma",
    "application/ogg": ".ogg",
    "audio/mp4": ".m4a",
    "audio/x-m4a": ".m4a",
    "audio/aac": ".aac",
    "audio/ogg": ".ogg",
    "audio/opus": ".opus",
    "audio/flac": ".flac",
    "audio/x-flac": ".flac",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/vnd.wave": ".wav",
    "audio/webm": ".weba",
    "audio/aiff": ".aiff",
    "audio/x-aiff": ".aiff",
    "audio/midi": ".mid",
    "video/mp4": ".mp4",
    "video/mpeg": ".mpg",
    "video/webm": ".webm",
    "video/ogg": ".ogv",
    "video/quicktime": ".mov",
    "video/x-matroska": ".mkv",
    "video/matroska": ".mkv",
    **dict.fromkeys(("video/x-msvideo", "video/avi", "video/msvideo"), ".avi"),
    "video/x-m4v": ".m4v",
    "video/x-ms-wmv": ".wmv",
    "video/x-flv": ".flv",
    "video/mp2t": ".ts",
    "video/3gpp": ".3gp",
    "text/plain": ".txt",
    "text/html": ".html",
    "application/xhtml+xml": ".xhtml",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/x-subrip": ".srt",
    "text/markdown": ".md",
    "text/css": ".css",
    "text/xml": ".xml",
    "application/xml": ".xml",
    "application/json": ".json",
    "text/calendar": ".ics",
    "text/vcard": ".vcf",
    "text/vtt": ".vtt",
    "application/rtf": ".rtf",
    "text/rtf": ".rtf",
    "application/pdf": ".pdf",
    "application/x-pdf": ".pdf",
    "application/zip": ".zip",
    "application/x-zip-compressed": ".zip",
    "application/gzip": ".gz",
    "application/x-gzip": ".gz",
    **dict.fromkeys(("application/x-tar", "application/x-gtar"), ".tar"),
    **dict.fromkeys(
        ("application/x-compressed-tar", "application/x-tgz", "application/x-gtar-compressed"),
        ".tar.gz",
    ),
    **dict.fromkeys(("application/x-bzip2", "application/x-bzip"), ".bz2"),
    "application/x-xz": ".xz",
    "application/zstd": ".zst",
    "application/x-7z-compressed": ".7z",
    **dict.fromkeys(
        ("application/vnd.rar", "application/x-rar-compressed", "application/x-rar"), ".rar"
    ),
}
_NO_ENDING = lazy_pattern(
    r"(?:README|LICEN[SC]E|COPYING|NOTICE|AUTHORS|CONTRIBUTORS|CHANGE(?:LOG|S)|NEWS|TODO|INSTALL|VERSION|CODEOWNERS"
    r"|(?:MD5|SHA[0-9]+)(?:SUMS?)?|(?:In)?Release|Packages|Sources|[A-Z][a-z]{2,10}file)"
)
_PAGE = lazy_pattern(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--|<\?xml|<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br"
    rb"|p|meta|link)[\s>])",
    re.IGNORECASE,
)
_PAGES = frozenset({"text/html", "application/xhtml+xml"})


@record
class FileKind:
    """What a person expects of an ending: a word for it, and how its first bytes look."""

    words: str  # “a video”
    # None: nothing is known, so that anything but a page does
    fits: Callable[[bytes], bool] | None = None


def _starts(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(marks)


def _boxes(head: bytes) -> bool:
    """ISO base media and QuickTime: MP4, HEIC, AVIF, JPEG XL and their kin."""
    return head[4:8] in (
        b"ftyp",
        b"moov",
        b"mdat",
        b"free",
        b"skip",
        b"wide",
        b"pnot",
        b"JXL ",
        b"jP  ",
    )


def _riff(*kinds: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] in kinds


def _any(*ways: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    return lambda head: any(way(head) for way in ways)


def _mpeg_sound(head: bytes) -> bool:
    return head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)


_ZIP = _starts(b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_ASF = _starts(bytes.fromhex("3026b2758e66cf11"))
_EBML = _starts(b"\x1a\x45\xdf\xa3")
_OGG = _starts(b"OggS")
_TIFF = _starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PICTURES: dict[str, Callable[[bytes], bool] | None] = {
    ".jpg .jpeg .jpe": _starts(b"\xff\xd8"),
    ".png .apng": _starts(b"\x89PNG\r\n\x1a\n"),
    ".gif": _starts(b"GIF8"),
    ".webp": _riff(b"WEBP"),
    ".avif .heic .heif": _boxes,
    ".jxl": _any(_starts(b"\xff\x0a"), _boxes),
    ".jp2": _any(_starts(b"\xff\x4f\xff\x51"), _boxes),
    ".tif .tiff": _TIFF,
    ".bmp": _starts(b"BM"),
    ".ico": _starts(b"\0\0\x01\0", b"\0\0\x02\0"),
    ".psd": _starts(b"8BPS"),
    ".dng .nef .cr2 .arw": _TIFF,
    ".raw": None,
}
_VIDEOS: dict[str, Callable[[bytes], bool] | None] = {
    ".mp4 .m4v .mov .3gp .3g2": _boxes,
    ".mkv .webm": _EBML,
    ".avi": _riff(b"AVI "),
    ".wmv .asf": _ASF,
    ".flv": _starts(b"FLV"),
    ".mpg .mpeg .vob": _starts(b"\0\0\x01\xba", b"\0\0\x01\xb3"),
    ".m2ts .mts": lambda head: head[:1] == b"G" or head[4:5] == b"G",
    ".ogv": _OGG,
}
_SOUNDS: dict[str, Callable[[bytes], bool] | None] = {
    ".mp3 .mp2 .aac": _any(_mpeg_sound, _starts(b"ADIF")),
    ".m4a .m4b .aax": _boxes,
    ".ogg .oga .opus": _OGG,
    ".flac": _any(_starts(b"fLaC"), _starts(b"ID3")),
    ".wav": _riff(b"WAVE"),
    ".aif .aiff": _starts(b"FORM"),
    ".wma": _ASF,
    ".weba": _EBML,
    ".mid .midi": _starts(b"MThd"),
}
_ARCHIVES: dict[str, Callable[[bytes], bool] | None] = {
    ".zip .jar .apk .xpi .cbz .whl": _ZIP,
    ".gz .tgz": _starts(b"\x1f\x8b"),
    ".bz2 .tbz .tbz2": _starts(b"BZh"),
    ".xz .txz": _starts(b"\xfd7zXZ\0"),
    ".zst": _starts(b"\x28\xb5\x2f\xfd"),
    ".7z": _starts(b"7z\xbc\xaf\x27\x1c"),
    ".rar .cbr": _starts(b"Rar!\x1a\x07"),
    ".tar": None,
    ".deb": _starts(b"!<arch>"),
    ".rpm": _starts(b"\xed\xab\xee\xdb"),
}
_OTHERS: dict[str, tuple[str, Callable[[bytes], bool] | None]] = {
    ".pdf": ("a PDF", lambda head: b"%PDF-" in head),
    ".epub": ("a book", _ZIP),
    ".docx .xlsx .pptx .odt .ods .odp": ("a document", _ZIP),
    ".doc .xls .ppt": ("a document", _starts(bytes.fromhex("d0cf11e0a1b11ae1"))),
    ".exe .msi .dll": ("a program", None),
    ".appimage .run .bin .dat .pkg .snap .flatpak": ("a file", None),
    ".iso .img .dmg .vhd .qcow2 .ova": ("a disk image", None),
    ".torrent": ("a torrent", _starts(b"d")),
    ".ttf .otf .woff .woff2": ("a font", None),
    ".sqlite .db .parquet .gguf .safetensors": ("a file", None),
}


def _kinds() -> dict[str, FileKind]:
    groups = (
        ("a picture", _PICTURES),
        ("a video", _VIDEOS),
        ("a sound", _SOUNDS),
        ("an archive", _ARCHIVES),
    )
    rows = [(names, words, fits) for words, group in groups for names, fits in group.items()]
    rows += [(names, words, fits) for names, (words, fits) in _OTHERS.items()]
    return {
        name: FileKind(words=words, fits=fits)
        for names, words, fits in rows
        for name in names.split()
    }


KINDS = _kinds()


def with_ending(name: str, content_type: str) -> str:
    """The name, with the ending of its type where it has none; `content_type` as the field says it.

    A number behind a dot (`v1.2`, `2301.00001`) is no ending, but that of a piece (`film.rar.001`)
    is; names that never have one (`README`, `Makefile`) get none as plain text. The name is cut
    where 255 bytes leave no room.
    """
    kind = media_type(content_type)
    ending = _ENDINGS.get(kind, "")
    if not ending or _has_ending(name) or (kind == "text/plain" and _NO_ENDING.fullmatch(name)):
        return name
    return shortened(name + ending)


def _has_ending(name: str) -> bool:
    stem, ending = split(name)
    return bool(ending) and (not ending[1:].isdigit() or not (split(stem)[1] or ".0")[1:].isdigit())


def media_type(content_type: str) -> str:
    """`text/html` of `Text/HTML; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


def charset(content_type: str) -> str:
    """What the field says of the coding of characters; "" when it says nothing."""
    if ";" not in content_type:
        return ""
    match = re.search(r';\s*charset\s*=\s*"?([^\s;"]+)', content_type, re.IGNORECASE)
    return match[1] if match else ""


def instead(name: str, address_name: str, content_type: str, head: bytes) -> str:
    """“a web page instead of a video” when the type is a page's and the first bytes are not what
    the name promises.

    `name` is the file's own; where it has no ending, that of the address counts. "" when all is
    well or unknown.
    """
    ending = split(name)[1] or split(address_name)[1]
    kind = KINDS.get("." + ending.rpartition(".")[2].lower())
    if kind is None or not is_page_type(content_type) or not is_text(head):
        return ""
    fits = kind.fits(head) if kind.fits is not None else not is_page(head)
    return "" if fits else f"a web page instead of {kind.words}"


def is_page_type(content_type: str) -> bool:
    """Whether the server calls its answer a web page."""
    return media_type(content_type) in _PAGES


def as_page(name: str, content_type: str) -> str:
    """`movie.mp4.html`: the name of a page that came in place of the file."""
    return shortened(name + _ENDINGS.get(media_type(content_type), ".html"))


def is_page(head: bytes) -> bool:
    """Whether these are the first bytes of a web page (mimesniff §7.1)."""
    return _PAGE.match(head) is not None


def is_text(head: bytes) -> bool:
    """Whether these can be the first bytes of a text: no control characters but those of texts
    (mimesniff §3).
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return True
    return not any(byte < 0x20 and byte not in b"\t\n\f\r\x1b" for byte in head)
