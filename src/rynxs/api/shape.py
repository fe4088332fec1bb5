"""Shapes: JSON values read into Structs, with every difference said in words for who wrote them.

msgspec's own errors stop at the first one and have no path below a mapping; this walk follows the same types
(`msgspec.inspect`) and msgspec has the last word.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, inspect

from rynxs.api.problem import InvalidField, Problem, join, near, shown

S = TypeVar("S", bound=Struct)

_NAMES: dict[type, str] = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing",
}


class Misshapen(Exception):
    """The values are not of the type; `problems` holds at least one."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems)))


def read(value: Any, type_: type[S]) -> S:
    """Make the Struct that the JSON values describe. Raises Misshapen."""
    if problems := list(_walk(value, _root(type_), "")):
        raise Misshapen(problems)
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise Misshapen([_problem(error)]) from error


@functools.cache
def _root(type_: type[Struct]) -> inspect.Type:
    return inspect.type_info(type_)


def _problem(error: msgspec.ValidationError) -> Problem:
    """Read what a `__post_init__` said; msgspec appends the Struct's place: " - at `$.spec.rules[0]`"."""
    cause = error.__cause__
    if not isinstance(cause, InvalidField):
        return Problem("", str(error))
    place = re.fullmatch(r" - at `\$\.?(.*)`", str(error).removeprefix(str(cause)))
    inner = cause.problem
    return Problem(join(place[1] if place else "", inner.path), inner.reason, inner.suggestion)


def _walk(value: Any, type_: inspect.Type, path: str, valid: str = "") -> Iterator[Problem]:
    """Every difference between value and type. `valid` says what the type's pattern takes."""
    match type_:
        case inspect.Metadata():
            yield from _walk(value, type_.type, path, (type_.extra or {}).get("valid", ""))
        case inspect.UnionType():
            fitting = [known for known in type_.types if _fits(value, known)]
            if not fitting:
                yield Problem(path, _expected(value, *type_.types))
            elif not any(isinstance(known, inspect.NoneType) for known in fitting):
                yield from _walk(value, fitting[0], path, valid)
        case _ if not _fits(value, type_):
            yield Problem(path, _expected(value, type_))
        case inspect.StructType():
            yield from _struct(value, type_, path)
        case inspect.DictType():
            yield from _too_many(value, type_, path)
            for key, item in value.items():
                yield from _walk(item, type_.value_type, join(path, key))
        case inspect.ListType():
            if len(value) < (type_.min_length or 0):
                yield Problem(path, "must not be empty")
            yield from _too_many(value, type_, path)
            for index, item in enumerate(value):
                yield from _walk(item, type_.item_type, f"{path}[{index}]")
        case inspect.LiteralType() | inspect.EnumType():
            choices = _choices(type_)
            if value not in choices:
                reason = f"{shown(value)} is not supported; this version knows {', '.join(choices)}"
                yield Problem(path, reason, near(value, choices))
        case inspect.StrType():
            if len(value) < (type_.min_length or 0):
                yield Problem(path, "must not be empty")
            elif type_.max_length is not None and len(value) > type_.max_length:
                yield Problem(path, f"has {len(value)} characters, over the limit of {type_.max_length}")
            elif type_.pattern is not None and not re.fullmatch(type_.pattern, value):
                yield Problem(path, f"{shown(value)} is not valid: {valid}")


def _struct(value: dict[str, Any], type_: inspect.StructType, path: str) -> Iterator[Problem]:
    fields = {field.encode_name: field for field in type_.fields}
    for key, item in value.items():
        if key in fields:
            yield from _walk(item, fields[key].type, join(path, key))
        else:
            yield Problem(join(path, key), "unknown field", near(key, fields.keys() - value.keys()))
    for name, field in fields.items():
        if field.required and name not in value:
            yield Problem(join(path, name), "is required")


def _too_many(
    value: dict[str, Any] | list[Any], type_: inspect.DictType | inspect.ListType, path: str
) -> Iterator[Problem]:
    if type_.max_length is not None and len(value) > type_.max_length:
        yield Problem(path, f"has {len(value)} items, over the limit of {type_.max_length}")


def _fits(value: Any, type_: inspect.Type) -> bool:
    return type(value) in _accepted(type_)


def _accepted(type_: inspect.Type) -> tuple[type, ...]:
    """Give the Python types that a JSON value of that type has."""
    match type_:
        case inspect.Metadata():
            return _accepted(type_.type)
        case inspect.StructType() | inspect.DictType():
            return (dict,)
        case inspect.ListType():
            return (list,)
        case inspect.StrType() | inspect.LiteralType() | inspect.EnumType():
            return (str,)
        case inspect.IntType():
            return (int,)
        case inspect.FloatType():
            return (float, int)
        case inspect.NoneType():
            return (type(None),)
        case _:
            raise TypeError(f"manifests have no fields of type {type_}")


def _choices(type_: inspect.LiteralType | inspect.EnumType) -> list[str]:
    if isinstance(type_, inspect.LiteralType):
        return [str(value) for value in type_.values]
    return [str(member.value) for member in type_.cls]


def _expected(value: Any, *types: inspect.Type) -> str:
    names = dict.fromkeys(_NAMES[_accepted(known)[0]] for known in types if not isinstance(known, inspect.NoneType))
    expected = " or ".join(names)
    if isinstance(value, (dict, list, type(None))):
        return f"expected {expected}, got {_NAMES[type(value)]}"
    text = shown(value).lower() if isinstance(value, bool) else shown(value)
    remedy = ": write it in quotes" if "a string" in names and not isinstance(value, str) else ""
    return f"expected {expected}, got {text}{remedy}"
