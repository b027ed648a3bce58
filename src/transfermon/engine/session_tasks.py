"""The tasks of one session by their numbers: the live side of each, and its record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from transfermon.engine.session_core import SessionCore
from transfermon.engine.task_run import TaskRun
from transfermon.model import task_steps
from transfermon.model.task import Task, TaskKey


class SessionTasks:
    """Iterating gives the live sides as they are at that moment; some may leave meanwhile."""

    def __init__(self, core: SessionCore, tasks: Iterable[Task]) -> None:
        self._core = core
        self._runs: dict[int, TaskRun] = {}
        for task in tasks:
            self.put(task_steps.as_found(task))
        self.next_number = max([core.row.next_number, *(number + 1 for number in self._runs)])

    def __repr__(self) -> str:
        return f"<SessionTasks {len(self._runs)} of {self._core.key}>"

    def __iter__(self) -> Iterator[TaskRun]:
        return iter(list(self._runs.values()))

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def next_key(self) -> TaskKey:
        return TaskKey(self._core.key, self.next_number)

    def put(self, task: Task) -> TaskRun:
        """Into the list."""
        run = self._runs[task.number] = TaskRun(self._core, task)
        self._core.add(run)
        return run

    def take_out(self, number: int) -> None:
        del self._runs[number]

    def run_of(self, number: int) -> TaskRun:
        """The live side of a task. Raises KeyError when the session has no such task."""
        try:
            return self._runs[number]
        except KeyError:
            raise KeyError(f"{self._core.key}:{number}") from None

    def find_run(self, number: int) -> TaskRun | None:
        """None once the task has left the list."""
        return self._runs.get(number)

    def record(self, number: int) -> Task:
        """Raises KeyError as `run_of`."""
        return self.run_of(number).record

    def find(self, number: int) -> Task | None:
        """The record; None once it has left the list."""
        run = self._runs.get(number)
        return None if run is None else run.record

    def records(self) -> list[Task]:
        """All remembered tasks, completed ones too."""
        return [run.record for run in self._runs.values()]

    def records_of(self, url: str) -> list[Task]:
        """The remembered tasks of this address, oldest first, without looking through all the
        others.
        """
        return self._core.records_of(url)
