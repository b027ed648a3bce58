"""What a server can do with an upload, found out before its first byte: the answers to OPTIONS, and
what is remembered.

Rule: an answer to the probe is judged like any other. Trouble in the server or with a login says
nothing about what it can do, so nothing is remembered of it.
"""

from __future__ import annotations

from dataclasses import field
from urllib.parse import urlsplit

from transfermon.http import retry
from transfermon.http.upload_protocols.rules import Limits, integer, limits, version_of
from transfermon.model.errors import Code, Retry, TransferError
from transfermon.model.record import record
from transfermon.model.task import Response, changed
from transfermon.model.upload_protocol import IETF, INTEROP, PLAIN, TUS, VERSIONS

PATIENCE = 3  # attempts that trouble at the probe may end; then the upload goes without an answer
_PARTIAL = "application/partial-upload"
_TROUBLE = frozenset({401, 407, 408, 425, 429, 502, 503, 504, 511, *range(520, 528), 530})
# besides 2xx: the server has looked at the method or the address
_SURE = frozenset({400, 404, 405, 410, 501})
# refusals of a plain upload that leave tus to be asked for
NOT_THIS_WAY = frozenset({404, 405, 412, 415, 501})
# A server that cannot answer the question can still take a file.
_NO_SUPPORT = frozenset(
    {
        Code.CONNECTION_LOST,
        Code.TIMED_OUT,
        Code.CANNOT_PARSE_RESPONSE,
        Code.TOO_MANY_REDIRECTS,
        Code.REDIRECT_WITHOUT_TARGET,
        Code.INSECURE_LOAD_REFUSED,
    }
)


@record
class Finding:
    """What the probe brought. PLAIN says only that nothing else was found; "" that there was
    trouble.
    """

    protocol: str
    # of the draft, that the server speaks; with PLAIN: that it names, so that it can be asked again
    version: str = ""
    limits: Limits = field(default_factory=Limits)
    sure: bool = True  # whether it may be remembered
    others: bool = False  # it answered well, but perhaps only for this version
    error: TransferError | None = None
    answer: Response | None = None  # what the error is made of


def probe(version: str = INTEROP) -> dict[str, str]:
    """The headers of an OPTIONS request."""
    return {"Upload-Draft-Interop-Version": version}


def judge(answer: Response, asked: str, *, now: float, attempt: int = 1) -> Finding:
    """What the answer to OPTIONS means, which was asked under the interop version `asked` in that
    attempt.
    """
    if answer.status in _TROUBLE:
        error = retry.judge_status(answer, "status", now=now, url=answer.url)
        if error is not None and answer.status >= 520:
            # of a proxy whose server is not there at the moment
            error = changed(error, retry=Retry.RETRY)
        if error is not None and (attempt <= PATIENCE or not error.retryable):
            return Finding(protocol="", sure=False, error=error, answer=answer)
        return Finding(protocol=PLAIN, sure=False)
    named = version_of(answer)
    succeeded = 200 <= answer.status < 300
    if succeeded:
        patches = {
            part.partition(";")[0].strip().lower()
            for part in answer.header("Accept-Patch").split(",")
        }
        told = answer.header("Upload-Limit")
        if told or _PARTIAL in patches:
            return Finding(protocol=IETF, version=named or asked, limits=limits(told))
        if _speaks_tus(answer):
            return Finding(
                protocol=TUS, limits=Limits(max_size=integer(answer.header("Tus-Max-Size")) or 0)
            )
    again = named if named != asked else ""
    return Finding(
        protocol=PLAIN,
        version=again,
        sure=succeeded or answer.status in _SURE,
        others=succeeded and not named,
    )


def judge_failure(error: TransferError) -> Finding | None:
    """What a probe without an answer means; None: the failure is the attempt's."""
    return Finding(protocol=PLAIN, sure=False) if error.code in _NO_SUPPORT else None


def _speaks_tus(answer: Response) -> bool:
    versions = {part.strip() for part in answer.header("Tus-Version").split(",")}
    if "1.0.0" not in versions | {answer.header("Tus-Resumable").strip()}:
        return False
    extensions = {part.strip().lower() for part in answer.header("Tus-Extension").split(",")} - {""}
    return not extensions or "creation" in extensions


class Interops:
    """Which interop version of the draft hosts speak, for as long as the engine lives.

    A host that was not heard yet is asked in another version each time: it would not answer for one
    that is not its own.
    """

    def __init__(self) -> None:
        self._speaks: dict[str, str] = {}
        self._asked: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Interops of {len(self._speaks)} hosts>"

    def order(self, url: str) -> tuple[str, ...]:
        """All versions, the likeliest first."""
        first = self.next(url)
        return (first, *(version for version in VERSIONS if version != first))

    def next(self, url: str) -> str:
        """The version of the next request."""
        host = _host(url)
        return self._speaks.get(host) or VERSIONS[self._asked.get(host, 0) % len(VERSIONS)]

    def heard(self, url: str, version: str) -> None:
        """The host has answered in that version."""
        self._speaks[_host(url)] = version

    def silent(self, url: str, version: str) -> None:
        """A request in that version was answered as if there were no draft, or not at all."""
        host = _host(url)
        if self._speaks.get(host) == version:
            del self._speaks[host]
        if VERSIONS[self._asked.get(host, 0) % len(VERSIONS)] == version:
            self._asked[host] = self._asked.get(host, 0) + 1


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"
