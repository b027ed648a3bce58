"""The client side of a VideoFarm server: what it offers, as values (SPEC 1.9).

Rule: what a server says is a stranger's word: types are checked, addresses are resolved against the server's own, and
nothing in it chooses a path.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from transfermon.errors import Code, TransferError, TransferFailure, redacted
from transfermon.monitor import Monitor

LIMIT = 1 << 20  # bytes of a list


@dataclass(frozen=True, kw_only=True)
class RemoteVideo:
    """A video as the server lists it."""

    id: str
    title: str
    description: str
    url: str
    thumbnail_url: str
    movie_url: str
    duration: float | None
    created: str


class VideoFarmClient:
    """Speaks through a monitor, so that its limits, proxies and address rules hold."""

    def __init__(self, monitor: Monitor, endpoint: str) -> None:
        self._monitor = monitor
        self.endpoint = endpoint.rstrip("/") + "/"

    def __repr__(self) -> str:
        return f"<VideoFarmClient {self.endpoint}>"

    async def fetch_videos(self) -> list[RemoteVideo]:
        """What the server has now. Raises TransferFailure: unreachable, an error status, or not a list of videos."""
        url = urljoin(self.endpoint, "videos")
        body = await self._monitor.read(url, limit=LIMIT)
        try:
            listed = json.loads(body)
            if not isinstance(listed, list):
                raise TypeError("not a list")
            return [self._video(item) for item in listed]
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise TransferFailure(
                TransferError(
                    code=Code.CANNOT_PARSE_RESPONSE,
                    message="The server's list of videos cannot be read.",
                    reason="srv.protocol",
                    hint="Check that the address is that of a VideoFarm server.",
                    url=redacted(url),
                )
            ) from exc

    def _video(self, item: dict[str, Any]) -> RemoteVideo:
        duration = item.get("duration")
        return RemoteVideo(
            id=str(item["id"]),
            title=str(item["title"]),
            description=str(item.get("description", "")),
            url=urljoin(self.endpoint, str(item["url"])),
            thumbnail_url=urljoin(self.endpoint, str(item["image"])),
            movie_url=urljoin(self.endpoint, str(item["movie"])),
            duration=float(duration) if isinstance(duration, int | float) else None,
            created=str(item.get("created", "")),
        )
