"""One request to a server on this machine, as plainly as can be, and what came of it."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass

TIMEOUT = 20.0


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int  # 0: no answer that can be read
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    whole: bool = True  # whether it came to the end that its head had named

    def field(self, name: str) -> str:
        return ", ".join(value for key, value in self.fields if key.lower() == name.lower())


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    fields: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Reply:
    """The answer with its whole body, undecoded; status 0 where nobody answers in HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    asked = {
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **(fields or {}),
    }
    whole = True
    try:
        connection.request(method, path, body=body, headers=asked)
        answer = connection.getresponse()
        try:
            got = answer.read()
        except http.client.IncompleteRead as exc:
            got, whole = exc.partial, False
        return Reply(status=answer.status, fields=tuple(answer.getheaders()), body=got, whole=whole)
    except (OSError, http.client.HTTPException):
        return Reply(status=0, whole=False)
    finally:
        connection.close()
