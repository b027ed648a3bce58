"""The sidebar: all transfers, the groups, and the sessions, with live counts.

Rule: it shows what it is given and asks for what was chosen; it commands nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractListModel,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from transfermon.gui.list.scope import GROUP_OF, GROUPS, Scope
from transfermon.gui.toolkit import theme
from transfermon.http import proxies
from transfermon.model import units
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.record import record
from transfermon.model.tally import Tally
from transfermon.model.translate import marked, tr

if TYPE_CHECKING:  # the monitor brings the engine, which loads after the window shows
    from transfermon.engine.monitor import SessionInfo

Index = QModelIndex | QPersistentModelIndex
ENTRY_ROLE = int(Qt.ItemDataRole.UserRole) + 1
_FILTERS = (
    ("all", marked("All transfers"), "inbox"),
    ("active", marked("Active"), "activity"),
    ("waiting", marked("Waiting"), "hourglass"),
    ("finished", marked("Finished"), "circle-check"),
    ("failed", marked("Failed"), "circle-x"),
)
_PAGES = (("videofarm", marked("VideoFarm"), "video"),)
_NONE = Tally()
STEPS = 200  # of a thin line of progress
_DOTS = {"active": "good", "finishing": "warn", "invalidated": "muted"}
_STATES = {
    "active": marked("active"),
    "finishing": marked("takes no more transfers"),
    "invalidated": marked("ended"),
}


@dataclass(kw_only=True)
class Entry:
    """One line; a heading has no scope."""

    text: str
    scope: Scope | None = None
    icon: str = ""
    state: str = ""  # of a session
    count: int = 0
    busy: bool = False  # a session with transfers that have not ended
    fraction: float | None = None  # of those; None when no total is known

    @property
    def words(self) -> str:
        """For a screen reader."""
        state = f", {tr(_STATES.get(self.state, self.state))}" if self.state else ""
        return f"{self.text}, {self.count}{state}" if self.counted else self.text

    @property
    def counted(self) -> bool:
        """Whether it stands for transfers; a heading does not, and neither does a page."""
        return self.scope is not None and self.scope.kind != "videofarm"


class SidebarModel(QAbstractListModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries = [Entry(text=tr("Transfers"))]
        self._entries += [
            Entry(text=tr(text), scope=Scope(kind=kind), icon=icon) for kind, text, icon in _FILTERS
        ]
        self._entries.append(Entry(text=tr("Browse")))
        self._entries += [
            Entry(text=tr(text), scope=Scope(kind=kind), icon=icon) for kind, text, icon in _PAGES
        ]
        self._entries.append(Entry(text=tr("Sessions")))
        self._first = len(self._entries)
        self._progress: dict[str, float | None] = {}

    def __repr__(self) -> str:
        return f"<SidebarModel sessions={len(self._entries) - self._first}>"

    def update(self, tallies: Mapping[str, Tally], sessions: Sequence[SessionInfo]) -> None:
        """Take the counts; sessions come and go."""
        before = self._looks()
        groups: Counter[str] = Counter()
        for tally in tallies.values():
            for fate, count in tally.fates.items():
                groups[GROUP_OF[fate]] += count
        groups["all"] = sum(groups[group] for group in GROUPS)
        for entry in self._entries[: self._first]:
            if entry.scope is not None:
                entry.count = groups[entry.scope.kind]
        self._set_sessions(sessions)
        for entry in self._entries[self._first :]:
            assert entry.scope is not None
            tally = tallies.get(entry.scope.session, _NONE)
            entry.count = tally.all
        self._tell(before)

    def _looks(self) -> list[tuple[object, ...]]:
        # What of each line can change; its thin line has fewer pixels than steps.
        return [
            (
                entry.scope,
                entry.count,
                entry.state,
                entry.busy,
                round((entry.fraction or 0) * STEPS),
            )
            for entry in self._entries
        ]

    def set_progress(self, progress: Mapping[str, float | None]) -> None:
        if self._progress != progress:
            before = self._looks()
            self._progress = dict(progress)
            self._spread()
            self._tell(before)

    def _spread(self) -> None:
        for entry in self._entries[self._first :]:
            assert entry.scope is not None
            entry.busy = entry.scope.session in self._progress
            entry.fraction = self._progress.get(entry.scope.session)

    def _set_sessions(self, sessions: Sequence[SessionInfo]) -> None:
        keys = [info.key for info in sessions]
        here = [
            entry.scope.session for entry in self._entries[self._first :] if entry.scope is not None
        ]
        if keys != here:
            for place in reversed(range(len(here))):
                if here[place] not in keys:
                    self.beginRemoveRows(QModelIndex(), self._first + place, self._first + place)
                    del self._entries[self._first + place]
                    self.endRemoveRows()
            for place, info in enumerate(sessions):
                if info.key not in here:
                    self.beginInsertRows(QModelIndex(), self._first + place, self._first + place)
                    self._entries.insert(self._first + place, _entry_of(info))
                    self.endInsertRows()
        states = {info.key: info.state for info in sessions}
        for entry in self._entries[self._first :]:
            assert entry.scope is not None
            entry.state = states[entry.scope.session]
        self._spread()

    def _tell(self, before: Sequence[object]) -> None:
        # Line by line: Qt paints the whole list for a range. What was inserted or moved up is
        # painted anyhow.
        for row, look in enumerate(self._looks()):
            if row >= len(before) or look != before[row]:
                self.dataChanged.emit(self.index(row), self.index(row))

    def row_of(self, scope: Scope) -> int:
        """-1 when it is not there."""
        return next((row for row, entry in enumerate(self._entries) if entry.scope == scope), -1)

    def entry(self, row: int) -> Entry:
        return self._entries[row]

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._entries)

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid() or self._entries[index.row()].scope is None:
            return Qt.ItemFlag.NoItemFlags
        return (
            Qt.ItemFlag.ItemIsEnabled
            | Qt.ItemFlag.ItemIsSelectable
            | Qt.ItemFlag.ItemNeverHasChildren
        )

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        entry = self._entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.text
        if role == ENTRY_ROLE:
            return entry
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return entry.words
        if role == Qt.ItemDataRole.ToolTipRole and entry.state:
            return theme.plain_tip(f"{entry.text} ({tr(_STATES.get(entry.state, entry.state))})")
        return None


# The menu of a session, and what its properties say


@record
class SessionItem:
    action: str
    text: str
    enabled: bool = True


def session_items(state: str, *, named: bool) -> list[SessionItem | None]:
    """What the menu of a session in this state offers; None is a line between groups. One without a
    name lives no longer than the app, and can neither be found again by its name nor copied.
    """
    active, usable = state == "active", state in ("active", "finishing")
    return [
        SessionItem(action="new", text=tr("New transfer here…"), enabled=active and named),
        None,
        SessionItem(action="finish", text=tr("Finish and invalidate"), enabled=active),
        SessionItem(action="cancel", text=tr("Invalidate and cancel…"), enabled=usable),
        None,
        SessionItem(action="flush", text=tr("Flush"), enabled=usable),
        SessionItem(action="reset", text=tr("Reset…"), enabled=usable),
        None,
        SessionItem(action="copy", text=tr("Copy identifier"), enabled=named),
        SessionItem(action="properties", text=tr("Properties"), enabled=usable),
    ]


def properties_of(
    info: SessionInfo, settings: SessionConfiguration, folder: str
) -> list[tuple[str, str]]:
    """Names and values of what a person may want to know of a session. Values of headers are left
    out: they may be secrets.
    """
    lives = (
        tr("until it is invalidated")
        if info.identifier is not None
        else tr("as long as the app runs")
    )
    limit = units.rate(settings.speed_limit) if settings.speed_limit else tr("none")
    waits = settings.waits_for_connectivity or settings.is_background
    return [
        (tr("Identifier"), units.clean(info.identifier or tr("none"), 255)),
        (tr("State"), tr(_STATES.get(info.state, info.state))),
        (tr("Lives"), lives),
        (
            tr("Transfers"),
            tr("{outstanding} not done, {completed} finished, {failed} failed").format(
                outstanding=info.outstanding, completed=info.completed, failed=info.failed
            ),
        ),
        (tr("Folder"), units.clean(folder)),
        (
            tr("Connections per host"),
            str(settings.connections_to_a_host)
            if settings.connections_to_a_host
            else tr("automatic"),
        ),
        (tr("Speed limit"), limit),
        (tr("Time without a byte"), units.duration(settings.timeout_interval_for_request)),
        (tr("Time for a transfer"), units.duration(settings.timeout_interval_for_resource)),
        (tr("Without a network"), tr("waits") if waits else tr("fails")),
        (tr("Metered networks"), tr("used") if settings.allows_metered_access else tr("not used")),
        (tr("Discretionary"), tr("yes") if settings.is_discretionary else tr("no")),
        (tr("Resuming"), settings.resume_policy),
        (
            tr("HTTP errors"),
            tr("fail the transfer")
            if settings.http_error_policy == "status"
            else tr("are saved as they are"),
        ),
        (
            tr("Proxy"),
            proxies.shown(settings.proxy or "")
            or (tr("the system's") if settings.proxy is None else tr("none")),
        ),
        (tr("Own authorities"), units.clean(settings.ca_file) or tr("none")),
        (
            tr("Redirects to http"),
            tr("followed") if settings.allows_insecure_redirects else tr("refused"),
        ),
        (tr("Sent along"), units.clean(", ".join(settings.send_along)) or tr("nothing")),
        (tr("TLS keys"), units.clean(settings.tls_keys) or tr("written nowhere")),
        (tr("Headers"), units.clean(", ".join(sorted(settings.http_header_fields)) or tr("none"))),
    ]


class SessionProperties(QDialog):
    """Names and values to read and to copy."""

    def __init__(self, parent: QWidget | None, rows: Sequence[tuple[str, str]]) -> None:
        super().__init__(parent)
        self.setObjectName("session_properties")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Properties of a session"))
        form = QFormLayout()
        form.setHorizontalSpacing(18)
        for name, value in rows:
            form.addRow(_muted(name), _value(name, value))
        buttons = QDialogButtonBox()
        buttons.addButton(tr("Close"), QDialogButtonBox.ButtonRole.RejectRole)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(14)
        column.addLayout(form)
        column.addWidget(buttons)
        self.resize(520, self.sizeHint().height())

    def __repr__(self) -> str:
        return f"<SessionProperties rows={len(self.findChildren(QLineEdit))}>"


def _muted(text: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setProperty("role", "muted")
    return label


def _value(name: str, value: str) -> QLineEdit:
    line = QLineEdit(value)
    line.setReadOnly(True)
    line.setProperty("role", "value")
    line.setAccessibleName(name)
    line.setCursorPosition(0)
    return line


def _entry_of(info: SessionInfo) -> Entry:
    name = info.identifier if info.identifier is not None else tr("This run only")
    return Entry(
        text=units.clean(name, 100), scope=Scope(kind="session", session=info.key), icon="layers"
    )


class SidebarDelegate(QStyledItemDelegate):
    """Headings muted; the rest with icon, text and count, a session with its dot and its thin
    line.
    """

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(120, 36 if index.data(ENTRY_ROLE).scope is None else 34)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        entry: Entry = index.data(ENTRY_ROLE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if entry.scope is None:
            self._heading(painter, option, entry)
        else:
            self._line(painter, option, entry)
        painter.restore()

    def _heading(self, painter: QPainter, option: QStyleOptionViewItem, entry: Entry) -> None:
        painter.setFont(_weighted(option.font, QFont.Weight.DemiBold))
        painter.setPen(theme.color("muted"))
        painter.drawText(
            option.rect.adjusted(16, 8, -10, 0), Qt.AlignmentFlag.AlignVCenter, entry.text
        )

    def _line(self, painter: QPainter, option: QStyleOptionViewItem, entry: Entry) -> None:
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        box = option.rect.adjusted(8, 1, -8, -1)
        self._ground(painter, option, box, chosen)
        cell = box.adjusted(10, 0, -10, 0)
        role = "accent" if chosen else "muted"
        if entry.state:
            self._dot(
                painter, cell, _DOTS.get(entry.state, "muted"), hollow=entry.state != "active"
            )
        else:
            theme.draw_icon(painter, entry.icon, role, QRect(cell.x(), cell.y(), 16, cell.height()))
        painter.setFont(
            _weighted(option.font, QFont.Weight.Medium if chosen else QFont.Weight.Normal)
        )
        count = str(entry.count) if entry.count else ""
        room = painter.fontMetrics().horizontalAdvance(count) + 6
        painter.setPen(theme.color("bad" if entry.icon == "circle-x" and entry.count else "muted"))
        painter.drawText(cell, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, count)
        text = cell.adjusted(26, 0, -room, 0)
        painter.setPen(theme.color("text"))
        # Identifiers are reversed domain names: their end says most.
        mode = Qt.TextElideMode.ElideLeft if entry.state else Qt.TextElideMode.ElideRight
        words = painter.fontMetrics().elidedText(entry.text, mode, text.width())
        painter.drawText(text, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, words)
        if entry.busy:
            self._thin(
                painter,
                QRectF(text.x(), box.bottom() - 3, cell.right() - text.x(), 2),
                entry.fraction,
            )

    def _ground(
        self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, chosen: bool
    ) -> None:
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        if chosen or hovered:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("selection" if chosen else "hover"))
            painter.drawRoundedRect(box, 6, 6)
        if chosen and option.state & QStyle.StateFlag.State_HasFocus:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(theme.color("accent"))
            painter.drawRoundedRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)

    def _dot(self, painter: QPainter, cell: QRect, role: str, *, hollow: bool) -> None:
        dot = QRectF(cell.x() + 4, cell.center().y() - 3.5, 8, 8)
        painter.setPen(theme.color(role))
        painter.setBrush(Qt.BrushStyle.NoBrush if hollow else theme.color(role))
        painter.drawEllipse(dot)

    def _thin(self, painter: QPainter, track: QRectF, fraction: float | None) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("track"))
        painter.drawRoundedRect(track, 1, 1)
        if fraction:
            painter.setBrush(theme.color("bar"))
            painter.drawRoundedRect(
                QRectF(track.x(), track.y(), track.width() * fraction, track.height()), 1, 1
            )


def _weighted(font: QFont, weight: QFont.Weight) -> QFont:
    out = QFont(font)
    out.setWeight(weight)
    return out


class Sidebar(QWidget):
    """`scope_changed` carries the chosen `Scope`; `menu_wanted` a session's key and a global
    point.
    """

    scope_changed = Signal(object)
    menu_wanted = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sidebar")
        self.setMinimumWidth(150)
        self.model = SidebarModel(self)
        self.list = QListView()
        self.list.setObjectName("sidebar_list")
        self.list.setAccessibleName(tr("Groups and sessions"))
        self.list.setModel(self.model)
        self.list.setItemDelegate(SidebarDelegate(self.list))
        self.list.setStyleSheet("QListView { background: transparent; }")
        self.list.viewport().setAutoFillBackground(False)
        self.list.setMouseTracking(True)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._menu)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 6)
        layout.addWidget(self.list)
        self._scope = Scope()
        self._mark(self._scope)
        self.list.selectionModel().currentChanged.connect(self._chosen)
        theme.themed.changed.connect(self.list.viewport().update)

    def __repr__(self) -> str:
        return f"<Sidebar {self._scope}>"

    @property
    def scope(self) -> Scope:
        return self._scope

    def update_counts(self, tallies: Mapping[str, Tally], sessions: Sequence[SessionInfo]) -> None:
        """Show these counts, by session. A chosen session that has gone gives way to all
        transfers.
        """
        if self._scope.kind == "session" and self._scope.session not in {
            info.key for info in sessions
        }:
            self.select(Scope())  # before its row goes, or the list moves to a neighbour
        self.model.update(tallies, sessions)

    def set_session_progress(self, progress: Mapping[str, float | None]) -> None:
        """How far each session's transfers are, by key: 0.0 to 1.0, None when no total is known.
        Sessions that are left out have nothing to do.
        """
        self.model.set_progress(progress)

    def select(self, scope: Scope) -> None:
        """Choose it as if it had been clicked; one that is not there changes nothing."""
        self._mark(scope)

    def _mark(self, scope: Scope) -> None:
        row = self.model.row_of(scope)
        if row >= 0:
            index = self.model.index(row)
            self.list.selectionModel().setCurrentIndex(
                index, QItemSelectionModel.SelectionFlag.ClearAndSelect
            )

    def _chosen(self, index: QModelIndex) -> None:
        scope = self.model.entry(index.row()).scope if index.isValid() else None
        if scope is not None and scope != self._scope:
            self._scope = scope
            self.scope_changed.emit(scope)

    def _menu(self, point: QPoint) -> None:
        index = self.list.indexAt(point)
        scope = self.model.entry(index.row()).scope if index.isValid() else None
        if scope is not None and scope.kind == "session":
            self.menu_wanted.emit(scope.session, self.list.viewport().mapToGlobal(point))
