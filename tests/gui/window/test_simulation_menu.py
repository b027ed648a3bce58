"""The menu that orders a bad network, and its mark."""

from __future__ import annotations

from transfermon.gui.window.simulation_menu import SimulationMark, SimulationMenu, choices
from transfermon.wire.simulation import NONE, PROFILES, Simulation

STATE = Simulation(profile=PROFILES[2], loss=0.05, status=503, answers=1)


def test_every_state_can_be_entered_and_left_again():
    for index, choice in enumerate(choices(NONE)):
        assert choice.then.on, choice.text
        if choice.checked is not None:
            there = choices(choice.then)[index]
            assert (there.checked, there.then) == (True, NONE), choice.text


def test_what_is_chosen_changes_one_thing_and_keeps_the_rest():
    by_text = {choice.text.replace("&", ""): choice for choice in choices(STATE)}
    assert [text for text, choice in by_text.items() if choice.checked] == [
        "3G: 200 kB/s, 200 ms",
        "5 % lost",
        "Answer 503 once",
    ]
    assert by_text["Offline"].then == Simulation(
        offline=True, profile=PROFILES[2], loss=0.05, status=503, answers=1
    )
    assert by_text["GPRS: 6.0 kB/s, 500 ms"].then.words == "GPRS, 5 % lost, answers 503 once"
    assert by_text["Answer 503 to all requests"].then.words == "3G, 5 % lost, answers 503"
    assert by_text["Change every ETag"].then.version == 1


def test_the_menu_shows_the_state_and_not_the_click(qtbot):
    menu = SimulationMenu()
    qtbot.addWidget(menu)
    wanted = []
    menu.wanted.connect(wanted.append)
    offline = menu.actions_of_choices[0]
    assert not menu.off_action.isEnabled()
    offline.trigger()
    assert wanted == [Simulation(offline=True)]
    assert not offline.isChecked()
    menu.show_state(wanted[0])
    assert offline.isChecked()
    offline.trigger()
    assert wanted[1] == NONE
    menu.off_action.trigger()
    assert wanted[2] == NONE


def test_the_mark_is_there_while_something_is_simulated(qtbot):
    mark = SimulationMark()
    qtbot.addWidget(mark)
    assert mark.isHidden()
    mark.show_state(STATE)
    assert not mark.isHidden()
    assert mark.text() == "Network simulation: 3G, 5 % lost, answers 503 once"
    mark.show_state(NONE)
    assert mark.isHidden()
