"""The OpenAPI document against the tools, the routes, and what the gateway really answers."""

from __future__ import annotations

import re

import msgspec
import pytest
from jsonschema import Draft202012Validator

from rynxs.action.tool import TOOLS
from rynxs.gateway.openapi import document

DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]


def validator(name: str) -> Draft202012Validator:
    """Of one of the document's schemas."""
    return Draft202012Validator(DOCUMENT | {"$ref": f"#/components/schemas/{name}"})


def references(node):
    """Every $ref below a node."""
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_its_frame() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["title"] == "Rynxs"
    for path, item in DOCUMENT["paths"].items():
        named = {parameter["name"] for parameter in item.get("parameters", []) if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        for method, operation in item.items():
            if method != "parameters":
                assert operation["summary"]
                assert {"200", "default"} <= set(operation["responses"])
    assert list(DOCUMENT["security"][0]) == list(DOCUMENT["components"]["securitySchemes"])


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        assert reference.removeprefix("#/components/schemas/") in SCHEMAS


def test_actions_are_the_tools() -> None:
    variants = {variant["title"]: variant for variant in SCHEMAS["Action"]["oneOf"]}
    assert list(variants) == list(TOOLS)
    for name, tool in TOOLS.items():
        assert variants[name]["properties"]["tool"] == {"const": name}
        schema = SCHEMAS[variants[name]["properties"]["args"]["$ref"].rsplit("/", 1)[1]]
        assert schema == msgspec.json.schema_components([tool.args])[1][tool.args.__name__]


@pytest.mark.parametrize(
    ("action", "valid"),
    [
        ({"tool": "shell_exec", "args": {"argv": ["ls"]}}, True),
        ({"tool": "file_list", "args": {}, "id": "01993c00-0000-7000-8000-000000000000"}, True),
        ({"tool": "shell_exec", "args": {"path": "x"}}, False),
        ({"tool": "shell_exec", "args": {"argv": []}}, False),
        ({"tool": "rm", "args": {}}, False),
        ({"tool": "file_list", "args": {}, "approval": "x"}, False),
    ],
)
def test_it_accepts_what_the_gateway_accepts(action, valid) -> None:
    assert validator("Action").is_valid(action) is valid


async def test_answers_are_as_it_says(world) -> None:
    async with world.http() as client:
        assert (await client.get("/openapi.json")).json() == msgspec.to_builtins(DOCUMENT)
        path = "/v1/namespaces/team-a/agents/dev/actions"
        answer = await client.post(path, json={"tool": "shell_exec", "args": {"argv": ["good"]}})
        denied = await client.post(path, json={"tool": "shell_exec", "args": {"argv": ["bad"]}})
        agent = await client.get("/v1/namespaces/team-a/agents/dev")
    validator("Answer").validate(answer.json())
    validator("Problem").validate(denied.json())
    validator("RegisteredAgent").validate(agent.json())


async def test_its_paths_are_the_routes(world) -> None:
    routes = {route.path for route in world.app().routes} - {"/openapi.json", "/agents/{namespace}/{name}/mcp"}
    assert set(DOCUMENT["paths"]) == routes
