"""Policies: which agents may use which tools, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from rynxs.action.decision import Effect
from rynxs.action.tool import TOOLS
from rynxs.api.metadata import Metadata, Name
from rynxs.api.problem import InvalidField, near, shown
from rynxs.api.selector import Selector


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Gives `effect` to actions of its `tools` for which `when`, a CEL expression, is true.

    `message` is for whoever is denied.
    """

    name: Name
    tools: Annotated[list[str], Meta(min_length=1)]
    when: Annotated[str, Meta(min_length=1, max_length=4096)]
    effect: Effect
    message: Annotated[str, Meta(max_length=1024)] = ""

    def __post_init__(self) -> None:
        for index, tool in enumerate(self.tools):
            if tool not in TOOLS:
                reason = f"there is no tool {shown(tool)}; the tools are {', '.join(sorted(TOOLS))}"
                raise InvalidField(f"tools[{index}]", reason, near(tool, TOOLS))
            if tool in self.tools[:index]:
                raise InvalidField(f"tools[{index}]", f"'{tool}' is there twice")


class AgentPolicySpec(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """The agents that the policy is for, and its rules. `selector` is required: `{}` says all agents.

    Their order means nothing: Deny goes before Allow, and what no rule allows is denied.
    """

    selector: Selector
    mode: Literal["Enforce"] = "Enforce"
    rules: list[Rule] = []

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for index, rule in enumerate(self.rules):
            if rule.name in seen:
                raise InvalidField(f"rules[{index}].name", f"'{rule.name}' is there twice")
            seen.add(rule.name)


class AgentPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The `AgentPolicy` resource: rules for the agents of its own namespace that its selector selects."""

    api_version: Literal["rynxs.dev/v1alpha1"] = "rynxs.dev/v1alpha1"
    kind: Literal["AgentPolicy"] = "AgentPolicy"
    metadata: Metadata
    spec: AgentPolicySpec
