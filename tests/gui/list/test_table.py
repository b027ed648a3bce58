from __future__ import annotations

import dataclasses
import time

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QModelIndex, QObject, QPoint, QRect, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtTest import QAbstractItemModelTester, QSignalSpy

from tests.helpers.records import (
    NOW,
    a_cancelled_task,
    a_failed_task,
    a_finished_task,
    a_paused_task,
    a_progress,
    a_queued_task,
    a_task,
    a_waiting_task,
    created,
    moved,
    removed,
)
from transfermon.gui.list.columns import LAST_LIVE, SHOWN, VALUES, Column, matches, moment
from transfermon.gui.list.model import AT_ONCE, FEW, ROW_ROLE, TASK_ROLE, TaskModel
from transfermon.gui.list.painter import Lettering
from transfermon.gui.list.row_changes import MOST_RUNS, SINGLY, runs
from transfermon.gui.list.scope import GROUPS, Scope, group_of, look_of
from transfermon.gui.list.table import GIVE_WAY, NAME_WANTED, TaskTable
from transfermon.gui.toolkit import theme
from transfermon.gui.window.task_menu import menu_for
from transfermon.model.events import SessionIdleEvent
from transfermon.model.ranges import Stretch
from transfermon.model.task import Kind, TaskKey, Validators, changed

EVERY = [
    a_task(number=1),
    a_queued_task(number=2),
    a_waiting_task(number=3),
    a_paused_task(number=4),
    a_finished_task(number=5, final_path="/tmp/x.mp4"),
    a_failed_task(number=6),
    a_cancelled_task(number=7),
]
BY_NAME = Qt.SortOrder.AscendingOrder


@pytest.fixture
def model(qapp):
    model = TaskModel()
    model.sort(Column.NUMBER, Qt.SortOrder.AscendingOrder)
    model.reset(EVERY)
    return model


@pytest.fixture
def table(qtbot, model):
    table = TaskTable()
    qtbot.addWidget(table)
    table.setModel(model)
    table.sortByColumn(Column.NUMBER, Qt.SortOrder.AscendingOrder)
    table.resize(900, 400)
    table.show()
    return table


def a_model_of(task):
    model = TaskModel()
    model.reset([task])
    return model


def words_in(model, row, column):
    return model.index(row, column).data()


def numbers(model):
    return [model.index(row, 0).data(TASK_ROLE).number for row in range(model.rowCount())]


def key(number):
    return TaskKey("demo", number)


def test_the_model_keeps_qts_rules(model, qtmodeltester):
    qtmodeltester.check(model)


@pytest.mark.slow
def test_the_model_keeps_qts_rules_while_everything_happens(qapp):
    model = TaskModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.reset(EVERY)
    for number in range(10, 10 + 3 * AT_ONCE):
        model.apply(created(a_task(number=number, name=f"{number * 7919 % 100}.bin")))
    model.flush()
    model.set_words("bin")
    for column in list(Column)[::3]:  # each costs a look at every cell
        model.sort(column, Qt.SortOrder.AscendingOrder)
        model.sort(column, Qt.SortOrder.DescendingOrder)
    model.apply_progress({task.key: a_progress() for task in EVERY}, 10.0)
    model.set_scope(Scope(kind="active"))
    model.apply(moved(a_finished_task(number=12)))
    model.set_words("bin 1")
    model.apply(created(a_task(number=2000, name="1.bin")))
    model.apply(created(a_task(number=2001, name="unseen")))
    model.set_scope(Scope())
    model.set_words("")
    model.remove([key(number) for number in range(20, 40)])
    model.remove([key(number) for number in range(1, 100)])
    assert model.rowCount() == 2 + 10 + 3 * AT_ONCE - 100
    assert tester.model() is model


# Words


