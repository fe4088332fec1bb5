"""Definitions: every field described and bounded, and nothing in them that the API server does not take."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct, inspect

from rynxs.api.agent import Agent
from rynxs.api.crd import KINDS, definitions
from rynxs.api.crd import _schema as schema_of
from rynxs.api.manifest import KINDS as KNOWN

DEFINITIONS = definitions()


def schema(name):
    [version] = DEFINITIONS[name]["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def nodes(schema, path=""):
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


EVERY = [
    (f"{name}{path}", node)
    for name in DEFINITIONS
    for path, node in nodes(schema(name))
    if path not in (".apiVersion", ".kind", ".metadata")
]
NAMES = [name for name, _ in EVERY]


def test_there_is_one_for_each_kind_of_manifest():
    assert {kind.type_ for kind in KINDS} == set(KNOWN.values())
    assert sorted(DEFINITIONS) == ["agentpolicies.rynxs.dev", "agents.rynxs.dev", "clusteragentpolicies.rynxs.dev"]
    for definition in DEFINITIONS.values():
        [version] = definition["spec"]["versions"]
        assert (version["served"], version["storage"], version["subresources"]) == (True, True, {"status": {}})
        assert definition["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        assert [column["name"] for column in version["additionalPrinterColumns"]][-1] == "Age"


@pytest.mark.parametrize("node", [node for _, node in EVERY], ids=NAMES)
def test_it_is_structural(node):
    assert not {"$ref", "anyOf", "oneOf", "title"} & node.keys()
    assert node.get("additionalProperties") is not False
    assert ("type" in node) is ("x-kubernetes-int-or-string" not in node)


@pytest.mark.parametrize(("name", "node"), EVERY, ids=NAMES)
def test_it_is_described(name, node):
    if name.endswith(("[]", "{}")) and node["type"] == "string":
        return
    assert node["description"][-1] in ".)", name


@pytest.mark.parametrize(("name", "node"), EVERY, ids=NAMES)
def test_it_is_bounded(name, node):
    """Without bounds the server reckons with the worst, and refuses rules for their cost."""
    match node.get("type"):
        case "array":
            assert node["maxItems"] <= 256
            assert "x-kubernetes-list-type" in node
        case "object" if "additionalProperties" in node:
            assert node["maxProperties"] <= 64
        case "string":
            assert {"maxLength", "enum", "format"} & node.keys()
        case None:
            assert node["maxLength"] == 64


def fields(type_):
    match type_:
        case inspect.Metadata():
            return fields(type_.type)
        case inspect.UnionType():
            return next(filter(None, map(fields, type_.types)), None)
        case inspect.ListType():
            return fields(type_.item_type)
        case inspect.StructType():
            return {field.encode_name: (field.required, fields(field.type)) for field in type_.fields}
    return None


def same(schema, known):
    schema = schema.get("items", schema)
    assert schema["properties"].keys() == known.keys()
    assert set(schema.get("required", ())) == {name for name, (required, _) in known.items() if required}
    for name, (_, inner) in known.items():
        if inner is not None:
            same(schema["properties"][name], inner)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
def test_it_has_the_fields_of_the_structs(kind):
    properties = schema(f"{kind.plural}.rynxs.dev")["properties"]
    same(properties["spec"], fields(inspect.type_info(kind.type_))["spec"][1])
    same(properties["status"], fields(inspect.type_info(kind.status)))


def test_what_is_filled_in_is_what_we_take_for_it():
    spec = schema("agents.rynxs.dev")["properties"]["spec"]
    workspace = spec["properties"]["workspace"]
    assert (spec["default"], workspace["default"]) == ({}, {})
    filled = {name: node["default"] for name, node in workspace["properties"].items() if "default" in node}
    bare, whole = ({"metadata": {"name": "dev"}, **more} for more in ({}, {"spec": {"workspace": filled}}))
    assert msgspec.convert(bare, Agent) == msgspec.convert(whole, Agent)
    assert "default" not in schema("agentpolicies.rynxs.dev")["properties"]["spec"]


class Odd(Struct):
    """Odd."""

    field: Any


@pytest.mark.parametrize("type_", [Any, bool, str | bool, bytes, Odd])
def test_other_types_are_an_error(type_):
    with pytest.raises(TypeError, match="manifests have no fields of type"):
        schema_of(inspect.type_info(type_))


def test_what_a_pattern_takes_is_part_of_the_description():
    word = Annotated[str, Meta(pattern="^[a-z]$", extra={"valid": "a letter"})]
    assert schema_of(inspect.type_info(word))["description"] == "A letter."
    described = Annotated[word | None, Meta(description="Its name.")]
    assert schema_of(inspect.type_info(described)) == {
        "description": "Its name. A letter.",
        "type": "string",
        "pattern": "^[a-z]$",
    }
