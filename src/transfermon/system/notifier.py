"""Desktop notifications through desktop-notifier, which only this module knows.

Rule: nothing here fails when the desktop has no notification service; `send` answers False, and the
caller shows the text in its window instead. No Qt here.
"""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transfermon.model import units
from transfermon.model.record import record

log = logging.getLogger(__name__)

ANSWER = 3.0  # seconds that the service may take; one that hangs is as good as none
TITLE = 80  # characters
BODY = 400


@record
class Button:
    title: str
    pressed: Callable[[], None]


class Notifier:
    """Shows banners, and brings the clicks back into the running loop.

    `icon` is the path of a PNG; without one the banner would carry the Python logo.
    """

    def __init__(self, name: str = "Transfermon", *, icon: str = "") -> None:
        self._name = name
        self._icon = icon
        self._library: Any = None  # desktop_notifier.DesktopNotifier, once it was imported
        self._available = False

    def __repr__(self) -> str:
        return f"<Notifier available={self._available}>"

    @property
    def available(self) -> bool:
        """What the last `probe` or `send` found."""
        return self._available

    async def probe(self) -> bool:
        """Whether a notification service answers now. Takes some 60 ms the first time."""
        try:
            async with asyncio.timeout(ANSWER):
                await self._loaded().get_capabilities()
        except Exception as exc:  # noqa: BLE001 - no bus, no service, a broken one: each has exceptions of its own
            log.info("no notification service: %s: %s", type(exc).__name__, exc)
            self._available = False
        else:
            self._available = True
        return self._available

    async def send(
        self,
        title: str,
        body: str,
        *,
        on_clicked: Callable[[], None] | None = None,
        buttons: Sequence[Button] = (),
    ) -> bool:
        """Show a banner; False when nothing could show it. The texts may come from strangers
        (R14).
        """
        # the library itself reports success when there is nobody to show it
        if not await self.probe():
            return False
        from desktop_notifier import Button as LibraryButton

        # the library asks for the service's abilities once, and only logs when a send fails
        taken = asyncio.Event()
        try:
            async with asyncio.timeout(ANSWER):
                await self._loaded().send(
                    title=plain_title(title),
                    message=escaped_body(body),
                    on_clicked=on_clicked,
                    on_dispatched=taken.set,
                    buttons=[
                        LibraryButton(title=button.title, on_pressed=button.pressed)
                        for button in buttons
                    ],
                )
        except Exception as exc:  # noqa: BLE001 - as above
            log.warning("a notification could not be shown: %s: %s", type(exc).__name__, exc)
            self._available = False
            return False
        if not taken.is_set():
            self._available = False
            # its connection is dead; the next one finds a service that came back
            self._library = None
        return self._available

    def _loaded(self) -> Any:
        if self._library is None:
            # 65 ms, not before the window is there
            from desktop_notifier import DesktopNotifier, Icon

            # it warns with a traceback each time
            logging.getLogger("desktop_notifier").setLevel(logging.ERROR)
            icon = Icon(path=Path(self._icon)) if self._icon else Icon(name="folder-download")
            self._library = DesktopNotifier(app_name=self._name, app_icon=icon)
        return self._library


def plain_title(title: str) -> str:
    """One line without control and direction marks; services show titles as they are."""
    return _cut(units.clean(title), TITLE)


def escaped_body(body: str) -> str:
    """The same, and escaped: services read bodies as markup."""
    return html.escape(_cut(units.clean(body), BODY), quote=False)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