@pytest.mark.parametrize(
    ("task", "column", "words"),
    [
        (a_task(), Column.NAME, "clip-001.mp4"),
        (a_task(name=""), Column.NAME, "clip-001.mp4"),
        (a_task(name="a\nb\u202egpj.exe"), Column.NAME, "a b\ufffdgpj.exe"),
        (a_task(), Column.KIND, "Download"),
        (a_task(kind=Kind.UPLOAD), Column.KIND, "Upload"),
        (a_task(), Column.PROGRESS, "25 %"),
        (a_task(expected=-1, received=34_100_000), Column.PROGRESS, "34.1 MB"),
        (a_task(expected=-1, received=0), Column.PROGRESS, "–"),
        (a_finished_task(), Column.PROGRESS, "100 %"),
        (a_finished_task(expected=0, received=0), Column.PROGRESS, "100 %"),
        (a_task(), Column.STATUS, "Downloading"),
        (a_failed_task(), Column.STATUS, "Failed: the server does not have this file"),
        (a_task(), Column.SPEED, "–"),
        (a_finished_task(), Column.SPEED, ""),
        (a_task(), Column.LEFT, "–"),
        (a_task(), Column.SIZE, "100 MB"),
        (a_task(expected=-1, received=34_100_000), Column.SIZE, "34.1 MB"),
        (a_task(expected=-1, received=0), Column.SIZE, "–"),
        (a_task(), Column.HOST, "example.org"),
        (a_failed_task(), Column.HTTP, "404"),
        (a_task(), Column.REMAINING, "75.0 MB"),
        (a_task(expected=-1), Column.REMAINING, "–"),
        (a_finished_task(), Column.REMAINING, ""),
        (a_task(), Column.RESUMABLE, ""),
        (a_task(validators=Validators(etag='"1"')), Column.RESUMABLE, "Yes"),
        (a_task(not_resumable="The server cannot."), Column.RESUMABLE, "No"),
        (a_finished_task(not_resumable="The server cannot."), Column.RESUMABLE, ""),
        (a_finished_task(final_path="/tmp/a.mp4"), Column.PATH, "/tmp/a.mp4"),
    ],
)
def test_each_column_says(qapp, task, column, words):
    model = TaskModel()
    model.reset([task])
    assert words_in(model, 0, column) == words


def test_a_running_row_has_speed_and_time_left(model):
    model.apply_progress(
        {key(1): a_progress(40_000_000, 100_000_000, speed=6_000_000, now=5.0)}, 5.0
    )
    assert words_in(model, 0, Column.SPEED) == "6.0 MB/s"
    assert words_in(model, 0, Column.LEFT) == "10 s"
    assert words_in(model, 0, Column.PROGRESS) == "40 %"


def test_a_stalled_row_has_a_dash(model):
    model.apply_progress({key(1): a_progress(speed=0.0)}, 10.0)
    assert words_in(model, 0, Column.SPEED) == "–"
    assert words_in(model, 0, Column.LEFT) == "–"


def test_markup_in_a_name_is_shown_as_it_is(qapp):
    model = TaskModel()
    model.reset([a_task(name="<img src=x>.png")])
    assert words_in(model, 0, Column.NAME) == "<img src=x>.png"
    assert "<img" not in model.index(0, Column.NAME).data(Qt.ItemDataRole.ToolTipRole)


def test_a_screen_reader_hears_the_column_and_the_state_in_words(model):
    assert (
        model.index(5, Column.STATUS)
        .data(Qt.ItemDataRole.AccessibleTextRole)
        .startswith("Status: Failed")
    )


@pytest.mark.parametrize(("ago", "shape"), [(0, "%H:%M"), (400 * 86400, None)])
def test_a_moment_is_as_short_as_it_can_be(ago, shape):
    now = time.mktime((2026, 6, 15, 12, 0, 0, 0, 0, -1))
    words = moment(now - ago, now)
    assert words == (time.strftime(shape, time.localtime(now - ago)) if shape else "11 May 2025")


def test_a_day_of_this_year_has_no_year():
    now = time.mktime((2026, 6, 15, 12, 0, 0, 0, 0, -1))
    assert moment(time.mktime((2026, 3, 2, 1, 0, 0, 0, 0, -1)), now) == "2 Mar"
    assert moment(None, now) == ""


# Changes


