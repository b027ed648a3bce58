"""Opens finished files and their folders with the desktop's programs.

Rule: the only caller of `QDesktopServices.openUrl`. Only existing regular files of finished tasks
are handed over (R16), or the files of uploads; of addresses only that of a movie at the server that
the person has chosen.
"""

from __future__ import annotations

import os
import stat

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

from transfermon.http.addresses import check_url, origin_of
from transfermon.model.errors import TransferFailure
from transfermon.model.task import Task
from transfermon.model.translate import tr

# Opening one of these may run it. The name is kept as the server gave it; the person is asked
# first.
_RUNNABLE = (
    "appimage bat bin class cmd com command cpl csh deb desktop exe fish flatpakref hta jar js jse jnlp ksh lnk msc "
    "msi out pif pl ps1 py pyw rb reg rpm run scr sh snap tcl vb vbe vbs wsf wsh zsh"
)
RUNNABLE = frozenset(_RUNNABLE.split())


def why_not(task: Task) -> str:
    """Why this task's file cannot be opened, in one sentence; "" when it can."""
    if not task.file:
        return (
            tr("This transfer has no file of its own.")
            if task.succeeded
            else tr("This transfer has not finished.")
        )
    try:
        found = os.lstat(task.file)
    except OSError:
        return tr("The file is no longer where it was.")
    if not os.path.isabs(task.file) or not stat.S_ISREG(found.st_mode):
        return tr("What is there now is not the file of this transfer.")
    return ""


def may_run(path: str) -> bool:
    """Whether opening this file may run a program."""
    return os.path.splitext(path)[1].lower().lstrip(".") in RUNNABLE


def open_file(task: Task) -> str:
    """Open the finished file; the sentence of why not, or ""."""
    return why_not(task) or _hand_over(task.file, tr("No program here opens this kind of file."))


def show_in_folder(task: Task) -> str:
    """Open the folder that the file is in, or will be in; the sentence of why not, or ""."""
    path = task.file or task.final_path
    folder = os.path.dirname(path) if path else task.folder
    if not os.path.isabs(folder) or not os.path.isdir(folder):
        return tr("The folder does not exist.")
    return _hand_over(folder, tr("No file manager was found."))


def stream(url: str, server: str) -> str:
    """Let the desktop play a movie at the VideoFarm server `server`; the sentence of why not, or
    "".
    """
    try:
        url = check_url(url)
        own = origin_of(url) == origin_of(check_url(server))
    except (ValueError, TransferFailure):
        own = False
    if not own:
        return tr("The movie is not at this server; download it to play it.")
    return (
        ""
        if QDesktopServices.openUrl(QUrl(url))
        else tr("No program here plays it; download it first.")
    )


def _hand_over(path: str, failure: str) -> str:
    return "" if QDesktopServices.openUrl(QUrl.fromLocalFile(path)) else failure
