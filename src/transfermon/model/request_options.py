"""What a person allows or asks for the requests of one task, over what its session says.

Rule: plain values, none of them a secret: they stand in the task's record.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Self

from transfermon.model import json_text
from transfermon.model.record import record

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# goes to no origin: a proxy's credentials stand in the proxy's address
OF_THE_PROXY = "proxy-authorization"


@record
class RequestOptions:
    """One task's."""

    # names of headers that follow a redirect to another origin, in lower case
    send_along: tuple[str, ...] = ()
    insecure_redirects: bool = False  # from https to http
    ca_file: str = ""  # absolute: a PEM file of authorities to trust besides the system's
    # absolute: a file that gets the keys of the connections, for those who look into them
    tls_keys: str = ""
    no_content_type: bool = False  # a body is sent without Content-Type

    def check(self) -> None:
        """Raises ValueError with a sentence for what cannot be."""
        for name in self.send_along:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"“{name[:50]}” is not the name of a header.")
            if name.lower() == OF_THE_PROXY:
                raise ValueError(
                    "A proxy's credentials go to no server; put them into the proxy's address."
                )
        if not all(os.path.isabs(path) for path in (self.ca_file, self.tls_keys) if path):
            raise ValueError(
                "The files of authorities and of TLS keys are named by absolute paths."
            )

    def over(
        self, *, ca_file: str, tls_keys: str, insecure_redirects: bool, send_along: tuple[str, ...]
    ) -> Self:
        """These options where a session says that."""
        return type(self)(
            send_along=tuple(
                dict.fromkeys(name.lower() for name in (*self.send_along, *send_along))
            ),
            insecure_redirects=self.insecure_redirects or insecure_redirects,
            ca_file=self.ca_file or ca_file,
            tls_keys=self.tls_keys or tls_keys,
            no_content_type=self.no_content_type,
        )


NONE = RequestOptions()
_NAMES = {  # in the control API
    "sendAlong": "send_along",
    "insecureRedirects": "insecure_redirects",
    "caFile": "ca_file",
    "tlsKeys": "tls_keys",
    "noContentType": "no_content_type",
}


def to_dict(options: RequestOptions) -> dict[str, Any]:
    """What differs from none, as JSON has it."""
    out: dict[str, Any] = {}
    for name, attribute in _NAMES.items():
        value = getattr(options, attribute)
        if value:
            out[name] = value if isinstance(value, str | bool) else list(value)
    return out


def from_dict(stored: Mapping[str, Any]) -> RequestOptions:
    """What `to_dict` wrote. Raises ValueError with a sentence for anything else."""
    given: dict[str, Any] = {}
    for name, value in stored.items():
        attribute = _NAMES.get(name, "")
        if not attribute:
            raise ValueError(f"“{name[:50]}” is not an option of a request.")
        kind = type(getattr(NONE, attribute))
        if not isinstance(value, list if kind is tuple else kind):
            raise ValueError(f"The option “{name}” has not the right kind of value.")
        given[attribute] = tuple(value) if isinstance(value, list) else value
    if not all(isinstance(name, str) for name in given.get("send_along", ())):
        raise ValueError("“sendAlong” must be a list of texts.")
    options = RequestOptions(**given)
    options.check()
    return options


def content_type_of(body: bytes) -> str:
    """The type that a body is sent with where nobody named one: JSON when it is JSON (RFC 8259),
    else bytes.
    """
    try:
        json_text.loads(body.decode(), parse_constant=_no_json)
    except ValueError:
        return "application/octet-stream"
    return "application/json"


def _no_json(word: str) -> None:
    raise ValueError(word)