def test_progress_is_told_of_rows_side_by_side_at_once_and_of_none_between(model):
    spy = QSignalSpy(model.dataChanged)
    model.apply_progress(
        {task.key: a_progress() for task in EVERY if task.number in (2, 3, 6)}, 10.0
    )
    told = [spy.at(place) for place in range(spy.count())]
    assert [(first.row(), last.row()) for first, last, _roles in told] == [(1, 2), (5, 5)]
    assert {(first.column(), last.column()) for first, last, _roles in told} == {
        (Column.PROGRESS, LAST_LIVE)
    }


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ([], []),
        ([4], [(4, 4)]),
        ([3, 1, 2, 7], [(1, 3), (7, 7)]),
        (range(0, 2 * MOST_RUNS, 2), [(at, at) for at in range(0, 2 * MOST_RUNS, 2)]),
        (range(0, 2 * MOST_RUNS + 2, 2), [(0, 2 * MOST_RUNS)]),
    ],
)
def test_rows_are_told_in_runs(places, told):
    assert runs(places) == told


def test_progress_of_what_is_not_here_tells_nothing(model):
    spy = QSignalSpy(model.dataChanged)
    model.apply_progress({key(99): a_progress()}, 10.0)
    assert spy.count() == 0


def test_a_row_is_told_of_at_most_four_times_a_second_and_its_last_change_is_not_lost(qtbot):
    now = [100.0]
    model = TaskModel(clock=lambda: now[0])
    model.reset(EVERY)
    told: list[float] = []
    model.dataChanged.connect(lambda *_: told.append(now[0]))
    for step in range(100):
        now[0] = 100 + step / 100
        model.apply(moved(a_task(number=1, name=f"{step}.bin")))
        model.apply_progress({key(1): a_progress(step)}, now[0])
    assert told[0] == 100.0
    assert len(told) <= 4
    before = len(told)
    now[0] = 102.0
    qtbot.waitUntil(lambda: len(told) == before + 1)
    assert words_in(model, model.row_of(key(1)), Column.NAME) == "99.bin"


def test_of_rows_that_change_one_by_one_the_first_are_told_of_at_once_and_the_others_together(
    qtbot,
):
    now = [100.0]
    model = TaskModel(clock=lambda: now[0])
    model.reset([a_task(number=number) for number in range(1, 101)])
    told: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda first, last: told.append((first.row(), last.row())))
    for number in range(1, 101):
        model.apply(moved(a_finished_task(number=number)))
    assert len(told) == SINGLY
    qtbot.waitUntil(lambda: len(told) > SINGLY)
    assert told[SINGLY:] == [(0, 99 - SINGLY)]  # the newest are at the top
    now[0] += 1
    model.apply(moved(a_failed_task(number=7)))
    assert len(told) == SINGLY + 2


def test_an_event_replaces_its_record(model):
    model.apply(moved(a_finished_task(number=1)))
    assert model.task_at(0).succeeded
    assert words_in(model, 0, Column.STATUS) == "Done"


def test_events_of_one_change_are_one_change_of_the_row(model):
    record = a_finished_task(number=4)
    spy = QSignalSpy(model.dataChanged)
    model.apply(moved(record))
    model.apply(moved(record))
    assert spy.count() == 1
    assert not len(model._changes)
    record = a_task(number=2)
    model.apply(moved(record))
    model.apply_progress({key(2): a_progress(7)}, 10.0)
    model.apply(moved(record))  # the counters had gone on
    assert words_in(model, 1, Column.DONE) == words_in(a_model_of(record), 0, Column.DONE)


def test_an_event_of_no_task_changes_nothing(model):
    model.apply(SessionIdleEvent(sequence=1, session="demo"))
    assert model.rowCount() == len(EVERY)


def test_a_created_task_appears_where_the_order_wants_it(model):
    model.sort(Column.ADDED, Qt.SortOrder.DescendingOrder)
    model.apply(created(a_task(number=50, added=NOW + 4.5)))
    assert numbers(model) == [7, 6, 5, 50, 4, 3, 2, 1]


def test_a_flood_of_new_tasks_is_few_insertions(model):
    spy = QSignalSpy(model.rowsInserted)
    for number in range(100, 1100):
        model.apply(created(a_task(number=number)))
    model.flush()
    assert model.rowCount() == len(EVERY) + 1000
    assert spy.count() <= FEW + 1
    assert numbers(model) == sorted(numbers(model))


def test_what_was_gathered_appears_by_itself(model, qtbot):
    for number in range(100, 200):
        model.apply(created(a_task(number=number)))
    qtbot.waitUntil(lambda: model.rowCount() == len(EVERY) + 100)


