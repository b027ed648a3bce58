"""New transfers: from the dialogs, the clipboard, a drop, a list, or another program, through the same questions.

Rule: nothing is fetched or sent before a person has asked for it; what other programs gave reaches no private network.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QDialog, QFileDialog, QWidget

from transfermon.gui.dialogs.add import AddDialog, AddRequest, clipboard_links
from transfermon.gui.dialogs.questions import ask, tell
from transfermon.gui.dialogs.typed_text import LONGEST_TEXT, MOST_LINKS, links_in
from transfermon.gui.dialogs.upload import UploadDialog, UploadRequest, address_for
from transfermon.gui.toolkit.toasts import Toasts
from transfermon.gui.window.text_file import read_text
from transfermon.http import cookie_file
from transfermon.http.addresses import check_url, given_addresses
from transfermon.http.cookies import Cookie
from transfermon.model import units
from transfermon.model.errors import InvalidAction, TransferFailure, TransfermonError, redacted
from transfermon.model.request_options import content_type_of
from transfermon.model.task import Origin, TaskKey
from transfermon.model.translate import marked, tr

if TYPE_CHECKING:  # the monitor brings httpx, which loads after the window shows
    from transfermon.engine.monitor import Monitor, Session, TransferTask

LONGEST_PAYLOAD = 64 * 1024  # characters of a dropped push
PASTED_AT_ONCE = 20  # more links than this are shown in the dialog first
DEFAULT_SESSION = "downloads"
ADDRESSES, ADDRESSES_KEPT = "upload.addresses", 10


class Host(Protocol):
    """What the window does for it."""

    toasts: Toasts

    @property
    def monitor(self) -> Monitor: ...
    @property
    def attached(self) -> bool: ...
    @property
    def watched(self) -> bool: ...
    @property
    def session_in_view(self) -> str: ...
    def spawn(self, work: object, name: str) -> None: ...
    def show_dialog(self, name: str, dialog: QDialog) -> None: ...
    def show_composer(self, text: str) -> None: ...
    def raise_to_front(self, key: TaskKey | None = None) -> None: ...
    def select(self, key: TaskKey) -> None: ...


class Adding:
    """Asks what is to be transferred, and gives it to the monitor."""

    def __init__(self, parent: QWidget, window: Host) -> None:
        """`parent` is the window as Qt knows it."""
        self._parent = parent
        self._window = window

    def __repr__(self) -> str:
        return f"<Adding to {self._parent}>"

    def paste(self) -> None:
        """The links on the clipboard, at once; many are shown first."""
        links = clipboard_links()
        if not links:
            self._window.toasts.show_message(tr("There is no link on the clipboard."))
        else:
            self._take(links)

    def show_add(self, text: str, *, session: str = "", given: bool = False) -> None:
        """The Add dialog with this text in its box; one dialog at a time."""
        if not self._window.attached:
            return
        session = session or self._window.session_in_view
        dialog = AddDialog(self._parent, text=text, sessions=self._sessions(session), session=session, given=given)
        dialog.requested.connect(self.add)
        self._window.show_dialog("given" if given else "add", dialog)  # what a person has typed stays

    def show_given(self, words: Sequence[str]) -> None:
        """Ask about addresses that another program gave; nothing is fetched before a person says so (FAULTS L15)."""
        if not self._window.attached:
            return
        good, bad = given_addresses(words[:MOST_LINKS])
        if bad:
            self._window.toasts.show_message(
                tr("%n addresses were left out.", "An address was left out. {why}", len(bad)).format(why=bad[0])
            )
        if good or not words:
            if not self._window.watched:
                self._window.raise_to_front()
            self.show_add("\n".join(good), given=bool(good))

    def ask_for_list(self) -> None:
        """A link list for the Add dialog, or a payload for the composer."""
        dialog = QFileDialog(self._parent, tr("Open a list of addresses or a push"))
        dialog.setObjectName("open_list")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters([tr("Lists and pushes (*.txt *.lst *.json)"), tr("All files (*)")])
        dialog.fileSelected.connect(self.open_list)
        self._window.show_dialog("open_list", dialog)

    def open_list(self, path: str) -> None:
        """Read a file that a person chose; nothing is fetched before the dialog is answered (FAULTS L16)."""
        self._window.spawn(self._open_list(path), "opening a list")

    async def _open_list(self, path: str) -> None:
        try:
            text = await asyncio.to_thread(read_text, path, LONGEST_TEXT)
            addresses = None if is_payload(text) else listed(text)
        except ValueError as exc:
            self._window.toasts.show_message(str(exc))
            return
        if not self._window.attached:
            return
        if addresses is None:
            self._window.show_composer(text)
        else:
            self.show_given(addresses)

    def show_upload(self, files: Sequence[str]) -> None:
        """The Upload dialog with these files in its box; one dialog at a time."""
        if not self._window.attached:
            return
        session, addresses = self._window.session_in_view, self._upload_addresses()
        dialog = UploadDialog(
            self._parent, files=files, addresses=addresses, sessions=self._sessions(session), session=session
        )
        dialog.requested.connect(self.upload)
        self._window.show_dialog("upload", dialog)

    def _sessions(self, session: str) -> list[str]:
        """Those to choose from; one that is not there yet stands first."""
        found = [info.identifier for info in self._window.monitor.session_infos() if info.identifier]
        return found if session in found else [session, *found]

    def _upload_addresses(self) -> list[str]:
        """Where files were sent before, the last first."""
        stored = self._window.monitor.recall(ADDRESSES)
        return json.loads(stored) if stored else []

    def upload(self, request: UploadRequest) -> None:
        """Send what was asked for, and remember where to."""
        try:
            session = self._window.monitor.session(request.session or DEFAULT_SESSION)
        except (ValueError, TransfermonError, InvalidAction) as exc:
            tell(self._parent, tr("The session cannot be used."), str(exc))
            return
        self._with_cookies(
            request.cookie_file, [url for _, url in request.files], lambda found: self._upload(session, request, found)
        )

    def _upload(self, session: Session, request: UploadRequest, cookies: Mapping[str, Sequence[Cookie]]) -> None:
        failures: list[str] = []
        for path, url in request.files:
            try:
                session.upload_task(
                    url,
                    path,
                    method=request.method,
                    request_headers=dict(request.headers) or None,
                    protocol=request.protocol,
                    into_folder=True,
                    start=request.start,
                    user_initiated=True,
                    options=request.options,
                    cookies=cookies.get(url, ()),
                )
            except (TransferFailure, ValueError, InvalidAction) as exc:
                failures.append(f"{units.clean(os.path.basename(path))[:100]}: {exc}")
        if failures:
            tell(self._parent, tr("Some files were not added."), "\n".join(failures[:10]))
        if count := len(request.files) - len(failures):
            self._remember_address(*request.files[0])
            self._window.toasts.show_message(tr("%n uploads were added.", "1 upload was added.", count))

    def _remember_address(self, path: str, url: str) -> None:
        """For the next upload; not one with a query, whose values may be secrets and good for once."""
        where = redacted(url)
        if "?" in where:
            return
        if where.endswith(address_for("/", path)):
            where = where.removesuffix(address_for("/", path)) + "/"
        kept = dict.fromkeys([where, *self._upload_addresses()])
        self._window.monitor.remember(ADDRESSES, json.dumps(list(kept)[:ADDRESSES_KEPT]))

    def _take(self, text: str) -> None:
        """Links that were pasted or dropped."""
        links = links_in(text)
        if len(links) > PASTED_AT_ONCE:
            self.show_add("\n".join(links))
        elif links:
            self.add(AddRequest(urls=tuple(links), session=self._window.session_in_view))

    def add(self, request: AddRequest) -> None:
        """Add what was asked for; addresses that are in the list already ask first."""
        known = {task.url: task.key for task in self._window.monitor.tasks()}
        repeated = [url for url in request.urls if _normal(url) in known]
        self._add(request, [url for url in request.urls if url not in repeated])
        if not repeated:
            return

        def answered(answer: str, _remember: bool) -> None:
            if answer == "Add again":
                self._add(request, repeated)
            elif answer == "Show it":
                self._window.select(known[_normal(repeated[0])])

        one = len(repeated) == 1
        title = tr("%n addresses are in the list already.", "This address is in the list already.", len(repeated))
        shown = "\n".join(units.clean(url)[:100] for url in repeated[:5]) + ("\n…" if len(repeated) > 5 else "")
        ask(
            self._parent,
            title,
            shown,
            [marked("Show it"), marked("Add again"), marked("Leave it out") if one else marked("Leave them out")],
            answered,
        )

    def _add(self, request: AddRequest, urls: Sequence[str]) -> None:
        if urls:
            self._with_cookies(request.cookie_file, urls, lambda found: self._add_all(request, urls, found))

    def _with_cookies(self, path: str, urls: Sequence[str], do: Callable[[Mapping[str, list[Cookie]]], None]) -> None:
        """Go on with each address's cookies of a file; at once where there is none, not at all where it is of no use."""
        if path:
            self._window.spawn(self._read_cookies(path, urls, do), "reading a cookie file")
        else:
            do({})

    async def _read_cookies(
        self, path: str, urls: Sequence[str], do: Callable[[Mapping[str, list[Cookie]]], None]
    ) -> None:
        def read() -> dict[str, list[Cookie]]:
            return {url: cookie_file.for_address(path, check_url(url)) for url in urls}

        try:
            found = await asyncio.to_thread(read)
        except (ValueError, TransferFailure) as exc:
            tell(self._parent, tr("The cookies cannot be used."), str(exc))
        else:
            do(found)

    def _add_all(self, request: AddRequest, urls: Sequence[str], cookies: Mapping[str, Sequence[Cookie]]) -> None:
        added: list[TaskKey] = []
        failures: list[str] = []
        try:
            session = self._window.monitor.session(request.session or DEFAULT_SESSION)
        except (ValueError, TransfermonError, InvalidAction) as exc:
            tell(self._parent, tr("The session cannot be used."), str(exc))
            return
        for url in urls:
            try:
                task = _made(session, url, request, cookies.get(url, ()))
            except (TransferFailure, ValueError, InvalidAction) as exc:
                failures.append(f"{units.clean(url)[:100]}: {exc}")
            else:
                added.append(task.key)
        if failures:
            tell(self._parent, tr("Some addresses were not added."), "\n".join(failures[:10]))
        if added:
            self._window.toasts.show_message(tr("%n transfers were added.", "1 transfer was added.", len(added)))

    def drag_entered(self, event: QDragEnterEvent) -> None:
        data = event.mimeData()
        if event.source() is not None or not self._window.attached:  # what is dragged out of the window is here already
            return
        if files_in(data) or links_in(text_of(data)) or is_payload(text_of(data)):
            _take_copy(event)

    def dropped(self, event: QDropEvent) -> None:
        text = text_of(event.mimeData())
        _take_copy(event)
        if files := files_in(event.mimeData()):
            self.show_upload(files)
        elif is_payload(text):
            self._window.show_composer(text)
        else:
            self._take(text)


