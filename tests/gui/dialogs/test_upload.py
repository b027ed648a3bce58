from __future__ import annotations

import threading

import pytest
from PySide6.QtCore import QMimeData, QUrl

from tests.helpers.parcels import PROTOCOL as PARCELS
from transfermon.gui.dialogs import upload
from transfermon.gui.dialogs.upload import UploadDialog, address_for, looked_at, mistake_in
from transfermon.gui.panels.details import facts_of, says_resumable
from transfermon.gui.window.adding import files_in
from transfermon.http.upload_protocols import registry
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import Kind, State, Task, UploadResource, changed

UPLOAD = Task(
    session="s",
    number=1,
    kind=Kind.UPLOAD,
    url="https://example.com/in",
    method="PUT",
    source="/data/a.iso",
)


@pytest.fixture
def files(tmp_path):
    for name in ("a.bin", "b c.bin"):
        (tmp_path / name).write_bytes(b"x")
    return [str(tmp_path / name) for name in ("a.bin", "b c.bin")]


@pytest.fixture
def dialog(qtbot, files):
    made = UploadDialog(
        files=files[:1], addresses=["https://example.com/in/"], sessions=["s"], session="s"
    )
    qtbot.addWidget(made)
    qtbot.waitUntil(made.start_button.isEnabled)
    return made


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/in/", "https://example.com/in/b%20c.bin"),
        ("https://example.com/in", "https://example.com/in"),
    ],
)
def test_an_address_with_a_slash_at_its_end_takes_the_files_name(url, expected):
    assert address_for(url, "/data/b c.bin") == expected


@pytest.mark.parametrize(
    ("count", "url", "method", "words"),
    [
        (1, "https://example.com/in", "PUT", ""),
        (2, "https://example.com/in/", "PUT", ""),
        (2, "https://example.com/in", "POST", ""),
        (2, "https://example.com/in", "PUT", "ends with “/”"),
        (1, "ftp://example.com/", "PUT", "ftp"),
    ],
)
def test_what_cannot_be_sent_is_said_in_one_sentence(count, url, method, words):
    found = mistake_in(count, url, method)
    assert (words in found) if words else found == ""


def test_a_folder_and_a_missing_file_are_named(files, tmp_path):
    folder, gone = str(tmp_path), str(tmp_path / "gone")
    found = looked_at([folder, gone, files[0]])
    assert "is a folder" in found[folder]
    assert "There is no file “gone”" in found[gone]
    assert found[files[0]] == ""


def test_a_disk_that_does_not_answer_holds_nothing_up_but_the_button(qtbot, files, monkeypatch):
    go, looks = threading.Event(), []

    def slowly(paths):
        looks.append(list(paths))
        go.wait(30)
        return looked_at(paths)

    monkeypatch.setattr(upload, "looked_at", slowly)
    dialog = UploadDialog(files=files[:1], addresses=["https://example.com/in/"])
    qtbot.addWidget(dialog)
    dialog.files.setPlainText("\n".join(files))
    assert not dialog.start_button.isEnabled()
    assert dialog.problem.text() == ""
    go.set()
    qtbot.waitUntil(dialog.start_button.isEnabled)
    assert looks == [files[:1], files[1:]]  # one at a time, each file once


def test_the_dialog_asks_for_what_is_in_it(dialog, files, qtbot):
    assert dialog.start_button.isEnabled()
    dialog.more_button.setChecked(True)
    dialog.protocol.setCurrentIndex(3)
    dialog.headers.setPlainText("X-Key: 1")
    dialog.request.rows["no_content_type"].setChecked(True)
    with qtbot.waitSignal(dialog.requested) as wanted:
        dialog.paused_button.click()
    (request,) = wanted.args
    assert request.new.options == RequestOptions(no_content_type=True)
    assert request.files == (
        (files[0], "https://example.com/in/"),
    )  # the name is put behind it once the server was asked
    assert (request.new.method, request.new.protocol, request.session, request.new.start) == (
        "PUT",
        "tus",
        "s",
        False,
    )
    assert request.new.request_headers == {"X-Key": "1"}


def test_what_is_about_downloads_alone_is_not_in_the_dialog(dialog):
    dialog.more_button.setChecked(True)
    rows = dialog.request.rows
    assert not rows["no_content_type"].isHidden()
    assert rows["connections"].isHidden()
    assert rows["mirrors"].isHidden()
    assert rows["mirrors_are_the_same"].isHidden()


def test_the_dialog_offers_what_the_registry_has(files, qtbot, monkeypatch):
    monkeypatch.setattr(registry, "RESUMABLE", (*registry.RESUMABLE, PARCELS))
    dialog = UploadDialog(files=files[:1], addresses=["https://example.com/in/"])
    qtbot.addWidget(dialog)
    titles = [dialog.protocol.itemText(index) for index in range(dialog.protocol.count())]
    assert titles[2:] == [
        "Resumable, IETF draft",
        "Resumable, tus 1.0",
        "Resumable, in parcels",
    ]
    dialog.protocol.setCurrentIndex(4)
    qtbot.waitUntil(dialog.start_button.isEnabled)
    with qtbot.waitSignal(dialog.requested) as wanted:
        dialog.start_button.click()
    assert wanted.args[0].new.protocol == "parcels"


def test_nothing_can_be_sent_while_something_is_wrong(dialog, tmp_path, qtbot):
    dialog.files.setPlainText(str(tmp_path))
    assert not dialog.start_button.isEnabled()
    qtbot.waitUntil(lambda: "is a folder" in dialog.problem.text())
    assert not dialog.start_button.isEnabled()
    dialog.files.setPlainText("")
    assert not dialog.start_button.isEnabled()
    assert dialog.problem.text() == ""
    dialog.files.setPlainText(str(tmp_path / "soon"))
    qtbot.waitUntil(lambda: "no file" in dialog.problem.text())
    (tmp_path / "soon").write_bytes(b"x")
    dialog.files.setPlainText(str(tmp_path / "soon") + "\n")  # another look at what was not there
    qtbot.waitUntil(dialog.start_button.isEnabled)


def test_dropped_files_are_told_from_dropped_links(files):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(files[0]), QUrl("https://example.com/a")])
    assert files_in(data) == files[:1]
    assert files_in(QMimeData()) == []


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (UPLOAD, "Not known before the server answers"),
        (changed(UPLOAD, not_resumable="The server offers none."), "No: The server offers none."),
        (
            changed(
                UPLOAD,
                upload=UploadResource(protocol="ietf", url="https://example.com/u", length=9),
            ),
            "Yes: the server keeps what it has got (IETF draft)",
        ),
        (
            changed(
                UPLOAD,
                upload=UploadResource(
                    protocol="tus", url="https://h/u?k=1", length=9, elsewhere=True
                ),
            ),
            "Yes: the server keeps what it has got (tus, at https://h)",
        ),
        (changed(UPLOAD, state=State.COMPLETED), ""),
    ],
)
def test_general_says_whether_an_upload_can_resume_before_it_is_paused(task, words):
    assert says_resumable(task) == words


def test_general_names_the_source_and_the_method_of_an_upload():
    found = facts_of(UPLOAD, None, 0.0, 0.0)
    assert (found["Source"], found["Method"], found["Save path"]) == ("/data/a.iso", "PUT", "")