def test_one_that_is_removed_before_it_appeared_never_does(model):
    tasks = [a_task(number=number) for number in range(100, 200)]
    for task in tasks:
        model.apply(created(task))
    for task in tasks:
        model.apply(removed(task))
    model.flush()
    assert numbers(model) == [1, 2, 3, 4, 5, 6, 7]


def test_rows_are_found_after_others_left(model):
    model.apply(removed(EVERY[0]))
    model.apply(removed(EVERY[3]))
    assert [model.row_of(key(number)) for number in (2, 3, 5, 6, 7)] == [0, 1, 2, 3, 4]
    model.apply_progress({key(7): a_progress()}, 10.0)
    assert model.rows[4].received == a_progress().received
    with pytest.raises(KeyError):
        model.row_of(key(1))


def test_many_are_removed_with_one_reset(model):
    model.reset([a_task(number=number) for number in range(1, 500)])
    spy = QSignalSpy(model.modelReset)
    model.remove([key(number) for number in range(1, 499)])
    assert (spy.count(), numbers(model)) == (1, [499])


def test_the_selection_survives_sorting(table, model):
    table.select(key(5))
    table.sortByColumn(Column.NAME, Qt.SortOrder.DescendingOrder)
    assert table.selected_keys() == [key(5)]
    assert model.row_of(key(5)) == 2


@pytest.mark.parametrize(
    ("column", "order"),
    [
        (Column.SIZE, [2, 3, 1]),
        (Column.SPEED, [1, 3, 2]),
        (Column.LEFT, [3, 2, 1]),
        (Column.NAME, [1, 2, 3]),
    ],
)
def test_numbers_sort_by_value_and_not_by_their_text(qapp, column, order):
    model = TaskModel()
    model.reset(
        [
            a_task(number=n, expected=size)
            for n, size in ((1, 2_000_000_000), (2, 900), (3, 100_000_000))
        ]
    )
    rates = {1: (0, 2_000_000_000, 0), 2: (0, 900, 20_000), 3: (99_000_000, 100_000_000, 999)}
    model.apply_progress(
        {key(n): a_progress(r + s, t, speed=s) for n, (r, t, s) in rates.items()}, 10.0
    )
    model.sort(column, Qt.SortOrder.AscendingOrder)
    if column is Column.SPEED or column is Column.LEFT:
        values = [VALUES[column](model.index(row, column).data(ROW_ROLE)) for row in range(3)]
        assert values == sorted(values)
    else:
        assert numbers(model) == order


def test_a_change_of_the_sorted_value_moves_the_row_a_little_later(model, qtbot):
    model.sort(Column.NAME, Qt.SortOrder.AscendingOrder)
    model.apply(moved(dataclasses.replace(EVERY[0], name="zzz.mp4")))
    qtbot.waitUntil(lambda: numbers(model)[-1] == 1)


# Counting down


def test_a_waiting_row_says_why_and_until_when(model, qtbot):
    model.tick(NOW)
    assert (
        words_in(model, 2, Column.STATUS)
        == "Waiting: the server refused the connection, retrying in 0:12"
    )
    spy = QSignalSpy(model.dataChanged)
    model.tick(NOW + 5)
    assert words_in(model, 2, Column.STATUS).endswith("0:07")
    qtbot.waitUntil(lambda: spy.count() == 1)


def test_the_clock_runs_only_while_a_row_counts_down_and_is_seen(table, model):
    assert table._clock.isActive()
    table.hide()
    assert not table._clock.isActive()
    table.show()
    assert table._clock.isActive()
    model.apply(moved(a_task(number=3)))
    assert not table._clock.isActive()
    model.apply(moved(a_waiting_task(number=3)))
    assert table._clock.isActive()
    model.apply(removed(EVERY[2]))
    assert not table._clock.isActive()


# Groups and filter