def _made(session: Session, url: str, request: AddRequest, cookies: Sequence[Cookie]) -> TransferTask:
    """One task of what was asked for. Raises as the session's methods."""
    origin = Origin.GIVEN if request.given else Origin.TYPED
    headers = dict(request.headers)
    if request.method == "GET":
        return session.download_task(
            url,
            request_headers=headers,
            destination=request.folder + os.sep if request.folder else None,
            name=request.name,
            expected_digest=request.digest or None,
            start=request.start,
            speed_limit=request.speed_limit,
            user_initiated=True,
            origin=origin,
            options=request.options,
            cookies=cookies,
        )
    named = any(name.lower() == "content-type" for name in headers)
    if request.body and not named and not request.options.no_content_type:
        headers["Content-Type"] = content_type_of(request.body.encode())
    return session.data_task(
        url,
        request.body.encode() or None,
        method=request.method,
        request_headers=headers,
        start=request.start,
        user_initiated=True,
        origin=origin,
        options=request.options,
        cookies=cookies,
    )


def _normal(url: str) -> str:
    try:
        return check_url(url)
    except (ValueError, TransferFailure):
        return url


def _take_copy(event: QDropEvent) -> None:
    """Accept a drop, but never as a move, after which its source deletes its own."""
    offered = event.possibleActions()
    for action in (Qt.DropAction.CopyAction, Qt.DropAction.LinkAction):
        if offered & action:
            event.setDropAction(action)
            event.accept()
            return


