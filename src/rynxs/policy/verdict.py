"""Verdicts: from what the rules said of an action to one decision. Pure."""

from __future__ import annotations

import enum
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


class Answer(NamedTuple):
    """One level's: the policies that select the agent, by name, and what their rules said."""

    policies: Sequence[str]
    findings: Iterable[Finding]


class _Strictness(enum.IntEnum):
    ALLOWED = 0
    NOTHING_ALLOWS = 1
    FAILED = 2
    DENIED = 3


class _Verdict(NamedTuple):
    strictness: _Strictness
    rule: str
    message: str


def combine(answers: Iterable[Answer], agent: str, hash_: str) -> Decision:
    """Decide: the stricter of what the levels say, of which the cluster's comes first; `agent` is its name.

    In a level, a matching Deny goes before a rule that failed, and both before Allow; the rest is denied. A level
    without policies says nothing; if none says anything the action is denied. `hash_` is that of all the policies.

    The order of findings only chooses which of several equal rules is named. Of two equal levels that allow, the
    agent's own is named, else the cluster's. Nothing is asked any more once something denied.
    """
    strictest: _Verdict | None = None
    for answer in answers:
        if not answer.policies:
            continue
        verdict = _judge(answer, agent)
        if (
            strictest is None
            or verdict.strictness > strictest.strictness
            or (verdict.strictness, strictest.strictness) == (_Strictness.ALLOWED, _Strictness.ALLOWED)
        ):
            strictest = verdict
        if verdict.strictness is _Strictness.DENIED:
            break
    if strictest is None:
        return Decision(effect=Effect.DENY, rule="", message=f"no policy selects agent {agent}", policies=hash_)
    effect = Effect.ALLOW if strictest.strictness is _Strictness.ALLOWED else Effect.DENY
    return Decision(effect=effect, rule=strictest.rule, message=strictest.message, policies=hash_)


def _judge(answer: Answer, agent: str) -> _Verdict:
    allowed: Finding | None = None
    failed: Finding | None = None
    for finding in answer.findings:
        if finding.failure:
            failed = failed or finding
        elif finding.matched and finding.effect is Effect.ALLOW:
            allowed = allowed or finding
        elif finding.matched:
            return _Verdict(_Strictness.DENIED, finding.rule, finding.message or f"rule {finding.rule} denies it")
    if failed:
        return _Verdict(_Strictness.FAILED, failed.rule, f"rule {failed.rule} failed: {failed.failure}")
    if allowed:
        return _Verdict(_Strictness.ALLOWED, allowed.rule, allowed.message)
    return _Verdict(_Strictness.NOTHING_ALLOWS, "", _nothing_allows(agent, answer.policies))


def _nothing_allows(agent: str, policies: Sequence[str]) -> str:
    match policies:
        case [only]:
            return f"no rule of policy {only} allows it"
        case [*names] if len(names) <= 3:
            return f"no rule of policies {', '.join(names)} allows it"
        case _:
            return f"no rule of the {len(policies)} policies that select agent {agent} allows it"
