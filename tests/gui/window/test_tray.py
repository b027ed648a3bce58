from __future__ import annotations

import pytest
from PySide6.QtGui import QAction

from transfermon.gui.window.tray import ROWS, SIZES, STEPS, Tray, TrayState, painted, tray_state
from transfermon.model.tally import Tally
from transfermon.model.task import Activity, Kind, Progress, State, Task, TaskKey


def a_task(number: int = 1, **fields: object) -> Task:
    values = {
        "session": "s",
        "number": number,
        "kind": Kind.DOWNLOAD,
        "url": f"https://example.com/{number}.mp4",
        "state": State.RUNNING,
        "activity": Activity.TRANSFERRING,
        **fields,
    }
    return Task(**values)  # type: ignore[arg-type]


def moving(received: int, expected: int, rate: float = 0.0) -> Progress:
    progress = Progress(received=received, expected=expected)
    progress.rate.add(0.0, 0)
    progress.rate.add(1.0, round(rate))
    return progress


@pytest.mark.parametrize(
    ("received", "expected", "step"),
    [(0, 100, 0), (50, 100, STEPS // 2), (100, 100, STEPS), (7, -1, None), (7, 0, None)],
)
def test_the_ring_fills_with_the_bytes(received, expected, step):
    state = tray_state([Tally([a_task()])], {TaskKey("s", 1): moving(received, expected)}, now=1.0)
    assert state.step == step
    assert state.running == 1


def test_nothing_active_is_an_idle_icon():
    done = a_task(state=State.COMPLETED, activity=Activity.NONE)
    assert tray_state([Tally([done])], {}, now=1.0) == TrayState()
    assert tray_state([Tally([done])], {}, now=1.0, failed=True).failed


def test_what_waits_is_not_active():
    queued, waiting = a_task(1, activity=Activity.QUEUED), a_task(2, activity=Activity.RETRYING)
    assert tray_state([Tally([queued, waiting])], {}, now=1.0) == TrayState(line="2 waiting")
    assert tray_state([Tally([queued, waiting, a_task(3)])], {}, now=1.0).line == "1 active"


def test_the_line_says_how_many_how_fast_and_how_long():
    live = {TaskKey("s", 1): moving(2_000_000, 62_000_000, rate=2_000_000)}
    assert tray_state([Tally([a_task()])], live, now=1.0).line == "1 active, 2.0 MB/s, 30 s left"


def test_the_tooltip_has_a_row_for_each_of_the_first_five():
    tasks = [a_task(number) for number in range(1, 9)]
    live = {task.key: moving(25, 100) for task in tasks}
    rows = tray_state([Tally(tasks)], live, now=1.0).tip.splitlines()
    assert len(rows) == 1 + ROWS
    assert rows[1] == "1.mp4  25 %"


def test_a_hostile_name_cannot_mix_up_the_tooltip():
    task = a_task(name="a\n\u202efdp" + "x" * 100)
    tip = tray_state([Tally([task])], {task.key: moving(1, 2)}, now=1.0).tip
    assert len(tip.splitlines()) == 2
    assert "\u202e" not in tip


@pytest.mark.parametrize(
    "state",
    [TrayState(), TrayState(running=1, step=3), TrayState(running=2), TrayState(failed=True)],
)
def test_an_icon_is_painted_in_every_size(qapp, state):
    icon = painted(state)
    assert sorted(size.width() for size in icon.availableSizes()) == sorted(SIZES)
    assert not icon.pixmap(22, 22).isNull()


def pixels(state: TrayState) -> object:
    return painted(state).pixmap(32, 32).toImage()


def test_idle_active_and_failed_look_different(qapp):
    looks = [
        pixels(state)
        for state in (TrayState(), TrayState(running=1, step=4), TrayState(failed=True))
    ]
    assert looks[0] != looks[1] != looks[2] != looks[0]


@pytest.fixture
def tray(qapp):
    show, other = QAction("Show window"), QAction("Quit")
    made = Tray(show, [None, other])
    yield made
    made.close()


def test_the_menu_has_the_status_line_between_the_commands(tray):
    texts = [action.text() for action in tray.menu.actions() if not action.isSeparator()]
    assert texts == ["Show window", "No active transfers", "Quit"]
    assert not tray.line.isEnabled()


def test_a_change_is_seen_at_once_and_the_next_a_second_later(tray, qtbot):
    tray.update(TrayState(running=1, step=1, line="one"))
    assert tray.line.text() == "one"
    tray.update(TrayState(running=1, step=2, line="two"))
    assert tray.line.text() == "one"
    qtbot.waitUntil(lambda: tray.line.text() == "two")


def test_the_same_state_again_does_nothing(tray):
    key = tray.icon.icon().cacheKey()
    tray.update(TrayState())
    assert tray.icon.icon().cacheKey() == key


def test_words_that_change_leave_the_icon_alone(tray):
    key = tray.icon.icon().cacheKey()
    tray.update(TrayState(line="another"))
    assert tray.icon.icon().cacheKey() == key


def test_a_click_asks_to_toggle_the_window(tray, qtbot):
    with qtbot.waitSignal(tray.toggled):
        tray.icon.activated.emit(tray.icon.ActivationReason.Trigger)


def test_a_tray_that_went_away_is_told_of(tray, qtbot):
    assert not tray.available()  # no desktop in the tests
    with qtbot.waitSignal(tray.lost):
        tray.look()
