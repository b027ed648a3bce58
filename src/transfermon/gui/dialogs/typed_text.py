"""What a person types or pastes as text: links, addresses, header lines, a checksum.

Rule: no Qt here; a bad text is a ValueError with a sentence, or comes back with one.
"""

from __future__ import annotations

import re

from transfermon.http.addresses import check_url
from transfermon.model.configuration import checked_headers
from transfermon.model.errors import TransferFailure
from transfermon.model.record import record
from transfermon.model.translate import tr

MOST_LINKS = 1000  # from one paste or drop (R17)
LONGEST_TEXT = 1_000_000  # characters that are looked through for links
_LINK = re.compile(r"https?://[^\s<>\"“”„«»`|^{}\\]+", re.IGNORECASE)
_TRAILING = ".,;:!?'*"
_PAIRS = {")": "(", "]": "["}
_DIGEST = re.compile(r"(?:sha-?256\s*[:=]\s*)?([0-9a-fA-F]{64})", re.IGNORECASE)


def links_in(text: str) -> list[str]:
    """The http and https addresses in a text, each once, in their order; punctuation after them is
    not part.
    """
    found = (_trimmed(match.group()) for match in _LINK.finditer(text[:LONGEST_TEXT]))
    return list(dict.fromkeys(link for link in found if len(link) > len("https://")))[:MOST_LINKS]


def _trimmed(link: str) -> str:
    while link:
        last = link[-1]
        closes_nothing = last in _PAIRS and link.count(_PAIRS[last]) < link.count(last)
        if last not in _TRAILING and not closes_nothing:
            break
        link = link[:-1]
    return link


@record
class Sorted:
    """What a box of addresses holds: the usable ones, and the others with a sentence each."""

    good: tuple[str, ...] = ()
    bad: tuple[tuple[str, str], ...] = ()


def sorted_out(text: str) -> Sorted:
    """Line by line: the links in it, or the line itself as an address."""
    good: dict[str, None] = {}
    bad: dict[str, str] = {}
    for line in text[:LONGEST_TEXT].splitlines():
        for address in links_in(line) or [line.strip()]:
            if not address:
                continue
            try:
                check_url(address)
            except TransferFailure as exc:
                bad[address] = " ".join(part for part in (exc.title, exc.hint) if part)
            else:
                good[address] = None
    return Sorted(good=tuple(good)[:MOST_LINKS], bad=tuple(bad.items()))


def headers_in(text: str) -> dict[str, str]:
    """Header lines, `Name: value`. Raises ValueError with a sentence for the first bad one."""
    out: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(
                tr("“{line}” is not a header; write Name: value.").format(line=line.strip())
            )
        out[name.strip()] = value.strip()
    return checked_headers(out, where="headers")


def digest_in(text: str) -> str:
    """`sha-256:HEX` from what a person pasted; "" from nothing. Raises ValueError with a
    sentence.
    """
    text = text.strip()
    if not text:
        return ""
    match = _DIGEST.fullmatch(text)
    if match is None:
        raise ValueError(tr("A SHA-256 checksum has 64 hexadecimal digits."))
    return "sha-256:" + match.group(1).lower()
