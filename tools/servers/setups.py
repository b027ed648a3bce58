"""What a set-up is: a real server from a registry, how it is started, and how a file gets to it.

Rule: a set-up is data. Each server has one file in setups/, and a set-up that needs code of its own
brings it as text for the server's language. In commands and texts @PORT@, @ROOT@, @DIR@, @ORIGIN@,
@PYTHON@ and @MODULES@ are replaced.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "setups"


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str = "PUT"
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Store:
    """How a file gets into a store that has no folder of its own."""

    first: Sequence[Request] = ()  # once, such as for a bucket
    put: Request
    sign: str = ""  # "s3" or "azure": how its requests are signed


@dataclass(frozen=True, kw_only=True)
class Upload:
    path: str  # @NAME@ is the file's name
    protocol: str = "auto"  # as `transfermon put --protocol` has it
    method: str = "PUT"
    headers: Mapping[str, str] = field(default_factory=dict)
    # where the received file can be fetched; "" when it lies in the server's folder
    fetch: str = ""


@dataclass(frozen=True, kw_only=True)
class Setup:
    key: str  # the name of its file, and its own after it
    group: str  # the name of its file: set-ups of one file share their packages
    name: str
    package: str = ""  # whose version is shown; the first one if not given
    pypi: Sequence[str] = ()
    npm: Sequence[str] = ()
    debian: Sequence[str] = ()
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # written before it is started
    path: str = "/@NAME@"
    ending: str = ".bin"  # ".tar.gz" where the label of such a file is what matters
    coded: bool = False  # a .gz file lies beside each file
    origin: str = ""  # the key of the set-up that it stands in front of
    store: Store | None = None
    download: bool = True
    upload: Upload | None = None


def load(folder: Path = FOLDER) -> dict[str, Setup]:
    """Every set-up by its key, in the order of the file names."""
    found: dict[str, Setup] = {}
    for path in sorted(folder.glob("*.toml")):
        shared = tomllib.loads(path.read_text(encoding="utf-8"))
        variants = shared.pop("setup", [{}])
        for variant in variants:
            own = variant.pop("key", "")
            key = f"{path.stem}-{own}" if own else path.stem
            setup = _setup({**shared, **variant, "key": key, "group": path.stem})
            found[setup.key] = setup
    return found


def _setup(values: dict[str, Any]) -> Setup:
    unknown = set(values) - {each.name for each in fields(Setup)}
    if unknown:
        raise ValueError(f"{values['key']}: {', '.join(sorted(unknown))} is not known")
    if (store := values.get("store")) is not None:
        first = tuple(Request(**each) for each in store.get("first", ()))
        values["store"] = Store(
            first=first, put=Request(**store["put"]), sign=store.get("sign", "")
        )
    if (upload := values.get("upload")) is not None:
        values["upload"] = Upload(**upload)
    return Setup(**values)
