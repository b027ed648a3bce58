"""What can go wrong, under the name that scripts use."""

from transfermon.model.errors import *  # noqa: F403
