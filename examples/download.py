"""The guides' first sample: download an image, show how far it is, and tell when it is there.

    transfermon videofarm                                   # in another terminal: a server to try it with
    transfermon run examples/download.py [URL [FOLDER]]     # in the app, or with --headless without a window

What differs from the sample, and why: the window, the bar and the picture are the app's own, so
what was drawn into them is printed; an unknown size is not divided by; the finished file is not
written to the root of the file system; and the session is not invalidated when one download has
completed, since that would cancel all its others.
"""

from __future__ import annotations

import json
import os
import sys
import time

# Require in the url_session module
from transfermon import urlsession as url_session
from transfermon.events import DownloadCompletedEvent, DownloadProgressEvent, TaskCompletedEvent
from transfermon.urlsession import monitor

IMAGE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8787/photos/1"
FOLDER = sys.argv[2] if len(sys.argv) > 2 else "."

# Create a session configuration
# The identifier is an arbitrary string used to identify the session in events
session_config = url_session.create_session_configuration(identifier="com.example.download")

# Create a session
session = url_session.create_session(configuration=session_config)


def on_click() -> None:
    # Create a background download task to get the asset with the URL
    session.download_task(url=IMAGE)


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

    # Notify the user the download is complete if the application is in the background
    monitor.schedule_local_notification(alert_body="Download completed!", date=time.time() * 1000)


# Monitor this event to know when each of the session's tasks has completed
def on_task_completed(event: TaskCompletedEvent) -> None:
    print("sessioncompleted", json.dumps(event.to_dict()))
    print("alert", "Downloads completed successfully." if event.success else event.message)


monitor.add_event_listener("downloadprogress", on_progress)
monitor.add_event_listener("downloadcompleted", on_completed)
monitor.add_event_listener("sessioncompleted", on_task_completed)

on_click()  # there is no button here: it is pressed once
