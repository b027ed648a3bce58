"""What the table of speed says follows from what was measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.contest import BEFORE, THIS, Claim, Contest
from benchmarks.peers import Peer
from benchmarks.table import BEGIN, END, write_document

ROOT = Path(__file__).resolve().parents[2]
TIME = Claim(
    words="time against curl",
    figure="seconds",
    against="curl",
    quicker=True,
    floor=0.5,
    goal=1.0,
    stretch=2.0,
)


def runs(**seconds: list[float]):
    return {name: [{"seconds": value} for value in values] for name, values in seconds.items()}


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds():
    # the machine is three times slower in the last round, for both
    measured = runs(this=[1.0, 1.0, 3.0], curl=[1.2, 1.1, 3.9])
    assert TIME.value(measured, THIS) == pytest.approx(1.2)


def test_a_program_that_ran_once_is_compared_by_its_median():
    assert TIME.value(runs(this=[1.0, 2.0, 3.0], curl=[4.0]), THIS) == pytest.approx(2.0)


def test_a_program_that_was_not_run_gives_no_ratio():
    assert TIME.value(runs(this=[1.0]), THIS) is None
    assert TIME.value(runs(curl=[1.0]), THIS) is None


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.49, "MISSED"), (0.5, "floor"), (1.5, "goal"), (2.0, "stretch")]
)
def test_more_is_better_where_it_says_how_much_quicker(value, verdict):
    assert TIME.verdict(value) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(71, "MISSED"), (70, "floor"), (55, "goal")])
def test_less_is_better_for_a_share_and_for_memory(value, verdict):
    claim = Claim(words="peak memory", figure="peak", floor=70, goal=55)
    assert claim.verdict(value) == verdict


def test_a_busy_core_may_have_marks_of_its_own():
    claim = replace(TIME, floor=1.2, goal=1.6, stretch=2.0, busy=(0.9, 1.0))
    assert claim.under("free").verdict(1.1) == "MISSED"
    assert claim.under("busy").verdict(1.1) == "goal"
    assert claim.under("busy").marks == "0.90x; 1.00x"
    assert TIME.under("busy") == TIME


def test_a_share_is_ours_of_theirs():
    claim = Claim(words="CPU", figure="seconds", against=BEFORE, floor=0.35)
    assert claim.value(runs(this=[1.0, 1.0], before=[4.0, 2.0]), THIS) == pytest.approx(1 / 3)


def test_rounds_rotate_and_a_slow_program_runs_once():
    ran: list[str] = []

    def figures(peer: Peer):
        ran.append(peer.name)
        return {"seconds": 1.0}

    peers = [Peer(name=name, command=["true"], prepare=lambda: None) for name in ("a", "b", "c")]
    contest = Contest(
        name="x", words="x", peers=peers, claims=[], slow=frozenset({"c"}), figures=figures
    )
    found = contest.run(3)
    assert ran == ["a", "b", "a", "b", "c", "b", "a", "a", "b"]
    assert {name: len(some) for name, some in found.items()} == {"a": 3, "b": 3, "c": 1}


def test_the_document_has_room_for_the_table_and_the_rest_of_it_stays(tmp_path: Path):
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert text.index(BEGIN) < text.index(END)
    path = tmp_path / "document.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    about = {"date": "d", "commit": "c", "cores": "2", "processor": "p", "memory": "m"}
    contest = Contest(name="x", words="one file", peers=[], claims=[TIME])
    result = contest.result(runs(this=[1.0], curl=[1.5], before=[3.0]))
    result["programs"] = {}
    slower = contest.result(runs(this=[5.0], curl=[1.5]), "busy")
    measured = {
        "machine": {**about, "kernel": "k", "python": "3"},
        "before": "0",
        "free": {
            "list": json.loads(json.dumps(result)),
            "lossy": {"name": "lossy", "why_not": "needs root"},
        },
        "busy": {"list": slower},
    }
    write_document(path, measured)
    found = path.read_text(encoding="utf-8")
    assert found.startswith(f"before\n{BEGIN}\n")
    assert found.endswith(f"{END}\nafter\n")
    assert "old" not in found
    assert (
        "| time against curl | 0.50x | 1.50x | 0.30x | 0.50x; 1.00x; 2.00x | goal (busy: MISSED) |"
    ) in found
    assert "| lossy | | not measured: needs root |" in found
    assert "| put | | not measured: not in this run |" in found
