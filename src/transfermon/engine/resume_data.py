"""Resume data: what a task's end offers to go on with, for whoever comes first.

Rule: the data is a name for a row of ours. A row is spent once, by the task that is made from it or
by a retry of the task that offered it; the part file and the headers go to that one.
"""

from __future__ import annotations

import asyncio
import secrets

from transfermon.engine.shared import Engine
from transfermon.http import resume
from transfermon.model.task import Kind, Task, changed
from transfermon.storage.changes import ResumeRow


def row_of(engine: Engine, data: bytes, kind: Kind) -> ResumeRow | None:
    """The row that the data stands for; None when it is damaged, was used before, or is another
    kind's (R-14, R-15).
    """
    try:
        row = engine.resume_rows.get(resume.unpack(data))
    except ValueError:
        return None
    return None if row is None or row.spent or row.task.kind is not kind else row


def spend(engine: Engine, row: ResumeRow) -> tuple[ResumeRow, dict[str, str]]:
    """The row as it is to be stored from now on, and the headers that were kept with it."""
    spent = engine.resume_rows[row.token] = changed(row, spent=True)
    headers = engine.vault.get(_headers(row))
    engine.vault.drop(_headers(row))
    return spent, headers


class ResumeOffer:
    """What one task has offered, and who waits for it."""

    __slots__ = ("_engine", "_wanted", "token")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._wanted: asyncio.Future[bytes | None] | None = None
        self.token = ""  # of the row; "" while nothing is offered

    @property
    def data(self) -> bytes | None:
        """The offer, as long as nobody has used it (R-01, R-16)."""
        row = self._engine.resume_rows.get(self.token)
        return None if row is None or row.spent else resume.pack(row.token)

    def make(self, task: Task, policy: str) -> ResumeRow | None:
        """A new row for a task that ends, with its headers; None where R-02 forbids to go on. A
        failed task keeps its part as well: who comes first has it.
        """
        if task.kind is not Kind.DOWNLOAD:
            if task.upload is None:
                return None
        elif (
            not task.part_path
            or task.received == 0
            or resume.why_not_resumable(task.validators, task.method, policy)
        ):
            return None
        row = ResumeRow(token=secrets.token_urlsafe(24), task=task)
        self.token = row.token
        self._engine.resume_rows[row.token] = row
        self._engine.vault.put(_headers(row), self._engine.vault.get(str(task.key)))
        return row

    def take_back(self, task: Task) -> tuple[bool, ResumeRow | None]:
        """Make the data useless that was offered. False when it was used, so that the part is
        another's.
        """
        row = self._engine.resume_rows.get(self.token)
        self.token = ""
        if row is None or not (task.part_paths or task.upload):
            return True, None
        if row.spent:
            return False, None
        spent, _ = spend(self._engine, row)
        return True, spent

    # ---- who waits for it

    @property
    def wanted(self) -> bool:
        return self._wanted is not None

    def want(self) -> asyncio.Future[bytes | None]:
        """Done with the data, or with None where there is none."""
        self._wanted = asyncio.get_running_loop().create_future()
        return self._wanted

    def answer(self, row: ResumeRow | None) -> bool:
        """Whether anybody waited."""
        wanted, self._wanted = self._wanted, None
        if wanted is None or wanted.done():
            return False
        wanted.set_result(None if row is None else resume.pack(row.token))
        return True


def _headers(row: ResumeRow) -> str:
    return f"resume {row.token}"
