"""Which proxy a request goes through, and what may be shown of it.

Rule: of a proxy's address nothing but its kind, host and port is ever shown or stored beside other
settings: what stands before the last @ is a secret, whatever characters it holds.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from urllib.parse import quote, unquote, urlsplit

from transfermon.http.addresses import ServerOrigin
from transfermon.model.errors import Code, Retry, TransferError, redacted
from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.model.record import record


@record
class ProxyKind:
    """What a kind of proxy can do. One that does not speak HTTP has its talk in
    `wire/proxy_talks`.
    """

    port: int = 1080
    speaks_http: bool = False
    resolves: bool = True  # it is given names, so that nobody here sees where they lead
    only_ipv4: bool = False
    longest: int | None = None  # bytes of a name or password that it can carry


KINDS = {
    "http": ProxyKind(port=80, speaks_http=True),
    "https": ProxyKind(port=443, speaks_http=True),
    "socks4": ProxyKind(resolves=False, only_ipv4=True, longest=255),
    "socks4a": ProxyKind(longest=255),
    "socks5": ProxyKind(resolves=False, longest=255),  # RFC 1929 §2
    "socks5h": ProxyKind(longest=255),
}
_ALIASES = {"socks": "socks5h"}  # what desktops write
_SCHEME = lazy_pattern(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_HOST = lazy_pattern(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:@]+)(?::([0-9]{1,5}))?")


@record
class Proxy:
    """One that was named by a person or by their desktop."""

    kind: str  # one of `KINDS`
    host: str  # an IPv6 address without brackets
    port: int
    user: str | None = field(default=None, repr=False)  # None: without credentials
    password: str = field(default="", repr=False)

    @property
    def authority(self) -> str:
        """`host:port`, all that people are shown."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def bare(self) -> str:
        """The address without credentials."""
        return f"{self.kind}://{self.authority}"

    @property
    def speaks_http(self) -> bool:
        return KINDS[self.kind].speaks_http

    @property
    def resolves(self) -> bool:
        """Whether it is given names, so that nobody here sees where they lead."""
        return KINDS[self.kind].resolves

    @property
    def only_ipv4(self) -> bool:
        """Whether it takes no other addresses."""
        return KINDS[self.kind].only_ipv4

    def with_login(self, user: str, password: str) -> str:
        """The address with these credentials."""
        return f"{self.kind}://{quote(user, safe='')}:{quote(password, safe='')}@{self.authority}"


def parse(text: str) -> Proxy:
    """The proxy that an address names. Raises ValueError with a sentence that holds nothing of the
    address.

    Without a scheme it is an http proxy.
    """
    match = _SCHEME.match(text.strip())
    kind = match[1].lower() if match else "http"
    kind = _ALIASES.get(kind, kind)
    if kind not in KINDS:
        *others, last = KINDS
        raise ValueError(f"Only {', '.join(others)} and {last} proxies can be used.")
    rest = text.strip()[match.end() if match else 0 :]
    login, at, place = rest.rpartition("@")  # a password may hold / ? # and @
    found = _HOST.fullmatch(re.split(r"[/?#]", place, maxsplit=1)[0])
    port = int(found[2] or KINDS[kind].port) if found else 0
    if found is None or not 0 < port < 65536:
        raise ValueError("The proxy's address is not valid.")
    user, _, password = login.partition(":")
    proxy = Proxy(
        kind=kind,
        host=found[1].strip("[]").lower(),
        port=port,
        user=unquote(user) if at else None,
        password=unquote(password),
    )
    longest = KINDS[kind].longest
    if longest and max(len((proxy.user or "").encode()), len(proxy.password.encode())) > longest:
        raise ValueError("A SOCKS proxy takes a user name and a password of 255 bytes at the most.")
    return proxy


def shown(text: str) -> str:
    """The kind, host and port of a proxy's address; "" for what is none."""
    try:
        return parse(text).bare if text else ""
    except ValueError:
        return ""


