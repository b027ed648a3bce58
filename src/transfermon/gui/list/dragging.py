"""Rows that are dragged out of the list: what the drag carries, and how it looks under the pointer.

Rule: files are given away as copies only, and a file only where it could be opened (R16); of any
other row it is the address, as text.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QMimeData, QPoint, QRect, QSize, Qt, QUrl
from PySide6.QtGui import QDrag, QFontMetrics, QPainter, QPixmap
from PySide6.QtWidgets import QWidget

from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.files import why_not
from transfermon.model.task import Task
from transfermon.model.translate import tr

LONGEST = 260  # pixels that a name may take
PAD, RADIUS, ICON = 8, 6, 16
BELOW = QPoint(-12, -10)  # of the picture's corner, from the pointer


def data_of(tasks: Sequence[Task]) -> QMimeData:
    """The files as `text/uri-list`, and a line of text for each task: the path of its file, or its
    address.
    """
    files = [task.file if not why_not(task) else "" for task in tasks]
    data = QMimeData()
    if any(files):
        data.setUrls([QUrl.fromLocalFile(file) for file in files if file])
    data.setText("\n".join(file or task.url for file, task in zip(files, tasks, strict=True)))
    return data


def words_for(names: Sequence[str], files: int) -> str:
    """Of the one row its name, of more their number; `files` of them are files."""
    if len(names) == 1:
        return names[0]
    if files == len(names):
        return tr("%n files", "1 file", files)
    return tr("%n transfers", "1 transfer", len(names))


def drag(source: QWidget, tasks: Sequence[Task], names: Sequence[str]) -> None:
    """Let the person carry these until the button is released; the loop goes on meanwhile."""
    data = data_of(tasks)
    carried = QDrag(source)
    carried.setMimeData(data)
    icon = theme.file_icon(names[0]) if len(names) == 1 else "layers"
    carried.setPixmap(picture(words_for(names, len(data.urls())), source, icon))
    carried.setHotSpot(-BELOW)
    # a move would take our file away, and the list would not know
    carried.exec(Qt.DropAction.CopyAction)


def picture(words: str, source: QWidget, icon: str) -> QPixmap:
    """A small card with an icon and these words, as sharp as the screen of `source`."""
    metrics = QFontMetrics(source.font())
    words = metrics.elidedText(words, Qt.TextElideMode.ElideMiddle, LONGEST)
    size = QSize(
        metrics.horizontalAdvance(words) + ICON + 3 * PAD, max(metrics.height(), ICON) + PAD
    )
    ratio = source.devicePixelRatioF()
    out = QPixmap(size * ratio)
    out.setDevicePixelRatio(ratio)
    out.fill(Qt.GlobalColor.transparent)
    painter = QPainter(out)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(theme.color("accent"))
    painter.setBrush(theme.color("base"))
    painter.drawRoundedRect(QRect(QPoint(0, 0), size).adjusted(0, 0, -1, -1), RADIUS, RADIUS)
    painter.drawPixmap(
        QPoint(PAD, (size.height() - ICON) // 2), theme.pixmap(icon, "accent", ICON, ratio)
    )
    painter.setPen(theme.color("text"))
    painter.setFont(source.font())
    painter.drawText(
        QRect(ICON + 2 * PAD, 0, size.width(), size.height()), Qt.AlignmentFlag.AlignVCenter, words
    )
    painter.end()
    return out
