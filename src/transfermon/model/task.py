"""The record of a transfer task, its life, and its counters.

Rule: a `Task` is a frozen value. Only `TRANSITIONS` moves it from one state to the next, and the
same table says what a menu may offer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import field
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple, Self, TypeVar

from transfermon.model.checked_text import is_text
from transfermon.model.errors import InvalidAction, TransferError
from transfermon.model.metrics import TaskMetrics, task_metrics
from transfermon.model.ranges import Picture, Ranges, picture_of
from transfermon.model.record import mutable, record, set_fields
from transfermon.model.request_options import NONE, RequestOptions

R = TypeVar("R")
UNKNOWN = -1  # a byte count that is not known (T-11)
PLAIN_UPLOAD = "A plain upload: after a pause it starts over."


def changed(record: R, **changes: object) -> R:
    """A copy of a frozen record with some fields changed.

    Does what `dataclasses.replace` does for records that check nothing when made, at a fifth of its
    time: each small download makes some twenty of them.
    """
    before = record.__dict__
    values = {**before, **changes}
    assert len(values) == len(before), f"{values.keys() - before.keys()} is no field"
    copy = object.__new__(type(record))
    set_fields(copy, "__dict__", values)
    return copy


class Kind(Enum):
    __hash__ = object.__hash__  # there is one of each: by identity, in C

    DOWNLOAD = "download"
    UPLOAD = "upload"
    DATA = "data"


class State(Enum):
    """Apple's four states."""

    __hash__ = object.__hash__  # there is one of each: by identity, in C

    SUSPENDED = "suspended"
    RUNNING = "running"
    CANCELING = "canceling"
    COMPLETED = "completed"


class Activity(Enum):
    """What a running task is doing, for people."""

    __hash__ = object.__hash__  # there is one of each: by identity, in C

    NONE = ""
    QUEUED = "queued"
    WAITING_UNTIL = "waiting_until"
    WAITING_FOR_CONNECTIVITY = "waiting_for_connectivity"
    CONNECTING = "connecting"
    TRANSFERRING = "transferring"
    RETRYING = "retrying"
    VERIFYING = "verifying"
    FINALIZING = "finalizing"


WAITING = frozenset({Activity.RETRYING, Activity.WAITING_UNTIL, Activity.WAITING_FOR_CONNECTIVITY})


class Action(Enum):
    """What moves a task. The first five are the user's; the rest are the engine's."""

    __hash__ = object.__hash__  # there is one of each: by identity, in C

    RESUME = "resume"
    SUSPEND = "suspend"
    CANCEL = "cancel"
    RETRY = "retry"
    REMOVE = "remove"
    FINISH = "finish"  # the last byte is stored under its final name
    FAIL = "fail"
    STOPPED = "stopped"  # the engine let go of a cancelled task


class Origin(Enum):
    """Whose address it is: `given` ones never reach private networks unless allowed."""

    TYPED = "typed"
    GIVEN = "given"


# The whole life of a task; a pair that is not here cannot happen. A task counts its suspensions, so
# SUSPEND on a suspended task and RESUME before the count is zero stay where they are. RETRY gives a
# failed task a new life under its own number; REMOVE takes the record out of the list.
TRANSITIONS: dict[tuple[State, Action], State] = {
    (State.SUSPENDED, Action.RESUME): State.RUNNING,
    (State.SUSPENDED, Action.SUSPEND): State.SUSPENDED,
    (State.SUSPENDED, Action.CANCEL): State.CANCELING,
    (State.SUSPENDED, Action.REMOVE): State.CANCELING,  # taken out of the list once it has stopped
    (State.RUNNING, Action.SUSPEND): State.SUSPENDED,
    (State.RUNNING, Action.CANCEL): State.CANCELING,
    (State.RUNNING, Action.REMOVE): State.CANCELING,
    (State.RUNNING, Action.FINISH): State.COMPLETED,
    (State.RUNNING, Action.FAIL): State.COMPLETED,
    (State.CANCELING, Action.STOPPED): State.COMPLETED,
    # it had finished before the cancel reached it (T-08)
    (State.CANCELING, Action.FINISH): State.COMPLETED,
    (State.COMPLETED, Action.RETRY): State.RUNNING,
    (State.COMPLETED, Action.REMOVE): State.COMPLETED,
}


