"""What the store is given to keep, and what it gives back at the start: plain values."""

from __future__ import annotations

from transfermon.model.configuration import SessionConfiguration
from transfermon.model.events import Event
from transfermon.model.record import record
from transfermon.model.task import Task, TaskKey
from transfermon.model.wake_policy import Wake


@record
class SessionRow:
    """A session as it is remembered. Header values are in secrets.json, not here."""

    key: str
    configuration: SessionConfiguration
    state: str = "active"
    next_number: int = 1


@record
class ResumeRow:
    """What a resume data value stands for: the record of the cancelled task (R-03, R-15)."""

    token: str
    task: Task
    spent: bool = False


@record
class Change:
    """Everything in one change is committed in one transaction, with all other changes that
    wait.
    """

    task: Task | None = None
    removed: TaskKey | None = None
    session: SessionRow | None = None
    session_removed: str | None = None
    event: Event | None = None
    before: tuple[Event, ...] = ()  # what the journal gets before that event
    resume: ResumeRow | None = None
    value: tuple[str, str] | None = None  # a small setting of the engine's own
    wake: Wake | None = None


@record
class Unheard:
    """What was told to nobody, or not to everybody, before the last engine of the app ended."""

    events: tuple[Event, ...] = ()  # terminal ones, in their order
    idle: frozenset[str] = frozenset()  # sessions whose last task ended in that time
    notified: bool = False  # somebody has shown a banner since


@record
class Remembered:
    """The state as found when the store was opened."""

    sessions: tuple[SessionRow, ...]
    tasks: tuple[Task, ...]
    resume: tuple[ResumeRow, ...]
    sequence: int
    database_id: str
    values: dict[str, str]
    set_aside: str = ""  # the damaged file's new path, when there was one
    # epoch seconds of the copy that is used in its place; None: the list is empty
    from_backup: float | None = None
    unheard: Unheard = Unheard()
    wakes: tuple[Wake, ...] = ()  # the ledger, oldest first
