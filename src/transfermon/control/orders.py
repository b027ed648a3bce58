"""What may be asked of the control API: a body becomes a record, or is refused with a sentence.

Rule: JSON becomes a record at one place, and every refusal names the field.
"""

from __future__ import annotations

import base64
import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from transfermon.control.answers import ApiAnswer, problem_answer
from transfermon.control.json_records import SECRET_ERRORS
from transfermon.engine.new_task import NewTask
from transfermon.http.addresses import check_url, without_credentials
from transfermon.http.cookies import Cookie, from_dict
from transfermon.model import json_text, request_options
from transfermon.model.checked_text import checked_path, without_text
from transfermon.model.errors import Code, InvalidAction, TransfermonError
from transfermon.model.option_table import camel_case
from transfermon.model.record import record
from transfermon.model.request_options import headers_with_type
from transfermon.model.task import Kind, Origin, State, Task, changed

T = TypeVar("T")
CLI_SESSION = "cli"  # where tasks go that name no session


class OrderRefused(Exception):  # noqa: N818 - an answer, not a failure of ours
    def __init__(self, status: int, title: str, detail: str = "", allow: str = "") -> None:
        super().__init__(title)
        self.answer = problem_answer(status, title, detail, allow=allow)


@record
class Order:
    """What `POST /v1/tasks` asks for."""

    new: NewTask
    method: str = ""  # as it was given: "" leaves a task that is there with its own
    session: str = CLI_SESSION
    join: bool = False  # the unfinished task that it means, where there is one

    @property
    def file(self) -> str:
        """Of an upload, absolute."""
        return str(self.new.source or "")

    @property
    def bare_url(self) -> str:
        """As the record has it. Raises as `check_url`."""
        return without_credentials(check_url(self.new.url))[0]

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers, and the credentials in the address as one of them. Raises as `check_url`."""
        given = dict(self.new.request_headers or {})
        authorization = without_credentials(check_url(self.new.url))[1]
        named = {name.lower() for name in given}
        if authorization and "authorization" not in named:
            return {"Authorization": authorization, **given}
        return given


# fields of `NewTask` whose JSON says something else than their own plain value, or that only the
# engine's own process may use
_BY_HAND = {"url", "kind", "method", "name", "description", "priority", "user_initiated"}
_PLAIN = {  # by name, the one in JSON and what stands for it
    item.name: (camel_case(item.name), item.default)
    for item in dataclasses.fields(NewTask)
    if isinstance(item.default, str | bool | int) and item.name not in _BY_HAND
}


def order_of(body: dict[str, Any]) -> Order:
    """Raises ValueError with a sentence."""
    fields = Fields(body)
    url, kind = fields.text("url"), _kind(fields.text("kind"))
    method, file = fields.text("method"), fields.text("file")
    headers, data = fields.headers("headers"), fields.data()
    destination, sha256 = fields.text("destination"), fields.text("sha256")
    options = request_options.from_dict(fields.options("options"))
    new = NewTask(
        kind=kind,
        url=url,
        method=method or ("PUT" if kind is Kind.UPLOAD else "POST"),
        source=file or None,
        data=data,
        destination=destination or None,
        expected_digest=f"sha-256:{sha256}" if sha256 else None,
        request_headers=headers_with_type(headers, data, options) if kind is Kind.DATA else headers,
        origin=Origin(fields.text("origin") or Origin.TYPED.value),
        options=options,
        cookies=fields.cookies("cookies"),
        user_initiated=True,
        **{name: fields.plain(shown, default) for name, (shown, default) in _PLAIN.items()},
    )
    order = Order(
        new=new,
        method=method,
        session=fields.text("session") or CLI_SESSION,
        join=fields.flag("join"),
    )
    fields.end()
    for path, words in ((destination, "the destination"), (file, "the file")):
        checked_path(path, words)
        if path and not os.path.isabs(path):
            raise ValueError(f"{words.capitalize()} must be an absolute path.")
    return order


def orders_of(bodies: Iterable[dict[str, Any]]) -> list[Order]:
    """As `order_of`, of `checked_body`. One that differs from the one before in its address alone
    is not read anew: a command may name thousands.
    """
    orders: list[Order] = []
    before: dict[str, Any] = {}
    for body in bodies:
        url = body.get("url")
        if orders and isinstance(url, str) and url.isascii() and {**before, "url": url} == body:
            orders.append(changed(orders[-1], new=changed(orders[-1].new, url=url)))
        else:
            orders.append(order_of(checked_body(body)))
        before = body
    return orders


def _kind(text: str) -> Kind:
    try:
        return Kind(text or Kind.DOWNLOAD.value)
    except ValueError:
        raise ValueError("“kind” must be download, upload or data.") from None


def same_task(tasks: Sequence[Task], order: Order) -> Task | None:
    """The unfinished task that an order means: the same session, address and absolute target.

    One that failed for its credentials is not it when the order brings some.
    """
    if order.new.kind is not Kind.DOWNLOAD:
        return next((task for task in reversed(tasks) if _same_upload(task, order)), None)
    if not order.new.destination:
        return None
    destination = str(order.new.destination)
    folder, name = destination, ""
    if not destination.endswith(os.sep) and not os.path.isdir(destination):
        folder, name = os.path.split(destination)
    folder = os.path.abspath(folder)
    digest = (order.new.expected_digest or "").lower()

    def fits(task: Task) -> bool:
        if (task.kind, task.session, task.url, task.folder) != (
            Kind.DOWNLOAD,
            order.session,
            order.bare_url,
            folder,
        ):
            return False
        if (name and task.name != name) or task.expected_digest != digest:
            return False
        if task.error is not None:
            return task.error.code != Code.CANCELLED and not (
                order.all_headers and task.error.code in SECRET_ERRORS
            )
        return task.state in (State.RUNNING, State.SUSPENDED)

    return next((task for task in reversed(tasks) if fits(task)), None)


def _same_upload(task: Task, order: Order) -> bool:
    if (
        order.new.kind is not Kind.UPLOAD
        or task.kind is not Kind.UPLOAD
        or task.source != order.file
    ):
        return False
    if task.error is not None:
        return task.error.code != Code.CANCELLED and not (
            order.all_headers and task.error.code in SECRET_ERRORS
        )
    return task.outstanding and task.session == order.session


class Fields:
    """Reads a JSON object strictly: each field has its type, and none is left over."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._left = dict(body)

    def text(self, name: str) -> str:
        return self._take(name, str, "", "a text")

    def flag(self, name: str, *, default: bool = False) -> bool:
        return self._take(name, bool, default, "true or false")

    def count(self, name: str) -> int:
        number = self._take(name, int, 0, "a whole number")
        if isinstance(number, bool) or number < 0:
            raise ValueError(f"“{name}” must be a whole number, zero or more.")
        return number

    def number(self, name: str, *, default: float) -> float:
        number = self._take(name, object, default, "a number")
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"“{name}” must be a number.")
        return number

    def plain(self, name: str, default: str | bool | int) -> Any:
        """Of the same type as what stands for a field that is not there."""
        if isinstance(default, bool):
            return self.flag(name, default=default)
        return self.count(name) if isinstance(default, int) else self.text(name)

    def headers(self, name: str) -> dict[str, str]:
        headers: dict[str, str] = self._take(name, dict, {}, "an object of texts")
        if not all(isinstance(value, str) for value in headers.values()):
            raise ValueError(f"“{name}” must be an object of texts.")
        return headers

    def options(self, name: str) -> dict[str, Any]:
        return self._take(name, dict, {}, "an object")

    def cookies(self, name: str) -> tuple[Cookie, ...]:
        try:
            return tuple(
                from_dict(stored) for stored in self._take(name, list, [], "a list of cookies")
            )
        except (TypeError, KeyError, ValueError):
            raise ValueError(f"“{name}” must be a list of cookies.") from None

    def texts(self, name: str) -> list[str]:
        texts: list[str] = self._take(name, list, [], "a list of texts")
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"“{name}” must be a list of texts.")
        return texts

    def data(self) -> bytes | None:
        """A body: `data` is text, `dataBase64` any bytes."""
        text, coded = self._left.get("data"), self.text("dataBase64")
        self.text("data")
        try:
            return (
                base64.b64decode(coded, validate=True)
                if coded
                else text.encode()
                if text is not None
                else None
            )
        except ValueError:
            raise ValueError("“dataBase64” is not Base64.") from None

    def end(self) -> None:
        if self._left:
            raise ValueError(f"“{next(iter(self._left))[:50]}” is not a field of this request.")

    def _take(self, name: str, kind: type[T], default: T, words: str) -> T:
        value = self._left.pop(name, None)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise ValueError(f"“{name}” must be {words}.")
        return value


