"""The gateway as a process: who gets in, what runs, and what becomes of it when the process ends."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest
from unit.cluster.world import hold

from rynxs.eventlog import uuid7

SHELL = {"tool": "shell_exec"}


def action(*argv, **more):
    return SHELL | {"args": {"argv": list(argv)}} | more


def endings(events):
    return [event.data.get("outcome", event.data.get("effect")) for event in events]


async def test_from_start_to_a_clean_end(world) -> None:
    pod = await world.pod()
    gateway = await world.gateway()
    path = f"/v1/namespaces/{world.namespace}/agents/dev"
    async with gateway.client(world.token("ci")) as ci:
        answer = await ci.post(f"{path}/actions", json=action("true"))
        assert answer.status_code == 200, answer.text
        assert answer.json()["outcome"]["ending"] == "Finished"
        assert answer.json()["stdout"]["content"] == "hello\n"
        denied = await ci.post(f"{path}/actions", json=action("no"))
        assert (denied.status_code, denied.json()["type"]) == (403, "urn:rynxs:problem:denied")
        assert (await ci.get(path)).json()["agent"]["metadata"]["name"] == "dev"
        assert (await ci.get("/v1/agents")).status_code == 403
        assert "may not get logs in the whole cluster" in (await ci.get("/v1/log/shard-0/events")).json()["detail"]
    async with gateway.client(world.token("eve")) as eve:
        refused = await eve.post(f"{path}/actions", json=action("true"))
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:rynxs:problem:forbidden")
        assert (await eve.get(path)).status_code == 403
    async with gateway.client("nonsense") as nobody:
        assert (await nobody.post(f"{path}/actions", json=action("true"))).status_code == 401
    assert len(pod.runs) == 1
    events = await world.events()
    assert endings(events) == ["Allow", "Finished", "Deny"]
    assert events[0].actor == f"system:serviceaccount:{world.namespace}:ci"
    gateway.process.send_signal(signal.SIGTERM)
    assert await gateway.ended() == 0, gateway.said
    report = await world.verified()
    assert (report.ok, report.complete_up_to) == (True, report.events - 1)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_what_runs_outlives_the_gateway(world, end) -> None:
    pod = await world.pod()
    pod.act = hold
    first = await world.gateway()
    path = f"/v1/namespaces/{world.namespace}/agents/dev/actions"
    token, id_ = world.token("ci"), uuid7()
    told = []

    async def ask():
        headers = {"Accept": "text/event-stream"}
        async with (
            first.client(token) as client,
            client.stream("POST", path, json=action("make", id=id_), headers=headers) as answer,
        ):
            told.extend([line async for line in answer.aiter_lines()])

    asking = asyncio.create_task(ask())
    await pod.running.wait()
    first.process.send_signal(end)
    code = await first.ended()
    await asyncio.wait([asking])
    if end is signal.SIGTERM:
        assert code == 0, first.said
        problem = json.loads(told[-2].removeprefix("data: "))
        assert (problem["type"], problem["action"]) == ("urn:rynxs:problem:left", id_)
        asking.result()
    else:
        assert asking.exception() is not None
    assert endings(await world.events()) == ["Allow"]
    second = await world.gateway()
    async with second.client(token) as client:
        early = await client.post(path, json=action("make", id=id_))
        assert (early.status_code, early.headers["retry-after"]) == (503, "5")
        assert f"action {id_} is open" in early.json()["detail"]
        pod.go.set()
        async with asyncio.timeout(20):
            while (again := await client.post(path, json=action("make", id=id_))).status_code == 503:
                await asyncio.sleep(0.05)
        assert again.json()["outcome"]["ending"] == "Finished"
    assert endings(await world.events()) == ["Allow", "Finished"]
    assert len(pod.runs) == 1


async def test_a_gateway_that_lost_the_log_ends(world) -> None:
    await world.pod()
    first = await world.gateway()
    second = await world.gateway()
    path = f"/v1/namespaces/{world.namespace}/agents/dev/actions"
    token = world.token("ci")
    async with first.client(token) as client:
        refused = await client.post(path, json=action("true"))
        assert refused.status_code in (500, 503), refused.text
    assert await first.ended() != 0
    assert "epoch" in first.said or "another gateway has taken" in first.said
    async with second.client(token) as client:
        assert (await client.post(path, json=action("true"))).status_code == 200
    assert endings(await world.events()) == ["Allow", "Finished"]


async def test_a_store_that_is_away_is_waited_for_and_said(world, server) -> None:
    await world.pod()
    server.kill()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(6):
                await world.gateway()
        gateway = world.processes[-1]
        code, why = await gateway.readiness()
        assert (code, "waiting for the log's store" in why) == (503, True)
    finally:
        server.start()
    await gateway.ready()


async def test_a_missing_anchor_is_no_reason_to_start_anew(world) -> None:
    gateway = await world.gateway()
    gateway.process.send_signal(signal.SIGTERM)
    await gateway.ended()
    world.controlplane.kubectl("delete", "configmap", "rynxs-anchor-shard-0", "-n", "rynxs-gateway-test")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(6):
            await world.gateway()
    code, why = await world.processes[-1].readiness()
    assert code == 503
    assert "rynxs-anchor-shard-0 does not exist" in why
    world.processes[-1].process.send_signal(signal.SIGTERM)
    assert await world.processes[-1].ended() == 0


@pytest.mark.parametrize("hosts", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_pages_do_not_get_in(world, hosts) -> None:
    gateway = await world.gateway()
    async with gateway.client(world.token("ci")) as client:
        assert (await client.get("/v1/agents", headers=hosts)).status_code in (400, 403)
