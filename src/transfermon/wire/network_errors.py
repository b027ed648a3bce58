"""What goes wrong on a connection, by kind; `failures` puts it into words.

Rule: a class says what happened and no more. The error of the system, of TLS or of the parser that
showed it is its cause.
"""

from __future__ import annotations


class NetworkError(Exception):
    """The network did not do its part: a connection could not be made, or broke."""


class ConnectError(NetworkError):
    """No connection, or no TLS on it."""


class ReadError(NetworkError):
    """The connection broke while something was expected."""


class ClosedEarly(ReadError):  # noqa: N818 - what the server did
    """The server ended the connection before the end of the head or of the body."""


class WriteError(NetworkError):
    """The connection broke, or the answer came, before all was sent."""


class TooSlow(Exception):  # noqa: N818 - what the other end is
    """Nothing happened in time."""


class ConnectTimeout(TooSlow):
    """No connection in time."""


class ReadTimeout(TooSlow):
    """No byte came in time."""


class WriteTimeout(TooSlow):
    """No byte was taken in time."""


class BadAnswer(Exception):  # noqa: N818 - what it is
    """An answer that is not one of HTTP/1.1."""


class NotHTTP(BadAnswer):
    """The first bytes of the answer are not those of an HTTP/1 answer."""


class HeadTooLarge(BadAnswer):
    """More header bytes or interim answers than allowed."""


class BadRequest(Exception):  # noqa: N818 - what it is
    """A request of ours that cannot be sent as it is."""


class ProxyRefused(Exception):  # noqa: N818 - an answer, not a failure of ours
    """An http proxy opens no way: its status and reason."""


class TalkRefused(Exception):  # noqa: N818 - as above
    """A proxy that does not speak HTTP says no: `reason` is a word of `proxies.answered`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotTheProtocol(Exception):  # noqa: N818 - what it is
    """What answers as a proxy does not speak its protocol."""
