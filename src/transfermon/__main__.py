"""`python -m transfermon` is the same program as `transfermon`."""

from __future__ import annotations

import sys

from transfermon.commands.main import program

if __name__ == "__main__":
    sys.exit(program())
