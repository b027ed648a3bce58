"""How a task ends: its error, where no server and no disk has caused it, and what is told of the
end.

Rule: a record in, an error or an event out.
"""

from __future__ import annotations

from typing import Final

from transfermon.http import resume, retry
from transfermon.model.errors import Code, Retry, TransferError, redacted
from transfermon.model.events import TaskCompletedEvent
from transfermon.model.task import Activity, Kind, State, Task, changed
from transfermon.storage.changes import ResumeRow
from transfermon.storage.filer import Filer
from transfermon.text import advice

USER_FORCE_QUIT: Final = 0  # a cancel reason: "Quit and stop all transfers"
OUR_MISTAKE = TransferError(
    code=Code.UNKNOWN,
    message="transfermon made a mistake with this transfer.",
    reason="bug",
    hint="Retry it; the log has the details.",
)
UNUSABLE_RESUME_DATA = TransferError(
    code=Code.UNSUPPORTED_URL,
    message="The resume data cannot be used: it is damaged or was used before.",
    reason="resume.unusable",
    hint="Start the download again from its address.",
)


def cancelled_error(task: Task) -> TransferError:
    url = redacted(task.url)
    if task.cancel_reason == USER_FORCE_QUIT:
        error = TransferError(
            code=Code.CANCELLED,
            message="The transfer was stopped when Transfermon was quit.",
            reason="user-force-quit",
            hint="Retry it.",
            url=url,
        )
        hint = advice.hint(error, advice.Decision.END, kept=advice.kept_of(task), kind=task.kind)
        return changed(error, hint=hint)
    return TransferError(
        code=Code.CANCELLED, message="The transfer was cancelled.", reason="cancelled", url=url
    )


def overdue_error(task: Task) -> TransferError:
    return TransferError(
        code=Code.TIMED_OUT,
        message="The transfer did not finish in the time that its session allows.",
        reason="net.resource-timeout",
        hint="Retry it, or give the session a longer timeout_interval_for_resource.",
        url=redacted(task.url),
    )


def final_error(task: Task, error: TransferError) -> TransferError:
    """The failure as it stays, with its address and what to do about it."""
    hint = advice.hint(error, advice.Decision.END, kept=advice.kept_of(task), kind=task.kind)
    # also where the disk failed
    return changed(error, url=error.url or redacted(task.url), hint=hint)


def lost_error(task: Task) -> TransferError | None:
    """Why a task cannot go on that an engine before this one has left, or None."""
    if task.state not in (State.RUNNING, State.SUSPENDED):
        return None
    if task.kind is Kind.DATA:
        return TransferError(
            code=Code.SESSION_DISCONNECTED,
            message="The app ended before the answer came.",
            reason="app.ended",
            hint="Send the request again.",
            url=redacted(task.url),
        )
    return None


def unknown_outcome() -> TransferError:
    """Of a body that must not be sent twice, of which bytes were out when its attempt ended."""
    ended = TransferError(
        code=Code.CONNECTION_LOST, message="The transfer was interrupted.", retry=Retry.RETRY
    )
    return retry.once_only(ended, sent=True)


def may_be_named(task: Task, filer: Filer) -> bool:
    """Whether a file may have its name, of which an engine before this one has not told."""
    named = task.activity is Activity.FINALIZING or filer.may_be_named(task)
    return task.kind is Kind.DOWNLOAD and named


def was_answered(task: Task) -> bool:
    """Whether an engine before this one had an upload's answer, and ended before it said so."""
    return task.outstanding and task.kind is Kind.UPLOAD and task.activity is Activity.FINALIZING


def success_event(task: Task, text: str | None) -> TaskCompletedEvent:
    """`text` is what is told of the server's answer."""
    return TaskCompletedEvent(
        success=True, status_code=task.response.status if task.response else 0, response_text=text
    )


def failure_event(
    error: TransferError, text: str | None, offered: ResumeRow | None
) -> TaskCompletedEvent:
    return TaskCompletedEvent(
        error_code=error.code,
        message=error.message,
        reason=error.reason,
        status_code=error.status or 0,
        response_text=text,
        resumable=offered is not None,
        resume_data=None if offered is None else resume.pack(offered.token),
    )


def cancelled_event(
    task: Task, error: TransferError, offered: ResumeRow | None
) -> TaskCompletedEvent:
    return TaskCompletedEvent(
        error_code=error.code,
        message=error.message,
        reason=error.reason,
        status_code=task.response.status if task.response else 0,
        cancel_reason=task.cancel_reason,
        resumable=offered is not None,
        resume_data=None if offered is None else resume.pack(offered.token),
    )