def named_by(environment: Mapping[str, str], origin: ServerOrigin) -> str:
    """The address of the proxy that the environment names for such addresses; "" when it names
    none, or when `no_proxy` names the host. Small letters go before capitals; HTTP_PROXY counts for
    nothing where a web server sets it.
    """
    if is_loopback(origin.host):
        return ""
    names = [f"{origin.scheme}_proxy", f"{origin.scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    if "REQUEST_METHOD" in environment:
        names = [name for name in names if name != "HTTP_PROXY"]
    proxy = next(
        (environment[name].strip() for name in names if environment.get(name, "").strip()), ""
    )
    exceptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if not proxy or excepted(origin.host, exceptions):
        return ""
    return proxy if _SCHEME.match(proxy) else f"http://{proxy}"


def excepted(host: str, exceptions: str) -> bool:
    """Whether `no_proxy` names the host, as curl 8 reads it: names with all below them, addresses,
    networks as address/bits; commas between them, with or without blanks; one dot at either end
    does not count.
    """
    if exceptions == "*":
        return True
    address = _address(host)
    name = host.removesuffix(".") if address is None else host
    return any(
        _named(name, token) if address is None else _inside(address, token)
        for token in _tokens(exceptions)
    )


def _tokens(exceptions: str) -> list[str]:
    found = []
    for part in exceptions.split(","):
        words = re.split(r"[ \t]+", part.strip(" \t"))
        if words[0]:
            found.append(words[0])
        if len(words) > 1:  # a blank inside is no separator: the list ends there
            break
    return found


def _named(host: str, token: str) -> bool:
    name = token.removesuffix(".").removeprefix(".").lower()
    host = host.lower()
    return host == name or (bool(name) and host.endswith(f".{name}"))


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _inside(address: Address, token: str) -> bool:
    text, slash, bits = token.partition("/")
    if slash and not re.fullmatch(r"[0-9]{1,3}", bits):
        return False
    length = int(bits) if slash else 0
    network = _address(text)
    if network is None or network.version != address.version or length > address.max_prefixlen:
        return False
    shift = address.max_prefixlen - (length or address.max_prefixlen)  # no bits: all of them
    return int(address) >> shift == int(network) >> shift


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


@functools.lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host is this machine, which is never reached through a proxy."""
    host = host.removesuffix(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def is_judged_here(host: str) -> bool:
    """Whether a host says by itself where it leads, however a proxy would look it up: an address in
    any of its spellings, and a name without a dot, which is one of the proxy's own network.
    """
    name = host.removesuffix(".")
    last = name.rpartition(".")[2]
    return (
        _address(host) is not None
        or "." not in name
        or re.fullmatch(r"[0-9]+|0[xX][0-9A-Fa-f]*", last) is not None
    )


# ---- failures in words


ADDRESS_HINT = (
    "Name another proxy, such as http://host:port or socks5h://host:port, in the settings or in the variables http_proxy, "
    "https_proxy and all_proxy."
)
SETTINGS_HINT = (
    "Check the proxy in the settings, or in the variables http_proxy, https_proxy and all_proxy."
)
_LOGIN = "Try again and give them, or put them into the proxy's address."
# of one that does not speak HTTP: code, reason, retry, words, hint
_ANSWERS: dict[str, tuple[Code, str, Retry, str, str]] = {
    "forbidden": (
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.FINAL,
        "{proxy} does not allow connections to {host}.",
        "Ask whoever runs the proxy, or go without it.",
    ),
    "network unreachable": (
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.RETRY,
        "{proxy} has no way to the network of {host}.",
        "Check the address, or go without the proxy.",
    ),
    "host unreachable": (
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.RETRY,
        "{proxy} cannot find or reach {host}.",
        "Check the address, or go without the proxy.",
    ),
    "refused": (
        Code.CANNOT_CONNECT,
        "net.refused",
        Retry.RETRY,
        "The server at {host} refused the connection from {proxy}.",
        "Check the port, or try again later.",
    ),
    "timed out": (
        Code.TIMED_OUT,
        "net.timeout",
        Retry.RETRY,
        "{proxy} could not reach {host} in time.",
        "Try again later, or go without the proxy.",
    ),
    "address type": (
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.FINAL,
        "{proxy} takes no address of the kind that {host} has.",
        "Use the proxy as socks5h, or another one.",
    ),
    "login": (
        Code.AUTHENTICATION_REQUIRED,
        "net.proxy-auth",
        Retry.FINAL,
        "{proxy} does not accept this user name and password.",
        _LOGIN,
    ),
    "no login": (
        Code.AUTHENTICATION_REQUIRED,
        "net.proxy-auth",
        Retry.FINAL,
        "{proxy} needs a user name and password.",
        _LOGIN,
    ),
    "method": (
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.FINAL,
        "{proxy} wants a way to sign in that Transfermon does not have.",
        "Use another proxy.",
    ),
    "other": (
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.RETRY,
        "{proxy} could not open the way to {host}.",
        "Try again later, or go without the proxy.",
    ),
    "no socks": (
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.FINAL,
        "What answers as {proxy} does not speak its protocol.",
        SETTINGS_HINT,
    ),
}


def answered(proxy: Proxy, word: str, url: str) -> TransferError:
    """The failure that the answer of a proxy without HTTP is; `word` is one of this table's, as the
    talks give them.
    """
    if word == "login" and proxy.user is None:
        word = "no login"
    code, reason, retry, words, hint = _ANSWERS[word]
    message = words.format(proxy=f"the proxy at {proxy.authority}", host=urlsplit(url).hostname)
    return TransferError(
        code=code,
        message=capital(message),
        reason=reason,
        hint=hint,
        url=redacted(url),
        retry=retry,
    )


def refuses_login(proxy: Proxy, status: int, server: str) -> bool:
    """Whether a 401 is the proxy's own: tinyproxy says so of a wrong password and 407 of a missing
    one. The password of a proxy must not be asked for in the name of a server.
    """
    return status == 401 and proxy.user is not None and server.lower().startswith("tinyproxy")


def answers_itself(status: int, header: Callable[[str], str]) -> bool:
    """Whether an answer that came through a proxy is its own: what it says of a server that it did
    not reach, and of itself. Squid and RFC 9209 have a field for it; tinyproxy names itself, and
    adds Via to what others said.
    """
    if status == 407 or header("X-Squid-Error") or "error=" in header("Proxy-Status").lower():
        return True
    return status >= 400 and header("Server").lower().startswith("tinyproxy") and not header("Via")


def capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
