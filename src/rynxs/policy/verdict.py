"""Verdicts: from what the rules said of an action to one decision. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rynxs.action.decision import Decision, Effect


class Finding(NamedTuple):
    """What one rule said: that it `matched`, or why it gave no answer (`failure`, empty when it did)."""

    rule: str
    effect: Effect
    message: str
    matched: bool
    failure: str = ""


def combine(findings: Iterable[Finding], agent: str, policies: Sequence[str], hash_: str) -> Decision:
    """Decide: a matching Deny goes before a rule that failed, and both before Allow; the rest is denied.

    `policies` are the names of those that select the agent, `hash_` is theirs; `agent` is its name.
    The order of the findings only chooses which of several equal rules is named.
    """
    allowed: Finding | None = None
    failed: Finding | None = None
    for finding in findings:
        if finding.failure:
            failed = failed or finding
        elif finding.matched and finding.effect is Effect.ALLOW:
            allowed = allowed or finding
        elif finding.matched:
            message = finding.message or f"rule {finding.rule} denies it"
            return Decision(effect=Effect.DENY, rule=finding.rule, message=message, policies=hash_)
    if failed:
        message = f"rule {failed.rule} failed: {failed.failure}"
        return Decision(effect=Effect.DENY, rule=failed.rule, message=message, policies=hash_)
    if allowed:
        return Decision(effect=Effect.ALLOW, rule=allowed.rule, message=allowed.message, policies=hash_)
    return Decision(effect=Effect.DENY, rule="", message=_nothing_allows(agent, policies), policies=hash_)


def _nothing_allows(agent: str, policies: Sequence[str]) -> str:
    match policies:
        case []:
            return f"no policy selects agent {agent}"
        case [only]:
            return f"no rule of policy {only} allows it"
        case [*names] if len(names) <= 3:
            return f"no rule of policies {', '.join(names)} allows it"
        case _:
            return f"no rule of the {len(policies)} policies that select agent {agent} allows it"
