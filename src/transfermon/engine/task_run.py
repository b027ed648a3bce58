"""A task's live side: what it waits for, the attempt that runs, who waits for its end, and its way
out of the list.

Rule: whatever lives as long as one task is an attribute here and goes with it. The record is
changed through the session's door alone, and what it becomes is decided in `task_steps`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from functools import partial
from typing import Any

from transfermon.engine import obstacles, start_conditions, task_ends, task_files
from transfermon.engine.attempt import UntoldEnd
from transfermon.engine.end_listeners import EndListeners
from transfermon.engine.host_pace import base_of
from transfermon.engine.new_task import Pieces
from transfermon.engine.prepared_task import split_credentials
from transfermon.engine.resource_timer import ResourceTimer
from transfermon.engine.resume_data import ResumeOffer
from transfermon.engine.session_core import Recorded, SessionCore
from transfermon.engine.shared import Engine
from transfermon.engine.start_conditions import Hold
from transfermon.engine.task_attempt import TaskAttempt
from transfermon.engine.task_failures import TaskFailures
from transfermon.engine.task_leaving import drop_parts, drop_sent, keep_offer, leave_list
from transfermon.engine.task_wait import TaskWait
from transfermon.model import task_steps
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import InvalidAction, TransferError, TransferFailure
from transfermon.model.events import (
    TaskCompletedEvent,
    TaskWaitingEvent,
    activity_event,
    state_event,
)
from transfermon.model.task import (
    Action,
    Activity,
    Progress,
    State,
    Task,
    changed,
    progress_of,
)
from transfermon.storage.changes import ResumeRow

log = logging.getLogger(__name__)


class TaskRun(Recorded):
    """One task of a session, as long as it is in the list."""

    # What most tasks of a long list never have is said here once, not in each of them.
    handle: weakref.ref[Any] | None = None  # the program's object, so that there is one at a time
    # done when the task is durable; None: it has been for long
    accepted: asyncio.Future[None] | None = None
    body: Pieces | bytes | None = None  # what is sent where there is no file
    unusable: TransferError | None = None  # why the resume data that it is made from is
    attempt: TaskAttempt | None = None  # the one that runs
    runner: asyncio.Task[None] | None = None  # of the attempt, until it has let go
    # attempts that had finished before this one was cancelled
    ends_after: frozenset[asyncio.Task[None]] = frozenset()
    _told_waiting = False
    # to be taken out of the list when it has ended; True: with the file
    removing: bool | None = None
    _leaving = False  # it is being taken out

    def __init__(self, core: SessionCore, record: Task) -> None:
        super().__init__(record)
        self.core = core
        self.engine = core.engine
        self.offer = ResumeOffer(self.engine)
        self.wait = TaskWait()
        self._timer = ResourceTimer()
        self._failures = TaskFailures()
        self._listeners = EndListeners()

    def __repr__(self) -> str:
        return f"<TaskRun {self.key} {self.record.state.value}>"

    @property
    def own(self) -> SessionConfiguration:
        """The session's settings now."""
        return self.core.configuration

    # ---- the record

    def change(self, **changes: Any) -> asyncio.Future[None]:
        """A change of a field that is no step in the task's life."""
        task = changed(self.record, **changes)
        return self.core.record_task(self, task, activity_event(task))

    def _step(self, task: Task, *, resume_row: ResumeRow | None = None) -> None:
        self.core.record_task(self, task, state_event(task), resume_row=resume_row)

    # ---- commands

    def resume(self) -> None:
        """T-03; a no-op for a task that is not suspended (T-07)."""
        if self.record.state is not State.SUSPENDED:
            return
        self._step(task_steps.resumed(self.record, now=self.engine.now()))
        if self.record.state is not State.SUSPENDED:
            self.enqueue()

    def suspend(self) -> None:
        """T-03, T-04, T-05; a no-op for a task that is ending or has ended (T-07)."""
        task = self.record
        if (
            task.state not in (State.RUNNING, State.SUSPENDED)
            or task.activity is Activity.FINALIZING
        ):
            return
        self._step(task_steps.suspended(task, now=self.engine.now()))
        if task.state is State.RUNNING:
            self.halt()

    def cancel(self, *, reason: int | None = None) -> None:
        """T-06; a no-op for a task that is ending or has ended (T-07). `reason` is a number of
        X-10.
        """
        if not self.record.can(Action.CANCEL):
            return
        self._step(task_steps.cancelled(self.record, reason))
        if not self.halt():
            self.core.see_out(self._end_without_attempt(), f"cancel {self.key}")

    async def cancel_by_producing_resume_data(self) -> bytes | None:
        """R-01, R-02, O-09: resolves before `sessioncompleted`, which carries the same data."""
        if not self.record.can(Action.CANCEL):
            return None
        wanted = self.offer.want()
        self.cancel()
        return await wanted

    def retry(self, url: str | None = None) -> None:
        """Run a failed or cancelled task again under its own number; with `url`, from another
        address.

        What is stored is kept and goes on where the server's validator agrees. Raises InvalidAction
        for a task that has not failed or is being removed, ValueError or TransferFailure for an
        unusable URL.
        """
        self.core.check_open()
        if self.removing is not None:
            raise InvalidAction(f"task {self.key} is being removed")
        self.record.after(Action.RETRY)
        if not self.record.can(Action.RETRY):
            raise InvalidAction(f"task {self.key} has not failed")
        task, spent = _tried_again(self, url)
        self.engine.answers.drop(task.key)
        self.core.move_to_address(self, task.url)
        self._step(task, resume_row=spent)
        self.enqueue()

    # ---- on the way to a slot

    def start_restored(self) -> None:
        """Run what was running, end what was ending, when the engine opened (X-11)."""
        error = task_ends.lost_error(self.record)
        if error is None:
            self.start()
            return
        if self.record.state is State.SUSPENDED:
            self._step(
                changed(self.record, state=self.record.after(Action.RESUME), suspend_count=0)
            )
        self._end_failed(error)

    def start(self) -> None:
        if self.runner is None and task_ends.was_answered(self.record):
            self._succeeded()
        elif self.record.state is State.CANCELING:
            self.core.see_out(self._end_without_attempt(), f"cancel {self.key}")
        elif self.record.state is State.RUNNING and self.runner is None and not self.wait.timed:
            self._go_on()

    def enqueue(self) -> None:
        """Ask for a slot, or wait for what has to come before that."""
        task = self.record
        # the attempt asks again when it has let go
        if self.engine.closing or self.runner is not None:
            return
        if error := self.unusable or obstacles.refusal(task, self.own, self.engine):
            self.engine.runners.spawn(self._refuse(error), f"refuse {task.key}")
            return
        if task.started is not None:
            self._arm()  # waiting counts too (T-16)
        if (hold := self.obstacle()) is not None:
            self.wait_for(hold)
            return
        self.engine.slots.ask(
            task.key,
            (task.session, base_of(task.url)),
            limit=self.own.connections_to_a_host,
            priority=task.priority,
            start=self._begin,
        )

    def obstacle(self) -> Hold | None:
        """What it has to wait for before it may ask for a slot."""
        return obstacles.obstacle(self.record, self.own, self.engine)

    def wait_for(self, hold: Hold) -> None:
        """Hold the task back. Nothing runs meanwhile; a timer does where the end is known."""
        self._tell_wait(hold)
        if hold.until is None:
            self.wait.held = True
        elif not self.engine.closing:
            self.wait.for_seconds(hold.until - self.engine.now(), self.again)

    def _tell_wait(self, hold: Hold) -> None:
        """`taskwaiting` comes once for a task of a default session."""
        # what waits is sent again by itself, as was decided
        self._step(changed(self.record, exposed=False, **hold.of_record))
        offline = hold.activity is Activity.WAITING_FOR_CONNECTIVITY
        if offline and not self.own.is_background and not self._told_waiting:
            self._told_waiting = True
            self.core.record_task(self, self.record, TaskWaitingEvent())

    def again(self) -> None:
        """The wait is over."""
        self.wait.end()
        self.change(activity=Activity.QUEUED, waiting_until=None, waiting_reason="")
        self.enqueue()

    # ---- the attempt

    def _begin(self) -> None:
        """A slot was granted."""
        progress = self.engine.progress[self.key] = progress_of(self.record)
        attempt = self.attempt = self._new_attempt()
        self.runner = self.engine.runners.spawn(
            self._work(attempt, progress), f"{self.record.kind.value} {self.key}"
        )
        self._arm()
        if self.engine.on_moving is not None:
            self.engine.on_moving()

    def _new_attempt(self) -> TaskAttempt:
        return TaskAttempt(
            self.core,
            self,
            accepted=self.when_accepted(),
            body=self.body,
            may_restart=not self._failures.restarted,
        )

    async def _work(self, attempt: TaskAttempt, progress: Progress) -> None:
        try:
            error, stopped = await attempt.run(progress)
        finally:
            self.attempt = self.runner = None
            self._timer.disarm()
        self._failures.restarted |= attempt.restarted
        await self._attempt_ended(attempt, error, stopped=stopped)

    async def _attempt_ended(
        self, attempt: TaskAttempt, error: TransferError | None, *, stopped: bool
    ) -> None:
        """What an attempt's end means for the task."""
        state = self.record.state
        if error is None and not stopped:
            self._succeeded(attempt.untold)
        elif state is State.CANCELING:
            await self._end_cancelled()
        elif attempt.overdue and state is State.RUNNING:
            self._end_failed(task_ends.overdue_error(self.record))
        elif state is State.RUNNING and error is not None:
            self._failed(error)
        elif state is State.RUNNING:
            self._go_on()  # stopped, or suspended and resumed while the attempt was letting go
        # else it is suspended: the record says so already

    def _go_on(self) -> None:
        """Ask for a slot again, unless that sent twice what must not be (U-10)."""
        if self.record.exposed and not self.engine.closing:
            self._end_failed(task_ends.unknown_outcome())
        else:
            self.enqueue()

    def stop_attempt(self) -> None:
        """Let go of the transfer if it moves; a running task queues again."""
        if self.attempt is not None:
            self.attempt.stop()

    def halt(self) -> bool:
        """Stop whatever moves or waits. True when a running attempt will report its end."""
        self.wait.end()
        self.engine.slots.withdraw(self.key)
        self._timer.disarm()
        self.stop_attempt()
        return self.runner is not None

    def _arm(self) -> None:
        limit = self.own.timeout_interval_for_resource
        self._timer.arm(self.record, limit, now=self.engine.now(), then=self._time_out)

    def _time_out(self) -> None:
        self._timer.disarm()
        if self.attempt is not None:
            self.attempt.time_out()
        else:  # it waits for a slot or for its next attempt
            self.halt()
            self._end_failed(task_ends.overdue_error(self.record))

    # ---- the end

    def _succeeded(self, untold: UntoldEnd | None = None) -> None:
        self.body = None
        self.offer.answer(None)  # it had finished before the cancel reached it (T-08)
        event = task_ends.success_event(self.record, self.engine.answers.told(self.key))
        stored = self._complete(self.record, Action.FINISH, None, event, untold=untold)
        stored.add_done_callback(partial(drop_sent, self.engine, self.record))

    def _failed(self, error: TransferError) -> None:
        """An attempt has failed: wait for the next one, or end."""
        engine = self.engine
        error, hold = obstacles.after_failure(self.record, self.own, engine, error)
        if hold is not None:
            self.wait_for(hold)
            return
        delay = self._failures.next_delay(self.record, error, self.own, engine.random)
        if delay is None:
            self._end_failed(error)
            return
        self.wait.curable = start_conditions.is_curable(error)
        self._tell_wait(start_conditions.hold_after(error, delay, now=engine.now()))
        if not engine.closing:
            self.wait.for_seconds(delay, self.again)
            self._arm()

    def _end_failed(self, error: TransferError) -> None:
        error = task_ends.final_error(self.record, error)
        row = self.offer.make(self.record, self.own.resume_policy)
        event = task_ends.failure_event(error, self.engine.answers.told(self.key), row)
        self._complete(self.record, Action.FAIL, error, event, resume_row=row)

    async def _refuse(self, error: TransferError) -> None:
        self.unusable = None
        if self.record.state is State.RUNNING:
            self._end_failed(error)

    async def _end_without_attempt(self) -> None:
        """It was cancelled, and no attempt runs; a file that had its name is finished (T-08)."""
        if task_ends.may_be_named(self.record, self.engine.filer):
            try:
                if await self._new_attempt().was_finished():
                    self._succeeded()
                    return
            except TransferFailure as failure:
                log.warning("%s: %s", self.key, failure)
        await self._end_cancelled()

    async def _end_cancelled(self) -> None:
        """The engine has let go of a cancelled task: keep or delete its part, then say -999."""
        if self.ends_after:
            # O-12: what had finished says so before the cancellations
            await asyncio.wait(self.ends_after)
        task = self.record
        if task.state is not State.CANCELING:
            return
        row = self.offer.make(task, self.own.resume_policy) if self.offer.wanted else None
        if row is None and task.upload is not None:
            abandon_upload(self)
            task = changed(self.record, upload=None)
        if row is None and task.part_paths:
            await drop_parts(task)
            task = task_steps.without_part(self.record)
        elif row is not None:
            await keep_offer(self.engine, row)
            # no program has the data: a retry may use the part
            if task.cancel_reason != task_ends.USER_FORCE_QUIT:
                task = changed(self.record, part_path="", older_part=None)
        if self.offer.answer(row):
            await asyncio.sleep(0)  # whoever waits for the data hears of it before the event (O-09)
        if self.record.state is not State.CANCELING:
            return
        error = task_ends.cancelled_error(task)
        self._complete(task, Action.STOPPED, error, task_ends.cancelled_event(task, error, row))

    def _complete(
        self,
        task: Task,
        action: Action,
        error: TransferError | None,
        event: TaskCompletedEvent,
        *,
        resume_row: ResumeRow | None = None,
        untold: UntoldEnd | None = None,
    ) -> asyncio.Future[None]:
        self._failures = TaskFailures()
        self._timer.forget()
        self.accepted = None
        self._listeners.pending = True
        task = task_steps.ended(task, action, error, now=self.engine.now())
        stored = _record_end(self, task, event, resume_row, untold)
        self.core.count_end(success=event.success)
        return stored

    def was_told(self) -> None:
        """Every listener has had the end."""
        self._listeners.have_returned()
        if self.removing is not None:
            self._start_removal()

    # ---- who waits

    def when_accepted(self) -> asyncio.Future[None]:
        """Done when the task is durable: from then on it survives everything."""
        if self.accepted is not None:
            return self.accepted
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        accepted.set_result(None)
        return accepted

    async def ended(self) -> None:
        """Done when the task has ended and every listener has been told, or when it has left the
        list.
        """
        if self.gone or (self.record.state is State.COMPLETED and not self._listeners.pending):
            return
        await self._listeners.returned()

    async def heard(self) -> None:
        """Done when the listeners of the task's end have returned; at once when none is being told
        of one.
        """
        if self._listeners.pending:
            await self.ended()

    # ---- out of the list

    def remove(self, *, delete_file: bool = False) -> None:
        """Take the task out of the list; one that still runs is cancelled first. The file stays
        unless asked.
        """
        self.removing = delete_file
        if self.record.outstanding:
            self.cancel()
        else:
            self._start_removal()

    def _start_removal(self) -> None:
        if not self._leaving:
            self._leaving, self.body = True, None
            going = leave_list(self.core, self, self.offer, delete_file=bool(self.removing))
            self.core.see_out(going, f"remove {self.key}")


