"""Whether the app is in front, in the background or suspended, and what waits for its return.

Rule: suspending is simulated. Listeners hear nothing then, transfers go on, observers see
everything.
"""

from __future__ import annotations

from collections.abc import Mapping

from transfermon.engine import surroundings
from transfermon.engine.delivery import Delivery
from transfermon.engine.session import Session
from transfermon.engine.shared import Engine
from transfermon.engine.wake_engine import Background
from transfermon.model.events import TaskCompletedEvent
from transfermon.model.task import TaskKey
from transfermon.model.wake_policy import AppState
from transfermon.storage.changes import Unheard


class AppPresence:
    """That of one engine's app. `unheard` is what the absence before this engine has stored."""

    def __init__(
        self, engine: Engine, background: Background, sessions: Mapping[str, Session]
    ) -> None:
        self._engine = engine
        self._background = background
        self._sessions = sessions
        self._delivery = Delivery(engine, background, sessions)
        self._delivering = False
        self.unheard = Unheard()

    def close(self) -> None:
        self._delivery.close()

    @property
    def state(self) -> AppState:
        return self._engine.app_state

    def set_state(self, state: AppState) -> None:
        """Say whether a person has the app in front. Held pushes come with it (P-10), and tasks
        that the rate limiter held back (B-16).
        """
        if state is self._engine.app_state:
            return
        self._engine.app_state = state
        self._background.state_changed(state)
        if state is AppState.FOREGROUND:
            for session in list(self._sessions.values()):
                surroundings.came_to_front(list(session.tasks))

    @property
    def suspended(self) -> bool:
        """Whether a suspension of the app is being simulated."""
        return self._delivery.suspended

    def suspend(self) -> None:
        """Simulate that the system suspends the app (B-17). What ends meanwhile is kept in the
        journal, also across a crash.
        """
        self._delivery.suspend()

    def wake(self) -> None:
        """End the simulated suspension: `backgroundtransfer` where the last task of a session ended
        meanwhile, the stored events in order, `sessioneventscompleted`, and the progress of what is
        unfinished. A fetch or a push wakes the app, too.
        """
        self._delivery.wake()

    @property
    def in_words(self) -> str:
        """As the control API says it."""
        return "suspended" if self.suspended else self.state.value

    def deliver_unheard(self) -> None:
        """Once, and only to an app that is attached (B-02)."""
        if self._engine.attached and not self._delivering:
            self._delivering = True
            stored = [
                event for event in self.unheard.events if event.session_identifier is not None
            ]
            self._delivery.begin(stored, self.unheard.idle)

    @property
    def ended_away(self) -> tuple[TaskKey, ...]:
        """The tasks whose ends were stored and not told when this engine opened."""
        return tuple(
            TaskKey(event.session, event.task_identifier)
            for event in self.unheard.events
            if isinstance(event, TaskCompletedEvent) and event.session_identifier is not None
        )

    @property
    def notified_away(self) -> bool:
        """Whether a banner has told of anything since the first of them."""
        return self.unheard.notified
