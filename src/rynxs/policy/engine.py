"""The engine: compiled policies, asked once for each action."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from msgspec import Struct

from rynxs.action.decision import Decision, Effect
from rynxs.action.request import Principal
from rynxs.api.agent import Agent
from rynxs.api.policy import Policy
from rynxs.api.problem import Problem
from rynxs.policy.expression import Binding, EvaluationError
from rynxs.policy.index import Index, Level, Selection
from rynxs.policy.rule import BrokenPolicy, CompiledPolicy, CompiledRule, compile_policy, environment
from rynxs.policy.schema import values
from rynxs.policy.verdict import Answer, Finding, combine

Namespaces = Callable[[str], Mapping[str, str] | None]
"""Gives the labels of a namespace, None for one that is not known."""


def only_its_name(namespace: str) -> Mapping[str, str]:
    """The label that Kubernetes gives every namespace by itself. In local mode they have no others."""
    return {"kubernetes.io/metadata.name": namespace}


def check(policies: Sequence[Policy]) -> list[tuple[Policy, Problem]]:
    """Find what keeps policies from being used. `rynxs.api.manifest.parse` takes this function."""
    return [(policy, problem) for policy in policies for problem in compile_policy(policy).problems]


class Engine:
    """Decides actions by a fixed set of policies; another set is another engine."""

    def __init__(
        self,
        policies: Iterable[Policy | BrokenPolicy | CompiledPolicy],
        namespaces: Namespaces = only_its_name,
    ) -> None:
        """Compile the policies that are not compiled. Does not raise: what is broken denies what it selects."""
        self._namespaces = namespaces
        self._index = Index(one if isinstance(one, CompiledPolicy) else compile_policy(one) for one in policies)

    def decide(self, agent: Agent, principal: Principal, tool: str, args: Struct) -> Decision:
        """Decide one action by the policies that select the agent. `args` are the tool's, validated."""
        selection = self.selection(agent)
        if selection.broken:
            message = f"everything is denied: {selection.broken[0]}"
            return Decision(effect=Effect.DENY, rule="", message=message, policies=selection.hash)
        binding = environment(tool).bind(values(tool, args, agent, principal))
        answers = (Answer(level.names, _evaluate(level, tool, binding)) for level in selection.levels)
        return combine(answers, agent.metadata.name, selection.hash)

    def selection(self, agent: Agent) -> Selection:
        """The policies that select the agent. One in a namespace that is not known may do nothing."""
        namespace = agent.metadata.namespace
        labels = self._namespaces(namespace)
        if labels is None:
            nothing = Index(()).select(agent, {})
            return replace(nothing, broken=(f"the labels of namespace {namespace} are not known",))
        return self._index.select(agent, labels)

    def hash_for(self, agent: Agent) -> str:
        """`sha256:<hex>` of the policies that select the agent: it changes when what they say does."""
        return self.selection(agent).hash


def _evaluate(level: Level, tool: str, binding: Binding) -> Iterator[Finding]:
    """Each rule's finding, as far as somebody asks for the next."""
    rules: Sequence[CompiledRule] = level.rules.get(tool, ())
    for rule in rules:
        try:
            matched, failure = rule.when.evaluate(binding), ""
        except EvaluationError as error:
            matched, failure = False, str(error)
        yield Finding(rule.name, rule.effect, rule.message, matched, failure)
