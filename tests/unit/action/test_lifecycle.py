"""The fold: open actions, remembered ids, and what no correct gateway writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rynxs.action.decision import Decision, Effect
from rynxs.action.lifecycle import Lifecycle, Violation
from rynxs.action.outcome import Ending, Outcome
from rynxs.action.record import decided, finished
from rynxs.action.request import AgentRef, Principal, Request, parse_args
from rynxs.eventlog import Draft, Event

AGENT = AgentRef(namespace="team-a", name="dev", uid="u1")
START = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
ALLOW = Decision(effect=Effect.ALLOW, rule="coder/all", message="", policies="sha256:00")
DENY = Decision(effect=Effect.DENY, rule="coder/none", message="no", policies="sha256:00")
DONE = Outcome(ending=Ending.FINISHED, result={"exit_code": 0})


class Stream:
    """Gives drafts their places."""

    def __init__(self) -> None:
        self.seq = -1

    def place(self, draft: Draft, after: float = 0) -> Event:
        self.seq += 1
        time = (START + timedelta(seconds=after)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Event(
            seq=self.seq,
            id=draft.id,
            type=draft.type,
            time=time,
            subject=draft.subject,
            actor=draft.actor,
            trace_id=draft.trace_id,
            data=draft.data,
        )

    def decided(self, id_: str, decision: Decision = ALLOW, after: float = 0, **where: str) -> Event:
        tool, args = parse_args("shell_exec", {"argv": ["ls"]})
        request = Request(id=id_, agent=AGENT, principal=Principal(name="alice"), tool=tool, args=args)
        if decision is ALLOW:
            where = {"executor": "dev", "boot": "b1"} | where
        return self.place(decided(request, decision, **where), after)

    def finished(self, id_: str, after: float = 0) -> Event:
        return self.place(finished(AGENT, id_, DONE), after)


def test_an_allowed_action_is_open_until_its_outcome() -> None:
    stream, state = Stream(), Lifecycle()
    state.fold([stream.decided("a")])
    assert [action.id for action in state.open.values()] == ["a"]
    state.fold([stream.finished("a")])
    assert not state.open
    known = state.get(("u1", "a"))
    assert known is not None
    assert known.outcome == DONE
    assert known.principal == "alice"


def test_a_denied_action_is_never_open() -> None:
    stream, state = Stream(), Lifecycle()
    state.fold([stream.decided("a", DENY)])
    assert not state.open
    assert state.get(("u1", "a")) is not None


def test_other_events_change_nothing() -> None:
    state = Lifecycle()
    state.fold([Stream().place(Draft(type="writer.claimed", subject="", data={}))])
    assert not state.open


def test_one_decision_an_id() -> None:
    stream, state = Stream(), Lifecycle()
    with pytest.raises(Violation, match="action a of team-a/dev is decided twice"):
        state.fold([stream.decided("a"), stream.decided("a")])


def test_one_outcome_an_action() -> None:
    stream, state = Stream(), Lifecycle()
    with pytest.raises(Violation, match=r"event 2: .*gets an outcome but is not open"):
        state.fold([stream.decided("a"), stream.finished("a"), stream.finished("a")])


def test_no_outcome_without_permission() -> None:
    stream, state = Stream(), Lifecycle()
    with pytest.raises(Violation, match="not open"):
        state.fold([stream.decided("a", DENY), stream.finished("a")])


def test_an_allowed_action_says_where_it_runs() -> None:
    stream, state = Stream(), Lifecycle()
    with pytest.raises(Violation, match="names no executor and boot"):
        state.fold([stream.decided("a", boot="")])


def test_ids_are_forgotten_after_the_window_but_never_while_open() -> None:
    stream, state = Stream(), Lifecycle(window=100)
    state.fold([stream.decided("open"), stream.decided("old"), stream.finished("old")])
    state.fold([stream.decided("new", after=99)])
    assert state.get(("u1", "old")) is not None
    state.fold([stream.decided("newer", after=101)])
    assert state.get(("u1", "old")) is None
    assert state.get(("u1", "open")) is not None
    assert state.get(("u1", "new")) is not None
    state.fold([stream.finished("open", after=102), stream.decided("newest", after=103)])
    assert state.get(("u1", "open")) is None
