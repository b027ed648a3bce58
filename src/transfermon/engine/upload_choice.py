"""Which way an upload goes: whole, or by which resumable protocol.

Rule: what an answer means is decided in `probing`; here it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

from transfermon.engine.attempt import shortened
from transfermon.engine.upload_attempt import UploadAttempt
from transfermon.http.upload_protocols import failures, probing, registry
from transfermon.http.upload_protocols.versions import questions_for
from transfermon.model import upload_protocol
from transfermon.model.errors import TransferFailure
from transfermon.model.task import PLAIN_UPLOAD, Kind, changed
from transfermon.model.upload_protocol import PLAIN
from transfermon.wire.call import TAKEOVER


class ProtocolChoice:
    """Of one attempt."""

    def __init__(self, attempt: UploadAttempt) -> None:
        self._attempt = attempt

    def __repr__(self) -> str:
        return f"<ProtocolChoice of {self._attempt}>"

    async def protocol(self) -> str:
        """Decided once, and recorded: what a pause costs must be known before it (U-14). What
        trouble decided is not recorded, so that the next attempt asks again.
        """
        task = self._attempt.task
        if task.upload is not None:
            return task.upload.protocol
        if task.protocol:
            return task.protocol
        finding = await self._found() if self.offers_more else probing.Finding(protocol=PLAIN)
        if finding.error is not None:
            if finding.answer is not None:
                self._attempt.record(
                    changed(self._attempt.task, response=shortened(finding.answer)), None
                )
            raise TransferFailure(finding.error)
        plain = finding.protocol == PLAIN
        protocol = finding.protocol if finding.sure else ""
        self._attempt.record(
            changed(
                self._attempt.task, protocol=protocol, not_resumable=PLAIN_UPLOAD if plain else ""
            ),
            None,
        )
        return finding.protocol

    @property
    def offers_more(self) -> bool:
        """Whether there is anything to win by asking, and by a protocol's fields in a request
        with the whole body.
        """
        return self.is_open and self._attempt.size > TAKEOVER

    @property
    def is_open(self) -> bool:
        """Whether the way is ours to choose."""
        task = self._attempt.task
        return (
            self._attempt.file is not None
            and task.kind is Kind.UPLOAD
            and not upload_protocol.decided(task.wanted_protocol)
        )

    async def _found(self) -> probing.Finding:
        """Ask the server, once, and again in other versions where they may be what it speaks."""
        assert self._attempt.file is not None
        task, spoken = self._attempt.task, self._attempt.engine.spoken_versions
        questions: list[Mapping[str, str]] = [*questions_for(task.url, spoken)]
        found = await self.probe(questions.pop(0))
        if found.named:  # it is for another version, and says for which
            questions = [found.named]
        elif not found.others:
            questions = []
        while questions and found.protocol == PLAIN:
            found = await self.probe(questions.pop(0))
        protocol = registry.find_protocol(found.protocol)
        if protocol is not None:
            spoken.heard(task.url, protocol, found.version)
            if self._attempt.file.size < found.limits.min_size:
                return probing.Finding(protocol=PLAIN)
        if error := failures.too_large(self._attempt.file.size, found.limits, task.url):
            raise TransferFailure(error)
        return found

    async def probe(self, question: Mapping[str, str]) -> probing.Finding:
        """Ask for protocols, each by its name in a version."""
        task = self._attempt.task
        try:
            answer = await self._attempt.lines.head(
                "OPTIONS", task.url, probing.probe_fields(question)
            )
        except TransferFailure as failure:
            if (finding := probing.judge_failure(failure.error)) is not None:
                return finding
            raise
        return probing.judge_options(
            answer, question, now=self._attempt.engine.now(), attempt=task.attempt
        )
