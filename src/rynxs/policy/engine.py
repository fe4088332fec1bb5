"""The engine: compiled policies, asked once for each action."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from rynxs.action.decision import Decision, Effect
from rynxs.action.request import Principal
from rynxs.api.agent import Agent
from rynxs.api.policy import AgentPolicy
from rynxs.api.problem import Problem
from rynxs.policy.expression import EvaluationError
from rynxs.policy.index import Index
from rynxs.policy.rule import CompiledRule, compile_policy, environment
from rynxs.policy.schema import values
from rynxs.policy.verdict import Finding, combine


def check(policies: Sequence[AgentPolicy]) -> list[tuple[AgentPolicy, Problem]]:
    """Find what keeps policies from being used. `rynxs.api.manifest.parse` takes this function."""
    return Engine(policies).problems


class Engine:
    """Decides actions by a fixed set of policies; another set is another engine."""

    def __init__(self, policies: Iterable[AgentPolicy]) -> None:
        """Compile the policies. Does not raise: see `problems`."""
        compiled = [compile_policy(policy) for policy in policies]
        self._index = Index(compiled)
        self.problems = [(broken.policy, problem) for broken in compiled for problem in broken.problems]

    def decide(self, agent: Agent, principal: Principal, tool: str, args: Struct) -> Decision:
        """Decide one action by the policies that select the agent. `args` are the tool's, validated."""
        selection = self._index.select(agent)
        if selection.broken:
            broken = selection.broken[0]
            name = broken.policy.metadata.name
            message = f"policy {name} is broken and denies everything: {broken.problems[0]}"
            return Decision(effect=Effect.DENY, rule="", message=message, policies=selection.hash)
        rules = selection.rules.get(tool, ())
        findings = _evaluate(rules, agent, principal, tool, args) if rules else iter(())
        return combine(findings, agent.metadata.name, selection.names, selection.hash)

    def hash_for(self, agent: Agent) -> str:
        """`sha256:<hex>` of the policies that select the agent: it changes when what they say does."""
        return self._index.select(agent).hash


def _evaluate(
    rules: Sequence[CompiledRule], agent: Agent, principal: Principal, tool: str, args: Struct
) -> Iterator[Finding]:
    """Each rule's finding, as far as somebody asks for the next."""
    binding = environment(tool).bind(values(tool, args, agent, principal))
    for rule in rules:
        try:
            matched, failure = rule.when.evaluate(binding), ""
        except EvaluationError as error:
            matched, failure = False, str(error)
        yield Finding(rule.name, rule.effect, rule.message, matched, failure)
