"""What a server can do with an upload, found out before its first byte: the answers to OPTIONS.

Rule: an answer to the probe is judged like any other. Trouble in the server or with a login says
nothing about what it can do, so nothing is remembered of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from transfermon.http import retry
from transfermon.http.upload_protocols import registry
from transfermon.http.upload_protocols.fields import Limits
from transfermon.model.errors import Code, Retry, TransferError
from transfermon.model.record import record
from transfermon.model.task import Response, changed
from transfermon.model.upload_protocol import PLAIN

PATIENCE = 3  # attempts that trouble at the probe may end; then the upload goes without an answer
_TROUBLE = frozenset({401, 407, 408, 425, 429, 502, 503, 504, 511, *range(520, 528), 530})
# besides 2xx: the server has looked at the method or the address
_SURE = frozenset({400, 404, 405, 410, 501})
# refusals of a plain upload that leave a protocol without whole bodies to be asked for
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
    version: str = ""  # that the server speaks
    # with PLAIN: what it names by itself, as a question that it can be asked
    named: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    sure: bool = True  # whether it may be remembered
    others: bool = False  # it answered well, but perhaps only for these versions
    error: TransferError | None = None
    answer: Response | None = None  # what the error is made of


def probe_fields(question: Mapping[str, str]) -> dict[str, str]:
    """The fields of an OPTIONS request that asks for protocols, each by its name in a version."""
    found: dict[str, str] = {}
    for protocol in registry.RESUMABLE:
        if protocol.name in question:
            found |= protocol.probe_fields(question[protocol.name])
    return found


def first_question() -> dict[str, str]:
    """All protocols, each in its newest version."""
    return {protocol.name: protocol.versions[0] for protocol in registry.RESUMABLE}


def judge_options(
    answer: Response, question: Mapping[str, str], *, now: float, attempt: int = 1
) -> Finding:
    """What the answer to OPTIONS means, which asked that question in that attempt."""
    if answer.status in _TROUBLE:
        error = retry.judge_status(answer, "status", now=now, url=answer.url)
        if error is not None and answer.status >= 520:
            # of a proxy whose server is not there at the moment
            error = changed(error, retry=Retry.RETRY)
        if error is not None and (attempt <= PATIENCE or not error.retryable):
            return Finding(protocol="", sure=False, error=error, answer=answer)
        return Finding(protocol=PLAIN, sure=False)
    succeeded = 200 <= answer.status < 300
    for protocol in registry.RESUMABLE if succeeded else ():
        asked = question.get(protocol.name, protocol.versions[0])
        if (found := protocol.recognised(answer, asked)) is not None:
            return Finding(protocol=protocol.name, version=found.version, limits=found.limits)
    named = {
        protocol.name: version
        for protocol in registry.RESUMABLE
        if (version := protocol.version_in(answer))
    }
    return Finding(
        protocol=PLAIN,
        named={name: version for name, version in named.items() if question.get(name) != version},
        sure=succeeded or answer.status in _SURE,
        others=succeeded and not named,
    )


def judge_failure(error: TransferError) -> Finding | None:
    """What a probe without an answer means; None: the failure is the attempt's."""
    return Finding(protocol=PLAIN, sure=False) if error.code in _NO_SUPPORT else None
