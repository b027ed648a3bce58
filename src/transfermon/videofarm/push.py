"""The push provider: who wants to hear of what, and the messages on their way.

Subscriptions are kept in the data folder. Messages wait in memory, the newest thousand, for devices
that follow their topic as with ntfy: the topic is the device token, the message is the payload. The
one rule to keep: only this machine may come here, and what is refused changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from transfermon.model.record import record
from transfermon.videofarm.bodies import problem_answer

PAYLOAD_LIMIT = 4096  # bytes, as at Apple (P-11)
BODY_LIMIT = 64 * 1024
KEPT = 1000  # messages
KEPT_SECONDS = 12 * 3600
MOST_TOKENS = 10_000  # subscriptions over all channels
MOST_USERS = 1000  # logged in at once; the oldest is forgotten
KEEPALIVE = 45.0  # seconds, as with ntfy
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Refusal(Exception):  # noqa: N818
    """What was asked for is refused; the text is one sentence for a person."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


@record
class Message:
    """One payload for one device. Times are seconds since 1970."""

    serial: int
    id: str
    topic: str
    time: int
    expires: int
    payload: str
    priority: int  # ntfy's: 3 for Apple's 5, 5 for Apple's 10
    collapse_id: str = ""

    def line(self) -> bytes:
        return _line(
            id=self.id,
            time=self.time,
            expires=self.expires,
            event="message",
            topic=self.topic,
            priority=self.priority,
            message=self.payload,
        )


@record
class PushDelivery:
    """The provider's headers of a message, checked against its payload."""

    push_type: str
    priority: int
    expiration: int | None
    collapse_id: str


def checked_payload(value: object) -> str:
    """The payload as it goes out. Raises Refusal: no object, over 4096 bytes of UTF-8."""
    if not isinstance(value, dict):
        raise Refusal(400, "The payload must be an object.")
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        size = len(text.encode())
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "The payload holds what JSON has no word for.") from error
    if size > PAYLOAD_LIMIT:
        raise Refusal(413, f"The payload has {size} bytes; at most {PAYLOAD_LIMIT} are allowed.")
    return text


def checked_delivery(headers: Any, payload: dict[str, Any]) -> PushDelivery:
    """P-11. `headers` is a mapping without case. Raises Refusal."""
    system = payload.get("aps", payload)
    if not isinstance(system, dict):
        raise Refusal(400, "“aps” must be an object.")
    awake = type(system.get("content-available")) is int and system["content-available"] == 1
    alert = system.get("alert")
    if alert is not None and not isinstance(alert, str | dict):
        raise Refusal(400, "“alert” must be a text or an object.")
    shown = (
        bool(alert.get("title") or alert.get("body")) if isinstance(alert, dict) else bool(alert)
    )
    push_type = headers.get("apns-push-type") or ("background" if awake and not shown else "alert")
    if push_type not in ("alert", "background"):
        raise Refusal(400, "apns-push-type is alert or background.")
    priority = headers.get("apns-priority") or ("5" if push_type == "background" else "10")
    if priority not in ("1", "5", "10"):
        raise Refusal(400, "apns-priority is 1, 5 or 10.")
    if push_type == "background":
        if priority == "10":
            raise Refusal(400, "A background push has priority 5; 10 is refused.")
        if not awake:
            raise Refusal(400, "A background push needs “content-available”: 1.")
        if shown:
            raise Refusal(400, "A background push has no alert text.")
        for name in ("sound", "badge"):
            if system.get(name) not in (None, ""):
                raise Refusal(400, f"A background push has no “{name}”.")
    expiration = headers.get("apns-expiration")
    if expiration is not None and not re.fullmatch(r"[0-9]{1,12}", expiration, re.ASCII):
        raise Refusal(400, "apns-expiration is a time in seconds since 1970, or 0.")
    collapse_id = headers.get("apns-collapse-id") or ""
    if len(collapse_id.encode("latin-1", "replace")) > 64:
        raise Refusal(400, "apns-collapse-id has 64 bytes at the most.")
    return PushDelivery(
        push_type=push_type,
        priority=int(priority),
        expiration=None if expiration is None else int(expiration),
        collapse_id=collapse_id,
    )


def checked_token(value: object) -> str:
    """Raises Refusal for anything but 64 hexadecimal digits."""
    if not isinstance(value, str) or not re.fullmatch(
        r"[0-9a-f]{64}", value, re.ASCII | re.IGNORECASE
    ):
        raise Refusal(404, "This device token is unknown.")
    return value.lower()


