"""The window asks for a user name and password where a server or proxy wants them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from PySide6.QtWidgets import QLabel

from tests.gui.window.test_main_window import World, a_world, in_a_world, until
from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.qt_loop import qt_backend
from transfermon.engine.monitor import Monitor
from transfermon.gui.window import task_commands
from transfermon.gui.window.credentials import CredentialsDialog, Login, _Cancelled, question
from transfermon.http.challenges import Challenge
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.task import TaskKey

pytestmark = pytest.mark.anyio
HOUSE = Challenge(authority="example.com:80", realm="The house")


@pytest.fixture
def anyio_backend(qapp: Any) -> Any:
    return qt_backend(qapp)


def guarded(conn: Conn, request: Request) -> None:
    right = "Basic " + base64.b64encode(b"me:right").decode()
    name, ask = (
        ("Proxy-Authorization", 407)
        if request.target.startswith("http:")
        else ("Authorization", 401)
    )
    if request.header(name) == right:
        conn.send(reply(200, {}, b"the file"))
    else:
        field = "Proxy-Authenticate" if ask == 407 else "WWW-Authenticate"
        realm = "Upstairs" if request.target.startswith("/up") else "The house"
        conn.send(reply(ask, {field: f'Basic realm="{realm}"'}))


def dialogs(world: World) -> list[CredentialsDialog]:
    return [found for found in world.window.findChildren(CredentialsDialog) if found.isVisible()]


async def asked(world: World) -> CredentialsDialog:
    await until(lambda: dialogs(world))
    (dialog,) = dialogs(world)
    return dialog


def answer(dialog: CredentialsDialog, user: str, password: str) -> None:
    dialog.user.setText(user)
    dialog.password.setText(password)
    dialog.sign_in.click()


def failed(world: World) -> int:
    return sum(task.failed for task in world.monitor.tasks())


def finished(world: World) -> int:
    return sum(task.succeeded for task in world.monitor.tasks())


@pytest.mark.parametrize(
    ("challenge", "refused", "said"),
    [
        (
            HOUSE,
            False,
            (
                "example.com:80 asks for a user name and password. It calls itself “The house”. "
                "The connection is not encrypted: others on the way can read the password."
            ),
        ),
        (
            Challenge(authority="gate:3128", of_proxy=True, protected=True),
            True,
            "The last ones were not accepted. The proxy gate:3128 asks for a user name and password.",
        ),
    ],
)
def test_the_question_names_who_asks_and_what_others_can_read(challenge, refused, said):
    assert question(challenge, refused=refused) == said


def test_a_stranger_s_words_are_short_plain_text(qtbot):
    hostile = Challenge(authority="a:1", realm="<b>bank</b>\u202e\n" + "x" * 500)
    dialog = CredentialsDialog(None, hostile)
    qtbot.addWidget(dialog)
    assert len(dialog.text.text()) < 300
    assert "\u202e" not in dialog.text.text()
    assert dialog.text.textFormat().name == "PlainText"
    assert all(found.textFormat().name != "RichText" for found in dialog.findChildren(QLabel))


def test_what_cannot_be_sent_is_said_and_the_password_is_not_shown(qtbot):
    dialog = CredentialsDialog(None, HOUSE)
    qtbot.addWidget(dialog)
    dialog.show()
    answer(dialog, "a:b", "secret")
    assert dialog.problem.text() == "A user name has no colon."
    assert dialog.isVisible()
    assert dialog.password.displayText() != "secret"
    assert "secret" not in repr(Login(user="me", password="secret"))
    answer(dialog, "me", "secret")
    assert dialog.login == Login(user="me", password="secret")


@in_a_world
async def test_one_question_for_all_that_wait_for_it_and_the_next_is_answered_by_itself(
    world, server
):
    with ByteServer(guarded) as house:
        world.add(house.url("/a"), house.url("/b"))
        dialog = await asked(world)
        await until(lambda: failed(world) == 2)
        answer(dialog, "me", "right")
        await until(lambda: finished(world) == 2)
        world.add(house.url("/c"))
        await until(lambda: finished(world) == 3)
        assert dialogs(world) == []


@in_a_world
async def test_a_wrong_password_is_asked_about_again(world, server):
    with ByteServer(guarded) as house:
        world.add(house.url("/a"))
        first = await asked(world)
        answer(first, "me", "wrong")
        await until(lambda: dialogs(world) and dialogs(world) != [first])
        (again,) = dialogs(world)
        assert again.text.text().startswith("The last ones were not accepted.")
        assert (again.user.text(), again.password.text()) == ("me", "")
        answer(again, "me", "right")
        await until(lambda: finished(world) == 1)


@in_a_world
async def test_two_realms_are_asked_about_one_after_the_other(world, server):
    with ByteServer(guarded) as house:
        world.add(house.url("/a"), house.url("/up/b"))
        await until(lambda: failed(world) == 2)
        first = await asked(world)
        answer(first, "me", "right")
        await until(lambda: dialogs(world) and dialogs(world) != [first])
        assert finished(world) <= 1
        answer(dialogs(world)[0], "me", "right")
        await until(lambda: finished(world) == 2)


@in_a_world
async def test_cancel_leaves_the_failure_with_its_hint_and_a_retry_asks_again(world, server):
    with ByteServer(guarded) as house:
        world.add(house.url("/a"))
        (await asked(world)).cancel.click()
        (task,) = world.monitor.tasks()
        assert task.failed
        assert task.error.hint == "Give a user name and password, or a token, and try again."
        assert len(house.requests) == 1
        task_commands.retry_task(world.window.context, task.key)
        answer(await asked(world), "me", "right")
        await until(lambda: finished(world) == 1)


@in_a_world
async def test_after_a_cancel_those_on_their_way_do_not_ask_again(world, server):
    with ByteServer(guarded) as house:
        world.monitor.preferences.update(running_tasks=1, connections_per_host=1)
        world.add(*(house.url(f"/{number}") for number in range(6)))
        dialog = await asked(world)
        world.monitor.preferences.update(running_tasks=8)
        dialog.cancel.click()
        await until(lambda: failed(world) == 6)
        await world.monitor.overview.history(limit=1)  # all has been told
        assert dialogs(world) == []


@in_a_world
async def test_nobody_is_asked_by_a_hidden_window_until_it_is_back(world, server):
    with ByteServer(guarded) as house:
        world.window.hide()
        world.add(house.url("/a"))
        await until(lambda: failed(world) == 1)
        await world.monitor.overview.history(limit=1)
        assert dialogs(world) == []
        world.window.show()
        answer(await asked(world), "me", "right")
        await until(lambda: finished(world) == 1)


async def test_what_failed_while_there_was_no_window_is_asked_about_when_it_is_back(tmp_path):
    with ByteServer(guarded) as house:
        async with Monitor.open(str(tmp_path), attached=False) as standby:
            standby.ready()
            task = standby.session("downloads").download_task(
                house.url("/a"), destination=str(tmp_path / "a")
            )
            await until(lambda: task.record.waiting)
        async with a_world(str(tmp_path)) as world:
            answer(await asked(world), "me", "right")
            await until(lambda: finished(world) == 1)


@in_a_world
async def test_a_proxy_is_answered_for_its_session(world, server):
    with ByteServer(guarded) as gate:
        configuration = SessionConfiguration.background("behind")
        configuration.proxy = gate.url("")
        world.monitor.create_session(configuration).download_task("http://far.example/a")
        dialog = await asked(world)
        assert dialog.text.text().startswith(f"The proxy 127.0.0.1:{gate.port} asks")
        answer(dialog, "me", "right")
        await until(lambda: finished(world) == 1)


@in_a_world
async def test_a_question_that_is_open_at_the_end_does_nothing(world, server):
    with ByteServer(guarded) as house:
        world.add(house.url("/a"))
        dialog = await asked(world)
        world.window.detach()
        answer(dialog, "me", "right")
        assert world.monitor.tasks()[0].failed


def test_a_cancel_covers_what_was_decided_or_on_its_way_and_no_later_retry():
    decided, running, later = (TaskKey("s", number) for number in (1, 2, 3))
    cancelled = _Cancelled(sequence=10, keys={running})
    assert cancelled.covers(decided, 10)  # its end was stored and is told only now
    assert cancelled.covers(running, 12)
    assert not cancelled.covers(running, 14)  # it was tried again by hand
    assert not cancelled.covers(later, 13)
