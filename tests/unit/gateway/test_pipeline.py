"""The pipeline: the order of its steps, what is never run, retries, limits, callers who leave, and lying computers."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from rynxs.action.lifecycle import Lifecycle
from rynxs.action.outcome import Captured, Ending, Outcome
from rynxs.computer.client import ConnectionLost
from rynxs.gateway import pipeline
from rynxs.gateway.execution import GRACE, Recorded
from rynxs.gateway.pipeline import MAX_ACTIONS_OF_AGENT
from rynxs.gateway.refusal import Busy, Conflict, Denied, Invalid, Left, NotFound, Unavailable, Unrecorded

pytestmark = pytest.mark.looptime


def endings(answer):
    return [item.ending for item in answer if isinstance(item, Outcome)]


async def test_decided_and_recorded_before_it_runs_and_recorded_before_it_is_answered(world) -> None:
    answer = await world.ask("good")
    assert endings(answer) == [Ending.FINISHED]
    await world.until("settle")
    assert world.journal == ["open", "Allow", "run", "Finished", "settle"]


async def test_the_decision_says_where_it_runs(world) -> None:
    await world.ask("good")
    decided, finished = await world.events()
    assert (decided.subject, decided.actor, decided.data["executor"]) == ("team-a/dev", "alice", "team-a/dev")
    assert decided.data["boot"] == world.runs[0].boot
    assert decided.data["rule"] == "coder/good"
    assert finished.data["action"] == decided.data["action"]["id"] == world.runs[0].action


@pytest.mark.parametrize(("argv", "rule", "message"), [("bad", "coder/bad", "Not here."), ("other", "", "")])
async def test_a_denial_is_recorded_and_nothing_reaches_the_computer(world, argv, rule, message) -> None:
    with pytest.raises(Denied) as denied:
        await world.ask(argv)
    assert (denied.value.decision.rule, denied.value.status) == (rule, 403)
    assert message in str(denied.value)
    assert world.journal == ["Deny"]
    [event] = await world.events()
    assert event.data["action"]["id"] == denied.value.action
    assert "executor" not in event.data


@pytest.mark.parametrize(
    ("tool", "args", "reason"),
    [
        ("rm", {}, "there is no tool 'rm'"),
        ("shell_exec", {}, "missing required field `argv`"),
        ("shell_exec", {"argv": ["good"], "extra": 1}, "unknown field `extra`"),
        ("shell_exec", {"argv": ["good"], "timeout": float("nan")}, "timeout"),
        ("file_write", {"path": "a", "content": "\ud800"}, "arguments of file_write"),
    ],
)
async def test_what_is_no_request_is_refused_and_not_recorded(world, tool, args, reason) -> None:
    with pytest.raises(Invalid, match=reason):
        async with world.pipeline.action(world.alice, "team-a", "dev", tool, args):
            pass
    assert world.journal == []


async def test_no_agent_no_action(world) -> None:
    with pytest.raises(NotFound):
        await world.ask("good", agent="nobody")
    assert world.journal == []


# The log


async def test_a_log_that_does_not_answer_refuses_and_closes_the_late_decision(world) -> None:
    id_ = world.id()
    started = asyncio.get_running_loop().time()
    world.store.gate.clear()
    with pytest.raises(Unavailable, match="has not answered for 5 s"):
        await world.ask("good", id_=id_)
    assert asyncio.get_running_loop().time() - started == pytest.approx(5)
    with pytest.raises(Unavailable):  # the decision may come to count yet
        await world.ask("good", id_=id_)
    with pytest.raises(Conflict):
        await world.ask("good", "else", id_=id_)
    world.store.gate.set()
    await world.until("Allow", "Cancelled")
    assert world.runs == []
    assert world.shard.lifecycle.open == {}
    await asyncio.sleep(1)
    assert endings(await world.ask("good", id_=id_)) == [Ending.CANCELLED]
    assert world.runs == []


async def test_late_decisions_count_against_the_limit_until_they_are_closed(world) -> None:
    world.store.gate.clear()
    refused = await asyncio.gather(*(world.ask("good") for _ in range(40)), return_exceptions=True)
    assert [type(each).__name__ for each in refused].count("Busy") == 40 - MAX_ACTIONS_OF_AGENT
    with pytest.raises(Busy):
        await world.ask("good")
    world.store.gate.set()
    while world.shard.lifecycle.open or "Cancelled" not in world.journal:
        await asyncio.sleep(1)
    await asyncio.sleep(1)
    assert endings(await world.ask("good")) == [Ending.FINISHED]


async def test_a_late_denial_stays_a_denial(world) -> None:
    id_ = world.id()
    world.store.gate.clear()
    with pytest.raises(Unavailable):
        await world.ask("bad", id_=id_)
    world.store.gate.set()
    await world.until("Deny")
    await asyncio.sleep(1)
    with pytest.raises(Denied):
        await world.ask("bad", id_=id_)
    assert world.journal == ["Deny"]


async def test_a_stopped_log_refuses_everything(world) -> None:
    world.store.broken = True
    for argv in ("good", "good", "bad"):
        with pytest.raises(Unavailable, match="the log is stopped"):
            await world.ask(argv)
    assert world.runs == []


async def test_an_outcome_that_can_not_be_recorded_is_not_told(world) -> None:
    world.behave = world.hang
    asking = world.asking("good")
    await world.until("run")
    world.store.broken = True
    world.computers.connections["uid-dev"].cancelled(world.runs[0].action).set()
    with pytest.raises(Unrecorded, match="ran, but its outcome can't be recorded"):
        await asking
    assert "settle" not in world.journal  # the computer keeps it for the log's next owner


# Retries


async def test_a_retry_attaches_to_the_running_action_from_its_start(world) -> None:
    world.behave = world.hang
    id_ = world.id()
    first = world.asking("good", id_=id_)
    await world.until("run")
    await asyncio.sleep(1)
    second = world.asking("good", id_=id_)
    await asyncio.sleep(1)
    world.computers.connections["uid-dev"].cancelled(id_).set()
    assert await first == await second
    assert len(world.runs) == 1


async def test_a_retry_of_an_ended_action_gets_what_was_recorded(world) -> None:
    id_ = world.id()
    first = await world.ask("good", id_=id_)
    await asyncio.sleep(1)
    async with world.pipeline.action(world.alice, "team-a", "dev", "shell_exec", {"argv": ["good"]}, id_=id_) as again:
        assert isinstance(again, Recorded)
        assert [item async for item in again.follow()] == first[-1:]
    assert len(world.runs) == 1


async def test_a_retry_of_a_denied_action_is_denied_even_when_policy_has_changed(world) -> None:
    id_ = world.id()
    with pytest.raises(Denied):
        await world.ask("other", id_=id_)
    world.registry.apply(
        "apiVersion: rynxs.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: all, namespace: team-a}\n"
        "spec: {selector: {}, rules: [{name: all, tools: [shell_exec], when: 'true', effect: Allow}]}"
    )
    with pytest.raises(Denied):
        await world.ask("other", id_=id_)
    assert world.journal == ["Deny"]


@pytest.mark.parametrize("state", ["running", "ended", "denied"])
async def test_an_id_is_bound_to_caller_and_arguments(world, state) -> None:
    id_ = world.id()
    argv = "bad" if state == "denied" else "good"
    world.behave = world.hang if state == "running" else world.finish
    asking = world.asking(argv, id_=id_)
    await (world.until("run") if state == "running" else asyncio.wait([asking]))
    with pytest.raises(Conflict):
        await world.ask(argv, "x", id_=id_)
    with pytest.raises(Conflict):
        await world.ask(argv, id_=id_, by=world.bob)
    world.behave = world.finish
    if argv == "good":
        await world.ask(argv, id_=id_, agent="web")  # ids are the agent's own
    if state == "running":
        world.computers.connections["uid-dev"].cancelled(id_).set()
    await asyncio.wait([asking])
    asking.exception()


async def test_two_at_once_with_one_id_are_one_action(world) -> None:
    id_ = world.id()
    asked = [world.ask("good", id_=id_), world.ask("good", id_=id_), world.ask("good", "x", id_=id_)]
    one, other, conflict = await asyncio.gather(*asked, return_exceptions=True)
    assert one == other
    assert isinstance(conflict, Conflict)
    assert len(world.runs) == 1


async def test_a_retry_between_the_decision_and_the_run_attaches(world, monkeypatch) -> None:
    id_ = world.id()
    retries: list[asyncio.Task] = []
    fold = Lifecycle.fold

    def fold_and_retry(self, events):
        fold(self, events)
        if not retries:
            retries.append(world.asking("good", id_=id_))

    monkeypatch.setattr(world.shard._writer, "_observe", lambda events: fold_and_retry(world.shard.lifecycle, events))
    first = await world.ask("good", id_=id_)
    assert await retries[0] == first
    assert len(world.runs) == 1


async def test_ids_outside_the_window_are_refused(world) -> None:
    for age, reason in ((3700, "older than the retry window"), (-400, "in the future")):
        with pytest.raises(Invalid, match=reason):
            await world.ask("good", id_=world.id(age))
    assert world.journal == []


async def test_an_action_that_is_being_recovered_is_not_run(world) -> None:
    world.behave = world.hang
    id_ = world.id()
    asking = world.asking("good", id_=id_)
    await world.until("run")
    await world.claim("second")
    with pytest.raises(Unavailable, match="is open and being recovered"):
        await world.ask("good", id_=id_)
    asking.cancel()
    await asyncio.wait([asking])
    assert len(world.runs) == 1


# Callers who leave


async def test_the_last_caller_who_leaves_cancels(world) -> None:
    world.behave = world.hang
    id_ = world.id()
    first, second = world.asking("good", id_=id_), world.asking("good", id_=id_)
    await world.until("run")
    await asyncio.sleep(1)
    first.cancel()
    await asyncio.sleep(1)
    assert "cancel" not in world.journal
    second.cancel()
    await world.until("cancel", "Cancelled", "settle")


async def test_a_caller_who_leaves_while_the_computer_starts_leaves_nothing_open(world) -> None:
    world.behave = world.hang
    opening, opened = asyncio.Event(), asyncio.Event()

    async def start() -> None:
        opening.set()
        await opened.wait()

    world.computers.before_open = start
    asking = world.asking("good")
    await opening.wait()
    asking.cancel()
    await asyncio.wait([asking])
    opened.set()
    await world.until("Cancelled", "settle")
    assert world.shard.lifecycle.open == {}


async def test_leaving_after_the_end_cancels_nothing(world) -> None:
    await world.ask("good")
    await world.until("settle")
    assert "cancel" not in world.journal


# Limits and drain


async def test_the_limit_of_an_agent_holds_for_a_burst(world) -> None:
    world.behave = world.hang
    asking = [world.asking("good") for _ in range(40)]
    await asyncio.sleep(1)
    busy = [task for task in asking if task.done() and isinstance(task.exception(), Busy)]
    assert len(busy) == 40 - MAX_ACTIONS_OF_AGENT
    assert len(world.runs) == MAX_ACTIONS_OF_AGENT
    assert (busy[0].exception().status, busy[0].exception().retry_after) == (429, 1)
    world.behave = world.finish
    assert endings(await world.ask("good", agent="web")) == [Ending.FINISHED]
    await world.pipeline.drain("uid-dev")
    assert endings(await world.ask("good")) == [Ending.FINISHED]
    await asyncio.wait(asking)


async def test_the_limit_of_all(world, monkeypatch) -> None:
    monkeypatch.setattr(pipeline, "MAX_ACTIONS", 2)
    world.behave = world.hang
    asking = [world.asking("good"), world.asking("good", agent="web")]
    await asyncio.sleep(1)
    with pytest.raises(Busy):
        await world.ask("good")
    await world.pipeline.drain()
    await asyncio.gather(*asking)


async def test_a_refused_action_gives_its_place_back(world, monkeypatch) -> None:
    monkeypatch.setattr(pipeline, "MAX_ACTIONS", 1)
    for _ in range(3):
        with pytest.raises(Denied):
            await world.ask("bad")
    assert endings(await world.ask("good")) == [Ending.FINISHED]


async def test_drain_ends_what_runs_and_takes_nothing_more(world) -> None:
    world.behave = world.hang
    opened = asyncio.Event()
    running = world.asking("good")
    await world.until("run")
    world.computers.before_open = opened.wait
    starting = world.asking("good", agent="web")
    await world.until("open")
    draining = asyncio.create_task(world.pipeline.drain())
    await asyncio.sleep(1)
    with pytest.raises(Unavailable, match="is stopping"):
        await world.ask("good")
    opened.set()
    await draining
    assert world.shard.lifecycle.open == {}
    assert endings(await running) == endings(await starting) == [Ending.CANCELLED]


async def test_drain_of_an_agent_leaves_the_others(world) -> None:
    world.behave = world.hang
    dev, web = world.asking("good"), world.asking("good", agent="web")
    await asyncio.sleep(1)
    await world.pipeline.drain("uid-dev")
    assert endings(await dev) == [Ending.CANCELLED]
    assert not web.done()
    await world.pipeline.drain("uid-web")
    await web


# What changes meanwhile


async def test_policy_that_changed_while_the_computer_started_counts(world) -> None:
    async def change() -> None:
        world.registry.apply(world.no_policy)

    world.computers.before_open = change
    with pytest.raises(Denied):
        await world.ask("good")
    assert world.journal == ["open", "Deny"]


async def test_an_agent_deleted_while_its_computer_starts(world) -> None:
    async def delete() -> None:
        del world.registry.items["dev"]

    world.computers.before_open = delete
    with pytest.raises(NotFound):
        await world.ask("good")
    assert world.journal == ["open"]


async def test_an_agent_made_anew_while_its_computer_starts(world) -> None:
    async def recreate() -> None:
        old = world.registry.items["dev"]
        world.registry.items["dev"] = type(old)(uid="uid-new", created=old.created, agent=old.agent)

    world.computers.before_open = recreate
    with pytest.raises(Unavailable, match="was deleted and made anew"):
        await world.ask("good")
    assert world.journal == ["open"]


async def test_a_computer_that_does_not_start(world) -> None:
    async def fail() -> None:
        raise Unavailable("no bubblewrap here")

    world.computers.before_open = fail
    with pytest.raises(Unavailable, match="no bubblewrap here"):
        await world.ask("good")
    assert world.journal == ["open"]
    world.computers.before_open = None
    assert endings(await world.ask("good")) == [Ending.FINISHED]


# Computers that fail, refuse or lie


async def test_a_lost_answer_is_concluded_and_never_sent_again(world) -> None:
    async def lose(connection, run):
        connection.register.ended(run.action, Outcome(ending=Ending.FINISHED, result={"exit_code": 7}))
        raise ConnectionLost("reset")
        yield

    world.behave = lose
    [outcome] = await world.ask("good")
    assert outcome.result == {"exit_code": 7}
    assert len(world.runs) == 1
    assert world.journal[:5] == ["open", "Allow", "run", "conclude", "Finished"]


async def test_an_answer_that_never_comes_is_concluded_after_the_deadline(world) -> None:
    async def silent(connection, run):
        await asyncio.Event().wait()
        yield

    world.behave = silent
    started = asyncio.get_running_loop().time()
    [outcome] = await world.ask("good")
    assert outcome.ending is Ending.INTERRUPTED
    assert asyncio.get_running_loop().time() - started == pytest.approx(60 + GRACE)


async def test_a_computer_that_does_not_care_for_a_cancel_is_given_up(world) -> None:
    world.behave = world.hang
    asking = world.asking("good")
    await world.until("run")
    world.computers.connections["uid-dev"].deaf = True
    started = asyncio.get_running_loop().time()
    await world.pipeline.drain()
    assert asyncio.get_running_loop().time() - started == pytest.approx(GRACE)
    assert endings(await asking) == [Ending.INTERRUPTED]
    assert world.journal[-4:-1] == ["cancel", "conclude", "Interrupted"]


async def test_a_computer_that_refuses(world) -> None:
    id_ = world.id()
    await world.ask("good")
    world.computers.connections["uid-dev"].register.query(id_)
    [outcome] = await world.ask("good", id_=id_)
    assert outcome.ending is Ending.FAILED
    assert "computer team-a/dev refused to start it (duplicate)" in outcome.error
    assert world.journal.count("run") == 1


@pytest.mark.parametrize(
    "result",
    [None, {}, {"exit_code": "0"}, {"exit_code": True}, {"exit_code": 0, "signal": 9}, {"exit_code": float("nan")}],
)
async def test_a_result_that_is_none_of_the_tool_harms_nobody(world, result) -> None:
    async def lie(connection, run):
        yield connection.end(run, Outcome(ending=Ending.FINISHED, result=result))

    world.behave = lie
    [outcome] = await world.ask("good")
    assert outcome.ending is Ending.INTERRUPTED
    assert "it may have happened" in outcome.error
    world.behave = world.finish
    assert endings(await world.ask("good")) == [Ending.FINISHED]
    await world.pipeline.drain()
    await world.shard.close()
    await world.claim("next")  # the log can be read again


async def test_a_failure_brings_no_result(world) -> None:
    async def fail(connection, run):
        yield connection.end(run, Outcome(ending=Ending.FAILED, error="no such file", result={"exit_code": "x"}))

    world.behave = fail
    [outcome] = await world.ask("good")
    assert outcome == Outcome(ending=Ending.FAILED, error="no such file")


async def test_captured_output_is_recorded(world) -> None:
    async def run_(connection, run):
        captured = Captured(sha256="a" * 64, bytes=3, dropped=4)
        yield connection.end(run, replace(Outcome(ending=Ending.FINISHED, result={"signal": 9}), stdout=captured))

    world.behave = run_
    await world.ask("good")
    assert (await world.events())[-1].data["stdout"] == {"sha256": "a" * 64, "bytes": 3, "dropped": 4}


# Leaving


async def test_what_runs_is_left_to_the_next_owner(world) -> None:
    world.behave = world.hang
    id_ = world.id()
    asking = world.asking("good", id_=id_)
    late = world.asking("good", id_=id_)
    await world.until("run")
    await world.pipeline.leave()
    for task in (asking, late):
        with pytest.raises(Left, match=f"action {id_} goes on in its computer"):
            await task
    assert "cancel" not in world.journal
    assert list(world.shard.lifecycle.open) == [("uid-dev", id_)]
    assert world.pipeline._running == {}
    with pytest.raises(Unavailable, match="the gateway is stopping"):
        await world.ask("good")


async def test_who_waits_for_a_computer_is_refused_when_the_gateway_leaves(world) -> None:
    opening = asyncio.Event()

    async def start() -> None:
        opening.set()
        await asyncio.Event().wait()

    world.computers.before_open = start
    asking = world.asking("good")
    await opening.wait()
    await world.pipeline.leave()
    with pytest.raises(Unavailable, match=r"the gateway is stopping\. Nothing was run"):
        await asking
    assert await world.events() == []


async def test_a_decision_that_is_being_recorded_is_left_too(world) -> None:
    world.behave = world.hang
    world.store.gate.clear()
    asking = world.asking("good")
    await world.until("open")
    await asyncio.sleep(0.1)
    leaving = asyncio.create_task(world.pipeline.leave())
    await asyncio.sleep(0.1)
    assert not leaving.done()
    world.store.gate.set()
    await leaving
    with pytest.raises(Left):
        await asking
    assert len(world.shard.lifecycle.open) == 1


async def test_an_outcome_that_is_being_recorded_is_not_lost_by_leaving(world) -> None:
    world.behave = world.hang
    asking = world.asking("good")
    await world.until("run")
    world.store.gate.clear()
    world.computers.connections["uid-dev"].cancelled(world.runs[0].action).set()
    await asyncio.sleep(0.1)
    await world.pipeline.leave()
    with pytest.raises(Left):
        await asking
    world.store.gate.set()
    await world.shard.close()
    assert [event.type for event in await world.events()] == ["action.decided", "action.finished"]


async def test_leaving_with_nothing_to_leave(world) -> None:
    await world.ask("good")
    await world.pipeline.leave()
    await world.pipeline.leave()
