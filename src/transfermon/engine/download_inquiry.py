"""What an attempt of a download asks, and what an answer means for the bytes that are stored.

Rule: the questions and the judgements are plain functions (`questions`, `evidence`, `resume`); here
they are asked and compared, and what was learnt is recorded.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from transfermon.engine.attempt import Attempt, shortened
from transfermon.engine.download_parts import DownloadParts
from transfermon.engine.task_calls import call_for_task
from transfermon.http import evidence, resume, retry
from transfermon.http.digests import Hashes
from transfermon.http.evidence import Judgement, ResumeVerdict
from transfermon.http.questions import Questions
from transfermon.model.errors import Code, TransferFailure
from transfermon.model.task import Evidence, Progress, Response, changed
from transfermon.storage.memory_file import memory_file
from transfermon.wire.answer import Answer
from transfermon.wire.call import Call

_AT_ONCE = 1 << 20  # bytes that are compared at a time


class Inquiry:
    """Made for one attempt."""

    def __init__(self, attempt: Attempt, parts: DownloadParts) -> None:
        self._attempt = attempt
        self._parts = parts
        self.questions = Questions(attempt.configuration.resume_policy)
        self._agreed: set[evidence.Place] = set()  # places that were compared in this attempt
        # the address that the answer at hand was asked of, in place of the one that was typed
        self._led = ""

    def __repr__(self) -> str:
        return f"<Inquiry {self.questions}>"

    # ---- asking

    def next(self) -> resume.Ask:
        return self.questions.next(self._attempt.task, self._parts.stored)

    def begin_again(self) -> None:
        """Another part is at hand: nothing that was found out of the last one holds for it."""
        self.questions = Questions(self._attempt.configuration.resume_policy)
        self._agreed.clear()

    async def open(self, asked: resume.Ask) -> Answer | None:
        """The answer to it; None where another question follows. Where a redirect led before is
        asked first, which costs no attempt: whatever it says that is no part of the file leads to
        the address that was typed at once.
        """
        engine = self._attempt.engine
        lines = engine.transport or await engine.lines()
        self._led = self.questions.address(self._attempt.task, asked)
        if self._led:
            with contextlib.suppress(TransferFailure):
                return await lines.open(
                    self._call(asked, resumes_at=self._led, strayed=self._attempt.task.strayed)
                )
            self.questions.led_astray()
            self._led = ""
        try:
            return await lines.open(self._call(asked))
        except TransferFailure as failure:
            if not asked.headers or failure.code != Code.CANNOT_PARSE_RESPONSE:
                raise
            self.questions.ask_plainly(failure.error.message, no_ranges=True)
            return None

    def _call(self, asked: resume.Ask, **more: Any) -> Call:
        attempt = self._attempt
        traces = attempt.new_traces()
        return call_for_task(
            attempt.engine,
            attempt.configuration,
            attempt.task,
            asked.headers,
            traces=traces,
            **more,
        )

    # ---- what an answer means

    def judge(self, asked: resume.Ask, stored: int, answer: Answer) -> Judgement | None:
        """None where another question follows. Raises TransferFailure where the attempt has
        failed.
        """
        task = self._attempt.task
        judgement = self.questions.judge(asked, stored, task, answer.response)
        verdict = judgement.verdict
        if self._led and verdict not in (ResumeVerdict.COMPARE, ResumeVerdict.COMPLETE):
            self.questions.led_astray()
            return None
        if verdict in (ResumeVerdict.PLAIN, ResumeVerdict.AGAIN):
            self._attempt.learn(self.questions.ask_again(judgement, task.evidence))
            return None
        if verdict is ResumeVerdict.STATUS:
            self._attempt.learn(
                self.questions.refused(asked, task.evidence, answer.response.status)
            )
            self._judge_status(answer)
        if verdict is ResumeVerdict.FAILED:
            raise TransferFailure(evidence.failure_of(judgement, task.url, answer.response.status))
        return judgement

    def _judge_status(self, answer: Answer) -> None:
        task, now = self._attempt.task, self._attempt.engine.now()
        since = task.making_since if task.making_since is not None else now
        policy = self._attempt.configuration.http_error_policy
        error = retry.judge_download(
            answer.response, policy, now=now, making_since=since, url=task.url
        )
        if error is not None:
            waits = since if error.status == retry.NOT_YET else task.making_since
            self._attempt.record(
                changed(
                    task,
                    response=shortened(answer.response),
                    making_since=waits if error.retryable else None,
                ),
                None,
            )
            raise TransferFailure(error)

    # ---- comparing

    async def places_agree(self, asked: resume.Ask) -> bool:
        """Compare what must be compared beside the end, each by a request of its own; False where
        another question follows.
        """
        if self._parts.part is None or not asked.overlap:
            return True
        places = await self._parts.on_disk(
            evidence.places, asked, self._parts.stored, self._parts.part.read
        )
        if places is None:
            self.questions.ask_plainly("There is nothing stored that could be compared.")
            return False
        for place in places:
            if place not in self._agreed:
                if not await self._place_agrees(asked, place):
                    return False
                self._agreed.add(place)
        return True

    async def _place_agrees(self, asked: resume.Ask, place: evidence.Place) -> bool:
        begin, size = place
        end = begin + size
        headers = {**asked.headers, "Range": f"bytes={begin}-{end - 1}"}
        probe = changed(
            asked, start=begin, overlap=size, headers=headers, places=max(asked.places, 1)
        )
        if (answer := await self.open(probe)) is None:
            return False
        try:
            judgement = self.judge(probe, end, answer)
            if judgement is None:
                return False
            if (
                judgement.verdict is ResumeVerdict.COMPARE
                and judgement.start + judgement.compare >= end
            ):
                if await self.bytes_agree(answer, judgement.start, end - judgement.start, None):
                    return True
                self.ask_plainly(evidence.CHANGED)
            else:
                self.ask_plainly(evidence.IGNORES_RANGES)
            return False
        finally:
            await answer.aclose()

    async def bytes_agree(
        self, answer: Answer, begin: int, length: int, hashes: Hashes | None
    ) -> bool:
        """Whether the next bytes of a body are those that are stored; nothing is written while in
        doubt (W13).

        Where the connection breaks in the middle, what was equal is remembered.
        """
        at, end = begin, begin + length
        while at < end:
            count = min(_AT_ONCE, end - at)
            stored = await self._parts.on_disk(self._parts.at_hand.read, at, count)
            came = Progress()
            with memory_file() as fd:
                try:
                    await answer.receive(fd, 0, came, length=count, hasher=hashes)
                    if os.pread(fd, count, 0) != stored:
                        return False
                except TransferFailure:
                    if os.pread(fd, came.received, 0) != stored[: came.received]:
                        return False
                    if end == self._parts.stored:
                        self._attempt.learn(
                            changed(self._attempt.task.evidence, compared=at + came.received)
                        )
                    raise
            at += count
        return True

    # ---- what became of it

    def ask_plainly(self, reason: str) -> None:
        """What was compared differs; an address that only a redirect named decides nothing."""
        if self._led:
            self.questions.led_astray()
        else:
            self.questions.ask_plainly(reason)

    def began_anew(self, response: Response) -> Evidence:
        """What is known while a whole answer is stored in a part of its own."""
        self._agreed.clear()
        known = self.questions.began_anew(self._attempt.task.evidence, response)
        return changed(known, mirrored=self._attempt.by_mirror)
