"""Settings that change while transfers run: saved, and applied at once to what they concern."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from transfermon.engine.push_channel import SECRETS, PushChannel
from transfermon.engine.session import Session
from transfermon.engine.session_core import SessionState
from transfermon.engine.shared import Engine
from transfermon.engine.wake_engine import Background
from transfermon.model.configuration import BACKGROUND_FETCH_INTERVAL_NEVER, RetryPolicy
from transfermon.model.wake_policy import BACKGROUND_MODES, clamped_interval
from transfermon.storage.settings import NEVER, Settings


class LiveSettings:
    """Those of one engine. `applied` is called after each change."""

    def __init__(
        self,
        engine: Engine,
        background: Background,
        push_channel: PushChannel,
        sessions: Mapping[str, Session],
        applied: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._background = background
        self._push_channel = push_channel
        self._sessions = sessions
        self._applied = applied

    def update(self, **changes: Any) -> None:
        """Save and apply. Raises OSError when they cannot be saved; they apply all the same."""
        old = self._engine.settings
        new = self._engine.settings = dataclasses.replace(old, **changes)
        self._engine.slots.set_running(new.running_tasks)
        self._engine.set_speed_limit(new.speed_limit)
        self._engine.allowed_hosts |= set(new.allowed_hosts)
        self._engine.allowed_hosts -= set(old.allowed_hosts) - set(new.allowed_hosts)
        self._background.settings_changed()
        self._push_channel.settings_changed()
        self._applied()
        for session in list(self._sessions.values()):
            self._follow(session, old)
        new.replaced()

    def switch_push_channel(self, on: bool, *, token: str | None = None) -> None:
        """Listen to the push channel or not. Without a topic a random one of 128 bits is made:
        whoever knows it can push. `token` is the server's; it is kept with the other secrets, and
        "" forgets it. Raises OSError as `update`.
        """
        if token:
            self._engine.vault.put(SECRETS, {"Authorization": f"Bearer {token}"})
        elif token is not None:
            self._engine.vault.drop(SECRETS)
        topics = self._engine.settings.push_topics or ((secrets.token_hex(16),) if on else ())
        self.update(push_enabled=on, push_topics=topics)

    def set_background_modes(self, modes: Iterable[str]) -> None:
        """Raises ValueError for an unknown one, OSError as `update`."""
        wanted = set(modes)
        if unknown := wanted - set(BACKGROUND_MODES):
            raise ValueError(f"there is no background mode “{min(unknown)}”")
        self.update(background_modes=tuple(mode for mode in BACKGROUND_MODES if mode in wanted))

    def set_fetch_interval(self, seconds: float) -> None:
        """Seconds between two background fetches at the least, from MIN to NEVER, which is infinite
        (B-08).
        """
        interval = clamped_interval(seconds)
        self.update(
            fetch_interval=NEVER if interval == BACKGROUND_FETCH_INTERVAL_NEVER else interval
        )

    def _follow(self, session: Session, old: Settings) -> None:
        """A session that has the limits of the settings until now gets those of the new ones."""
        own, new = session.row.configuration, self._engine.settings
        if not own.is_background or session.state is not SessionState.ACTIVE:
            return
        changes: dict[str, Any] = {}
        if own.connections_to_a_host == old.connections_per_host:
            changes["http_maximum_connections_per_host"] = new.connections_per_host or None
        if own.connections == old.connections:
            changes["connections"] = new.connections
        if own.retry_policy == RetryPolicy(attempts=old.attempts):
            changes["retry_policy"] = RetryPolicy(attempts=new.attempts)
        session.reconfigure(**changes)
