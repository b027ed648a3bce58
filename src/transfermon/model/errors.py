"""What can go wrong, in words for people and numbers for programs.

Rule: the world fails with a `TransfermonError`, which is fit to show a person; our own or a
caller's mistakes fail as `InvalidAction`, `ValueError` or `TypeError` and are never dressed up as
the former.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from enum import Enum, IntEnum
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.model.record import record

DOMAIN = "NSURLErrorDomain"


class Code(IntEnum):
    """The numbers of NSURLErrorDomain that transfermon raises."""

    UNKNOWN = -1
    SESSION_IN_USE = -996
    SESSION_DISCONNECTED = -997
    CANCELLED = -999
    BAD_URL = -1000
    TIMED_OUT = -1001
    UNSUPPORTED_URL = -1002
    CANNOT_FIND_HOST = -1003
    CANNOT_CONNECT = -1004
    CONNECTION_LOST = -1005
    DNS_LOOKUP_FAILED = -1006
    TOO_MANY_REDIRECTS = -1007
    NOT_CONNECTED = -1009
    REDIRECT_WITHOUT_TARGET = -1010
    BAD_SERVER_RESPONSE = -1011
    AUTHENTICATION_CANCELLED = -1012
    AUTHENTICATION_REQUIRED = -1013
    CANNOT_DECODE_RAW_DATA = -1015
    CANNOT_DECODE_CONTENT = -1016
    CANNOT_PARSE_RESPONSE = -1017
    BODY_EXHAUSTED = -1021
    INSECURE_LOAD_REFUSED = -1022
    FILE_MISSING = -1100
    FILE_IS_DIRECTORY = -1101
    FILE_UNREADABLE = -1102
    DATA_TOO_LARGE = -1103
    TLS_FAILED = -1200
    TLS_BAD_DATE = -1201
    TLS_UNTRUSTED = -1202
    TLS_UNKNOWN_ROOT = -1203
    TLS_NOT_YET_VALID = -1204
    TLS_CLIENT_REJECTED = -1205
    TLS_CLIENT_REQUIRED = -1206
    CANNOT_CREATE_FILE = -3000
    CANNOT_OPEN_FILE = -3001
    CANNOT_CLOSE_FILE = -3002
    CANNOT_WRITE_FILE = -3003
    CANNOT_REMOVE_FILE = -3004
    CANNOT_MOVE_FILE = -3005


class Retry(Enum):
    """What a failure means for the next attempt."""

    WAIT = "wait"  # for the network; no attempt is counted
    RETRY = "retry"  # after a back-off, or when Retry-After says
    RESTART = "restart"  # from byte zero, once
    FINAL = "final"


@record
class TransferError:
    """Why a task failed. A plain value: stored, sent over the control socket, shown."""

    code: int
    message: str  # one sentence of what happened
    reason: str = ""  # a stable word for programs, such as "net.refused"
    # what can be done about the cause, and, once that is decided, what follows (`advice`)
    hint: str = ""
    said: str = ""  # the beginning of what the server answered, as one line of plain text
    url: str = ""  # redacted: no user information, no query values
    status: int | None = None  # HTTP status, where there was one
    retry: Retry = Retry.FINAL
    retry_after: float | None = None  # seconds, from Retry-After
    domain: str = field(default=DOMAIN)

    @property
    def retryable(self) -> bool:
        return self.retry is not Retry.FINAL


class TransfermonError(Exception):
    """Something outside failed. `title`, `hint` and `retryable` are fit to show a person."""

    code: int = Code.UNKNOWN
    retryable: bool = False

    def __init__(self, title: str, hint: str = "", *, code: int | None = None) -> None:
        super().__init__(title)
        self.title = title
        self.hint = hint
        if code is not None:
            self.code = code


class TransferFailure(TransfermonError):  # noqa: N818 - it carries an error, it is not one more kind of them
    """One attempt failed; `error` is the record of it."""

    def __init__(self, error: TransferError) -> None:
        super().__init__(error.message, error.hint, code=error.code)
        self.error = error
        self.retryable = error.retryable


class EngineBusyError(TransfermonError):
    """Another process owns the state directory (S-10, code -996)."""

    code = Code.SESSION_IN_USE


class StateError(TransfermonError):
    """The state directory cannot be used: not ours, not writable, damaged."""


class InvalidAction(RuntimeError):  # noqa: N818 - the name says what was done, as in asyncio.InvalidStateError
    """A call that the object's state does not allow: a mistake in the calling program."""


class SessionInvalidatedError(InvalidAction):
    """The session takes no more tasks (S-12)."""


class SessionInvalidatingError(InvalidAction):
    """A session with this identifier is still finishing (S-07)."""


# what most addresses are: all of it may be shown, and it is in its normal form
_NOTHING_TO_HIDE = lazy_pattern(
    r"https?://[a-z0-9.-]+(?::[1-9][0-9]{0,3}|:[1-5][0-9]{4})?/[!-\"$->A-~]*"
)


def _redacted(url: str) -> str:
    """The URL without user information and without the values in its query (X-01)."""
    if _NOTHING_TO_HIDE.fullmatch(url):
        return str(url)
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return url.partition("?")[0][:200]
    if ":" in host:
        host = f"[{host}]"
    query = "&".join(
        pair.partition("=")[0] + ("=…" if "=" in pair else "") for pair in parts.query.split("&")
    )
    return urlunsplit((parts.scheme, host + port, parts.path, query, ""))


# it is shown again and again; typed here: the cache's own type takes anything
redacted: Callable[[str], str] = lru_cache(maxsize=1024)(_redacted)
