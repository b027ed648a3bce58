"""What comes before every answer: who may ask, what may be written, and the faults that were
ordered.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from transfermon.videofarm.bodies import problem_answer
from transfermon.videofarm.faults import FaultPlan, parse_rule


class Gate:
    """Turns strangers away, then lets the faults in."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Sequence[str],
        plan: FaultPlan,
        fault_queries: bool,
        token: str = "",
    ) -> None:
        self._app, self._plan, self._fault_queries, self._token = app, plan, fault_queries, token
        self._hosts = frozenset(host.lower().strip("[]") for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal is None:
            refusal = await self._fault(scope)
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
        server_host, server_port = scope["server"]
        own = (
            f"[{server_host}]:{server_port}"
            if ":" in server_host
            else f"{server_host}:{server_port}"
        )
        host = next((value for name, value in headers if name == b"host"), own)
        if not self._is_ours(host, server_host):
            return problem_answer(403, "This host name is not served here.")
        # A page served from here names its origin as http:// and the Host of the request. All
        # others are foreign.
        if any(
            name == b"origin" and value.lower() != f"http://{host}".lower()
            for name, value in headers
        ):
            return problem_answer(403, "Pages from elsewhere may not use this server.")
        scope["state"]["host"] = host
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and not self._may_write(
            scope, dict(headers)
        ):
            return problem_answer(
                403, "Only this machine may write here, or who knows the token (VIDEOFARM_TOKEN)."
            )
        return None

    def _may_write(self, scope: Scope, headers: dict[bytes, str]) -> bool:
        client = scope["client"]
        if client is not None and is_loopback(client[0]):
            return True
        given = headers.get(b"authorization", "").removeprefix("Bearer ").encode()
        return bool(self._token) and hmac.compare_digest(given, self._token.encode())

    def _is_ours(self, host: str, server_host: str) -> bool:
        match = re.fullmatch(
            r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?", host, re.ASCII
        )
        if match is None:
            return False
        name = (match[1] or match[2]).lower()
        return name in self._hosts or name == server_host or is_loopback(name)

    async def _fault(self, scope: Scope) -> Response | None:
        rules = []
        if self._fault_queries:
            try:
                query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=100)
                rules = [parse_rule(spec) for spec in query.get("fault", ())]
            except ValueError as error:
                return problem_answer(400, str(error))
        faults = self._plan.choose(scope["path"], rules)
        scope["state"]["faults"] = faults
        if faults.latency:
            await asyncio.sleep(faults.latency)
        if faults.status is None:
            return None
        wait = {} if faults.retry_after is None else {"retry-after": str(faults.retry_after)}
        return problem_answer(faults.status, "This fault was asked for.", headers=wait)


def is_loopback(name: str) -> bool:
    if name in ("localhost", "localhost."):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
