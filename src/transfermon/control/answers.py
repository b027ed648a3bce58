"""What the control API answers: a status and a body, a refusal as an RFC 9457 problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from transfermon.model.record import record


@record
class ApiAnswer:
    """What goes back. `then` is called once the answer is on its way."""

    status: int = 200
    body: Mapping[str, Any] = field(default_factory=dict)
    allow: str = ""
    then: Callable[[], None] | None = None


def problem_answer(
    status: int, title: str, detail: str = "", *, code: int | None = None, allow: str = ""
) -> ApiAnswer:
    body: dict[str, Any] = {
        "type": "about:blank",
        "status": status,
        "title": title,
        "detail": detail,
    }
    if code is not None:
        body["code"] = code
    return ApiAnswer(status=status, body=body, allow=allow)
