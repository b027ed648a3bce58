"""What a wake-up does by default: a background fetch asks the VideoFarm server for new videos and
downloads them; a silent push downloads what its `download_url` names.

Rule: the handler is closed as soon as it is known what there is; the downloads go on after it
(B-15).
"""

from __future__ import annotations

import json
import logging

from transfermon.engine.approvals import host_of
from transfermon.engine.handlers import FetchResult
from transfermon.engine.monitor import Monitor
from transfermon.model.errors import TransferFailure
from transfermon.model.events import BackgroundFetchEvent, SilentPushEvent
from transfermon.videofarm.client import RemoteVideo, VideoFarmClient

log = logging.getLogger(__name__)
PUSH_SESSION = "push"
_SEEN = "videofarm.seen"
_SEEN_LIMIT = 2000  # videos remembered, the newest


class VideoSync:
    """The default listener of both wake events, each where nobody else listens already."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        if not monitor.bus.listens("backgroundfetch"):
            monitor.add_event_listener("backgroundfetch", self.on_fetch)
        if not monitor.bus.listens("silentpush"):
            monitor.add_event_listener("silentpush", self.on_push)

    def close(self) -> None:
        self._monitor.remove_event_listener("backgroundfetch", self.on_fetch)
        self._monitor.remove_event_listener("silentpush", self.on_push)

    async def on_fetch(self, event: BackgroundFetchEvent) -> None:
        """NEW_DATA, NO_DATA or FAILED by what the server has (V-16)."""
        result = FetchResult.FAILED
        try:
            result = await self._fetch()
        finally:
            # also after a mistake: a wake that stays open counts as an overrun
            self._end(event.handler_id, result)

    async def _fetch(self) -> FetchResult:
        endpoint = self._monitor.settings.videofarm_url
        if not endpoint:
            self._say("Background fetch found nothing to ask", "No VideoFarm server is set.")
            return FetchResult.FAILED
        client = VideoFarmClient(self._monitor, endpoint)
        try:
            new = self._unseen(await client.fetch_videos())
        except TransferFailure as failure:
            self._say("Background fetch failed", f"{failure.title} {failure.hint}".strip())
            return FetchResult.FAILED
        for video in new:
            try:
                client.download_movie_and_thumbnail(video)
            except (TransferFailure, ValueError) as exc:
                log.warning("the video %s cannot be downloaded: %s", video.id, exc)
        self._remember(new)
        if not new:
            self._say("Background fetch", "The server has no new videos.")
        return FetchResult.NEW_DATA if new else FetchResult.NO_DATA

    def on_push(self, event: SilentPushEvent) -> None:
        url = event.custom.get("download_url")
        if not isinstance(url, str) or not url:
            self._say("A push came", "It names no “download_url”, so nothing was downloaded.")
            self._end(event.handler_id, FetchResult.NO_DATA)
            return
        try:
            self._begin(url, by_hand=event.by_hand)
        except (TransferFailure, ValueError) as exc:
            self._say("A push was refused", str(exc))
            self._end(event.handler_id, FetchResult.FAILED)
        else:
            self._end(event.handler_id, FetchResult.NEW_DATA)

    def _begin(self, url: str, *, by_hand: bool) -> None:
        """Start the download that a push asks for, or let it wait for a person (P13). Raises
        TransferFailure.
        """
        settings, approvals = self._monitor.settings, self._monitor.approvals
        asks = not by_hand and approvals.asks_for(url)
        if asks and approvals.full:
            raise ValueError("Too many downloads wait for a permission already.")
        session = self._monitor.session(PUSH_SESSION)
        session.reconfigure(
            download_folder=settings.push_folder, maximum_bytes=settings.push_maximum_bytes
        )
        task = session.download_task(url, start=not asks)
        if asks:
            host = host_of(url)
            approvals.hold(task.key, host)
            self._monitor.notify(
                f"May pushes download from {host}?",
                "A push asks for a file from there for the first time. It waits until you allow it.",
                user_info={"task": str(task.key), "started": True},
            )

    def _unseen(self, videos: list[RemoteVideo]) -> list[RemoteVideo]:
        seen = set(self._seen()) | {task.url for task in self._monitor.tasks()}
        return [video for video in videos if video.movie_url not in seen]

    def _seen(self) -> list[str]:
        stored = self._monitor.recall(_SEEN)
        return json.loads(stored) if stored else []

    def _remember(self, videos: list[RemoteVideo]) -> None:
        if videos:
            seen = [*self._seen(), *(video.movie_url for video in videos)]
            self._monitor.remember(_SEEN, json.dumps(seen[-_SEEN_LIMIT:]))

    def _say(self, title: str, body: str) -> None:
        self._monitor.notify(title, body)

    def _end(self, handler_id: str, result: FetchResult) -> None:
        self._monitor.end_background_handler(handler_id, result)
