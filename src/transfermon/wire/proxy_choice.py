"""Which proxy a request goes through, and whether it may."""

from __future__ import annotations

import os

from transfermon.http import addresses, proxies
from transfermon.model.errors import Code, TransferFailure
from transfermon.model.task import Origin
from transfermon.wire.call import Call
from transfermon.wire.failures import private_address_error
from transfermon.wire.reach import Reach, is_public_host


def proxy_for_request(call: Call, url: addresses.Address, reach: Reach) -> str:
    proxy = configured_proxy(call, addresses.origin_of(url))
    if proxy and not reach.anywhere:
        _refuse_behind_proxy(proxy, url, reach, given=call.origin is not Origin.TYPED)
    return proxy


def configured_proxy(call: Call, origin: addresses.ServerOrigin) -> str:
    if call.proxy == "" or proxies.is_loopback(origin.host):
        return ""
    if call.proxy is not None:
        return call.proxy
    proxy = proxies.named_by(os.environ, origin)
    return call.proxy_logins.get(proxies.shown(proxy), proxy)


def _refuse_behind_proxy(proxy: str, url: addresses.Address, reach: Reach, *, given: bool) -> None:
    # A proxy that resolves the name sees alone where it leads (R3). What others name needs a
    # permission; a redirect of a typed address is refused only where the host says by itself that
    # its target is private.
    origin = addresses.origin_of(url)
    if origin.authority in reach.allowed or not _resolves(proxy):
        return
    if proxies.is_judged_here(origin.host) and not is_public_host(origin.host):
        raise TransferFailure(private_address_error(origin.host, url))
    if given:
        raise addresses.refused(
            url,
            Code.CANNOT_CONNECT,
            "Addresses from others are not loaded through a proxy, where nobody can check what they lead to.",
            f"Allow {origin.authority} in the settings if you trust it.",
            "pol.proxy",
        )


def _resolves(proxy: str) -> bool:
    try:
        return proxies.parse(proxy).resolves
    except ValueError:
        return True  # it is refused in words before anything is sent
