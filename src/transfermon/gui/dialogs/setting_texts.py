"""What a person has typed into a field of the settings, read.

Rule: each returns the value that the settings keep, or raises ValueError with a sentence; no Qt
here.
"""

from __future__ import annotations

import os
import re

from transfermon.http.addresses import check_url
from transfermon.model import units
from transfermon.model.errors import TransferFailure
from transfermon.model.translate import tr

_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_HOST = re.compile(
    r"(?:[A-Za-z0-9_](?:[-A-Za-z0-9_.]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?"
)


def folder_in(text: str) -> str:
    """An absolute folder that can be used, or "" for none. Raises ValueError with a sentence."""
    if not text.strip():
        return ""
    path = os.path.abspath(os.path.expanduser(text.strip()))
    existing = path
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        raise ValueError(
            tr("{existing} is a file, not a folder.").format(existing=units.clean(existing, 80))
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(
            tr("Nothing can be stored in {existing}.").format(existing=units.clean(existing, 80))
        )
    return path


def address_in(text: str) -> str:
    """A usable address, or "" for none. Raises ValueError with a sentence."""
    if not text.strip():
        return ""
    try:
        return check_url(text)
    except TransferFailure as exc:
        raise ValueError(f"{exc.title} {exc.hint}".strip()) from exc


def server_in(text: str) -> str:
    """The address of a push server. Raises ValueError with a sentence."""
    if not text.strip():
        raise ValueError(tr("The push channel needs a server."))
    return address_in(text).rstrip("/")


def topics_in(text: str) -> tuple[str, ...]:
    """Topics separated by commas, spaces or lines. Raises ValueError with a sentence for one that
    cannot be.
    """
    topics = tuple(dict.fromkeys(re.split(r"[\s,]+", text.strip()))) if text.strip() else ()
    for topic in topics:
        if not _TOPIC.fullmatch(topic):
            raise ValueError(
                tr("“{topic}” is no topic: letters, digits, - and _, at most 64.").format(
                    topic=units.clean(topic, 40)
                )
            )
    return topics


def hosts_in(text: str) -> tuple[str, ...]:
    """Hosts with or without a port, one a line. Raises ValueError with a sentence for the first
    that cannot be.
    """
    hosts = tuple(dict.fromkeys(host.strip().lower() for host in text.splitlines() if host.strip()))
    for host in hosts:
        match = _HOST.fullmatch(host)
        if match is None or int(match.group(1) or 1) not in range(1, 65_536):
            raise ValueError(
                tr("“{host}” is no host; write a name, or name:port.").format(
                    host=units.clean(host, 60)
                )
            )
    return hosts


def ported_in(text: str) -> tuple[str, ...]:
    """Hosts that all have a port. Raises ValueError as `hosts_in`."""
    hosts = hosts_in(text)
    for host in hosts:
        if not re.search(r":[0-9]+$", host) or host.endswith("]"):
            raise ValueError(
                tr("“{host}” needs its port, as in {host}:443.").format(host=units.clean(host, 60))
            )
    return hosts
