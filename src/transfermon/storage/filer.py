"""Small files, whole in memory, to their final names: many in one turn of one thread.

Rule: data, then name, then journal. No record says that a part is made, since its name follows from
its task (`part_names.small_name`), and its link count says after a crash how far it was: with one
link it has no final name yet, with two the file is there, whole and durable. So:

1. part made, written, and its data synced; then the final name as a second link, which never
   replaces anything; then the folder synced once for the whole batch;
2. the end is recorded;
3. when that is durable the part's own name goes (`forget`).

A crash before 2 leaves a part that an unfinished task claims: its next attempt finds the name and
ends without a request, or throws away what has none. A crash between 2 and 3 leaves a second name
of a finished file that no unfinished task claims: the next engine drops it. It must know where to
look, though: sessions that are over take their tasks out of the database in the commit of the last
end, before 3. So the folders are durable, as a value of the database, before the first part is made
in them, and leave the list when the engine closes and nothing of ours is left there. A folder that
cannot be read then (its disk is away) stays on the list, and tasks that go there look for
themselves.

What is unusual is not for this thread: a file system without second names, a disk that is full, a
name that is refused, any error before the name is given. Nothing of it stays, and whoever asked
takes the ordinary way with the body that it still has: the words of each failure are that way's. A
batch is of one folder, so that a disk that hangs holds up no other for more than `PATIENCE`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import field

from transfermon.model.errors import Code, TransferFailure
from transfermon.model.record import mutable
from transfermon.model.task import Task
from transfermon.storage import disk_space, final_name, part_names
from transfermon.storage.disk_failures import disk_failure
from transfermon.storage.file_identity import identity_of
from transfermon.storage.held_folder import HeldFolder, close_quietly
from transfermon.storage.name_trial import Targets, is_ordinary
from transfermon.storage.small_parts import Leftover

log = logging.getLogger(__name__)
PATIENCE = 5.0  # seconds that a file waits behind a disk that does not answer
MOST_FOLDERS = 64  # that the database is told of
_MOMENT = 1.0  # seconds
_CLOSING = 10.0  # seconds that the end waits for a disk that does not answer
_MAKE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)
_NO_SECOND_NAMES = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK}
)


@mutable
class SmallFile:
    """One file on its way to its name."""

    folder: str
    part: str  # the part's name
    name: str  # that the file is to have
    data: bytes | bytearray
    given: bool = False  # a person chose the name
    # whether that folder is made where it is missing; asked on the thread
    makes_folder: Callable[[str], bool] | None = None
    origin: str = ""  # an address to note with the file
    # what came of it; no path and no error: the ordinary way is to be taken
    path: str = ""
    identity: tuple[int, ...] = ()
    error: TransferFailure | None = None  # the name may be given, and may not be durable
    no_links: bool = False  # this file system has no second names
    done: asyncio.Future[None] | None = None
    fd: int = -1

    @property
    def part_path(self) -> str:
        return os.path.join(self.folder, self.part)


@mutable
class _Errand:
    """What is to be done in one folder."""

    files: list[SmallFile] = field(default_factory=list)
    spent: list[str] = field(default_factory=list)  # names of parts
    stay: int = 0  # of those that could not be removed


class Filer:
    """The one of an engine. Used on the loop; its thread starts with the first file."""

    def __init__(self, targets: Targets, keep: Callable[[str], asyncio.Future[None]]) -> None:
        self.mark = ""  # of the database
        self._targets = targets
        self._keep = keep  # makes the list of folders durable
        self._using: Counter[str] = Counter()  # by folder: parts that are there, or may be soon
        self._listed: dict[str, asyncio.Future[None] | None] = {}  # None: durable
        self._worked: dict[str, float] = {}  # by folder: when a file got its name there
        self._unfit: set[str] = set()  # folders without second names
        self._left: set[str] = set()  # parts that an engine before this one has given names
        self._named: set[str] = set()  # parts whose files have names, until they are gone
        self._waiting: dict[str, Callable[[], None]] = {}  # by part: what is to follow then
        self._unseen: set[str] = set()
        self._new: dict[str, _Errand] = {}  # of this turn of the loop
        self._errands: dict[str, _Errand] = {}  # the thread's, under the lock
        self._ready = threading.Condition()
        self._busy_since = 0.0  # 0.0: the thread waits
        self._current = ""  # the folder that it is busy with
        self._stop = False
        self._armed = False
        self._looking: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<Filer {sum(self._using.values())} parts in {len(self._using)} folders>"

    # ---- what an engine before this one has left

    def take_over(self, leftover: Leftover, kept: str) -> None:
        """Parts with names whose tasks will ask for them, and the list as it was stored."""
        self._left, self._unseen = set(leftover.named), set(leftover.unseen)
        self._named |= self._left
        self._using.update(map(os.path.dirname, leftover.named))
        self._using.update(leftover.unseen)
        self._listed = dict.fromkeys(folders_of(kept))

    def part_of(self, task: Task) -> str:
        """The path of a task's small part, if it has one."""
        return os.path.join(task.folder, part_name(self.mark, task))

    def may_be_named(self, task: Task) -> bool:
        """Whether a look at the disk may find a file under its final name, which the task's small
        part has become.
        """
        if not task.folder or not (self._left or self._unseen):
            return False
        part = self.part_of(task)
        return part in self._left or (bool(self._unseen) and os.path.dirname(part) in self._unseen)

    # ---- where

    def takes(self, folder: str) -> bool:
        """Whether files that go there are for the filer now."""
        return folder not in self._unfit and not self._hangs

    def has_worked_in(self, folder: str) -> bool:
        """Whether files got their names there a moment ago."""
        return time.monotonic() - self._worked.get(folder, -_MOMENT) < _MOMENT

    async def enter(self, folder: str) -> bool:
        """A part may be made there when this returns; `leave` when none was. False: not now."""
        if folder not in self._listed:
            if len(self._listed) >= MOST_FOLDERS and not self._make_room():
                return False
            self._listed[folder] = None
            self._listed[folder] = self._store_list()
        self._using[folder] += 1
        durable = self._listed[folder]
        if durable is not None:
            try:
                await asyncio.shield(durable)
            except BaseException:
                self.leave(folder)
                raise
            self._listed[folder] = None
        return True

    def leave(self, folder: str) -> None:
        """As `forget`, where no part was made."""
        self._using[folder] -= 1

    def _make_room(self) -> bool:
        for folder in list(self._listed):
            if self._using[folder] <= 0 and not self._is_at_work(folder):
                del self._listed[folder], self._using[folder]
                self._worked.pop(folder, None)
                return True
        return False

    def _is_at_work(self, folder: str) -> bool:
        return folder in self._new or folder in self._errands or folder == self._current

    def _store_list(self) -> asyncio.Future[None]:
        return self._keep(json.dumps(list(self._listed)))

    # ---- files

    def file(self, one: SmallFile) -> asyncio.Future[None]:
        """Done when the file has its name, data and name are durable, or when the ordinary way is
        to be taken; the outcome is in it. `forget` the part when the journal knows of the end.
        """
        loop = asyncio.get_running_loop()
        one.done = loop.create_future()
        self._arm(loop).setdefault(one.folder, _Errand()).files.append(one)
        return one.done

    def forget(self, part: str) -> None:
        """The journal knows of the end: the part's own name may go."""
        if self._stop:  # the engine closed; the next one finds it
            return
        folder, name = os.path.split(part)
        self._left.discard(part)
        self.leave(folder)
        self._arm(asyncio.get_running_loop()).setdefault(folder, _Errand()).spent.append(name)

    def forget_after(self, part: str, durable: asyncio.Future[None]) -> None:
        """`forget` where the change that says so was stored."""
        if not durable.cancelled() and durable.exception() is None:
            self.forget(part)

    def remember(self, part: str) -> None:
        """It may have a name that could not be made durable: the next attempt looks for it."""
        self._left.add(part)
        self._named.add(part)

    def when_gone(self, part: str, then: Callable[[], None]) -> None:
        """Call `then` when the part's own name has gone, or its disk does not answer; at once where
        it is so. It is forgotten before or after.
        """
        if part in self._named and not self._stop and not self._hangs:
            self._waiting[part] = then
        else:
            then()

    def _arm(self, loop: asyncio.AbstractEventLoop) -> dict[str, _Errand]:
        if not self._armed:
            self._armed = True
            loop.call_soon(self._post)
        return self._new

    def _post(self) -> None:
        """What this turn of the loop has brought goes to the thread at once."""
        self._armed = False
        new, self._new = self._new, {}
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name="filer", daemon=True)
            self._thread.start()
        with self._ready:
            for folder, errand in new.items():
                mine = self._errands.setdefault(folder, _Errand())
                mine.files += errand.files
                mine.spent += errand.spent
            self._ready.notify()
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(PATIENCE, self._look)

    @property
    def _hangs(self) -> bool:
        since = self._busy_since
        return bool(since) and time.monotonic() - since > PATIENCE

    def _look(self) -> None:
        """Nothing waits longer behind a disk that does not answer."""
        self._looking = None
        waiting: list[SmallFile] = []
        hangs = self._hangs
        if hangs:
            self._go_on(list(self._waiting))
        with self._ready:
            if hangs:
                for errand in self._errands.values():
                    waiting += errand.files
                    errand.files = []
            goes_on = bool(self._errands) or bool(self._busy_since)
        _tell(waiting)
        if goes_on and not self._stop:
            self._looking = asyncio.get_running_loop().call_later(PATIENCE, self._look)

    async def close(self) -> None:
        """Everything decided is durable: what is left of the parts goes, and the list of folders
        with it.
        """
        if self._armed:
            self._post()
        self._stop = True
        if self._looking is not None:
            self._looking.cancel()
        if self._thread is not None:
            with self._ready:
                self._ready.notify()
            await asyncio.to_thread(self._thread.join, _CLOSING)
            if self._thread.is_alive():
                log.warning("a disk does not answer: parts stay in %s", sorted(self._listed))
                return
        self._go_on(list(self._waiting))
        still = [folder for folder in self._listed if self._using[folder] > 0]
        if still != list(self._listed):
            await asyncio.to_thread(_sync_all, [one for one in self._listed if one not in still])
            self._listed = dict.fromkeys(still)
            self._store_list()

    # ---- the thread

    def _run(self) -> None:
        assert self._loop is not None
        while True:
            with self._ready:
                self._busy_since, self._current = 0.0, ""
                while not self._errands and not self._stop:
                    self._ready.wait()
                if not self._errands:
                    return
                folder = next(iter(self._errands))
                errand = self._errands.pop(folder)
                self._busy_since, self._current = time.monotonic(), folder
            errand.stay = drop_names(folder, errand.spent)
            if errand.files:
                try:
                    file_all(folder, errand.files, self._targets, self.mark)
                except Exception:  # a mistake of ours: the ordinary way may do better
                    log.exception("the filer failed in %s", folder)
            with contextlib.suppress(RuntimeError):  # the loop is gone
                self._loop.call_soon_threadsafe(self._done, folder, errand)

    def _done(self, folder: str, errand: _Errand) -> None:
        now = time.monotonic()
        self._using[folder] += errand.stay  # so that the next engine finds them
        for one in errand.files:
            if one.no_links:
                self._unfit.add(folder)
            if one.path:
                self._worked[folder] = now
                self._named.add(one.part_path)
        _tell(errand.files)
        self._go_on(os.path.join(folder, name) for name in errand.spent)

    def _go_on(self, parts: Iterable[str]) -> None:
        for part in parts:
            self._named.discard(part)
            if (then := self._waiting.pop(part, None)) is not None:
                then()