def _record_end(
    run: TaskRun,
    task: Task,
    event: TaskCompletedEvent,
    resume_row: ResumeRow | None,
    untold: UntoldEnd | None,
) -> asyncio.Future[None]:
    """What else a success has to say is one change with it."""
    if untold is None:
        return run.core.record_task(run, task, event, delivered=run.was_told, resume_row=resume_row)
    filer, part, told = run.engine.filer, untold.part, run.was_told
    durable = run.core.record_task(
        run,
        changed(task, **untold.changes),
        event,
        delivered=(lambda: filer.when_gone(part, told)) if part else told,
        before=untold.events,
    )
    if part:
        durable.add_done_callback(partial(filer.forget_after, part))
    return durable


def _tried_again(run: TaskRun, url: str | None) -> tuple[Task, ResumeRow | None]:
    """The record for another try, and the row of resume data that is of no use any more."""
    before = run.record
    task = before if url is None else at_address(run, url)
    own_part, spent = run.offer.take_back(before)
    if not own_part:
        task = changed(task_steps.without_part(task), upload=None)
    file = task_files.noted(task.source) if task.source and not task.spooled else {}
    return task_steps.tried_again(task, before, file), spent


def at_address(run: TaskRun, url: str) -> Task:
    """The record with another address, which is checked; credentials in it are kept with the task's
    other secrets.
    """
    task, engine = run.record, run.engine
    checked, credentials = split_credentials(url)
    if credentials:
        engine.keep_secrets(task, {**engine.secrets_of(task), **credentials})
    return task_steps.readdressed(task, checked)


def abandon_upload(run: TaskRun) -> None:
    """Tell the server once that its half of an upload is of no use any more (U-22)."""
    run.engine.runners.spawn(_abandoned(run.record, run.own, run.engine), f"abandon {run.key}")


async def _abandoned(task: Task, own: SessionConfiguration, engine: Engine) -> None:
    from transfermon.engine.upload_requests import abandon

    with contextlib.suppress(TransferFailure):
        await abandon(engine, own, task)
