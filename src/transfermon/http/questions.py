"""What one attempt of a download asks, question after question, until an answer brings bytes.

Rule: no dead ends. Every answer to a question for the rest that cannot be used leads to a question
that asks less: at the address that was typed in place of the one that answered last, without a
condition, with more places compared, and in the end plainly. So an attempt asks a handful of
questions at most, and the last of them is the one that a browser would ask. No I/O here.
"""

from __future__ import annotations

from transfermon.http import evidence, resume
from transfermon.http.evidence import Judgement, ResumeVerdict
from transfermon.model.task import Evidence, Response, Task, changed


class Questions:
    """Made for one attempt. `next` gives the question; what became of it is told by the other
    methods.
    """

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self._plain = ""  # why the file is asked for as a whole
        self._suspects_ranges = False
        self._interrupted = True
        self._conditional = True
        self._places = 0
        self._doubts: tuple[str, ...] = ()
        self._straight = True  # whether the address that answered last may be asked

    def __repr__(self) -> str:
        return f"<Questions {self._plain or 'by range'}>"

    def next(self, task: Task, stored: int) -> resume.Ask:
        plain = self._plain
        if (
            not plain
            and stored
            and task.evidence.no_ranges in (_host(task.url), _host(task.current_url))
        ):
            plain = evidence.NO_RANGES
        if plain:
            return resume.Ask(start=0, why_not=plain if stored else "")
        return resume.ask(
            stored,
            task.validators,
            self._policy,
            evidence=self._believed(task),
            interrupted=self._interrupted,
            conditional=self._conditional,
            places=self._places,
        )

    def address(self, task: Task, asked: resume.Ask) -> str:
        """The address that answered last, where it is another than the one that was typed and may
        be asked first.
        """
        return (
            task.current_url
            if self._straight and asked.headers and task.current_url != task.url
            else ""
        )

    def judge(self, asked: resume.Ask, stored: int, task: Task, response: Response) -> Judgement:
        return evidence.judge(
            asked, stored, task.validators, response, self._policy, self._believed(task)
        )

    def _believed(self, task: Task) -> Evidence:
        if not self._doubts:
            return task.evidence
        ignored = tuple(dict.fromkeys((*task.evidence.ignored, *self._doubts)))
        return changed(task.evidence, ignored=ignored)

    # ---- what became of the question

    def led_astray(self) -> None:
        """The address that answered last has no use: from now on the one that was typed is
        asked.
        """
        self._straight = False

    def ask_plainly(self, reason: str, *, no_ranges: bool = False) -> None:
        self._plain, self._suspects_ranges = reason, no_ranges

    def ask_again(self, judgement: Judgement, known: Evidence) -> Evidence:
        """The answer was PLAIN or AGAIN: what is learnt from it."""
        if judgement.verdict is ResumeVerdict.PLAIN:
            self.ask_plainly(judgement.reason, no_ranges=judgement.no_ranges)
        else:
            self._interrupted = True
            self._conditional = self._conditional and judgement.conditional
            self._places = max(self._places, judgement.places)
        if not judgement.doubt:
            return known
        if judgement.verdict is ResumeVerdict.AGAIN:
            self._doubts = (*self._doubts, judgement.doubt)
            return known
        return changed(
            known, contradicted=tuple(dict.fromkeys((*known.contradicted, judgement.doubt)))
        )

    def agreed(self, known: Evidence) -> Evidence:
        """What was compared is equal."""
        return changed(
            known,
            compared=0,
            refused=0,
            refusals=0,
            ignored=tuple(dict.fromkeys((*known.ignored, *self._doubts))),
        )

    def ended_well(self) -> None:
        """The answer brought what it had announced: what follows is no continuation after an
        interruption.
        """
        self._interrupted = False

    def began_anew(self, known: Evidence, response: Response) -> Evidence:
        """A whole answer is being stored in a part of its own."""
        found = resume.host_of(response.url) if self._suspects_ranges else known.no_ranges
        self._plain, self._suspects_ranges = "", False
        self._interrupted = self._conditional = True
        return changed(
            known, brought=0, compared=0, refused=0, refusals=0, no_ranges=found, mirrored=False
        )

    def refused(self, asked: resume.Ask, known: Evidence, status: int) -> Evidence:
        """The server answered with an error."""
        if not asked.headers:
            return changed(known, refused=0, refusals=0) if known.refusals else known
        return changed(
            known, refused=status, refusals=known.refusals + 1 if known.refused == status else 1
        )


def _host(url: str) -> str:
    return resume.host_of(url) or "-"
