"""Background transfers for the desktop.

Rule: importing this imports nothing else; a public name brings its module when it is asked for (PEP
562), so that `transfermon --help` does not pay for asyncio and TLS.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfermon.engine.handlers import FetchResult as FetchResult
    from transfermon.engine.monitor import Monitor as Monitor
    from transfermon.engine.new_task import TEMPORARY as TEMPORARY
    from transfermon.engine.session import Session as Session
    from transfermon.engine.task_handles import DataTask as DataTask
    from transfermon.engine.task_handles import DownloadTask as DownloadTask
    from transfermon.engine.task_handles import UploadTask as UploadTask
    from transfermon.model.configuration import RetryPolicy as RetryPolicy
    from transfermon.model.configuration import SessionConfiguration as SessionConfiguration
    from transfermon.model.errors import EngineBusyError as EngineBusyError
    from transfermon.model.errors import InvalidAction as InvalidAction
    from transfermon.model.errors import SessionInvalidatedError as SessionInvalidatedError
    from transfermon.model.errors import SessionInvalidatingError as SessionInvalidatingError
    from transfermon.model.errors import TransferError as TransferError
    from transfermon.model.errors import TransferFailure as TransferFailure
    from transfermon.model.errors import TransfermonError as TransfermonError
    from transfermon.model.wake_policy import AppState as AppState

__version__ = "0.1.0"

_HOMES = {
    "AppState": "model.wake_policy",
    "DataTask": "engine.task_handles",
    "DownloadTask": "engine.task_handles",
    "EngineBusyError": "model.errors",
    "FetchResult": "engine.handlers",
    "InvalidAction": "model.errors",
    "Monitor": "engine.monitor",
    "RetryPolicy": "model.configuration",
    "Session": "engine.session",
    "SessionConfiguration": "model.configuration",
    "SessionInvalidatedError": "model.errors",
    "SessionInvalidatingError": "model.errors",
    "TEMPORARY": "engine.new_task",
    "TransferError": "model.errors",
    "TransferFailure": "model.errors",
    "TransfermonError": "model.errors",
    "UploadTask": "engine.task_handles",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
