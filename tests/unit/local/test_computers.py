"""Local computers: one sandbox an agent, recorded before it is used, its end certain before an action is closed."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from rynxs.action.decision import Decision, Effect
from rynxs.action.lifecycle import Action
from rynxs.action.outcome import Ending
from rynxs.api.manifest import parse
from rynxs.computer.client import ConnectionLost
from rynxs.gateway.refusal import Unavailable
from rynxs.gateway.registry import Registered
from rynxs.sandbox import boot
from rynxs.sandbox.bubblewrap import SandboxUnavailable
from rynxs.sandbox.wall import WallDown

AGENT = """
apiVersion: rynxs.dev/v1alpha1
kind: Agent
metadata: {name: dev, namespace: team-a}
spec: {env: [{name: LANG, value: C.UTF-8}], workspace: {size: 1Mi, retain: %s}, resources: {limits: {memory: 64Mi}}}
"""


def registered(retain="Retain", uid="uid-1") -> Registered:
    return Registered(uid=uid, created="", agent=parse(AGENT % retain, "test")[0])


def action(boot_: str) -> Action:
    """One that was decided for that boot."""
    return Action(
        id="a",
        agent=registered().ref,
        principal="alice",
        tool="shell_exec",
        digest="",
        decision=Decision(effect=Effect.ALLOW, rule="", message="", policies=""),
        executor="team-a/dev",
        boot=boot_,
        decided_at=0,
    )


async def test_a_computer_is_as_its_manifest_says(world) -> None:
    computer = await world.computers.open(registered())
    [sandbox] = world.sandboxes
    assert (computer.name, computer.boot, computer.connection) == ("team-a/dev", "boot-0", sandbox.client)
    assert sandbox.spec.env == {"LANG": "C.UTF-8"}
    assert sandbox.spec.workspace == world.path / "workspaces" / "team-a" / "dev"
    assert (sandbox.spec.limits.workspace, sandbox.spec.limits.memory) == (2**20, 2**26)
    assert sandbox.spec.mounts == ((world.path, "/opt/it"),)
    assert sandbox.register.fence == world.shard.fence


async def test_one_sandbox_an_agent(world) -> None:
    opened = await asyncio.gather(*(world.computers.open(registered()) for _ in range(5)))
    assert {computer.boot for computer in opened} == {"boot-0"}
    await world.computers.open(registered(uid="uid-2"))
    assert len(world.sandboxes) == 2


async def test_its_boot_is_recorded_until_it_is_over(world) -> None:
    await world.computers.open(registered())
    record = world.path / "boots" / "uid-1.json"
    assert boot.read(record) == world.sandboxes[0].record
    await world.computers.stop("uid-1")
    assert not record.exists()
    await world.computers.stop("uid-1")
    assert world.sandboxes[0].stops == 1


async def test_a_sandbox_that_ended_is_replaced(world) -> None:
    await world.computers.open(registered())
    world.sandboxes[0].alive = False
    assert (await world.computers.open(registered())).boot == "boot-1"
    assert world.sandboxes[0].stops == 1


@pytest.mark.parametrize("failure", [SandboxUnavailable("no bwrap"), WallDown("network"), OSError(28, "full")])
async def test_a_computer_that_does_not_start(world, failure) -> None:
    world.failure = failure
    with pytest.raises(Unavailable, match="the computer of agent team-a/dev can't be started: "):
        await world.computers.open(registered())
    world.failure = None
    assert (await world.computers.open(registered())).boot == "boot-0"


async def test_a_computer_that_ends_at_once(world, monkeypatch) -> None:
    start = world.start

    async def dead(spec):
        sandbox = await start(spec)
        sandbox.alive = False
        return sandbox

    monkeypatch.setattr("rynxs.local.computers.start", dead)
    with pytest.raises(Unavailable, match="ended at once"):
        await world.computers.open(registered())
    assert world.sandboxes[0].stops == 1
    assert list((world.path / "boots").iterdir()) == []


async def test_a_boot_that_can_not_be_recorded_runs_nothing(world, monkeypatch) -> None:
    def fail(path, record):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(boot, "write", fail)
    with pytest.raises(Unavailable, match="No space left"):
        await world.computers.open(registered())
    assert (world.sandboxes[0].stops, world.sandboxes[0].register.fence) == (1, None)


async def test_a_lost_action_is_closed_only_when_its_boot_is_over(world) -> None:
    await world.computers.open(registered())
    outcome = await world.computers.conclude(action("boot-0"))
    assert outcome.ending is Ending.INTERRUPTED
    assert not world.sandboxes[0].alive


async def test_a_lost_action_of_an_earlier_boot_harms_nobody(world) -> None:
    await world.computers.open(registered())
    assert (await world.computers.conclude(action("earlier"))).ending is Ending.INTERRUPTED
    assert world.sandboxes[0].alive


@pytest.mark.parametrize(("retain", "kept"), [("Retain", True), ("Delete", False)])
async def test_removing(world, retain, kept) -> None:
    agent = registered(retain)
    await world.computers.open(agent)
    workspace = world.sandboxes[0].spec.workspace
    await world.computers.remove(agent)
    assert (world.sandboxes[0].alive, workspace.exists()) == (False, kept)
    await world.computers.remove(registered("Delete", "never-started"))


async def test_only_the_boot_of_an_action_is_told_of_its_outcome(world, monkeypatch) -> None:
    told = []

    async def settle(id_):
        told.append(id_)
        raise ConnectionLost("it is gone")

    await world.computers.settle(action("boot-0"))
    await world.computers.open(registered())
    monkeypatch.setattr(world.sandboxes[0], "settle", settle)
    await world.computers.settle(action("boot-0"))
    await world.computers.settle(action("another"))
    assert told == ["a"]


async def test_close_ends_all(world) -> None:
    for uid in ("1", "2", "3"):
        await world.computers.open(registered(uid=uid))
    await world.computers.close()
    assert [sandbox.alive for sandbox in world.sandboxes] == [False] * 3
    assert list((world.path / "boots").iterdir()) == []


async def test_what_an_earlier_server_left_is_ended(world, monkeypatch) -> None:
    ended = []

    async def end(record):
        ended.append(record.boot)

    monkeypatch.setattr(boot, "end", end)
    for name in ("one", "two"):
        record = boot.Record(boot=name, pid=1, start_time=1, machine_boot="m")
        (world.path / "boots" / f"{name}.json").write_bytes(msgspec.json.encode(record))
    await world.computers.end_earlier()
    assert ended == ["one", "two"]
    assert list((world.path / "boots").iterdir()) == []


async def test_an_end_that_can_not_be_proven_stops_the_start(world) -> None:
    record = world.path / "boots" / "x.json"
    record.write_text("{")
    with pytest.raises(boot.NotOver, match="is damaged"):
        await world.computers.end_earlier()
    assert record.exists()
