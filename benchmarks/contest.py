"""A contest: programs that do the same work in turn, and what is claimed of their figures.

Rule: a run is a whole process unless the contest measures otherwise. Rounds are interleaved and the
order rotates; a ratio is the median of the ratios of the rounds, so it survives a machine that is
slower now than before.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.peers import Peer, measure

THIS, BEFORE = "this", "before"
Figures = Mapping[str, float]


def whole_process(peer: Peer) -> Figures:
    run = measure(peer)
    return {"seconds": run.seconds, "cpu": run.cpu, "peak": run.peak / 1e6}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One line of the table: a figure of ours, alone or against another program's.

    `quicker`: the other's figure divided by ours, and floor and goal are the least it may be. Else
    ours divided by the other's, or ours alone, and they are the most it may be.
    """

    words: str
    figure: str  # "seconds", "cpu", "peak" (MB) or what the contest measures
    against: str = ""  # a program's name; "" for the figure alone
    quicker: bool = False
    floor: float = 0.0  # 0: none
    goal: float = 0.0
    stretch: float = 0.0
    of: str = THIS  # whose figure it is, where the contest runs ours in several ways
    busy: tuple[float, float] | None = None  # floor and goal with one core busy, where they differ

    def under(self, load: str) -> Claim:
        """With the marks that hold while the machine is "free" or "busy"."""
        if load != "busy" or self.busy is None:
            return self
        floor, goal = self.busy
        return replace(self, floor=floor, goal=goal, stretch=0.0)

    def value(self, runs: Mapping[str, Sequence[Figures]], of: str) -> float | None:
        """None where one of the two programs was not run."""
        ours, theirs = runs.get(of), runs.get(self.against)
        if not ours or (self.against and not theirs):
            return None
        if not theirs:
            return statistics.median(run[self.figure] for run in ours)
        if len(ours) != len(theirs):  # one of them is too slow for each round
            middle = [
                statistics.median(run[self.figure] for run in some) for some in (theirs, ours)
            ]
            ratio = middle[0] / middle[1]
        else:
            pairs = zip(ours, theirs, strict=True)
            ratio = statistics.median(their[self.figure] / our[self.figure] for our, their in pairs)
        return ratio if self.quicker else 1 / ratio

    def verdict(self, value: float) -> str:
        def holds(mark: float) -> bool:
            return value >= mark if self.quicker else value <= mark

        for name, mark in (("stretch", self.stretch), ("goal", self.goal), ("floor", self.floor)):
            if mark and holds(mark):
                return name
        return "MISSED" if self.floor else ""

    def shown(self, value: float) -> str:
        return f"{value:.2f}x" if self.against else f"{value:.3g}"

    @property
    def marks(self) -> str:
        marks = [mark for mark in (self.floor, self.goal, self.stretch) if mark]
        return "; ".join(self.shown(mark) if self.against else f"{mark:g}" for mark in marks)


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Programs and claims. `before` of a claim is looked up among the programs by its name."""

    name: str
    words: str
    peers: Sequence[Peer]
    claims: Sequence[Claim]
    slow: frozenset[str] = field(default=frozenset())  # peers that run once only
    figures: Callable[[Peer], Figures] = whole_process

    def run(self, rounds: int) -> dict[str, list[Figures]]:
        """Raises RuntimeError when a program fails: a quick failure must not look like speed."""
        present = [peer for peer in self.peers if peer.available]
        for peer in present:
            if peer.name not in self.slow:
                self.figures(peer)  # once for the caches
        runs: dict[str, list[Figures]] = {peer.name: [] for peer in present}
        for number in range(rounds):
            turn = number % len(present)
            for peer in present[turn:] + present[:turn]:
                if number == 0 or peer.name not in self.slow:
                    runs[peer.name].append(self.figures(peer))
        return runs

    def result(self, runs: Mapping[str, Sequence[Figures]], load: str = "free") -> dict[str, Any]:
        """What goes into the JSON: the medians of each program, and each claim with its value."""
        medians = {
            name: {key: round(statistics.median(run[key] for run in found), 4) for key in found[0]}
            for name, found in runs.items()
        }
        claims = []
        for claim in (one.under(load) for one in self.claims):
            value, before = claim.value(runs, claim.of), claim.value(runs, BEFORE)
            if claim.against == BEFORE:
                before = None  # it would be 1
            claims.append(
                {
                    "words": claim.words,
                    "marks": claim.marks,
                    "value": None if value is None else claim.shown(value),
                    "verdict": "not measured" if value is None else claim.verdict(value),
                    "before": None if before is None else claim.shown(before),
                }
            )
        rounds = max(len(found) for found in runs.values())
        return {
            "name": self.name,
            "words": self.words,
            "rounds": rounds,
            "once": sorted(self.slow & set(runs)),
            "missing": [peer.name for peer in self.peers if peer.name not in runs],
            "programs": medians,
            "claims": claims,
        }


@contextlib.contextmanager
def a_busy_core() -> Iterator[None]:
    """Something else that always wants to run, for as long as the block lasts."""
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        spinning.kill()
        spinning.wait()
