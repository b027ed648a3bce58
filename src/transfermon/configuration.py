"""What a session is told, under the name that scripts use."""

from transfermon.model.configuration import *  # noqa: F403
