"""Host names with letters beyond ASCII, as browsers read them: UTS 46, non-transitional, without
the limits of IDNA 2008.

Rule: the result is ASCII or an error; whether it is a host that may be asked is for `urls` to say.
`idna` has the tables and is loaded when such a name comes.
"""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"


def ascii_name(name: str) -> str:
    """Lower case, each label in Punycode where it needs it. Raises UnicodeError for what no browser
    takes either.
    """
    if name.isascii():
        return name.lower()
    import idna

    mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
    return ".".join(label if label.isascii() else _coded(label) for label in mapped.split("."))


def _coded(label: str) -> str:
    import idna

    try:
        return idna.alabel(label).decode("ascii")
    except (
        idna.IDNAError
    ):  # emoji and other signs of IDNA 2003: names of that kind exist, and browsers open them
        pass
    if label.startswith("xn--") or unicodedata.category(label[0]).startswith("M"):
        raise UnicodeError("no label of a name")
    if not all(idna.valid_contextj(label, at) for at, char in enumerate(label) if char in _JOINERS):
        raise UnicodeError("a joiner where none may be")
    idna.check_bidi(label)
    return "xn--" + label.encode("punycode").decode("ascii")
