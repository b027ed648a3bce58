"""Logins that answer the Digest challenges of servers; Basic stays where it is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import httpx

from transfermon.http import addresses
from transfermon.http.challenges import basic_in, challenges_in, digest_offer, login_in
from transfermon.model.task import Response
from transfermon.wire.redirects import Hop
from transfermon.wire.requests import host_field


class DigestLogins:
    """What the logins of all sessions met, by session, origin and login."""

    def __init__(self) -> None:
        self._met: dict[tuple[str, addresses.ServerOrigin, tuple[str, str]], _Digest] = {}

    def __repr__(self) -> str:
        return f"<DigestLogins, {len(self)} met>"

    def __len__(self) -> int:
        return len(self._met)

    def forget(self, session: str) -> None:
        for key in [key for key in self._met if key[0] == session]:
            del self._met[key]

    def signed(self, session: str, hop: Hop, refusal: Response | None = None) -> Hop | None:
        """With the answer to the Digest challenge of a 401, or, before there was one, to the last
        that the login met. None where the request has no login, or the refusal no such challenge.
        """
        value = next((value for name, value in hop.headers if name.lower() == "authorization"), "")
        waits, plain = login_in(value), basic_in(value)
        if (login := waits or plain) is None:
            return None
        key = (session, addresses.origin_of(hop.url), login)
        answer = ""
        if refusal is not None:
            field = refusal.header("WWW-Authenticate") if refusal.status == 401 else ""
            offer = digest_offer(field)
            if offer is None or (
                plain and any(scheme == "basic" for scheme, _ in challenges_in(field))
            ):
                return None
            answer = self._met.setdefault(key, _Digest(login)).first(hop, offer)
        elif key in self._met:
            answer = self._met[key].next(hop)
        elif plain:
            return hop
        others = tuple(
            (name, text) for name, text in hop.headers if name.lower() != "authorization"
        )
        return replace(hop, headers=(*others, ("Authorization", answer)) if answer else others)


class _Digest:
    """One login's answers to the Digest challenges of one server; the hashes are httpx's."""

    def __init__(self, login: tuple[str, str]) -> None:
        self._auth = httpx.DigestAuth(*login)

    def next(self, hop: Hop) -> str:
        """The answer to the last challenge once more, with the next count."""
        flow = self._auth.auth_flow(
            httpx.Request(hop.method, hop.url, headers=[host_field(hop.url)])
        )
        return _as_read(next(flow).headers["Authorization"])

    def first(self, hop: Hop, offer: Mapping[str, str]) -> str:
        """The answer to a new challenge, which `challenges.digest_offer` found."""
        request = httpx.Request(hop.method, hop.url, headers=[host_field(hop.url)])
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


def _as_read(value: str) -> str:
    """As fields are kept: a character for each byte."""
    return value.encode().decode("latin-1")
