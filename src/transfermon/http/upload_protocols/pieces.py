"""How much goes into one append: all that is left, or as much as gets through (U-16, U-19)."""

from __future__ import annotations

from transfermon.http.upload_protocols.fields import Limits
from transfermon.model.task import UploadResource, changed

MIB = 1 << 20
LARGEST_PIECE, SMALLEST_PIECE = 64 * MIB, MIB


def next_piece(upload: UploadResource, offset: int) -> tuple[int, bool]:
    """Where the next append ends, and whether it is the last."""
    most = min((size for size in (upload.max_append, upload.piece) if size), default=upload.length)
    end = min(upload.length, offset + most)
    return end, end == upload.length


def smaller_pieces(
    upload: UploadResource, tried: int, told: Limits | None = None
) -> UploadResource | None:
    """With smaller appends than one of `tried` bytes: 64 MiB, halved down to 1 MiB, within the
    server's limits, also those that its refusal told. None when that is not possible.
    """
    if told is not None:
        upload = changed(
            upload,
            max_append=told.max_append or upload.max_append,
            min_append=told.min_append or upload.min_append,
        )
    if tried < 2:
        return None
    size = LARGEST_PIECE
    while size >= tried or size > (upload.max_append or size):
        size //= 2
    if size < SMALLEST_PIECE:  # below it only where the server asks for it
        size = upload.max_append if upload.max_append < tried else 0
    if size:
        size = max(size, upload.min_append)
    return changed(upload, piece=size, tried=0) if 0 < size < tried else None


def after_cut(upload: UploadResource, offset: int) -> UploadResource:
    """Once the server was asked after an append without an answer: what did not grow is tried in
    smaller appends.
    """
    if upload.tried and offset <= upload.offset:
        return smaller_pieces(upload, upload.tried) or changed(upload, tried=0)
    return changed(upload, tried=0)
