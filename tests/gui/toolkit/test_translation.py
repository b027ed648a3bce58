"""Another language: every text goes through `tr`, the template has them all, and a window of
brackets shows none without.
"""

from __future__ import annotations

import ast
import asyncio
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QLocale, Qt, QTranslator
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QTableView,
    QTabWidget,
    QWidget,
)

import transfermon
from tests.gui.window.test_main_window import a_server, a_world, anyio_backend, until  # noqa: F401
from tests.helpers.records import (
    a_cancelled_task,
    a_finished_task,
    a_paused_task,
    a_queued_task,
    a_task,
    a_waiting_task,
    created,
)
from tests.helpers.window import give_command
from tools import translations
from transfermon.gui.dialogs.add import AddDialog
from transfermon.gui.dialogs.preference_pages import Channel, StartAtLogin
from transfermon.gui.dialogs.preferences import Preferences
from transfermon.gui.dialogs.push_composer import PushComposer
from transfermon.gui.dialogs.questions import ask
from transfermon.gui.dialogs.upload import UploadDialog
from transfermon.gui.panels.details import facts_of
from transfermon.gui.panels.event_brackets import Brackets
from transfermon.gui.panels.sidebar import SidebarModel, session_items
from transfermon.gui.panels.wake_ledger import WakeColumn as WakeColumn
from transfermon.gui.panels.wake_ledger import cell_text
from transfermon.gui.toolkit import theme, translation
from transfermon.gui.videofarm.upload_dialog import VideoUploadDialog
from transfermon.gui.window import session_commands
from transfermon.gui.window.closing import quit_words
from transfermon.gui.window.simulation_menu import choices
from transfermon.gui.window.status_line import counts_line
from transfermon.gui.window.task_menu import menu_for
from transfermon.gui.window.tray import TrayState
from transfermon.model import translate, units
from transfermon.model.events import BackgroundTransferEvent
from transfermon.model.push_payload import lint_payload
from transfermon.model.translate import in_english, tr
from transfermon.model.wake_policy import Wake, WakeKind, WakeVerdict, outcome_text
from transfermon.storage.settings import Settings
from transfermon.text import humanize
from transfermon.text.notification_texts import start_notice, still_notice
from transfermon.wire.simulation import Simulation

GUI = Path(transfermon.__file__).parent / "gui"

SHOWS = frozenset(  # what puts a text before a person
    [
        "setText",
        "setToolTip",
        "setWindowTitle",
        "setAccessibleName",
        "setAccessibleDescription",
        "setPlaceholderText",
        "setLabelText",
        "setOkButtonText",
        "setInformativeText",
        "setSuffix",
        "setPrefix",
        "setSpecialValueText",
        "setNameFilter",
        "setNameFilters",
        "setIconText",
        "addAction",
        "addMenu",
        "addTab",
        "addItem",
        "addItems",
        "addRow",
        "QAction",
        "QLabel",
        "QPushButton",
        "QCheckBox",
        "QToolBar",
        "QFileDialog",
        "QMenu",
        "drawText",
        "showText",
        "show_message",
        "toast",
        "ask",
        "tell",
        "notify",
        "Button",
        "label",
        "row_label",
        "button",
        "line",
        "editor",
        "said",
        "refuse",
        "_row",
        "_note",
        "_check",
        "_combo",
        "_page",
        "_say",
        "_status",
        "_muted",
        "_tick",
        "_count",
        "_amount",
        "_text",
        "_folder",
        "_lines",
        "_choice",
    ]
)
UNTRANSLATED = frozenset(  # the product, a pattern of file names, and an address to follow
    {"Transfermon", "SHA-256: ", "NDJSON (*.ndjson)", "https://ntfy.sh"}
)
# of a bar of tabs: Qt translates them itself
QTS_OWN = frozenset({"ScrollLeftButton", "ScrollRightButton"})
TITLES = frozenset({"_page"})  # it gets a page's English title and translates that


