"""A command of the window: its words, its keys, the menus that it is in, when it can do something,
and the function that does it.

Rule: a command is a row beside its function; `commands` puts the rows of all modules together.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence

from transfermon.gui.window.context import WindowContext
from transfermon.model.record import record
from transfermon.model.task import Action, Task

_STATE, _ERROR = operator.attrgetter("state"), operator.attrgetter("error")
TABLE = "table"  # keys that act only while the list has the focus: a text box needs them for itself


class ChosenTasks:
    """The transfers that a command would be about. `shown` is looked at only while nothing is
    selected.
    """

    def __init__(self, selected: Sequence[Task], shown: Sequence[Task] = ()) -> None:
        self.selected = selected
        self._samples = _samples(selected)
        self._over = self._samples if selected else _samples(shown)

    def __repr__(self) -> str:
        return f"<ChosenTasks of {len(self.selected)}>"

    @property
    def one(self) -> Task | None:
        """The only one."""
        return self.selected[0] if len(self.selected) == 1 else None

    @property
    def anything(self) -> bool:
        """Whether something is selected, or shown while nothing is."""
        return bool(self._over)

    def can(self, action: Action) -> bool:
        """Whether any of the selected can do that; the table that moves a task is asked."""
        return any(task.can(action) for task in self._samples)

    def can_over(self, action: Action) -> bool:
        """The same; with nothing selected all that are shown are meant."""
        return any(task.can(action) for task in self._over)


def _samples(tasks: Sequence[Task]) -> list[Task]:
    """One of each kind that `Task.can` tells apart: ten thousand tasks are asked as quickly as
    five, and looked at without a step of Python's for each.
    """
    fails = map(operator.is_not, map(_ERROR, tasks), itertools.repeat(None))
    return list(dict(zip(zip(map(_STATE, tasks), fails), tasks, strict=False)).values())  # noqa: B905


@record
class Command:
    """Texts are in English: whoever shows them translates them."""

    id: str
    run: Callable[[WindowContext], None]
    text: str
    menu: str  # of the menu bar; with a slash at its end a line comes before it
    icon: str = ""
    keys: str = ""
    where: str = ""  # TABLE, or the whole window
    tip: str = ""
    label: str = ""  # shorter, for the toolbar
    can: Callable[[ChosenTasks], bool] | None = None  # None: always
    # in the menu of selected transfers, under these words; "" is not in there
    of_tasks: str = ""
    counted: Callable[[int], str] | None = None  # its words there, where they name the number
    offered: Callable[[ChosenTasks], bool] | None = None  # there, where that is not `can`
    line: bool = False  # a line comes before it there
    group: str = ""  # the menu inside that menu that it is in
    chosen: Callable[[ChosenTasks], bool] | None = None  # whether it has its mark there
