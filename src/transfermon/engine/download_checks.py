"""Whether what was received is what was expected, or announced.

Rule: a body that does not fit is thrown away and fetched again, once in a task's life; then the
download fails.
"""

from __future__ import annotations

from transfermon.engine.attempt import Attempt
from transfermon.engine.download_parts import DownloadParts
from transfermon.http import digests
from transfermon.http.digests import Hashes
from transfermon.model.errors import Code, TransferError, TransferFailure, redacted
from transfermon.model.events import DownloadResumedEvent
from transfermon.model.task import UNKNOWN, Activity, changed

_MIRRORED = "A mirror has another file; it is fetched again from the first address alone."
_WRONG_SUM = "the server's checksum does not fit"


class Checks:
    """Made for one attempt. `may_restart`: nothing was thrown away in an earlier one."""

    def __init__(self, attempt: Attempt, parts: DownloadParts, *, may_restart: bool) -> None:
        self._attempt = attempt
        self._parts = parts
        self._may_restart = may_restart
        self.restarted = False  # a body did not fit its digest and was thrown away
        # over the file from its first byte on, as far as it came in its order
        self.hashes: Hashes | None = None

    def __repr__(self) -> str:
        return f"<Checks {', '.join(self.wanted()) or 'without a digest'}>"

    def wanted(self) -> tuple[str, ...]:
        """The digests that the whole file must have."""
        task = self._attempt.task
        announced = task.validators.digests if task.validators is not None else ()
        return tuple(
            dict.fromkeys(digest for digest in (task.expected_digest, *announced) if digest)
        )

    async def file_is_right(self) -> bool:
        """Compare with the digests that the caller gave and the server announced (D-18, R-20);
        without any, with the sums that storage services send. False where the download starts over.
        """
        task = self._attempt.task
        wanted = self.wanted()
        for digest in wanted:
            if await self._found(digest) != digest:
                algorithm = digest.partition(":")[0]
                what = (
                    "expected one"
                    if digest == task.expected_digest
                    else "one that the server announced"
                )
                return await self._mismatch(f"The {algorithm} of the file is not the {what}.")
        for digest in task.validators.sums if task.validators is not None and not wanted else ():
            if (found := await self._found(digest)) != digest:
                return await self._sum_differs(found)
        return True

    async def body_is_right(self, hashes: Hashes | None, announced: tuple[str, ...]) -> bool:
        """Compare the body that came with its own Content-Digest (RFC 9530 §2). False as for
        `file_is_right`.
        """
        for digest in announced:
            algorithm, _, wanted = digest.partition(":")
            if hashes is not None and hashes.value(algorithm) != wanted:
                return await self._mismatch(
                    f"The {algorithm} of what arrived is not the one that the server announced."
                )
        return True

    async def _found(self, digest: str) -> str:
        """ "sha-256:HEX" of the file, in the algorithm of `digest`."""
        if self._attempt.task.activity is not Activity.VERIFYING:
            self._attempt.tell(Activity.VERIFYING)
        algorithm = digest.partition(":")[0]
        value, hashes, stored = None, self.hashes, self._parts.stored
        if hashes is not None and hashes.value(algorithm) is not None and hashes.count <= stored:
            if hashes.count < stored:  # what other connections brought
                await self._parts.on_disk(self._parts.at_hand.feed, hashes, stored)
            value = hashes.value(algorithm)
        if value is None:
            value = await self._parts.on_disk(
                self._parts.at_hand.digest, algorithm, self._parts.stored
            )
        return f"{algorithm}:{value}"

    async def _sum_differs(self, found: str) -> bool:
        """A sum that does not fit starts over, once. A second body with the sum of the first shows
        that it is the field that is wrong: the file is taken, and that is said.
        """
        task = self._attempt.task
        if task.evidence.mirrored:
            return await self._mismatch(_MIRRORED)
        if found == task.evidence.found_sum:
            self._attempt.record(
                changed(task, remark="; ".join(filter(None, (task.remark, _WRONG_SUM)))), None
            )
            return True
        reason = (
            f"The {found.partition(':')[0]} of the file is not the one that the server announced."
        )
        if task.evidence.found_sum:
            self._may_restart = False
            return await self._mismatch(reason)
        self._attempt.learn(changed(task.evidence, found_sum=found))
        await self._throw_away(reason)
        return False

    async def _mismatch(self, reason: str) -> bool:
        """Throw the file away and start over, once; then fail (D-18). Where mirrors have brought some
        of it, the first address is asked alone.
        """
        task = self._attempt.task
        if task.evidence.mirrored:
            known = changed(task.evidence, mirrored=False, one_connection=True)
            self._attempt.learn(known)
            await self._throw_away(f"{reason} {_MIRRORED}" if reason != _MIRRORED else reason)
            return False
        if self._may_restart:
            await self._throw_away(reason)
            return False
        await self._attempt.record(changed(task, **self._parts.without_part()), None)
        raise TransferFailure(
            TransferError(
                code=Code.BAD_SERVER_RESPONSE,
                message=reason,
                reason="srv.changed",
                hint="Check the expected value, or ask who published it.",
                url=redacted(task.url),
            )
        )

    async def _throw_away(self, reason: str) -> None:
        """What is stored is no beginning of the file. The next request is a new attempt, from zero
        (D-18).
        """
        self.restarted, self._may_restart = True, False
        task = self._attempt.task
        attempt, restarts = task.attempt + 1, task.restarts + 1
        self._attempt.progress.attempt = attempt
        self._attempt.announced = True
        event = DownloadResumedEvent(file_offset=0, expected_total_bytes=UNKNOWN, reason=reason)
        changes = self._parts.without_part()
        await self._parts.discard_unwanted()
        await self._attempt.record(
            changed(task, attempt=attempt, restarts=restarts, **changes), event
        )


def hashes_for(*wanted: str) -> Hashes | None:
    """What computes the digests of that kind, while bytes arrive; None where nobody wants one."""
    names = digests.algorithms(wanted)
    return Hashes(names) if names else None
