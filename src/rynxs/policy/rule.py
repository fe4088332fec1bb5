"""Rules: a policy compiled for each tool that its rules name, or what keeps it from being used."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from rynxs.action.decision import Effect
from rynxs.api.policy import AgentPolicy, ClusterAgentPolicy, Policy
from rynxs.api.problem import Problem
from rynxs.api.selector import Selector
from rynxs.policy.expression import CompileError, Environment, Expression
from rynxs.policy.schema import variables

_RULE = re.compile(r"spec\.rules\[(\d+)\]\.when")


class BrokenPolicy(Struct, frozen=True, kw_only=True):
    """A policy that is there and can't be read; `problem` says why.

    It is for what its selectors match, as far as they can be read: one that is None matches everything.
    `namespace` is empty for the kind ClusterAgentPolicy.
    """

    kind: str
    namespace: str
    name: str
    problem: Problem
    selector: Selector | None = None
    namespace_selector: Selector | None = None


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule for one tool. `name` is `<policy>/<rule>`, or `cluster:<policy>/<rule>`."""

    name: str
    effect: Effect
    message: str
    when: Expression


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy's rules by tool. With `problems` it is broken: it denies all that it selects."""

    source: Policy | BrokenPolicy
    rules: dict[str, list[CompiledRule]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def of_cluster(self) -> bool:
        """Whether it is for more than its own namespace."""
        return self.source.kind == "ClusterAgentPolicy"

    @property
    def namespace(self) -> str:
        """The policy's namespace, empty for one of the cluster."""
        return self.source.namespace if isinstance(self.source, BrokenPolicy) else self.source.metadata.namespace

    @property
    def name(self) -> str:
        """How decisions name it: `coder`, or `cluster:baseline`, which no AgentPolicy can be named."""
        name = self.source.name if isinstance(self.source, BrokenPolicy) else self.source.metadata.name
        return f"cluster:{name}" if self.of_cluster else name

    def selects(self, namespace: str, namespace_labels: Mapping[str, str], labels: Mapping[str, str]) -> bool:
        """Whether it is for an agent of these labels there."""
        source = self.source
        there: Selector | None
        match source:
            case BrokenPolicy():
                selector, there = source.selector, source.namespace_selector
            case ClusterAgentPolicy():
                selector, there = source.spec.selector, source.spec.namespace_selector
            case AgentPolicy():
                selector, there = source.spec.selector, None
        return (
            (self.of_cluster or self.namespace == namespace)
            and (there is None or there.matches(namespace_labels))
            and (selector is None or selector.matches(labels))
        )

    def said(self) -> dict[str, Any]:
        """What the hash of a selection covers: not labels and annotations."""
        source = self.source
        what = {"problem": source.problem} if isinstance(source, BrokenPolicy) else {"spec": source.spec}
        return {"kind": source.kind, "name": self.name, "namespace": self.namespace, **what}

    def why(self, problem: Problem) -> str:
        """Say a problem for somebody who does not see the file: `agentpolicy/x rule "net": reason`."""
        place = f"{self.source.kind.lower()}/{self.name.removeprefix('cluster:')}"
        if not isinstance(self.source, BrokenPolicy) and (found := _RULE.fullmatch(problem.path)):
            rule = self.source.spec.rules[int(found[1])].name
            return f'{place} rule "{rule}": {Problem("", problem.reason, problem.suggestion)}'
        return f"{place} {problem}"


@functools.cache
def environment(tool: str) -> Environment:
    """Make the environment of the rules for that tool. Raises KeyError when there is no such tool."""
    return Environment(variables(tool))


def compile_policy(policy: Policy | BrokenPolicy) -> CompiledPolicy:
    """Compile every rule for each of its tools."""
    compiled = CompiledPolicy(policy)
    if isinstance(policy, BrokenPolicy):
        compiled.problems.append(policy.problem)
        return compiled
    for index, rule in enumerate(policy.spec.rules):
        problems: dict[Problem, list[str]] = {}
        for tool in rule.tools:
            try:
                when = environment(tool).compile(rule.when)
            except CompileError as error:
                problems.setdefault(_problem(f"spec.rules[{index}].when", error), []).append(tool)
            else:
                name = f"{compiled.name}/{rule.name}"
                compiled.rules.setdefault(tool, []).append(CompiledRule(name, rule.effect, rule.message, when))
        for problem, tools in problems.items():
            only = f"for {', '.join(tools)}: " if tools != rule.tools else ""
            compiled.problems.append(Problem(problem.path, only + problem.reason, problem.suggestion))
    return compiled


def _problem(path: str, error: CompileError) -> Problem:
    """Say line and column of the expression, but for an undeclared name, which says where it is itself."""
    place = "" if error.reason.startswith("undeclared ") else f"line {error.line}, column {error.column}: "
    return Problem(path, place + error.reason, error.suggestion)
