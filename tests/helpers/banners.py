"""A notification service without a desktop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transfermon.system.notifier import Button, Notifier


class Banners(Notifier):
    """A desktop that keeps what it was told to show."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[str, str]] = []
        self.buttons: list[Button] = []

    async def probe(self) -> bool:
        return True

    async def send(
        self,
        title: str,
        body: str,
        *,
        on_clicked: Callable[[], None] | None = None,
        buttons: Sequence[Button] = (),
    ) -> bool:
        self.shown.append((title, body))
        self.buttons += buttons
        return True