def part_name(mark: str, task: Task) -> str:
    """When it was added is in it, too: a list that comes from a copy may give a number again."""
    return part_names.small_name(mark, f"{task.key} {task.added!r}")


def folders_of(kept: str) -> list[str]:
    """The list as `Filer` stores it."""
    try:
        found = json.loads(kept or "[]")
    except ValueError:
        return []
    return [folder for folder in found if isinstance(folder, str)]


def _sync_all(folders: Iterable[str]) -> None:
    """Blocking. A power cut brings back no name that went: nobody would look for it."""
    for folder in folders:
        with contextlib.suppress(OSError), contextlib.closing(HeldFolder.open(folder)) as held:
            held.sync()


def _tell(files: Iterable[SmallFile]) -> None:
    for one in files:
        if one.done is not None and not one.done.done():
            one.done.set_result(None)


# ---- one batch


def drop_names(folder: str, parts: Iterable[str]) -> int:
    """Blocking. How many stay; the files have another name."""
    stay = 0
    for name in parts:
        try:
            os.unlink(os.path.join(folder, name))
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("the second name %s stays in %s: %s", name, folder, error)
            stay += 1
    return stay


def file_all(folder: str, files: list[SmallFile], targets: Targets, mark: str) -> None:
    """Blocking. Each file gets its name, durably, or nothing of it stays; only where the folder
    cannot be synced, or is not where it was, a file has a name and an error.
    """
    try:
        if not os.path.isdir(folder):
            _make_folder(folder, files)
        if sum(len(one.data) for one in files) > disk_space.free_space(folder):
            return
        held = HeldFolder.open(folder)
    except (OSError, TransferFailure):
        return
    with contextlib.closing(held):
        rights, proven = final_name.usual_rights(), targets.is_proven(held.path)

        def settled(one: SmallFile) -> str:
            if proven and is_ordinary(one.name):  # the folder need not be looked at for each
                return one.name
            return targets.settled(held.path, one.name, given=one.given, overwrite=False, mark=mark)

        for one in files:
            _attempt(_written, one, held, settled, rights)
        for step in (_synced, _named):
            for one in files:
                if one.fd >= 0:
                    _attempt(step, one, held)
        named = [one for one in files if one.path]
        if named:
            _confirm(held, named)


