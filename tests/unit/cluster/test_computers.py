"""Computers in pods: real daemons behind real TLS, gateways that come and go, and computers that lie."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from unit.cluster.world import AGENTS, ALICE, PODS, World, a_world, hold, until

from rynxs.action.outcome import Ending, Outcome
from rynxs.cluster import computers as computers_module
from rynxs.cluster import connection as connection_module
from rynxs.computer.protocol import CHUNK, Output
from rynxs.eventlog import uuid7
from rynxs.gateway.execution import Recorded
from rynxs.gateway.refusal import Left, Unavailable
from rynxs.operator.certificate import Authority, computer_host


@pytest.fixture
async def world(tmp_path, monkeypatch) -> AsyncIterator[World]:
    monkeypatch.setattr(computers_module, "OPEN_TIMEOUT", 5.0)
    monkeypatch.setattr(computers_module, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(computers_module, "_LONGEST_PAUSE", 0.05)
    async with a_world(tmp_path) as made:
        yield made


def endings(events):
    return [event.data.get("outcome", event.data.get("effect")) for event in events]


async def abandoned(world):
    """A pod in which an action runs whose gateway has died."""
    pod = await world.pod()
    pod.act = hold
    first = await world.gateway()
    asking = first.asking("make")
    await pod.running.wait()
    await first.die()
    await asyncio.wait([asking])
    return pod


async def test_an_action_runs_in_the_pod_and_is_settled(world) -> None:
    pod = await world.pod()
    gateway = await world.gateway()
    output, outcome = await gateway.ask("true")
    assert (output.data, outcome.ending) == (b"hello\n", Ending.FINISHED)
    decided, finished = await world.events()
    assert (decided.data["executor"], decided.data["boot"]) == ("dev-1", "boot-1")
    assert finished.data["outcome"] == "Finished"
    await until(lambda: not pod.register._ended)
    await gateway.ask("true")
    assert len(pod.runs) == 2
    assert world.refused == []


async def test_a_gateway_that_is_killed_does_not_end_what_runs(world) -> None:
    pod = await world.pod()
    pod.act = hold
    first = await world.gateway()
    id_ = uuid7()
    asking = first.asking("make", id_=id_)
    await pod.running.wait()
    await first.die()
    with pytest.raises(Left):
        await asking
    second = await world.gateway()
    with pytest.raises(Unavailable, match="is open and being recovered"):
        await second.ask("make", id_=id_)
    await asyncio.sleep(0.05)
    assert endings(await world.events()) == ["Allow"]
    pod.go.set()
    [action] = await second.recovering
    assert (action.id, action.outcome.ending) == (id_, Ending.FINISHED)
    assert endings(await world.events()) == ["Allow", "Finished"]
    assert (await second.ask("make", id_=id_))[-1].ending is Ending.FINISHED
    assert len(pod.runs) == 1
    await until(lambda: not pod.register._ended)


async def test_new_actions_run_beside_one_that_is_recovered(world) -> None:
    pod = await abandoned(world)
    second = await world.gateway()
    pod.go.set()
    assert (await second.ask("other"))[-1].ending is Ending.FINISHED
    await second.recovering
    assert endings(await world.events()) == ["Allow", "Allow", "Finished", "Finished"]


async def test_a_gateway_that_leaves_tells_its_callers_and_ends_nothing(world) -> None:
    pod = await world.pod()
    pod.act = hold
    first = await world.gateway()
    id_ = uuid7()
    asking = first.asking("make", id_=id_)
    await pod.running.wait()
    await first.leave()
    with pytest.raises(Left, match=f"action {id_} goes on") as left:
        await asking
    assert left.value.problem()["action"] == id_
    with pytest.raises(Unavailable, match="the gateway is stopping"):
        await first.ask("more")
    assert endings(await world.events()) == ["Allow"]
    second = await world.gateway()
    pod.go.set()
    await second.recovering
    assert endings(await world.events()) == ["Allow", "Finished"]


async def test_who_waits_for_a_computer_is_refused_by_a_gateway_that_leaves(world) -> None:
    gateway = await world.gateway()
    asking = gateway.asking("true")
    await asyncio.sleep(0.05)
    await gateway.leave()
    with pytest.raises(Unavailable, match="the gateway is stopping"):
        await asking
    assert await world.events() == []


async def test_what_ended_while_nobody_owned_it_keeps_its_end(world) -> None:
    pod = await abandoned(world)
    pod.go.set()
    await until(lambda: pod.register._ended)
    second = await world.gateway()
    [action] = await second.recovering
    assert action.outcome.ending is Ending.FINISHED
    await until(lambda: not pod.register._ended)


async def decided_only(world) -> None:
    """A gateway that dies between the decision and the run."""
    gateway = await world.gateway()
    pod = world.pods[0]

    async def never(run):
        await asyncio.Event().wait()
        yield

    computer = await gateway.computers.open(gateway.registry.agent("team-a", "dev"))
    computer.connection.run = never
    asking = gateway.asking("make")
    await until(lambda: gateway.shard.lifecycle.open)
    await gateway.die()
    await asyncio.wait([asking])
    assert pod.runs == []


async def test_what_was_never_sent_is_interrupted_and_stays_unsent(world) -> None:
    pod = await world.pod()
    await decided_only(world)
    second = await world.gateway()
    [action] = await second.recovering
    assert action.outcome.ending is Ending.INTERRUPTED
    assert "has not started the action, and will not" in action.outcome.error
    assert action.id in pod.register._closed


async def test_only_its_agent_waits_for_a_computer_that_does_not_answer(world, caplog) -> None:
    pod = await abandoned(world)
    await pod.shut()
    second = await world.gateway()
    await until(lambda: "waits for computer team-a/dev-1" in caplog.text)
    assert endings(await world.events()) == ["Allow"]
    await pod.listen()
    pod.go.set()
    [action] = await second.recovering
    assert action.outcome.ending is Ending.FINISHED


TERMINATED = {"terminated": {"exitCode": 137}}


@pytest.mark.parametrize("proof", ["terminated", "gone", "gone before"])
async def test_an_action_is_interrupted_only_when_its_boot_is_over(world, proof) -> None:
    pod = await abandoned(world)
    await pod.shut()
    if proof == "gone before":
        world.kubernetes.drop(PODS, "team-a", "dev-1")
    second = await world.gateway()
    if proof != "gone before":
        await asyncio.sleep(0.2)
        pod.show(ready="False", phase="Failed", reason="NodeLost")  # the node says nothing of the container
        await asyncio.sleep(0.2)
        assert endings(await world.events()) == ["Allow"]
    if proof == "terminated":
        pod.show(ready="False", state=TERMINATED)
    elif proof == "gone":
        world.kubernetes.drop(PODS, "team-a", "dev-1")
    [action] = await second.recovering
    assert action.outcome.ending is Ending.INTERRUPTED
    assert "it may have happened" in action.outcome.error


async def test_that_we_do_not_see_a_pod_proves_nothing(world) -> None:
    pod = await world.pod()
    pod.act = hold
    gateway = await world.gateway()
    asking = gateway.asking("make")
    await pod.running.wait()
    item = world.kubernetes.objects[PODS]["team-a", "dev-1"]
    # Somebody takes its label: for our watch it is deleted, but it is there.
    world.kubernetes.drop(PODS, "team-a", "dev-1")
    world.kubernetes.objects[PODS]["team-a", "dev-1"] = item
    await until(lambda: len(pod.world.refused) or not gateway.computers._pods.objects)
    await asyncio.sleep(0.1)
    pod.go.set()
    assert (await asking)[-1].ending is Ending.FINISHED
    assert len(pod.runs) == 1


async def test_another_boot_is_the_end_of_the_one_before(world) -> None:
    pod = await world.pod()
    pod.act = hold
    gateway = await world.gateway()
    asking = gateway.asking("make")
    await pod.running.wait()
    pod.boot("boot-2")
    await pod.daemon.__aenter__()
    pod.hang_up()
    outcome = (await asking)[-1]
    assert outcome.ending is Ending.INTERRUPTED
    assert "started anew" in outcome.error
    assert world.refused == []


async def test_a_lost_connection_is_made_again(world) -> None:
    pod = await world.pod()
    pod.act = hold
    gateway = await world.gateway()
    asking = gateway.asking("make")
    await pod.running.wait()
    lost = gateway.computers._connections["team-a", "dev-1"]._client
    pod.hang_up()
    await until(lambda: not lost.alive)
    pod.go.set()
    assert (await asking)[-1].ending is Ending.FINISHED
    assert (await gateway.ask("more"))[-1].ending is Ending.FINISHED
    assert len(pod.runs) == 2


async def test_a_cancel_reaches_what_runs_on_a_connection_made_again(world) -> None:
    pod = await world.pod()
    pod.act = hold
    gateway = await world.gateway()
    asking = gateway.asking("make")
    await pod.running.wait()
    await pod.shut()
    asking.cancel()
    await asyncio.wait([asking])
    await asyncio.sleep(0.05)
    await pod.listen()
    await until(lambda: not gateway.pipeline._running)
    assert endings(await world.events()) == ["Allow", "Cancelled"]


async def test_output_that_comes_after_a_takeover_does_no_harm(world) -> None:
    async def chatter(pod, args, stop, emit):
        while not pod.go.is_set():
            emit("stdout", b"x" * 1000)
            await asyncio.sleep(0)
        return Outcome(ending=Ending.FINISHED, result={"exit_code": 4})

    pod = await world.pod()
    pod.act = chatter
    first = await world.gateway()
    asking = first.asking("make")
    await pod.running.wait()
    await first.die()
    await asyncio.wait([asking])
    second = await world.gateway()
    await asyncio.sleep(0.1)
    pod.go.set()
    [action] = await second.recovering
    assert action.outcome.result == {"exit_code": 4}


async def test_a_deposed_gateway_concludes_nothing(world) -> None:
    pod = await world.pod()
    pod.act = hold
    first = await world.gateway()
    asking = first.asking("make")
    await pod.running.wait()
    second = await world.gateway()  # the first lives on
    await asyncio.sleep(0.1)
    assert not asking.done()
    pod.go.set()
    [action] = await second.recovering
    assert action.outcome.ending is Ending.FINISHED
    assert endings(await world.events()) == ["Allow", "Finished"]
    assert any("comes too late" in each for each in world.refused)
    await first.die()
    await asyncio.wait([asking])


@pytest.mark.parametrize(
    ("outcome", "ending"),
    [
        (Outcome(ending=Ending.FINISHED, result={"exit_code": 0, "signal": 9}), Ending.INTERRUPTED),
        (Outcome(ending=Ending.FINISHED, result={"lies": float("nan")}), Ending.INTERRUPTED),
        (Outcome(ending=Ending.FAILED, result={"x": 1}, error="no"), Ending.FAILED),
    ],
)
async def test_what_a_computer_says_of_an_end_is_checked_after_a_takeover_too(world, outcome, ending) -> None:
    async def lie(pod, args, stop, emit):
        await pod.go.wait()
        return outcome

    pod = await world.pod()
    pod.act = lie
    first = await world.gateway()
    asking = first.asking("make")
    await pod.running.wait()
    await first.die()
    await asyncio.wait([asking])
    second = await world.gateway()
    pod.go.set()
    [action] = await second.recovering
    assert (action.outcome.ending, action.outcome.result) == (ending, None)


async def test_a_computer_that_floods_is_cut_off_and_asked_again(world) -> None:
    async def flood(pod, args, stop, emit):
        for _ in range(200):
            emit("stdout", b"x" * CHUNK)
        return Outcome(ending=Ending.FINISHED, result={"exit_code": 0})

    pod = await world.pod()
    pod.act = flood
    gateway = await world.gateway()
    items = await gateway.ask("make")
    assert sum(len(item.data) for item in items if isinstance(item, Output)) <= 4 * 1024 * 1024
    assert items[-1].ending is Ending.FINISHED
    assert len(pod.runs) == 1


@pytest.mark.parametrize("nonsense", [b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", b""])
async def test_a_computer_that_does_not_speak_our_protocol(world, monkeypatch, nonsense) -> None:
    async def serve(self, reader, writer, found):
        writer.write(nonsense)
        if nonsense:
            await reader.read()

    pod = await world.pod()
    monkeypatch.setattr(computers_module, "OPEN_TIMEOUT", 0.3)
    monkeypatch.setattr(type(pod.daemon), "serve", serve)
    gateway = await world.gateway()
    with pytest.raises(Unavailable, match=r"the computer of agent team-a/dev can't be reached: .*Nothing was run"):
        await gateway.ask("true")
    assert await world.events() == []


async def test_a_computer_that_says_nothing(world, monkeypatch) -> None:
    async def serve(self, reader, writer, found):
        await reader.read()

    pod = await world.pod()
    monkeypatch.setattr(computers_module, "OPEN_TIMEOUT", 1)
    monkeypatch.setattr(connection_module, "CONNECT_TIMEOUT", 0.2)
    monkeypatch.setattr(type(pod.daemon), "serve", serve)
    gateway = await world.gateway()
    with pytest.raises(Unavailable, match="has not answered for 0 s"):
        await gateway.ask("true")


@pytest.mark.parametrize(
    ("authority", "host"),
    [("another", "dev-1"), ("ours", "dev-2"), ("ours", "rynxs-gateway")],
)
async def test_a_certificate_that_is_not_the_computers_is_refused(world, monkeypatch, authority, host) -> None:
    monkeypatch.setattr(computers_module, "OPEN_TIMEOUT", 0.5)
    pod = await world.pod()
    await pod.shut()
    signer = world.authority if authority == "ours" else Authority.create("another", datetime.now(UTC))
    pod.certify(signer, host if host == "rynxs-gateway" else computer_host("team-a", host))
    (pod.files / "ca.crt").write_bytes(world.authority.certificate)
    await pod.listen()
    gateway = await world.gateway()
    with pytest.raises(Unavailable, match=r"can't be reached: .*certificate verify failed"):
        await gateway.ask("true")
    assert await world.events() == []


async def test_a_computer_of_another_namespace_is_another_one(world, monkeypatch) -> None:
    monkeypatch.setattr(computers_module, "OPEN_TIMEOUT", 0.5)
    pod = await world.pod()
    await pod.shut()
    pod.certify(world.authority, computer_host("team-b", "dev-1"))
    await pod.listen()
    gateway = await world.gateway()
    with pytest.raises(Unavailable, match="certificate verify failed"):
        await gateway.ask("true")


@pytest.mark.parametrize("who", ["another computer", "a stranger"])
async def test_a_computer_lets_only_gateways_in(world, monkeypatch, who) -> None:
    monkeypatch.setattr(computers_module, "OPEN_TIMEOUT", 0.5)
    if who == "another computer":
        world.certify_gateway(name="dev-2")
    else:
        world.certify_gateway(authority=Authority.create("another", datetime.now(UTC)))
    await world.pod()
    gateway = await world.gateway()
    with pytest.raises(Unavailable, match="can't be reached"):
        await gateway.ask("true")


async def test_our_certificate_is_read_when_it_is_used(world) -> None:
    pod = await world.pod()
    gateway = await world.gateway()
    await gateway.ask("true")
    world.authority = Authority.create("renewed", datetime.now(UTC))
    world.certify_gateway()
    pod.certify(world.authority, computer_host("team-a", "dev-1"))
    await pod.shut()
    await pod.listen()
    await until(lambda: not gateway.computers._connections["team-a", "dev-1"]._client.alive)
    assert (await gateway.ask("true"))[-1].ending is Ending.FINISHED


@pytest.mark.parametrize(("wall", "value"), [("seccomp", "0"), ("capeff", "00000000a80425fb"), ("dumpable", "1")])
async def test_a_computer_without_its_walls_is_not_used(world, wall, value) -> None:
    pod = await world.pod()
    pod.walls[wall] = value
    gateway = await world.gateway()
    with pytest.raises(Unavailable, match=f"not confined as it must be: {wall} is '{value}'"):
        await gateway.ask("true")
    del pod.walls[wall]
    pod.hang_up()
    await until(lambda: not gateway.computers._connections["team-a", "dev-1"]._client.alive)
    with pytest.raises(Unavailable, match=f"{wall} is None"):
        await gateway.ask("true")
    assert (pod.runs, await world.events()) == ([], [])


async def test_an_action_waits_until_the_computer_is_ready(world) -> None:
    pod = await world.pod(shown=False)
    gateway = await world.gateway()
    asking = gateway.asking("true")
    await asyncio.sleep(0.05)
    pod.show(ready="False")
    await asyncio.sleep(0.05)
    assert not asking.done()
    pod.show()
    assert (await asking)[-1].ending is Ending.FINISHED


async def test_a_computer_that_does_not_come_says_why(world, monkeypatch) -> None:
    monkeypatch.setattr(computers_module, "OPEN_TIMEOUT", 0.1)
    walls = {"type": "WallsUp", "status": "False", "reason": "Reachable", "message": "DNS answers at 10.96.0.10:53"}
    ready = {"type": "Ready", "status": "False", "reason": "Starting", "message": "computer dev-2 is starting"}
    world.show_agent(status={"conditions": [ready, walls]})
    gateway = await world.gateway()
    with pytest.raises(Unavailable) as refused:
        await gateway.ask("true")
    assert str(refused.value) == (
        "the computer of agent team-a/dev is not ready (Reachable: DNS answers at 10.96.0.10:53). Nothing was run."
    )
    world.show_agent()
    await until(lambda: "status" not in gateway.registry._agents.objects["team-a", "dev"])
    with pytest.raises(Unavailable, match="the operator has not looked at the agent yet"):
        await gateway.ask("true")


async def test_labels_lie_and_owners_count(world, monkeypatch) -> None:
    monkeypatch.setattr(computers_module, "OPEN_TIMEOUT", 0.1)
    pod = await world.pod(shown=False)
    for owners in ([], [{"uid": "uid-other", "controller": True}], [{"uid": world.uid, "controller": False}]):
        pod.show(metadata={"ownerReferences": owners})
        gateway = await world.gateway()
        with pytest.raises(Unavailable, match="is not ready"):
            await gateway.ask("true")
    assert pod.runs == []


async def test_the_newest_of_two_computers_is_used(world) -> None:
    old, new = await world.pod("dev-1"), await world.pod("dev-2", shown=False)
    new.show(metadata={"annotations": {"rynxs.dev/computer-number": "2"}})
    gateway = await world.gateway()
    await gateway.ask("true")
    assert (len(old.runs), len(new.runs)) == (0, 1)
    new.show(metadata={"annotations": {"rynxs.dev/computer-number": "2"}, "deletionTimestamp": "2026-11-23T14:00:00Z"})
    await until(lambda: "deletionTimestamp" in gateway.computers._pods.objects["team-a", "dev-2"]["metadata"])
    await gateway.ask("true")
    assert (len(old.runs), len(new.runs)) == (1, 1)


async def test_the_next_computer_is_used_when_one_has_ended(world) -> None:
    first = await world.pod("dev-1")
    gateway = await world.gateway()
    await gateway.ask("true")
    await first.shut()
    world.kubernetes.drop(PODS, "team-a", "dev-1")
    asking = gateway.asking("true")
    second = await world.pod("dev-2")
    assert (await asking)[-1].ending is Ending.FINISHED
    assert (len(first.runs), len(second.runs)) == (1, 1)
    assert list(gateway.computers._connections) == [("team-a", "dev-2")]
    assert gateway.computers._owned == {world.uid: {("team-a", "dev-2")}}


async def test_a_deleted_agent_leaves_no_action_open(world) -> None:
    pod = await world.pod()
    pod.act = hold
    gateway = await world.gateway()
    asking = gateway.asking("make")
    await pod.running.wait()
    world.kubernetes.drop(AGENTS, "team-a", "dev")
    await pod.shut()
    world.kubernetes.drop(PODS, "team-a", "dev-1")
    assert (await asking)[-1].ending is Ending.INTERRUPTED
    assert endings(await world.events()) == ["Allow", "Interrupted"]


async def test_a_retry_of_what_was_recorded_asks_no_computer(world) -> None:
    pod = await world.pod()
    gateway = await world.gateway()
    id_ = uuid7()
    await gateway.ask("true", id_=id_)
    await until(lambda: not gateway.pipeline._running)
    await pod.shut()
    async with gateway.pipeline.action(ALICE, "team-a", "dev", "shell_exec", {"argv": ["true"]}, id_=id_) as found:
        assert isinstance(found, Recorded)
