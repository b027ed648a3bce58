"""The cookies of each session, sent and kept."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from transfermon.http import carried_headers, public_suffixes
from transfermon.http.cookies import Jar
from transfermon.model.task import Response
from transfermon.wire.call import Call
from transfermon.wire.redirects import Hop


class CookieJars:
    """In memory; one for each session that keeps any."""

    def __init__(self) -> None:
        self._jars: dict[str, Jar] = {}

    def __repr__(self) -> str:
        return f"<CookieJars of {len(self._jars)} sessions>"

    def forget(self, session: str) -> None:
        self._jars.pop(session, None)

    def with_cookies(self, call: Call, hop: Hop) -> Hop:
        """The request's own cookies, those of its file and the session's, in one field."""
        jar = self._jars.get(call.session) if call.cookies else None
        if jar is None and not call.own_cookies:
            return hop
        pairs = (jar or Jar(public_suffixes.is_public)).pairs(
            hop.url, time.time(), call.own_cookies
        )
        return (
            replace(hop, headers=carried_headers.with_cookies(hop.headers, pairs)) if pairs else hop
        )

    async def keep_cookies(self, call: Call, head: Response) -> None:
        """Those that an answer sets, where the session keeps any."""
        fields = (
            [value for name, value in head.headers if name.lower() == "set-cookie"]
            if call.cookies
            else []
        )
        if not fields:
            return
        if any("domain" in text.lower() for text in fields):
            await asyncio.to_thread(public_suffixes.load)
        self._jars.setdefault(call.session, Jar(public_suffixes.is_public)).take(
            head.url, fields, time.time()
        )
