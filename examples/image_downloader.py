"""The screencast's image downloader: it may end while its download goes on, and finds the image at
its next start.

    transfermon videofarm                                         # in another terminal: a server to try it with
    transfermon run examples/image_downloader.py FOLDER URL       # press the button: the download begins
    transfermon run examples/image_downloader.py FOLDER           # a later start: what has happened is told

What differs from the screencast, and why: the observer of the background events is registered when
the program starts, not when a view appears, or a start in the background would miss them; what is
delivered is looked at by session, since a program may have several.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable

from transfermon.events import (
    BackgroundTransferEvent,
    DownloadCompletedEvent,
    SessionEventsCompletedEvent,
    TaskCompletedEvent,
)
from transfermon.urlsession import (
    FetchResult,
    UrlSession,
    create_session,
    create_session_configuration,
    monitor,
)

IDENTIFIER = "your-unique-session-id-here"


class ImageDownloader:
    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._session: UrlSession | None = None
        self.background_completion_handler: Callable[[], bool] | None = None
        monitor.add_event_listener("backgroundtransfer", self.handle_events_for_background_session)
        monitor.add_event_listener("downloadcompleted", self.did_finish_downloading)
        monitor.add_event_listener("sessioncompleted", self.did_complete)
        monitor.add_event_listener(
            "sessioneventscompleted", self.did_finish_events_for_background_session
        )

    @property
    def session(self) -> UrlSession:
        """Made on demand: by the button, or by the events that wait for it."""
        if self._session is None:
            self._session = create_session(create_session_configuration(IDENTIFIER))
        return self._session

    def download_pressed(self, url: str) -> None:
        task = self.session.download_task(url)
        print("started", task.task_identifier)

    def handle_events_for_background_session(self, event: BackgroundTransferEvent) -> None:
        if event.session_identifier == self.session.configuration.identifier:
            print("backgroundtransfer", event.session_identifier)
            self.background_completion_handler = functools.partial(
                monitor.end_background_handler, event.handler_id, FetchResult.NEW_DATA
            )

    def did_finish_downloading(self, event: DownloadCompletedEvent) -> None:
        if event.session_identifier == IDENTIFIER:
            print(
                "downloadcompleted",
                event.data.save_to(os.path.join(self.folder, event.suggested_filename)),
            )

    def did_complete(self, event: TaskCompletedEvent) -> None:
        if event.session_identifier == IDENTIFIER:
            print("sessioncompleted", event.message or "success")

    def did_finish_events_for_background_session(self, event: SessionEventsCompletedEvent) -> None:
        if (
            event.session_identifier == IDENTIFIER
            and self.background_completion_handler is not None
        ):
            print("sessioneventscompleted")
            print("completionhandler", self.background_completion_handler())
            self.background_completion_handler = None


if __name__ == "__main__":
    downloader = ImageDownloader(sys.argv[1] if len(sys.argv) > 1 else ".")
    if len(sys.argv) > 2:
        downloader.download_pressed(sys.argv[2])
