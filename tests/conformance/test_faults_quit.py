"""FAULTS T8: the end of the app with ten transfers under way."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import qasync

from tests.byte_server import ByteServer, Resource
from tests.gui.test_main_window import a_world
from tests.gui.test_main_window import until as until_in_loop
from tests.owners import LIMIT, Place, a_place, slow, until
from transfermon.task import State

TEN = 10


@pytest.fixture
def anyio_backend(qapp: Any) -> Any:
    qapp.setQuitOnLastWindowClosed(False)
    return "asyncio", {"loop_factory": lambda: qasync.QEventLoop(qapp)}


@pytest.fixture
def server() -> Iterator[ByteServer]:
    files = Resource(b"x" * 20_000_000, etag='"1"')
    slow(files)
    with ByteServer(files) as made:
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with a_place(tmp_path) as made:
        yield made


@pytest.mark.anyio
@pytest.mark.parametrize(("answer", "kept"), [("Keep transferring", "yes"), ("Quit", "no")])
async def test_fault_t8_quitting_asks_once_about_all_and_the_choice_is_kept(
    tmp_path: Path, server: ByteServer, answer: str, kept: str
):
    async with a_world(str(tmp_path)) as world:
        world.add(*(server.url(f"/{number}") for number in range(TEN)))
        await until_in_loop(lambda: world.states() == [State.RUNNING] * TEN)
        world.window.do_quit()
        box = world.question()
        assert box is not None
        assert f"{TEN} transfers are saved and resume at the next start." in box.informativeText()
        box.checkBox().setChecked(True)
        world.answer(answer)
        assert (world.quits, world.monitor.keep_going) == (1, kept == "yes")
        assert world.monitor.settings.keep_after_quit == kept
        world.window.do_quit()  # what is left to ask is whether to stop them all
        again = world.question()
        assert again is not None
        assert [button.text() for button in again.buttons()].count("Keep transferring") == 0
        assert again.checkBox() is None
    async with a_world(str(tmp_path)) as world:
        assert world.states() == [State.RUNNING] * TEN


@pytest.mark.anyio
async def test_fault_t8_an_open_question_does_not_hold_the_end_of_the_session_up(tmp_path: Path, server: ByteServer):
    async with a_world(str(tmp_path)) as world:
        world.add(*(server.url(f"/{number}") for number in range(TEN)))
        await until_in_loop(lambda: world.states() == [State.RUNNING] * TEN)
        world.window.do_quit()
        assert world.question() is not None
        world.window.let_go()  # as after SIGTERM
        assert not world.window.isVisible()


def test_fault_t8_the_app_ends_when_the_desktop_does_and_everything_is_saved(place: Place, server: ByteServer):
    app = place.app()
    for number in range(TEN):
        place.add(server.url(f"/{number}"))
    until("the transfers", lambda: len([task for task in place.tasks() if task["state"] == "running"]) == TEN)
    until("bytes", lambda: place.received() > 0)
    app.send_signal(signal.SIGTERM)  # what a session manager sends
    _, complaints = app.communicate(timeout=LIMIT)
    assert (app.returncode, "Traceback" in complaints) == (0, False)
    place.app()
    states = [task["state"] for task in place.tasks()]
    assert states == ["running"] * TEN
    until("more bytes", lambda: place.received() > 0)
