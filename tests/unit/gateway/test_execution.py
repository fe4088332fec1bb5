"""Executions: what is sent, how they are followed, and what is told when."""

from __future__ import annotations

import asyncio

import pytest

from rynxs.action.outcome import Ending, Outcome
from rynxs.computer.client import ConnectionLost
from rynxs.computer.protocol import Output, ProtocolError
from rynxs.gateway.execution import DEFAULT_TIMEOUT, MAX_OUTPUT, Recorded
from rynxs.gateway.refusal import Unrecorded

pytestmark = pytest.mark.looptime


async def test_what_is_sent_to_the_computer(world) -> None:
    async with world.pipeline.action(
        world.alice, "team-a", "dev", "shell_exec", {"argv": ["good"], "timeout": 7}
    ) as execution:
        [item async for item in execution.follow()]
    async with world.pipeline.action(world.alice, "team-a", "dev", "file_read", {"path": "a"}) as reading:
        [item async for item in reading.follow()]
    shell, read = world.runs
    assert (shell.action, shell.fence, shell.boot, shell.tool) == (
        execution.id,
        world.shard.fence,
        "boot-uid-dev",
        "shell_exec",
    )
    assert shell.args == b'{"argv":["good"],"cwd":".","env":{},"stdin":"","timeout":7.0}'
    assert (shell.timeout, shell.max_output) == (7, MAX_OUTPUT)
    assert read.timeout == DEFAULT_TIMEOUT


async def test_a_late_follower_gets_everything_from_the_start(world) -> None:
    async with world.pipeline.action(world.alice, "team-a", "dev", "shell_exec", {"argv": ["good"]}) as execution:
        first = [item async for item in execution.follow()]
        assert [item async for item in execution.follow()] == first
    assert [type(item) for item in first] == [Output, Outcome]
    assert first[0].data == b"hello\n"


async def test_output_comes_before_the_end(world) -> None:
    world.behave = world.hang
    async with world.pipeline.action(world.alice, "team-a", "dev", "shell_exec", {"argv": ["good"]}) as execution:
        following = execution.follow()
        assert (await anext(following)).data == b"up\n"
        assert execution.outcome is None
        execution.cancel()
        assert (await anext(following)).ending is Ending.CANCELLED
        with pytest.raises(StopAsyncIteration):
            await anext(following)


async def test_the_outcome_is_told_only_when_it_is_durable(world) -> None:
    world.behave = world.hang
    asking = world.asking("good")
    await world.until("run")
    world.store.gate.clear()
    world.computers.connections["uid-dev"].cancelled(world.runs[0].action).set()
    await asyncio.sleep(100)
    assert not asking.done()
    assert "settle" not in world.journal
    world.store.gate.set()
    await asking
    await world.until("Cancelled", "settle")


@pytest.mark.parametrize("lost", [ConnectionLost("reset"), ProtocolError("rubbish"), TimeoutError()])
async def test_output_of_a_lost_run_is_kept(world, lost) -> None:
    async def lose(connection, run):
        yield connection.say(run, b"so far")
        raise lost

    world.behave = lose
    output, outcome = await world.ask("good")
    assert output.data == b"so far"
    assert outcome.ending is Ending.INTERRUPTED
    assert len(world.runs) == 1


async def test_an_answer_without_an_end_is_a_lost_one(world) -> None:
    async def stop(connection, run):
        yield connection.say(run, b"so far")

    world.behave = stop
    _, outcome = await world.ask("good")
    assert outcome.ending is Ending.INTERRUPTED


async def test_a_computer_that_goes_while_it_is_cancelled(world, monkeypatch) -> None:
    async def gone(connection, run):
        await connection.cancelled(run.action).wait()
        raise ConnectionLost("gone")
        yield

    world.behave = gone
    asking = world.asking("good")
    await world.until("run")
    connection = world.computers.connections["uid-dev"]

    async def cancel(action):
        connection.cancelled(action).set()
        raise ConnectionLost("gone")

    monkeypatch.setattr(connection, "cancel", cancel)
    await world.pipeline.drain()
    assert (await asking)[-1].ending is Ending.INTERRUPTED


async def test_an_end_that_can_not_be_proven_leaves_nobody_waiting(world, monkeypatch) -> None:
    async def lose(connection, run):
        raise ConnectionLost("reset")
        yield

    async def fail(action):
        raise PermissionError("not ours")

    world.behave = lose
    asyncio.get_running_loop().set_exception_handler(lambda _, context: None)  # the server's operator is told
    monkeypatch.setattr(world.computers, "conclude", fail)
    async with world.pipeline.action(world.alice, "team-a", "dev", "shell_exec", {"argv": ["good"]}) as execution:
        with pytest.raises(Unrecorded, match="not ours"):
            [item async for item in execution.follow()]
    assert list(world.shard.lifecycle.open) == [("uid-dev", execution.id)]  # for the next owner


async def test_a_cancel_near_the_deadline_gives_no_more_time(world) -> None:
    async def silent(connection, run):
        await asyncio.Event().wait()
        yield

    world.behave = silent
    asking = world.asking("good")
    await world.until("run")
    started = asyncio.get_running_loop().time()
    await asyncio.sleep(65)
    await world.pipeline.drain()
    assert asyncio.get_running_loop().time() - started == pytest.approx(70)
    await asking


async def test_what_was_recorded_has_no_output(world) -> None:
    id_ = world.id()
    await world.ask("good", id_=id_)
    action = world.shard.lifecycle.get(("uid-dev", id_))
    recorded = Recorded(action, action.outcome)
    assert [item async for item in recorded.follow()] == [action.outcome]
    assert (recorded.id, recorded.decision.rule) == (id_, "coder/good")


async def test_a_cancel_is_passed_on_while_a_lost_action_is_concluded(world, monkeypatch) -> None:
    async def lose(connection, run):
        yield connection.say(run, b"so far")
        raise ConnectionLost("reset")

    concluding = asyncio.Event()

    async def conclude(action):
        concluding.set()
        await world.computers.connections["uid-dev"].cancelled(action.id).wait()
        return Outcome(ending=Ending.CANCELLED)

    world.behave = lose
    monkeypatch.setattr(world.computers, "conclude", conclude)
    asking = world.asking("good")
    await concluding.wait()
    asking.cancel()
    await world.until("cancel", "Cancelled", "settle")


async def test_a_cancel_before_an_answer_is_lost_is_said_again(world, monkeypatch) -> None:
    async def lose(connection, run):
        await connection.cancelled(run.action).wait()
        raise ConnectionLost("reset")
        yield

    world.behave = lose
    asking = world.asking("good")
    await world.until("run")
    asking.cancel()
    await world.until("Interrupted", "settle")
    assert world.journal.count("cancel") >= 1
