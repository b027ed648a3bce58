"""Records behave like frozen dataclasses that are made by keywords."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import field
from typing import Any

import pytest

from transfermon.model.record import record


@record
class Point:
    """A place."""

    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)
    note: str = field(default="", compare=False, repr=False)


@record
class Named(Point):
    name: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a name is needed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Library:
    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)
    note: str = field(default="", compare=False, repr=False)


def test_the_library_reads_a_record_as_it_reads_its_own():
    one, other = Point(x=1, note="n"), Library(x=1, note="n")
    assert dataclasses.is_dataclass(one)
    assert [item.name for item in dataclasses.fields(one)] == [
        item.name for item in dataclasses.fields(other)
    ]
    assert dataclasses.asdict(one) == dataclasses.asdict(other)
    assert repr(one) == repr(other).replace("Library", "Point")
    assert dataclasses.replace(one, y=5) == Point(x=1, y=5, note="n")
    assert copy.deepcopy(one) == one


def test_defaults_are_made_anew_for_each():
    one, other = Point(x=1), Point(x=1)
    one.tags.append("a")
    assert (one.tags, other.tags) == (["a"], [])


def test_two_are_equal_where_the_compared_fields_are():
    assert Point(x=1, note="a") == Point(x=1, note="b")
    assert Point(x=1) != Point(x=2)
    assert Point(x=1, tags=()) != Named(x=1, tags=(), name="n")  # type: ignore[arg-type]
    assert hash(Point(x=1, tags=(), note="a")) == hash(Point(x=1, tags=(), note="b"))  # type: ignore[arg-type]


def test_nothing_of_it_can_be_set_or_deleted():
    one: Any = Point(x=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.x
    assert one.x == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Point lacks x"),
        ({"x": 1, "z": 2}, "Point has no field z"),
        ({"z": 2}, "Point has no field z"),
    ],
)
def test_a_field_that_is_missing_or_unknown_is_named(given, words):
    with pytest.raises(TypeError, match=words):
        Point(**given)


def test_nothing_is_given_by_its_place():
    make: Any = Point
    with pytest.raises(TypeError):
        make(1)


def test_what_a_class_checks_when_made_is_checked():
    assert Named(x=1, name="n").name == "n"
    with pytest.raises(ValueError, match="a name is needed"):
        Named(x=1, name="")


def test_methods_of_its_own_stay():
    @record
    class Own:
        x: int

        def __eq__(self, other: object) -> bool:
            return True

        def __repr__(self) -> str:
            return "mine"

    assert (repr(Own(x=1)), Own(x=1) == 5) == ("mine", True)
