"""Records as text: every field comes back."""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.model.configuration import RetryPolicy, SessionConfiguration
from transfermon.model.task import Kind, Task
from transfermon.storage.records import configuration_of, configuration_text, task_of, task_text

A_TASK = Task(session="s", number=1, kind=Kind.DOWNLOAD, url="https://example.org/1")


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value that a field's annotation allows, every field of a record included."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([values(one) for one in inner])
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return st.lists(values(inner[0]), max_size=3).map(tuple)
        return st.tuples(*(values(one) for one in inner))
    if dataclasses.is_dataclass(hint):
        fields = typing.get_type_hints(hint)
        return st.builds(
            hint,  # type: ignore[arg-type]
            **{item.name: values(fields[item.name]) for item in dataclasses.fields(hint)},
        )
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(max_size=20),
        int: st.integers(-(2**63), 2**63),
        float: st.floats(allow_nan=False),
        bool: st.booleans(),
        type(None): st.none(),
        Any: st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    }
    return plain[hint]


@given(values(Task))
def test_every_field_of_a_task_comes_back(task: Task):
    again = task_of(task_text(task))
    assert again == task
    assert {key: type(value) for key, value in vars(again).items()} == {
        key: type(value) for key, value in vars(task).items()
    }


@given(values(RetryPolicy))
def test_every_field_of_a_retry_policy_comes_back(policy: RetryPolicy):
    configuration = dataclasses.replace(SessionConfiguration.background("s"), retry_policy=policy)
    text = configuration_text(configuration)
    assert configuration_of(text) == configuration


@pytest.mark.parametrize(
    "item",
    [
        item
        for item in dataclasses.fields(SessionConfiguration)
        if item.type in ("str", "int", "float", "bool")
    ],
)
def test_every_field_of_a_configuration_comes_back(item: Any):
    other: Any = {"str": "other", "int": 3, "float": 3.5, "bool": not item.default}[item.type]
    configuration = dataclasses.replace(SessionConfiguration.background("s"), **{item.name: other})
    assert getattr(configuration_of(configuration_text(configuration)), item.name) == other


def test_a_field_of_a_newer_version_is_passed_over():
    stored = {**json.loads(task_text(A_TASK)), "unheard_of": 1}
    assert task_of(json.dumps(stored)) == A_TASK


@pytest.mark.parametrize("number", [None, 1, 3, 6, 16])
def test_a_number_of_connections_that_somebody_set_stays_and_none_stays_none(number: int | None):
    own = SessionConfiguration(http_maximum_connections_per_host=number)
    assert configuration_of(configuration_text(own)) == own


def test_the_connections_for_one_file_are_written_where_somebody_set_them():
    own = SessionConfiguration(connections=4)
    assert configuration_of(configuration_text(own)) == own
    assert "connections" not in json.loads(configuration_text(SessionConfiguration()))


@pytest.mark.parametrize(("old", "now"), [(3, None), (6, None), (4, 4)])
def test_the_defaults_that_older_builds_wrote_down_are_automatic(old: int, now: int | None):
    text = json.dumps({"identifier": "a", "http_maximum_connections_per_host": old})
    assert configuration_of(text).http_maximum_connections_per_host == now
