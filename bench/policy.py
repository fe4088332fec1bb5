"""How long a decision takes: one policy of five rules, and a thousand of ten."""

from __future__ import annotations

import statistics
import time

from rynxs.action.request import Principal, parse_args
from rynxs.api.agent import Agent
from rynxs.api.manifest import parse
from rynxs.policy.engine import Engine

ALICE = Principal(name="alice")


def policy(number: int, rules: int) -> str:
    """A policy that selects the agents of one role."""
    lines = [
        f'- {{name: r{i}, tools: [shell_exec], when: \'action.args.argv[0] in ["git", "ls", "p{i}"]\', effect: Allow}}'
        for i in range(rules)
    ]
    body = "\n  ".join(lines)
    return (
        f"apiVersion: rynxs.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {{name: p{number}}}\n"
        f"spec:\n  selector: {{matchLabels: {{role: r{number}}}}}\n  rules:\n  {body}\n"
    )


def agent(number: int) -> Agent:
    """An agent of that role."""
    text = f"apiVersion: rynxs.dev/v1alpha1\nkind: Agent\nmetadata: {{name: a, labels: {{role: r{number}}}}}\n"
    [made] = parse(text, "bench")
    assert isinstance(made, Agent)
    return made


def main() -> None:
    """Print medians and 99th percentiles."""
    _, args = parse_args("shell_exec", {"argv": ["git", "status"]})
    for policies, rules in ((1, 5), (1000, 10)):
        objects = [parse(policy(number, rules), "bench")[0] for number in range(policies)]
        began = time.perf_counter()
        engine = Engine(objects)  # type: ignore[arg-type]
        loading = time.perf_counter() - began
        agents = [agent(number) for number in range(min(policies, 200))]
        for each in agents:
            engine.decide(each, ALICE, "shell_exec", args)
        times = []
        for turn in range(5000):
            began = time.perf_counter()
            engine.decide(agents[turn % len(agents)], ALICE, "shell_exec", args)
            times.append((time.perf_counter() - began) * 1e6)
        times.sort()
        print(
            f"{policies:5} policies of {rules:2} rules: p50 {statistics.median(times):4.0f} us  "
            f"p99 {times[int(len(times) * 0.99)]:4.0f} us  (loaded in {loading * 1000:.0f} ms)"
        )
