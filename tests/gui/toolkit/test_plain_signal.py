"""A signal of plain functions: in order, and who fails keeps nobody else from hearing."""

from __future__ import annotations

import sys

from transfermon.gui.toolkit.plain_signal import PlainSignal


def test_all_that_are_connected_hear_in_their_order():
    signal: PlainSignal[str] = PlainSignal()
    heard: list[tuple[str, str]] = []

    def first(word: str) -> None:
        heard.append(("first", word))

    signal.connect(first)
    signal.connect(lambda word: heard.append(("second", word)))
    signal.emit("a")
    signal.disconnect(first)
    signal.emit("b")
    signal.disconnect_all()
    signal.emit("c")
    assert heard == [("first", "a"), ("second", "a"), ("second", "b")]


def test_one_that_fails_is_told_of_and_the_others_hear_all_the_same(monkeypatch):
    signal: PlainSignal[str] = PlainSignal()
    failures: list[object] = []
    heard: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, exc, trace: failures.append(kind))

    def fails(word: str) -> None:
        raise KeyError(word)

    signal.connect(fails)
    signal.connect(heard.append)
    signal.emit("a")
    assert (failures, heard) == ([KeyError], ["a"])


def test_one_that_leaves_while_it_hears_has_heard():
    signal: PlainSignal[str] = PlainSignal()
    heard: list[str] = []

    def once(word: str) -> None:
        heard.append(word)
        signal.disconnect(once)

    signal.connect(once)
    signal.connect(heard.append)
    signal.emit("a")
    signal.emit("b")
    assert heard == ["a", "a", "b"]
    signal.disconnect(once)
