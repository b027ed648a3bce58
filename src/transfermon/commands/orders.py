"""From the arguments of a command to the orders of the control API."""

from __future__ import annotations

import argparse
import base64
import os
import re

from transfermon.commands import request_arguments
from transfermon.host.terminal import Json
from transfermon.http.addresses import check_url
from transfermon.model.configuration import SessionConfiguration, checked_headers
from transfermon.model.errors import TransferFailure
from transfermon.model.request_options import NO_PROOF

LARGEST_DATA = 512 * 1024  # bytes; with their coding they fit into a message of the control socket
_ODD = "{} is no ordinary file."


def download_orders(arguments: argparse.Namespace) -> list[Json]:
    """What is to be asked of the engine. Raises ValueError with a sentence for what cannot be
    asked.
    """
    session = SessionConfiguration.background(arguments.session).identifier
    common = {
        "session": session,
        "headers": typed_headers(arguments.header),
        "sha256": _digest(arguments.sha256),
        "speedLimit": _rate(arguments.limit_rate),
        "overwrite": arguments.overwrite,
        "maximumAttempts": arguments.retry,
        "join": True,
    }
    if len(arguments.urls) > 1 and (arguments.output or arguments.sha256):
        raise ValueError("--output and --sha256 are for one address at a time.")
    if len(arguments.urls) > 1 and arguments.mirrors:
        raise ValueError("--mirror is for one address at a time.")
    if arguments.mirrors and not (arguments.sha256 or arguments.mirrors_are_the_same):
        raise ValueError(NO_PROOF)
    destination = (
        _file(arguments.output, arguments.overwrite)
        if arguments.output
        else _folder(arguments.directory)
    )
    urls = dict.fromkeys(typed_address(url) for url in arguments.urls)
    options = request_arguments.options(arguments)
    return [
        {
            "url": url,
            "destination": destination,
            **options,
            **request_arguments.cookies(arguments, url),
            **common,
        }
        for url in urls
    ]


def upload_orders(arguments: argparse.Namespace) -> list[Json]:
    """As `download_orders`, for `transfermon put`."""
    path = os.path.abspath(arguments.file)
    if os.path.isdir(path):
        raise ValueError(f"{arguments.file} is a folder; pack it first.")
    if not os.path.isfile(path):
        raise ValueError(
            f"The file {arguments.file} is not there."
            if not os.path.exists(path)
            else _ODD.format(path)
        )
    if not os.access(path, os.R_OK):
        raise ValueError(f"The file {arguments.file} cannot be read.")
    url = typed_address(arguments.url)
    order = {
        "kind": "upload",
        "url": url,
        "file": path,
        "protocol": arguments.protocol,
        "intoFolder": True,
        "method": _method(arguments.method) if arguments.method else "",
        "session": SessionConfiguration.background(arguments.session).identifier,
        "headers": request_arguments.content_type(arguments, typed_headers(arguments.header)),
        **request_arguments.options(arguments),
        **request_arguments.cookies(arguments, url),
        "speedLimit": _rate(arguments.limit_rate),
        "maximumAttempts": arguments.retry,
        "join": True,
    }
    return [order]


def data_orders(arguments: argparse.Namespace) -> list[Json]:
    """As `download_orders`, for `transfermon send`."""
    url = typed_address(arguments.url)
    order: Json = {
        "kind": "data",
        "url": url,
        "method": _method(arguments.method),
        "session": SessionConfiguration.background(arguments.session).identifier,
        "headers": request_arguments.content_type(arguments, typed_headers(arguments.header)),
        **request_arguments.options(arguments),
        **request_arguments.cookies(arguments, url),
        "maximumAttempts": arguments.retry,
    }
    if arguments.data is not None:
        order["dataBase64"] = base64.b64encode(_data(arguments.data)).decode()
    return [order]


def _data(text: str) -> bytes:
    if not text.startswith("@"):
        # the very bytes that were written, whatever the terminal's encoding
        return os.fsencode(text)
    try:
        with open(text[1:], "rb") as file:
            found = file.read(LARGEST_DATA + 1)
    except OSError as exc:
        raise ValueError(f"{text[1:]} cannot be read: {exc.strerror}.") from None
    if len(found) > LARGEST_DATA:
        raise ValueError(
            "A data task sends 512 KiB at the most; `transfermon put` sends files of any size."
        )
    return found


def _method(text: str) -> str:
    if not (text.isascii() and text.isalpha()):
        raise ValueError(f"“{text}” is not a method; write PUT or POST.")
    return text.upper()


def typed_address(text: str) -> str:
    """In its normal form. Raises ValueError with a sentence for one that cannot be loaded."""
    try:
        return check_url(text)
    except TransferFailure as exc:
        raise ValueError(f"{exc.title} {exc.hint}".strip()) from None


def typed_headers(given: list[str]) -> dict[str, str]:
    """Of lines `Name: value`. Raises ValueError with a sentence for the first that is none."""
    found = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon:
            raise ValueError(f"“{text}” is not a header; write 'NAME: VALUE'.")
        found[name.strip()] = value.strip()
    return checked_headers(found)


def _digest(text: str) -> str:
    if text and not re.fullmatch("[0-9A-Fa-f]{64}", text):
        raise ValueError("A SHA-256 digest has 64 hexadecimal digits.")
    return text.lower()


def _rate(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]+)?)([kKmMgG]?)", text)
    if not found:
        raise ValueError(f"“{text}” is not a rate; write bytes per second, such as 500K or 2M.")
    return int(float(found[1]) * 1024 ** " KMG".index(found[2].upper() or " "))


def _folder(given: str | None) -> str:
    try:
        folder = os.path.abspath(given or ".")
    except FileNotFoundError:
        raise ValueError("The current folder is gone.") from None
    _must_take_files(folder)
    return folder.rstrip(os.sep) + os.sep


def _file(given: str, overwrite: bool) -> str:
    path = os.path.abspath(given)
    if given.endswith(os.sep) or os.path.isdir(path):
        raise ValueError(f"The path {given} is a folder; name a file, or use --directory.")
    _must_take_files(os.path.dirname(path))
    if os.path.lexists(path) and not overwrite:
        raise ValueError(f"The file {given} is there already; --overwrite replaces it.")
    return path


def _must_take_files(folder: str) -> None:
    if not os.path.isdir(folder):
        raise ValueError(f"The folder {folder} is not there.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"The folder {folder} cannot be written to.")
