"""What keeps a task from starting although it should run: its time, the network, the policy (T-10,
T-17, T-18).

Rule: plain values in, plain values out; whoever asks moves the task and comes back when something
has changed.
"""

from __future__ import annotations

from typing import Any

from transfermon.model.errors import Code, Retry, TransferError
from transfermon.model.record import record
from transfermon.model.task import Activity, Task, changed
from transfermon.system.network_status import METERED
from transfermon.text import advice

NO_NETWORK = "There is no network."
CUT_OFF = "The network simulation is offline."
RATE_LIMITED = (
    "The app made it in the background, where each wake for a session makes tasks wait longer."
)
LOGIN = "A user name and password are asked for. Open Transfermon."  # where nobody can be asked
DISK_SILENT = "The disk does not answer."
# seconds in one call, after which a disk does not answer; those that wake up take less
SILENT = 5.0
# A metered network counts as none for a session that must not use it.
METERED_REFUSED = TransferError(
    code=Code.NOT_CONNECTED,
    message=METERED,
    reason="net.metered",
    hint="Use another network, or let the session use metered ones.",
    retry=Retry.WAIT,
)
# Failures that a missing network explains, and those that a network that comes back may cure
#
_EXPLAINED = frozenset({Code.NOT_CONNECTED, Code.DNS_LOOKUP_FAILED, Code.TIMED_OUT})
_CURABLE = _EXPLAINED | {Code.CANNOT_FIND_HOST, Code.CANNOT_CONNECT, Code.CONNECTION_LOST}


@record
class Hold:
    """Why a task waits. Without `until` somebody has to say when it goes on."""

    activity: Activity
    reason: str
    until: float | None = None  # epoch seconds
    hint: str = ""  # what a person can do meanwhile

    @property
    def of_record(self) -> dict[str, Any]:
        """What the record of the task says of it."""
        return {
            "activity": self.activity,
            "waiting_until": self.until,
            "waiting_reason": self.reason,
            "waiting_hint": self.hint,
        }


def hold(
    task: Task,
    *,
    now: float,
    background: bool,
    no_way: str,
    why_not: str,
    limited: bool = False,
) -> Hold | None:
    """What `task` has to wait for, or None.

    `no_way` says why no network leads to its address that it may use, `why_not` why the policy is
    against it; both are "" where nothing is. `limited` says that the rate limiter counts now
    (B-16).
    """
    if limited and task.limited_until is not None and now < task.limited_until:
        return Hold(activity=Activity.WAITING_UNTIL, reason=RATE_LIMITED, until=task.limited_until)
    if background and task.earliest_begin is not None and now < task.earliest_begin:
        return Hold(activity=Activity.WAITING_UNTIL, reason="", until=task.earliest_begin)
    if (
        task.activity is Activity.WAITING_UNTIL
        and task.waiting_until is not None
        and now < task.waiting_until
    ):
        # A server asked for it; a restart of the engine in between does not count.
        return Hold(
            activity=Activity.WAITING_UNTIL, reason=task.waiting_reason, until=task.waiting_until
        )
    if no_way:
        return Hold(activity=Activity.WAITING_FOR_CONNECTIVITY, reason=no_way)
    if why_not:
        return Hold(activity=Activity.WAITING_UNTIL, reason=why_not)
    return None


def hold_after(error: TransferError, delay: float, *, now: float) -> Hold:
    """How a task waits for its next attempt, `delay` seconds from now, after this failure."""
    activity, reason = Activity.RETRYING, error.message
    if error.retry is Retry.WAIT:
        activity = Activity.WAITING_FOR_CONNECTIVITY
    elif error.retry_after == delay > 0:
        activity, reason = Activity.WAITING_UNTIL, "The server asks to wait."
    return Hold(
        activity=activity,
        reason=reason,
        until=now + delay,
        hint=advice.hint(error, advice.decided(error)),
    )


def is_curable(error: TransferError) -> bool:
    """Whether a network that returns may be all that is missing (X-08)."""
    return error.retry is Retry.WAIT or (error.code in _CURABLE and error.retry_after is None)


def without_network(
    error: TransferError, *, background: bool, cut_off: bool = False
) -> TransferError:
    """The failure as it is to be seen while there is no network: -1009, which waits and counts no
    attempt.

    A transfer that breaks has met the network, so in a default session it stays -1005 (X-03).
    """
    if error.code not in _EXPLAINED and not (background and error.code == Code.CONNECTION_LOST):
        return error
    return changed(
        error,
        code=Code.NOT_CONNECTED,
        message=CUT_OFF if cut_off else NO_NETWORK,
        reason="net.offline",
        hint="Switch the simulation off." if cut_off else "Check the network connection.",
        retry=Retry.WAIT,
    )