class TaskKey(NamedTuple):
    """A task number is unique in its session only, so both are always carried (TR-19)."""

    session: str
    number: int

    def __str__(self) -> str:
        return f"{self.session}:{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `SESSION:NUMBER`; raises ValueError with a sentence for people."""
        session, colon, number = text.rpartition(":")
        if not colon or not session or not number.isascii() or not number.isdigit():
            raise ValueError(
                f"“{text}” is not a task; write SESSION:NUMBER, as `transfermon list` shows it."
            )
        if not is_text(session):
            raise ValueError("The session's name holds a stray byte and is no valid text (UTF-8).")
        return cls(session, int(number))


@record
class Validators:
    """What identifies the version of a resource whose bytes are in the part file (RFC 9110
    §8.8).
    """

    etag: str = ""
    last_modified: str = ""
    date: str = ""  # the Date of the same answer, for the rule of one second
    total: int = UNKNOWN
    accept_ranges: str = ""  # the field's value, lower case; "" when the server did not say
    content_encoding: str = ""  # a coding we decode; such a body cannot be resumed (D-14)
    # lower case, without parameters: tells a sign-in page from the file (C7)
    content_type: str = ""
    digests: tuple[str, ...] = ()  # "sha-256:HEX" of the whole file, from Repr-Digest (D-18)
    # "md5:HEX" and the like, from fields that are known to be wrong at times
    sums: tuple[str, ...] = ()
    host: str = ""  # "host:port" that said all this: tags of different hosts are not compared
    label: str = ""  # the content coding under which the body is stored as it came


@record
class Evidence:
    """What the attempts of a task have learnt of the server, beside the file's validators; kept
    over restarts.
    """

    brought: int = 0  # bytes that the last connection stored; 0: not known
    compared: int = 0  # what is stored was compared up to here since the last interruption
    no_ranges: str = ""  # "host:port" where ranges do not work
    # fields of which one answer contradicted another: that started over, once
    contradicted: tuple[str, ...] = ()
    # fields that have contradicted themselves again and are no evidence any more
    ignored: tuple[str, ...] = ()
    refused: int = 0  # the status of the last attempts by range that failed
    refusals: int = 0  # how many of those in a row
    # several connections at a time have contradicted one another: that started over, once
    one_connection: bool = False
    mirrored: bool = False  # bytes of a mirror may be among those that are stored
    found_sum: str = ""  # "md5:HEX" of a whole body that did not fit what the server had announced


@record
class StoredPart:
    """The older one of a task's two part files: kept until the newer one is whole or holds more
    bytes.
    """

    path: str  # absolute
    inode: int
    received: int  # bytes, as of its last checkpoint
    expected: int
    validators: Validators
    boot_id: str = ""
    mount_id: int = 0


