"""Policies: which agents may use which tools, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from rynxs.action.decision import Effect
from rynxs.action.tool import TOOLS
from rynxs.api.metadata import ClusterMetadata, Metadata, Name
from rynxs.api.problem import InvalidField, near, shown
from rynxs.api.selector import Selector


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Gives `effect` to actions of its `tools` for which `when`, a CEL expression, is true.

    `message` is for whoever is denied.
    """

    name: Annotated[Name, Meta(description="Its name in decisions, behind that of the policy: coder/no-force-push.")]
    tools: Annotated[
        list[Annotated[str, Meta(extra_json_schema={"enum": sorted(TOOLS)})]],
        Meta(
            min_length=1,
            max_length=64,
            description="The tools whose actions it is for.",
            extra_json_schema={"x-kubernetes-list-type": "set"},
        ),
    ]
    when: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=4096,
            description="A CEL expression over action, agent and principal that gives true for the actions it is for.",
        ),
    ]
    effect: Annotated[Effect, Meta(description="What becomes of these actions. Deny goes before Allow.")]
    message: Annotated[str, Meta(max_length=1024, description="What whoever is denied is told.")] = ""

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

    selector: Annotated[
        Selector, Meta(description="The agents that the policy is for, by their labels; {} says all of them.")
    ]
    mode: Annotated[Literal["Enforce"], Meta(description="Enforce: what the rules say counts.")] = "Enforce"
    rules: Annotated[
        list[Rule],
        Meta(
            max_length=256,
            description="Their order means nothing: Deny goes before Allow, and what no rule allows is denied.",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for index, rule in enumerate(self.rules):
            if rule.name in seen:
                raise InvalidField(f"rules[{index}].name", f"'{rule.name}' is there twice")
            seen.add(rule.name)


class ClusterAgentPolicySpec(
    AgentPolicySpec, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """The namespaces and agents that the policy is for, and its rules."""

    namespace_selector: Annotated[
        Selector, Meta(description="The namespaces that it is for, by their labels; by default all of them.")
    ] = Selector()


class AgentPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """An AgentPolicy: rules for the agents of its own namespace that its selector selects."""

    api_version: Literal["rynxs.dev/v1alpha1"] = "rynxs.dev/v1alpha1"
    kind: Literal["AgentPolicy"] = "AgentPolicy"
    metadata: Metadata
    spec: Annotated[AgentPolicySpec, Meta(description="The agents that the policy is for, and its rules.")]


class ClusterAgentPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A ClusterAgentPolicy: rules for agents of many namespaces. What it denies no AgentPolicy can allow.

    It stands beside the AgentPolicies: of the two levels' answers the stricter one counts, and a level that no
    policy of it selects says nothing.
    """

    api_version: Literal["rynxs.dev/v1alpha1"] = "rynxs.dev/v1alpha1"
    kind: Literal["ClusterAgentPolicy"] = "ClusterAgentPolicy"
    metadata: ClusterMetadata
    spec: Annotated[
        ClusterAgentPolicySpec, Meta(description="The namespaces and agents that it is for, and its rules.")
    ]


Policy = AgentPolicy | ClusterAgentPolicy
"""Either level's."""
