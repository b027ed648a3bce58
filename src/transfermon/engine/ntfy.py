"""What ntfy's server says, line by line, and what of it a push is (its publishing and subscribing
pages, 2.13 to 2.17).

Rule: plain values in, plain values out. A line that is not understood is none.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from transfermon.model import json_text
from transfermon.model.push_payload import LIMIT, Payload, parse_payload, payload_of
from transfermon.model.record import record

OPEN, KEEPALIVE, MESSAGE, DELETE = "open", "keepalive", "message", "message_delete"
# what stands in a message that has no text of its own
_FILLERS = ("You received a file: {name}", "triggered")
_TEXTS = ("text/plain", "application/json")


@record
class NtfyLine:
    """One line of the stream. Times are epoch seconds by the server's clock; 0 is none."""

    event: str
    identifier: str = ""
    time: float = 0.0
    expires: float = 0.0
    topic: str = ""
    sequence: str = (
        # of all that are one message, its updates and its deletion: the first one's identifier, or
        # their own
        ""
    )
    said: Mapping[str, Any]


def line_of(text: bytes) -> NtfyLine | None:
    """Raises ValueError for what is no JSON, or nested too deeply; None for JSON that is no line of
    ntfy's.
    """
    said = json_text.loads(text)
    if not isinstance(said, dict) or not isinstance(said.get("event"), str):
        return None
    identifier = _text(said.get("id"))
    if said["event"] in (MESSAGE, DELETE) and not identifier:
        return None
    return NtfyLine(
        event=said["event"],
        identifier=identifier,
        time=_number(said.get("time")),
        expires=_number(said.get("expires")),
        topic=_text(said.get("topic")),
        sequence=_text(said.get("sequence_id")) or identifier,
        said=said,
    )


def payload_in(said: Mapping[str, Any], now: float = 0.0) -> Payload:
    """The payload of a message: its text when that is a JSON object, else title and text as an
    alert. The address of a file that hangs on it is the `download_url` of a push that wakes, unless
    the payload names one.

    Raises ValueError, with a sentence: for bytes that are no text, a payload over 4,096 bytes (the
    server has made a file of it then), a file whose time on the server is over and that has no
    words of its own.
    """
    text, attachment = _body(said), _attachment(said)
    name, url = _text(attachment.get("name")), _text(attachment.get("url"))
    if attachment and _was_a_payload(text, attachment):
        size = int(_number(attachment.get("size")))
        raise ValueError(
            f"The payload has {size} bytes; at most {LIMIT} are allowed, and the server made a file of it."
        )
    gone = 0 < _number(attachment.get("expires")) < now
    if text.lstrip().startswith("{"):
        payload = parse_payload(text)
        if url and not gone and "download_url" not in payload.custom:
            return payload_of({**payload.original, "download_url": url})
        return payload
    title = _text(said.get("title"))
    if not url:
        return payload_of({"alert": {"title": title, "body": text}})
    body = "" if text in (filler.format(name=name) for filler in _FILLERS) else text
    alert: Any = {"title": title, "body": body} if title or body else ""
    if not gone:
        return payload_of({"alert": alert, "content-available": 1, "download_url": url})
    if not alert:
        raise ValueError("The file that came with it has expired on the server.")
    return payload_of({"alert": alert})


def _body(said: Mapping[str, Any]) -> str:
    text = _text(said.get("message"))
    if said.get("encoding") != "base64":
        return text
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise ValueError("It holds bytes that are no text.") from None


def _attachment(said: Mapping[str, Any]) -> Mapping[str, Any]:
    found = said.get("attachment")
    return found if isinstance(found, dict) else {}


def _was_a_payload(text: str, attachment: Mapping[str, Any]) -> bool:
    """Whether the server made a file of a text that was too long for a message: it names such a
    file itself.
    """
    name = _text(attachment.get("name"))
    kind = _text(attachment.get("type")).partition(";")[0].strip().lower()
    made = name in ("attachment", "attachment.txt", "attachment.json") and kind in _TEXTS
    return (
        made and _number(attachment.get("size")) > 0 and text in ("", _FILLERS[0].format(name=name))
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float:
    return (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e12
        else 0.0
    )
