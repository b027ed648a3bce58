"""The head of what was sent for a transfer and of the last answer, as text that can be copied.

Rule: a value that could be a secret is never in the text, so it can be neither read nor copied: of
the request's own headers the record has only the names, and of the answer's fields those that carry
a secret are masked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

from PySide6.QtGui import QTextCharFormat, QTextCursor, QTextOption
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from transfermon.gui.toolkit import theme
from transfermon.model import units
from transfermon.model.errors import redacted
from transfermon.model.task import Kind, Response, Task
from transfermon.model.translate import marked, tr

MASK = marked("•••••• (hidden)")
LONGEST = 1000  # characters of a value that are shown
MOST = 200  # fields of an answer that are shown
ALWAYS = marked("Host, Accept, Accept-Encoding and User-Agent, and Range or Cookie where needed.")

_SECRET = (
    *(
        "cookie",
        "authorization",
        "authenticate",
        "authentication",
        "token",
        "secret",
        "password",
        "credential",
    ),
    *("api-key", "apikey", "session", "signature", "csrf", "xsrf"),
)
_LINKS = frozenset({"location", "content-location", "referer"})

Piece = tuple[str, str]  # a role of the theme, "title" or "note", and the text


def masked_fields(kind: Kind, name: str, value: str) -> str:
    """What may be shown of a field of an answer. The address where an upload goes on is as good as
    a password (U-25).
    """
    low = name.lower()
    if any(word in low for word in _SECRET):
        return tr(MASK)
    if low in _LINKS:
        return _origin(value) if kind is Kind.UPLOAD else redacted(value)
    if low in ("link", "refresh") and "?" in value:
        return tr(MASK)
    return value


def head_pieces(task: Task, of_session: Iterable[str] = ()) -> Iterator[Piece]:
    """The text of the tab, piece by piece, with the role that each is painted in. `of_session` are
    the names of the headers that its session adds to each request.
    """
    yield from _request(task, of_session)
    yield "text", "\n\n"
    if task.response is None:
        yield "title", tr("Response") + "\n"
        yield "note", tr("None yet") if task.outstanding else tr("None came")
    else:
        yield from _response(task, task.response)


def _request(task: Task, of_session: Iterable[str]) -> Iterator[Piece]:
    sent = task.metrics.transactions
    yield "title", tr("Request") + "\n"
    yield "accent", units.clean(sent[-1].method if sent else task.method, 40)
    yield (
        "text",
        f" {units.clean(sent[-1].url if sent else redacted(task.current_url or task.url), LONGEST)}\n",
    )
    for name in task.header_names:
        yield "muted", f"{units.clean(name, 100)}: "
        yield "text", f"{tr(MASK)}\n"
    own = {name.lower() for name in task.header_names}
    added = sorted(name for name in of_session if name.lower() not in own)
    for name in added:
        yield "muted", f"{units.clean(name, 100)}: "
        yield "text", f"{tr(MASK)}"
        yield "note", f"  {tr('of the session')}\n"
    yield "note", f"{tr('Also sent') if own or added else tr('Sent')}: {tr(ALWAYS)}"


def _response(task: Task, response: Response) -> Iterator[Piece]:
    yield "title", tr("Response") + "\n"
    yield "muted", f"{units.clean(response.http_version, 20)} "
    yield _role(response.status), _status(response.status)
    for name, value in response.headers[:MOST]:
        yield "muted", f"\n{units.clean(name, 100)}: "
        yield "text", units.clean(masked_fields(task.kind, name, value), LONGEST)
    more = len(response.headers) - MOST
    if more > 0:
        yield "muted", "\n" + tr("… and {more} more").format(more=more)


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _role(status: int) -> str:
    return "good" if status < 300 else "warn" if status < 400 else "bad"


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = f"{parts.scheme}://{parts.hostname}" if parts.scheme and parts.hostname else ""
        return f"{host}:{parts.port}/…" if host and parts.port else f"{host}/…"
    except ValueError:
        return tr(MASK)


class Headers(QPlainTextEdit):
    """Written anew only where the text is another one: a selection survives news about the same
    head.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("details_headers")
        self.setAccessibleName(tr("Headers"))
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setFrameShape(QPlainTextEdit.Shape.NoFrame)
        self.setProperty("role", "page")
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.document().setDocumentMargin(14)
        self._pieces: list[Piece] = []
        theme.themed.changed.connect(self._write)

    def show_task(self, task: Task, of_session: Iterable[str] = ()) -> None:
        new = list(head_pieces(task, of_session))
        if new != self._pieces:
            self._pieces = new
            self._write()

    def _write(self) -> None:
        place = self.verticalScrollBar().value()
        self.clear()
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        for role, text in self._pieces:
            cursor.insertText(text, _format(role))
        cursor.endEditBlock()
        self.verticalScrollBar().setValue(place)


def _format(role: str) -> QTextCharFormat:
    out = QTextCharFormat()
    if role == "title":
        out.setFontWeight(600)
        out.setForeground(theme.color("muted"))
    elif role == "note":
        out.setForeground(theme.color("muted"))
    else:
        out.setFont(theme.fixed_font())
        out.setForeground(theme.color(role))
    return out
