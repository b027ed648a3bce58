"""The ancestors' function names, so that their samples can be written line by line.

Rule: nothing is decided here; every call goes to the Monitor that is attached, with one difference:
a download without a destination is a temporary file, which goes when the listeners of
`downloadcompleted` have returned (D-08).
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
import weakref
from collections.abc import Awaitable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from transfermon.engine.handlers import FetchResult
from transfermon.engine.monitor import (
    TEMPORARY,
    DataTask,
    DownloadTask,
    Monitor,
    Session,
    TransferTask,
    UploadTask,
)
from transfermon.model.configuration import (
    BACKGROUND_FETCH_INTERVAL_MIN,
    BACKGROUND_FETCH_INTERVAL_NEVER,
    BACKGROUND_HANDLER_BUDGET,
    SessionConfiguration,
)
from transfermon.model.errors import InvalidAction

__all__ = [
    "BACKGROUND_FETCH_INTERVAL_MIN",
    "BACKGROUND_FETCH_INTERVAL_NEVER",
    "BACKGROUND_HANDLER_BUDGET",
    "TEMPORARY",
    "FetchResult",
    "UrlSession",
    "attached",
    "background_download_task_with_url",
    "create_session",
    "create_session_configuration",
    "create_url_session",
    "create_url_session_background_configuration",
    "finish_tasks_and_invalidate",
    "invalidate_and_cancel",
    "monitor",
]
if TYPE_CHECKING:
    monitor: Monitor  # the one that is attached; InvalidAction while there is none

_attached: list[Monitor] = []  # the last one counts
_sessions: weakref.WeakValueDictionary[str, UrlSession] = weakref.WeakValueDictionary()


def __getattr__(name: str) -> Any:
    if name == "monitor":
        return _monitor()
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}{_python_name(name, globals())}"
    )


@contextlib.contextmanager
def attached(monitor: Monitor) -> Iterator[None]:
    """Let the functions here, and scripts that import `monitor` from here, work on this one inside
    the block.
    """
    _attached.append(monitor)
    try:
        yield
    finally:
        _attached.remove(monitor)
        _sessions.clear()


def _monitor() -> Monitor:
    if not _attached:
        raise InvalidAction(
            "no monitor is attached: start the script with `transfermon run`, or use `attached`"
        )
    return _attached[-1]


def _python_name(name: str, known: Any) -> str:
    """The samples' spelling, or a slip of it (TR-02), leads to ours."""
    ours = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return f"; in Python it is {ours!r}" if ours != name and ours in known else ""


class UrlSession:
    """A session as the samples use it. Made by `create_session`; the session itself is the
    Monitor's.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"<UrlSession {self._session.key} {self._session.state.value}>"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a session has no attribute {name!r}{_python_name(name, dir(self))}")

    @property
    def session(self) -> Session:
        """The object form."""
        return self._session

    @property
    def identifier(self) -> str | None:
        return self._session.identifier

    @property
    def configuration(self) -> SessionConfiguration:
        """A copy (S-05)."""
        return self._session.configuration

    def download_task(
        self, url: str, *, destination: Any = TEMPORARY, **options: Any
    ) -> DownloadTask:
        """As `Session.download_task`, into a temporary file unless a destination is given."""
        return self._session.download_task(url, destination=destination, **options)

    def download_task_with_resume_data(self, data: bytes, *, start: bool = True) -> DownloadTask:
        """R-04."""
        return self._session.download_task_with_resume_data(data, start=start)

    def upload_task(
        self, url: str, data: str | os.PathLike[str] | bytes, **options: Any
    ) -> UploadTask:
        """As `Session.upload_task`."""
        return self._session.upload_task(url, data, **options)

    def upload_task_with_stream(self, url: str, factory: Any, **options: Any) -> UploadTask:
        """As `Session.upload_task_with_stream`."""
        return self._session.upload_task_with_stream(url, factory, **options)

    def upload_task_with_resume_data(self, data: bytes, *, start: bool = True) -> UploadTask:
        """U-22."""
        return self._session.upload_task_with_resume_data(data, start=start)

    def data_task(self, url: str, data: object = None, **options: Any) -> DataTask:
        """As `Session.data_task`."""
        return self._session.data_task(url, data, **options)

    async def get_all_tasks(self) -> list[TransferTask]:
        """S-19."""
        return await self._session.get_all_tasks()

    async def get_tasks(self) -> tuple[list[TransferTask], list[TransferTask], list[TransferTask]]:
        """Data, upload and download tasks."""
        return await self._session.get_tasks()

    def finish_tasks_and_invalidate(self) -> None:
        """S-11."""
        self._session.finish_tasks_and_invalidate()

    def invalidate_and_cancel(self) -> None:
        """S-13."""
        self._session.invalidate_and_cancel()

    def reset(self, callback: Any = None) -> Awaitable[None]:
        """S-16."""
        return self._session.reset(callback)

    def flush(self, callback: Any = None) -> Awaitable[None]:
        """S-17."""
        return self._session.flush(callback)


# ---- the module's functions


def create_session_configuration(
    identifier: str, http_header_fields: Mapping[str, str] | None = None
) -> SessionConfiguration:
    """A background configuration. Raises TypeError or ValueError for a bad identifier (S-01);
    headers are checked when the session is created, and may be assigned until then (S-02).
    """
    configuration = SessionConfiguration.background(identifier)
    if http_header_fields is not None:
        configuration.http_header_fields = http_header_fields  # type: ignore[assignment]  # checked by the session
    return configuration


def create_session(configuration: SessionConfiguration) -> UrlSession:
    """As `Monitor.create_session`: the identical object while one of that identifier is active
    (S-06).
    """
    session = _monitor().create_session(configuration)
    known = _sessions.get(session.key)
    if known is None or known.session is not session:
        known = _sessions[session.key] = UrlSession(session)
    return known


# ---- the old guide's names (S-18)


def create_url_session_background_configuration(identifier: str) -> SessionConfiguration:
    """Deprecated: `create_session_configuration`."""
    _deprecated("create_session_configuration(identifier)")
    return create_session_configuration(identifier)


def create_url_session(configuration: SessionConfiguration) -> UrlSession:
    """Deprecated: `create_session`."""
    _deprecated("create_session(configuration)")
    return create_session(configuration)


def background_download_task_with_url(session: UrlSession, url: str) -> DownloadTask:
    """Deprecated: `UrlSession.download_task`."""
    _deprecated("session.download_task(url)")
    return session.download_task(url)


def finish_tasks_and_invalidate(session: UrlSession) -> None:
    """Deprecated: `UrlSession.finish_tasks_and_invalidate`."""
    _deprecated("session.finish_tasks_and_invalidate()")
    session.finish_tasks_and_invalidate()


def invalidate_and_cancel(session: UrlSession) -> None:
    """Deprecated: `UrlSession.invalidate_and_cancel`."""
    _deprecated("session.invalidate_and_cancel()")
    session.invalidate_and_cancel()


def _deprecated(instead: str) -> None:
    warnings.warn(
        f"this is the old guide's name; write {instead}", DeprecationWarning, stacklevel=3
    )
