"""The sessions of one engine, by their keys: which are active, and the numbers of those that are over.

Rule: a key has one session at a time, and the number of a task is never given twice under it, not
even to a later session of that name (S-08).
"""

from __future__ import annotations

import logging

from transfermon.engine.restore import DEFAULT, restore_sessions
from transfermon.engine.session import Session
from transfermon.engine.session_core import SessionState, checked_copy
from transfermon.engine.shared import Engine
from transfermon.model.configuration import RetryPolicy, SessionConfiguration
from transfermon.model.errors import SessionInvalidatingError
from transfermon.storage.changes import Remembered, SessionRow
from transfermon.wire.trust import trust

log = logging.getLogger(__name__)


class SessionRegister:
    """`active` is the one dict that all parts of the monitor look at."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.active: dict[str, Session] = {}
        self._retired: dict[str, SessionRow] = {}  # invalidated ones
        self._defaults = 0  # the highest number of a default session

    def __repr__(self) -> str:
        return f"<SessionRegister active={list(self.active)} retired={len(self._retired)}>"

    async def restore(self, remembered: Remembered) -> None:
        """Take the sessions of earlier engines. None of their tasks runs yet."""
        sessions, self._retired, self._defaults = await restore_sessions(
            self._engine, remembered, self._retire
        )
        self.active.update(sessions)

    def create(self, configuration: SessionConfiguration) -> Session:
        """The session of that identifier, as `Monitor.create_session` promises it."""
        own = checked_copy(configuration)
        if own.ca_file:
            _check_authorities(own.ca_file)
        key = own.identifier
        if key is None:
            self._defaults += 1
            key = DEFAULT.format(self._defaults)
        existing = self.active.get(key)
        if existing is not None:
            if existing.state is not SessionState.ACTIVE:
                raise SessionInvalidatingError(f"session {key} is still finishing")
            if own not in (existing.configuration, existing.own_configuration):
                log.warning("session %s exists; its settings stay as they are", key)
            return existing
        headers, own.http_header_fields = own.http_header_fields, {}
        self._engine.vault.put(key, headers)
        own.proxy = self._engine.keep_proxy(key, own.proxy)
        retired = self._retired.pop(key, None)
        row = SessionRow(
            key=key, configuration=own, next_number=retired.next_number if retired else 1
        )
        session = self.active[key] = Session(self._engine, row, forget=self._retire)
        session.announce()
        return session

    def named(self, identifier: str) -> Session:
        """The background session of that name; one that is missing gets the app's defaults."""
        existing = self.active.get(identifier)
        if existing is not None and existing.state is SessionState.ACTIVE:
            return existing
        settings = self._engine.settings
        configuration = SessionConfiguration.background(identifier)
        configuration.http_maximum_connections_per_host = settings.connections_per_host or None
        configuration.connections = settings.connections
        configuration.retry_policy = RetryPolicy(attempts=settings.attempts)
        return self.create(configuration)

    def _retire(self, session: Session) -> None:
        self.active.pop(session.key, None)
        self._retired[session.key] = session.row


def _check_authorities(path: str) -> None:
    try:
        trust(path)
    except OSError as exc:
        reason = exc.strerror if exc.filename or exc.errno else ""
        raise ValueError(
            f"ca_file {path} holds no certificates that can be used{f': {reason}' if reason else ''}"
        ) from exc
