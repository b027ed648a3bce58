from __future__ import annotations

import dataclasses

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QSpinBox,
)

from transfermon.gui.dialogs.preference_pages import Channel, StartAtLogin
from transfermon.gui.dialogs.preferences import Preferences
from transfermon.gui.dialogs.setting_texts import (
    folder_in,
    hosts_in,
    ported_in,
    server_in,
    topics_in,
)
from transfermon.gui.toolkit import theme
from transfermon.storage.settings import NEVER, Settings

CHANNEL = Channel(words="Push channel off", addresses=("https://ntfy.sh/t",))
ELSEWHERE = {"path", "faults", "push_enabled"}  # not a value of the dialog's own


@pytest.fixture
def dialog(qtbot):
    made = Preferences(
        settings=Settings(push_topics=("t",)),
        login=StartAtLogin(),
        channel=CHANNEL,
        state_dir="/state",
    )
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def told(dialog):
    seen: dict[str, object] = {}
    dialog.changed.connect(seen.update)
    return seen


def test_every_setting_has_its_control(dialog):
    controls = {
        child.objectName()
        for kind in (QCheckBox, QComboBox, QSpinBox, QDoubleSpinBox, QLineEdit, QPlainTextEdit)
        for child in dialog.findChildren(kind)
    }
    names = {item.name for item in dataclasses.fields(Settings)} - ELSEWHERE
    assert names - controls == {"background_modes"}
    assert {"mode_fetch", "mode_remote-notification"} <= controls


def test_a_control_shows_its_setting_and_tells_of_another_value(dialog, told, qtbot):
    qtbot.mouseClick(dialog.findChild(QCheckBox, "note_origin"), Qt.MouseButton.LeftButton)
    dialog.findChild(QSpinBox, "running_tasks").setValue(3)
    dialog.findChild(QDoubleSpinBox, "speed_limit").setValue(1.5)
    combo = dialog.findChild(QComboBox, "close_to")
    combo.setCurrentIndex(combo.findData("tray"))
    combo.activated.emit(combo.currentIndex())
    assert told == {
        "note_origin": True,
        "running_tasks": 3,
        "speed_limit": 1_500_000,
        "close_to": "tray",
    }


def test_strict_is_a_word_in_the_settings(dialog, told):
    dialog.findChild(QCheckBox, "wake_policy").click()
    assert told == {"wake_policy": "strict"}
    dialog.findChild(QCheckBox, "wake_policy").click()
    assert told == {"wake_policy": "teach"}


def test_the_background_modes_and_the_interval(dialog, told):
    dialog.background.mode_boxes["fetch"].click()
    assert told == {"background_modes": ("remote-notification",)}
    dialog.background.interval.activated.emit(2)
    assert told["fetch_interval"] == 1800.0
    dialog.background.interval.activated.emit(0)
    assert told["fetch_interval"] == NEVER


def test_what_cannot_be_is_said_beside_its_field_and_changes_nothing(dialog, told, qtbot):
    dialog.show_page("Push")
    field = dialog.findChild(QLineEdit, "push_topics")
    field.setText("no topic!")
    field.editingFinished.emit()
    problem = dialog.findChild(QLabel, "push_topics_problem")
    assert problem.isVisible()
    assert "is no topic" in problem.text() or "“topic!”" in problem.text()
    assert told == {}
    field.setText("a, b")
    field.editingFinished.emit()
    assert not problem.isVisible()
    assert told == {"push_topics": ("a", "b")}


def test_hosts_are_taken_when_the_focus_leaves(dialog, told, qtbot):
    dialog.show_page("Push")
    edit = dialog.findChild(QPlainTextEdit, "push_hosts")
    edit.setFocus()
    edit.setPlainText("Files.example.com\nother.example.com:8443\n")
    dialog.findChild(QLineEdit, "push_server").setFocus()
    qtbot.waitUntil(lambda: "push_hosts" in told)
    assert told["push_hosts"] == ("files.example.com", "other.example.com:8443")


def test_a_new_topic_is_random_and_told(dialog, told):
    from PySide6.QtWidgets import QPushButton

    dialog.findChild(QPushButton, "push_new_topic").click()
    (topic,) = told["push_topics"]
    assert len(topic) == 32


def test_a_token_is_given_once_and_not_shown(dialog, qtbot):
    given: list[str] = []
    dialog.token_given.connect(given.append)
    assert dialog.push.token.echoMode() is QLineEdit.EchoMode.Password
    dialog.push.token.setText("tk_secret")
    dialog.push.token.editingFinished.emit()
    dialog.push.token.editingFinished.emit()
    assert given == ["tk_secret"]
    assert dialog.push.token.text() == ""
    dialog.push.show_channel(True, dataclasses.replace(CHANNEL, has_token=True), ("u",))
    assert "One is kept" in dialog.push.token.placeholderText()
    assert dialog.findChild(QLineEdit, "push_topics").text() == "u"


def test_the_channel_is_switched_by_its_own_signal(dialog, told):
    switched: list[bool] = []
    dialog.channel_switched.connect(switched.append)
    dialog.push.channel_box.click()
    assert (switched, told) == ([True], {})


def test_login_is_kept_by_the_desktop(dialog, told):
    wanted: list[StartAtLogin] = []
    dialog.login_changed.connect(wanted.append)
    assert not dialog.general.hidden_box.isEnabled()
    dialog.general.login_box.click()
    dialog.general.hidden_box.click()
    assert wanted == [StartAtLogin(starts=True), StartAtLogin(starts=True, hidden=True)]
    assert told == {}


@pytest.mark.parametrize("text", ["h o", "a/b", "a:0", "a:70000", "-a", "http://a"])
def test_what_is_no_host(text):
    with pytest.raises(ValueError, match="is no host"):
        hosts_in(text)


def test_hosts_topics_servers_and_folders(tmp_path):
    assert hosts_in(" A.b \n\n[::1]:80\nA.b") == ("a.b", "[::1]:80")
    assert ported_in("127.0.0.1:8000") == ("127.0.0.1:8000",)
    with pytest.raises(ValueError, match="needs its port"):
        ported_in("[::1]")
    assert topics_in("a,b  a\nc") == ("a", "b", "c")
    assert server_in("https://ntfy.sh/") == "https://ntfy.sh"
    for bad in ("", "ftp://x", "ntfy.sh"):
        with pytest.raises(ValueError, match=r".+\."):
            server_in(bad)
    assert folder_in(str(tmp_path / "new" / "one")) == str(tmp_path / "new" / "one")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match="is a file"):
        folder_in(str(tmp_path / "file" / "below"))


def test_another_theme_tints_the_icons_of_the_pages_at_once(dialog, qapp):
    theme.apply(qapp, "light")
    pages = dialog.findChild(QListWidget, "preferences_pages")
    before = [pages.item(row).icon().pixmap(16, 16).toImage() for row in range(pages.count())]
    theme.apply(qapp, "dark")
    after = [pages.item(row).icon().pixmap(16, 16).toImage() for row in range(pages.count())]
    theme.apply(qapp, "light")
    assert all(old != new for old, new in zip(before, after, strict=True))