@pytest.mark.parametrize(
    ("task", "group", "look"),
    [
        (EVERY[0], "active", "running"),
        (EVERY[1], "waiting", "queued"),
        (EVERY[2], "waiting", "waiting"),
        (EVERY[3], "waiting", "paused"),
        (EVERY[4], "finished", "done"),
        (changed(EVERY[4], unconfirmed="Nobody knows."), "finished", "unsure"),
        (EVERY[5], "failed", "failed"),
        (EVERY[6], "finished", "cancelled"),
    ],
)
def test_every_task_is_in_one_group_and_has_one_look(task, group, look):
    assert (group_of(task), look_of(task)) == (group, look)
    assert [kind for kind in GROUPS if Scope(kind=kind).holds(task)] == [group]
    assert Scope().holds(task)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [1, 2, 3, 4, 5, 6, 7]),
        ("CLIP-003", [3]),
        ("example 005", [5]),
        ("state:failed", [6]),
        ("state:paused", [4]),
        ("state:waiting", [2, 3, 4]),
        ("session:dem", [1, 2, 3, 4, 5, 6, 7]),
        ("session:other", []),
        ("host:example.org state:done", [5]),
        ("host:elsewhere", []),
        ("kind:upload", []),
        ("state:", [1, 2, 3, 4, 5, 6, 7]),
        ("https://example.org/files/clip-002", [2]),
    ],
)
def test_words_and_terms_choose(text, found):
    assert [task.number for task in EVERY if matches(task, text)] == found


def test_a_record_that_is_replaced_is_found_by_its_new_words(table, model):
    chosen = table.model()
    chosen.set_words("clip-001")
    assert numbers(chosen) == [1]
    chosen.set_words("state:active")
    assert numbers(chosen) == [1]
    model.apply(moved(a_finished_task(number=1, name="holiday.mp4")))
    chosen.set_words("holiday state:finished")
    assert numbers(chosen) == [1]


def test_the_filter_shows_what_matches_words_and_scope(table, model):
    chosen = table.model()
    chosen.set_scope(Scope(kind="waiting"))
    assert numbers(chosen) == [2, 3, 4]
    chosen.set_words("clip-003")
    assert numbers(chosen) == [3]
    assert table.visible_keys() == [key(3)]
    chosen.set_scope(Scope(kind="session", session="demo"))
    chosen.set_words("")
    assert numbers(chosen) == [1, 2, 3, 4, 5, 6, 7]


def test_a_task_that_leaves_its_group_leaves_the_view(table, model, qtbot):
    chosen = table.model()
    chosen.set_scope(Scope(kind="active"))
    model.apply(moved(a_finished_task(number=1)))
    model.apply(created(a_task(number=60)))
    qtbot.waitUntil(lambda: numbers(chosen) == [60])


def test_progress_does_not_ask_the_filter_again(table, model):
    chosen = table.model()
    chosen.set_scope(Scope(kind="active"))
    layout, gone = QSignalSpy(chosen.layoutChanged), QSignalSpy(chosen.rowsRemoved)
    model.apply_progress({task.key: a_progress() for task in EVERY}, 10.0)
    assert (layout.count(), gone.count()) == (0, 0)


def test_the_filter_leaves_no_trace_in_the_order(qapp):
    filtered, plain = TaskModel(), TaskModel()
    for model in (filtered, plain):
        model.sort(Column.STATUS, Qt.SortOrder.AscendingOrder)
        model.reset(EVERY)
    filtered.set_words("film")
    for model in (filtered, plain):
        for number in range(100, 100 + 3 * AT_ONCE):
            model.apply(
                created(
                    a_task(number=number, name=f"{'clip' if number % 3 else 'film'}-{number}.bin")
                )
            )
        model.flush()
        model.apply(moved(a_finished_task(number=110)))
        model.remove([key(number) for number in (104, 105, 106)])
        model.sort(Column.KIND, Qt.SortOrder.DescendingOrder)
        model.sort(Column.STATUS, Qt.SortOrder.DescendingOrder)
    assert filtered.rowCount() < plain.rowCount()
    filtered.set_words("")
    assert numbers(filtered) == numbers(plain)


def test_few_rows_come_and_go_one_by_one_so_that_the_current_row_stays(table, model):
    table.select(key(3))
    layout = QSignalSpy(model.layoutChanged)
    model.set_scope(Scope(kind="waiting"))
    model.set_scope(Scope())
    assert (table.currentIndex().row(), table.selected_keys()) == (2, [key(3)])
    assert layout.count() == 0


