"""What the control API answers, apart from how it is asked: HTTP in `control`, a call in the command line's own engine.

Rule: it knows the Monitor and the rules only. Every refusal is an RFC 9457 problem; JSON becomes a record at this door.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, unquote

from transfermon.engine.answers import Kept
from transfermon.http import public_suffixes
from transfermon.http.addresses import check_url, without_credentials
from transfermon.http.cookies import Cookie, from_dict
from transfermon.http.upload_protocols import rules
from transfermon.model import json_text, request_options
from transfermon.model.checked_text import checked_path, without_text
from transfermon.model.errors import Code, InvalidAction, TransfermonError, redacted
from transfermon.model.events import Event
from transfermon.model.record import record
from transfermon.model.request_options import NONE as NO_OPTIONS
from transfermon.model.request_options import RequestOptions, content_type_of
from transfermon.model.task import Action, Kind, Origin, Progress, State, Task, TaskKey, changed, progress_of
from transfermon.model.translate import in_english
from transfermon.model.wake_policy import Verdict, Wake, verdict_text
from transfermon.storage import file_identity
from transfermon.text import humanize
from transfermon.wire.simulation import NONE, profile_named

if TYPE_CHECKING:  # handed in: the command line makes it, and loads it only where it needs one
    from transfermon.engine.monitor import Monitor, TransferTask

T = TypeVar("T")

HISTORY = 100_000  # journalled events that one answer replays at the most: the newest ones
SETTLING = 5.0  # seconds that a cancelled task may take to let go
CLI_SESSION = "cli"  # where tasks go that name no session
SECRET_ERRORS = (Code.AUTHENTICATION_REQUIRED, Code.AUTHENTICATION_CANCELLED)


# ---- records as JSON


def event_dict(event: Event) -> dict[str, Any]:
    """An event as programs see it: `to_dict()` and the key of its session."""
    return {**event.to_dict(), "session": event.session}


def _status(task: Task) -> str:
    with in_english():
        return humanize.status(task, time.time())


def task_dict(task: Task, progress: Progress | None = None) -> dict[str, Any]:
    """A task as programs see it. Bytes and bytes per second; -1 is an unknown size; times are epoch seconds.

    `received` and `expected` are what was moved, and of how much: of an upload, what was sent.
    """
    live = progress or progress_of(task)
    error = task.error
    return {
        "id": str(task.key),
        "session": task.session,
        "number": task.number,
        "kind": task.kind.value,
        "method": task.method,
        "url": redacted(task.url),
        "state": task.state.value,
        "activity": task.activity.value,
        "status": _status(task),
        "received": live.received,
        "expected": live.expected,
        "fraction": live.fraction,
        "speed": round(progress.rate.per_second(time.monotonic())) if progress else 0,
        "name": task.name,
        "folder": task.folder,
        "path": task.named_path,
        "source": "" if task.spooled else task.source,
        "statusCode": task.response.status if task.response else 0,
        "error": None
        if error is None
        else {
            "code": error.code,
            "message": error.message,
            "reason": error.reason,
            "hint": error.hint,
            "said": error.said,
            "status": error.status,
        },
        "instead": task.instead,
        "waitingHint": task.waiting_hint if task.waiting else "",
        "protocol": task.protocol,
        "uploadHost": rules.named(task.upload.url) if task.upload is not None else "",
        "unconfirmed": task.unconfirmed,
        "storedAs": task.stored_as,
        "remark": task.remark,
        "attempt": task.attempt,
        "options": request_options.to_dict(task.options),
        "added": task.added,
        "finished": task.finished,
        "resumable": not task.not_resumable,
        "notResumable": task.not_resumable,
    }


def response_dict(kept: Kept) -> dict[str, Any]:
    """What a server answered, as programs see it; `responseWhole` is false where not all of it is kept."""
    return {"responseText": kept.text, "responseWhole": kept.whole}


def plain(record: Any) -> dict[str, Any]:
    """A frozen record of the engine with camelCase keys."""
    return {_camel(item.name): _value(getattr(record, item.name)) for item in dataclasses.fields(record)}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _value(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


class Turns:
    """Lets the window have its turn whenever long work has taken 2 ms."""

    SLICE = 0.002  # seconds

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def give_way(self) -> None:
        if time.perf_counter() - self._since > self.SLICE:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


# ---- what may be asked, apart from HTTP


@record
class Answer:
    """What goes back. `then` is called once the answer is on its way."""

    status: int = 200
    body: Mapping[str, Any] = field(default_factory=dict)
    allow: str = ""
    then: Callable[[], None] | None = None


class Refused(Exception):  # noqa: N818 - an answer, not a failure of ours
    def __init__(self, status: int, title: str, detail: str = "", allow: str = "") -> None:
        super().__init__(title)
        self.answer = problem(status, title, detail, allow=allow)


def problem(status: int, title: str, detail: str = "", *, code: int | None = None, allow: str = "") -> Answer:
    body: dict[str, Any] = {"type": "about:blank", "status": status, "title": title, "detail": detail}
    if code is not None:
        body["code"] = code
    return Answer(status=status, body=body, allow=allow)


ACTIONS = {
    "pause": Action.SUSPEND,
    "resume": Action.RESUME,
    "cancel": Action.CANCEL,
    "retry": Action.RETRY,
    "remove": Action.REMOVE,
}


class Api:
    """Answers requests from the Monitor; the command line uses it in its own process, too."""

    def __init__(self, monitor: Monitor, *, started: bool = True) -> None:
        self._monitor = monitor
        self._started = started  # False: restored tasks wait until somebody names them
        self._named: set[TaskKey] = set()

    async def answer(self, method: str, target: str, body: bytes = b"") -> Answer:
        """Never raises for what was asked; every refusal is an RFC 9457 problem."""
        try:
            return await self._route(method, target, body)
        except Refused as refused:
            return refused.answer
        except TransfermonError as exc:
            return problem(400, exc.title, exc.hint, code=exc.code)
        except InvalidAction as exc:
            return problem(409, sentence(exc))
        except ValueError as exc:
            return problem(400, sentence(exc))

    async def _route(self, method: str, target: str, body: bytes) -> Answer:
        path, _, query = target.partition("?")
        match path.strip("/").split("/"):
            case ["v1", "status"]:
                _only(method, "GET")
                return self._status()
            case ["v1", "sessions"]:
                _only(method, "GET")
                return Answer(body={"sessions": [plain(info) for info in self._monitor.snapshot().sessions]})
            case ["v1", "tasks"]:
                _only(method, "GET", "POST")
                return await self._add(_json(body)) if method == "POST" else await self._tasks()
            case ["v1", "tasks", session, number]:
                _only(method, "GET")
                return Answer(body=self._one(_key(session, number)))
            case ["v1", "tasks", session, number, action] if action in ACTIONS:
                _only(method, "POST")
                return await self._act(_key(session, number), action, _json(body))
            case ["v1", "events"]:
                _only(method, "GET")
                return await self._events(number_of(query, "since"))
            case ["v1", "push"]:
                _only(method, "POST")
                return _wake_answer(await self._monitor.push(_text(body)))
            case ["v1", "fetch"]:
                _only(method, "POST")
                return _wake_answer(await self._monitor.fetch())
            case ["v1", "wakes"]:
                _only(method, "GET")
                return Answer(body={"wakes": [wake.to_dict() for wake in self._monitor.background.ledger]})
            case ["v1", "simulate", ("suspend" | "wake") as word]:
                _only(method, "POST")
                return self._simulate(word)
            case ["v1", "simulate", "network"]:
                _only(method, "GET", "POST")
                return self._network(_json(body) if method == "POST" else {})
            case ["v1", "show"]:
                _only(method, "POST")
                return self._show(_json(body))
            case ["v1", ("release" | "quit") as word]:
                _only(method, "POST")
                return await self._end(word, _json(body))
        raise Refused(404, "There is no such thing.", "The control API is described in the manual.")

    def _status(self) -> Answer:
        return Answer(body={**plain(self._monitor.status()), "window": self._monitor.on_show is not None})

    async def _tasks(self) -> Answer:
        snapshot = self._monitor.snapshot()
        live = self._monitor.running_progress()
        turns = Turns()
        found = []
        for task in snapshot.tasks:
            found.append(self._dict(task, live.get(task.key)))
            await turns.give_way()
        return Answer(body={"sequence": snapshot.sequence, "tasks": found})

    def _dict(self, task: Task, progress: Progress | None) -> dict[str, Any]:
        waits = not self._started and task.key not in self._named
        if waits and task.outstanding and task.part_path:  # nothing has looked since the engine that wrote it ended
            task = changed(task, received=file_identity.size_at(task.part_path))
        out = task_dict(task, progress)
        if task.state is State.RUNNING and waits:
            out["status"] = "Interrupted"  # it was running, and will be, but nothing runs it now
        return out

    def _one(self, key: TaskKey) -> dict[str, Any]:
        found = self._dict(self._record(key), self._monitor.progress(key))
        return {"sequence": self._monitor.sequence, **found, **response_dict(self._monitor.kept_response(key))}

    def _record(self, key: TaskKey) -> Task:
        task = self._find(key)
        if task is None:
            raise Refused(404, f"There is no task {key}.", "`transfermon list` shows those that are there.")
        return task

    async def _act(self, key: TaskKey, action: str, body: dict[str, Any]) -> Answer:
        task = self._record(key)
        url, delete_file = _act_options(action, body)
        if action == "retry" and task.state is State.RUNNING:  # it is tried already, or waits for it: no error
            self._monitor.hasten(key, url=url or None)
            self._named.add(key)
            return Answer(body=self._dict(self._record(key), self._monitor.progress(key)))
        if not task.can(ACTIONS[action]):
            raise Refused(409, f"Task {key} cannot be {_PAST[action]}: it is {_status(task)}.")
        match action:
            case "pause":
                self._monitor.suspend(key)
            case "resume":
                self._monitor.resume(key)
            case "cancel":
                self._monitor.cancel(key)
            case "retry":
                self._monitor.retry(key, url=url or None)
            case _:
                self._monitor.remove(key, delete_file=delete_file)
        self._named.add(key)
        answer = task_dict(await self._settled(key, action) or task, self._monitor.progress(key))
        if delete_file and task.final_path and self._find(key) is None:
            answer["fileDeleted"] = not await asyncio.to_thread(os.path.lexists, task.final_path)
        return Answer(body=answer)

    async def _settled(self, key: TaskKey, action: str) -> Task | None:
        """The record when the action has taken effect; one that hangs is not waited for longer than `SETTLING`."""
        changed = asyncio.Event()
        leave = self._monitor.subscribe(lambda _: changed.set())
        try:
            async with asyncio.timeout(SETTLING):
                while not _has_settled(self._find(key), action):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            pass  # its state says so
        finally:
            leave()
        return self._find(key)

    def _find(self, key: TaskKey) -> Task | None:
        try:
            return self._monitor.task(key)
        except KeyError:
            return None

    async def _add(self, body: dict[str, Any]) -> Answer:
        """A new download, or with `join` the unfinished one of the same address to the same place."""
        if reason := self._monitor.frozen_reason:
            raise Refused(503, "No transfer can be added now.", reason)
        sequence = self._monitor.sequence  # events after it tell all that happens to the task
        order = _order(body)
        if order.cookies:
            await asyncio.to_thread(public_suffixes.load)
        if order.kind is Kind.UPLOAD and not order.file:
            raise ValueError("An upload needs a “file”, an absolute path.")
        found = same_task(self._monitor.tasks_of(order.session, order.bare_url), order) if order.join else None
        if found is not None:
            self._monitor.adjust(
                found.key,
                speed_limit=order.speed_limit,
                maximum_attempts=order.maximum_attempts,
                request_headers=self._monitor.with_login(found.key, order.all_headers),
                options=order.options,
                cookies=order.cookies,
                method=order.method,
                protocol=order.protocol,
            )
            self._go_on(found)
            self._named.add(found.key)
            return Answer(body={**self._one(found.key), "sequence": sequence})
        task = self._made(order)
        self._named.add(task.key)
        await task.accepted
        return Answer(status=201, body={**self._one(task.key), "sequence": sequence})

    def _made(self, order: Order) -> TransferTask:
        session = self._monitor.session(order.session)
        if order.kind is Kind.UPLOAD:
            return session.upload_task(
                order.url,
                order.file,
                method=order.method or "PUT",
                request_headers=order.headers,
                start=order.start,
                origin=order.origin,
                speed_limit=order.speed_limit,
                maximum_attempts=order.maximum_attempts,
                user_initiated=True,
                protocol=order.protocol,
                options=order.options,
                cookies=order.cookies,
                into_folder=order.into_folder,
            )
        if order.kind is Kind.DATA:
            return session.data_task(
                order.url,
                order.data,
                method=order.method or "POST",
                request_headers={**order.headers, **order.type_of_data},
                options=order.options,
                cookies=order.cookies,
                start=order.start,
                origin=order.origin,
                maximum_attempts=order.maximum_attempts,
                user_initiated=True,
            )
        return session.download_task(
            order.url,
            request_headers=order.headers,
            destination=order.destination or None,
            expected_digest=f"sha-256:{order.sha256}" if order.sha256 else None,
            start=order.start,
            overwrite=order.overwrite,
            origin=order.origin,
            speed_limit=order.speed_limit,
            maximum_attempts=order.maximum_attempts,
            user_initiated=True,
            options=order.options,
            cookies=order.cookies,
        )

    def _go_on(self, task: Task) -> None:
        if task.failed:
            self._monitor.retry(task.key)
        for _ in range(max(1, task.suspend_count) if task.state is State.SUSPENDED else 0):
            self._monitor.resume(task.key)
        if task.state is State.RUNNING and not self._started and task.key not in self._named:
            self._monitor.run_only([task.key])

    async def _events(self, since: int) -> Answer:
        """The journal as one body; over HTTP it is a stream, which `_Connection` sends itself."""
        return Answer(body={"events": [event_dict(event) for event in await replay(self._monitor, since)]})

    def _simulate(self, word: str) -> Answer:
        """B-17. Asking for what is so already changes nothing."""
        if word == "suspend":
            self._monitor.suspend_app()
        else:
            self._monitor.wake_app()
        return Answer(body={"suspended": self._monitor.suspended})

    def _network(self, body: dict[str, Any]) -> Answer:
        """What is named changes, the rest stays; `off` forgets the rest first. `loss` is in per cent."""
        fields = _Fields(body)
        now = NONE if fields.flag("off") else self._monitor.simulation
        profile = fields.text("profile")
        wanted = dataclasses.replace(
            now,
            offline=fields.flag("offline", default=now.offline),
            profile=profile_named(profile) if profile else now.profile,
            loss=fields.number("loss", default=now.loss * 100) / 100,
        )
        if "answer" in body:
            wanted = dataclasses.replace(wanted, status=fields.count("answer"), answers=fields.count("count"))
        if fields.flag("changeEtag"):
            wanted = wanted.next_version()
        drop = fields.flag("drop")
        fields.end()
        self._monitor.simulate(wanted)
        dropped = self._monitor.drop_connections() if drop else 0
        return Answer(body={**wanted.to_dict(), "dropped": dropped})

    def _show(self, body: dict[str, Any]) -> Answer:
        fields = _Fields(body)
        add, urls = fields.flag("add"), fields.texts("urls")
        fields.end()
        if not self._monitor.show():
            raise Refused(409, "This engine has no window.", "`transfermon gui` takes the transfers over.")
        if (add or urls) and self._monitor.on_given is not None:
            self._monitor.on_given(urls)
        return Answer(body={"shown": True})

    async def _end(self, word: str, body: dict[str, Any]) -> Answer:
        fields = _Fields(body)
        stop = fields.flag("stopTransfers") if word == "quit" else False
        fields.end()
        if stop:
            with contextlib.suppress(TimeoutError):  # one that hangs ends with the engine; nobody goes on with it
                async with asyncio.timeout(SETTLING):
                    await self._monitor.stop_transfers()
        then = partial(self._monitor.request_quit, released=word == "release")
        return Answer(status=202, body={"ending": True, "pid": os.getpid()}, then=then)


def _act_options(action: str, body: dict[str, Any]) -> tuple[str, bool]:
    fields = _Fields(body)
    url = fields.text("url") if action == "retry" else ""
    delete_file = fields.flag("deleteFile") if action == "remove" else False
    fields.end()
    return url, delete_file


def _has_settled(task: Task | None, action: str) -> bool:
    if action == "remove":
        return task is None
    return action != "cancel" or task is None or task.state is State.COMPLETED


_PAST = {
    "pause": "paused",
    "resume": "resumed",
    "cancel": "cancelled",
    "retry": "tried again",
    "remove": "removed",
}


async def replay(monitor: Monitor, since: int) -> list[Event]:
    """All journalled events after `since`, oldest first, the newest `HISTORY` of them."""
    return await monitor.history(since=since, limit=HISTORY) if since < monitor.sequence else []


@record
class Order:
    """What `POST /v1/tasks` asks for."""

    url: str
    kind: Kind = Kind.DOWNLOAD
    method: str = ""  # of an upload PUT, of a data task POST, unless given
    file: str = ""  # of an upload, absolute
    protocol: str = ""  # of an upload
    into_folder: bool = False  # of an upload: a PUT to an address that ends with a slash goes to the file's name in it
    data: bytes | None = field(default=None, repr=False)
    session: str = CLI_SESSION
    destination: str = ""  # absolute; a folder when it ends in a slash or is one
    headers: dict[str, str] = field(default_factory=dict)
    sha256: str = ""
    speed_limit: int = 0
    overwrite: bool = False
    maximum_attempts: int = 0
    start: bool = True
    join: bool = False
    origin: Origin = Origin.TYPED

    options: RequestOptions = NO_OPTIONS
    cookies: tuple[Cookie, ...] = field(default=(), repr=False)

    @property
    def bare_url(self) -> str:
        """As the record has it. Raises as `check_url`."""
        return without_credentials(check_url(self.url))[0]

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers, and the credentials in the address as one of them. Raises as `check_url`."""
        authorization = without_credentials(check_url(self.url))[1]
        named = {name.lower() for name in self.headers}
        return (
            {"Authorization": authorization, **self.headers}
            if authorization and "authorization" not in named
            else self.headers
        )

    @property
    def type_of_data(self) -> dict[str, str]:
        """The Content-Type that nobody named."""
        named = {name.lower() for name in self.headers}
        if self.data is None or self.options.no_content_type or "content-type" in named:
            return {}
        return {"Content-Type": content_type_of(self.data)}


