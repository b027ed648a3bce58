"""How often background fetches may come, as a person chooses it."""

from __future__ import annotations

from transfermon.model.configuration import BACKGROUND_FETCH_INTERVAL_NEVER
from transfermon.model.translate import marked

INTERVALS: tuple[tuple[str, float], ...] = (
    (marked("Never"), BACKGROUND_FETCH_INTERVAL_NEVER),
    (marked("As often as allowed"), 0.0),
    (marked("Every 30 minutes"), 1800.0),
    (marked("Every hour"), 3600.0),
    (marked("Every 6 hours"), 6 * 3600.0),
    (marked("Every day"), 24 * 3600.0),
)


def interval_index(interval: float) -> int:
    """Which of `INTERVALS` is shown for any interval: the longest that is not longer."""
    if interval == BACKGROUND_FETCH_INTERVAL_NEVER:
        return 0
    return max(
        index for index, (_, seconds) in enumerate(INTERVALS) if index and seconds <= interval
    )
