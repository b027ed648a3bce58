"""Values that a task needs after a restart and nobody should read: header values, credentials.

Rule: they are in `secrets.json` (0600) in the state directory and nowhere else on disk: not in the
database, the journal, a log or an export (R8). They go when their task goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os

from transfermon.model import json_text
from transfermon.model.checked_text import is_text
from transfermon.storage.settings import write_whole

log = logging.getLogger(__name__)


class Vault:
    """Header values by owner: `session` or `session:number`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._values: dict[str, dict[str, str]] = {}
        self._changed = False
        self._saving = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Vault {len(self._values)} owners>"

    def load(self) -> None:
        """Blocking. A damaged file is set aside as `secrets.json.damaged`; its tasks will ask for
        credentials. Where only some owners cannot be read, that is a copy, and the others are kept.
        """
        try:
            with open(self.path, "rb") as file:
                data = file.read()
            stored = json_text.loads(data)
            if not isinstance(stored, dict):
                raise ValueError("not an object")
        except FileNotFoundError:
            return
        except ValueError as exc:
            log.warning("%s cannot be read and is set aside: %s", self.path, exc)
            os.replace(self.path, self.path + ".damaged")
            return
        self._values = {
            owner: headers for owner, headers in stored.items() if _are_headers(headers)
        }
        if lost := len(stored) - len(self._values):
            log.warning("%d entries in %s cannot be read; the others are used", lost, self.path)
            with contextlib.suppress(OSError):
                write_whole(self.path + ".damaged", data)

    def get(self, owner: str) -> dict[str, str]:
        return dict(self._values.get(owner, {}))

    def put(self, owner: str, headers: dict[str, str]) -> None:
        """Remember; `saved` makes it durable."""
        if headers:
            self._values[owner] = dict(headers)
            self._changed = True

    def drop(self, owner: str) -> None:
        if self._values.pop(owner, None) is not None:
            self._changed = True

    @property
    def is_saved(self) -> bool:
        """Whether `saved` would have nothing to do, and nothing to wait for."""
        return not self._changed and not self._saving.locked()

    async def saved(self) -> None:
        """Durable on return: everything put or dropped before the call. Raises OSError when it
        cannot be written.
        """
        async with self._saving:
            if not self._changed:
                return
            self._changed = False
            data = json.dumps(self._values).encode()
            try:
                await asyncio.to_thread(write_whole, self.path, data)
            except OSError:
                self._changed = True
                raise


def _are_headers(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(one, str) and is_text(one) for one in value.values()
    )
