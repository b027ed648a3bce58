"""How an upload is asked to go: whole, by a resumable protocol, or as the server likes it.

Rule: here a protocol is a word in a record. Which ones there are says `http/upload_protocols`, and
checks the word where it comes in.
"""

from __future__ import annotations

PLAIN, AUTO = "plain", "auto"


def split_name(wanted: str) -> tuple[str, str]:
    """Protocol and version ("": any) of a word such as "ietf:6"; "" counts as "auto"."""
    protocol, _, version = (wanted or AUTO).partition(":")
    return protocol, version


def decided(wanted: str) -> str:
    """The protocol, where nothing is left to find out; else ""."""
    protocol, _ = split_name(wanted)
    return "" if protocol == AUTO else protocol
