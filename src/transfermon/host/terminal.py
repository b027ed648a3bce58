"""What the commands share: exit codes, and how they print.

Rule: outside text is cleaned before it reaches a terminal; what goes wrong is one sentence on
stderr. Importing this costs nothing: `--help` does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Json = dict[str, Any]  # a record as the control API sends it
DONE, FAILED, USAGE, NO_ENGINE, INTERRUPTED = 0, 1, 2, 3, 130


class Wrong(Exception):  # noqa: N818 - what the user wrote, in one sentence
    """Wrong usage: exit code 2."""


class Untold(Exception):  # noqa: N818 - why what was to be said cannot be written, in words
    """The disk that the output goes to is full, or the like: exit code 1."""


def say(text: str) -> None:
    """Raises BrokenPipeError where nobody reads any more, and Untold."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise Untold(exc.strerror or str(exc)) from exc


def say_json(records: Iterable[dict[str, Any]]) -> None:
    """NDJSON."""
    import json

    for record in records:
        say(json.dumps(record))


def say_table(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> None:
    """Columns as wide as their widest cell; those in `right` hold numbers. Cells are cleaned
    here.
    """

    from transfermon.model import units

    cells = [[units.clean(cell, 200) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numbers = set(right)
    for row in cells:
        padded = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        say("  ".join(padded).rstrip())


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def complain(title: str, hint: str = "", *, code: int) -> int:
    """One sentence on stderr; the exit code back."""
    from transfermon.model import units

    sys.stderr.write(f"transfermon: {units.clean(f'{title} {hint}'.strip(), 1000)}\n")
    sys.stderr.flush()
    return code


def accepted(reply: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    """The body of an answer. Raises Wrong with the engine's words when it refused."""
    status, body = reply
    if status >= 400:
        raise Wrong(refusal_words(body))
    return body


def refusal_words(problem: Mapping[str, Any]) -> str:
    """What an engine says of something that it refuses."""
    return f"{problem.get('title', 'Refused.')} {problem.get('detail', '')}".strip()
