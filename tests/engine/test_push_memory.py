"""How far the push channel has heard, against a server that keeps messages as ntfy does."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfermon.engine.ntfy import NtfyLine
from transfermon.engine.push_memory import BLOCKS, LEAST, MARGIN, PLACE, PushMemory

T = 1_800_000_000


def line(event: str, time: float, identifier: str = "") -> NtfyLine:
    return NtfyLine(
        event=event, identifier=identifier or f"{event}{time}", time=time, topic="t", said={}
    )


@dataclass
class Disk:
    """What was stored, and the memory over it."""

    values: dict[str, str] = field(default_factory=dict)

    def memory(self, server: str = "http://h", topics: str = "t") -> PushMemory:
        return PushMemory.restored(self.values, server, topics)

    def keep(self, changes: list[tuple[str, str]]) -> None:
        self.values.update(changes)


@pytest.mark.parametrize(
    ("lines", "since"),
    [
        ([], ""),
        ([line("open", T)], str(T - MARGIN)),
        ([line("open", T), line("message", T + 7)], str(T + 7 - MARGIN)),
        (
            [line("open", T), line("message", T + 7), line("keepalive", T + 45)],
            str(T + 45 - MARGIN),
        ),
        ([line("open", 5)], "0"),
        ([line("open", 0)], ""),
    ],
)
def test_it_goes_on_two_minutes_before_the_newest_line(lines: list[NtfyLine], since: str):
    disk = Disk()
    memory = disk.memory()
    assert memory.began() == ""
    for each in lines:
        disk.keep(memory.heard(each))
    assert memory.began() == since
    disk.keep(memory.unsaved())
    assert disk.memory().began() == since


@pytest.mark.parametrize(
    ("server", "topics"), [("http://other", "t"), ("http://h", "t,u"), ("", "")]
)
def test_another_server_or_other_topics_begin_anew(server: str, topics: str):
    disk = Disk()
    memory = disk.memory()
    memory.began()
    disk.keep(memory.heard(line("message", T, "a")))
    again = disk.memory(server, topics)
    assert again.began() == ""
    assert not again.knows("a")


def test_the_line_before_the_missed_messages_is_no_place_to_go_on():
    """The connection may break among them, and they are older than it."""
    disk = Disk()
    memory = disk.memory()
    memory.began()
    disk.keep(memory.heard(line("open", T)))
    assert memory.began() == str(T - MARGIN)
    disk.keep(memory.heard(line("open", T + 50_000)))
    disk.keep(memory.heard(line("message", T + 100, "a")))
    assert memory.began() == str(T + 100 - MARGIN)
    disk.keep(memory.heard(line("open", T + 60_000)))
    disk.keep(memory.heard(line("keepalive", T + 60_045)))
    assert memory.began() == str(T + 60_045 - MARGIN)


def test_a_server_whose_clock_was_put_back_is_followed():
    memory = Disk().memory()
    memory.began()
    memory.heard(line("open", T))
    memory.began()
    memory.heard(line("open", T - 9000))
    assert memory.began() == str(T - 9000 - MARGIN)


def test_a_place_that_the_server_does_not_understand_is_dropped():
    disk = Disk()
    memory = disk.memory()
    memory.began()
    disk.keep(memory.heard(line("message", T, "a")))
    assert memory.placed
    disk.keep(memory.drop_place())
    assert not memory.placed
    assert memory.began() == disk.memory().began() == ""
    assert memory.knows("a")


def test_silence_is_written_down_every_ten_minutes_only():
    memory = Disk().memory()
    memory.began()
    written = [
        memory.heard(line("open", T)),
        *(memory.heard(line("keepalive", T + 45 * n)) for n in range(1, 81)),
    ]
    assert sum(map(bool, written)) in range(6, 9)
    assert all(key == PLACE for changes in written for key, _ in changes)


def test_identifiers_of_a_day_are_known_and_at_least_a_thousand():
    disk = Disk()
    memory = disk.memory()
    memory.began()
    for number in range(3000):  # in 50 hours
        disk.keep(memory.heard(line("message", T + 60 * number, f"m{number}")))
    for known in (memory, disk.memory()):
        assert all(known.knows(f"m{number}") for number in range(3000 - 24 * 60, 3000))
        assert not known.knows("m0")
    for number in range(3000, 3000 + LEAST - 1):  # in three years
        disk.keep(memory.heard(line("message", T + 100_000 * number, f"m{number}")))
    assert all(disk.memory().knows(f"m{number}") for number in range(3000, 3000 + LEAST - 1))
    assert sum(bool(text) for key, text in disk.values.items() if key.startswith(BLOCKS)) < 20
    assert max(map(len, disk.values.values())) < 10_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"server": 1}',
        '{"server":"http://h","topics":"t","time":"x"}',
        "[" * 100_000,
    ],
)
def test_what_was_stored_in_another_form_is_a_new_beginning(text: str):
    assert Disk({PLACE: text}).memory().began() == ""
    good = '{"server":"http://h","topics":"t","time":5000}'
    assert Disk({PLACE: good}).memory().began() == str(5000 - MARGIN)
    assert Disk({PLACE: good, f"{BLOCKS}0": text or "x"}).memory().began() in (
        "",
        str(5000 - MARGIN),
    )


@dataclass
class Server:
    """Keeps messages by time; a delayed one bears an early identifier and comes when it is due."""

    now: int = T
    kept: list[tuple[int, str]] = field(default_factory=list)
    count: int = 0

    def publish(self, delay: int, cached: bool) -> str:
        self.count += 1
        if cached:
            self.kept.append((self.now + delay, f"m{self.count}"))
        return f"m{self.count}"

    def connect(self, since: str) -> list[NtfyLine]:
        lines = [line("open", self.now)]
        if since:
            due = [(time, name) for time, name in self.kept if int(since) <= time <= self.now]
            lines += [
                line("message", time, name) for time, name in sorted(due, key=lambda item: item[0])
            ]
        return lines


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(0, 500)),
        st.tuples(st.just("pass"), st.integers(0, 4000)),
        st.tuples(st.just("connect"), st.integers(0, 6)),  # lines until the cut
        st.tuples(st.just("keepalive"), st.just(0)),
        st.tuples(st.just("restart"), st.booleans()),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(STEPS)
def test_each_message_that_is_kept_comes_once_and_none_is_skipped(steps: list[tuple[str, int]]):
    server, disk = Server(), Disk()
    memory = disk.memory()
    taken: list[str] = []

    def hear(lines: list[NtfyLine]) -> None:
        for each in lines:
            known = memory.knows(each.identifier)
            disk.keep(memory.heard(each))
            if each.event == "message" and not known:
                taken.append(each.identifier)

    memory.began()
    hear(server.connect(""))
    whole = True  # the last connection brought everything, and is still there
    for step, value in [*steps, ("connect", 10_000), ("connect", 10_000)]:
        if step == "publish":
            name = server.publish(value, cached=True)
            if whole and value == 0:
                hear([line("message", server.now, name)])
        elif step == "pass":
            before, server.now = server.now, server.now + value
            if whole:
                hear(
                    [
                        line("message", time, name)
                        for time, name in server.kept
                        if before < time <= server.now
                    ]
                )
        elif step == "connect":
            lines = server.connect(memory.began())
            hear(lines[:value])
            whole = value >= len(lines)
        elif step == "keepalive" and whole:
            hear([line("keepalive", server.now)])
        elif step == "restart":
            if value:
                disk.keep(memory.unsaved())
            memory, whole = disk.memory(), False
    due = {name for time, name in server.kept if time <= server.now}
    assert sorted(taken) == sorted(due)
