"""What a person reads under a failure: said by who knows what follows, from the failure and that
decision.

Rule: who meets a failure writes down what happened, and in `TransferError.hint` at most what a
person can do about the cause. Whether it is tried again, waits or has ended is decided afterwards;
every word about that is made here.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from transfermon.model import units
from transfermon.model.errors import Retry, TransferError
from transfermon.model.task import Kind, Task
from transfermon.model.translate import in_english


class Decision(Enum):
    """What follows a failure."""

    RETRY = "retry"  # by itself, after a pause
    WAIT = "wait"  # until the cause is gone; then by itself
    RESTART = "restart"  # by itself and at once
    END = "end"  # nothing, unless a person asks for it


_FOLLOWS = {
    Decision.RETRY: "It is tried again by itself.",
    Decision.WAIT: "It goes on by itself then.",
    Decision.RESTART: "It is begun again at once.",
}
_LATER = "Try again later."


def decided(error: TransferError) -> Decision:
    """What a session without any limit would decide: the class of the failure alone."""
    return {
        Retry.WAIT: Decision.WAIT,
        Retry.RETRY: Decision.RETRY,
        Retry.RESTART: Decision.RESTART,
    }.get(error.retry, Decision.END)


def hint(
    error: TransferError, decision: Decision, *, kept: int = 0, kind: Kind = Kind.DOWNLOAD
) -> str:
    """One or two sentences: what can be done about the cause, and what follows.

    `kept`: the bytes that a retry really goes on with; 0 where it starts from zero, whatever is
    stored.
    """
    if decision is Decision.END:
        remedy = error.hint or (_LATER if error.retryable else "")
        return " ".join(part for part in (remedy, _kept(kept, kind)) if part)
    if decision is Decision.WAIT and not error.hint:
        return "It goes on by itself."
    return " ".join(part for part in (error.hint, _FOLLOWS[decision]) if part)


def kept_of(task: Task) -> int:
    """Bytes that a retry of this task need not move again; 0 where it would start from zero."""
    if task.kind is Kind.UPLOAD:
        return task.upload.offset if task.upload is not None else 0
    return task.received if task.part_path and not task.not_resumable else 0


def left_of(tasks: Iterable[Task]) -> list[tuple[str, int, str]]:
    """Of each task that has not ended: its name, what it has moved, and why a pause starts over."""
    return [
        (task.name or str(task.key), task.moved, task.not_resumable)
        for task in tasks
        if task.outstanding
    ]


def stopped(left: Iterable[tuple[str, int, str]]) -> str:
    """The last words of a command that was stopped; for each that is left: name, bytes moved, why a
    pause starts over.
    """
    anew = [f"{name} starts from zero" for name, moved, why_not in left if moved > 0 and why_not]
    if not anew:
        return "Stopped. What is there is kept; the same command goes on."
    return f"Stopped. The same command goes on; {', '.join(anew[:3])}{' and others do, too' if len(anew) > 3 else ''}."


def _kept(kept: int, kind: Kind) -> str:
    if kept <= 0:
        return ""
    with in_english():
        size = units.size(kept)
    if kind is Kind.UPLOAD:
        return f"The server has {size} of it, and a retry goes on there."
    return f"What was received ({size}) is kept, and a retry goes on with it."