def checked_channel(value: object) -> str:
    """Raises Refusal for an empty one or one that is none."""
    if not isinstance(value, str) or not value.strip():
        raise Refusal(400, "The channel is empty.")
    if len(value) > 200 or not value.isprintable():
        raise Refusal(400, "A channel has 200 printable characters at the most.")
    return value.strip()


class KeptMessage:
    """The newest KEPT messages, oldest first. What came for a topic is found without a look at the
    others'.
    """

    def __init__(self) -> None:
        self._all: dict[int, Message] = {}  # by serial, which only grows
        self._of_topic: dict[str, dict[int, Message]] = {}
        self._collapsible: dict[tuple[str, str], int] = {}  # topic and collapse id -> serial

    def __repr__(self) -> str:
        return f"<Kept {len(self._all)} of {len(self._of_topic)} topics>"

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._all.values())

    def add(self, message: Message) -> None:
        """Takes the place of the topic's message with the same collapse id."""
        same = (message.topic, message.collapse_id)
        if message.collapse_id:
            if (old := self._collapsible.get(same)) is not None:
                self._drop(old)
            self._collapsible[same] = message.serial
        self._all[message.serial] = message
        self._of_topic.setdefault(message.topic, {})[message.serial] = message
        if len(self._all) > KEPT:
            self._drop(next(iter(self._all)))

    def _drop(self, serial: int) -> None:
        message = self._all.pop(serial)
        of_topic = self._of_topic[message.topic]
        del of_topic[serial]
        if not of_topic:
            del self._of_topic[message.topic]
        if message.collapse_id:
            del self._collapsible[message.topic, message.collapse_id]

    def since(self, topics: frozenset[str], after: int) -> list[Message]:
        """Oldest first; costs what is new for these topics, and one look at each of them."""
        new: list[Message] = []
        for topic in topics:
            for serial, message in reversed(self._of_topic.get(topic, {}).items()):
                if serial <= after:
                    break
                new.append(message)
        return sorted(new, key=lambda message: message.serial)


