"""Logins that answer the Digest challenges of servers; Basic stays where it is wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from transfermon.http import addresses
from transfermon.http.challenges import basic_in, challenges_in, digest_offer, login_in
from transfermon.model.task import Response
from transfermon.wire.redirects import Hop

if TYPE_CHECKING:
    from transfermon.wire.digest_answers import DigestAnswers


class DigestLogins:
    """What the logins of all sessions met, by session, origin and login."""

    def __init__(self) -> None:
        self._met: dict[tuple[str, addresses.ServerOrigin, tuple[str, str]], DigestAnswers] = {}

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
            if key not in self._met:
                self._met[key] = _answers_of(login)
            answer = self._met[key].first(hop, offer)
        elif key in self._met:
            answer = self._met[key].next(hop)
        elif plain:
            return hop
        others = tuple(
            (name, text) for name, text in hop.headers if name.lower() != "authorization"
        )
        return replace(hop, headers=(*others, ("Authorization", answer)) if answer else others)


def _answers_of(login: tuple[str, str]) -> DigestAnswers:
    from transfermon.wire.digest_answers import DigestAnswers  # brings httpx, which few need

    return DigestAnswers(login)
