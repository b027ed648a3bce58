"""The place of the VideoFarm page in the window: when it is made, and what it may ask for.

Rule: the page and its client are loaded when somebody goes there, and not with the window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfermon.gui.toolkit import files
from transfermon.gui.window import settings_commands, task_commands
from transfermon.gui.window.context import WindowContext
from transfermon.model.wake_policy import Wake, WakeKind, WakeOutcome

if TYPE_CHECKING:
    from transfermon.gui.videofarm.page import VideoFarmPage


class VideoFarmPlace:
    """Holds the page, once it is made."""

    def __init__(self, context: WindowContext) -> None:
        self._context = context
        self._page: VideoFarmPage | None = None

    @property
    def page(self) -> VideoFarmPage:
        """Made when it is first asked for."""
        if self._page is None:
            self._page = self._make()
            if self._context.attached:
                self.attach()
        return self._page

    def _make(self) -> VideoFarmPage:
        from transfermon.gui.videofarm.page import VideoFarmPage

        context = self._context
        page = VideoFarmPage(state_dir=context.state_dir)
        page.said.connect(context.panels.toasts.show_message)
        page.server_wanted.connect(
            lambda url: settings_commands.change_settings(context, {"videofarm_url": url})
        )
        page.play_wanted.connect(lambda key: task_commands.open_task(context, key))
        page.folder_wanted.connect(lambda key: task_commands.show_task_folder(context, key))
        page.stream_wanted.connect(
            lambda url: context.complain(files.stream(url, context.monitor.settings.videofarm_url))
        )
        context.panels.pages.addWidget(page)
        return page

    def attach(self) -> None:
        """There is a monitor now."""
        if self._page is not None:
            from transfermon.videofarm.client import VideoFarmClient

            monitor = self._context.monitor
            client = VideoFarmClient(monitor, monitor.settings.videofarm_url)
            self._page.attach(client, self._context.spawn)

    def detach(self) -> None:
        if self._page is not None:
            self._page.detach()

    def follow_settings(self) -> None:
        """The server may have been set elsewhere."""
        if self._page is not None and self._context.attached:
            self._page.set_server(self._context.monitor.settings.videofarm_url)

    def apply_wake(self, wake: Wake) -> None:
        """A background fetch that found something new shows on the page."""
        if (
            wake.kind is WakeKind.FETCH
            and wake.outcome is WakeOutcome.NEW_DATA
            and self._page is not None
            and self._page.isVisible()
        ):
            self._page.refresh()