def text_of(data: QMimeData) -> str:
    """The addresses and the words in a drop or on the clipboard, as far as they are looked at (FAULTS R17). Markup is
    not looked at: the address in it can be another than the one that is shown.
    """
    urls = "\n".join(url.toString() for url in data.urls()) if data.hasUrls() else ""
    words = data.text() if data.hasText() else ""
    return "\n".join(part for part in (urls, words) if part)[:LONGEST_TEXT]


def files_in(data: QMimeData) -> list[str]:
    """The local paths in a drop."""
    return [url.toLocalFile() for url in data.urls() if url.isLocalFile()] if data.hasUrls() else []


def is_payload(text: str) -> bool:
    """Whether it looks like a push; one that is somewhat too long is still for the composer, which says so."""
    return len(text) <= LONGEST_PAYLOAD and text.lstrip().startswith("{") and "content-available" in text


def listed(text: str) -> list[str]:
    """The lines of a link list, without empty ones and comments (#). Raises ValueError with a sentence for what is no
    list; whether each line is an address is for `given_addresses` to say.
    """
    lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    if not lines:
        raise ValueError(tr("There is no address in this file."))
    if lines[0][0] in "{[":
        raise ValueError(tr("This file is neither a list of addresses, one a line, nor a push with content-available."))
    if len(lines) > MOST_LINKS:
        raise ValueError(tr("The list has more than {most_links} lines; split it.").format(most_links=MOST_LINKS))
    return lines
