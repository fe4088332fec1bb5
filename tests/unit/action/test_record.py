"""What is written to the log, and how it is read back."""

from __future__ import annotations

import hashlib

import msgspec

from rynxs.action.decision import Decision, Effect
from rynxs.action.outcome import Captured, Ending, Outcome
from rynxs.action.record import INLINE_VALUE, Decided, Finished, abridged, decided, finished, read
from rynxs.action.request import AgentRef, Principal, Request, parse_args
from rynxs.eventlog import Event, uuid7

AGENT = AgentRef(namespace="team-a", name="dev", uid="u1")
ALLOW = Decision(effect=Effect.ALLOW, rule="coder/all", message="", policies="sha256:00")


def placed(draft, seq: int = 0) -> Event:
    return Event(
        seq=seq,
        id=draft.id,
        type=draft.type,
        time="2026-11-23T14:02:11.200Z",
        subject=draft.subject,
        actor=draft.actor,
        trace_id=draft.trace_id,
        data=draft.data,
    )


def request(tool: str, args: dict) -> Request:
    known, parsed = parse_args(tool, args)
    return Request(id=uuid7(), agent=AGENT, principal=Principal(name="alice"), tool=known, args=parsed)


def test_a_decision_reads_back() -> None:
    asked = request("shell_exec", {"argv": ["ls"]})
    event = placed(decided(asked, ALLOW, executor="dev", boot="b1", trace_id="4b" * 16))
    assert (event.subject, event.actor, event.trace_id) == ("team-a/dev", "alice", "4b" * 16)
    payload = read(event)
    assert isinstance(payload, Decided)
    assert (payload.action.id, payload.agent, payload.executor, payload.boot) == (asked.id, "u1", "dev", "b1")
    assert payload.action.args["argv"] == ["ls"]
    assert payload.action.digest == asked.digest()


def test_an_outcome_reads_back() -> None:
    outcome = Outcome(
        ending=Ending.FINISHED,
        result={"exit_code": 3},
        seconds=1.5,
        stdout=Captured(sha256="00" * 32, bytes=7, dropped=2),
        stderr=Captured(sha256="11" * 32, bytes=0),
    )
    payload = read(placed(finished(AGENT, "a1", outcome)))
    assert isinstance(payload, Finished)
    assert payload.exit_code == 3
    assert payload.to_outcome() == outcome


def test_other_events_are_none_of_ours() -> None:
    event = msgspec.structs.replace(placed(finished(AGENT, "a1", Outcome(ending=Ending.FINISHED))), type="x.y")
    assert read(event) is None


def test_long_values_are_bound_by_digest() -> None:
    long = "x" * (INLINE_VALUE + 1)
    short = abridged({"path": "a", "content": long, "list": ["b", long]}, 10_000)
    digest = {"sha256": hashlib.sha256(long.encode()).hexdigest(), "bytes": len(long)}
    assert short == {"path": "a", "content": digest, "list": ["b", digest]}


def test_many_short_values_are_bound_as_a_whole() -> None:
    value = {"argv": ["x" * 4000] * 1000}
    whole = msgspec.json.encode(value, order="sorted")
    assert abridged(value, 10_000) == {"sha256": hashlib.sha256(whole).hexdigest(), "bytes": len(whole)}
