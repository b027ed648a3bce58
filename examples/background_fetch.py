"""The guides' second sample: when the app is woken for a background fetch, download an image and
tell about it.

    transfermon videofarm                                           # in another terminal: a server to try it with
    transfermon run examples/background_fetch.py [URL [FOLDER]]     # in the app, or with --headless without a window
    transfermon fetch                                               # wake it now; by itself it comes in a while

What differs from the sample, and why: see download.py; and the handler says what came of the fetch.
The interval is kept in the settings: “Background” in the window turns it off again.
"""

from __future__ import annotations

import json
import os
import sys
import time

# Require in the url_session module
from transfermon import urlsession as url_session
from transfermon.events import (
    BackgroundFetchEvent,
    DownloadCompletedEvent,
    DownloadProgressEvent,
    TaskCompletedEvent,
)
from transfermon.task import Origin
from transfermon.urlsession import FetchResult, monitor

IMAGE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8787/photos/1"
FOLDER = sys.argv[2] if len(sys.argv) > 2 else "."

# Create the session
session_config = url_session.create_session_configuration(identifier="com.example.backgroundfetch")
session = url_session.create_session(configuration=session_config)

# Set the fetch interval level
monitor.set_minimum_background_fetch_interval(url_session.BACKGROUND_FETCH_INTERVAL_MIN)


# Monitor this event for a signal to fetch data
def on_fetch(event: BackgroundFetchEvent) -> None:
    print("backgroundfetch", json.dumps(event.to_dict()))

    # Initiate the download. Addresses used while a fetch is handled may have come from anywhere and
    # reach public servers only; this one was named by the person who started the script.
    session.download_task(url=IMAGE, origin=Origin.TYPED)

    # Display a banner message when the download starts
    monitor.schedule_local_notification(
        alert_body="Background download initiated ...", date=time.time() * 1000
    )

    # Put the application back to sleep
    monitor.end_background_handler(event.handler_id, FetchResult.NEW_DATA)


# Monitor this event to receive updates on the progress of the download
def on_progress(event: DownloadProgressEvent) -> None:
    # Update the progress indicator
    value = (
        f"{event.fraction:.0%}"
        if event.fraction is not None
        else f"{event.total_bytes_written} bytes"
    )
    print("downloadprogress", value)


# Monitor this event to know when the download completes
def on_completed(event: DownloadCompletedEvent) -> None:
    print("downloadcompleted", json.dumps(event.to_dict()))

    # Update the image: its file is a temporary one, which goes when this function has returned
    print("image", event.data.save_to(os.path.join(FOLDER, event.suggested_filename)))

    # Display a banner message when the download finishes
    monitor.schedule_local_notification(alert_body="Download completed!", date=time.time() * 1000)


# Monitor this event to know when each of the session's tasks has completed
def on_task_completed(event: TaskCompletedEvent) -> None:
    print("sessioncompleted", json.dumps(event.to_dict()))
    print("alert", "Downloads completed successfully." if event.success else event.message)


monitor.add_event_listener("backgroundfetch", on_fetch)
monitor.add_event_listener("downloadprogress", on_progress)
monitor.add_event_listener("downloadcompleted", on_completed)
monitor.add_event_listener("sessioncompleted", on_task_completed)
