"""All benchmarks: `make bench`. With `--table`, `--survival`, `--gui`, `--window`, `--videofarm` or
`--exchange` only that one, with its own words after it; `--window` compares two builds, so it is
none of all.
"""

from __future__ import annotations

import sys

from benchmarks import (
    exchange,
    gui,
    survival,
    survival_uploads,
    table,
    videofarm_load,
    window_builds,
)

ONE = {
    "--table": table.main,
    "--survival": survival.main,
    "--gui": gui.main,
    "--window": window_builds.main,
    "--videofarm": videofarm_load.main,
    "--exchange": exchange.main,
}

if __name__ == "__main__":
    words = sys.argv[1:]
    if words and words[0] in ONE:
        sys.exit(ONE[words[0]](words[1:]))
    if words:
        sys.exit(f"{words[0]} is none of {', '.join(ONE)}")
    ended = table.main(["--json", "build/benchmarks/table.json"])
    ended = max(ended, survival.main(["--kills", "20", "--files", "8", "--standby", "5"]))
    ended = max(ended, survival_uploads.main(["--kills", "20", "--files", "4"]))
    ended = max(ended, gui.main([]))
    ended = max(ended, videofarm_load.main([]), exchange.main([]))
    sys.exit(ended)
