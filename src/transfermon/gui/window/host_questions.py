"""Whether pushes may download from a host; one question for each."""

from __future__ import annotations

from transfermon.gui.dialogs.questions import ask
from transfermon.gui.window.context import WindowContext
from transfermon.gui.window.settings_commands import change_settings
from transfermon.model import units
from transfermon.model.errors import redacted
from transfermon.model.translate import marked, tr


class HostQuestions:
    """Of one window. Until it is answered, what a push began there stays paused in the list."""

    def __init__(self, context: WindowContext) -> None:
        self._context = context
        self._asked: set[str] = set()  # and not answered, or for later

    def __repr__(self) -> str:
        return f"<HostQuestions {sorted(self._asked)}>"

    def look(self) -> None:
        """A push may want to download from a host for the first time."""
        for host, keys in self._context.monitor.approvals.waiting.items():
            if host in self._asked:
                continue
            self._asked.add(host)
            shown = "\n".join(
                units.clean(redacted(task.url))[:100] for task in self._context.tasks(keys[:5])
            )
            ask(
                self._context.window,
                tr("May pushes download from {host}?").format(host=host),
                tr(
                    "A push asks for %n files from there:\n{shown}\nNothing was fetched yet.",
                    "A push asks for a file from there:\n{shown}\nNothing was fetched yet.",
                    len(keys),
                ).format(shown=shown),
                [marked("Always"), marked("This time"), marked("Never mind"), marked("Ask later")],
                lambda answer, _remember, host=host: self._answer(host, answer),  # type: ignore[misc]
                warning=True,
            )

    def _answer(self, host: str, answer: str) -> None:
        if not self._context.attached or answer == "Ask later":
            return  # the transfers stay paused in the list
        self._asked.discard(host)
        monitor = self._context.monitor
        if answer == "Always":
            change_settings(self._context, {"push_hosts": (*monitor.settings.push_hosts, host)})
        if answer == "Never mind":
            monitor.approvals.drop(host)
        else:
            monitor.approvals.start(host)
