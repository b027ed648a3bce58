"""New transfers: from the dialogs, the clipboard, a drop, a list, or another program, through the
same questions.

Rule: nothing is fetched or sent before a person has asked for it; what other programs gave reaches
no private network.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog

from transfermon.gui.dialogs.add import AddDialog, AddRequest, clipboard_links
from transfermon.gui.dialogs.questions import ask, tell
from transfermon.gui.dialogs.typed_text import LONGEST_TEXT, MOST_LINKS, links_in
from transfermon.gui.dialogs.upload import UploadDialog, UploadRequest, address_for
from transfermon.gui.window.background_commands import show_composer
from transfermon.gui.window.command import Command
from transfermon.gui.window.context import DEFAULT_SESSION, WindowContext
from transfermon.gui.window.text_file import read_text
from transfermon.http import cookie_file
from transfermon.http.addresses import check_url, given_addresses
from transfermon.http.cookies import Cookie
from transfermon.model import units
from transfermon.model.errors import InvalidAction, TransferFailure, TransfermonError, redacted
from transfermon.model.task import TaskKey, changed
from transfermon.model.translate import marked, tr

if TYPE_CHECKING:  # the monitor brings the engine, which loads after the window shows
    from transfermon.engine.monitor import Session

LONGEST_PAYLOAD = 64 * 1024  # characters of a dropped push
PASTED_AT_ONCE = 20  # more links than this are shown in the dialog first
ADDRESSES, ADDRESSES_KEPT = "upload.addresses", 10


def paste(context: WindowContext) -> None:
    """The links on the clipboard, at once; many are shown first."""
    links = clipboard_links()
    if not links:
        context.toast(tr("There is no link on the clipboard."))
    else:
        _take_links(context, links)


def add_from_clipboard(context: WindowContext) -> None:
    show_add(context, clipboard_links())


def show_add(context: WindowContext, text: str, *, session: str = "", given: bool = False) -> None:
    """The Add dialog with this text in its box; one dialog at a time."""
    if not context.attached:
        return
    session = session or context.session_in_view
    dialog = AddDialog(
        context.window,
        text=text,
        sessions=_sessions(context, session),
        session=session,
        given=given,
    )
    dialog.requested.connect(lambda request: add_addresses(context, request))
    context.show_dialog("given" if given else "add", dialog)  # what a person has typed stays


def show_given(context: WindowContext, words: Sequence[str]) -> None:
    """Ask about addresses that another program gave; nothing is fetched before a person says so
    (L15).
    """
    if not context.attached:
        return
    good, bad = given_addresses(words[:MOST_LINKS])
    if bad:
        context.toast(
            tr("%n addresses were left out.", "An address was left out. {why}", len(bad)).format(
                why=bad[0]
            )
        )
    if good or not words:
        if not context.watched:
            context.raise_to_front()
        show_add(context, "\n".join(good), given=bool(good))


def ask_for_list(context: WindowContext) -> None:
    """A link list for the Add dialog, or a payload for the composer."""
    dialog = QFileDialog(context.window, tr("Open a list of addresses or a push"))
    dialog.setObjectName("open_list")
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.setNameFilters([tr("Lists and pushes (*.txt *.lst *.json)"), tr("All files (*)")])
    dialog.fileSelected.connect(lambda path: open_list(context, path))
    context.show_dialog("open_list", dialog)


def open_list(context: WindowContext, path: str) -> None:
    """Read a file that a person chose; nothing is fetched before the dialog is answered (L16)."""
    context.spawn(_open_list(context, path), "opening a list")


async def _open_list(context: WindowContext, path: str) -> None:
    try:
        text = await asyncio.to_thread(read_text, path, LONGEST_TEXT)
        addresses = None if is_payload(text) else listed(text)
    except ValueError as exc:
        context.toast(str(exc))
        return
    if not context.attached:
        return
    if addresses is None:
        show_composer(context, text)
    else:
        show_given(context, addresses)


def show_upload(context: WindowContext, files: Sequence[str] = ()) -> None:
    """The Upload dialog with these files in its box; one dialog at a time."""
    if not context.attached:
        return
    session, addresses = context.session_in_view, upload_addresses(context)
    dialog = UploadDialog(
        context.window,
        files=files,
        addresses=addresses,
        sessions=_sessions(context, session),
        session=session,
    )
    dialog.requested.connect(lambda request: upload_files(context, request))
    context.show_dialog("upload", dialog)


def _sessions(context: WindowContext, session: str) -> list[str]:
    """Those to choose from; one that is not there yet stands first."""
    found = [
        info.identifier for info in context.monitor.overview.session_infos() if info.identifier
    ]
    return found if session in found else [session, *found]


def upload_addresses(context: WindowContext) -> list[str]:
    """Where files were sent before, the last first."""
    stored = context.monitor.recall(ADDRESSES)
    return json.loads(stored) if stored else []


def upload_files(context: WindowContext, request: UploadRequest) -> None:
    """Send what was asked for, and remember where to."""
    try:
        session = context.monitor.session(request.session or DEFAULT_SESSION)
    except (ValueError, TransfermonError, InvalidAction) as exc:
        tell(context.window, tr("The session cannot be used."), str(exc))
        return
    _with_cookies(
        context,
        request.cookie_file,
        [url for _, url in request.files],
        lambda found: _upload_all(context, session, request, found),
    )


def _upload_all(
    context: WindowContext,
    session: Session,
    request: UploadRequest,
    cookies: Mapping[str, Sequence[Cookie]],
) -> None:
    failures: list[str] = []
    for path, url in request.files:
        try:
            sent = changed(request.new, url=url, source=path, cookies=cookies.get(url, ()))
            session.add(sent)
        except (TransferFailure, ValueError, InvalidAction) as exc:
            failures.append(f"{units.clean(os.path.basename(path))[:100]}: {exc}")
    if failures:
        tell(context.window, tr("Some files were not added."), "\n".join(failures[:10]))
    if count := len(request.files) - len(failures):
        _remember_address(context, *request.files[0])
        context.toast(tr("%n uploads were added.", "1 upload was added.", count))


def _remember_address(context: WindowContext, path: str, url: str) -> None:
    """For the next upload; not one with a query, whose values may be secrets and good for once."""
    where = redacted(url)
    if "?" in where:
        return
    if where.endswith(address_for("/", path)):
        where = where.removesuffix(address_for("/", path)) + "/"
    kept = dict.fromkeys([where, *upload_addresses(context)])
    context.monitor.remember(ADDRESSES, json.dumps(list(kept)[:ADDRESSES_KEPT]))


def _take_links(context: WindowContext, text: str) -> None:
    """Links that were pasted or dropped."""
    links = links_in(text)
    if len(links) > PASTED_AT_ONCE:
        show_add(context, "\n".join(links))
    elif links:
        add_addresses(context, AddRequest(urls=tuple(links), session=context.session_in_view))


def add_addresses(context: WindowContext, request: AddRequest) -> None:
    """Add what was asked for; addresses that are in the list already ask first."""
    known = {task.url: task.key for task in context.monitor.tasks()}
    repeated = [url for url in request.urls if _normal(url) in known]
    _add(context, request, [url for url in request.urls if url not in repeated])
    if not repeated:
        return

    def answered(answer: str, _remember: bool) -> None:
        if answer == "Add again":
            _add(context, request, repeated)
        elif answer == "Show it":
            context.select(known[_normal(repeated[0])])

    one = len(repeated) == 1
    title = tr(
        "%n addresses are in the list already.",
        "This address is in the list already.",
        len(repeated),
    )
    shown = "\n".join(units.clean(url)[:100] for url in repeated[:5]) + (
        "\n…" if len(repeated) > 5 else ""
    )
    ask(
        context.window,
        title,
        shown,
        [
            marked("Show it"),
            marked("Add again"),
            marked("Leave it out") if one else marked("Leave them out"),
        ],
        answered,
    )


def _add(context: WindowContext, request: AddRequest, urls: Sequence[str]) -> None:
    if urls:
        _with_cookies(
            context,
            request.cookie_file,
            urls,
            lambda found: _add_all(context, request, urls, found),
        )


def _with_cookies(
    context: WindowContext,
    path: str,
    urls: Sequence[str],
    do: Callable[[Mapping[str, list[Cookie]]], None],
) -> None:
    """Go on with each address's cookies of a file; at once where there is none, not at all where it
    is of no use.
    """
    if path:
        context.spawn(_read_cookies(context, path, urls, do), "reading a cookie file")
    else:
        do({})


async def _read_cookies(
    context: WindowContext,
    path: str,
    urls: Sequence[str],
    do: Callable[[Mapping[str, list[Cookie]]], None],
) -> None:
    def read() -> dict[str, list[Cookie]]:
        return {url: cookie_file.for_address(path, check_url(url)) for url in urls}

    try:
        found = await asyncio.to_thread(read)
    except (ValueError, TransferFailure) as exc:
        tell(context.window, tr("The cookies cannot be used."), str(exc))
    else:
        do(found)


def _add_all(
    context: WindowContext,
    request: AddRequest,
    urls: Sequence[str],
    cookies: Mapping[str, Sequence[Cookie]],
) -> None:
    added: list[TaskKey] = []
    failures: list[str] = []
    try:
        session = context.monitor.session(request.session or DEFAULT_SESSION)
    except (ValueError, TransfermonError, InvalidAction) as exc:
        tell(context.window, tr("The session cannot be used."), str(exc))
        return
    for url in urls:
        try:
            task = session.add(changed(request.new, url=url, cookies=cookies.get(url, ())))
        except (TransferFailure, ValueError, InvalidAction) as exc:
            failures.append(f"{units.clean(url)[:100]}: {exc}")
        else:
            added.append(task.key)
    if failures:
        tell(context.window, tr("Some addresses were not added."), "\n".join(failures[:10]))
    if added:
        context.toast(tr("%n transfers were added.", "1 transfer was added.", len(added)))


def drag_entered(context: WindowContext, event: QDragEnterEvent) -> None:
    data = event.mimeData()
    # what is dragged out of the window is here already
    if event.source() is not None or not context.attached:
        return
    if files_in(data) or links_in(text_of(data)) or is_payload(text_of(data)):
        _take_copy(event)


def dropped(context: WindowContext, event: QDropEvent) -> None:
    text = text_of(event.mimeData())
    _take_copy(event)
    if files := files_in(event.mimeData()):
        show_upload(context, files)
    elif is_payload(text):
        show_composer(context, text)
    else:
        _take_links(context, text)


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
    """The addresses and the words in a drop or on the clipboard, as far as they are looked at
    (R17). Markup is not looked at: the address in it can be another than the one that is shown.
    """
    urls = "\n".join(url.toString() for url in data.urls()) if data.hasUrls() else ""
    words = data.text() if data.hasText() else ""
    return "\n".join(part for part in (urls, words) if part)[:LONGEST_TEXT]


def files_in(data: QMimeData) -> list[str]:
    """The local paths in a drop."""
    return [url.toLocalFile() for url in data.urls() if url.isLocalFile()] if data.hasUrls() else []


def is_payload(text: str) -> bool:
    """Whether it looks like a push; one that is somewhat too long is still for the composer, which
    says so.
    """
    return (
        len(text) <= LONGEST_PAYLOAD
        and text.lstrip().startswith("{")
        and "content-available" in text
    )


def listed(text: str) -> list[str]:
    """The lines of a link list, without empty ones and comments (#). Raises ValueError with a
    sentence for what is no list; whether each line is an address is for `given_addresses` to say.
    """
    lines = [
        line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")
    ]
    if not lines:
        raise ValueError(tr("There is no address in this file."))
    if lines[0][0] in "{[":
        raise ValueError(
            tr(
                "This file is neither a list of addresses, one a line, nor a push with content-available."
            )
        )
    if len(lines) > MOST_LINKS:
        raise ValueError(
            tr("The list has more than {most_links} lines; split it.").format(most_links=MOST_LINKS)
        )
    return lines


COMMANDS = (
    Command(id="add", run=add_from_clipboard, text=marked("&Add transfers…"), label=marked("Add"), menu="Transfer", icon="plus", keys="Ctrl+N", tip=marked("Add addresses to download")),
    Command(id="upload", run=show_upload, text=marked("&Upload files…"), label=marked("Upload"), menu="Transfer", icon="upload", keys="Ctrl+U", tip=marked("Send files to an address")),
    Command(id="paste", run=paste, text=marked("Add links from the &clipboard"), menu="Transfer", icon="clipboard-paste", keys="Ctrl+V"),
    Command(id="open_list", run=ask_for_list, text=marked("Open a l&ist or push…"), menu="Transfer", icon="file-text", keys="Ctrl+O", tip=marked("A text file with one address a line, or a JSON file with a push")),
)  # fmt: skip
