"""Other addresses of one file: which may be asked, what is asked of one first, and why one is not
used.

Rule: a mirror is believed less than the first address. It is used where a checksum tells in the
end, or a person has said that the files are the same; and before any of its bytes counts it has
shown the total and some bytes that are stored already. Its tags are its own: they are compared
with nobody else's. No I/O here.
"""

from __future__ import annotations

from transfermon.http.addresses import check_url, origin_of
from transfermon.http.evidence import Judgement, ResumeVerdict, differ
from transfermon.http.resume import coding_of, content_length, content_range, is_strong
from transfermon.http.segments import SegmentAsk
from transfermon.model.errors import Retry, TransferError
from transfermon.model.request_options import NO_PROOF, RequestOptions
from transfermon.model.task import UNKNOWN, Response, changed

OTHER_BYTES = "Its file has other bytes."
OTHER_SIZE = "Its file has another size."
NEW_VERSION = "Its file has changed."
ODD_ANSWER = "It answers with something else than what was asked for."
KEEPS_BREAKING = "The connection to it breaks again and again."
DIFFER = "The addresses have different files; it is fetched again from the first one alone."
GOES_ON = "The first address has failed; its mirrors go on."

# of failures that say nothing of the first address alone
_NOT_OF_THE_SERVER = frozenset({"srv.changed", "tls.ca-file", "tls.keys-file", "net.proxy-auth"})


def checked_mirrors(options: RequestOptions, url: str, digest: str) -> RequestOptions:
    """The options with the mirrors of `url` in their normal form, each once and none of them that
    address itself. `digest` is what the file must have, or "".

    Raises ValueError with a sentence, and as `check_url`.
    """
    if not options.mirrors:
        return options
    options.check()
    others = dict.fromkeys(check_url(address) for address in options.mirrors)
    others.pop(check_url(url), None)
    found: RequestOptions = changed(options, mirrors=tuple(others))
    if found.lack_proof(digest):
        raise ValueError(NO_PROOF)
    return found


def is_elsewhere(mirror: str, url: str) -> bool:
    """Whether it is at another origin than the first address."""
    return origin_of(check_url(mirror)) != origin_of(check_url(url))


def shown_name(mirror: str) -> str:
    """Host and port of a mirror for people; what is usual is left out."""
    origin = origin_of(check_url(mirror))
    usual = {"http": 80, "https": 443}[origin.scheme] == origin.port
    return origin.authority.removesuffix(f":{origin.port}") if usual else origin.authority


def proof(begin: int, count: int) -> SegmentAsk:
    """What a mirror is asked for first: bytes that are stored."""
    return SegmentAsk(start=begin, end=begin + count, before=count)


def why_not_used(asked: SegmentAsk, total: int, response: Response) -> str:
    """Why the answer to it is no part of a file of `total` bytes, in one sentence; "" where it is
    one.
    """
    status = response.status
    if status in (401, 407):
        return "It asks for a login."
    if status == 416:
        return OTHER_SIZE
    if status == 200:
        if coding_of(response) or not differ(content_length(response), total):
            return "It sends whole files only."
        return OTHER_SIZE
    if status != 206:
        return f"It answers {status}."
    found = content_range(response.header("Content-Range"))
    if found is not None and differ(found.total, total):
        return OTHER_SIZE
    if not is_strong(response.header("ETag").strip()):
        return "It sends no strong entity tag, by which it could be seen that its file changes."
    fits = (
        found is not None
        and found.unit == "bytes"
        and found.total == total
        and (found.first, found.last + 1) == (asked.start, asked.end)
        and content_length(response) in (UNKNOWN, asked.end - asked.start)
        and not coding_of(response)
    )
    return "" if fits else ODD_ANSWER


def why_not_begun(response: Response, judgement: Judgement) -> str:
    """Why the answer to a request for all of it is no file, in one sentence; "" where it is one."""
    if response.status in (401, 407):
        return "It asks for a login."
    if response.status != 200:
        return f"It answers {response.status}."
    return "" if judgement.verdict is ResumeVerdict.WHOLE else ODD_ANSWER


def may_replace(error: TransferError) -> bool:
    """Whether a mirror may bring what the first address did not, after that failure of it."""
    return (
        error.retry is not Retry.WAIT
        and error.reason.startswith(("net.", "srv.", "tls."))
        and error.reason not in _NOT_OF_THE_SERVER
    )