def test_many_rows_are_one_change_and_the_selection_stays_as_far_as_it_is_shown(table, model):
    model.reset([a_task(number=number) for number in range(1, 1000)])
    table.select(key(500))
    told, removed_rows = QSignalSpy(table.selection_changed), QSignalSpy(model.rowsRemoved)
    model.set_words("clip-50")
    assert removed_rows.count() == 0
    assert (table.selected_keys(), table.currentIndex().row()) == ([key(500)], 0)
    model.set_words("clip-51")
    assert (table.selected_keys(), told.at(told.count() - 1)[0]) == ([], [])
    model.set_words("")
    assert (table.selected_keys(), model.rowCount()) == ([], 999)


def test_what_the_filter_hides_is_not_selected_and_what_it_hid_still_changes(table, model):
    model.set_words("holiday")
    table.select(key(1))
    assert (table.selected_keys(), model.row_of(key(1))) == ([], -1)
    model.apply_progress({key(1): a_progress(42)}, 10.0)
    model.apply(moved(a_failed_task(number=2)))
    model.set_words("")
    assert model.rows[0].received == 42
    assert words_in(model, 1, Column.STATUS).startswith("Failed")


# The menu


def offered(tasks):
    return {item.action: item.enabled for item in menu_for(tasks) if item is not None}


@pytest.mark.parametrize(
    ("priorities", "marked"),
    [
        ((0.5,), ["normal"]),
        ((0.75,), ["high"]),
        ((0.9, 0.75), ["high"]),
        ((0.25, 0.5), []),
        ((0.0,), ["low"]),
    ],
)
def test_the_present_priority_has_a_mark_where_all_have_the_same(priorities, marked):
    tasks = [a_task(number=number, priority=value) for number, value in enumerate(priorities, 1)]
    items = [item for item in menu_for(tasks) if item is not None and item.group == "Priority"]
    assert [item.text for item in items] == ["High", "Normal", "Low"]
    assert [item.action.removeprefix("priority_") for item in items if item.checked] == marked


@pytest.mark.parametrize(
    ("task", "can"),
    [
        (EVERY[0], {"pause", "cancel"}),
        (EVERY[3], {"resume", "cancel"}),
        (EVERY[4], {"open"}),
        (EVERY[5], {"retry"}),
    ],
)
def test_the_menu_offers_what_the_task_can_do(task, can):
    moving = {"open", "resume", "pause", "cancel", "retry"}
    assert {name for name, enabled in offered([task]).items() if enabled} & moving == can


def test_the_menu_of_several_offers_what_one_of_them_can_do():
    both = offered([EVERY[0], EVERY[5]])
    assert both["pause"]
    assert both["retry"]
    assert not both["open"]
    assert not both["details"]


def test_there_is_no_menu_of_nothing():
    assert menu_for([]) == []


# The table


def test_the_table_shows_the_usual_columns_and_offers_the_others(table):
    assert [not table.isColumnHidden(column) for column in Column] == [
        column in SHOWN for column in Column
    ]
    menu = table.columns_menu()
    action = next(action for action in menu.actions() if action.text() == "Host")
    action.setChecked(True)
    assert not table.isColumnHidden(Column.HOST)
    menu.close()


def test_the_selection_is_told_as_keys_once(table, qtbot):
    told = []
    table.selection_changed.connect(told.append)
    table.select(key(2))
    assert told == [[key(2)]]
    table.select(key(2))
    table.select(TaskKey("demo", 99))
    assert len(told) == 1
    table.selectAll()
    assert told[-1] == [task.key for task in EVERY]


def test_a_selected_row_that_is_removed_is_no_longer_selected(table, model):
    told = []
    table.select(key(2))
    table.selection_changed.connect(told.append)
    model.apply(removed(EVERY[1]))
    assert key(2) not in told[-1]


def test_a_double_click_opens(table, qtbot):
    with qtbot.waitSignal(table.opened) as opened:
        table.doubleClicked.emit(table.model().index(1, 3))
    assert opened.args == [key(2)]


def test_the_menu_is_asked_for_with_the_selection(table, qtbot):
    table.select(key(2))
    with qtbot.waitSignal(table.menu_wanted) as wanted:
        table.customContextMenuRequested.emit(QPoint(10, 10))
    assert wanted.args[0] == [key(2)]


