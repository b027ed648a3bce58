"""T8: the app ends while transfers run, by a person or by the end of the desktop's session."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from PySide6.QtWidgets import QMessageBox

from tests.gui.window.test_main_window import anyio_backend, in_a_world, until  # noqa: F401
from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.owners import LIMIT, Place, quick, slow
from tests.helpers.owners import until as until_it
from tests.helpers.window import give_command
from transfermon.model.task import State

pytestmark = pytest.mark.anyio
TEN = 10


@pytest.fixture
def resource() -> Resource:
    resource = Resource(bytes(range(256)) * 20_000, etag='"v1"')
    slow(resource)
    return resource


@in_a_world
async def test_fault_t8_a_quit_with_ten_running_transfers_asks_once_and_keeps_the_choice(
    world, server
):
    world.add(*(f"{server.url}/slow{number}" for number in range(TEN)))
    await until(lambda: world.states() == [State.RUNNING] * TEN)

    def questions() -> int:
        return sum(box.isVisible() for box in world.window.findChildren(QMessageBox))

    give_command(world.window, "quit")
    give_command(world.window, "quit")
    assert questions() == 1
    assert f"{TEN} transfers are saved" in world.question().informativeText()
    answers = [button.text() for button in world.question().buttons()]
    assert answers == ["Quit", "Keep transferring", "Stop all transfers and quit", "Cancel"]
    world.answer("Cancel")
    give_command(world.window, "quit")
    assert questions() == 1
    world.question().checkBox().setChecked(True)
    world.answer("Keep transferring")
    assert (world.quits, world.monitor.settings.keep_after_quit) == (1, "yes")


def test_fault_t8_the_end_of_the_session_asks_nothing_and_all_is_saved(
    place: Place, server: ByteServer, resource
):
    app = place.app()
    for number in range(TEN):
        place.add(server.url(f"/{number}/a.bin"), session=f"s{number}")
    until_it("parts of files", lambda: sum(task["received"] > 0 for task in place.tasks()) >= 3)
    app.send_signal(signal.SIGTERM)
    _, err = app.communicate(timeout=LIMIT)
    assert app.returncode == 0
    assert "Traceback" not in err
    quick(resource)
    assert '"state": "completed"' not in place.run("list", "--json")[1]
    place.small_app()
    until_it("every file", lambda: [task["status"] for task in place.tasks()] == ["Done"] * TEN)
    assert {path.read_bytes() for path in place.out.iterdir()} == {resource.body}


ENDING = """
import sys
from PySide6.QtCore import QCoreApplication, QEvent, QTimer
from PySide6.QtWidgets import QWidget
from transfermon.gui.app_life import Application

class Asks(QWidget):
    def closeEvent(self, event):
        print("asks")
        event.ignore()

app = Application(sys.argv[:1])
window = Asks()
window.show()
app.end_wanted.connect(lambda: (print("ends"), app.exit(0)))
QTimer.singleShot(0, lambda: QCoreApplication.postEvent(app, QEvent(QEvent.Type.Quit)))
code = app.exec()
window.deleteLater()
QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
sys.exit(code)
"""


def test_fault_t8_a_desktop_that_ends_the_app_is_not_kept_waiting_by_a_question():
    done = subprocess.run(
        [sys.executable, "-c", ENDING], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ends\n", "")
