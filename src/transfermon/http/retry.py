"""Whether and when to try again (X-07 to X-09).

Rule: nothing here looks at a clock or rolls a die by itself; `now` and `random` are passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from transfermon.http import challenges
from transfermon.http.dates import http_date
from transfermon.model.configuration import RetryPolicy
from transfermon.model.errors import Code, Retry, TransferError, redacted
from transfermon.model.task import Response, changed

LONGEST_WAIT = (
    10 * 365 * 86400.0
)  # seconds; a Retry-After beyond it is cut, the resource timeout ends the task long before

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})  # RFC 9110 §9.2.2
# the server says that it has not begun with the request
_UNTOUCHED = frozenset({408, 425, 429, 503})
_RETRY = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 528), 530})
NOT_YET = 202
NO_FILE = frozenset({NOT_YET, 204, 205})  # successes that bring no file
LONGEST_MAKING = 3600.0  # seconds in all for which a file that is not made yet is waited for
_RESTART = frozenset({412})
_WORDS = {
    202: "the file is not ready yet",
    204: "there is no file at this address",
    205: "there is no file at this address",
    400: "it could not read the request",
    401: "a user name and password are needed",
    403: "access is not allowed",
    404: "not found",
    405: "the method is not allowed here",
    406: "it has no acceptable form of the file",
    407: "a user name and password are needed",
    408: "it waited too long for the request",
    409: "conflict with the state of the resource",
    410: "gone for good",
    411: "the length is missing",
    412: "the file has changed",
    413: "too large for this server",
    414: "the address is too long",
    415: "this type is not accepted",
    416: "the requested part does not exist",
    421: "sent to the wrong server",
    422: "it cannot process the content",
    423: "locked",
    425: "too early",
    426: "another protocol is required",
    428: "a condition is required",
    429: "too many requests",
    431: "the request headers are too large",
    451: "not available for legal reasons",
    500: "an error in the server",
    501: "not supported by the server",
    502: "a server behind it does not work",
    503: "not available at the moment",
    504: "a server behind it does not answer",
    505: "this version of HTTP is not supported",
    507: "the server has no space left",
    508: "a loop in the server",
    511: "this network wants you to sign in",
    520: "a server behind it answered something odd",
    521: "a server behind it is down",
    522: "a server behind it does not answer",
    523: "a server behind it cannot be reached",
    524: "a server behind it takes too long",
    525: "a server behind it could not be spoken to securely",
    526: "a server behind it has a certificate that is not valid",
    527: "the connection to a server behind it broke",
    530: "a server behind it cannot be found",
}
_REASONS = {401: "srv.auth", 403: "srv.forbidden", 407: "net.proxy-auth"}
_HINTS = {
    401: "Give a user name and password, or a token, and try again.",
    403: "Check the address, or whether you need to sign in.",
    404: "Check the address.",
    407: "Try again and give the proxy's user name and password.",
    410: "The file was removed; ask for a new address.",
    413: "Send a smaller file.",
    429: "Wait a while; the server limits how often it may be asked.",
    511: "Open a web page in a browser to sign in.",
}


def retry_after(value: str, now: float) -> float | None:
    """Seconds to wait by a `Retry-After` field (RFC 9110 §10.2.3): 0.0 for a date that is past,
    None for junk.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:20]), LONGEST_WAIT)
    when = http_date(text) if text else None
    return None if when is None else min(max(0.0, when - now), LONGEST_WAIT)


def judge_status(
    response: Response, policy: str, *, now: float, url: str = ""
) -> TransferError | None:
    """The failure that an HTTP status means, or None.

    Under the policy "status" 400 and above is -1011, 401 and 407 are -1013; under "transport" no
    status is a failure (D-10). `url` is named where the response has none.
    """
    status = response.status
    if status < 400 or policy == "transport":
        return None
    retry = (
        Retry.RETRY if status in _RETRY else Retry.RESTART if status in _RESTART else Retry.FINAL
    )
    proxy = (
        f"The proxy at {response.by_proxy}"
        if response.by_proxy
        else "The proxy"
        if status == 407
        else ""
    )
    asks = {
        401: response.header("WWW-Authenticate"),
        407: response.header("Proxy-Authenticate"),
    }.get(status, "")
    return TransferError(
        code=Code.AUTHENTICATION_REQUIRED if status in (401, 407) else Code.BAD_SERVER_RESPONSE,
        message=f"{proxy or 'The server'} answered {status}: {_WORDS.get(status) or _family(status)}.",
        reason=_REASONS.get(status, f"srv.http-{status}"),
        hint=challenges.login_hint(status, asks)
        or _HINTS.get(status)
        or ("" if retry is not Retry.FINAL else "Check the address, or ask its owner."),
        url=redacted(response.url or url),
        status=status,
        retry=retry,
        retry_after=retry_after(response.header("Retry-After"), now)
        if retry is Retry.RETRY
        else None,
    )


