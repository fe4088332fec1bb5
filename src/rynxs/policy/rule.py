"""Rules: a policy compiled for each tool that its rules name, or what keeps it from being used."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from rynxs.action.decision import Effect
from rynxs.api.policy import AgentPolicy
from rynxs.api.problem import Problem
from rynxs.policy.expression import CompileError, Environment, Expression
from rynxs.policy.schema import variables


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule for one tool. `name` is `<policy>/<rule>`."""

    name: str
    effect: Effect
    message: str
    when: Expression


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy's rules by tool. With `problems` it is broken: it denies all that its selector matches."""

    policy: AgentPolicy
    rules: dict[str, list[CompiledRule]]
    problems: list[Problem]


@functools.cache
def environment(tool: str) -> Environment:
    """Make the environment of the rules for that tool. Raises KeyError when there is no such tool."""
    return Environment(variables(tool))


def compile_policy(policy: AgentPolicy) -> CompiledPolicy:
    """Compile every rule for each of its tools."""
    compiled = CompiledPolicy(policy, {}, [])
    for index, rule in enumerate(policy.spec.rules):
        problems: dict[Problem, list[str]] = {}
        for tool in rule.tools:
            try:
                when = environment(tool).compile(rule.when)
            except CompileError as error:
                problems.setdefault(_problem(f"spec.rules[{index}].when", error), []).append(tool)
            else:
                name = f"{policy.metadata.name}/{rule.name}"
                compiled.rules.setdefault(tool, []).append(CompiledRule(name, rule.effect, rule.message, when))
        for problem, tools in problems.items():
            only = f"for {', '.join(tools)}: " if tools != rule.tools else ""
            compiled.problems.append(Problem(problem.path, only + problem.reason, problem.suggestion))
    return compiled


def _problem(path: str, error: CompileError) -> Problem:
    """Say line and column of the expression, but for an undeclared name, which says where it is itself."""
    place = "" if error.reason.startswith("undeclared ") else f"line {error.line}, column {error.column}: "
    return Problem(path, place + error.reason, error.suggestion)
