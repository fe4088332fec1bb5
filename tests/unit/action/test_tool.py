"""The tools' schemas and argument types."""

from __future__ import annotations

import msgspec
import pytest

from rynxs.action.tool import TOOLS, ShellExec


@pytest.mark.parametrize("tool", TOOLS.values(), ids=list(TOOLS))
def test_schemas_are_objects_without_references(tool) -> None:
    for schema in (tool.input_schema(), tool.output_schema()):
        assert schema["type"] == "object"
        assert "$ref" not in str(schema)
        assert "$defs" not in schema


@pytest.mark.parametrize("tool", TOOLS.values(), ids=list(TOOLS))
def test_every_tool_is_described_and_refuses_unknown_fields(tool) -> None:
    assert tool.description
    assert tool.input_schema()["additionalProperties"] is False


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({}, "missing required field `argv`"),
        ({"argv": []}, "Expected `array` of length >= 1"),
        ({"argv": "ls"}, "Expected `array`, got `str`"),
        ({"argv": ["a\x00b"]}, "matching regex"),
        ({"argv": ["ls"], "timeout": 0}, "> 0"),
        ({"argv": ["ls"], "timeout": 1e9}, "<= 86400"),
        ({"argv": ["ls"], "env": {"A\x00": "b"}}, "matching regex"),
        ({"argv": ["ls"], "shell": True}, "unknown field `shell`"),
    ],
)
def test_bad_arguments_are_refused_by_name(args, reason) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason.replace("[", r"\[")):
        msgspec.convert(args, ShellExec)


def test_defaults_do_not_leak_between_calls() -> None:
    first, second = (msgspec.convert({"argv": ["ls"]}, ShellExec) for _ in range(2))
    assert first.env is not second.env
