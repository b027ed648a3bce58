"""Undoing content codings: gzip, deflate, br and zstd, in pieces of a bounded size.

Rule: the only module that imports brotli and zstd, each when the first such body comes; what they
raise is CodingError.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

BATCH = 1 << 20  # bytes of one piece; every coding keeps to it
# its buffer grows in steps, the last of which may be larger than what was there
_BROTLI_PIECE = BATCH // 4
_WINDOW = 23  # of zstd, as a power of two: 8 MiB, which no server may go beyond (RFC 9659 §3)
# the first byte of a frame, and of one to be skipped
_ZSTD_FRAMES = b"(" + bytes(range(0x50, 0x60))


class CodingError(ValueError):
    """A coded body that is damaged."""


class UnknownCodingError(CodingError):
    """A content coding that we cannot undo."""


class _Stream(Protocol):
    @property
    def whole(self) -> bool:
        """Whether the coded data ended where its format says, checksum included."""

    def decode(self, data: bytes) -> Iterator[bytes]: ...


class Decoder:
    """Undoes one coding in pieces of at most 1 MiB, and knows whether the end was reached."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream: _Stream | None = None

    def __repr__(self) -> str:
        return f"<Decoder {self._coding}>"

    @property
    def whole(self) -> bool:
        """Whether nothing is missing at the end; true where no byte came at all."""
        return self._stream is None or self._stream.whole

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Raises CodingError for damaged data, UnknownCodingError for another coding."""
        if self._stream is None:
            make = _STREAMS.get(self._coding)
            if make is None:
                raise UnknownCodingError("unknown content coding")
            self._stream = make()
        return self._stream.decode(data)


def opens(coding: str, first: bytes, whole: bool) -> bool:
    """Whether this coding can be undone on a body that begins with `first`, or, when `whole`, is
    that.
    """
    decoder, seen = Decoder(coding), 0
    try:
        for piece in decoder.decode(first):
            seen += len(piece)
            if seen > BATCH:
                return True
    except CodingError:
        return False
    return decoder.whole or not whole


def zstd() -> Any:
    """The module: of Python itself from 3.14 on."""
    if sys.version_info >= (3, 14):
        from compression import zstd as module
    else:
        from backports import zstd as module
    return module


class _Deflated:
    """gzip, of which there may be several members, or deflate."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inflate = zlib.decompressobj(wbits)
        self._began = False

    @property
    def whole(self) -> bool:
        return self._inflate.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        full = False
        while data or full:
            if self._inflate.eof:
                data = data.lstrip(b"\0")  # padding
                if self._wbits == zlib.MAX_WBITS or not data.startswith(b"\x1f"):
                    return
                self._inflate = zlib.decompressobj(self._wbits)
            piece = self._piece(data)
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
            full = len(piece) == BATCH
            if piece:
                yield piece

    def _piece(self, data: bytes) -> bytes:
        first, self._began = not self._began, True
        try:
            return self._inflate.decompress(data, BATCH)
        except zlib.error as exc:
            if not (first and self._wbits == zlib.MAX_WBITS):
                raise CodingError(str(exc)) from exc
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)  # some servers send the bare stream
        try:
            return self._inflate.decompress(data, BATCH)
        except zlib.error as exc:
            raise CodingError(str(exc)) from exc


class _Brotli:
    def __init__(self) -> None:
        import brotli

        self._error = brotli.error
        self._stream = brotli.Decompressor()

    @property
    def whole(self) -> bool:
        return bool(self._stream.is_finished())

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self.whole:
            return
        try:
            while True:
                piece = self._stream.process(data, output_buffer_limit=_BROTLI_PIECE)
                data = b""
                if piece:
                    yield piece
                if self.whole or (not piece and self._stream.can_accept_more_data()):
                    return
        except self._error as exc:
            raise CodingError(str(exc)) from exc


class _Zstd:
    """One or several frames."""

    def __init__(self) -> None:
        self._zstd = zstd()
        self._frame = self._next()

    @property
    def whole(self) -> bool:
        return bool(self._frame.eof)

    def decode(self, data: bytes) -> Iterator[bytes]:
        try:
            while data or not (self._frame.eof or self._frame.needs_input):
                if self._frame.eof:
                    if data[0] not in _ZSTD_FRAMES:
                        return
                    self._frame = self._next()
                piece = self._frame.decompress(data, BATCH)
                data = self._frame.unused_data if self._frame.eof else b""
                if piece:
                    yield piece
        except self._zstd.ZstdError as exc:
            raise CodingError(str(exc)) from exc

    def _next(self) -> Any:
        return self._zstd.ZstdDecompressor(
            options={self._zstd.DecompressionParameter.window_log_max: _WINDOW}
        )


_STREAMS: dict[str, Callable[[], _Stream]] = {
    "gzip": lambda: _Deflated(zlib.MAX_WBITS | 16),
    "deflate": lambda: _Deflated(zlib.MAX_WBITS),
    "br": _Brotli,
    "zstd": _Zstd,
}