def test_the_name_takes_the_room_that_is_left(table):
    table.resize(1400, 400)
    assert not table.horizontalScrollBar().maximum()
    assert table.columnWidth(Column.NAME) > 240


def test_a_width_that_was_chosen_by_hand_stays(table):
    table.setColumnWidth(Column.PROGRESS, 150)
    table.resize(1600, 400)
    assert table.columnWidth(Column.PROGRESS) == 150


def test_every_look_is_painted(table, model):
    model.apply(created(a_task(number=70, expected=-1)))
    model.apply(created(a_task(number=71, kind=Kind.DATA)))
    table.selectAll()
    before = table.grab().toImage()
    table.clearSelection()
    assert table.grab().toImage() != before


def test_ten_thousand_rows_are_loaded_sorted_and_filtered_in_no_time(table, model):
    tasks = [
        a_task(number=number, name=f"{number * 7919 % 10007}.bin") for number in range(1, 10_001)
    ]
    begin = time.thread_time()
    model.reset(tasks)
    table.sortByColumn(Column.NAME, Qt.SortOrder.AscendingOrder)
    table.model().set_words("77")
    table.model().set_words("")
    model.apply_progress({task.key: a_progress() for task in tasks}, 10.0)
    # 0.2 s as a rule: this catches what grows with the square
    assert time.thread_time() - begin < 3
    assert model.rowCount(QModelIndex()) == 10_000


def test_in_a_narrow_window_the_name_keeps_its_room(table):
    table.resize(1100, 300)
    assert not any(table.isColumnHidden(column) for column in GIVE_WAY)
    table.resize(580, 300)
    assert all(table.isColumnHidden(column) for column in GIVE_WAY)
    assert table.columnWidth(Column.NAME) >= NAME_WANTED - 40
    table.resize(1100, 300)
    assert not any(table.isColumnHidden(column) for column in GIVE_WAY)


def test_a_column_that_was_asked_for_stays_in_a_narrow_window(table):
    table.resize(580, 300)
    action = next(action for action in table.columns_menu().actions() if action.text() == "Added")
    assert not action.isChecked()
    action.trigger()
    assert not table.isColumnHidden(Column.ADDED)
    table.resize(570, 300)
    assert not table.isColumnHidden(Column.ADDED)


def test_what_had_to_give_way_is_remembered_as_shown(table):
    table.resize(580, 300)
    state = table.save_columns()
    assert table.isColumnHidden(Column.ADDED)
    table.setColumnHidden(Column.SIZE, True)
    table.resize(1100, 300)
    table.restore_columns(state)
    assert not table.isColumnHidden(Column.ADDED)
    assert not table.isColumnHidden(Column.SIZE)


def test_columns_come_back_with_their_order_widths_and_sorting(qtbot, table, model):
    header = table.horizontalHeader()
    table.setColumnHidden(Column.HOST, False)
    table.setColumnWidth(Column.HOST, 171)
    header.moveSection(header.visualIndex(Column.SIZE), 1)
    table.sortByColumn(Column.NUMBER, Qt.SortOrder.AscendingOrder)
    state = table.save_columns()
    table.reset_columns()
    table.sortByColumn(Column.NAME, Qt.SortOrder.DescendingOrder)
    assert (table.isColumnHidden(Column.HOST), header.visualIndex(Column.SIZE)) == (
        True,
        Column.SIZE,
    )
    before = numbers(model)
    table.restore_columns(state)
    assert (table.columnWidth(Column.HOST), header.visualIndex(Column.SIZE)) == (171, 1)
    assert header.sortIndicatorSection() == Column.NUMBER
    assert numbers(model) == before[::-1]


def test_a_layout_of_other_columns_changes_nothing(table):
    state = table.horizontalHeader().saveState()
    table.setColumnHidden(Column.HOST, False)
    table.restore_columns(state)
    assert not table.isColumnHidden(Column.HOST)