def literals(node: ast.expr) -> Iterator[str]:
    """The texts in an argument that are not translated on the way."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            yield from literals(node.func.value)
    elif isinstance(node, ast.IfExp):
        yield from (*literals(node.body), *literals(node.orelse))
    elif isinstance(node, ast.JoinedStr | ast.BoolOp | ast.List | ast.Tuple):
        for part in node.values if isinstance(node, ast.JoinedStr | ast.BoolOp) else node.elts:
            yield from literals(part)
    elif isinstance(node, ast.BinOp):
        yield from (*literals(node.left), *literals(node.right))
    elif isinstance(node, ast.FormattedValue):
        yield from literals(node.value)


def is_text(value: str) -> bool:
    """A name of an object, icon or setting is one word in small letters."""
    return bool(re.search("[A-Za-z]{2}", value)) and not re.fullmatch(
        r"[a-z0-9_ -]*_?[a-z0-9_-]+", value.strip()
    )


@pytest.mark.parametrize(
    "path", sorted(GUI.rglob("*.py")), ids=lambda path: str(path.relative_to(GUI))
)
def test_no_text_reaches_a_widget_without_tr(path):
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        if name in SHOWS and name not in TITLES:
            texts = [
                text
                for part in (*node.args, *(word.value for word in node.keywords))
                for text in literals(part)
            ]
            found += [
                f"line {node.lineno}: {text}"
                for text in texts
                if is_text(text) and text not in UNTRANSLATED
            ]
    assert found == []


def texts_in(path: Path) -> set[tuple[str, str]]:
    root = ET.parse(path).getroot()
    return {(m.findtext("source") or "", m.findtext("comment") or "") for m in root.iter("message")}


def test_the_template_has_every_text(tmp_path):
    translations.collect(tmp_path / "now.ts")
    assert texts_in(tmp_path / "now.ts") == texts_in(translations.TEMPLATE), (
        "run `make translations`"
    )


def a_translation(folder: Path, language: str) -> None:
    """Every text in brackets, as a language of its own."""
    source, tree = folder / f"transfermon_{language}.ts", ET.parse(translations.TEMPLATE)
    tree.getroot().set("language", language)
    for message in tree.getroot().iter("message"):
        text, target = message.findtext("source") or "", message.find("translation")
        assert target is not None
        target.attrib.pop("type", None)
        target.text = f"[{text}]"
        if message.get("numerus"):
            target.clear()
            for _ in range(2):  # as German has
                ET.SubElement(target, "numerusform").text = f"[{text}]"
    tree.write(source, encoding="utf-8", xml_declaration=True)
    translations.compile_to(source.with_suffix(".qm"), source)


@contextmanager
def in_brackets(app: QCoreApplication, folder: Path) -> Iterator[None]:
    a_translation(folder, "de")
    assert translation.install(app, QLocale("de_DE"), str(folder))
    try:
        yield
    finally:
        translate.use(None)
        for translator in app.findChildren(QTranslator):
            app.removeTranslator(translator)
            translator.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def outside(text: str) -> str:
    """What is not in brackets: without mark-up, keys in parentheses or behind a tab, and figures
    with their units.
    """
    text = re.sub(r"<[^>]*>", "", text).partition("\t")[0]
    text = re.sub(r" \((?:Ctrl|Shift|Alt|Return|Space|Del)[^)]*\)$", "", text)
    while re.search(r"\[[^\[\]]*\]", text):
        text = re.sub(r"\[[^\[\]]*\]", "", text)
    return text


# what is no text of ours: addresses, names of sessions, protocols, profiles and of the product
DATA = re.compile(
    r"https?://\S*|127\.0\.0\.1\S*|Transfermon|transfermon|SHA-256|/\S*|\S+\.bin|downloads|session|s$|PUT|POST|GET|PATCH|DELETE|HEAD|HTTP/?\S*|"
    r"example\.\S+|ntfy|APNs|Simulator|GPRS|EDGE|DSL|LTE|Wi-Fi|missing|slow"
)


def untranslated(root: QWidget) -> list[str]:
    """The texts of a window that a translation has not reached."""
    found: list[tuple[object, str]] = []
    for widget in (root, *root.findChildren(QWidget)):
        if widget.objectName() in QTS_OWN:
            continue
        found += [
            (widget, text)
            for text in (widget.toolTip(), widget.accessibleName(), widget.windowTitle())
        ]
        if isinstance(widget, QLabel | QAbstractButton):
            found.append((widget, widget.text()))
        if isinstance(widget, QLineEdit | QPlainTextEdit):
            found.append((widget, widget.placeholderText()))
        if isinstance(widget, QTabWidget):
            found += [(widget, widget.tabText(tab)) for tab in range(widget.count())]
        if isinstance(widget, QComboBox):
            found += [(widget, widget.itemText(row)) for row in range(widget.count())]
        if isinstance(widget, QMenu):
            found.append((widget, widget.title()))
        if isinstance(widget, QTableView) and (model := widget.model()) is not None:
            across = Qt.Orientation.Horizontal
            found += [
                (widget, str(model.headerData(at, across) or ""))
                for at in range(model.columnCount())
            ]
    for action in root.findChildren(QAction):
        found += [(action, action.text()), (action, action.toolTip()), (action, action.iconText())]
    return sorted(
        {
            f"{type(item).__name__} {item.objectName()}: {text}"  # type: ignore[attr-defined]
            for item, text in found
            if re.search("[A-Za-z]{2}", DATA.sub("", outside(text)))
        }
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: AddDialog(
            text="https://example.com/a", sessions=["downloads"], session="downloads"
        ),
        lambda: UploadDialog(
            files=["/a"],
            addresses=["https://example.com/"],
            sessions=["downloads"],
            session="downloads",
        ),
        lambda: PushComposer(),
        lambda: VideoUploadDialog(),
        lambda: Preferences(
            settings=Settings(),
            login=StartAtLogin(),
            channel=Channel(),
            state_dir="/state",
            tray=False,
        ),
        lambda: ask(
            None, tr("Quit Transfermon?"), quit_words(3), ["Quit", "Cancel"], lambda *_: None
        ),
    ],
)
def test_every_text_of_a_dialog_is_translated(qtbot, qapp, tmp_path, make):
    with in_brackets(qapp, tmp_path):
        dialog = make()
        qtbot.addWidget(dialog)
        assert untranslated(dialog) == []


@pytest.mark.anyio
async def test_every_text_of_the_window_is_translated(tmp_path, qapp):
    with in_brackets(qapp, tmp_path):
        async with a_server() as server, a_world(str(tmp_path)) as world:
            window = world.window
            assert untranslated(window) == []
            world.add(f"{server.url}/a.bin", f"{server.url}/missing", f"{server.url}/slow")
            await until(
                lambda: (
                    window.panels.pages.currentWidget() is window.panels.table
                    and window.panels.model.rowCount() == 3
                )
            )
            await until(lambda: sum(task.succeeded for task in world.monitor.tasks()) == 1)
            world.select(world.monitor.tasks()[0].key)
            for tab in range(window.panels.tabs.count()):
                window.panels.tabs.setCurrentIndex(tab)
                await asyncio.sleep(0)
            give_command(window, "videofarm")
            menu = session_commands.session_menu(window.context, "downloads")
            columns = window.panels.table.columns_menu()
            window.panels.toasts.show_message(tr("The session was reset."))
            await asyncio.sleep(0)
            assert untranslated(window) == []
            assert untranslated(menu) == []
            assert untranslated(columns) == []
            status = [window.panels.model.index(row, 3).data() for row in range(3)]
            assert all(text.startswith("[") for text in status), status


def test_a_count_has_the_forms_of_the_language_and_english_needs_no_file(qapp, tmp_path):
    assert (units.size(1), units.size(5)) == ("1 byte", "5 bytes")
    with in_brackets(qapp, tmp_path):
        assert (units.size(1), units.size(5)) == ("[1 bytes]", "[5 bytes]")
        with in_english():
            assert (units.size(1), units.duration(5)) == ("1 byte", "5 s")
        assert tr("no translator has seen this") == "no translator has seen this"
        assert tr("%n unknown things", "1 unknown thing", 1) == "1 unknown thing"


def test_a_language_without_a_file_stays_english(qapp, tmp_path):
    assert not translation.install(qapp, QLocale("fr_FR"), str(tmp_path))
    assert units.duration(5) == "5 s"
    assert not qapp.findChildren(QTranslator)


def test_words_that_are_made_without_a_widget_are_translated(qapp, tmp_path):
    """What is painted, or comes from a module that knows nothing of Qt."""
    with in_brackets(qapp, tmp_path):
        task = a_task(session="downloads", name="a.bin", url="https://example.com/a.bin")
        tasks = [
            task,
            a_queued_task(),
            a_paused_task(),
            a_waiting_task(waiting_reason=""),
            a_finished_task(),
        ]
        said = [item.text for item in menu_for([task, task]) if item is not None]
        said += [item.text for item in session_items("active", named=True) if item is not None]
        model = SidebarModel()
        said += [model.entry(row).text for row in range(model.rowCount())]
        said += [TrayState().line, counts_line(1, 2, 3, 4), units.duration(4000)]
        said += [humanize.status(one, 0.0) for one in (*tasks, a_cancelled_task())]
        said += [choice.text for choice in choices(Simulation())]
        said += [
            facts_of(task, None, 0.0, 0.0)[name]
            for name in ("State", "Attempts", "Size", "Resumable")
        ]
        said += [
            start_notice([task, task]).title,
            still_notice(2).body,
            cell_text(a_wake(), WakeColumn.KIND, 0.0),
        ]
        said += [
            outcome_text(a_wake(), 0.0),
            theme.file_words("readme"),
            humanize.event(created(task)),
        ]
        said += [
            finding.message
            for finding in lint_payload('{"aps": {"alert": "a", "sound": "b"}, "alert": 1}')
        ]
        said += [
            mark.words
            for mark in Brackets().take(
                BackgroundTransferEvent(session="downloads", handler_id="1")
            )
        ]
        assert [
            text for text in said if re.search("[A-Za-z]{2}", DATA.sub("", outside(text)))
        ] == []


def a_wake() -> Wake:
    return Wake(
        identifier="1", kind=WakeKind.PUSH, source="button", time=0.0, verdict=WakeVerdict.GRANTED
    )
