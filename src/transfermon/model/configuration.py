"""What a session is told to do: headers, limits, policies; and the scheduler's numbers, all in one
place.

Rule: a session works on a copy (S-05); nothing here does I/O.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from transfermon.model.checked_text import checked_path, checked_text
from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.model.option_table import MOST_CONNECTIONS
from transfermon.model.record import record
from transfermon.model.request_options import RequestOptions

USUAL_CONNECTIONS = 6  # to one host, as browsers have, where nobody set a number

# Section 2.4 of the specification: Apple publishes no numbers, so these are ours, and the settings
# show them.
BACKGROUND_HANDLER_BUDGET = 30.0  # seconds of wall clock for a fetch or push handler
SESSION_HANDLER_LIMIT = 120.0  # seconds from backgroundtransfer to the end of its handler
FETCH_FLOOR = 900.0  # seconds between two background fetches at the least
BACKGROUND_FETCH_INTERVAL_MIN = 0.0
BACKGROUND_FETCH_INTERVAL_NEVER = float("inf")
OVERRUNS_COUNTED = 6  # each doubles the interval; more do not
OVERRUN_MEMORY = 86_400.0  # seconds without an overrun that clear them
PUSHES_PER_HOUR = 3
PUSH_WINDOW = 3_600.0  # seconds that the budget of silent pushes looks back
WAKES_KEPT = 1_000  # lines of the wake ledger
# seconds that a task waits that was made in the background, after the first wake (measured)
RATE_LIMIT_FIRST = 60.0
RATE_LIMIT_MOST = 900.0  # it doubles with each further wake, up to this
PROGRESS_PER_SECOND = 10
LISTENER_LIMIT = 30.0  # seconds that a coroutine listener may hold its own task's later events
CHECKPOINT_SECONDS = 1.0

REFUSED_HEADERS = frozenset(  # ours to set (S-04, RFC 9110 §7.6.1, §14.2)
    {
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "upgrade",
        "range",
        "if-range",
    }
)
_TOKEN = lazy_pattern(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def checked_headers(headers: object, *, where: str = "request_headers") -> dict[str, str]:
    """A copy of a mapping of header names to values.

    Raises TypeError when it is not a mapping of str to str (S-02), ValueError when a name is
    refused (S-04) or is not a token, or when a value holds a line break or NUL (RFC 9110 §5.5).
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"{where} must be a mapping of str to str, not {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"{where} must map str to str; {name!r}: {value!r} does not")
        if name.lower() in REFUSED_HEADERS:
            raise ValueError(f"the header {name} is set by transfermon and cannot be given")
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not a header name")
        if re.search(r"[\r\n\0]", value):
            raise ValueError(f"the value of {name} holds a line break or NUL")
        checked_text(value, f"the value of {name}")
    return dict(headers)


def merged_headers(session: Mapping[str, str], request: Mapping[str, str]) -> dict[str, str]:
    """Request headers first; the session's fill in only what is missing, names compared without
    case (S-03).
    """
    if not session:
        return dict(request)
    given = {name.lower() for name in request}
    return {
        **{name: value for name, value in session.items() if name.lower() not in given},
        **request,
    }


@record
class RetryPolicy:
    """When to try again (X-08)."""

    minimum: float = 1.0  # seconds before the first retry, at the most
    maximum: float = 300.0
    attempts: int = 0  # give up after so many; 0: only the resource timeout ends it
    reset_bytes: int = 64 * 1024  # progress that forgives earlier failures
    unknown_host_attempts: int = 3  # NXDOMAIN is final after these


