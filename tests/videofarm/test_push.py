"""VideoFarm's push provider: subscriptions, refusals, and the stream that a device follows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from tests.helpers.farm import Farm
from transfermon.videofarm.push import KEPT, KeptMessage, Message, PushProvider

TOKEN, OTHER = "a1" * 32, "b2" * 32
SILENT = {"alert": "", "content-available": 1, "download_url": "http://127.0.0.1/x", "n": 1.5}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "farm"


@pytest.fixture
def farm(data_dir: Path) -> Iterator[Farm]:
    with Farm.start("--data-dir", str(data_dir), "--empty") as running:
        yield running


@pytest.fixture
def web(farm: Farm) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=farm.url + "push/", timeout=60, trust_env=False) as client:
        yield client


def subscribed(web: httpx.Client, *tokens: str, channel: str = "news") -> None:
    for token in tokens:
        answer = web.post(
            "subscribe_token", json={"device_token": token, "channel": channel, "type": "ios"}
        )
        assert answer.json() == {"success": True}


def polled(web: httpx.Client, topics: str, **query: str) -> list[dict[str, Any]]:
    answer = web.get(f"{topics}/json", params={"poll": "1", **query})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def refused(answer: httpx.Response, status: int, words: str) -> bool:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code == status and words in answer.json()["detail"]


def test_p02_a_token_needs_no_login_and_a_subscription_by_user_does(web: httpx.Client):
    wanted = {"device_token": TOKEN, "channel": "news", "type": "ios"}
    subscribed(web, TOKEN)
    assert refused(web.post("subscribe", json=wanted), 401, "logged in")
    key = web.post("login", json={"login": "mia"}).json()["session_id"]
    user = {"authorization": f"Bearer {key}"}
    assert web.post("subscribe", json={**wanted, "channel": "films"}, headers=user).json()[
        "success"
    ]
    assert web.post("query_channels", json={"device_token": TOKEN}).json()["channels"] == [
        "films",
        "news",
    ]
    assert web.post("unsubscribe", json={**wanted, "channel": "films"}, headers=user).json()[
        "success"
    ]
    assert web.post("logout", headers=user).json()["success"]
    assert refused(web.post("subscribe", json=wanted, headers=user), 401, "logged in")


@pytest.mark.parametrize(
    ("action", "asked", "status", "words"),
    [
        ("subscribe_token", {"device_token": TOKEN, "channel": " "}, 400, "channel is empty"),
        ("subscribe_token", {"device_token": TOKEN}, 400, "channel is empty"),
        ("subscribe_token", {"device_token": "xyz", "channel": "news"}, 404, "unknown"),
        ("unsubscribe_token", {"device_token": OTHER, "channel": "news"}, 404, "unknown"),
        ("notify_tokens", {"tokens": [OTHER], "payload": SILENT}, 404, "unknown"),
        ("notify_tokens", {"tokens": [], "payload": SILENT}, 400, "tokens"),
        ("notify", {"channel": "nobody", "payload": SILENT}, 404, "Nobody"),
        ("notify", {"channel": "news", "payload": "text"}, 400, "object"),
        ("login", {"login": ""}, 400, "empty"),
        ("subscribe_token", [], 400, "not an object"),
    ],
)
def test_p02_a_refusal_is_a_sentence_and_changes_nothing(
    web: httpx.Client, action: str, asked: Any, status: int, words: str
):
    subscribed(web, TOKEN)
    assert refused(web.post(action, json=asked), status, words)
    assert web.post("query_channels", json={"device_token": TOKEN}).json()["channels"] == ["news"]
    assert polled(web, TOKEN) == []


BACKGROUND = {"apns-push-type": "background"}


@pytest.mark.parametrize(
    ("payload", "headers", "status"),
    [
        (SILENT, {}, 200),
        ({"aps": {"content-available": 1}}, {**BACKGROUND, "apns-priority": "5"}, 200),
        (
            {"alert": "Hello", "content-available": 1, "sound": "default"},
            {"apns-priority": "10"},
            200,
        ),
        (SILENT, {**BACKGROUND, "apns-priority": "10"}, 400),
        (SILENT, {"apns-priority": "10"}, 400),
        ({"alert": "Hello", "content-available": 1}, BACKGROUND, 400),
        ({"aps": {"content-available": 1, "alert": {"title": "Hello"}}}, BACKGROUND, 400),
        ({"aps": {"content-available": 1, "sound": "default"}}, BACKGROUND, 400),
        ({"content-available": 1, "badge": 0}, BACKGROUND, 400),
        ({"n": 1}, BACKGROUND, 400),
        ({"content-available": 1, "text": "x" * 4096}, {}, 413),
        ({"content-available": 1, "text": "ä" * 2040}, {}, 413),
        (SILENT, {"apns-push-type": "voip"}, 400),
        (SILENT, {"apns-priority": "7"}, 400),
        (SILENT, {"apns-expiration": "soon"}, 400),
        (SILENT, {"apns-collapse-id": "x" * 65}, 400),
    ],
)
def test_p11_the_provider_refuses_what_apple_s_would(
    web: httpx.Client, payload: Any, headers: Any, status: int
):
    subscribed(web, TOKEN)
    answer = web.post("notify", json={"channel": "news", "payload": payload}, headers=headers)
    assert answer.status_code == status, answer.text
    assert [json.loads(message["message"]) for message in polled(web, TOKEN)] == (
        [payload] if status == 200 else []
    )


def test_p03_a_message_reaches_every_device_of_a_channel_while_it_follows(web: httpx.Client):
    subscribed(web, TOKEN, OTHER)
    with web.stream("GET", f"{TOKEN},{OTHER}/json") as stream:
        lines = stream.iter_lines()
        assert json.loads(next(lines))["event"] == "open"
        assert web.post("notify", json={"channel": "news", "payload": SILENT}).json() == {
            "success": True,
            "sent": 2,
        }
        found = [json.loads(next(lines)) for _ in range(2)]
    assert {message["topic"] for message in found} == {TOKEN, OTHER}
    assert all(message["event"] == "message" for message in found)
    assert all(json.loads(message["message"]) == SILENT for message in found)


def test_what_was_missed_is_had_with_since_and_an_expired_or_collapsed_message_is_not(
    web: httpx.Client,
):
    subscribed(web, TOKEN)

    def notify(number: int, **headers: str) -> None:
        payload = {"content-available": 1, "n": number}
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        assert (
            web.post(
                "notify", json={"channel": "news", "payload": payload}, headers=fields
            ).status_code
            == 200
        )

    def numbers(**query: str) -> list[int]:
        return [json.loads(message["message"])["n"] for message in polled(web, TOKEN, **query)]

    notify(1)
    notify(2, apns_collapse_id="same")
    notify(3, apns_collapse_id="same")
    notify(4, apns_expiration="1000")
    notify(5)
    assert numbers() == numbers(since="all") == numbers(since="10m") == [1, 3, 5]
    first = polled(web, TOKEN)[0]["id"]
    assert numbers(since=first) == [3, 5]
    assert numbers(since="none") == []
    assert numbers(since="nolongerkept") == [1, 3, 5]
    assert web.get(f"{TOKEN}/json", params={"since": "?"}).status_code == 400
    assert web.get("news/json", params={"poll": "1"}).status_code == 404


def test_subscriptions_are_there_after_a_kill(farm: Farm, web: httpx.Client, data_dir: Path):
    subscribed(web, TOKEN)
    assert (data_dir / "push.json").stat().st_mode & 0o77 == 0
    farm.kill()
    with Farm.start("--data-dir", str(data_dir), "--empty") as again:
        answer = httpx.post(
            f"{again.url}push/query_channels", json={"device_token": TOKEN}, trust_env=False
        )
        assert answer.json() == {"success": True, "channels": ["news"]}


def test_fault_l5_a_foreign_page_can_neither_push_nor_follow(web: httpx.Client):
    foreign = {"origin": "http://evil.example"}
    assert web.post("login", json={"login": "mia"}, headers=foreign).status_code == 403
    assert web.get(f"{TOKEN}/json", headers=foreign).status_code == 403


# ---- many followers, many messages


class Watched(Message):
    """Counts how often any of them is looked at."""

    looks = 0

    def __getattribute__(self, name: str) -> Any:
        Watched.looks += 1
        return super().__getattribute__(name)


def a_message(serial: int, topic: str, collapse_id: str = "") -> Watched:
    return Watched(
        serial=serial,
        id=str(serial),
        topic=topic,
        time=0,
        expires=1,
        payload="",
        priority=3,
        collapse_id=collapse_id,
    )


def test_a_follower_costs_what_is_new_for_it():
    kept = KeptMessage()
    for serial in range(1, KEPT + 1):
        kept.add(a_message(serial, topic=f"topic{serial % 100}"))
    Watched.looks = 0
    new = kept.since(frozenset({"topic7", "topic8", "quiet"}), KEPT - 200)
    assert Watched.looks <= 8
    assert [message.serial for message in new] == [807, 808, 907, 908]


def test_the_oldest_message_goes_and_a_collapsed_one_takes_the_place_of_the_last():
    kept = KeptMessage()
    for serial in range(1, KEPT + 11):
        kept.add(
            a_message(serial, topic="a", collapse_id="score" if serial in (5, 100, 200) else "")
        )
    serials = [message.serial for message in kept.since(frozenset({"a"}), 0)]
    assert len(serials) == len(kept) == KEPT
    assert serials == sorted(serials) == [message.serial for message in kept]
    assert serials[0] == 10  # ten are too many, of which 5 and 100 were replaced
    assert (100 in serials, 200 in serials) == (False, True)
    for serial in range(2000, 2000 + KEPT):
        kept.add(a_message(serial, topic="b"))
    # the one before it has gone by itself
    kept.add(a_message(4000, topic="a", collapse_id="score"))
    assert [message.serial for message in kept.since(frozenset({"a"}), 0)] == [4000]


async def _directly(*values: Any) -> Any:
    raise AssertionError("nothing is stored here")


@pytest.mark.anyio
async def test_a_quiet_follower_hears_a_word_at_the_interval_and_is_forgotten_when_it_goes(
    data_dir: Path,
):
    provider = PushProvider(data_dir / "push.json", _directly, keepalive=0.01)
    lines: list[dict[str, Any]] = []
    enough = asyncio.Event()

    async def send(message: Any) -> None:
        if body := message.get("body"):
            lines.append(json.loads(body))
        if len(lines) == 4:
            enough.set()

    async def receive() -> Any:
        await enough.wait()
        return {"type": "http.disconnect"}

    class Transport:
        def is_closing(self) -> bool:
            return True

    scope = {
        "type": "http", "method": "GET", "headers": [], "query_string": b"", "client": ("127.0.0.1", 1),
        "path_params": {"topics": f"{TOKEN},{OTHER}"}, "state": {"transport": Transport()},
    }  # fmt: skip
    async with asyncio.timeout(60):
        await (await provider.follow(Request(scope)))(scope, receive, send)
    assert [line["event"] for line in lines[:4]] == ["open", "keepalive", "keepalive", "keepalive"]
    assert {line["topic"] for line in lines} == {f"{TOKEN},{OTHER}"}
    assert provider._followers == {}
