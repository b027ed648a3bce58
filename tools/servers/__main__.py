"""How real servers resume: starts them one after another, tries the product against each, and
writes the table.

    python -m tools.servers [--cache DIR] [--product PATH] [--write FILE] [KEY ...]

A KEY may end in `*`. The exit code is 1 when there is a mixture that could have been known, a dead
end, something called sent that is not there, or a doctor who does not tell what happens.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.servers import table, trials
from tools.servers.place import running
from tools.servers.registries import Registries, UnavailableError
from tools.servers.setups import Setup, load


def main(words: Sequence[str] | None = None) -> int:
    options = _options(words)
    setups = load()
    chosen = [
        key
        for key in setups
        if any(fnmatch.fnmatch(key, wanted) for wanted in options.keys or ["*"])
    ]
    results = options.cache.resolve() / (options.results or "results")
    results.mkdir(parents=True, exist_ok=True)
    registries = Registries(options.cache.resolve())
    if not options.table_only:

        def run(key: str) -> None:
            began = time.monotonic()
            result = _try_one(setups[key], setups, registries, options)
            (results / f"{key}.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
            print(f"{key} ({time.monotonic() - began:.0f} s): {table.in_short(result)}", flush=True)

        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(run, chosen))
    found = {
        key: json.loads(path.read_text())
        for key in setups
        if (path := results / f"{key}.json").exists()
    }
    if options.write:
        table.write(options.write, setups, found)
    faults = [
        line
        for key in found
        if key in chosen or options.table_only
        for line in table.faults(found[key])
    ]
    print("\n".join(faults) or "no fault")
    return 1 if faults else 0


def _try_one(
    setup: Setup, setups: dict[str, Setup], registries: Registries, options: argparse.Namespace
) -> dict[str, Any]:
    result: dict[str, Any] = {"key": setup.key, "name": setup.name}
    try:
        with running(setup, setups, registries, trials.NAMES, trials.SIZE) as (place, files):
            result["version"] = place.version
            if setup.download:
                result["sends"] = trials.look_at(place, files)
                result["doctor"] = trials.doctor(place, options.product)
                outcomes = trials.downloads(place, files, options.product)
                result["downloads"] = {
                    change: asdict(outcome) for change, outcome in outcomes.items()
                }
            if setup.upload is not None:
                result["uploads"] = {
                    name: asdict(
                        trials.upload(place, files, options.product, killed=name == "killed")
                    )
                    for name in ("broken", "killed")
                }
    except UnavailableError as exc:
        result["unavailable"] = str(exc)
    return result


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.servers", description=__doc__.partition("\n")[0]
    )
    product = os.environ.get("TRANSFERMON") or str(Path(sys.executable).parent / "transfermon")
    parser.add_argument(
        "--cache", type=Path, default=Path("build/servers"), help="where everything is installed"
    )
    parser.add_argument("--results", help="a folder's name below the cache, to keep two runs apart")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="set-ups that run at the same time (1)"
    )
    parser.add_argument("--product", default=product, help="the transfermon to try ($TRANSFERMON)")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the tables into this document"
    )
    parser.add_argument(
        "--table-only", action="store_true", help="run nothing, take what was found before"
    )
    parser.add_argument("keys", nargs="*", metavar="KEY", help="set-ups to run; all if not given")
    options = parser.parse_args(words)
    if shutil.which(options.product) is None:
        parser.error(f"{options.product} cannot be run; say --product or set TRANSFERMON")
    return options


if __name__ == "__main__":
    sys.exit(main())
