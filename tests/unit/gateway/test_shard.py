"""The shard: its fold and its writer move together, and a log that is late or stopped is said so."""

from __future__ import annotations

import asyncio

import pytest

from rynxs.action.decision import Decision, Effect
from rynxs.action.lifecycle import Violation
from rynxs.action.outcome import Ending, Outcome
from rynxs.action.record import decided, finished
from rynxs.action.request import AgentRef, Principal, Request, parse_args
from rynxs.computer.protocol import Fence
from rynxs.eventlog import LogError, LogStopped
from rynxs.gateway.refusal import Unavailable
from rynxs.gateway.shard import LOG_TIMEOUT, Late

pytestmark = pytest.mark.looptime

ALLOW = Decision(effect=Effect.ALLOW, rule="p/r", message="", policies="sha256:0")
AGENT = AgentRef(namespace="team-a", name="dev", uid="u")


def drafts(id_):
    """A decision, and what closes it."""
    tool, args = parse_args("shell_exec", {"argv": ["good"]})
    request = Request(id=id_, agent=AGENT, principal=Principal(name="alice"), tool=tool, args=args)
    end = Outcome(ending=Ending.CANCELLED)
    return decided(request, ALLOW, executor="e", boot="b"), finished(AGENT, id_, end)


async def test_what_is_recorded_is_folded(world) -> None:
    id_ = world.id()
    decision, end = drafts(id_)
    event = await world.shard.record(decision)
    assert world.shard.size == event.seq + 1
    assert list(world.shard.lifecycle.open) == [("u", id_)]
    await world.shard.record_soon(end)
    assert world.shard.lifecycle.open == {}
    assert world.shard.lifecycle.get(("u", id_)).outcome.ending is Ending.CANCELLED


async def test_the_next_owner_knows_what_is_open_and_has_a_higher_fence(world) -> None:
    id_ = world.id()
    first = world.shard
    await first.record(drafts(id_)[0])
    second = await world.claim("second")
    assert (first.fence, second.fence) == (Fence(0, 1), Fence(0, 2)) or first.fence < second.fence
    assert list(second.lifecycle.open) == [("u", id_)]
    assert (second.stream, second.size) == ("shard-0", 3)
    with pytest.raises(LogError):
        await first.record(drafts(world.id())[0])
    assert second.lifecycle.get(("u", id_)).outcome is None


async def test_late_decisions_are_closed_behind(world) -> None:
    id_ = world.id()
    decision, end = drafts(id_)
    started = asyncio.get_running_loop().time()
    world.store.gate.clear()
    with pytest.raises(Late, match=r"has not answered for 5 s \(shard-0\). Nothing was run.") as late:
        await world.shard.record_soon(decision, else_record=end)
    assert asyncio.get_running_loop().time() - started == pytest.approx(LOG_TIMEOUT)
    assert not late.value.closed.done()
    world.store.gate.set()
    await late.value.closed
    assert world.journal == ["Allow", "Cancelled"]


async def test_a_caller_who_leaves_meanwhile_leaves_nothing_open(world) -> None:
    decision, end = drafts(world.id())
    world.store.gate.clear()
    recording = asyncio.create_task(world.shard.record_soon(decision, else_record=end))
    await asyncio.sleep(1)
    recording.cancel()
    await asyncio.wait([recording])
    world.store.gate.set()
    await world.until("Allow", "Cancelled")


async def test_a_log_that_stops_while_something_is_late(world) -> None:
    decision, end = drafts(world.id())
    world.store.gate.clear()
    with pytest.raises(Late) as late:
        await world.shard.record_soon(decision, else_record=end)
    world.store.broken = True
    world.store.gate.set()
    await late.value.closed  # nothing to close: the next owner sees what became of it
    assert world.journal == []


async def test_a_stopped_log(world) -> None:
    world.store.broken = True
    decision, _ = drafts(world.id())
    with pytest.raises(Unavailable, match=r"the log is stopped \(shard-0\): .*the disk is gone") as refused:
        await world.shard.record_soon(decision)
    assert not isinstance(refused.value, Late)
    with pytest.raises(LogStopped):
        await world.shard.record(decision)


async def test_close_writes_what_is_queued_and_moves_the_anchor(world) -> None:
    recording = asyncio.create_task(world.shard.record(drafts(world.id())[0]))
    await asyncio.sleep(0)
    await world.shard.close()
    await recording
    assert world.journal == ["Allow"]
    assert b"\n2\n" in world.anchors.notes["shard-0"]


async def test_a_log_that_no_gateway_wrote_is_not_claimed(world) -> None:
    decision, _ = drafts(world.id())
    writer = await world.log.claim(
        "shard-0",
        writer="stranger",
        signer=world.signer,
        trust=world.trust,
        anchor=world.anchors,
        observe=lambda _: None,
        now=world.now,
    )
    await writer.append(decision)
    await writer.append(decision)
    await writer.close()
    with pytest.raises(Violation, match="decided twice"):
        await world.claim("second")
