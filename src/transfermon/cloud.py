"""The push provider as the ancestors' samples speak to it:
`cloud.push_notifications.subscribe_token(...)` and the rest, against a VideoFarm server.

Rule: a refusal is an answer, never an exception (P-02); requests are data tasks of a session of our
own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import Enum
from typing import Any

from transfermon.engine.monitor import Monitor
from transfermon.model import json_text
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import TransferFailure
from transfermon.model.record import record

_TOKEN = "push.device_token"  # noqa: S105 - the name of a stored value


class NotificationType(Enum):
    ALERT = "alert"
    BADGE = "badge"
    SOUND = "sound"


@record
class PushRegistered:
    device_token: str  # 64 hex digits, the same for as long as the state directory lives
    type: str = "remote"


@record
class PushRegistrationFailed:
    error: str
    type: str = "remote"


@record
class CloudAnswer:
    """What the provider said; `error` is a sentence when it refused or could not be reached."""

    success: bool
    error: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self.body.get("channels", ()))


def register_for_push_notifications(
    monitor: Monitor,
    types: Sequence[NotificationType],
    success: Callable[[PushRegistered], None],
    error: Callable[[PushRegistrationFailed], None],
) -> None:
    """Call exactly one of `success` and `error` (P-01)."""
    if "remote-notification" not in monitor.background_modes:
        error(PushRegistrationFailed(error="The background mode “remote-notification” is off."))
        return
    if not all(isinstance(kind, NotificationType) for kind in types):
        error(PushRegistrationFailed(error="types holds NotificationType values only."))
        return
    token = monitor.recall(_TOKEN)
    if not token:
        token = secrets.token_hex(32)
        monitor.remember(_TOKEN, token)
    success(PushRegistered(device_token=token))


class Cloud:
    """One provider, by the address of its VideoFarm server."""

    def __init__(self, monitor: Monitor, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        configuration = SessionConfiguration.ephemeral()
        configuration.http_error_policy = "transport"  # the refusal's words are in its body
        self._session = monitor.create_session(configuration)
        self._login = ""
        self.push_notifications = PushNotifications(self)

    def __repr__(self) -> str:
        return f"<Cloud {self._endpoint}{' logged in' if self._login else ''}>"

    async def login(self, login: str) -> CloudAnswer:
        """Be this user from now on."""
        answer = await self.ask("login", login=login)
        self._login = str(answer.body.get("session_id", ""))
        return answer

    async def logout(self) -> CloudAnswer:
        answer = await self.ask("logout")
        self._login = ""
        return answer

    async def ask(
        self, name: str, apns: Mapping[str, str] | None = None, /, **asked: Any
    ) -> CloudAnswer:
        """One request, with the provider's own headers. A server that is not there is a refusal,
        too.
        """
        headers = {"Content-Type": "application/json", **(apns or {})}
        if self._login:
            headers["Authorization"] = f"Bearer {self._login}"
        try:
            task = self._session.data_task(
                f"{self._endpoint}/push/{name}", asked, request_headers=headers
            )
        except (TransferFailure, ValueError, TypeError) as exc:
            return CloudAnswer(success=False, error=str(exc))
        record = await task.wait()
        if record.error is not None:
            return CloudAnswer(
                success=False, error=f"{record.error.message} {record.error.hint}".strip()
            )
        try:
            body = json_text.loads(task.response_text or "")
            if not isinstance(body, dict):
                raise ValueError("not an object")
        except ValueError:
            return CloudAnswer(success=False, error="The push provider's answer cannot be read.")
        if body.get("success") is True:
            return CloudAnswer(success=True, body=body)
        words = body.get("detail") or body.get("title") or "The push provider refused."
        return CloudAnswer(success=False, error=str(words), body=body)


class PushNotifications:
    """The provider's side of `Ti.Cloud.PushNotifications`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def subscribe_token(
        self,
        device_token: str,
        channel: str,
        type: str = "ios",  # noqa: A002
    ) -> CloudAnswer:
        """Without a login."""
        return await self._cloud.ask(
            "subscribe_token", device_token=device_token, channel=channel, type=type
        )

    async def subscribe(self, channel: str, device_token: str, type: str = "ios") -> CloudAnswer:  # noqa: A002
        """Needs a login."""
        return await self._cloud.ask(
            "subscribe", channel=channel, device_token=device_token, type=type
        )

    async def unsubscribe_token(self, device_token: str, channel: str) -> CloudAnswer:
        return await self._cloud.ask(
            "unsubscribe_token", device_token=device_token, channel=channel
        )

    async def unsubscribe(self, channel: str, device_token: str) -> CloudAnswer:
        return await self._cloud.ask("unsubscribe", channel=channel, device_token=device_token)

    async def query_channels(self, device_token: str) -> CloudAnswer:
        return await self._cloud.ask("query_channels", device_token=device_token)

    async def notify(self, channel: str, payload: Mapping[str, Any], **headers: Any) -> CloudAnswer:
        """To every device of a channel. Headers are `apns_push_type`, `apns_priority` and so on."""
        return await self._cloud.ask("notify", _dashed(headers), channel=channel, payload=payload)

    async def notify_tokens(
        self, tokens: Sequence[str], payload: Mapping[str, Any], **headers: Any
    ) -> CloudAnswer:
        """To these devices."""
        return await self._cloud.ask(
            "notify_tokens", _dashed(headers), tokens=list(tokens), payload=payload
        )


def _dashed(headers: Mapping[str, Any]) -> dict[str, str]:
    return {name.replace("_", "-"): str(value) for name, value in headers.items()}