def utf8_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise ValueError("The body is not UTF-8.") from None


# paths may hold any bytes; each address gets its own words
_JUDGED_LATER = frozenset({"destination", "file", "urls"})


def json_body(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        found = json_text.loads(body)
    except ValueError:
        raise ValueError("The body is not JSON.") from None
    if not isinstance(found, dict):
        raise ValueError("The body must be a JSON object.")
    return checked_body(found)


def checked_body(body: dict[str, Any]) -> dict[str, Any]:
    """What was asked, in text that can be stored. Raises ValueError with a sentence."""
    judged = {key: value for key, value in body.items() if key not in _JUDGED_LATER}
    if without_text(judged) is not None:
        raise ValueError("The body holds half a character (a lone surrogate), which is no text.")
    return body


def number_of(query: str, name: str) -> int:
    """A number from the query, 0 when it is not there. Raises ValueError with a sentence."""
    text = dict(parse_qsl(query)).get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError(f"“{name}” must be a whole number.")
    return int(text)


def reason_of(exc: Exception) -> str:
    text = str(exc)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


# all that what was asked may raise
REFUSING = (OrderRefused, TransfermonError, InvalidAction, ValueError)


def refusal_of(exc: Exception) -> ApiAnswer:
    """How one of `REFUSING` is answered: an RFC 9457 problem."""
    if isinstance(exc, OrderRefused):
        return exc.answer
    if isinstance(exc, TransfermonError):
        return problem_answer(400, exc.title, exc.hint, code=exc.code)
    return problem_answer(409 if isinstance(exc, InvalidAction) else 400, reason_of(exc))
