"""Schemas: which variables a rule may use for a tool, with their types, and their values for one action.

Names are whole and dotted (`action.args.argv`), so that a rule with an argument which its tool does not have
is refused when it is loaded. Types are scalars, and lists and maps of them: no argument nests deeper, which
also bounds what the evaluator recurses into.
"""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from msgspec import Struct, inspect

from rynxs.action.request import Principal
from rynxs.action.tool import TOOLS
from rynxs.api.agent import Agent

Variables = dict[str, str]
"""Names to types in CEL's notation: string, int, double, bool, list(string), map(string, string)."""

CONTEXT: Variables = {
    "action.tool": "string",
    "agent.name": "string",
    "agent.namespace": "string",
    "agent.labels": "map(string, string)",
    "principal.name": "string",
    "principal.groups": "list(string)",
}
"""What rules know of every action."""


@functools.cache
def variables(tool: str) -> Variables:
    """List the variables of a rule for that tool. Raises KeyError when there is no such tool."""
    arguments = {f"action.args.{name}": kind for name, kind in arguments_of(TOOLS[tool].args).items()}
    return CONTEXT | arguments


def arguments_of(args: type[Struct]) -> Variables:
    """List the fields of a tool's argument type. Raises TypeError for a type that rules can't use."""
    fields = msgspec.structs.fields(args)
    types = inspect.multi_type_info(field.type for field in fields)
    return {field.name: _type(type_) for field, type_ in zip(fields, types, strict=True)}


def values(tool: str, args: Struct, agent: Agent, principal: Principal) -> dict[str, Any]:
    """Give the values of `variables(tool)` for one action."""
    bound: dict[str, Any] = {
        "action.tool": tool,
        "agent.name": agent.metadata.name,
        "agent.namespace": agent.metadata.namespace,
        "agent.labels": agent.metadata.labels,
        "principal.name": principal.name,
        "principal.groups": principal.groups,
    }
    for name in args.__struct_fields__:
        bound[f"action.args.{name}"] = getattr(args, name)
    return bound


def _type(type_: inspect.Type) -> str:
    match type_:
        case inspect.Metadata():
            return _type(type_.type)
        case inspect.ListType():
            return f"list({_scalar(type_.item_type)})"
        case inspect.DictType():
            return f"map({_scalar(type_.key_type)}, {_scalar(type_.value_type)})"
        case _:
            return _scalar(type_)


def _scalar(type_: inspect.Type) -> str:
    match type_:
        case inspect.Metadata():
            return _scalar(type_.type)
        case inspect.StrType():
            return "string"
        case inspect.LiteralType() if all(isinstance(value, str) for value in type_.values):
            return "string"
        case inspect.BoolType():
            return "bool"
        case inspect.IntType():
            return "int"
        case inspect.FloatType():
            return "double"
        case _:
            raise TypeError(f"rules can't use an argument of type {type_}")