def test_the_last_activity_is_the_last_byte_that_was_seen(model):
    before = VALUES[Column.ACTIVITY](model.index(0, Column.ACTIVITY).data(ROW_ROLE))
    model.apply_progress({key(1): a_progress(received=26_000_000)}, 10.0)
    after = VALUES[Column.ACTIVITY](model.index(0, Column.ACTIVITY).data(ROW_ROLE))
    assert after > before
    model.apply_progress({key(1): a_progress(received=26_000_000)}, 11.0)
    assert VALUES[Column.ACTIVITY](model.index(0, Column.ACTIVITY).data(ROW_ROLE)) == after


def test_selecting_ten_thousand_rows_is_painted_at_once(qtbot, table, model):
    model.reset([a_task(number=number) for number in range(1, 10_001)])
    QCoreApplication.processEvents()
    begin = time.thread_time()
    table.selectAll()
    for _ in range(3):
        QCoreApplication.processEvents()
    assert len(table.selected_keys()) == 10_000
    assert time.thread_time() - begin < 0.15


# Painting


class Painted(QObject):
    """Which parts of a table's list were painted."""

    def __init__(self, table: TaskTable) -> None:
        super().__init__(table)
        self.rects: list[QRect] = []
        table.viewport().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QPaintEvent):
            self.rects.append(event.region().boundingRect())
        return False


def draw() -> None:
    for _ in range(3):
        QCoreApplication.processEvents()


@pytest.fixture
def painted(table, model):
    model.reset([a_task(number=number) for number in range(1, 1001)])
    draw()
    return Painted(table)


def test_progress_out_of_sight_paints_nothing(table, model, painted):
    model.apply_progress({key(number): a_progress() for number in range(500, 600)}, 10.0)
    draw()
    assert painted.rects == []
    table.verticalScrollBar().setValue(table.verticalScrollBar().maximum())
    draw()
    painted.rects.clear()
    model.apply_progress({key(number): a_progress() for number in (1, 2, 500)}, 11.0)
    draw()
    assert painted.rects == []


def test_where_bytes_are_is_asked_for_rows_in_sight_only(table, model, painted):
    """Of files that several connections bring."""
    asked = []

    def shared(number):
        progress = a_progress()

        def picture():
            asked.append(number)
            return (Stretch(0, 10, 50, 0), Stretch(50, 60, 100, 1))

        progress.shared = picture
        return progress

    model.apply_progress({key(number): shared(number) for number in (2, *range(500, 600))}, 10.0)
    draw()
    assert set(asked) <= {2}
    painted.rects.clear()
    model.apply_progress({key(2): shared(2)}, 11.0)
    draw()
    assert set(asked) == {2}


def test_progress_paints_its_cells_and_no_others(table, model, painted):
    model.apply_progress({key(2): a_progress()}, 10.0)
    draw()
    (rect,) = painted.rects
    assert (rect.top(), rect.height()) == (theme.ROW, theme.ROW)
    assert rect.left() == table.columnViewportPosition(Column.PROGRESS)


def test_scrolling_paints_what_comes_into_view_and_copies_the_rest(table, painted):
    table.verticalScrollBar().setValue(10)
    draw()
    assert [(rect.height(), rect.bottom()) for rect in painted.rects] == [
        (10, table.viewport().rect().bottom())
    ]


def test_the_ground_below_the_last_row_is_painted(table):
    draw()
    assert table.viewport().grab().toImage().pixelColor(
        20, len(EVERY) * theme.ROW + 20
    ) == theme.color("base")


def test_a_name_is_painted_as_plain_text_and_cut_in_the_middle(qapp):
    letters = Lettering()
    letters.use(qapp.font())
    whole, width, _down = letters.cut("<b>x</b>", Qt.TextElideMode.ElideMiddle, 500)
    assert (whole.textFormat(), whole.text()) == (Qt.TextFormat.PlainText, "<b>x</b>")
    cut, narrower, _down = letters.cut("<b>x</b>", Qt.TextElideMode.ElideMiddle, width - 8)
    assert "…" in cut.text()
    assert narrower <= width - 8


def test_another_font_is_laid_out_anew(qapp):
    letters = Lettering()
    font = qapp.font()
    letters.use(font)
    _out, width, _down = letters.cut("file", Qt.TextElideMode.ElideRight, 500)
    font.setPointSizeF(font.pointSizeF() * 2)
    letters.use(font)
    assert letters.cut("file", Qt.TextElideMode.ElideRight, 500)[1] > width
