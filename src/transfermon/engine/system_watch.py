"""What the computer does while transfers run: its network comes and goes, it sleeps, its disk takes
nothing.

Rule: nothing goes on that cannot be remembered, and everything that was stopped here goes on by
itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from transfermon.engine import surroundings
from transfermon.engine.session import Session
from transfermon.engine.shared import Engine
from transfermon.model.errors import StateError
from transfermon.model.events import Event
from transfermon.system.sleep import Sleep
from transfermon.system.stay_awake import Inhibitor

_FLUSH_SECONDS = 5.0
_SHORT = 0.02  # seconds between two looks at something that ends soon


class SystemWatch:
    """That of one engine. `inhibitor` keeps the computer awake, `sleep` says when it sleeps; either
    may be missing.
    """

    def __init__(
        self,
        engine: Engine,
        sessions: Mapping[str, Session],
        inhibitor: Inhibitor | None,
        sleep: Sleep | None,
    ) -> None:
        self._engine = engine
        self._sessions = sessions
        self.inhibitor = inhibitor
        self._sleep = sleep
        self._asleep = False
        self._looking = False
        # nothing can be stored now, and why; "" when it can again
        self.on_frozen: Callable[[str], None] | None = None
        # the network or the policy is another
        self.on_surroundings: Callable[[], None] | None = None
        engine.store.on_frozen = self._frozen

    def watch(self) -> None:
        """From now on; before, nothing of the sessions is there."""
        engine = self._engine
        engine.connectivity.changed = self._network_changed
        engine.policy.changed = self._policy_changed
        engine.connectivity.open()
        engine.policy.open()
        if self.inhibitor is not None:
            engine.bus.subscribe(self._look_soon)

    def ask_metered(self) -> None:
        """Find out whether the network is metered although no task minds it: somebody shows it."""
        self._engine.policy.ask_metered()

    def watch_sleep(self) -> None:
        if self._sleep is not None:
            self._sleep.watch(self._before_sleep, self._after_sleep)

    def leave(self) -> None:
        """Look no more at network and power; the rest is for `close`."""
        self._engine.connectivity.close()
        self._engine.policy.close()

    async def close(self) -> None:
        for watched in (self.inhibitor, self._sleep):
            if watched is not None:
                await watched.close()
        await self._engine.policy.closed()

    async def flush(self) -> None:
        """Let everybody hear what was decided until now, unless the disk refuses it."""
        if not self._engine.store.frozen:
            with contextlib.suppress(TimeoutError, StateError):
                async with asyncio.timeout(_FLUSH_SECONDS):
                    await self._engine.store.read(lambda database: None)

    def _look_soon(self, _event: Event) -> None:
        """Once for all that a turn of the loop tells."""
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        self.stay_awake()

    def stay_awake(self) -> None:
        """The computer may sleep while tasks merely wait, or nothing can be stored."""
        if self.inhibitor is None:
            return
        engine = self._engine
        may_run = engine.settings.inhibit_sleep and not engine.store.frozen and not engine.closing
        self.inhibitor.want(
            may_run and any(session.tally.running for session in self._sessions.values())
        )

    def _network_changed(self) -> None:
        for session in list(self._sessions.values()):
            if self._engine.connectivity.online:
                surroundings.network_returned(list(session.tasks))
            else:
                surroundings.network_lost(list(session.tasks))
        self._tell_surroundings()

    def _policy_changed(self) -> None:
        for session in list(self._sessions.values()):
            surroundings.policy_changed(list(session.tasks))
        self._tell_surroundings()

    def _tell_surroundings(self) -> None:
        if self.on_surroundings is not None:
            self.on_surroundings()

    def _frozen(self, reason: str) -> None:
        """All goes on by itself when it can be stored again (F3, K19)."""
        self._may_run()
        if self.on_frozen is not None:
            self.on_frozen(reason)

    def _may_run(self) -> None:
        hold = bool(self._engine.store.frozen) or self._asleep
        self._engine.slots.close(closed=hold)
        if hold:
            for session in list(self._sessions.values()):
                session.hold()
        self.stay_awake()

    async def _before_sleep(self) -> None:
        """Done when all transfers have let go and what arrived survives a battery that runs empty
        (T3).
        """
        self._asleep = True
        self._may_run()
        while self._engine.progress:
            await asyncio.sleep(_SHORT)
        if self._engine.transport is not None:
            for key in self._sessions:
                self._engine.transport.drop_idle(key)  # they would be dead when it wakes
        await self.flush()

    def _after_sleep(self) -> None:
        self._asleep = False
        self._may_run()
