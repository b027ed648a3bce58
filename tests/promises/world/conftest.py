"""The fixtures of the conformance tests: monitor, session, recorder, server."""

from __future__ import annotations

from tests.promises.rules.conftest import *  # noqa: F403 - fixtures are found by their names
