"""What a person allows or asks for the requests of one task, over what its session says.

Rule: plain values, none of them a secret: they stand in the task's record. Each field has its row
in `option_table`, by which it is typed, chosen, sent and stored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from transfermon.model import json_text
from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.model.option_table import (
    AUTOMATIC,
    MOST_CONNECTIONS,
    MOST_MIRRORS,
    ROWS,
    ValueKind,
)
from transfermon.model.record import record

_TOKEN = lazy_pattern(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FILES = (ValueKind.FILE_TO_READ, ValueKind.FILE_TO_WRITE)

# goes to no origin: a proxy's credentials stand in the proxy's address
OF_THE_PROXY = "proxy-authorization"


@record
class RequestOptions:
    """One task's."""

    # names of headers that follow a redirect to another origin, in lower case
    send_along: tuple[str, ...] = ()
    insecure_redirects: bool = False  # from https to http
    ca_file: str = ""  # absolute: a PEM file of authorities to trust besides the system's
    # absolute: a file that gets the keys of the connections, for those who look into them
    tls_keys: str = ""
    no_content_type: bool = False  # a body is sent without Content-Type
    # at once for one file; 0: as the session says, AUTOMATIC: as many as help
    connections: int = 0
    # other addresses of the same file: no header, cookie or credential goes to their origins
    mirrors: tuple[str, ...] = ()
    # a person's word for that, where no checksum was given
    mirrors_are_the_same: bool = False

    def check(self) -> None:
        """Raises ValueError with a sentence for what cannot be."""
        for name in self.send_along:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"“{name[:50]}” is not the name of a header.")
            if name.lower() == OF_THE_PROXY:
                raise ValueError(
                    "A proxy's credentials go to no server; put them into the proxy's address."
                )
        if not AUTOMATIC <= self.connections <= MOST_CONNECTIONS:
            raise ValueError(_CONNECTIONS)
        if len(self.mirrors) > MOST_MIRRORS:
            raise ValueError(f"A file has {MOST_MIRRORS} mirrors at the most.")
        for address in self.mirrors:
            _check_mirror(address)
        files = [getattr(self, row.name) for row in ROWS if row.kind in FILES]
        if not all(os.path.isabs(path) for path in files if path):
            raise ValueError(
                "The files of authorities and of TLS keys are named by absolute paths."
            )

    def lack_proof(self, digest: str | None) -> bool:
        """Whether nothing would tell that a mirror has another file; `digest` is what the file must
        have.
        """
        return bool(self.mirrors) and not digest and not self.mirrors_are_the_same

    def over(self, session: object) -> Self:
        """These options where a session says something else: its fields of the same names."""
        found = dict(vars(self))
        for name, own in found.items():
            other: Any = getattr(session, name, NOTHING)
            if other is NOTHING:
                continue
            words = (*own, *other) if isinstance(own, tuple) else ()
            if name in _HEADER_NAMES:
                words = tuple(word.lower() for word in words)
            found[name] = tuple(dict.fromkeys(words)) if isinstance(own, tuple) else own or other
        return type(self)(**found)


NOTHING = object()
NONE = RequestOptions()
_CONNECTIONS = f"One file has 1 to {MOST_CONNECTIONS} connections at once, or “auto”."
NO_PROOF = (
    "Mirrors are used with a SHA-256 checksum of the file, or with your word that all of them"
    " have the same file (--mirrors-are-the-same)."
)
_KINDS = {  # of a value in JSON
    ValueKind.FLAG: bool,
    ValueKind.NAMES: list,
    ValueKind.FILE_TO_READ: str,
    ValueKind.FILE_TO_WRITE: str,
    ValueKind.CONNECTIONS: int,
    ValueKind.ADDRESSES: list,
}
_ROWS = {row.key: row for row in ROWS}
_HEADER_NAMES = frozenset(row.name for row in ROWS if row.kind is ValueKind.NAMES)


def to_dict(options: RequestOptions) -> dict[str, Any]:
    """What differs from none, as JSON has it."""
    out: dict[str, Any] = {}
    if options is NONE:
        return out
    for row in ROWS:
        value = getattr(options, row.name)
        if value:
            out[row.key] = list(value) if isinstance(value, tuple) else value
    return out


def from_dict(stored: Mapping[str, Any]) -> RequestOptions:
    """What `to_dict` wrote. Raises ValueError with a sentence for anything else."""
    if not stored:
        return NONE
    given: dict[str, Any] = {}
    for name, value in stored.items():
        row = _ROWS.get(name)
        if row is None:
            raise ValueError(f"“{name[:50]}” is not an option of a request.")
        if type(value) is not _KINDS[row.kind]:
            raise ValueError(f"The option “{name}” has not the right kind of value.")
        if isinstance(value, list) and not all(isinstance(word, str) for word in value):
            raise ValueError(f"“{name}” must be a list of texts.")
        given[row.name] = tuple(value) if isinstance(value, list) else value
    options = RequestOptions(**given)
    options.check()
    return options


def _check_mirror(address: str) -> None:
    """Whether it is one at all, and none that holds a secret; who asks there checks it whole."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(
            f"“{address[:100]}” is no address of a mirror; it begins with http:// or https://."
        )
    if "@" in parts.netloc:
        raise ValueError("The address of a mirror holds no user name and no password.")


def connections_of(typed: str) -> int:
    """A number of connections as a person writes it; "" is 0. Raises ValueError with a sentence."""
    word = typed.strip().lower()
    if word in ("", "auto"):
        return AUTOMATIC if word else 0
    if not word.isascii() or not word.isdigit() or not 1 <= int(word) <= MOST_CONNECTIONS:
        raise ValueError(_CONNECTIONS)
    return int(word)


def headers_with_type(
    headers: dict[str, str], body: bytes | None, options: RequestOptions
) -> dict[str, str]:
    """With the Content-Type of a body for which nobody named one."""
    named = any(name.lower() == "content-type" for name in headers)
    if body is None or options.no_content_type or named:
        return headers
    return {**headers, "Content-Type": content_type_of(body)}


def content_type_of(body: bytes) -> str:
    """The type that a body is sent with where nobody named one: JSON when it is JSON (RFC 8259),
    else bytes.
    """
    try:
        json_text.loads(body.decode(), parse_constant=_no_json)
    except ValueError:
        return "application/octet-stream"
    return "application/json"


def _no_json(word: str) -> None:
    raise ValueError(word)