@dataclass(kw_only=True)
class SessionConfiguration:
    """Change it freely before a session is made from it; the session keeps its own copy."""

    identifier: str | None = None
    http_header_fields: dict[str, str] = field(default_factory=dict)
    timeout_interval_for_request: float = 60.0  # seconds without a byte
    # seconds for the whole task, suspensions not counted
    timeout_interval_for_resource: float = 604800.0
    # None: six, more for many small files while the server answers quickly, fewer when it says that
    # it is too much; a session's own copy reads as 6 then. A number holds as it is
    http_maximum_connections_per_host: int | None = None
    waits_for_connectivity: bool = False
    is_discretionary: bool = False
    session_sends_launch_events: bool = True
    allows_metered_access: bool = True
    http_should_set_cookies: bool = True
    proxy: str | None = (
        # a proxy's URL: http, https, socks4, socks4a, socks5 or socks5h; None: the system's; "":
        # none
        None
    )
    # absolute: a PEM file of authorities that this session trusts besides the system's
    ca_file: str = ""
    # absolute: a file that gets the keys of its TLS connections, for those who look into them
    tls_keys: str = ""
    send_along: tuple[str, ...] = ()  # names of headers that follow a redirect to another origin
    http_error_policy: str = "status"  # or "transport" (D-10)
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    maximum_redirects: int = 20
    # False: a redirect is the answer of an upload or data task (V-10)
    follows_redirects: bool = True
    resume_policy: str = "careful"  # or "strict", "lenient"
    # or "plain", or a resumable protocol, such as "tus", "ietf", or "ietf:6" for one of its
    # versions (U-14, U-24); checked when the session is made
    upload_protocol: str = "auto"
    # announce the SHA-256 of what is uploaded, where the protocol can (U-15)
    upload_digests: bool = False
    allows_insecure_redirects: bool = False  # https to http (T-14)
    is_ephemeral: bool = False
    download_folder: str = ""  # "": the desktop's download folder
    speed_limit: int = 0  # bytes per second for the session; 0: none
    # of one download; a longer one fails with -1103 and keeps what came; 0: any length
    maximum_bytes: int = 0
    # at once for one file; 0: as many as help
    connections: int = 0

    @classmethod
    def background(cls, identifier: str) -> Self:
        """A session that outlives the process. Raises TypeError or ValueError for a bad identifier
        (S-01).
        """
        if not isinstance(identifier, str):
            raise TypeError(f"the identifier must be a str, not {type(identifier).__name__}")
        if not identifier.strip():
            raise ValueError("the identifier must not be empty")
        if len(identifier) > 255 or any(ord(char) < 32 or ord(char) == 127 for char in identifier):
            raise ValueError("the identifier must be at most 255 printable characters")
        checked_text(identifier, "the identifier")
        return cls(identifier=identifier)

    @classmethod
    def default(cls) -> Self:
        """A session that lives as long as the process."""
        return cls()

    @classmethod
    def ephemeral(cls) -> Self:
        """A default session that keeps cookies and credentials in memory only."""
        return cls(is_ephemeral=True)

    @property
    def is_background(self) -> bool:
        return self.identifier is not None

    @property
    def connections_to_a_host(self) -> int:
        """The number that somebody set; 0: the one that turns out to be right."""
        return self.http_maximum_connections_per_host or 0

    def copy(self) -> Self:
        """An independent copy, checked: raises TypeError or ValueError where a setting is
        impossible.
        """
        self.check()
        return dataclasses.replace(self, http_header_fields=dict(self.http_header_fields))

    def check(self) -> None:
        if self.identifier is not None:
            checked_text(self.identifier, "the identifier")
        checked_path(self.download_folder, "the download folder")
        checked_headers(self.http_header_fields, where="http_header_fields")
        if self.http_error_policy not in ("status", "transport"):
            raise ValueError("http_error_policy is “status” or “transport”")
        if self.resume_policy not in ("careful", "strict", "lenient"):
            raise ValueError("resume_policy is “careful”, “strict” or “lenient”")
        most = self.http_maximum_connections_per_host
        if most is not None and most < 1:
            raise ValueError("http_maximum_connections_per_host is at least 1")
        if not 0 <= self.connections <= MOST_CONNECTIONS:
            raise ValueError(f"connections is 1 to {MOST_CONNECTIONS}, or 0 for as many as help")
        if self.timeout_interval_for_request <= 0 or self.timeout_interval_for_resource <= 0:
            raise ValueError("timeouts are seconds above zero")
        if not 0 <= self.maximum_redirects <= 50:
            raise ValueError("maximum_redirects is 0 to 50")
        if self.ca_file and not os.path.isabs(self.ca_file):
            raise ValueError("ca_file is an absolute path")
        RequestOptions(send_along=self.send_along, tls_keys=self.tls_keys).check()
        if self.maximum_bytes < 0:
            raise ValueError("maximum_bytes is 0 or more")
