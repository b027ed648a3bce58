"""Which version of each protocol hosts speak, for as long as the engine lives."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from transfermon.http.upload_protocols import registry
from transfermon.http.upload_protocols.base import ResumableProtocol


class SpokenVersions:
    """A host that was not heard yet is asked in another version each time: it would not answer for
    one that is not its own.
    """

    def __init__(self) -> None:
        self._speaks: dict[tuple[str, str], str] = {}
        self._asked: dict[tuple[str, str], int] = {}

    def __repr__(self) -> str:
        return f"<SpokenVersions of {len(self._speaks)} hosts>"

    def order(self, url: str, protocol: ResumableProtocol) -> tuple[str, ...]:
        """All versions, the likeliest first."""
        first = self.next(url, protocol)
        return (first, *(version for version in protocol.versions if version != first))

    def next(self, url: str, protocol: ResumableProtocol) -> str:
        """The version of the next request."""
        return self._speaks.get(_key(url, protocol)) or self._turn(url, protocol)

    def heard(self, url: str, protocol: ResumableProtocol, version: str) -> None:
        """The host has answered in that version."""
        self._speaks[_key(url, protocol)] = version

    def silent(self, url: str, protocol: ResumableProtocol, version: str) -> None:
        """A request in that version was answered as if there were no such protocol, or not at
        all.
        """
        key = _key(url, protocol)
        if self._speaks.get(key) == version:
            del self._speaks[key]
        if self._turn(url, protocol) == version:
            self._asked[key] = self._asked.get(key, 0) + 1

    def _turn(self, url: str, protocol: ResumableProtocol) -> str:
        return protocol.versions[self._asked.get(_key(url, protocol), 0) % len(protocol.versions)]


def questions_for(url: str, spoken: SpokenVersions) -> Iterator[dict[str, str]]:
    """What to ask a host, one question after the other: the version to ask in, by the protocol's
    name. One whose versions are through is not asked any more.
    """
    orders = {protocol.name: spoken.order(url, protocol) for protocol in registry.RESUMABLE}
    for turn in range(max(map(len, orders.values()))):
        yield {name: order[turn] for name, order in orders.items() if turn < len(order)}


def _key(url: str, protocol: ResumableProtocol) -> tuple[str, str]:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}", protocol.name
