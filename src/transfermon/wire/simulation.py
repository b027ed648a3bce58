"""A bad network to order, for developers: what is simulated now, as plain values and in words.

Rule: nothing here acts and nothing here is kept. An engine begins with `NONE`; connections, limits
and the wait for a network each ask the one value that the engine holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from transfermon.model.record import record
from transfermon.model.translate import in_english, tr

MARK = "~"  # between a server's entity tag and the number of the version that is pretended


@record
class Profile:
    """A slow line. The rate is that of both directions together."""

    name: str
    rate: int  # bytes per second
    latency: float  # seconds of a round trip: once for a connection, once for each request


PROFILES = (
    Profile(name="GPRS", rate=6_000, latency=0.5),
    Profile(name="EDGE", rate=30_000, latency=0.4),
    Profile(name="3G", rate=200_000, latency=0.2),
    Profile(name="Slow 4G", rate=800_000, latency=0.1),
    Profile(name="Wi-Fi far away", rate=300_000, latency=0.05),
)


def profile_named(name: str) -> Profile | None:
    """By its name, whatever its case and the signs between words; None for "none". ValueError names
    those there are.
    """
    wanted = _bare(name)
    if wanted == "none":
        return None
    found = next((profile for profile in PROFILES if _bare(profile.name) == wanted), None)
    if found is None:
        raise ValueError(
            f"there is no profile “{name}”, only {', '.join(profile.name for profile in PROFILES)}"
        )
    return found


@record
class Simulation:
    """What the network pretends. Raises ValueError for what no network does."""

    offline: bool = False
    profile: Profile | None = None
    loss: float = 0.0  # the chance of a connection to break, at each request and in each second
    status: int = 0  # the answer to every request, without asking any server; 0: the servers' own
    answers: int = 0  # how often it is still given; 0: until it is switched off
    version: int = 0  # of all files with an entity tag: each number is another one; 0: as they are

    def __post_init__(self) -> None:
        if not 0 <= self.loss <= 1:
            raise ValueError("the loss is a share of 0 to 100 per cent")
        if self.status and not 400 <= self.status <= 599:
            raise ValueError("only answers from 400 to 599 can be simulated")
        if self.answers < 0:
            raise ValueError("the number of answers cannot be negative")

    @property
    def on(self) -> bool:
        return self is not NONE and self != NONE  # asked of every request

    @property
    def rate(self) -> int:
        """Bytes per second; 0: as fast as it goes."""
        return self.profile.rate if self.profile else 0

    @property
    def latency(self) -> float:
        return self.profile.latency if self.profile else 0.0

    @property
    def words(self) -> str:
        """ "3G, 5 % lost"; "" when nothing is simulated."""
        parts = [
            tr("offline") if self.offline else "",
            self.profile.name if self.profile else "",
            tr("{share:.3g} % lost").format(share=self.loss * 100) if self.loss else "",
            _answers(self.status, self.answers) if self.status else "",
            tr("ETags changed") if self.version else "",
        ]
        return ", ".join(part for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        with in_english():
            words = self.words
        return {
            "on": self.on,
            "words": words,
            "offline": self.offline,
            "profile": self.profile.name if self.profile else None,
            "loss": round(self.loss * 100, 6),
            "answer": self.status,
            "count": self.answers,
            "version": self.version,
        }

    def answered(self) -> Simulation:
        """After one of the counted answers was given."""
        if not self.answers:
            return self
        left = self.answers - 1
        return replace(self, answers=left, status=self.status if left else 0)

    def next_version(self) -> Simulation:
        """All files change now."""
        return replace(self, version=self.version + 1)

    def asks(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """The fields of a request as the server may see them: it knows its own entity tag only, and
        a range of a version that is gone cannot be asked for.
        """
        given = tuple(headers)
        condition = next((value for name, value in given if name.lower() == "if-range"), None)
        if condition is None or not condition.endswith('"'):
            return given
        tag, mark, number = condition[:-1].rpartition(MARK)
        if mark and number == str(self.version):
            return tuple(
                (name, f'{tag}"' if name.lower() == "if-range" else value) for name, value in given
            )
        return tuple(
            (name, value) for name, value in given if name.lower() not in ("range", "if-range")
        )

    def answer(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """The fields of an answer with the entity tag of the version that is pretended."""
        return tuple(
            (name, self._tag(value) if name.lower() == "etag" else value) for name, value in headers
        )

    def _tag(self, value: str) -> str:
        return f'{value[:-1]}{MARK}{self.version}"' if value.endswith('"') else value


NONE = Simulation()


def slower(one: int, other: int) -> int:
    """The lower of two rates, of which 0 is none at all."""
    return min(one, other) if one and other else one or other


def _answers(status: int, count: int) -> str:
    if not count:
        return tr("answers {status}").format(status=status)
    return tr("answers {status} %n times", "answers {status} once", count).format(status=status)


def _bare(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())
