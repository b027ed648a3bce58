"""The `data` of a finished download: a file, never a copy of it in memory (D-07, D-08)."""

from __future__ import annotations

import contextlib
import os
from typing import BinaryIO, Self

from transfermon.model.task import Task


class Blob:
    """A finished file. Nothing is loaded unless `read` is called. The calls block: use a thread for
    large files.
    """

    def __init__(self, path: str, mime_type: str, *, temporary: bool = False) -> None:
        self.path = path
        self.mime_type = mime_type
        self._temporary = temporary

    @classmethod
    def of(cls, task: Task) -> Self:
        """The finished file of a task; a task without a folder has a temporary one."""
        kind = (
            task.response.header("Content-Type").partition(";")[0].strip() if task.response else ""
        )
        return cls(task.final_path, kind or "application/octet-stream", temporary=not task.folder)

    def __repr__(self) -> str:
        return f"<Blob {self.path}{' temporary' if self._temporary else ''}>"

    @property
    def is_temporary(self) -> bool:
        """Whether `expire` would delete it."""
        return self._temporary

    @property
    def size(self) -> int:
        return os.stat(self.path).st_size

    def to_dict(self) -> dict[str, object]:
        """What the journal keeps of it."""
        return {"path": self.path, "mimeType": self.mime_type}

    def open(self) -> BinaryIO:
        return open(self.path, "rb")

    def read(self, limit: int = -1) -> bytes:
        """The first `limit` bytes, or all of them."""
        with self.open() as file:
            return file.read(limit)

    def save_to(self, path: str | os.PathLike[str]) -> str:
        """Put a copy under another name, whole or not at all; a temporary file is moved when it can
        be.
        """
        target = os.path.abspath(path)
        if self._temporary:
            with contextlib.suppress(OSError):  # another file system: copy below
                os.replace(self.path, target)
                self.path, self._temporary = target, False
                return target
        beside = f"{target}.{os.getpid()}.tmp"
        try:
            import shutil  # few are copied

            shutil.copyfile(self.path, beside)
            os.replace(beside, target)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
        return target

    def keep(self) -> str:
        """Keep the temporary file where it is; returns its path."""
        self._temporary = False
        return self.path

    def expire(self) -> None:
        """Delete the file if it still is a temporary one: all listeners have returned (D-08)."""
        if self._temporary:
            self._temporary = False
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
