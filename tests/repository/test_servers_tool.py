"""The tool that tries real servers: its set-ups, its relay and its judgement. The servers
themselves are not run here.
"""

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from tools.servers import table, trials
from tools.servers.asking import Reply
from tools.servers.registries import name_of
from tools.servers.relay import Cut, Relay
from tools.servers.setups import load

SETUPS = load()


def test_at_least_seventy_servers_are_tried_and_each_of_their_packages_has_a_version():
    assert len({setup.group for setup in SETUPS.values()}) >= 70
    for setup in SETUPS.values():
        pins = [*setup.pypi, *setup.npm, *setup.debian]
        assert pins, setup.key
        assert all(name_of(pin) != pin for pin in pins), setup.key
        assert setup.download or setup.upload, setup.key
        assert not setup.origin or setup.origin in SETUPS, setup.key


@pytest.mark.parametrize(
    ("pin", "name"),
    [
        ("nginx-core=1.22.1-9", "nginx-core"),
        ("moto[s3]==5.2.5", "moto"),
        ("@tus/server@2.4.5", "@tus/server"),
    ],
)
def test_the_name_of_a_pinned_package(pin, name):
    assert name_of(pin) == name


def test_the_relay_breaks_at_the_byte_and_then_lets_nobody_through_until_it_is_opened():
    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            with listener.accept()[0] as client, contextlib.suppress(ConnectionError):
                client.recv(100)
                client.sendall(b"x" * 300_000)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        relay = Relay(target=listener.getsockname()[1], cut=Cut(down=100_000), stay_closed=True)
        try:
            assert len(_fetched(relay.port)) == 100_000
            assert relay.broken.wait(10)
            assert _fetched(relay.port) == b""
            assert [each.down for each in relay.open()] == [100_000]
            assert len(_fetched(relay.port)) == 300_000
        finally:
            relay.close()
        thread.join()


def _fetched(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        got = b""
        try:
            client.sendall(b"GET")
            while piece := client.recv(65536):
                got += piece
        except ConnectionError:
            pass  # how a closed door looks when something was said to it
        return got


OLD, NEW = b"o" * 100, b"n" * 100
TOUCHED = b"o" * 30 + b"x" + b"o" * 50 + b"x" + b"o" * 18
MIXED = b"o" * 30 + b"n" * 70


@pytest.mark.parametrize(
    ("saved", "new", "told", "verdict"),
    [
        (NEW, NEW, True, trials.RESTARTED),
        (OLD, NEW, False, trials.OLD),
        (MIXED, NEW, False, trials.MIXTURE),
        (OLD[:60], NEW, False, trials.UNSEEN),
        (OLD[:60] + TOUCHED[60:], TOUCHED, False, trials.UNKNOWABLE),
        (OLD[:60] + TOUCHED[60:], TOUCHED, True, trials.MIXTURE),
    ],
)
def test_what_happened_is_judged_by_the_bytes_and_by_what_was_told(saved, new, told, verdict):
    before = Reply(status=200, fields=(("ETag", '"1"'),), body=OLD)
    after = Reply(status=200, fields=(("ETag", '"2"' if told else '"1"'),), body=new)
    assert trials.judge(saved, new, before, after, came=len(new)) == verdict


def test_the_tables_are_put_between_their_marks_and_the_text_around_them_stays(tmp_path: Path):
    document = tmp_path / "servers.md"
    document.write_text(
        f"before\n{table.BEGIN}\nwhat was there\n{table.END}\nafter\n", encoding="utf-8"
    )
    table.write(
        document,
        SETUPS,
        {"nginx": {"key": "nginx", "name": "nginx", "unavailable": "no such package"}},
    )
    text = document.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "- nginx: no such package" in text
    assert "what was there" not in text


@pytest.mark.parametrize(
    ("says", "verdict", "faults"),
    [
        ("yes", trials.RESUMED, 0),
        ("with care", trials.RESUMED, 0),
        ("no", trials.RESTARTED, 0),
        ("no", trials.RESUMED, 1),
        ("yes", trials.RESTARTED, 1),
        ("yes", trials.MIXTURE, 2),
    ],
)
def test_a_doctor_who_does_not_tell_what_happens_is_a_fault(says, verdict, faults):
    outcome = {"verdict": verdict, "again": 0, "words": "", "code": 0}
    found = table.faults({"key": "x", "doctor": [says, ""], "downloads": {"unchanged": outcome}})
    assert len(found) == faults
