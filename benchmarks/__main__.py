"""All benchmarks: `make bench`. With `--survival`, `--gui`, `--window`, `--videofarm` or `--exchange`
only that one, with its own words after it; `--window` compares two builds, so it is none of all.
"""

from __future__ import annotations

import sys

from benchmarks import (
    exchange,
    gui,
    survival,
    survival_uploads,
    throughput,
    videofarm_load,
    window_builds,
)

if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["--survival"]:
        sys.exit(survival.main(words[1:]))
    if words[:1] == ["--gui"]:
        sys.exit(gui.main(words[1:]))
    if words[:1] == ["--window"]:
        sys.exit(window_builds.main(words[1:]))
    if words[:1] == ["--videofarm"]:
        sys.exit(videofarm_load.main(words[1:]))
    if words[:1] == ["--exchange"]:
        sys.exit(exchange.main(words[1:]))
    ended = throughput.main(words)
    if not words:  # all of them
        ended = max(ended, survival.main(["--kills", "20", "--files", "8", "--standby", "5"]))
        ended = max(ended, survival_uploads.main(["--kills", "20", "--files", "4"]))
        ended = max(ended, gui.main([]))
        ended = max(ended, videofarm_load.main([]), exchange.main([]))
    sys.exit(ended)
