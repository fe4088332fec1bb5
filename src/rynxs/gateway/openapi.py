"""The OpenAPI 3.1 document, made from the tools' types."""

from __future__ import annotations

from typing import Any

import msgspec

from rynxs import __version__
from rynxs.action.decision import Decision
from rynxs.action.outcome import Outcome
from rynxs.action.tool import TOOLS
from rynxs.api.agent import Agent

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem document.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "action": {"type": "string"},
        "rule": {"type": "string"},
        "policies": {"type": "string"},
    },
}
_OUTPUT = {
    "type": "object",
    "required": ["content", "encoding"],
    "properties": {"content": {"type": "string"}, "encoding": {"enum": ["utf-8", "base64"]}},
}


def document() -> dict[str, Any]:
    """The whole document, as JSON values."""
    types = [tool.args for tool in TOOLS.values()] + [Decision, Outcome, Agent]
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas: dict[str, Any] = dict(components)
    schemas["Problem"] = _PROBLEM
    schemas["Output"] = _OUTPUT
    schemas["Action"] = {
        "oneOf": [_action(name, tool.args.__name__) for name, tool in TOOLS.items()],
        "description": "One request to use one tool.",
    }
    schemas["Answer"] = _object(
        {"action": {"type": "string"}, "decision": _ref("Decision"), "outcome": _ref("Outcome")},
        {"stdout": _ref("Output"), "stderr": _ref("Output")},
    )
    schemas["RegisteredAgent"] = _object(
        {"uid": {"type": "string"}, "created": {"type": "string"}, "agent": _ref("Agent")}, {}
    )
    namespace, name = _parameter("namespace"), _parameter("name")
    agents = _json(_object({"items": {"type": "array", "items": _ref("RegisteredAgent")}}, {}))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Rynxs", "version": __version__, "license": {"name": "Apache-2.0"}},
        "security": [{"bearer": []}],
        "paths": {
            "/v1/agents": {"get": _operation("List the agents of every namespace", {"200": agents})},
            "/v1/namespaces/{namespace}/agents": {
                "parameters": [namespace],
                "get": _operation("List the agents of a namespace", {"200": agents}),
            },
            "/v1/namespaces/{namespace}/agents/{name}": {
                "parameters": [namespace, name],
                "get": _operation("Read an agent", {"200": _json(_ref("RegisteredAgent"))}),
            },
            "/v1/namespaces/{namespace}/agents/{name}/actions": {
                "parameters": [namespace, name],
                "post": _operation(
                    "Use a tool: decided by policy, recorded, run, recorded, answered",
                    {
                        "200": {
                            "description": "The action was allowed and has ended. As events: decided, output, outcome.",
                            "content": {
                                "application/json": {"schema": _ref("Answer")},
                                "text/event-stream": {"schema": {"type": "string"}},
                            },
                        }
                    },
                )
                | {
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": _ref("Action")}},
                    }
                },
            },
            "/v1/log/{stream}/events": {
                "parameters": [_parameter("stream")],
                "get": _operation(
                    "Read or follow the events of a stream",
                    {
                        "200": {
                            "description": "One event a line.",
                            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
                        }
                    },
                )
                | {
                    "parameters": [
                        _query("after", {"type": "integer"}, "Events behind this sequence number."),
                        _query("last", {"type": "integer"}, "Only so many of the newest events."),
                        _query("follow", {"type": "boolean"}, "Stay, and give events as they come."),
                    ]
                },
            },
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _action(tool: str, args: str) -> dict[str, Any]:
    id_ = {"type": "string", "format": "uuid", "description": "A UUIDv7; makes a retry safe."}
    schema = _object({"tool": {"const": tool}, "args": _ref(args)}, {"id": id_})
    return schema | {"title": tool, "additionalProperties": False}


def _object(required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _operation(summary: str, responses: dict[str, Any]) -> dict[str, Any]:
    refused = {
        "description": "Refused: nothing was run, unless the detail says otherwise.",
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    return {"summary": summary, "responses": responses | {"default": refused}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "As asked.", "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
