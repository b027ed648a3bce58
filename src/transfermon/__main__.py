"""`python -m transfermon` is the same program as `transfermon`."""

from __future__ import annotations

import sys

from transfermon.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
