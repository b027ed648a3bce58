"""The guides' third sample: a silent push names an image, which is downloaded.

    transfermon videofarm                                  # in another terminal: a server to try it with
    transfermon run examples/silent_push.py [FOLDER]       # in the app, or with --headless without a window
    transfermon push '{"alert":"","content-available":1,"download_url":"http://127.0.0.1:8787/photos/1"}'

A push is a stranger's word: what it names is downloaded from public servers only. For the server
above, add "allowed_hosts": ["127.0.0.1:8787"] to `settings.json` in the state folder (README,
“Where things are”).

What differs from the sample, and why: see download.py; and the session, which the sample declares
and never makes, is made at the start. The push comes from `transfermon push`, so nothing is
registered with a push service.
"""

from __future__ import annotations

import json
import os
import sys
import time

# Require in the url_session module
from transfermon import urlsession as url_session
from transfermon.errors import TransferFailure
from transfermon.events import (
    DownloadCompletedEvent,
    DownloadProgressEvent,
    SilentPushEvent,
    TaskCompletedEvent,
)
from transfermon.urlsession import FetchResult, monitor

FOLDER = sys.argv[1] if len(sys.argv) > 1 else "."

session_config = url_session.create_session_configuration(identifier="com.example.silentpush")
session = url_session.create_session(configuration=session_config)


# Monitor silent push notifications
def on_push(event: SilentPushEvent) -> None:
    print("silentpush", json.dumps(event.to_dict()))

    # Create a background download task
    # The push payload field, download_url, is available to this callback
    try:
        session.download_task(url=event.custom.get("download_url", ""))
    except (TransferFailure, ValueError) as exc:
        print("refused", exc)
        monitor.end_background_handler(event.handler_id, FetchResult.FAILED)
        return

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


monitor.add_event_listener("silentpush", on_push)
monitor.add_event_listener("downloadprogress", on_progress)
monitor.add_event_listener("downloadcompleted", on_completed)
monitor.add_event_listener("sessioncompleted", on_task_completed)
