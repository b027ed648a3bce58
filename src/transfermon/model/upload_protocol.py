"""The protocols of uploads, by the names that people choose them by."""

from __future__ import annotations

PLAIN, IETF, TUS, AUTO = "plain", "ietf", "tus", "auto"
PROTOCOLS = (AUTO, PLAIN, IETF, TUS)
# The interop versions that are spoken somewhere, in the order in which they are tried. A server
# does not answer for a version that is not its own. 3 is draft -01, 5 is -03, 6 is -04 and -05, 8
# is -08 and later.
VERSIONS = ("8", "6", "5", "3")
INTEROP = VERSIONS[0]


def parse(wanted: str) -> tuple[str, str]:
    """Protocol and interop version ("": any) of "auto", "plain", "tus", "ietf" or "ietf:N"; raises
    ValueError.
    """
    protocol, colon, version = wanted.partition(":")
    if protocol not in PROTOCOLS or (colon and (protocol != IETF or version not in VERSIONS)):
        raise ValueError(
            f"the protocol is “auto”, “plain”, “tus”, “ietf”, or “ietf:N” with N one of {', '.join(VERSIONS)}"
        )
    return protocol, version


def decided(wanted: str) -> str:
    """The protocol, where nothing is left to find out; else ""."""
    protocol, _ = parse(wanted or AUTO)
    return "" if protocol == AUTO else protocol
