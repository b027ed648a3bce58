"""Delivery of events to those who listen.

Rule: observers (the window, the control socket) hear everything at once, in order. Listeners
(scripts, default actions) are called in the order of registration, one event of a task after the
other: a coroutine listener holds only its own task's later events, at most 30 s. An event of a
whole session waits until the events before it in that session have been delivered.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from transfermon.model.configuration import LISTENER_LIMIT
from transfermon.model.events import Event
from transfermon.system.runners import Runners

log = logging.getLogger(__name__)
Listener = Callable[[Any], Any]
Delivered = Callable[[], None]
_Chain = deque[tuple[Event, Delivered | None]]

# The identifier of the fetch or push that is being handled where this code runs; tasks made there
# are `given`.
handling: contextvars.ContextVar[str] = contextvars.ContextVar("handling", default="")
WAKES = frozenset({"backgroundfetch", "silentpush"})
_PATIENT = WAKES | {"backgroundtransfer"}  # they wait for their first listener (E-12)


class EventBus:
    """All state is on the loop's thread."""

    def __init__(self, runners: Runners) -> None:
        self._runners = runners
        self._observers: tuple[Callable[[Event], None], ...] = ()
        self._listeners: dict[str, list[Listener]] = {}
        self._chains: dict[tuple[str, int], _Chain] = {}  # number 0: the session's own events
        self._busy: set[tuple[str, int]] = set()
        # session -> chains its next event waits for
        self._barriers: dict[str, set[tuple[str, int]]] = {}
        self._closed = False
        self.on_failed: Callable[[Event, BaseException], bool] | None = (
            None  # True: told, so that it need not be logged
        )
        self._streams: list[tuple[tuple[str, ...], Callable[[Event], None]]] = []
        self._parked: _Chain = deque()

    def __repr__(self) -> str:
        return f"<EventBus observers={len(self._observers)} chains={len(self._chains)}>"

    # ---- who listens

    def subscribe(self, observer: Callable[[Event], None]) -> Callable[[], None]:
        """Call `observer` with every event, progress too, as soon as it may be told. Returns the
        way out.
        """
        self._observers = (*self._observers, observer)

        def leave() -> None:
            left = list(self._observers)
            if observer in left:
                left.remove(observer)
                self._observers = tuple(left)

        return leave

    def add_listener(self, name: str, listener: Listener) -> None:
        """E-01. Listeners run in the order of registration (O-08)."""
        self._listeners.setdefault(name, []).append(listener)
        self._listened(name)

    def remove_listener(self, name: str, listener: Listener) -> None:
        """E-02: the one named, once; a no-op when it was never added."""
        registered = self._listeners.get(name, [])
        if listener in registered:
            registered.remove(listener)

    def listens(self, name: str) -> bool:
        return bool(self._listeners.get(name)) or any(name in names for names, _ in self._streams)

    @property
    def telling(self) -> bool:
        """Whether listeners still have to be told of something, or are at it."""
        return bool(self._chains)

    async def stream(self, *names: str) -> AsyncIterator[Event]:
        """Events of these names (all when none is given) from now on. Falling behind costs memory,
        not events.
        """
        waiting: deque[Event] = deque()
        arrived = asyncio.Event()

        def take(event: Event) -> None:
            if not names or event.type in names:
                waiting.append(event)
                arrived.set()

        entry = (names, take)
        self._streams.append(entry)
        for name in names:
            self._listened(name)
        try:
            while True:
                await arrived.wait()
                while waiting:
                    yield waiting.popleft()
                arrived.clear()
        finally:
            self._streams.remove(entry)

    # ---- telling

    def publish(self, event: Event, delivered: Delivered | None = None) -> None:
        """Tell an event; `delivered` is called when every listener has returned or was passed."""
        self.show(event)
        self.deliver(event, delivered)

    def show(self, event: Event) -> None:
        """Tell the observers, at once."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception:
                log.exception("an observer failed on %s", event.type)

    def deliver(self, event: Event, delivered: Delivered | None = None) -> None:
        """Tell listeners and streams, in the order of the event's chain. A wake-up waits for its
        first listener.
        """
        if self._closed:
            return
        for names, take in list(self._streams):
            if not names or event.type in names:
                take(event)
        if event.type in _PATIENT and not self.listens(event.type):
            self._parked.append((event, delivered))
        else:
            self._chain(event, delivered)

    def _chain(self, event: Event, delivered: Delivered | None) -> None:
        key = (event.session, getattr(event, "task_identifier", 0))
        if key[1] and key not in self._chains and not self._listeners.get(event.type):
            self._done(delivered)  # nobody listens, and nothing of the task waits
            return
        chain = self._chains.setdefault(key, deque())
        chain.append((event, delivered))
        if key not in self._busy:
            self._drain(key)

    def _listened(self, name: str) -> None:
        """Somebody listens: what waited for that is told in the next turn, when whoever registers
        now is done.
        """
        if any(event.type == name for event, _ in self._parked):
            asyncio.get_running_loop().call_soon(self._unpark, name)

    def _unpark(self, name: str) -> None:
        if self._closed or not self.listens(name):
            return
        waiting = [entry for entry in self._parked if entry[0].type == name]
        self._parked = deque(entry for entry in self._parked if entry[0].type != name)
        for event, delivered in waiting:
            for names, take in list(self._streams):
                if name in names:
                    take(event)
            self._chain(event, delivered)

    def give_up(self, handler_id: str) -> None:
        """The handler of an event that waits for a listener was closed: nobody needs to hear of it
        any more.
        """
        for entry in [
            entry for entry in self._parked if getattr(entry[0], "handler_id", "") == handler_id
        ]:
            self._parked.remove(entry)
            self._done(entry[1])

    def close(self) -> None:
        """Call no listener any more: what they have not had stays unacknowledged. Observers hear to
        the end.
        """
        self._closed = True

    def _drain(self, key: tuple[str, int]) -> None:
        """Deliver what waits in one chain until a coroutine listener takes over, or the chain is
        empty.
        """
        self._busy.add(key)
        chain = self._chains[key]
        while chain and not self._closed:
            if key[1] == 0 and self._must_wait(key[0]):
                return
            event, delivered = chain.popleft()
            pending = self._offer(event)
            if pending is not None:
                self._runners.spawn(
                    self._finish(key, event, pending, delivered), f"listeners of {event.type}"
                )
                return
            self._done(delivered)
        self._busy.discard(key)
        del self._chains[key]
        self._released(key)

    def _must_wait(self, session: str) -> bool:
        """Whether a session's event has to wait for chains of its tasks that began before it."""
        if session not in self._barriers:
            self._barriers[session] = {
                key for key in self._chains if key[0] == session and key[1] != 0
            }
        if self._barriers[session]:
            return True
        del self._barriers[session]
        return False

    def _released(self, key: tuple[str, int]) -> None:
        waits = self._barriers.get(key[0])
        if waits is not None and key in waits:
            waits.discard(key)
            if not waits:
                self._drain((key[0], 0))

    def _offer(self, event: Event) -> deque[tuple[Listener, Awaitable[Any] | None]] | None:
        """Call plain listeners; when one returns an awaitable, hand back it and the listeners after
        it.
        """
        rest = deque((listener, None) for listener in self._listeners.get(event.type, ()))
        while rest:
            listener, _ = rest.popleft()
            answer = self._call(listener, event)
            if inspect.isawaitable(answer):
                out: deque[tuple[Listener, Awaitable[Any] | None]] = deque(rest)
                out.appendleft((listener, answer))
                return out
        return None

    def _call(self, listener: Listener, event: Event) -> Any:
        token = handling.set(_handler_of(event))
        try:
            return listener(event)
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - the edge to other people's code
            self._failed(event, exc)
            return None
        finally:
            handling.reset(token)

    def _failed(self, event: Event, exc: BaseException) -> None:
        """E-07. One that wants to end the program is heard of by the hook, never by the loop."""
        if self.on_failed is None or not self.on_failed(event, exc):
            log.error("a listener of %s failed", event.type, exc_info=exc)

    async def _finish(
        self,
        key: tuple[str, int],
        event: Event,
        rest: deque[tuple[Listener, Awaitable[Any] | None]],
        delivered: Delivered | None,
    ) -> None:
        handling.set(_handler_of(event))  # this coroutine has a context of its own
        while rest:
            listener, answer = rest.popleft()
            if answer is None:
                answer = self._call(listener, event)
            if inspect.isawaitable(answer):
                try:
                    async with asyncio.timeout(LISTENER_LIMIT):
                        await answer
                except TimeoutError:
                    log.warning(
                        "a listener of %s took over %s s and was passed", event.type, LISTENER_LIMIT
                    )
                except (Exception, SystemExit) as exc:  # noqa: BLE001 - as above
                    self._failed(event, exc)
        self._done(delivered)
        self._drain(key)

    def _done(self, delivered: Delivered | None) -> None:
        if delivered is not None:
            try:
                delivered()
            except Exception:
                log.exception("acknowledging an event failed")


def _handler_of(event: Event) -> str:
    return str(getattr(event, "handler_id", "")) if event.type in WAKES else ""