def _order(body: dict[str, Any]) -> Order:
    fields = _Fields(body)
    order = Order(
        url=fields.text("url"),
        kind=_kind(fields.text("kind")),
        method=fields.text("method"),
        file=fields.text("file"),
        protocol=fields.text("protocol"),
        into_folder=fields.flag("intoFolder"),
        data=fields.data(),
        session=fields.text("session") or CLI_SESSION,
        destination=fields.text("destination"),
        headers=fields.headers("headers"),
        sha256=fields.text("sha256"),
        speed_limit=fields.count("speedLimit"),
        overwrite=fields.flag("overwrite"),
        maximum_attempts=fields.count("maximumAttempts"),
        start=fields.flag("start", default=True),
        join=fields.flag("join"),
        origin=Origin(fields.text("origin") or Origin.TYPED.value),
        options=request_options.from_dict(fields.options("options")),
        cookies=fields.cookies("cookies"),
    )
    fields.end()
    checked_path(order.destination, "the destination")
    checked_path(order.file, "the file")
    if order.destination and not os.path.isabs(order.destination):
        raise ValueError("The destination must be an absolute path.")
    if order.file and not os.path.isabs(order.file):
        raise ValueError("The file must be an absolute path.")
    return order


def _kind(text: str) -> Kind:
    try:
        return Kind(text or Kind.DOWNLOAD.value)
    except ValueError:
        raise ValueError("“kind” must be download, upload or data.") from None


