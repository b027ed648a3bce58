"""Names that are given once: of wakes, of their handlers, of notifications."""

from __future__ import annotations


def new_identifier() -> str:
    """A random UUID (RFC 9562 §5.4)."""
    import uuid  # it looks at the platform first, which a command without any wake need not pay for

    return str(uuid.uuid4())
