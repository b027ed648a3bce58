"""What a `Resource` answers in place of its file: hooks for `Resource.before`.

The one rule to keep: a hook answers the paths that begin with `only` and leaves the others to the
resource.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.helpers.byte_server import Conn, Request

Hook = Callable[[Conn, Request], bool]


def answers(data: bytes, *, only: str = "/") -> Hook:
    """These bytes, whatever was asked for."""

    def hook(conn: Conn, request: Request) -> bool:
        if not request.target.startswith(only):
            return False
        conn.send(data)
        return True

    return hook


def stalls(*, only: str = "/") -> Hook:
    """No answer at all."""

    def hook(conn: Conn, request: Request) -> bool:
        if not request.target.startswith(only):
            return False
        conn.stall()
        return True

    return hook