def same_task(tasks: Sequence[Task], order: Order) -> Task | None:
    """The unfinished task that an order means: the same session, address and absolute target (DESIGN 9).

    One that failed for its credentials is not it when the order brings some.
    """
    if order.kind is not Kind.DOWNLOAD:
        return next((task for task in reversed(tasks) if _same_upload(task, order)), None)
    folder, name = order.destination, ""
    if not order.destination.endswith(os.sep) and not os.path.isdir(order.destination):
        folder, name = os.path.split(order.destination)
    folder = os.path.abspath(folder)

    def fits(task: Task) -> bool:
        if (task.kind, task.session, task.url, task.folder) != (Kind.DOWNLOAD, order.session, order.bare_url, folder):
            return False
        if (name and task.name != name) or task.expected_digest.rpartition(":")[2] != order.sha256.lower():
            return False
        if task.error is not None:
            return task.error.code != Code.CANCELLED and not (order.all_headers and task.error.code in SECRET_ERRORS)
        return task.state in (State.RUNNING, State.SUSPENDED)

    return next((task for task in reversed(tasks) if order.destination and fits(task)), None)


def _same_upload(task: Task, order: Order) -> bool:
    if order.kind is not Kind.UPLOAD or task.kind is not Kind.UPLOAD or task.source != order.file:
        return False
    if task.error is not None:
        return task.error.code != Code.CANCELLED and not (order.all_headers and task.error.code in SECRET_ERRORS)
    return task.outstanding and task.session == order.session


