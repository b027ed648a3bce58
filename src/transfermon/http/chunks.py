"""The chunked coding as it goes by (RFC 9112 §7.1): where the body ends, and its lines as a strict
parser reads them.

Rule: what is not clear is refused; no byte of the file is touched. The trailers are healed like any
head. No I/O here.
"""

from __future__ import annotations

from transfermon.http.head_marks import HeadError
from transfermon.http.heads import heal
from transfermon.model.lazy_pattern import lazy_pattern

LONGEST = 100_000  # bytes of one line with its extensions, or of the trailers
_SIZE = rb"([0-9A-Fa-f]{1,20})([ \t]*)(;[^\n]*)?\r?\n"
_FIRST = lazy_pattern(_SIZE)
_NEXT = lazy_pattern(rb"\r?\n" + _SIZE)  # a line end closes the chunk before
_BLANK_LINE = lazy_pattern(rb"\n\r?\n")


class Chunks:
    """Follows one body. It costs a little for each chunk and nothing for each byte."""

    def __init__(self) -> None:
        self._left = 0  # bytes of the current chunk
        self._next = _FIRST
        self._held = b""  # lines that are not whole
        self._in_trailers = False
        self.done = False
        self.healed = False  # something was not as it should be
        self.extra = b""  # came behind the end of the body

    def __repr__(self) -> str:
        return f"<Chunks {'done' if self.done else self._left}>"

    def feed(self, data: bytes) -> bytes:
        """What a strict parser may have now, which may be nothing; `data` itself in the usual case.
        Raises HeadError.
        """
        if self._held:
            data, self._held = self._held + data, b""
        out: list[bytes] = []
        taken = at = 0
        while at < len(data) and not self.done:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            lines, healed = (
                self._trailers(data, at) if self._in_trailers else self._between(data, at)
            )
            if not lines:
                self._hold(data[at:])
                break
            if healed != lines:
                self.healed = True
                out += (data[taken:at], healed)
                taken = at + len(lines)
            at += len(lines)
        if self.done:
            self.extra = data[at:]
        if not out and at == len(data):
            return data
        return b"".join([*out, data[taken:at]])

    def _between(self, data: bytes, at: int) -> tuple[bytes, bytes]:
        """The lines at `at` between two chunks, as they are and as they should be; none where they
        are not whole.
        """
        match = self._next.match(data, at)
        if match is None:
            needed = 1 if self._next is _FIRST else 2
            if data.count(b"\n", at) >= needed or (needed == 2 and data[at] not in b"\r\n"):
                raise HeadError("the length of a chunk cannot be read")
            return b"", b""
        size, blanks, extensions = match.groups()
        self._left = int(size, 16)
        self._in_trailers = not self._left
        lines, end = match[0], b"" if self._next is _FIRST else b"\r\n"
        self._next = _NEXT
        well = lines.startswith(end) and lines.endswith(b"\r\n") and not (blanks and extensions)
        return lines, lines if well else end + size + b"\r\n"

    def _trailers(self, data: bytes, at: int) -> tuple[bytes, bytes]:
        if data.startswith((b"\n", b"\r\n"), at):
            end = data.index(b"\n", at) + 1
        elif found := _BLANK_LINE.search(data, at):
            end = found.end()
        else:
            return b"", b""
        self.done = True
        return data[at:end], heal(data[at:end], trailers=True)

    def _hold(self, part: bytes) -> None:
        if len(part) > LONGEST:
            raise HeadError("a line of the chunked coding does not end")
        self._held = part
