from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from rynxs.action.request import Principal
from rynxs.action.tool import TOOLS, ShellExec
from rynxs.api.agent import Agent
from rynxs.api.metadata import Metadata
from rynxs.policy.expression import Environment
from rynxs.policy.schema import CONTEXT, arguments_of, values, variables

AGENT = Agent(metadata=Metadata(name="dev", namespace="team-a", labels={"role": "coder"}))


def test_variables_are_the_context_and_the_tools_arguments():
    assert variables("shell_exec") == CONTEXT | {
        "action.args.argv": "list(string)",
        "action.args.cwd": "string",
        "action.args.env": "map(string, string)",
        "action.args.stdin": "string",
        "action.args.timeout": "double",
    }


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_every_tool_has_variables_that_rules_can_use(tool):
    environment = Environment(variables(tool))
    for name in variables(tool):
        environment.compile(f"[{name}].size() == 1")


def test_values_are_there_for_every_variable():
    args = ShellExec(argv=["ls"], env={"A": "b"})
    bound = values("shell_exec", args, AGENT, Principal(name="alice", groups=["leads"]))
    assert bound.keys() == variables("shell_exec").keys()
    assert bound["action.args.argv"] == ["ls"]
    assert bound["principal.groups"] == ["leads"]
    assert bound["agent.labels"] == {"role": "coder"}


class Deep(Struct):
    deep: list[list[str]]


class Loose(Struct):
    loose: Any


class Optional(Struct):
    optional: Annotated[str, Meta(max_length=1)] | None = None


@pytest.mark.parametrize("args", [Deep, Loose, Optional])
def test_arguments_that_rules_cannot_use_are_found_when_a_tool_is_written(args):
    with pytest.raises(TypeError, match="rules can't use an argument of type"):
        arguments_of(args)
