"""Who waits for bytes of which socket, behind one notifier of Qt's.

Rule: Qt is asked for the interpreter once for all sockets that are ready, not for each: each time
another thread may take it. Linux only, by epoll; elsewhere qasync has a notifier for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import select

from PySide6.QtCore import QObject, QSocketNotifier

AT_ONCE = 16  # readers that run before Qt has its turn


class ReadySockets(QObject):
    """Of one loop, on its thread."""

    def __init__(self) -> None:
        super().__init__()
        self._readers: dict[int, asyncio.Handle] = {}
        self._poll = select.epoll()
        self._notifier = QSocketNotifier(self._poll.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._run)

    def __repr__(self) -> str:
        return f"<ReadySockets {sorted(self._readers)}>"

    @staticmethod
    def available() -> bool:
        return hasattr(select, "epoll")

    def add(self, fd: int, reader: asyncio.Handle) -> None:
        """Run it whenever there is something to read, in place of who did before. Raises OSError
        for what epoll does not take, such as a file.
        """
        before = self._readers.get(fd)
        with contextlib.suppress(FileExistsError):
            self._poll.register(fd, select.EPOLLIN)
        if before is not None:
            before.cancel()
        self._readers[fd] = reader

    def remove(self, fd: int) -> bool:
        """False where nobody waits. The socket may be closed."""
        reader = self._readers.pop(fd, None)
        if reader is None:
            return False
        reader.cancel()
        with contextlib.suppress(OSError):  # the kernel forgets a closed one by itself
            self._poll.unregister(fd)
        return True

    def close(self) -> None:
        """May be called twice."""
        self._notifier.setEnabled(False)
        self._readers.clear()
        self._poll.close()

    def _run(self) -> None:
        if self._poll.closed:
            return
        for fd, _ in self._poll.poll(0, AT_ONCE):
            reader = self._readers.get(fd)
            if reader is not None:  # one that ran before it may have removed it
                reader._run()  # noqa: SLF001 - as every loop does
