"""VideoFarm: a small video service, its server and its client.

Rule: importing this imports nothing else, and a public name brings its module when it is asked for,
as in `transfermon`: the server runs without the rest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfermon.videofarm.client import Notice as Notice
    from transfermon.videofarm.client import RemoteVideo as RemoteVideo
    from transfermon.videofarm.client import VideoDownload as VideoDownload
    from transfermon.videofarm.client import VideoFarmClient as VideoFarmClient
    from transfermon.videofarm.client import VideoUpload as VideoUpload

_OF_CLIENT = frozenset({"Notice", "RemoteVideo", "VideoDownload", "VideoFarmClient", "VideoUpload"})


def __getattr__(name: str) -> Any:
    if name not in _OF_CLIENT:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.client"), name)
