"""Records: what of decisions and outcomes is written to the log, and how it is read back.

Values too long for an event line are replaced by `{"sha256": ..., "bytes": ...}`: the log binds them, it does
not carry them.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from msgspec import Struct

from rynxs.action.decision import Decision, Effect
from rynxs.action.outcome import Captured, Ending, Outcome
from rynxs.action.request import AgentRef, Request
from rynxs.eventlog import Draft, Event, uuid7

DECIDED = "action.decided"
FINISHED = "action.finished"

INLINE_VALUE = 4096
"""Most bytes of one string that is written into an event."""

INLINE_ARGS = 32 * 1024
"""Most bytes of all arguments that are written into an event."""

INLINE_RESULT = 1024
"""Most bytes of a result that are written into an event: the fold remembers it for as long as the action's id."""


class RecordedAction(Struct, frozen=True, kw_only=True):
    """The action inside `action.decided`: `digest` binds the id to agent, principal, tool and arguments."""

    id: str
    tool: str
    args: Any
    digest: str


class Decided(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of `action.decided`. `executor` and `boot` say where an allowed action is to run."""

    action: RecordedAction
    agent: str
    effect: Effect
    rule: str
    policies: str
    message: str = ""
    executor: str = ""
    boot: str = ""


class Finished(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of `action.finished`: which action, and its outcome."""

    action: str
    agent: str
    outcome: Ending
    error: str = ""
    exit_code: int | None = None
    result: Any = None
    seconds: float = 0.0
    stdout: Captured | None = None
    stderr: Captured | None = None

    def to_outcome(self) -> Outcome:
        """The outcome as far as it was recorded."""
        return Outcome(
            ending=self.outcome,
            error=self.error,
            result=self.result,
            seconds=self.seconds,
            stdout=self.stdout,
            stderr=self.stderr,
        )


def decided(request: Request, decision: Decision, *, executor: str = "", boot: str = "", trace_id: str = "") -> Draft:
    """The event that makes a decision durable."""
    data = Decided(
        action=RecordedAction(
            id=request.id,
            tool=request.tool.name,
            args=abridged(msgspec.to_builtins(request.args), INLINE_ARGS),
            digest=request.digest(),
        ),
        agent=request.agent.uid,
        effect=decision.effect,
        rule=decision.rule,
        message=decision.message,
        policies=decision.policies,
        executor=executor,
        boot=boot,
    )
    return _draft(DECIDED, str(request.agent), data, actor=request.principal.name, trace_id=trace_id)


def finished(agent: AgentRef, action: str, outcome: Outcome, *, trace_id: str = "") -> Draft:
    """The event that makes an outcome durable."""
    data = Finished(
        action=action,
        agent=agent.uid,
        outcome=outcome.ending,
        error=outcome.error[:INLINE_VALUE],
        exit_code=(outcome.result or {}).get("exit_code"),
        result=abridged(outcome.result, INLINE_RESULT),
        seconds=outcome.seconds,
        stdout=outcome.stdout,
        stderr=outcome.stderr,
    )
    return _draft(FINISHED, str(agent), data, actor="", trace_id=trace_id)


def read(event: Event) -> Decided | Finished | None:
    """The payload of an action's event, or None for an event of another type. Raises msgspec.ValidationError."""
    if event.type == DECIDED:
        return msgspec.convert(event.data, Decided)
    if event.type == FINISHED:
        return msgspec.convert(event.data, Finished)
    return None


def abridged(value: Any, most: int) -> Any:
    """`value` with long strings, and a whole of more than `most` bytes, replaced by digest and length."""
    shorter = _abridge_strings(value)
    body = msgspec.json.encode(shorter, order="sorted")
    return shorter if len(body) <= most else _digest(msgspec.json.encode(value, order="sorted"))


def _abridge_strings(value: Any) -> Any:
    if isinstance(value, str):
        body = value.encode()
        return value if len(body) <= INLINE_VALUE else _digest(body)
    if isinstance(value, dict):
        return {key: _abridge_strings(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_abridge_strings(item) for item in value]
    return value


def _digest(body: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}


def _draft(type_: str, subject: str, data: Struct, *, actor: str, trace_id: str) -> Draft:
    return Draft(
        id=uuid7(),
        type=type_,
        subject=subject,
        actor=actor,
        trace_id=trace_id,
        data=msgspec.to_builtins(data),
    )
