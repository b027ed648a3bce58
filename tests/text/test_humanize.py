"""Numbers, states, events and errors in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.model import events
from transfermon.model.errors import Retry, TransferError
from transfermon.model.task import Activity, Kind, State, Task
from transfermon.model.units import (
    clean,
    countdown,
    duration,
    percent,
    progress,
    rate,
    size,
    time_left,
)
from transfermon.text.humanize import error, event, status

NOW = 1_800_000_000.0
REFUSED = TransferError(
    code=-1004, message="The server refused the connection.", hint="Try later.", retry=Retry.RETRY
)
CANCELLED = TransferError(code=-999, message="Cancelled.")


def a_task(**fields: object) -> Task:
    return Task(
        **{"session": "s", "number": 7, "kind": Kind.DOWNLOAD, "url": "http://host/f", **fields}  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (-1, "–"),
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (4_700_000, "4.7 MB"),
        (99_949, "99.9 kB"),
        (150_000, "150 kB"),
        (999_949, "1000 kB"),
        (999_950, "1.0 MB"),
        (1_300_000_000, "1.3 GB"),
        (5 * 10**12, "5.0 TB"),
        (2**63, "9.2 EB"),
    ],
)
def test_sizes_are_decimal(count: int, words: str):
    assert size(count) == words


@given(st.integers(0, 2**64))
def test_a_size_is_never_longer_than_nine_characters(count: int):
    assert len(size(count)) <= 9


def test_a_rate_is_a_dash_when_nothing_moves():
    assert rate(12_400_000) == "12.4 MB/s"
    assert rate(0.2) == "–"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (480, "8 min"),
        (3599, "1 h 00 min"),
        (3840, "1 h 04 min"),
        (86_000, "23 h 53 min"),
        (86_400, "1 d 0 h"),
        (183_600, "2 d 3 h"),
    ],
)
def test_durations_say_no_more_than_is_needed(seconds: float, words: str):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0:00"), (12, "0:12"), (300, "5:00"), (3600, "1:00:00"), (3725, "1:02:05")],
)
def test_a_countdown_looks_like_a_clock(seconds: float, words: str):
    assert countdown(seconds) == words


@pytest.mark.parametrize(
    ("done", "total", "per_second", "words"),
    [
        (0, 480_000, 1000, "8 min"),
        (5, -1, 1000, "–"),
        (5, 10, 0, "–"),
        (10, 10, 5, "0 s"),
        (0, 10**15, 2, "–"),
    ],
)
def test_time_left_is_a_dash_when_it_cannot_be_known(
    done: int, total: int, per_second: float, words: str
):
    assert time_left(done, total, per_second) == words


@pytest.mark.parametrize(
    ("done", "total", "words"),
    [
        (0, 10, "0 %"),
        (999, 1000, "99 %"),
        (10, 10, "100 %"),
        (0, 0, "100 %"),
        (50, -1, ""),
        (11, 10, "100 %"),
    ],
)
def test_a_percentage_is_full_only_at_the_end_and_absent_when_unknown(
    done: int, total: int, words: str
):
    assert percent(done, total) == words


def test_progress_without_a_total_is_the_bytes_so_far():
    assert progress(4_700_000, -1) == "4.7 MB"
    assert progress(4_700_000, 12_000_000) == "4.7 MB of 12.0 MB (39 %)"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": State.SUSPENDED}, "Paused"),
        ({"state": State.CANCELING}, "Cancelling"),
        ({"state": State.COMPLETED}, "Done"),
        ({"state": State.COMPLETED, "error": CANCELLED}, "Cancelled"),
        ({"state": State.COMPLETED, "error": REFUSED}, "Failed: the server refused the connection"),
        ({"activity": Activity.NONE}, "Queued"),
        ({"activity": Activity.QUEUED}, "Queued"),
        ({"activity": Activity.CONNECTING}, "Connecting"),
        ({"activity": Activity.TRANSFERRING}, "Downloading"),
        ({"activity": Activity.TRANSFERRING, "kind": Kind.UPLOAD}, "Uploading"),
        ({"activity": Activity.TRANSFERRING, "kind": Kind.DATA}, "Sending"),
        ({"activity": Activity.VERIFYING}, "Checking"),
        ({"activity": Activity.FINALIZING}, "Saving"),
        ({"activity": Activity.WAITING_FOR_CONNECTIVITY}, "Waiting for a network"),
        (
            {"activity": Activity.WAITING_FOR_CONNECTIVITY, "waiting_reason": "The disk is full."},
            "Waiting: the disk is full",
        ),
        (
            {
                "activity": Activity.RETRYING,
                "waiting_reason": "Connection refused.",
                "waiting_until": NOW + 12,
            },
            "Waiting: connection refused, retrying in 0:12",
        ),
        ({"activity": Activity.RETRYING, "waiting_until": NOW - 5}, "Waiting: retrying in 0:00"),
        ({"activity": Activity.RETRYING}, "Waiting"),
        ({"activity": Activity.WAITING_UNTIL, "earliest_begin": NOW + 3600}, "Starts in 1:00:00"),
        ({"activity": Activity.WAITING_UNTIL}, "Waiting"),
    ],
)
def test_every_state_has_its_words(fields: dict[str, object], words: str):
    assert status(a_task(**{"state": State.RUNNING, **fields}), NOW) == words


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("activity", list(Activity))
@pytest.mark.parametrize("kind", list(Kind))
def test_no_combination_is_without_words(state: State, activity: Activity, kind: Kind):
    assert status(a_task(state=state, activity=activity, kind=kind), NOW)


def test_an_error_says_what_happened_and_what_to_do():
    assert error(REFUSED) == "The server refused the connection. Try later."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand\rmore", "two lines and more"),
        ("esc\x1b[31m", "esc�[31m"),
        ("evil\u202egpj.exe", "evil�gpj.exe"),
        ("zero\u200bwidth\ufeff", "zero�width�"),
        ("half\ud800", "half�"),
        ("line\u2028sep", "line�sep"),
        ("<b>&amp;", "<b>&amp;"),
    ],
)
def test_outside_text_becomes_plain_text_on_one_line(text: str, shown: str):
    assert clean(text) == shown


@given(st.text(alphabet=st.characters(exclude_categories=[])), st.integers(1, 30))
def test_clean_text_is_short_printable_and_stays_so(text: str, limit: int):
    shown = clean(text, limit)
    assert len(shown) <= limit
    assert all(char.isprintable() or ord(char) > 255 or char == "\xa0" for char in shown)
    assert clean(shown, limit) == shown
    assert shown.encode("utf-8") is not None


def every_event() -> list[events.Event]:
    return [cls(session="s") for cls in events.CLASSES.values()]


@pytest.mark.parametrize("told", every_event(), ids=lambda told: told.type)
def test_every_class_of_event_has_a_line_of_its_own(told: events.Event):
    line = event(told)
    assert line
    assert line != told.type
    assert "\n" not in line
    assert "None" not in line


NAMED = a_task(name="a.png")


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (
            events.TaskCreatedEvent(task_identifier=7, kind="upload", url="http://h/x"),
            "Upload 7 added: http://h/x",
        ),
        (
            events.TaskStateEvent(
                task_identifier=7,
                state="running",
                activity="retrying",
                reason="Connection refused.",
            ),
            "Task 7: Waiting to retry, connection refused",
        ),
        (
            events.TaskStateEvent(task_identifier=7, state="running", activity="transferring"),
            "Task 7: Downloading",
        ),
        (events.TaskStateEvent(task_identifier=7, state="suspended"), "Task 7: Paused"),
        (
            events.TaskRemovedEvent(task_identifier=7, file_deleted=True),
            "Task 7 removed from the list and its file deleted",
        ),
        (
            events.DownloadProgressEvent(
                task_identifier=7,
                task=NAMED,
                total_bytes_written=50,
                total_bytes_expected_to_write=200,
                total_known=True,
            ),
            "“a.png”: 50 bytes of 200 bytes (25 %)",
        ),
        (
            events.DownloadProgressEvent(task_identifier=7, total_bytes_written=50),
            "Task 7: 50 bytes",
        ),
        (
            events.DownloadResumedEvent(
                task_identifier=7, file_offset=50, expected_total_bytes=200
            ),
            "Task 7 goes on at 50 bytes of 200 bytes (25 %)",
        ),
        (
            events.DownloadResumedEvent(
                task_identifier=7, reason="The file changed on the server."
            ),
            "Task 7 starts from zero: the file changed on the server",
        ),
        (
            events.DownloadCompletedEvent(task_identifier=7, task=NAMED, location="/d/a.png"),
            "“a.png” downloaded to /d/a.png",
        ),
        (
            events.TaskCompletedEvent(task_identifier=7, success=True, status_code=206),
            "Task 7 done (HTTP 206)",
        ),
        (
            events.TaskCompletedEvent(
                task_identifier=7, error_code=-1005, message="The connection broke.", resumable=True
            ),
            "Task 7 failed: the connection broke; what is there can be used to go on",
        ),
        (
            events.TaskCompletedEvent(task_identifier=7, error_code=-999, message="Cancelled."),
            "Task 7 cancelled",
        ),
        (
            events.SessionIdleEvent(session="s", completed=3, failed=1),
            "Session “s” has nothing left to do: 3 done, 1 failed",
        ),
        (
            events.BackgroundFetchEvent(handler_id="Fetch-1", by_hand=True),
            "Background fetch, by hand",
        ),
        (
            events.SilentPushEvent(custom={"download_url": "http://h/\x1b"}),
            "Silent push: http://h/�",
        ),
        (
            events.HandlerEndedEvent(
                handler_id="Fetch-1", result="new_data", elapsed=1.25, started_tasks=2
            ),
            "Handler Fetch-1 ended after 1.2 s: new data, 2 tasks started",
        ),
        (
            events.NotificationEvent(alert_title="Done", alert_body="a.png"),
            "Notification (in the window): Done: a.png",
        ),
    ],
)
def test_an_event_reads_like_a_sentence(told: events.Event, line: str):
    assert event(told) == line


def test_a_handler_is_named_as_far_as_it_tells_one_from_another():
    told = events.HandlerEndedEvent(
        handler_id="Fetch-6cacb3d3-767a-4024-9060-99e442c30d7a", elapsed=0.2, result="new_data"
    )
    assert event(told).startswith("Handler Fetch-6cacb3d3 ended after 0.2 s")
