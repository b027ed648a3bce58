"""What an upload fails with, in words.

Rule: every failure of an upload that an answer shows is made here, and by `_failure`.
"""

from __future__ import annotations

from transfermon.http.upload_protocols.fields import Limits
from transfermon.model.errors import Code, Retry, TransferError, redacted
from transfermon.model.task import Response

_CHECK = "Check the address: it may not take uploads."
_TELL = "Tell the server's owner."


def _failure(
    at: Response | str,
    reason: str,
    message: str,
    hint: str = "",
    *,
    code: Code = Code.BAD_SERVER_RESPONSE,
    retry: Retry = Retry.FINAL,
) -> TransferError:
    """`at`: the answer that it is made of, or an address where no status is to be shown."""
    status, url = (None, at) if isinstance(at, str) else (at.status, at.url)
    return TransferError(
        code=code,
        message=message,
        reason=reason,
        hint=hint,
        status=status,
        url=redacted(url),
        retry=retry,
    )


# ---- before the first byte


def too_large(size: int, found: Limits, url: str) -> TransferError | None:
    """U-19."""
    if not found.max_size or size <= found.max_size:
        return None
    return _failure(
        url,
        "srv.too-big",
        f"The server takes {found.max_size} bytes at the most; this file has {size}.",
        "Send a smaller file.",
        code=Code.DATA_TOO_LARGE,
    )


def not_offered(answer: Response) -> TransferError:
    """A creation that made no upload resource."""
    return _failure(
        answer,
        "srv.protocol",
        "The server takes no resumable upload here.",
        "Upload without resuming (protocol plain).",
    )


def unknown_protocol(name: str, url: str) -> TransferError:
    """A task of a build that knew more protocols than this one."""
    return _failure(
        url,
        "upload.protocol",
        f"This version of transfermon does not know the upload protocol “{name}”.",
        "Upload it again by another protocol.",
        code=Code.UNSUPPORTED_URL,
    )


def without_encryption(answer: Response, server: str) -> TransferError:
    """An upload resource behind http, named behind https."""
    return _failure(
        answer.url,
        "pol.insecure-redirect",
        f"The server wants the upload sent without encryption, to {server}.",
        _TELL,
        code=Code.INSECURE_LOAD_REFUSED,
    )


def unusable_address(answer: Response) -> TransferError:
    """An upload resource where none can be."""
    return _failure(
        answer.url,
        "srv.redirect",
        "The server wants the upload sent to an address that cannot be used.",
        _TELL,
        code=Code.REDIRECT_WITHOUT_TARGET,
    )


def refused_elsewhere(url: str, server: str) -> TransferError:
    """What a task whose address others gave does with a resource at another origin (U-25)."""
    return _failure(
        url,
        "pol.redirected-upload",
        f"The server wants the upload sent to another server, {server}.",
        "Upload to an address there, if you trust that server.",
        code=Code.REDIRECT_WITHOUT_TARGET,
    )


# ---- where the server stands


def beyond(answer: Response, told: int, given: int) -> TransferError | None:
    """The failure of a server that has more than it was ever given."""
    if told <= given:
        return None
    return _failure(
        answer,
        "srv.offset-beyond",
        f"The server says that it has {told} bytes, but only {given} were ever sent.",
        "Start the upload again, or tell the server's owner.",
    )


def early(answer: Response, has: int) -> TransferError:
    """The failure of a server that says it is done before it has everything."""
    return _failure(
        answer,
        "srv.early-answer",
        f"The server called the upload complete when it had {max(has, 0)} bytes, which is not all of it.",
        "Try again, or tell the server's owner.",
    )


def conflict(answer: Response, *, stuck: bool) -> TransferError:
    """A 409 that does not say where to go on, or a server that says again and again to go on where
    it was.
    """
    return _failure(
        answer,
        "srv.offset",
        "The server and this upload do not agree how much was sent.",
        "Start the upload again." if stuck else "",
        retry=Retry.FINAL if stuck else Retry.RETRY,
    )


def locked(answer: Response) -> TransferError:
    """Another request of ours still holds the upload resource."""
    return _failure(
        answer,
        "srv.locked",
        "The server is still busy with an earlier part of this upload.",
        retry=Retry.RETRY,
    )


def nonsense(answer: Response) -> TransferError:
    """An answer that should say where the server stands, and does not."""
    return _failure(
        answer,
        "srv.protocol",
        "The server does not say how much of the upload it has.",
        "Upload without resuming, or tell the server's owner.",
        code=Code.CANNOT_PARSE_RESPONSE,
    )


def gone(answer: Response, url: str) -> TransferError:
    """The upload resource at `url` vanished twice (U-21)."""
    return _failure(
        Response(status=answer.status, url=url),
        "srv.upload-gone",
        "The server has forgotten the upload, twice.",
        "Try again later, or upload without resuming.",
    )


def is_spent(error: TransferError) -> bool:
    """Whether nothing can be built upon the upload resource after this failure: a retry makes
    another.
    """
    final = error.retry is Retry.FINAL
    return final and error.reason in ("srv.offset", "srv.offset-beyond", "srv.early-answer")


# ---- after a whole body


def too_early(answer: Response, handed: int, size: int) -> TransferError:
    """The failure of a good answer that came before the last byte."""
    return _failure(
        answer,
        "srv.early-answer",
        f"The server answered {answer.status} before it had the file: {handed} of {size} bytes were sent.",
        _CHECK,
    )


def leads_nowhere(answer: Response) -> TransferError:
    """A redirect without a target."""
    return _failure(
        answer,
        f"srv.http-{answer.status}",
        f"The server answered {answer.status}, which leads nowhere: it did not take the file.",
        "Check the address.",
    )


def other_length(answer: Response, length: int, size: int) -> TransferError:
    """What is at the address is not as long as the file."""
    return _failure(
        answer,
        "srv.not-stored",
        f"The server did not store the file: what is at that address has {length} bytes, not {size}.",
        _CHECK,
    )


def older_file(answer: Response) -> TransferError:
    """What is at the address has the right length, and is another file."""
    return _failure(
        answer,
        "srv.not-stored",
        "The server did not store the file: what is at that address was there before.",
        _CHECK,
    )