def _make_folder(folder: str, files: Iterable[SmallFile]) -> None:
    if any(one.makes_folder is not None and one.makes_folder(folder) for one in files):
        with contextlib.suppress(OSError):  # to open it says better what is wrong
            os.makedirs(folder, exist_ok=True)


def _attempt(
    step: Callable[..., None], one: SmallFile, held: HeldFolder, *arguments: object
) -> None:
    """One step, or nothing of the file is left."""
    try:
        step(one, held, *arguments)
    except (OSError, TransferFailure) as error:
        log.debug("%s is not for the filer: %s", one.part, error)
        if one.fd >= 0:
            close_quietly(one.fd)
            one.fd = -1
            with contextlib.suppress(OSError):
                held.unlink(one.part)


def _written(
    one: SmallFile, held: HeldFolder, settled: Callable[[SmallFile], str], rights: int
) -> None:
    one.name = settled(one)
    try:
        one.fd = held.open_name(one.part, _MAKE)
    except FileExistsError:  # of an attempt that was cut off; nobody knows of it
        held.unlink(one.part)
        one.fd = held.open_name(one.part, _MAKE)
    view = memoryview(one.data)
    while view:
        view = view[os.write(one.fd, view) :]
    if one.origin:
        final_name.mark_origin(one.fd, one.origin)
    final_name.try_chmod(one.fd, rights)
    one.identity = identity_of(os.fstat(one.fd))


