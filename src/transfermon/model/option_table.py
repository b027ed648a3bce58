"""The options of a request as rows: how the command line, the dialogs and the control API name
them, and what kind of value each has.

Rule: a row here and a field of the same name in `RequestOptions` make an option that a person can
type, choose, send and store; only the place where it acts is left to write. Nothing heavy is
imported: `--help` reads this.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from transfermon.model.translate import marked

AUTOMATIC = -1  # connections for one file: as many as help
MOST_CONNECTIONS = 8  # that one file may have
MOST_MIRRORS = 16


class ValueKind(Enum):
    """What an option's value is."""

    FLAG = "flag"  # bool
    NAMES = "names"  # a tuple of words
    FILE_TO_READ = "file to read"  # an absolute path; "" is none
    FILE_TO_WRITE = "file to write"
    ADDRESSES = "addresses"  # a tuple of http and https addresses
    CONNECTIONS = "connections"  # a number of them, 0 for none given; see `connections_of`


class OptionRow(NamedTuple):
    """`flag` is `--NAME` of the field, or of `word`, with dashes, `key` in the control API its name in
    camelCase.
    """

    name: str
    kind: ValueKind
    help: str  # on the command line
    title: str  # in a dialog
    hint: str = ""
    metavar: str = ""
    of_bodies: bool = False  # only where the request has a body
    of_downloads: bool = False  # only where the answer is the file
    word: str = ""  # of the flag, where it is not the name: one that is given more than once

    @property
    def flag(self) -> str:
        return f"--{(self.word or self.name).replace('_', '-')}"

    @property
    def key(self) -> str:
        return camel_case(self.name)


def camel_case(name: str) -> str:
    """As the control API names a field."""
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


ROWS = (
    OptionRow(
        name="send_along",
        kind=ValueKind.NAMES,
        metavar="NAME",
        help="let this header follow a redirect to another server, too; without it none does but User-Agent, Accept, "
        "Accept-Language and the origin of Referer",
        title=marked("Send along"),
        hint=marked("Names of headers that another server gets after a redirect, too"),
    ),
    OptionRow(
        name="insecure_redirects",
        kind=ValueKind.FLAG,
        help="follow a redirect from https to http",
        title=marked("Follow redirects from https to http"),
    ),
    OptionRow(
        name="ca_file",
        kind=ValueKind.FILE_TO_READ,
        metavar="FILE",
        help="trust the authorities in this PEM file, too",
        title=marked("Authorities"),
        hint=marked("A PEM file of authorities to trust, too"),
    ),
    OptionRow(
        name="tls_keys",
        kind=ValueKind.FILE_TO_WRITE,
        metavar="FILE",
        help="write the keys of the connections there, to look into them",
        title=marked("TLS keys"),
        hint=marked("A file that gets the keys: who has them can read what is sent"),
    ),
    OptionRow(
        name="no_content_type",
        kind=ValueKind.FLAG,
        help="send no Content-Type at all",
        title=marked("Send no Content-Type"),
        of_bodies=True,
    ),
    OptionRow(
        name="connections",
        kind=ValueKind.CONNECTIONS,
        metavar="auto|N",
        help="bring one file by so many connections at once, 1 to 8; without it by as many as help, 4 at the most",
        title=marked("Connections"),
        hint=marked("For one file: auto, or 1 to 8"),
        of_downloads=True,
    ),
    OptionRow(
        name="mirrors",
        word="mirror",
        kind=ValueKind.ADDRESSES,
        metavar="URL",
        help="another address of the same file, used at the same time and in the place of one that fails; may be "
        "repeated, and needs --sha256 or --mirrors-are-the-same. Headers, cookies and credentials go to the first "
        "address alone",
        title=marked("Mirrors"),
        hint=marked("Other addresses of the same file, used at the same time"),
        of_downloads=True,
    ),
    OptionRow(
        name="mirrors_are_the_same",
        kind=ValueKind.FLAG,
        help="take my word that all mirrors have the same file, where no checksum can tell",
        title=marked("The mirrors have the same file"),
        of_downloads=True,
    ),
)
