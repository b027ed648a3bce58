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

TAKEOVER = 256 * 1024  # bodies above it go through the pump; below it a kept connection is worth more


@record
class FileBody:
    """A part of an open file as the body of a request.

    `check` is called on another thread before the bytes that were read go out, and told whether they are the last; it
    raises TransferFailure when this is no more the file that was meant.
    """

    fd: int
    offset: int
    length: int
    check: Callable[[bool], None] = field(repr=False)


Content = AsyncIterator[bytes] | FileBody


@record
class Call:
    """One request, ready to be sent. Header values stay in here and reach no log and no error."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    content: bytes | Callable[[], Content] | None = field(default=None, repr=False)
    content_length: int | None = None  # of a callable's bytes; without it they go out chunked
    sending: Progress | None = field(default=None, repr=False)  # counts what of the content was given to the network
    limiters: Sequence[Limiter] = field(default=(), repr=False)  # of the content
    on_interim: Callable[[Response, bool], None] | None = field(default=None, repr=False, compare=False)  # told each
    # interim answer as soon as it is there, perhaps twice, and whether its server is a public one
    follows_redirects: bool = True
    session: str = ""  # connections are never shared between sessions
    origin: Origin = Origin.TYPED
    allowed: frozenset[str] = frozenset()  # "host:port" that a given address may reach although it is private
    confined: bool = False  # a typed address that a public server named: it must not lead into a private network
    proxy: str | None = field(default=None, repr=False)  # None: the system's; "": none
    ca_file: str = ""  # of authorities that are trusted besides the system's
    tls_keys: str = ""  # a file that gets the keys of the connections
    proxy_logins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)  # the system's
    idle_timeout: float = 60.0  # seconds without a byte
    maximum_redirects: int = 20
    allows_insecure_redirects: bool = False
    cookies: bool = False  # whether the session's are sent and kept
    own_cookies: Sequence[Cookie] = field(default=(), repr=False)  # of a file, for whatever host they fit
    sensitive: frozenset[str] = frozenset()  # lower-case names of the person's headers: few follow to another origin
    sent_along: frozenset[str] = frozenset()  # lower-case names of those that the person lets follow all the same
    resumes_at: str = field(default="", repr=False)  # where a redirect of `url` led before: asked in its place
    strayed: bool = False  # another origin was on the way there, so that what stayed behind does not come back
    secret_path: bool = False  # the address is as good as a password: no trace shows more than its origin (U-25)
    traces: list[Trace] | None = field(default=None, repr=False, compare=False)  # gets one for each request sent