def _synced(one: SmallFile, held: HeldFolder) -> None:
    getattr(os, "fdatasync", os.fsync)(one.fd)


def _named(one: SmallFile, held: HeldFolder) -> None:
    try:
        name = final_name.place_beside(held, one.part, one.name)
    except OSError as error:
        one.no_links = error.errno in _NO_SECOND_NAMES
        raise
    close_quietly(one.fd)
    one.fd = -1
    one.path = os.path.join(held.path, name)


def _shows_links(held: HeldFolder, part: str, name: str) -> bool:
    """Some file systems that know second names (sshfs) do not count them, or number each name."""
    status = held.status_of(part)
    return status.st_nlink > 1 and os.path.samestat(status, held.status_of(name))


def _confirm(held: HeldFolder, named: list[SmallFile]) -> None:
    """The names survive a power cut, and the paths lead to them."""
    try:
        first = named[0]
        if not _shows_links(held, first.part, os.path.basename(first.path)):
            first.no_links = True  # a crash could not tell what is finished: no more of them
        held.sync()
        path = held.current_path()
    except (OSError, TransferFailure) as error:
        for one in named:
            one.error = (
                error
                if isinstance(error, TransferFailure)
                else disk_failure(error, Code.CANNOT_MOVE_FILE, one.path)
            )
            one.path = ""
        return
    for one in named:
        one.path = os.path.join(path, os.path.basename(one.path))