def judge_download(
    response: Response, policy: str, *, now: float, making_since: float | None = None, url: str = ""
) -> TransferError | None:
    """As `judge_status`, where a file was asked for: 202 waits like 503, and 204 and 205 are
    failures too.

    `making_since` is when the first 202 came, in epoch seconds; after an hour in all nothing is
    waited for any more.
    """
    status = response.status
    if status not in NO_FILE or policy == "transport":
        return judge_status(response, policy, now=now, url=url)
    left = (
        LONGEST_MAKING - (now - making_since if making_since is not None else 0.0)
        if status == NOT_YET
        else 0.0
    )
    asked = retry_after(response.header("Retry-After"), now)
    waited = "" if left > 0 or status != NOT_YET else ", after an hour"
    return TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message=f"The server answered {status}: {_WORDS[status]}{waited}.",
        reason=f"srv.http-{status}",
        hint=""
        if left > 0
        else "Try again later, or ask its owner."
        if status == NOT_YET
        else "Check the address.",
        url=redacted(response.url or url),
        status=status,
        retry=Retry.RETRY if left > 0 else Retry.FINAL,
        retry_after=min(asked, left) if asked is not None and left > 0 else None,
    )


def repeatable(method: str, header_names: Iterable[str]) -> bool:
    """Whether a request may be sent twice without being asked for twice (U-10)."""
    return method.upper() in IDEMPOTENT or any(
        name.lower() == "idempotency-key" for name in header_names
    )


def once_only(error: TransferError, *, sent: bool) -> TransferError:
    """The failure of a request that must not be repeated by itself. `sent`: a byte of its body was
    given to the network.
    """
    if error.retry is Retry.FINAL or not sent or error.status in _UNTOUCHED:
        return error
    if error.status is not None:
        return changed(error, retry=Retry.FINAL)
    return changed(
        error,
        message=f"{error.message} It is not known whether the server has what was sent.",
        reason="net.unknown-outcome",
        hint="Look on the server first; then retry, or take it off the list.",
        retry=Retry.FINAL,
    )


def next_delay(
    failures: int, policy: RetryPolicy, error: TransferError, random: Callable[[], float]
) -> float | None:
    """Seconds until the next attempt; None means give up.

    `failures` counts the failures in a row, this one included; `random` gives 0.0 to 1.0. An error
    of the class "restart" may start at once: that it does so only once is the caller's to count. An
    error of the class "wait" counts no attempt; its delay is the longest wait until a look, should
    nobody tell that the world is better.
    """
    if error.retry is Retry.FINAL:
        return None
    if error.retry is Retry.RESTART:
        return 0.0
    if error.retry is Retry.RETRY and _exhausted(failures, policy, error):
        return None
    asked = error.retry_after
    if asked is None:
        return backoff(failures, policy, random)
    # “at once”, said again and again, must not become a busy loop
    if asked < policy.minimum and failures > 1:
        return backoff(failures, policy, random)
    return asked


def backoff(failures: int, policy: RetryPolicy, random: Callable[[], float]) -> float:
    """Anywhere between the minimum and a ceiling that doubles with each failure (X-08, full
    jitter).
    """
    ceiling = min(policy.maximum, policy.minimum * 2.0 ** min(max(failures, 1) - 1, 60))
    return policy.minimum + max(0.0, ceiling - policy.minimum) * random()


def _exhausted(failures: int, policy: RetryPolicy, error: TransferError) -> bool:
    if error.code == Code.CANNOT_FIND_HOST and failures >= policy.unknown_host_attempts:
        return True
    return 0 < policy.attempts <= failures


def _family(status: int) -> str:
    return "an error in the server" if status >= 500 else "it refuses the request"
