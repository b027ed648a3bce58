"""What is remembered, kept by one thread: changes queue up, become durable together, and are told
in their order.

Rule: `commit` puts a change in the queue and returns; when the turn of the loop is over, the writer
thread is woken, takes all that is there, commits it at once (WAL, synchronous=FULL: durable when it
says so), and only then is each change told, in the order it was decided. Nothing else in the
program writes to the database (W7, W8).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import field
from typing import Any

from transfermon.model.errors import StateError
from transfermon.model.record import mutable
from transfermon.storage.changes import Change, Remembered
from transfermon.storage.database import Database, LeaseLost, NotStored
from transfermon.storage.tables import Query, T

log = logging.getLogger(__name__)

SLICE = 0.001  # seconds that telling may take before the window gets its turn
RETRY_SECONDS = 1.0  # between two tries to commit while the disk is full
KEPT = 100_000  # journal rows; older ones go, unless nobody has heard of them (F26)


@mutable
class _Entry:
    change: Change | None = None
    then: Callable[[], None] | None = None
    done: asyncio.Future[None] | None = None
    read: Query[Any] | None = None
    result: asyncio.Future[Any] | None = None
    answer: Any = field(default=None)


class Store:
    """The one writer. Made and used on the loop; the database lives on a thread of its own."""

    def __init__(self, path: str, *, kept: int = KEPT) -> None:
        self.path = path
        self._database = Database(path, kept=kept)  # the thread's own
        self.frozen = ""  # why nothing can be stored now, in words; "" when all is well
        self.on_frozen: Callable[[str], None] | None = None
        self._turn: list[_Entry] = []  # what this turn of the loop has decided
        self._queue: deque[_Entry] = deque()
        self._acknowledged: deque[int] = deque()
        self._ready = threading.Condition()
        self._stop = False
        self._ended = False
        self._told: deque[_Entry] = deque()
        self._telling = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.commits = 0

    def __repr__(self) -> str:
        queued = len(self._turn) + len(self._queue)
        return f"<Store {self.path} lease={self._database.lease} queued={queued}>"

    async def open(self) -> Remembered:
        """As `Database.open` does it. Once a day a copy is kept (W16)."""
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[Remembered] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="store", daemon=True)
        self._thread.start()
        return await opened

    def commit(
        self, change: Change, then: Callable[[], None] | None = None
    ) -> asyncio.Future[None]:
        """Queue a change. The result is done when it is durable; `then` is called just before, in
        order.

        Where nothing will ever be stored any more (another process has the list, or the thread has
        failed), the result raises StateError and `then` is not called.
        """
        assert self._loop is not None
        entry = _Entry(change=change, then=then, done=self._loop.create_future())
        self._put(entry)
        assert entry.done is not None
        return entry.done

    def acknowledge(self, sequence: int) -> None:
        """Every listener has had this event. Kept with the next commit: a crash before it tells the
        event again.
        """
        self._acknowledged.append(sequence)

    async def read(self, query: Query[T]) -> T:
        """Run a query on the store's thread, after everything queued before it. StateError: that
        thread has ended.
        """
        assert self._loop is not None
        entry = _Entry(read=query, result=self._loop.create_future())
        assert entry.result is not None
        self._put(entry)
        answer: T = await entry.result
        return answer

    async def close(self) -> None:
        """Commit what is queued (unless the disk refuses), tell it, and end the thread."""
        if self._thread is None:
            return
        if self._acknowledged:
            self._put(_Entry(change=Change()))
        self._hand_over()
        with self._ready:
            self._stop = True
            self._ready.notify()
        await asyncio.to_thread(self._thread.join)
        self._thread = None
        await asyncio.sleep(0)  # the last batch was posted to the loop by the thread
        while self._told:
            await asyncio.sleep(0)

    def _put(self, entry: _Entry) -> None:
        if self._ended:
            self._give_up([entry])
            return
        if not self._turn:
            assert self._loop is not None
            self._loop.call_soon(self._hand_over)
        self._turn.append(entry)

    def _hand_over(self) -> None:
        """What one turn decided goes to the writer at once: one wake-up, and at most one
        transaction.
        """
        turn, self._turn = self._turn, []
        if turn:
            with self._ready:
                if not self._queue:
                    self._ready.notify()
                self._queue.extend(turn)

    # ---- loop: tell what is durable, in slices, so that a burst does not stall the window

    def _durable(self, batch: list[_Entry]) -> None:
        self._told.extend(batch)
        if not self._telling:
            self._tell()

    def _tell(self) -> None:
        assert self._loop is not None
        self._telling = False
        end = time.perf_counter() + SLICE
        while self._told:
            entry = self._told.popleft()
            if entry.then is not None:
                try:
                    entry.then()
                except Exception:
                    log.exception("telling a change failed")
            for future, value in ((entry.done, None), (entry.result, entry.answer)):
                if future is not None:
                    _resolve(future, value)
            if self._told and time.perf_counter() > end:
                self._telling = True
                self._loop.call_soon(self._tell)
                return

    def _give_up(self, batch: list[_Entry]) -> None:
        """Nobody writes or reads any more: whoever waits hears so; what could not be stored is not
        told.
        """
        self._ended = True
        with self._ready:
            batch = [*batch, *self._queue, *self._turn]
            self._queue.clear()
        self._turn = []
        for entry in batch:
            for future in (entry.done, entry.result):
                if future is not None and not future.done():
                    future.set_exception(
                        StateError(self.frozen or "The list of transfers is closed.")
                    )
                    future.exception()  # most changes are awaited by nobody, which is no mistake

    def _freeze(self, reason: str) -> None:
        if reason == self.frozen:
            return
        self.frozen = reason
        log.warning("the store %s", f"is frozen: {reason}" if reason else "goes on")
        if self.on_frozen is not None:
            self.on_frozen(reason)

    # ---- writer thread

    def _post(self, function: Callable[..., None], *args: Any) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is gone: there is nobody left to tell
            log.debug("the loop ended before the store did")

    def _run(self, opened: asyncio.Future[Remembered]) -> None:
        try:
            remembered = self._database.open()
        except Exception as exc:  # noqa: BLE001 - whoever opens it waits for this thread
            self._post(self._give_up, [])
            self._post(_resolve, opened, exc)
            return
        self._post(_resolve, opened, remembered)
        try:
            self._database.keep_copy()
            while self._write():
                pass
        finally:
            self._database.close()

    def _write(self) -> bool:
        """One batch; nothing of it is held on to while waiting for the next. False at the end."""
        with self._ready:
            while not self._queue and not self._stop:
                self._ready.wait()
            batch = list(self._queue)
            self._queue.clear()
        try:
            committed = self._commit([entry.change for entry in batch if entry.change is not None])
        except Exception as exc:  # a mistake of ours: everybody hears of it, and nothing goes on as if all were well
            log.exception("the store's thread failed")
            self._post(
                self._freeze, f"transfermon made a mistake ({exc!r}). Quit it and start it again."
            )
            committed = False
        if not batch or not committed:
            self._post(self._give_up, batch)
            return False
        for entry in batch:
            if entry.read is not None:
                entry.answer = self._answer(entry.read)
        self._post(self._durable, batch)
        return True

    def _commit(self, changes: list[Change]) -> bool:
        """Until it succeeds: what was decided is not rolled back in memory. False when the engine
        must end.
        """
        while changes:
            heard = list(self._acknowledged)
            try:
                self._database.commit(changes, heard)
            except NotStored as exc:
                self._post(self._freeze, f"The list of transfers cannot be stored: {exc}.")
                with self._ready:
                    if self._stop:
                        log.error("%d changes could not be stored: %s", len(changes), exc)
                        return False
                    self._ready.wait(RETRY_SECONDS)
            except LeaseLost:
                self._post(self._freeze, "Another process has taken over the list of transfers.")
                return False
            else:
                for _ in heard:
                    self._acknowledged.popleft()
                self.commits += 1
                if self.frozen:
                    self._post(self._freeze, "")
                return True
        return True

    def _answer(self, query: Query[Any]) -> Any:
        try:
            return self._database.read(query)
        except Exception as exc:  # noqa: BLE001 - handed to whoever asked
            return exc


def _resolve(future: asyncio.Future[Any], value: Any) -> None:
    if future.done():  # whoever asked has gone
        return
    if isinstance(value, BaseException):
        future.set_exception(value)
    else:
        future.set_result(value)
