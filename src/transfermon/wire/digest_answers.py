"""One login's answers to Digest challenges, with httpx's hashes (RFC 7616)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from transfermon.wire.redirects import Hop


class DigestAnswers:
    """One login's answers to the Digest challenges of one server; the hashes are httpx's."""

    def __init__(self, login: tuple[str, str]) -> None:
        self._auth = httpx.DigestAuth(*login)

    def next(self, hop: Hop) -> str:
        """The answer to the last challenge once more, with the next count."""
        flow = self._auth.auth_flow(httpx.Request(hop.method, hop.url, headers=[_host(hop.url)]))
        return _as_read(next(flow).headers["Authorization"])

    def first(self, hop: Hop, offer: Mapping[str, str]) -> str:
        """The answer to a new challenge, which `challenges.digest_offer` found."""
        request = httpx.Request(hop.method, hop.url, headers=[_host(hop.url)])
        parts = [
            f"{name}={offer[name]}"
            for name in ("realm", "nonce", "opaque", "algorithm")
            if offer.get(name)
        ]
        parts += ["qop=auth"] if "qop" in offer else []
        field = f"Digest {', '.join(parts)}".encode("latin-1")
        flow = self._auth.auth_flow(request)
        next(flow)
        flow.send(httpx.Response(401, headers=[(b"WWW-Authenticate", field)], request=request))
        return _as_read(request.headers["Authorization"])


def _host(url: str) -> tuple[bytes, bytes]:
    """The field Host: httpx would decode the name first, and refuses those of IDNA 2003."""
    return b"Host", urlsplit(url).netloc.encode("ascii")


def _as_read(value: str) -> str:
    """As fields are kept: a character for each byte."""
    return value.encode().decode("latin-1")
