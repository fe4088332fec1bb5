"""Recovery: what an earlier owner left open gets its one outcome."""

from __future__ import annotations

import asyncio

import pytest

from rynxs.action.outcome import Ending, Outcome
from rynxs.eventlog import LogError
from rynxs.gateway.recovery import recover

pytestmark = pytest.mark.looptime


async def left_open(world, *agents):
    """Actions that run while their gateway is replaced; then the new one owns the shard."""
    world.behave = world.hang
    asking = []
    for agent in agents:
        asking.append(world.asking("good", agent=agent))
        await world.until("run")
        await asyncio.sleep(1)
    shard = await world.claim("second")
    return shard, asking


async def leave(asking):
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)


async def test_nothing_open_nothing_recorded(world) -> None:
    size = world.shard.size
    assert await recover(world.shard, world.computers) == []
    assert world.shard.size == size


async def test_every_open_action_gets_the_outcome_that_its_computer_tells(world) -> None:
    shard, asking = await left_open(world, "dev", "web")
    first = world.runs[0].action
    ended = Outcome(ending=Ending.FINISHED, result={"exit_code": 3})
    world.computers.connections["uid-dev"].register.ended(first, ended)
    world.computers.connections["uid-dev"].deaf = True
    recovered = await recover(shard, world.computers)
    assert [action.id for action in recovered] == [run.action for run in world.runs]
    assert [action.outcome.ending for action in recovered] == [Ending.FINISHED, Ending.INTERRUPTED]
    assert recovered[0].outcome.result == {"exit_code": 3}
    assert shard.lifecycle.open == {}
    assert first in world.computers.connections["uid-dev"].register._closed  # settled
    assert await recover(shard, world.computers) == []
    await leave(asking)
    assert world.journal.count("Allow") == len(world.runs) == 2


async def test_an_action_stays_open_until_its_end_is_certain(world, monkeypatch) -> None:
    shard, asking = await left_open(world, "dev", "web")
    certain = asyncio.Event()
    conclude = world.computers.conclude

    async def wait(action):
        if action.agent.name == "dev":
            await certain.wait()
        return await conclude(action)

    monkeypatch.setattr(world.computers, "conclude", wait)
    recovering = asyncio.create_task(recover(shard, world.computers))
    await asyncio.sleep(100)
    assert [action.agent.name for action in shard.lifecycle.open.values()] == ["dev"]
    certain.set()
    await recovering
    assert shard.lifecycle.open == {}
    await leave(asking)


async def test_a_log_that_stops_is_said_plainly(world) -> None:
    shard, asking = await left_open(world, "dev", "web")
    world.store.broken = True
    with pytest.raises(LogError):
        await recover(shard, world.computers)
    await leave(asking)


async def test_what_begins_later_is_not_recovered(world) -> None:
    shard, asking = await left_open(world, "dev")
    recovering = recover(shard, world.computers)  # takes what is open now, though it has not begun
    later = world.asking("good", agent="web")
    await world.until("run")
    [action] = await recovering
    assert action.agent.name == "dev"
    assert [action.agent.name for action in shard.lifecycle.open.values()] == ["web"]
    world.computers.connections["uid-web"].cancelled(world.runs[-1].action).set()
    await later
    await leave(asking)
