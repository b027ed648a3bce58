"""Every failure of a transfer in words: what the network, the server, a proxy or the trust did
wrong.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import ssl
from dataclasses import replace
from urllib.parse import urlsplit

from transfermon.http import proxies
from transfermon.http.proxies import Proxy
from transfermon.model.errors import Code, Retry, TransferError, TransferFailure, redacted
from transfermon.model.task import Response
from transfermon.wire.connect import AddressRefused, ProxyFailed
from transfermon.wire.network_errors import (
    BadAnswer,
    BadRequest,
    ClosedEarly,
    ConnectError,
    ConnectTimeout,
    HeadTooLarge,
    NetworkError,
    NotHTTP,
    NotTheProtocol,
    ProxyRefused,
    TalkRefused,
    TooSlow,
    WriteTimeout,
)
from transfermon.wire.stream import ended_without_close


def final_failure(
    code: Code, message: str, reason: str, url: str, *, hint: str = ""
) -> TransferFailure:
    return TransferFailure(
        TransferError(
            code=code,
            message=message,
            reason=reason,
            hint=hint,
            url=redacted(url),
            retry=Retry.FINAL,
        )
    )


def translate_failure(
    exc: BaseException, url: str, *, responded: bool, speaker: Proxy | None = None
) -> TransferError:
    """The record of what the network, the server or the trust did wrong. Never empty words.
    `speaker` is the proxy where it, and not the server, is at the other end of the connection.
    """
    if isinstance(exc, ProxyFailed):
        return _proxy_failed(exc, url, responded)
    host = (
        f"the proxy at {speaker.authority}"
        if speaker is not None
        else urlsplit(url).hostname or "the server"
    )
    error = _translated(exc, host, url, responded)
    return error if speaker is None else replace(error, message=proxies.capital(error.message))


def login_refused(proxy: Proxy | None, head: Response) -> TransferError | None:
    """The failure of a proxy that refuses its login as if it were the server; None where `head`
    says no such thing.
    """
    if proxy is None or not proxies.refuses_login(proxy, head.status, head.header("Server")):
        return None
    return proxies.answered(proxy, "login", head.url)


def _proxy_failed(exc: ProxyFailed, url: str, responded: bool) -> TransferError:
    if isinstance(exc.cause, TalkRefused):
        return proxies.answered(exc.proxy, exc.cause.reason, url)
    if isinstance(exc.cause, NotTheProtocol):
        return proxies.answered(exc.proxy, "no socks", url)
    error = translate_failure(exc.cause, url, responded=responded, speaker=exc.proxy)
    if error.reason == "net.refused":
        error = replace(error, reason="net.proxy")
    elif error.reason == "net.unknown-host":
        error = replace(
            error, message=f"There is no proxy at {exc.proxy.authority}: nobody knows the name."
        )
    return replace(error, hint=proxies.SETTINGS_HINT) if error.retry is Retry.RETRY else error


def _translated(exc: BaseException, host: str, url: str, responded: bool) -> TransferError:
    say = functools.partial(_say, url=url)
    if isinstance(exc, AddressRefused):
        return private_address_error(host, url)
    if isinstance(exc, (TooSlow, TimeoutError)):
        message = f"{host} sent nothing for too long."
        if isinstance(exc, ConnectTimeout):
            message = f"{host} could not be reached in time."
        elif isinstance(exc, WriteTimeout):
            message = f"{host} took nothing for too long."
        return say(Code.TIMED_OUT, message, "net.timeout", Retry.RETRY)
    if isinstance(exc, ProxyRefused):
        return _proxy_error(exc, host, url)
    if isinstance(exc, ClosedEarly):
        return _lost(host, url, "net.closed", responded)
    if isinstance(exc, NotHTTP):
        hint = "Check the address and the port."
        return say(
            Code.CANNOT_PARSE_RESPONSE,
            f"{host} answered with something that is not HTTP.",
            "srv.protocol",
            hint=hint,
        )
    if isinstance(exc, HeadTooLarge):
        return say(
            Code.CANNOT_PARSE_RESPONSE,
            f"The head of the answer from {host} is too large.",
            "srv.protocol",
        )
    if isinstance(exc, BadAnswer):
        return say(
            Code.CANNOT_PARSE_RESPONSE, f"The answer from {host} is malformed.", "srv.protocol"
        )
    if isinstance(exc, (BadRequest, UnicodeEncodeError)):
        return say(
            Code.UNKNOWN,
            "The request holds a header that cannot be sent.",
            "req.header",
            hint="Check the headers.",
        )
    return _from_system(exc, host, url, responded)


def _say(
    code: Code, message: str, reason: str, retry: Retry = Retry.FINAL, hint: str = "", *, url: str
) -> TransferError:
    return TransferError(
        code=code, message=message, reason=reason, hint=hint, url=redacted(url), retry=retry
    )


def _from_system(exc: BaseException, host: str, url: str, responded: bool) -> TransferError:
    connecting = isinstance(exc, ConnectError)
    cause = _system_cause(exc)
    if isinstance(cause, socket.gaierror):
        return _name_error(cause, host, url)
    if ended_without_close(cause):
        return _lost(host, url, "net.closed", responded)
    if isinstance(cause, ssl.SSLError):
        return tls_error(cause, host, url)
    if isinstance(cause, OSError):
        return _socket_error(cause, host, url, connecting, responded)
    if isinstance(cause, UnicodeError):
        return _say(
            Code.BAD_URL, "The host in the address is not a valid name.", "pol.bad-url", url=url
        )
    if isinstance(exc, NetworkError):
        return _lost(host, url, "net.closed", responded)
    words = " ".join(f"{type(exc).__name__}: {exc}".split())[:200]
    return _say(Code.UNKNOWN, f"The transfer failed ({words}).", "net.unknown", url=url)


def _system_cause(exc: BaseException) -> BaseException | None:
    seen: BaseException | None = exc
    for _ in range(8):
        if seen is None or isinstance(seen, (OSError, UnicodeError)):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _lost(host: str, url: str, reason: str, responded: bool) -> TransferError:
    if not responded:
        message = f"{host} closed the connection before it answered."
    elif reason == "net.reset":
        message = f"The connection to {host} was reset."
    else:
        message = f"{host} ended the connection too early."
    return _say(Code.CONNECTION_LOST, message, reason, Retry.RETRY, url=url)


def _name_error(cause: socket.gaierror, host: str, url: str) -> TransferError:
    if cause.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
        return _say(
            Code.CANNOT_FIND_HOST,
            f"There is no server named {host}.",
            "net.unknown-host",
            Retry.RETRY,
            "Check the address.",
            url=url,
        )
    return _say(
        Code.DNS_LOOKUP_FAILED,
        f"The address of {host} could not be looked up.",
        "net.dns",
        Retry.RETRY,
        "Check the network connection.",
        url=url,
    )


_NO_NETWORK = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL}
)


def _socket_error(
    cause: OSError, host: str, url: str, connecting: bool, responded: bool
) -> TransferError:
    number = cause.errno
    if number in (errno.EMFILE, errno.ENFILE):
        message, hint = "Too many files are open.", "Let fewer tasks run at once."
        return _say(Code.CANNOT_CONNECT, message, "sys.too-many-files", Retry.RETRY, hint, url=url)
    if number == errno.ECONNREFUSED:
        who = host if host.startswith("the proxy ") else f"The server at {host}"
        message, hint = f"{who} refused the connection.", "Check the port, or try again later."
        return _say(Code.CANNOT_CONNECT, message, "net.refused", Retry.RETRY, hint, url=url)
    if number == errno.ETIMEDOUT:
        return _say(
            Code.TIMED_OUT,
            f"{host} could not be reached in time.",
            "net.timeout",
            Retry.RETRY,
            url=url,
        )
    if connecting and number in _NO_NETWORK:
        message, hint = (
            f"There is no way to {host} from this network.",
            "Check the network connection.",
        )
        return _say(Code.NOT_CONNECTED, message, "net.unreachable", Retry.WAIT, hint, url=url)
    if number == errno.ECONNRESET:
        return _lost(host, url, "net.reset", responded)
    if connecting:
        message = f"{host} cannot be reached: {os.strerror(number or errno.EIO)}."
        return _say(
            Code.CANNOT_CONNECT,
            message,
            "net.connect",
            Retry.RETRY,
            "Check the network connection.",
            url=url,
        )
    return _lost(host, url, "net.closed", responded)


def private_address_error(host: str, url: str) -> TransferError:
    return _say(
        Code.CANNOT_CONNECT,
        f"{host} is inside a private network, where an address from outside may not lead.",
        "pol.private-address",
        Retry.FINAL,
        "Type the address yourself, or allow this host in the settings.",
        url=url,
    )


def _proxy_error(exc: BaseException, host: str, url: str) -> TransferError:
    if str(exc).startswith(("407", "401")):  # tinyproxy says 401 of a wrong password
        return _say(
            Code.AUTHENTICATION_REQUIRED,
            f"{host} needs a user name and password.",
            "net.proxy-auth",
            Retry.FINAL,
            "Try again and give them, or put them into the proxy's address.",
            url=url,
        )
    words = " ".join(str(exc).split())[:80]
    message = (
        f"{host} did not open the way ({words})." if words else f"{host} did not open the way."
    )
    return _say(
        Code.CANNOT_CONNECT,
        message,
        "net.proxy",
        Retry.RETRY,
        "Check the proxy in the settings.",
        url=url,
    )


_VERIFY: dict[int, tuple[Code, str, str]] = {  # X509_V_ERR_*: code, reason, words
    9: (Code.TLS_NOT_YET_VALID, "tls.not-yet-valid", "The certificate of {host} is not valid yet."),
    10: (Code.TLS_BAD_DATE, "tls.expired", "The certificate of {host} has expired."),
    13: (
        Code.TLS_BAD_DATE,
        "tls.expired",
        "The certificate of {host} holds a date that cannot be read.",
    ),
    14: (
        Code.TLS_BAD_DATE,
        "tls.expired",
        "The certificate of {host} holds a date that cannot be read.",
    ),
    18: (Code.TLS_UNTRUSTED, "tls.untrusted", "The certificate of {host} is signed by itself."),
    2: (
        Code.TLS_UNKNOWN_ROOT,
        "tls.unknown-root",
        "The certificate of {host} comes from an unknown authority.",
    ),
    19: (
        Code.TLS_UNKNOWN_ROOT,
        "tls.unknown-root",
        "The certificate of {host} comes from an unknown authority.",
    ),
    20: (
        Code.TLS_UNKNOWN_ROOT,
        "tls.unknown-root",
        "The certificate of {host} comes from an unknown authority.",
    ),
    21: (
        Code.TLS_UNKNOWN_ROOT,
        "tls.unknown-root",
        "The certificate of {host} comes from an unknown authority.",
    ),
    23: (Code.TLS_UNTRUSTED, "tls.revoked", "The certificate of {host} was revoked."),
    62: (
        Code.TLS_UNTRUSTED,
        "tls.hostname",
        "The certificate belongs to another server than {host}.",
    ),
    64: (
        Code.TLS_UNTRUSTED,
        "tls.hostname",
        "The certificate belongs to another server than {host}.",
    ),
}
_REJECTED = (
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_ACCESS_DENIED",
)


def tls_error(exc: ssl.SSLError, host: str, url: str) -> TransferError:
    """-1200 to -1206; never tried again by itself (X-04)."""
    hint = "Somebody may be listening in, or the server is set up wrongly. Tell its owner."
    say = functools.partial(_say, retry=Retry.FINAL, hint=hint, url=url)
    if isinstance(exc, ssl.SSLCertVerificationError):
        other = (
            Code.TLS_UNTRUSTED,
            "tls.untrusted",
            "The certificate of {host} cannot be trusted.",
        )
        code, reason, words = _VERIFY.get(exc.verify_code, other)
        # more often the computer's clock than the server
        if code in (Code.TLS_NOT_YET_VALID, Code.TLS_BAD_DATE):
            say = functools.partial(say, hint=f"Check the date and time of this computer. {hint}")
        return say(code, words.format(host=host), reason)
    name = exc.reason or ""
    if "CERTIFICATE_REQUIRED" in name:
        return say(
            Code.TLS_CLIENT_REQUIRED,
            f"{host} asks for a certificate of yours.",
            "tls.client-required",
        )
    if any(part in name for part in _REJECTED):
        return say(
            Code.TLS_CLIENT_REJECTED, f"{host} rejected the certificate.", "tls.client-rejected"
        )
    if name in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return say(Code.TLS_FAILED, f"{host} does not speak TLS on this port.", "tls.not-tls")
    if "PROTOCOL_VERSION" in name or name == "UNSUPPORTED_PROTOCOL":
        return say(Code.TLS_FAILED, f"{host} offers only outdated encryption.", "tls.outdated")
    return say(Code.TLS_FAILED, f"No secure connection to {host} could be made.", "tls.failed")
