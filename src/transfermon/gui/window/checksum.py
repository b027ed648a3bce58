"""The checksum of a finished file: asked for, read with a dialog that can stop it, and compared."""

from __future__ import annotations

import asyncio
import os

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QProgressDialog

from transfermon.gui.dialogs.questions import text_question
from transfermon.gui.dialogs.typed_text import digest_in
from transfermon.gui.toolkit import files
from transfermon.gui.window.context import WindowContext
from transfermon.http.digests import Reading, sha256_of
from transfermon.model.task import Task
from transfermon.model.translate import tr

READING_MS, STEPS = 600, 1000  # a file that takes longer to read gets a dialog, with so many steps


def ask_for_checksum(context: WindowContext, task: Task) -> None:
    """Compare a finished file, as it is now, with a SHA-256 that the person has; without one, show
    its own.
    """
    if sentence := files.why_not(task):
        context.toast(sentence)
        return
    dialog = text_question(
        context.window,
        "verify",
        title=tr("Verify checksum"),
        label=tr("The SHA-256 that the file should have; leave it empty to see the one it has:"),
        text=task.expected_digest,
        ok=tr("Verify"),
    )
    dialog.textValueSelected.connect(
        lambda text, path=task.file: context.spawn(
            _verify(context, path, text), "verifying a checksum"
        )
    )
    context.show_dialog("verify", dialog)


async def _verify(context: WindowContext, path: str, text: str) -> None:
    try:
        wanted = digest_in(text)
        found = await _digest_of(context, path)
    except ValueError as exc:
        context.toast(str(exc))
        return
    except OSError as exc:
        context.toast(tr("The file cannot be read: {strerror}.").format(strerror=exc.strerror))
        return
    if not found:
        return
    digest = found.removeprefix("sha-256:")
    same = (
        tr("The checksum is right.")
        if wanted == found
        else tr("The checksum is another: this is not the same file.")
    )
    context.toast(
        (same if wanted == found else f"{same} {digest}") if wanted else f"SHA-256: {digest}",
        action=tr("Copy"),
        on_action=lambda: QGuiApplication.clipboard().setText(digest),
    )


async def _digest_of(context: WindowContext, path: str) -> str:
    """With a dialog where it takes a while; "" when the person has stopped it."""
    reading, size = Reading(), max(1, os.path.getsize(path))
    dialog = QProgressDialog(tr("Reading the file…"), tr("Cancel"), 0, STEPS, context.window)
    dialog.setObjectName("reading")
    dialog.setWindowTitle(tr("Verify checksum"))
    dialog.setMinimumDuration(READING_MS)
    dialog.canceled.connect(reading.stop)
    clock = QTimer(dialog)
    clock.timeout.connect(lambda: dialog.setValue(min(STEPS - 1, reading.done * STEPS // size)))
    clock.start(100)
    try:
        return await asyncio.to_thread(sha256_of, path, reading)
    finally:
        reading.stop()
        clock.stop()
        dialog.reset()
        dialog.deleteLater()
