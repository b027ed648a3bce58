"""The background delivery of one session and one absence, as a table."""

from __future__ import annotations

from collections import deque

import pytest

from transfermon.engine.delivery import STAGES, Absence, DeliveryStep, Stage, progress_event
from transfermon.model.events import DownloadProgressEvent, TaskCompletedEvent, UploadProgressEvent
from transfermon.model.task import Activity, Kind, Progress, State, Task

IDLE, QUEUED, HANDED_OVER = Stage.IDLE, Stage.EVENTS_QUEUED, Stage.HANDED_OVER
DRAINING, DRAINED, ENDED = Stage.DRAINING, Stage.DRAINED, Stage.ENDED


def an_absence(*steps: DeliveryStep) -> Absence:
    absence = Absence(
        session="s",
        identifier="s",
        events=deque([TaskCompletedEvent(session="s", task_identifier=1)]),
    )
    for step in steps:
        absence.take(step)
    return absence


@pytest.mark.parametrize(
    ("steps", "stage"),
    [
        ([], QUEUED),
        ([DeliveryStep.STORED], QUEUED),
        ([DeliveryStep.ATTACH], DRAINING),
        ([DeliveryStep.ATTACH, DeliveryStep.EMPTY], DRAINED),
        ([DeliveryStep.HAND_OVER], HANDED_OVER),
        ([DeliveryStep.HAND_OVER, DeliveryStep.ATTACH], DRAINING),
        ([DeliveryStep.HAND_OVER, DeliveryStep.ATTACH, DeliveryStep.EMPTY], DRAINED),
        (
            [DeliveryStep.HAND_OVER, DeliveryStep.ATTACH, DeliveryStep.EMPTY, DeliveryStep.END],
            ENDED,
        ),
        (
            [DeliveryStep.HAND_OVER, DeliveryStep.ATTACH, DeliveryStep.EMPTY, DeliveryStep.EXPIRE],
            ENDED,
        ),
        ([DeliveryStep.HAND_OVER, DeliveryStep.END], ENDED),
        ([DeliveryStep.HAND_OVER, DeliveryStep.EXPIRE], ENDED),
        ([DeliveryStep.HAND_OVER, DeliveryStep.ATTACH, DeliveryStep.END], ENDED),
        ([DeliveryStep.HAND_OVER, DeliveryStep.ATTACH, DeliveryStep.EXPIRE], ENDED),
        ([DeliveryStep.HAND_OVER, DeliveryStep.END, DeliveryStep.ATTACH], ENDED),
        (
            [DeliveryStep.HAND_OVER, DeliveryStep.END, DeliveryStep.ATTACH, DeliveryStep.EMPTY],
            ENDED,
        ),
        (
            [
                DeliveryStep.HAND_OVER,
                DeliveryStep.ATTACH,
                DeliveryStep.EMPTY,
                DeliveryStep.END,
                DeliveryStep.END,
            ],
            ENDED,
        ),
    ],
)
def test_the_steps_of_a_delivery_lead_to_its_stages(steps, stage):
    assert an_absence(*steps).stage is stage


@pytest.mark.parametrize(
    ("stage", "step"),
    [
        (IDLE, DeliveryStep.HAND_OVER),
        (IDLE, DeliveryStep.ATTACH),
        (IDLE, DeliveryStep.EMPTY),
        (QUEUED, DeliveryStep.EMPTY),
        (QUEUED, DeliveryStep.END),
        (HANDED_OVER, DeliveryStep.HAND_OVER),
        (HANDED_OVER, DeliveryStep.EMPTY),
        (DRAINING, DeliveryStep.STORED),
        (DRAINING, DeliveryStep.HAND_OVER),
        (DRAINED, DeliveryStep.STORED),
        (DRAINED, DeliveryStep.ATTACH),
        (DRAINED, DeliveryStep.EMPTY),
        (ENDED, DeliveryStep.STORED),
        (ENDED, DeliveryStep.HAND_OVER),
        (ENDED, DeliveryStep.EXPIRE),
    ],
)
def test_what_cannot_happen_is_not_in_the_table(stage, step):
    assert (stage, step) not in STAGES
    absence = an_absence()
    absence.stage = stage
    with pytest.raises(KeyError):
        absence.take(step)


def test_every_stage_can_be_reached_and_left_but_the_last():
    assert set(STAGES.values()) | {IDLE} == set(Stage)
    assert {stage for stage, _ in STAGES} == set(Stage)
    assert {after for (stage, _), after in STAGES.items() if stage is ENDED} == {ENDED}


def test_an_absence_without_events_is_idle():
    assert Absence(session="s", identifier="s", events=deque()).stage is IDLE


def a_task(**changes) -> Task:
    return Task(
        **{
            "session": "s",
            "number": 1,
            "kind": Kind.DOWNLOAD,
            "url": "http://x/",
            "state": State.RUNNING,
            **changes,
        }
    )


@pytest.mark.parametrize(
    "task",
    [
        a_task(state=State.COMPLETED),
        a_task(state=State.CANCELING),
        a_task(kind=Kind.DATA),
        a_task(activity=Activity.FINALIZING),
        a_task(final_path="/x/a", part_path=""),
    ],
)
def test_no_progress_is_told_of_a_task_to_which_nothing_comes(task):
    assert progress_event(task, None) is None


@pytest.mark.parametrize("state", [State.RUNNING, State.SUSPENDED])
def test_progress_is_that_of_the_record(state):
    event = progress_event(a_task(state=state, received=10, expected=40, attempt=2), None)
    assert isinstance(event, DownloadProgressEvent)
    assert (
        event.bytes_written,
        event.total_bytes_written,
        event.total_bytes_expected_to_write,
    ) == (0, 10, 40)
    assert (event.total_known, event.fraction, event.attempt) == (True, 0.25, 2)


def test_progress_of_a_running_task_is_the_live_one_and_the_next_counts_from_there():
    live = Progress(received=20, told=5)
    event = progress_event(a_task(received=10), live)
    assert isinstance(event, DownloadProgressEvent)
    assert (event.total_bytes_written, event.total_known, event.total_bytes_expected_to_write) == (
        20,
        False,
        0,
    )
    assert live.told == 20
    assert event.task is not None
    assert event.task.received == 20


def test_progress_of_an_upload_is_what_was_sent():
    event = progress_event(a_task(kind=Kind.UPLOAD, sent=7, expected_to_send=9), None)
    assert isinstance(event, UploadProgressEvent)
    assert (event.total_bytes_sent, event.total_bytes_expected_to_send) == (7, 9)
