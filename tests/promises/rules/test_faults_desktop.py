"""Faults, group L, the desktop's side: what is opened, what is dropped, and what is never run."""

from __future__ import annotations

import ast
import functools
import os
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QObject, QUrl, Slot
from PySide6.QtGui import QDesktopServices

import transfermon
from tests.helpers.records import a_task
from transfermon.gui.dialogs.typed_text import LONGEST_TEXT, MOST_LINKS, links_in, sorted_out
from transfermon.gui.toolkit import files
from transfermon.gui.window.adding import files_in, is_payload, text_of
from transfermon.model.task import State

ROOT = Path(transfermon.__file__).parent


@functools.cache
def trees() -> dict[str, ast.Module]:
    """Every module of the program."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in ROOT.rglob("*.py")
    }


class Opened(QObject):
    """What was handed to the desktop."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[QUrl] = []

    @Slot(QUrl)
    def take(self, url: QUrl) -> None:
        self.urls.append(url)


@pytest.fixture
def opened(qapp):
    found = Opened()
    QDesktopServices.setUrlHandler("file", found, "take")  # type: ignore[arg-type]  # the stub wants bytes, Qt a string
    yield found
    QDesktopServices.unsetUrlHandler("file")


def finished(path: object, **more: object):
    return a_task(state=State.COMPLETED, final_path=str(path), **more)


@pytest.mark.parametrize(
    "name", ["a.png", "-rf.png", "--help", "a b;$(id).txt", "é\n.txt", "http:x"]
)
def test_fault_l12_a_finished_file_is_handed_over_as_itself_and_never_as_an_option(
    opened, tmp_path, name
):
    (tmp_path / name).write_bytes(b"x")
    assert files.open_file(finished(tmp_path / name)) == ""
    assert [url.toLocalFile() for url in opened.urls] == [str(tmp_path / name)]
    assert all(url.toString().startswith("file:///") for url in opened.urls)


def test_fault_l12_nothing_else_is_opened(opened, tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"x")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(file)
    refused = [
        a_task(state=State.RUNNING, final_path=str(file)),
        *(
            finished(path)
            for path in (tmp_path / "gone", tmp_path / "fifo", tmp_path / "link", tmp_path)
        ),
        *(
            finished(text)
            for text in (
                "http://example.org/a",
                "javascript:alert(1)",
                "smb://host/a",
                "a.png",
                "-x",
            )
        ),
    ]
    for task in refused:
        assert files.open_file(task), task
    assert opened.urls == []


def test_fault_l12_show_in_folder_opens_a_folder_or_nothing(opened, tmp_path):
    (tmp_path / "-x").mkdir()
    (tmp_path / "-x" / "a.png").write_bytes(b"x")
    assert files.show_in_folder(finished(tmp_path / "-x" / "a.png")) == ""
    assert [url.toLocalFile() for url in opened.urls] == [str(tmp_path / "-x")]
    assert files.show_in_folder(finished(tmp_path / "gone" / "a.png"))
    assert files.show_in_folder(finished("smb://host/share/a.png"))
    assert len(opened.urls) == 1


def test_fault_l12_one_module_hands_over_to_the_desktop():
    callers = {
        name
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in ("openUrl", "startfile"))
        or (isinstance(node, ast.Import) and any(one.name == "webbrowser" for one in node.names))
        or (isinstance(node, ast.Constant) and node.value == "xdg-open")
    }
    assert callers == {"gui/toolkit/files.py"}


@pytest.mark.parametrize(
    "text",
    [
        "file:///etc/passwd",
        "data:text/html,<script>x</script>",
        "javascript:alert('x')",
        "smb://host/share",
        "\\\\host\\share\\a",
        "ftp://example.org/a",
        "-o/tmp/x",
    ],
)
def test_fault_l13_only_http_addresses_become_transfers(text):
    assert links_in(text) == []
    assert sorted_out(text).good == ()


def test_fault_l13_a_local_file_is_no_download_but_asked_about_as_an_upload(tmp_path):
    data = QMimeData()
    data.setUrls(
        [QUrl.fromLocalFile(str(tmp_path / "a")), QUrl("http://example.org/b"), QUrl("data:,x")]
    )
    assert files_in(data) == [str(tmp_path / "a")]
    assert links_in(text_of(data)) == ["http://example.org/b"]


def test_fault_l13_ten_thousand_addresses_are_bounded():
    text = "\n".join(f"http://example.org/{number}" for number in range(10_000))
    assert len(links_in(text)) == MOST_LINKS
    assert len(sorted_out(text).good) == MOST_LINKS


def test_fault_l13_a_hundred_megabytes_are_neither_read_through_nor_put_into_a_box():
    data = QMimeData()
    data.setText('{"content-available": 1, "x": "' + "a" * 100_000_000)
    text = text_of(data)
    assert len(text) == LONGEST_TEXT
    assert not is_payload(text)
    assert is_payload('{"aps": {"content-available": 1}}')


def test_fault_l13_the_address_used_is_the_one_that_is_shown():
    data = QMimeData()
    data.setHtml('<a href="http://evil.example/x">http://good.example/x</a>')
    data.setText("http://good.example/x")
    assert links_in(text_of(data)) == ["http://good.example/x"]


RUNS = {"eval", "exec", "compile", "__import__"}
UNPACKS = {"pickle", "marshal", "shelve", "dill", "yaml", "jsonpickle"}


def test_fault_l18_outside_data_is_never_run_and_never_unpickled():
    calls = {
        (name, node.func.id)
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RUNS
    }
    # the person's own program
    assert calls == {("host/script.py", "compile"), ("host/script.py", "exec")}
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not UNPACKS & {one.name.partition(".")[0] for one in node.names}, name
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in UNPACKS, name
            elif isinstance(node, ast.keyword) and node.arg == "shell":
                assert isinstance(node.value, ast.Constant), name
                assert not node.value.value, name
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("os", "system"), ("os", "popen")}, name


def test_fault_m12_no_archive_is_unpacked_and_no_document_opened_by_itself():
    unpackers = {"zipfile", "tarfile", "gzip", "bz2", "lzma", "zipimport"}
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not unpackers & {one.name.partition(".")[0] for one in node.names}, name
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in unpackers, name
            elif isinstance(node, ast.Attribute):
                assert node.attr not in ("unpack_archive", "extractall"), name
    callers = {
        name
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("open_file", "show_in_folder")
    }
    assert all(name.startswith("gui/") for name in callers)  # a person's click, never the engine
