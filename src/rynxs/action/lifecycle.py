"""The lifecycle fold: from a stream's events to the actions that are open and the ids that were used.

Pure: no I/O, no clock. The same events give the same state in any process. It is also the checker of the
promises: an event that no correct gateway writes raises `Violation`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from rynxs.action.decision import Decision, Effect
from rynxs.action.outcome import Outcome
from rynxs.action.record import Decided, Finished, read
from rynxs.action.request import FUTURE_SKEW, RETRY_WINDOW, AgentRef
from rynxs.eventlog import Event

Key = tuple[str, str]
"""Agent uid and action id."""


class Violation(Exception):
    """The log holds what no correct gateway writes; the message names stream position, agent and action."""


class Action(Struct, kw_only=True):
    """An action as the log knows it. `outcome` is None while an allowed action is open."""

    id: str
    agent: AgentRef
    principal: str
    tool: str
    digest: str
    decision: Decision
    executor: str
    boot: str
    decided_at: float
    outcome: Outcome | None = None


class Lifecycle:
    """State of one stream: `open` actions in the order of their decisions, and every id of the retry window."""

    def __init__(self, *, window: float = RETRY_WINDOW + FUTURE_SKEW) -> None:
        """`window` is in seconds: how long an ended action's id is remembered."""
        self.open: dict[Key, Action] = {}
        self._known: dict[Key, Action] = {}
        self._window = window

    def get(self, key: Key) -> Action | None:
        """The action of that key, open or remembered."""
        return self._known.get(key)

    def fold(self, events: Iterable[Event]) -> None:
        """Take events in the stream's order. Raises Violation; the state then is that before the bad event."""
        for event in events:
            payload = read(event)
            if isinstance(payload, Decided):
                self._decided(event, payload)
            elif isinstance(payload, Finished):
                self._finished(event, payload)

    def _decided(self, event: Event, data: Decided) -> None:
        key = (data.agent, data.action.id)
        if key in self._known:
            raise Violation(f"event {event.seq}: action {data.action.id} of {event.subject} is decided twice")
        allowed = data.effect is Effect.ALLOW
        if allowed and not (data.executor and data.boot):
            raise Violation(f"event {event.seq}: action {data.action.id} is allowed but names no executor and boot")
        namespace, _, name = event.subject.partition("/")
        action = Action(
            id=data.action.id,
            agent=AgentRef(namespace=namespace, name=name, uid=data.agent),
            principal=event.actor,
            tool=data.action.tool,
            digest=data.action.digest,
            decision=Decision(effect=data.effect, rule=data.rule, message=data.message, policies=data.policies),
            executor=data.executor,
            boot=data.boot,
            decided_at=datetime.fromisoformat(event.time).timestamp(),
        )
        self._forget(action.decided_at)
        self._known[key] = action
        if allowed:
            self.open[key] = action

    def _finished(self, event: Event, data: Finished) -> None:
        action = self.open.pop((data.agent, data.action), None)
        if action is None:
            raise Violation(
                f"event {event.seq}: action {data.action} of {event.subject} gets an outcome but is not open"
            )
        action.outcome = data.to_outcome()

    def _forget(self, now: float) -> None:
        """Drop the oldest ids that no retry may use any more; open ones stay."""
        stale = []
        for key, action in self._known.items():
            if action.decided_at >= now - self._window:
                break
            if key not in self.open:
                stale.append(key)
        for key in stale:
            del self._known[key]
