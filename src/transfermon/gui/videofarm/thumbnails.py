"""The thumbnails of a VideoFarm server: fetched once, kept on the disk, and decoded in the helper's
process.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSize
from PySide6.QtGui import QImage

from transfermon.gui.panels.pictures import PictureAnswer, Pictures, Question
from transfermon.gui.videofarm.cards import PICTURE
from transfermon.model.errors import TransferFailure
from transfermon.storage.settings import write_whole

if TYPE_CHECKING:  # the client brings the monitor, which loads after the window shows
    from transfermon.videofarm.client import VideoFarmClient

LARGEST_THUMBNAIL = 4 << 20  # bytes that are fetched of one
AT_ONCE = 4  # thumbnails on their way
KEPT = 500  # thumbnails on the disk, the last ones that were fetched


def prune(folder: str, keep: int = KEPT) -> None:
    """Take away the oldest files until `keep` are left. Blocks."""
    with contextlib.suppress(OSError):  # nothing was fetched yet, or another run is at it
        with os.scandir(folder) as entries:
            files = sorted(
                (entry.stat().st_mtime, entry.path) for entry in entries if entry.is_file()
            )
        for _, path in files[:-keep]:
            os.unlink(path)


class Thumbnails(QObject):
    """Of one page, in one folder. `take` gets an address and its picture, when that is there."""

    def __init__(self, folder: str, take: Callable[[str, QImage], None], parent: QObject) -> None:
        super().__init__(parent)
        self.folder = folder
        self._take = take
        self._asked: set[str] = set()  # on their way, or refused
        self._questions: dict[int, Callable[[PictureAnswer], None]] = {}
        self._number = 0  # of the last question
        self._pictures = Pictures(self)
        self._pictures.answered.connect(self._answered)
        self._generation = self._pictures.new_generation()

    def __repr__(self) -> str:
        return f"<Thumbnails in {self.folder}>"

    def close(self) -> None:
        """Ends the helper too."""
        self._pictures.close()

    async def fetch(self, client: VideoFarmClient, urls: Iterable[str]) -> None:
        """Those that were not asked for before, a few at a time."""
        wanted = [url for url in dict.fromkeys(urls) if url not in self._asked]
        self._asked.update(wanted)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(url: str) -> None:
            async with gate:
                await self._fetch_one(client, url)

        await asyncio.gather(*(one(url) for url in wanted))
        await asyncio.to_thread(prune, self.folder)

    async def _fetch_one(self, client: VideoFarmClient, url: str) -> None:
        path = os.path.join(self.folder, hashlib.sha256(url.encode()).hexdigest()[:32])
        if not os.path.exists(path):
            try:
                data = await client.monitor.read(
                    url, limit=LARGEST_THUMBNAIL, origin=client.origin_of(url)
                )
                await asyncio.to_thread(self._keep, path, data)
            except (TransferFailure, ValueError, OSError):
                self._asked.discard(url)  # another refresh may try again; the card shows a film
                return

        def decoded(answer: PictureAnswer) -> None:
            if answer.image is not None:
                self._take(url, answer.image)

        self.decode(path, PICTURE * 2, decoded)

    def _keep(self, path: str, data: bytes) -> None:
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        write_whole(path, data)

    def decode(self, path: str, room: QSize, take: Callable[[PictureAnswer], None]) -> None:
        """A file as a picture that fits the room."""
        self._number += 1
        number = self._number
        self._questions[number] = take
        self._pictures.ask(
            Question(
                generation=self._generation,
                number=number,
                path=path,
                width=room.width(),
                height=room.height(),
            )
        )

    def _answered(self, answer: PictureAnswer) -> None:
        if (take := self._questions.pop(answer.question.number, None)) is not None:
            take(answer)
