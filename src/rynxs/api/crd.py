"""Custom resource definitions: our Structs as the API server's structural schemas (apiextensions.k8s.io/v1).

The server refuses what the schema and its rules refuse, and prunes unknown fields, unless a client asks for strict
validation, as kubectl does. What neither can say a Struct checks when it is read.

Nothing is reserved for what comes later (snapshots, GPUs, templates): it comes as optional fields beside these, and an
object without them keeps its meaning.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import NODEFAULT, Struct, inspect

from rynxs.api.agent import MAX_NAME, Agent, Resources, Workspace
from rynxs.api.policy import AgentPolicy, ClusterAgentPolicy
from rynxs.api.quantity import PATTERN
from rynxs.api.selector import Requirement, Selector
from rynxs.api.status import AgentStatus, PolicyStatus

Schema = dict[str, Any]


class Rule(NamedTuple):
    """A validation in CEL, and what is said where it does not hold; `field` is where, as `.size`.

    `expression` gives a message with values in it; `message` counts where it fails.
    """

    rule: str
    message: str
    field: str = ""
    expression: str = ""


class Kind(NamedTuple):
    """A resource: its Structs, its names and the columns of `kubectl get` (name, type, JSON path)."""

    type_: type[Struct]
    status: type[Struct]
    plural: str
    short: str
    scope: str
    columns: tuple[tuple[str, str, str], ...]
    rules: tuple[Rule, ...]


_POLICY_COLUMNS = (
    ("Valid", "string", '.status.conditions[?(@.type=="Valid")].status'),
    ("Rules", "integer", ".status.rules"),
)
_POLICY_NAME = Rule(
    "self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
    "a policy's name has at most 63 characters and no '.'",
)

KINDS = (
    Kind(
        type_=Agent,
        status=AgentStatus,
        plural="agents",
        short="ag",
        scope="Namespaced",
        columns=(
            ("Phase", "string", ".status.phase"),
            ("Computer", "string", ".status.computer"),
            ("Policy", "string", ".status.policy"),
        ),
        rules=(
            Rule(
                f"self.metadata.name.size() <= {MAX_NAME} && !self.metadata.name.contains('.')",
                f"an agent's name has at most {MAX_NAME} characters and no '.': what is made for it is named after it",
            ),
        ),
    ),
    Kind(
        type_=AgentPolicy,
        status=PolicyStatus,
        plural="agentpolicies",
        short="agpol",
        scope="Namespaced",
        columns=_POLICY_COLUMNS,
        rules=(_POLICY_NAME,),
    ),
    Kind(
        type_=ClusterAgentPolicy,
        status=PolicyStatus,
        plural="clusteragentpolicies",
        short="cagpol",
        scope="Cluster",
        columns=_POLICY_COLUMNS,
        rules=(_POLICY_NAME,),
    ),
)

_MORE_THAN_0 = Rule("quantity(string(self)).isGreaterThan(quantity('0'))", "must be more than 0")


def _within(field: str) -> Rule:
    request, limit = f"self.requests.{field}", f"self.limits.{field}"
    return Rule(
        f"!has(self.requests) || !has(self.limits) || !has({request}) || !has({limit}) || "
        f"quantity(string({request})).compareTo(quantity(string({limit}))) <= 0",
        "the request is over the limit",
        f".requests.{field}",
        f"string({request}) + ' is over the limit of ' + string({limit})",
    )


RULES: dict[type[Struct], tuple[Rule, ...]] = {
    Resources: (
        _within("cpu"),
        _within("memory"),
    ),
    Workspace: (
        Rule(
            "!has(self.size) || !has(oldSelf.size) || "
            "quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0",
            "a workspace can't shrink",
            ".size",
            "'a workspace can\\'t shrink from ' + string(oldSelf.size) + ' to ' + string(self.size)",
        ),
        Rule(
            "has(self.storageClassName) == has(oldSelf.storageClassName) && "
            "(!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
            "a workspace can't change its storage class",
        ),
    ),
    Requirement: (
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "operators In and NotIn need values, and the others take none",
            ".values",
        ),
    ),
    Selector: (
        Rule(
            "!has(self.matchLabels) || self.matchLabels.all(key, key.size() <= 317)",
            "a label's key has at most 317 characters",
            ".matchLabels",
        ),
    ),
}
"""What the Structs check in code, for the server that a schema alone does not tell."""


def definitions() -> dict[str, Schema]:
    """Every definition, by its name (`agents.rynxs.dev`)."""
    return {(made := _definition(kind))["metadata"]["name"]: made for kind in KINDS}


def _definition(kind: Kind) -> Schema:
    name, group = kind.type_.__name__, "rynxs.dev"
    columns = [{"name": title, "type": type_, "jsonPath": path} for title, type_, path in kind.columns]
    age = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root(kind)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [*columns, age],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{group}",
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": group,
            "scope": kind.scope,
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": kind.plural,
                "singular": name.lower(),
                "shortNames": [kind.short],
                "categories": ["rynxs"],
            },
            "versions": [version],
        },
    }


def _root(kind: Kind) -> Schema:
    schema = _schema(inspect.type_info(kind.type_))
    properties = schema["properties"]
    properties |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    properties["status"] = _schema(inspect.type_info(kind.status))
    schema["required"] = [field for field in schema.get("required", ()) if field != "metadata"]
    if not schema["required"]:
        del schema["required"]
    return schema | {"x-kubernetes-validations": [_validation(rule) for rule in kind.rules]}


def _schema(type_: inspect.Type) -> Schema:
    """The structural schema of a type. Raises TypeError for one that manifests don't use."""
    match type_:
        case inspect.Metadata():
            return _described(type_)
        case inspect.UnionType():
            return _union(type_)
        case inspect.StructType():
            return _struct(type_)
        case inspect.DictType():
            items = {"type": "object", "additionalProperties": _schema(type_.value_type)}
            return items | _limits(minProperties=type_.min_length, maxProperties=type_.max_length)
        case inspect.ListType():
            items = {"type": "array", "items": _schema(type_.item_type)}
            return items | _limits(minItems=type_.min_length, maxItems=type_.max_length)
        case inspect.StrType():
            text = {"type": "string"}
            return text | _limits(minLength=type_.min_length, maxLength=type_.max_length, pattern=type_.pattern)
        case inspect.IntType():
            return {"type": "integer"} | _limits(minimum=type_.ge, maximum=type_.le)
        case inspect.LiteralType():
            return {"type": "string", "enum": list(type_.values)}
        case inspect.EnumType():
            return {"type": "string", "enum": [member.value for member in type_.cls]}
        case _:
            raise TypeError(f"manifests have no fields of type {type_}")


