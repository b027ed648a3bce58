"""The resumable protocols that there are, and the names that people choose them by.

Rule: whoever asks which protocols there are asks here, each time. A new one is a module of this
folder with its `PROTOCOL`, and its line in `MODULES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from transfermon.http.upload_protocols import failures
from transfermon.http.upload_protocols.base import ResumableProtocol
from transfermon.model.errors import TransferFailure
from transfermon.model.task import Task
from transfermon.model.upload_protocol import AUTO, PLAIN

# In this order they are offered, and looked for in what a server says of itself.
MODULES = (
    "ietf",
    "tus",
)
RESUMABLE: tuple[ResumableProtocol, ...] = tuple(
    import_module(f"{__package__}.{name}").PROTOCOL for name in MODULES
)


def find_protocol(name: str) -> ResumableProtocol | None:
    """None where no resumable protocol has that name."""
    return next((protocol for protocol in RESUMABLE if protocol.name == name), None)


def protocol_of(task: Task) -> ResumableProtocol:
    """The one that the task's upload resource, or else its record, names. Raises TransferFailure
    for one that is not known (any more).
    """
    name = task.upload.protocol if task.upload is not None else task.protocol
    found = find_protocol(name)
    if found is None:
        raise TransferFailure(failures.unknown_protocol(name, task.url))
    return found


def offered_protocol() -> ResumableProtocol | None:
    """The one whose fields go along with a whole body."""
    return next((protocol for protocol in RESUMABLE if protocol.begins_whole), None)


def check_name(wanted: str) -> None:
    """Raises ValueError for what names no protocol, or no version of it."""
    name, colon, version = wanted.partition(":")
    found = find_protocol(name)
    known = name in (AUTO, PLAIN) or found is not None
    if colon:
        known = found is not None and bool(version) and version in found.versions
    if not known:
        *others, last = (f"“{name}”{versions}" for name, versions in _spellings())
        raise ValueError(f"the protocol is {', '.join(others)} or {last}")


def words_for_help() -> str:
    """All names in one line, as a command's help has them."""
    return ", ".join(f"{name}{versions}" for name, versions in _spellings())


def _spellings() -> Iterator[tuple[str, str]]:
    """All that `check_name` takes, and in brackets what stands for a part of it."""
    yield AUTO, ""
    yield PLAIN, ""
    for protocol in RESUMABLE:
        yield protocol.name, ""
        if any(protocol.versions):
            yield f"{protocol.name}:N", f" (N one of {', '.join(protocol.versions)})"
