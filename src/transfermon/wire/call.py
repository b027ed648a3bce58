"""What is asked: one request, ready to be sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import field
from types import MappingProxyType

from transfermon.http.cookies import Cookie
from transfermon.model.metrics import Trace
from transfermon.model.record import record
from transfermon.model.task import Origin, Progress, Response
from transfermon.wire.rate_limit import Limiter

# bodies above it go through the pump; below it a kept connection is worth more
TAKEOVER = 256 * 1024


@record
class FileBody:
    """A part of an open file as the body of a request.

    `check` is called on another thread before the bytes that were read go out, and told whether
    they are the last; it raises TransferFailure when this is no more the file that was meant.
    """

    fd: int
    offset: int
    length: int
    check: Callable[[bool], None] = field(repr=False)


Content = AsyncIterator[bytes] | FileBody | bytes


@record
class Call:
    """One request, ready to be sent. Header values stay in here and reach no log and no error."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    content: bytes | Callable[[], Content] | None = field(default=None, repr=False)
    content_length: int | None = None  # of a callable's bytes; without it they go out chunked
    # counts what of the content was given to the network
    sending: Progress | None = field(default=None, repr=False)
    limiters: Sequence[Limiter] = field(default=(), repr=False)  # of the content
    # told each
    on_interim: Callable[[Response, bool], None] | None = field(
        default=None, repr=False, compare=False
    )
    # interim answer as soon as it is there, perhaps twice, and whether its server is a public one
    follows_redirects: bool = True
    session: str = ""  # connections are never shared between sessions
    origin: Origin = Origin.TYPED
    # "host:port" that a given address may reach although it is private
    allowed: frozenset[str] = frozenset()
    # a typed address that a public server named: it must not lead into a private network
    confined: bool = False
    proxy: str | None = field(default=None, repr=False)  # None: the system's; "": none
    ca_file: str = ""  # of authorities that are trusted besides the system's
    tls_keys: str = ""  # a file that gets the keys of the connections
    # the system's
    proxy_logins: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}), repr=False
    )
    idle_timeout: float = 60.0  # seconds without a byte
    maximum_redirects: int = 20
    allows_insecure_redirects: bool = False
    cookies: bool = False  # whether the session's are sent and kept
    # of a file, for whatever host they fit
    own_cookies: Sequence[Cookie] = field(default=(), repr=False)
    # lower-case names of the person's headers: few follow to another origin
    sensitive: frozenset[str] = frozenset()
    # lower-case names of those that the person lets follow all the same
    sent_along: frozenset[str] = frozenset()
    # where a redirect of `url` led before: asked in its place
    resumes_at: str = field(default="", repr=False)
    # another origin was on the way there, so that what stayed behind does not come back
    strayed: bool = False
    # the address is as good as a password: no trace shows more than its origin (U-25)
    secret_path: bool = False
    # gets one for each request sent
    traces: list[Trace] | None = field(default=None, repr=False, compare=False)