class PushProvider:
    """The endpoints under /push. `off_loop` runs what blocks; a follower hears a word each
    `keepalive` seconds.
    """

    def __init__(
        self,
        path: Path,
        off_loop: Callable[..., Coroutine[Any, Any, Any]],
        *,
        keepalive: float = KEEPALIVE,
    ) -> None:
        """Raises OSError or ValueError when `path` holds something else than subscriptions."""
        self._path, self._off_loop, self.keepalive = path, off_loop, keepalive
        self._channels: dict[str, dict[str, str]] = _load(path)  # channel -> device token -> type
        self._users: dict[str, str] = {}  # key of a login -> name
        self._messages = KeptMessage()
        self._followers: dict[str, set[asyncio.Event]] = {}  # by topic
        self._serial = 0
        self._saving = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<PushProvider channels={len(self._channels)} messages={len(self._messages)}>"

    def routes(self) -> list[Route]:
        actions = (
            ("login", self.login),
            ("logout", self.logout),
            ("subscribe_token", self.subscribe_token),
            ("subscribe", self.subscribe),
            ("unsubscribe_token", self.unsubscribe_token),
            ("unsubscribe", self.unsubscribe),
            ("query_channels", self.query_channels),
            ("notify", self.notify),
            ("notify_tokens", self.notify_tokens),
        )
        posts = [
            Route(f"/push/{name}", _answering(action), methods=["POST"]) for name, action in actions
        ]
        return [*posts, Route("/push/{topics}/json", self.follow)]

    # ---- who

    async def login(self, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
        """A name is enough: only this machine comes here, and nothing is kept in the name's
        account.
        """
        name = asked.get("login")
        if not isinstance(name, str) or not name.strip() or len(name) > 200:
            raise Refusal(400, "The login name is empty.")
        key = secrets.token_urlsafe(32)
        self._users[key] = name.strip()
        while len(self._users) > MOST_USERS:
            self._users.pop(next(iter(self._users)))
        return {"session_id": key}

    async def logout(self, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
        self._check_user(request)
        self._users.pop(_key(request), None)
        return {}

    def _check_user(self, request: Request) -> None:
        if _key(request) not in self._users:
            raise Refusal(401, "Nobody is logged in.")

    # ---- what

    async def subscribe_token(self, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
        channel, token = (
            checked_channel(asked.get("channel")),
            checked_token(asked.get("device_token")),
        )
        kind = asked.get("type", "ios")
        if not isinstance(kind, str) or len(kind) > 50:
            raise Refusal(400, "The type is a short text, like ios.")
        known = sum(len(tokens) for tokens in self._channels.values())
        if known >= MOST_TOKENS and token not in self._channels.get(channel, {}):
            raise Refusal(
                507, f"There are {MOST_TOKENS} subscriptions, which is all that this server keeps."
            )
        await self._keep(
            {**self._channels, channel: {**self._channels.get(channel, {}), token: kind}}
        )
        return {}

    async def subscribe(self, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
        self._check_user(request)
        return await self.subscribe_token(request, asked)

    async def unsubscribe_token(self, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
        """From one channel, or without one from all."""
        token = checked_token(asked.get("device_token"))
        given = asked.get("channel")
        wanted = set(self._channels) if given is None else {checked_channel(given)}
        if not any(token in self._channels.get(channel, {}) for channel in wanted):
            raise Refusal(404, "This device token is unknown.")
        left = {
            channel: {
                other: kind
                for other, kind in tokens.items()
                if channel not in wanted or other != token
            }
            for channel, tokens in self._channels.items()
        }
        await self._keep({channel: tokens for channel, tokens in left.items() if tokens})
        return {}

    async def unsubscribe(self, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
        self._check_user(request)
        return await self.unsubscribe_token(request, asked)

    async def query_channels(self, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
        token = checked_token(asked.get("device_token"))
        return {
            "channels": sorted(
                channel for channel, tokens in self._channels.items() if token in tokens
            )
        }

    async def _keep(self, channels: dict[str, dict[str, str]]) -> None:
        # In memory at once, so that two requests do not undo each other; back again when the disk
        # refuses.
        before, self._channels = self._channels, channels
        async with self._saving:
            try:
                await self._off_loop(_save, self._path, self._channels)
            except OSError:
                if self._channels is channels:
                    self._channels = before
                raise

    # ---- messages

    async def notify(self, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
        """To everybody on a channel, or to the `tokens` that are named."""
        if "channel" not in asked:
            return await self.notify_tokens(request, asked)
        tokens = self._channels.get(checked_channel(asked["channel"]))
        if tokens is None:
            raise Refusal(404, "Nobody has subscribed to this channel.")
        return self._send(request, list(tokens), asked.get("payload"))

    async def notify_tokens(self, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
        given = asked.get("tokens")
        if not isinstance(given, list) or not given:
            raise Refusal(400, "A message needs a channel, or a list of tokens.")
        tokens = list(dict.fromkeys(checked_token(token) for token in given))
        known = {
            token
            for subscribed in self._channels.values()
            for token in tokens
            if token in subscribed
        }
        if any(token not in known and token not in self._followers for token in tokens):
            raise Refusal(404, "This device token is unknown.")
        return self._send(request, tokens, asked.get("payload"))

    def _send(self, request: Request, tokens: list[str], payload: object) -> dict[str, Any]:
        text = checked_payload(payload)
        assert isinstance(payload, dict)
        delivery = checked_delivery(request.headers, payload)
        now = int(time.time())
        expires = now + KEPT_SECONDS if delivery.expiration is None else delivery.expiration
        for token in tokens:
            self._put(token, text, delivery, now, expires)
            for follower in self._followers.get(token, ()):
                follower.set()
        return {"sent": len(tokens)}

    def _put(self, token: str, text: str, delivery: PushDelivery, now: int, expires: int) -> None:
        self._serial += 1
        self._messages.add(
            Message(
                serial=self._serial,
                id=secrets.token_urlsafe(9),
                topic=token,
                time=now,
                expires=expires,
                payload=text,
                priority=5 if delivery.priority == 10 else 3,
                collapse_id=delivery.collapse_id,
            )
        )

    # ---- devices

    async def follow(self, request: Request) -> Response:
        """ntfy's JSON stream of one topic, or of several with commas; `since`, `poll` as there."""
        if not _is_local(request):
            return problem_answer(403, "Only this machine may follow.")
        try:
            topics = frozenset(
                checked_token(topic) for topic in request.path_params["topics"].split(",")
            )
            poll = request.query_params.get("poll", "") in ("1", "true", "yes")
            after = self._after(request.query_params.get("since", "all" if poll else "none"))
        except Refusal as refusal:
            return problem_answer(refusal.status, str(refusal))
        return _Stream(self, topics, after, poll=poll)

    def _after(self, since: str) -> int:
        """The serial number up to which the messages are known."""
        if since in ("", "none", "latest"):
            return self._serial - (since == "latest")
        if since == "all":
            return 0
        for message in self._messages:
            if message.id == since:
                return message.serial
        if match := re.fullmatch(r"([0-9]{1,6})([smhd])", since, re.ASCII):
            return self._before(time.time() - int(match[1]) * _UNITS[match[2]])
        if re.fullmatch(r"[0-9]{9,12}", since, re.ASCII):
            return self._before(int(since))
        if re.fullmatch(r"[A-Za-z0-9_-]{12}", since, re.ASCII):
            return 0  # one that is no longer kept: all that is newer, which is all
        raise Refusal(400, "since is all, none, latest, an id, a time, or a duration like 10m.")

    def _before(self, moment: float) -> int:
        return max(
            (message.serial for message in self._messages if message.time < moment), default=0
        )

    def waiting(self, topics: frozenset[str], after: int) -> list[Message]:
        """What has come for these topics after a serial number; what has expired only when it was
        sent just now, as apns-expiration 0 means "now or never".
        """
        now = time.time()
        return [
            message
            for message in self._messages.since(topics, after)
            if message.expires > now or (message.time >= now - 2 and message.expires == 0)
        ]

    @contextlib.contextmanager
    def following(self, topics: frozenset[str]) -> Any:
        """An event that is set when something has come for them."""
        news = asyncio.Event()
        for topic in topics:
            self._followers.setdefault(topic, set()).add(news)
        try:
            yield news
        finally:
            for topic in topics:
                self._followers[topic].discard(news)
                if not self._followers[topic]:
                    del self._followers[topic]


@dataclass
class _Stream(Response):
    """Lines until the device goes away; nothing is buffered for one that does not read but what it
    has not had.
    """

    provider: PushProvider
    topics: frozenset[str]
    after: int
    poll: bool = field(kw_only=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = (b"content-type", b"application/x-ndjson; charset=utf-8")
        await send({"type": "http.response.start", "status": 200, "headers": [kind]})
        gone = asyncio.create_task(_until_gone(receive))
        try:
            with self.provider.following(self.topics) as news:
                await self._run(send, news, gone)
        finally:
            gone.cancel()
        if not scope["state"]["transport"].is_closing():
            await send({"type": "http.response.body", "body": b""})

    async def _run(self, send: Send, news: asyncio.Event, gone: asyncio.Task[None]) -> None:
        if not self.poll:
            await self._say(send, event="open")
        while not gone.done():
            news.clear()
            for message in self.provider.waiting(self.topics, self.after):
                self.after = message.serial
                await send(
                    {"type": "http.response.body", "body": message.line(), "more_body": True}
                )
            if self.poll:
                return
            waiter = asyncio.create_task(news.wait())
            try:
                done, _ = await asyncio.wait(
                    (waiter, gone),
                    timeout=self.provider.keepalive,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                waiter.cancel()
            if not done:
                await self._say(send, event="keepalive")

    async def _say(self, send: Send, **fields: Any) -> None:
        line = _line(
            id=secrets.token_urlsafe(9),
            time=int(time.time()),
            topic=",".join(sorted(self.topics)),
            **fields,
        )
        await send({"type": "http.response.body", "body": line, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _line(**fields: Any) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _key(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _is_local(request: Request) -> bool:
    client = request.client
    return client is not None and (
        client.host.startswith("127.") or client.host in ("::1", "::ffff:127.0.0.1")
    )


Action = Callable[[Request, dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]


def _answering(action: Action) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """A route that reads an object and answers `{"success": true, …}`, or a problem (P-02)."""

    async def answer(request: Request) -> Response:
        if not _is_local(request):
            return problem_answer(403, "Only this machine may push.")
        try:
            return JSONResponse({"success": True, **await action(request, await _asked(request))})
        except Refusal as refusal:
            return problem_answer(refusal.status, str(refusal))

    return answer


async def _asked(request: Request) -> dict[str, Any]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_LIMIT:
            raise Refusal(413, f"A request has {BODY_LIMIT} bytes at the most.")
    try:
        asked = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "The request is not JSON.") from error
    if not isinstance(asked, dict):
        raise Refusal(400, "The request is not an object.")
    return asked


def _load(path: Path) -> dict[str, dict[str, str]]:
    try:
        stored = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return {
        str(channel): {str(token): str(kind) for token, kind in found.items()}
        for channel, found in stored.items()
    }


def _save(path: Path, channels: dict[str, dict[str, str]]) -> None:
    new = path.with_suffix(".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        json.dump(channels, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
