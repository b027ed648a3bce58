"""Background transfers for the desktop.

Rule: importing this imports nothing else; a public name brings its module when it is asked for (PEP 562), so that
`transfermon --help` does not pay for httpx and asyncio.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfermon.background import FetchResult as FetchResult
    from transfermon.configuration import RetryPolicy as RetryPolicy
    from transfermon.configuration import SessionConfiguration as SessionConfiguration
    from transfermon.errors import EngineBusyError as EngineBusyError
    from transfermon.errors import InvalidAction as InvalidAction
    from transfermon.errors import SessionInvalidatedError as SessionInvalidatedError
    from transfermon.errors import SessionInvalidatingError as SessionInvalidatingError
    from transfermon.errors import TransferError as TransferError
    from transfermon.errors import TransferFailure as TransferFailure
    from transfermon.errors import TransfermonError as TransfermonError
    from transfermon.monitor import Monitor as Monitor
    from transfermon.session import TEMPORARY as TEMPORARY
    from transfermon.session import DataTask as DataTask
    from transfermon.session import DownloadTask as DownloadTask
    from transfermon.session import Session as Session
    from transfermon.session import UploadTask as UploadTask
    from transfermon.wakes import AppState as AppState

__version__ = "0.1.0"

_HOMES = {
    "AppState": "wakes",
    "DataTask": "session",
    "DownloadTask": "session",
    "EngineBusyError": "errors",
    "FetchResult": "background",
    "InvalidAction": "errors",
    "Monitor": "monitor",
    "RetryPolicy": "configuration",
    "Session": "session",
    "SessionConfiguration": "configuration",
    "SessionInvalidatedError": "errors",
    "SessionInvalidatingError": "errors",
    "TEMPORARY": "session",
    "TransferError": "errors",
    "TransferFailure": "errors",
    "TransfermonError": "errors",
    "UploadTask": "session",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
