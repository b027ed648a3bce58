"""One attempt of a transfer as its parts see it: the task's record, the way to change it, and what
was sent for it.

Rule: no decisions here. What a part alone needs to know is that part's own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from transfermon.engine.session_core import Recorded
from transfermon.engine.shared import Engine
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import TransferError
from transfermon.model.events import TaskEvent, activity_event
from transfermon.model.metrics import MOST_KEPT, REDIRECTS, Trace
from transfermon.model.record import record
from transfermon.model.task import Activity, Evidence, Progress, Response, Task, changed

if TYPE_CHECKING:
    from transfermon.wire.answer import Answer

Record = Callable[..., "asyncio.Future[None]"]  # Session._record


@record
class UntoldEnd:
    """What a success is to record and tell in one change: a file that has its name, or an answer
    to an upload.
    """

    events: tuple[TaskEvent, ...] = ()  # that come before the end
    changes: Mapping[str, Any] = field(default_factory=dict)  # of the record
    part: str = ""  # of a small file: its own name goes when the end is durable


@record
class Result:
    """How an attempt ended: neither field set means the file is there."""

    error: TransferError | None = None
    stopped: bool = False  # by suspend, cancel or the end of the engine
    text: str | None = None  # of the answer to an upload or a data task
    text_is_whole: bool = True  # nothing was left out of it
    untold: UntoldEnd | None = None  # of which neither store nor journal has heard


class Attempt:
    """Made for one attempt, and shared by its parts."""

    def __init__(
        self,
        engine: Engine,
        configuration: SessionConfiguration,
        *,
        one: Recorded,
        record: Record,
        progress: Progress,
    ) -> None:
        self.engine = engine
        self.configuration = configuration
        self.record = record
        self.progress = progress
        # of a download: it was told whether the body continues or starts over
        self.announced = False
        self.by_mirror = False  # what arrives comes from another address than the task's
        self._one = one
        # attempt and exchanges of each call, until they are recorded
        self._sent: list[tuple[int, list[Trace]]] = []
        # exchanges and address, until their server's pace has heard of them
        self._paced: list[tuple[list[Trace], str]] = []
        self._redirects = 0  # of calls whose exchanges would not be kept

    def __repr__(self) -> str:
        return f"<Attempt {self.task.attempt} of {self.task.key}>"

    @property
    def task(self) -> Task:
        """As it is now: a command may change it at any await."""
        return self._one.record

    def tell(self, activity: Activity, **changes: Any) -> None:
        task = self._doing(activity, changes)
        self.record(task, activity_event(task), store=False)

    def note(self, activity: Activity, **changes: Any) -> None:
        """As `tell`, for what is mostly over before anybody could see it."""
        self.record(self._doing(activity, changes), None, store=False)

    def _doing(self, activity: Activity, changes: Mapping[str, Any]) -> Task:
        task = changed(
            self.task, activity=activity, waiting_until=None, waiting_reason="", **changes
        )
        self.progress.attempt = task.attempt
        return task

    def begin_next(self) -> None:
        """What is asked next is a new attempt: what it finds is told before what it brings."""
        self.announced = False
        self.tell(Activity.CONNECTING, attempt=self.task.attempt + 1)

    def place_of(self, answer: Answer) -> dict[str, Any]:
        """What a record says of where the file is: not where a mirror has it, which is no address
        of the task's.
        """
        if self.by_mirror:
            return {"current_url": self.task.url, "strayed": False}
        return {"current_url": answer.response.url, "strayed": answer.strayed}

    def learn(self, known: Evidence) -> None:
        if known != self.task.evidence:
            self.record(changed(self.task, evidence=known), None)

    def new_traces(self, url: str = "") -> list[Trace]:
        """For the exchanges of one call, to the task's address or to this one."""
        if len(self._sent) >= 2 * MOST_KEPT:
            self._drop_oldest()
        self._tell_pace()
        traces: list[Trace] = []
        self._sent.append((self.task.attempt, traces))
        self._paced.append((traces, url or self.task.url))
        return traces

    def _drop_oldest(self) -> None:
        """An upload may have any number of pieces; of each call there is a row at least, so that
        those of the oldest would not be kept.
        """
        oldest, self._sent = self._sent[:MOST_KEPT], self._sent[MOST_KEPT:]
        self._redirects += sum(_redirects_in(traces) for _, traces in oldest)

    def _tell_pace(self, *, ends: bool = False) -> None:
        """Of the calls that are over, while the attempt goes on; of all of them where it `ends`."""
        going_on = []
        for traces, url in self._paced:
            if traces and (ends or traces[-1].response_end is not None):
                self.engine.answered(url, traces[-1])
            elif not ends:
                going_on.append((traces, url))
        self._paced = going_on

    def metrics(self) -> dict[str, Any]:
        """The changes of a record that takes up what was sent since the last time (T-19)."""
        changes = metrics_of(self.task, self._sent, self.engine.now() - time.monotonic())
        changes["redirect_count"] += self._redirects
        self._tell_pace(ends=True)
        self._sent.clear()
        self._redirects = 0
        return changes

    def keep_metrics(self) -> None:
        if self._sent:
            self.record(changed(self.task, **self.metrics()), None)


def metrics_of(
    task: Task, sent: Sequence[tuple[int, list[Trace]]], offset: float
) -> dict[str, Any]:
    """The changes of a record that takes up attempts and their exchanges; `offset` turns their
    times into epochs.
    """
    rows = tuple(trace.row(attempt, offset) for attempt, traces in sent for trace in traces)
    redirects = sum(_redirects_in(traces) for _, traces in sent)
    return {
        "transactions": (*task.transactions, *rows)[-MOST_KEPT:],
        "redirect_count": task.redirect_count + redirects,
    }


def _redirects_in(traces: Sequence[Trace]) -> int:
    return sum(trace.status in REDIRECTS for trace in traces[:-1])


def shortened(response: Response) -> Response:
    """What is kept of an error's head: fields such as a realm may be as long as the server likes
    (C24).
    """
    return dataclasses.replace(
        response, headers=tuple((name, value[:500]) for name, value in response.headers[:32])
    )
