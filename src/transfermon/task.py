"""The record of a task, under the name that scripts use."""

from transfermon.model.task import *  # noqa: F403