def _described(type_: inspect.Metadata) -> Schema:
    """Add what is said about a type. `valid`, what its pattern takes, becomes part of the description."""
    schema, more = _schema(type_.type), dict(type_.extra_json_schema or {})
    said, inner = more.pop("description", ""), schema.pop("description", "")
    if valid := (type_.extra or {}).get("valid", ""):
        valid = f"{valid[0].upper()}{valid[1:]}."
    description = said if said and schema.get("type") == "object" else " ".join(filter(None, (said, valid, inner)))
    return ({"description": description} if description else {}) | schema | more


def _union(type_: inspect.UnionType) -> Schema:
    """`X | None` is an optional X; a string or a number is a quantity."""
    types = [known for known in type_.types if not isinstance(known, inspect.NoneType)]
    if len(types) == 1:
        return _schema(types[0])
    if {type(known) for known in types} == {inspect.StrType, inspect.IntType, inspect.FloatType}:
        # The server takes no fractions here: they are written as strings, or as 500m.
        quantity = {"x-kubernetes-int-or-string": True, "pattern": PATTERN, "maxLength": 64}
        return quantity | {"x-kubernetes-validations": [_validation(_MORE_THAN_0)]}
    raise TypeError(f"manifests have no fields of type {type_}")


def _struct(type_: inspect.StructType) -> Schema:
    properties: dict[str, Schema] = {}
    for field in type_.fields:
        schema = properties[field.encode_name] = _schema(field.type)
        if (default := _default(field, schema)) is not None:
            schema["default"] = default
    made: Schema = {"type": "object", "description": " ".join((type_.cls.__doc__ or "").split())}
    if required := [field.encode_name for field in type_.fields if field.required]:
        made["required"] = required
    made["properties"] = properties
    if rules := RULES.get(type_.cls):
        made["x-kubernetes-validations"] = [_validation(rule) for rule in rules]
    return made


def _default(field: inspect.Field, schema: Schema) -> Any:
    """What the server fills in: values, and objects that hold such values; nothing for what may stay away."""
    default = msgspec.to_builtins(field.default) if field.default is not NODEFAULT else None
    if schema.get("type") == "object":
        has_defaults = any("default" in known for known in schema.get("properties", {}).values())
        return {} if default is not None and has_defaults else None
    return default or None


def _limits(**limits: int | str | None) -> Schema:
    return {name: limit for name, limit in limits.items() if limit is not None}


def _validation(rule: Rule) -> Schema:
    made = {"rule": rule.rule, "message": rule.message}
    more = {"messageExpression": rule.expression, "fieldPath": rule.field}
    return made | {name: text for name, text in more.items() if text}
