"""The events, under the name that scripts use."""

from transfermon.model.events import *  # noqa: F403