class _Fields:
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

    def headers(self, name: str) -> dict[str, str]:
        headers: dict[str, str] = self._take(name, dict, {}, "an object of texts")
        if not all(isinstance(value, str) for value in headers.values()):
            raise ValueError(f"“{name}” must be an object of texts.")
        return headers

    def options(self, name: str) -> dict[str, Any]:
        return self._take(name, dict, {}, "an object")

    def cookies(self, name: str) -> tuple[Cookie, ...]:
        try:
            return tuple(from_dict(stored) for stored in self._take(name, list, [], "a list of cookies"))
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
            return base64.b64decode(coded, validate=True) if coded else text.encode() if text is not None else None
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


def _wake_answer(wake: Wake) -> Answer:
    """200 when it was delivered, 202 when it waits, 409 when the policy refuses it."""
    if wake.verdict is Verdict.REFUSED:
        with in_english():
            return problem(409, verdict_text(wake))
    return Answer(status=202 if wake.waiting else 200, body=wake.to_dict())


def _only(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise Refused(405, f"{method[:20]} is not possible here.", allow=", ".join(allowed))


def _key(session: str, number: str) -> TaskKey:
    return TaskKey.parse(f"{unquote(session)}:{number}")


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise ValueError("The body is not UTF-8.") from None


_JUDGED_LATER = frozenset({"destination", "file", "urls"})  # paths may hold any bytes; each address gets its own words


def _json(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        found = json_text.loads(body)
    except ValueError:
        raise ValueError("The body is not JSON.") from None
    if not isinstance(found, dict):
        raise ValueError("The body must be a JSON object.")
    if without_text({key: value for key, value in found.items() if key not in _JUDGED_LATER}) is not None:
        raise ValueError("The body holds half a character (a lone surrogate), which is no text.")
    return found


def number_of(query: str, name: str) -> int:
    """A number from the query, 0 when it is not there. Raises ValueError with a sentence."""
    text = dict(parse_qsl(query)).get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError(f"“{name}” must be a whole number.")
    return int(text)


def sentence(exc: Exception) -> str:
    text = str(exc)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
