"""All benchmarks: `make bench`."""

from __future__ import annotations

import sys

from benchmarks import throughput

if __name__ == "__main__":
    sys.exit(throughput.main(sys.argv[1:]))
