"""From hop to hop: what the first request of a call is, and where a redirect leads it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import field, replace

from transfermon.http import addresses, carried_headers, proxies
from transfermon.model.errors import Code
from transfermon.model.metrics import REDIRECTS
from transfermon.model.record import record
from transfermon.model.task import Origin, Response
from transfermon.wire.call import Call, Content
from transfermon.wire.failures import final_failure
from transfermon.wire.proxy_choice import proxy_for_request
from transfermon.wire.reach import Reach, is_public_address, is_public_host

USER_AGENT = "transfermon/0.1.0"
_DEFAULTS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": USER_AGENT}  # D-14
_OF_THE_BODY = frozenset(
    {"content-length", "content-type", "content-encoding", "transfer-encoding"}
)


@record
class Hop:
    """One request of a chain of redirects."""

    url: addresses.Address
    method: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    content: bytes | Callable[[], Content] | None = field(repr=False)
    reach: Reach
    proxy: str = field(repr=False)


def first_hop(call: Call) -> Hop:
    url = addresses.check_url(call.url)
    clean, authorization = addresses.without_credentials(url)
    if authorization and call.origin is not Origin.TYPED:
        raise addresses.refused(
            url,
            Code.BAD_URL,
            "The address holds a user name, which addresses from others may not.",
            "Type the address yourself if you trust it.",
            "pol.bad-url",
        )
    headers = dict(call.headers)
    if authorization and "authorization" not in {name.lower() for name in headers}:
        headers["Authorization"] = authorization
    if callable(call.content) and call.content_length is not None:
        headers["Content-Length"] = str(call.content_length)
    reach = Reach(anywhere=call.origin is Origin.TYPED and not call.confined, allowed=call.allowed)
    proxy = proxy_for_request(call, clean, reach)
    fields = carried_headers.first(headers, _DEFAULTS)
    return Hop(
        url=clean,
        method=call.method,
        headers=fields,
        content=call.content,
        reach=reach,
        proxy=proxy,
    )


def _target(call: Call, hop: Hop, head: Response) -> addresses.Address | None:
    if head.status not in REDIRECTS:
        return None
    locations = {value for name, value in head.headers if name.lower() == "location"}
    if len(locations) > 1:
        raise final_failure(
            Code.REDIRECT_WITHOUT_TARGET,
            "The server redirected to two addresses at once.",
            "srv.redirect",
            hop.url,
        )
    location = locations.pop() if locations else ""
    with contextlib.suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")  # some servers send it unencoded
    return addresses.redirect_target(
        hop.url, location, allows_insecure=call.allows_insecure_redirects
    )


def hop_after(call: Call, hop: Hop, head: Response, passed: int, behind: str) -> Hop | None:
    """Where the answer to a hop leads; None where it is the final one. `passed` hops were before;
    `behind` is the server's address behind a proxy, where it was looked up here. Raises
    TransferFailure for a redirect that is not followed.
    """
    target = _target(call, hop, head) if call.follows_redirects else None
    if target is None:
        return None
    if passed >= call.maximum_redirects:
        raise final_failure(
            Code.TOO_MANY_REDIRECTS,
            f"The server redirected more than {call.maximum_redirects} times.",
            "srv.redirect",
            target,
            hint="The addresses may point at each other; ask the server's owner.",
        )
    return next_hop(call, hop, head, target, behind)


def next_hop(
    call: Call, hop: Hop, head: Response, target: addresses.Address, behind: str = ""
) -> Hop:
    method, content, headers = hop.method, hop.content, hop.headers
    if (head.status == 303 and method != "HEAD") or (
        head.status in (301, 302) and method == "POST"
    ):
        method, content = "GET", None
        headers = tuple(
            (name, value) for name, value in headers if name.lower() not in _OF_THE_BODY
        )
    if addresses.origin_of(target) != addresses.origin_of(hop.url):
        headers = carried_headers.carried(
            headers,
            base=hop.url,
            target=target,
            person=call.sensitive,
            marked=call.sent_along,
            defaults=_DEFAULTS,
        )
        if content:
            raise final_failure(
                Code.REDIRECT_WITHOUT_TARGET,
                f"The server wants the upload sent to another server, {addresses.origin_of(target).authority}.",
                "pol.redirected-upload",
                target,
                hint="Upload to an address there, if you trust that server.",
            )
    reach = hop.reach
    if reach.anywhere and server_confines(hop, head.remote_address, behind):
        # public to private is refused for typed ones too (R2)
        reach = Reach(anywhere=False, allowed=reach.allowed)
    proxy = proxy_for_request(call, target, reach)
    return Hop(
        url=target, method=method, headers=headers, content=content, reach=reach, proxy=proxy
    )


def straight_hop(call: Call, first: Hop) -> Hop:
    """To where a redirect of the first hop led before, as if it had led there again.

    Which network the first one is in is not known without asking it, so a target of its own name
    alone may be private.
    """
    target = addresses.redirect_target(
        first.url, call.resumes_at, allows_insecure=call.allows_insecure_redirects
    )
    headers, reach = first.headers, first.reach
    if call.strayed or addresses.origin_of(target) != addresses.origin_of(first.url):
        headers = carried_headers.carried(
            headers,
            base=first.url,
            target=target,
            person=call.sensitive,
            marked=call.sent_along,
            defaults=_DEFAULTS,
        )
        if addresses.origin_of(target).host != addresses.origin_of(first.url).host:
            reach = Reach(anywhere=False, allowed=reach.allowed)
    proxy = proxy_for_request(call, target, reach)
    return replace(first, url=target, headers=headers, reach=reach, proxy=proxy)


def server_confines(hop: Hop, remote_address: str, behind: str = "") -> bool:
    """Whether what this server names must not lead into a private network. `behind` is its address
    behind a proxy, where it was looked up here; else its name alone can say that it is private
    itself.
    """
    if not hop.reach.anywhere:
        return True
    if not hop.proxy:
        return not remote_address or is_public_address(remote_address)
    host = behind or addresses.origin_of(hop.url).host
    return not proxies.is_judged_here(host) or is_public_host(host)
