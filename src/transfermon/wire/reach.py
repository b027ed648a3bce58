"""Where a request may connect to: anywhere, or the open Internet and what the person allowed."""

from __future__ import annotations

import ipaddress

from transfermon.model.record import record

_DENIED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "::/96",  # IPv4-compatible
        "2002::/16",  # 6to4 carries an IPv4 address
        "64:ff9b::/96",  # so does NAT64
        "64:ff9b:1::/48",
        "fec0::/10",  # site-local
        "5f00::/16",  # segment routing
        "192.88.99.0/24",  # 6to4 relays
    )
)


def is_public_address(address: str) -> bool:
    """Whether an IP address belongs to the open Internet (R2); `is_global` alone lets too much
    through.
    """
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(
        address.partition("%")[0]
    )
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    denied = any(ip.version == network.version and ip in network for network in _DENIED)
    return ip.is_global and not ip.is_multicast and not denied


def is_public_host(host: str) -> bool:
    """Whether a host that is written as an address is a public one."""
    try:
        return is_public_address(host)
    except (
        ValueError
    ):  # no address as such are written: a name of the proxy's own network, or an odd spelling
        return False


@record
class Reach:
    """Where a request may connect to. Connections are never shared between different ones."""

    anywhere: bool = True  # the user typed the address
    allowed: frozenset[str] = frozenset()  # "host:port" that may be private all the same

    def permits(self, host: str, port: int, address: str) -> bool:
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return self.anywhere or name.lower() in self.allowed or is_public_address(address)
