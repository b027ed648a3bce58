"""Where an upload goes: to the address, to a name in a folder, or to the upload resource that a
server names.
"""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from transfermon.http.upload_protocols import failures
from transfermon.model.errors import TransferError
from transfermon.model.task import UNKNOWN, Response, Task

_PORTS = {"http": 80, "https": 443}


def file_in_folder(url: str, name: str) -> str:
    """The address of a file of that name in the folder that `url`, which ends with a slash, is."""
    parts = urlsplit(url)
    file = quote(name.encode("utf-8", "surrogateescape"), safe="")
    return urlunsplit((parts.scheme, parts.netloc, parts.path + file, parts.query, ""))


def file_address(task: Task) -> str:
    """Where the file itself goes: its name is put behind the slash of a folder that it is PUT
    into.
    """
    if (
        task.into_folder
        and task.method == "PUT"
        and task.name
        and urlsplit(task.url).path.endswith("/")
    ):
        return file_in_folder(task.url, task.name)
    return task.url


def resource_address(answer: Response) -> tuple[str, bool] | TransferError | None:
    """The address of the upload resource that the answer names, and whether it is at another
    origin; None where it names none.

    The error is that of an address that cannot be used (U-25).
    """
    location = answer.header("Location")
    if not location:
        return None
    try:
        parts = urlsplit(_at_home(answer.url, urljoin(answer.url, location)))
        url = urlunsplit(
            (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, "")
        )
        here, there = _origin(answer.url), _origin(url)
    except ValueError:
        return failures.unusable_address(answer)
    if there[0] not in _PORTS or not there[1] or there[2] == UNKNOWN:
        return failures.unusable_address(answer)
    if (here[0], there[0]) == ("https", "http"):
        return failures.without_encryption(answer, server_name(url))
    return url, there != here


def server_name(url: str) -> str:
    """Scheme, host and port: the rest of such an address is a secret (U-25)."""
    scheme, host, port = _origin(url)
    shown = f"[{host}]" if ":" in host else host
    return (
        f"{scheme}://{shown}"
        if port in (None, _PORTS.get(scheme))
        else f"{scheme}://{shown}:{port}"
    )


def _at_home(base: str, url: str) -> str:
    """What a server means that does not see how it was reached: an http address of the same host
    under an https one is its https one (TLS ends before it), and one without a port has the port
    that was asked (a proxy left it out).
    """
    here, there = urlsplit(base), urlsplit(url)
    lost = (here.scheme, there.scheme) == ("https", "http") or (
        here.scheme == there.scheme and there.port is None
    )
    if lost and here.hostname == there.hostname:
        return urlunsplit(
            (here.scheme, here.netloc.rpartition("@")[2], there.path, there.query, "")
        )
    return url


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = UNKNOWN
    return parts.scheme, parts.hostname or "", port or _PORTS.get(parts.scheme)
