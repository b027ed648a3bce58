"""When an upload is complete: what an answer to a whole body proves, and what is said where it
proves nothing.

Rule: nothing is called sent that is not. An answer before the last byte never is a receipt, and an
answer that looks like one to GET is none either: the server may have done nothing but show what it
has.
"""

from __future__ import annotations

from enum import Enum
from urllib.parse import unquote, urljoin, urlsplit

from transfermon.http.dates import http_date
from transfermon.http.upload_protocols import failures
from transfermon.http.upload_protocols.base import Next, ResumableProtocol, Step
from transfermon.model import units
from transfermon.model.errors import TransferError, redacted
from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.model.record import record
from transfermon.model.task import Response, UploadResource

SHOWN = 300  # characters of what the server said
_LIKE_A_FILE = (
    "image/",
    "audio/",
    "video/",
    "font/",
    "application/zip",
    "application/gzip",
    "application/pdf",
)
_LARGE_BODY = 64 * 1024
_MD5 = lazy_pattern(r'"([0-9a-f]{32})"')
_CLOCKS = 2.0  # seconds; dates in heads are whole seconds


class Means(Enum):
    """What the end of an upload is worth."""

    DONE = "done"
    LOOK = "look"  # HEAD must say what is there now
    UNSURE = "unsure"
    FAILED = "failed"


@record
class Receipt:
    means: Means
    error: TransferError | None = None
    why: str = ""  # of UNSURE: a sentence


DONE = Receipt(means=Means.DONE)


def judge(answer: Response, *, method: str, size: int, handed: int, body: bytes = b"") -> Receipt:
    """What a final answer below 400 to a whole body proves.

    `handed`: bytes of the `size` that were given to the network; `body`: the beginning of the
    answer's own.
    """
    if handed < size:
        return _failed(failures.too_early(answer, handed, size))
    if answer.status == 200 and _looks_like_get(answer, method, body):
        return Receipt(means=Means.LOOK)
    if answer.status == 206 or (answer.status < 300 and answer.header("Content-Range")):
        return Receipt(means=Means.LOOK)
    return _failed(failures.leads_nowhere(answer)) if answer.status >= 300 else DONE


def confirm(
    protocol: ResumableProtocol, step: Step, upload: UploadResource, answer: Response
) -> Receipt | None:
    """What the question about an upload resource brings after a good answer to the last byte; None:
    it is not over.
    """
    if step.next is Next.RESULT:
        return DONE
    if step.next is Next.GO_ON:
        whole = step.offset == upload.length and protocol.completeness(answer) is None
        return DONE if whole else None
    if answer.status >= 500 or answer.status == 423:
        return None
    if step.next is Next.START_OVER:
        return Receipt(means=Means.UNSURE, why=FORGOTTEN)
    silent = step.error is None or step.error.reason == "srv.protocol"
    return Receipt(means=Means.UNSURE, why=SILENT) if silent else None


def look(answer: Response, *, size: int, began: float | None = None, now: float = 0.0) -> Receipt:
    """What the answer to HEAD says of an upload of `size` bytes that took the seconds from `began`
    to `now`.
    """
    length = answer.header("Content-Length").strip()
    known = 200 <= answer.status < 300 and length.isascii() and length.isdigit()
    if not known or answer.header("Content-Encoding").strip().lower() not in ("", "identity"):
        return Receipt(means=Means.UNSURE, why=UNSURE)
    if int(length) != size:
        return _failed(failures.other_length(answer, int(length), size))
    written, told = http_date(answer.header("Last-Modified")), http_date(answer.header("Date"))
    if (
        began is not None
        and written is not None
        and told is not None
        and written < told - (now - began) - _CLOCKS
    ):
        return _failed(failures.older_file(answer))
    return DONE


UNSURE = "The server answered as if the file had been asked for, and does not say what it has now."
FORGOTTEN = "The server took the last byte and knows nothing of the upload any more."
SILENT = "The server took the last byte and does not say how much it has."


def for_method(receipt: Receipt, method: str) -> Receipt:
    """What was found at the address is no proof against a request that is not to put the file
    there.
    """
    if method == "PUT" or receipt.means is not Means.FAILED:
        return receipt
    return Receipt(means=Means.UNSURE, why=UNSURE)


def shown(answer: Response, body: bytes, *, size: int, most: int) -> bytes:
    """Of an answer that shows a whole file of `size` bytes, its beginning: what should be that of
    the upload. b"" where the body, of which `most` bytes were read, is no such file.
    """
    begin = body[: min(most, size)]
    told = answer.header("Content-Length").strip()
    same = (
        told == str(size)
        if told and not answer.header("Content-Encoding")
        else len(begin) == min(most, size)
    )
    return begin if same else b""


def not_stored(answer: Response) -> Receipt:
    """What is at the address has the right length, and is another file."""
    return _failed(failures.older_file(answer))


def _failed(error: TransferError) -> Receipt:
    return Receipt(means=Means.FAILED, error=error)


def md5_in(answer: Response) -> str:
    """The MD5 that a storage server's strong entity tag is, in hexadecimal; "" for any other
    tag.
    """
    match = _MD5.fullmatch(answer.header("ETag").strip())
    return match[1] if match else ""


def _looks_like_get(answer: Response, method: str, body: bytes) -> bool:
    if answer.header("Accept-Ranges") or answer.header("Last-Modified"):
        return True
    if method != "PUT" or not body:  # a POST is answered with what came of it
        return False
    kind = answer.header("Content-Type").partition(";")[0].strip().lower()
    if (
        kind.startswith(_LIKE_A_FILE)
        or kind == "application/octet-stream"
        or len(body) > _LARGE_BODY
    ):
        return True
    start = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html"))


# ---- what the server said


def stored_as(answer: Response, asked: str) -> str:
    """The redacted address that a 201 names for what was sent to `asked`; "" when it is the same
    one.
    """
    location = answer.header("Location").strip() if answer.status == 201 else ""
    if not location:
        return ""
    try:
        url = urljoin(asked, location)
        there, here = urlsplit(url), urlsplit(asked)
    except ValueError:
        return ""
    if there.scheme not in ("http", "https"):
        return ""
    same = (there.netloc.rpartition("@")[2].lower(), unquote(there.path), there.query) == (
        here.netloc.rpartition("@")[2].lower(),
        unquote(here.path),
        here.query,
    )
    return "" if same else units.clean(redacted(url), 2000)


def said(text: str, content_type: str) -> str:
    """The first 300 characters of an answer's text on one line: no markup of a page, no control
    characters.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") or text.lstrip()[:15].lower().startswith(
        ("<!doctype html", "<html")
    ):
        from transfermon.http.upload_protocols.page_words import words_of  # few are a page

        text = " ".join(words_of(text))
    elif kind.startswith(_LIKE_A_FILE) or kind == "application/octet-stream":
        return ""
    return units.clean(" ".join(text[: SHOWN * 10].split()), SHOWN)
