"""The options of `get`, `put` and `send` about what their requests carry and trust.

Rule: nothing of ours is loaded before a command is run. What cannot be is a ValueError with one
sentence.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from transfermon.model.option_table import ROWS, OptionRow, ValueKind


def add(parser: argparse.ArgumentParser, *, sends: bool) -> None:
    """`sends`: the requests have a body."""
    group = parser.add_argument_group("what the requests carry and trust")
    if sends:
        kind = group.add_mutually_exclusive_group()
        kind.add_argument(
            "--content-type", metavar="TYPE", default="", help="the type of what is sent"
        )
        for row in ROWS:
            if row.of_bodies:
                _add_row(kind, row)
    group.add_argument(
        "--cookies",
        metavar="FILE",
        help="send the cookies that this file has for the address's host",
    )
    for row in ROWS:
        if not row.of_bodies and not (sends and row.of_downloads):
            _add_row(group, row)


def _add_row(group: argparse._ActionsContainer, row: OptionRow) -> None:
    if row.kind is ValueKind.FLAG:
        group.add_argument(row.flag, dest=row.name, action="store_true", help=row.help)
    elif row.kind in (ValueKind.NAMES, ValueKind.ADDRESSES):
        group.add_argument(
            row.flag,
            dest=row.name,
            metavar=row.metavar,
            action="append",
            default=[],
            help=row.help,
        )
    else:
        group.add_argument(row.flag, dest=row.name, metavar=row.metavar, default="", help=row.help)


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What every order says of them."""
    from transfermon.model import request_options

    asked = request_options.RequestOptions(
        **{
            row.name: _value(row, getattr(arguments, row.name))
            for row in ROWS
            if hasattr(arguments, row.name)
        }
    )
    asked.check()
    return {"options": request_options.to_dict(asked)}


def cookies(arguments: argparse.Namespace, url: str) -> dict[str, Any]:
    """What an order for this address says of them."""
    if arguments.cookies is None:
        return {}
    from transfermon.http import cookie_file
    from transfermon.http.cookies import to_dict

    return {"cookies": [to_dict(one) for one in cookie_file.for_address(arguments.cookies, url)]}


def _value(row: OptionRow, typed: Any) -> Any:
    if row.kind is ValueKind.NAMES:
        return tuple(name.lower() for name in typed)
    if row.kind is ValueKind.ADDRESSES:
        return tuple(typed)
    if row.kind is ValueKind.FILE_TO_READ:
        return _readable(typed)
    if row.kind is ValueKind.CONNECTIONS:
        from transfermon.model.request_options import connections_of

        return connections_of(typed)
    return _writable(typed) if row.kind is ValueKind.FILE_TO_WRITE else typed


def notes(arguments: argparse.Namespace) -> list[str]:
    """What a person should know before it begins."""
    if not arguments.tls_keys:
        return []
    path = os.path.abspath(arguments.tls_keys)
    return [
        f"The keys of the connections are written to {path}: who has them can read all that is sent."
    ]


def content_type(arguments: argparse.Namespace, headers: dict[str, str]) -> dict[str, str]:
    """The headers with the type of what is sent."""
    if not arguments.content_type and not arguments.no_content_type:
        return headers
    others = {name: value for name, value in headers.items() if name.lower() != "content-type"}
    return {**others, "Content-Type": arguments.content_type} if arguments.content_type else others


def _readable(path: str) -> str:
    if not path:
        return ""
    try:
        with open(path, "rb"):
            return os.path.abspath(path)
    except OSError as exc:
        raise ValueError(f"The file {path} cannot be read: {exc.strerror}.") from None


def _writable(path: str) -> str:
    if not path:
        return ""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        raise ValueError(f"The file {path} cannot be written: {exc.strerror}.") from None
    return os.path.abspath(path)