@record
class Response:
    """The head of the last final answer."""

    status: int
    url: str  # where it came from, after redirects
    headers: tuple[tuple[str, str], ...] = ()
    http_version: str = "HTTP/1.1"
    remote_address: str = ""
    by_proxy: str = ""  # host:port of the proxy that answered in the server's place

    def header(self, name: str, default: str = "") -> str:
        """The values of one field, joined as RFC 9110 §5.3 allows."""
        return self._fields.get(name.lower(), default)

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether it has a field of one of these names, which are in lower case."""
        return not names.isdisjoint(self._fields)

    @cached_property
    def _fields(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in self.headers:
            key = name.lower()
            found[key] = f"{found[key]}, {value}" if key in found else value
        return found


@record
class UploadResource:
    """What a server made for an upload that can go on (U-15). Its address is as good as a password
    (U-25).
    """

    protocol: str  # its name, such as "tus"
    url: str = field(repr=False)
    length: int
    version: str = "8"  # of the protocol; "8" of the IETF draft where an old record says nothing
    offset: int = 0  # bytes that the server was last known to have
    max_append: int = 0  # bytes of one request; 0: any number
    min_append: int = 0
    piece: int = 0  # bytes of one append since larger ones did not get through; 0: any number
    # bytes of an append that has had no answer; it is durable before the first of them goes out
    tried: int = 0
    given: int = UNKNOWN  # most bytes that ever went out; -1 while they do, and so after a crash
    expires: float = 0.0  # epoch seconds; 0: never, as far as it was told
    # not at the task's origin: no credentials and no headers of its own go there
    elsewhere: bool = False
    # a public server named it, so that it must not lead into a private network
    confined: bool = False


@record
class Task:
    """All that is remembered of a task. Stored whole; secrets are not in here."""

    session: str
    number: int
    kind: Kind
    url: str  # the original request's (T-11)
    current_url: str = ""  # after redirects
    strayed: bool = False  # another origin was on the way there
    method: str = "GET"
    # the request's own headers; their values are in secrets.json
    header_names: tuple[str, ...] = ()
    options: RequestOptions = NONE
    state: State = State.SUSPENDED
    activity: Activity = Activity.NONE
    suspend_count: int = 0
    priority: float = 0.5
    description: str | None = None
    earliest_begin: float | None = None  # epoch seconds
    origin: Origin = Origin.TYPED
    user_initiated: bool = True
    added: float = 0.0  # epoch seconds
    started: float | None = None  # first start, epoch seconds
    finished: float | None = None
    suspended_seconds: float = 0.0  # time spent suspended since the first start (T-05)
    suspended_at: float | None = None
    attempt: int = 0
    received: int = 0  # bytes in the part file, as of the last checkpoint
    # where they are, when they did not come in their order: see model/ranges; else ()
    ranges: Ranges = ()
    expected: int = UNKNOWN
    sent: int = 0  # by an upload, in its last attempt
    expected_to_send: int = UNKNOWN
    source: str = ""  # absolute path of the file that an upload sends; "" for bytes and streams
    # device, inode, size and mtime_ns, as they were when it was accepted (W15)
    source_identity: tuple[int, ...] = ()
    spooled: bool = False  # the source is a private copy of ours, which goes with the task (U-03)
    # of an upload, as it was asked for: also "ietf:6"; "" when it is to be found out
    wanted_protocol: str = ""
    protocol: str = ""  # "plain" or a resumable one, once it is known or was asked for
    # a PUT to an address that ends with a slash goes to the file's name there
    into_folder: bool = False
    # of a finished upload: why nobody knows that the server has the file; a sentence
    unconfirmed: str = ""
    # the redacted address where the server says it put the file, if that is not the one asked
    stored_as: str = ""
    upload: UploadResource | None = None
    # the server had forgotten the upload, so that it began again: once (U-21)
    renewed: bool = False
    exposed: bool = False  # a body that must not be sent twice may have reached the server (U-10)
    validators: Validators | None = None
    part_path: str = ""  # absolute; "" when there is none
    # of the part: by it a file is known again that got its final name just before a crash
    part_inode: int = 0
    older_part: StoredPart | None = None
    evidence: Evidence = field(default=Evidence())
    folder: str = ""  # where the finished file goes; "" for a temporary file (D-08)
    name: str = ""  # the final name, once known or given
    named: bool = False  # the name was given: nothing else may get it
    # epoch seconds; of the first 202, while the server has nothing else to say
    making_since: float | None = None
    # what to know of the stored file although nothing failed; "" where there is nothing to tell
    remark: str = ""
    # of a finished file that is not what its name promised: “a web page instead of a video”
    instead: str = ""
    overwrite: bool = False
    # absolute, once it is settled: the file is there when there is no part any more
    final_path: str = ""
    # device, inode, size and mtime_ns of the file that was written
    final_identity: tuple[int, ...] = ()
    expected_digest: str = ""  # "sha-256:HEX"
    speed_limit: int = 0  # bytes per second; 0: none
    maximum_attempts: int = 0  # 0: the session's retry policy decides
    response: Response | None = None
    error: TransferError | None = None
    waiting_until: float | None = None  # epoch seconds; when activity is retrying or waiting_until
    waiting_reason: str = ""
    # what to do about the failure that it waits after, and what follows; counts while it waits
    waiting_hint: str = ""
    not_resumable: str = ""  # why a pause would start over; "" when it would not, or not known yet
    restarts: int = 0  # from zero, because the server's file was another one
    wasted: int = 0  # bytes thrown away by those
    handler_id: str = ""  # of the fetch or push that was being handled when it was made
    # made while the app was in the background, without a direct user action (T-18)
    in_background: bool = False
    # epoch seconds; how long the rate limiter asked it to wait (B-16)
    limited_until: float | None = None
    # bytes that the file could have when a full disk ended the last attempt; 0: none did
    room: int = 0
    boot_id: str = ""  # of the last checkpoint
    mount_id: int = 0
    # 0 force-quit, 1 background work disabled, 2 insufficient resources
    cancel_reason: int | None = None
    # what `metrics` reads: rows of transfermon.model.metrics
    transactions: tuple[tuple[Any, ...], ...] = ()
    redirect_count: int = 0  # over all attempts

    @property
    def key(self) -> TaskKey:
        return TaskKey(self.session, self.number)

    @property
    def named_path(self) -> str:
        """Where the finished file is; "" until it has its name."""
        return "" if self.part_path else self.final_path

    @property
    def part_paths(self) -> tuple[str, ...]:
        """All part files of the task."""
        older = self.older_part.path if self.older_part is not None else ""
        return tuple(path for path in (self.part_path, older) if path)

    @property
    def file(self) -> str:
        """The file on this computer: what was downloaded, or what is sent; "" when there is none to
        look at.
        """
        if self.kind is Kind.UPLOAD:
            return "" if self.spooled else self.source
        return self.final_path if self.succeeded else ""

    @property
    def moved(self) -> int:
        """Bytes of the file so far: received by a download, sent by an upload."""
        return self.sent if self.kind is Kind.UPLOAD else self.received

    @property
    def total(self) -> int:
        """Bytes of the whole file; -1 when unknown."""
        return self.expected_to_send if self.kind is Kind.UPLOAD else self.expected

    @property
    def outstanding(self) -> bool:
        return self.state is not State.COMPLETED

    @property
    def succeeded(self) -> bool:
        return self.state is State.COMPLETED and self.error is None

    @property
    def failed(self) -> bool:
        return self.state is State.COMPLETED and self.error is not None

    @property
    def metrics(self) -> TaskMetrics:
        """Timings of everything that was sent for this task so far; final at `sessioncompleted`
        (T-19).
        """
        return task_metrics(self.added, self.finished, self.redirect_count, self.transactions)

    @property
    def waiting(self) -> bool:
        return self.state is State.RUNNING and self.activity in WAITING

    def can(self, action: Action) -> bool:
        """Whether the table and the outcome allow it: the one answer for buttons, menus and
        commands.
        """
        if (self.state, action) not in TRANSITIONS:
            return False
        if action is Action.RETRY:
            return self.error is not None
        if action is Action.SUSPEND:
            return self.state is State.RUNNING
        return True

    def after(self, action: Action) -> State:
        """The state that follows; raises InvalidAction when the table has none."""
        try:
            return TRANSITIONS[self.state, action]
        except KeyError:
            raise InvalidAction(
                f"{action.value} is not possible while task {self.key} is {self.state.value}"
            ) from None


class Rate:
    """Bytes per second over the last few seconds, from totals that only grow."""

    WINDOW = 5.0

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def add(self, now: float, total: int) -> None:
        """Note that `total` bytes were there at `now` (monotonic seconds); a smaller total starts
        anew.
        """
        if self._points and total < self._points[-1][1]:
            self._points.clear()
        self._points.append((now, total))
        while len(self._points) > 2 and now - self._points[1][0] >= self.WINDOW:
            self._points.popleft()

    def reset(self) -> None:
        self._points.clear()

    def per_second(self, now: float) -> float:
        """The mean over the window; 0.0 when nothing moved in it."""
        if len(self._points) < 2:
            return 0.0
        (begin, first), (_, last) = self._points[0], self._points[-1]
        return (last - first) / max(now - begin, 1e-3)


def progress_of(task: Task) -> Progress:
    """The counters of a task that moves nothing now."""
    return Progress(received=task.moved, expected=task.total, told=task.moved, attempt=task.attempt)


def parts_of(task: Task, progress: Progress | None) -> Picture:
    """Where the bytes of a file are that several connections bring or have brought; () for any
    other.
    """
    live = progress.shared if progress is not None else None
    found = live() if live is not None else picture_of(task.ranges)
    return found if len(found) > 1 else ()


@mutable
class Progress:
    """Live counters of one running task. Who moves the bytes adds to `received`; everyone else only
    reads.
    """

    received: int = 0  # by a download; by an upload: given to the network
    expected: int = UNKNOWN
    told: int = 0  # what the last progress event said
    attempt: int = 0
    rate: Rate = field(default_factory=Rate)
    # what each of several connections brings; None where there is one
    shared: Callable[[], Picture] | None = None

    def add(self, count: int) -> None:
        """So many more bytes have arrived, or were given to the network."""
        self.received += count

    @property
    def fraction(self) -> float | None:
        """0.0 to 1.0; None when the total is unknown."""
        if self.expected < 0:
            return None
        return 1.0 if self.expected == 0 else min(1.0, self.received / self.expected)

    @property
    def completed(self) -> int:
        return self.received

    @property
    def total(self) -> int:
        return self.expected
