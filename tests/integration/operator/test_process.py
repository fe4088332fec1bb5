"""The operator as a process: installed with the chart's rights, a real store, real anchors, and its health."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import uuid

import pytest
from cluster import s3
from lightkube.config.models import User

from rynxs.api.resource import AGENTS
from rynxs.cluster.anchors import ConfigMapAnchors
from rynxs.cluster.install import CannotInstall, Installer
from rynxs.cluster.operator import Process
from rynxs.cluster.store import open_store
from rynxs.eventlog import Log, LogError, Trust, verify
from rynxs.kube.client import Client
from rynxs.kube.resource import CONFIG_MAPS, SECRETS
from rynxs.operator import walls
from rynxs.operator.config import Config, LogSettings

ENVIRONMENT = {
    "POD_NAME": "rynxs-operator-x",
    "POD_IP": "10.244.1.2",
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
}
MADE = [
    *((SECRETS, f"rynxs-{name}") for name in ("ca", "gateway-tls", "gateway-key", "operator-key")),
    *((CONFIG_MAPS, f"rynxs-{name}") for name in ("trust", "anchor-shard-0", "anchor-operator")),
]


@pytest.fixture(scope="module")
def server():
    with s3.versitygw() as server:
        yield server


@pytest.fixture
def settings(server, system, computer_settings, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    log = LogSettings(url=f"s3://{s3.BUCKET}/{uuid.uuid4()}", endpoint=server.endpoint, credentials="keys")
    return Config(namespace=system, log=log, computers=computer_settings)


@pytest.fixture
async def installer(controlplane, config, installed, rendered, system):
    """A client with the rights of the install job."""
    controlplane.apply(rendered("templates/install.yaml"), "--namespace", system)
    controlplane.kubectl("delete", "job", "rynxs-install", "--namespace", system, "--wait=false")
    token = controlplane.kubectl("create", "token", "rynxs-install", "--namespace", system).strip()
    async with Client(config._replace(user=User(token=token)), manager="rynxs-install") as client:
        yield client


@pytest.fixture
async def mounted(world, installer, system, tmp_path):
    """What the chart mounts into the operator, made by an installation."""
    await Installer(installer, system, world.now(), print).run(first=True)
    for resource, name, folder in (
        (SECRETS, "rynxs-ca", "ca"),
        (SECRETS, "rynxs-operator-key", "key"),
        (CONFIG_MAPS, "rynxs-trust", "trust"),
    ):
        (tmp_path / folder).mkdir()
        for file, value in (await world.admin.get(resource, system, name))["data"].items():
            data = base64.b64decode(value) if resource is SECRETS else value.encode()
            (tmp_path / folder / file).write_bytes(data)
    yield tmp_path
    for resource, name in MADE:
        await world.admin.delete(resource, system, name)


@pytest.fixture
async def process(operator, settings, mounted, monkeypatch):
    """A function that starts a process; gives it and its task."""
    monkeypatch.setattr(walls, "_RESOLVER", mounted / "resolv.conf")
    (mounted / "resolv.conf").write_text("nameserver 10.96.0.10\n")
    tasks = []

    def start():
        made = Process(operator, settings, mounted, ENVIRONMENT)
        tasks.append(asyncio.create_task(made.run(0)))
        return made, tasks[-1]

    yield start
    for task in tasks:
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_from_installation_to_a_clean_end(world, process, mounted, settings, operator, namespace) -> None:
    await world.apply(AGENTS, namespace, "Agent", "dev", {})
    first, task = process()
    assert first.why_not_ready()
    pod = await world.pod(namespace, "dev")
    assert first.why_not_ready() == ""
    [probe] = [each for each in pod["spec"]["initContainers"] if each["name"] == "walls"]
    assert '"host":"10.244.1.2","port":8081' in probe["command"][-1]
    await world.agent(namespace, "dev", lambda item: item.get("status", {}).get("computer"))
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    trust = Trust.load(mounted / "trust" / "trust.json")
    anchors = ConfigMapAnchors(operator, settings.namespace)
    report = await verify(open_store(settings.log), "operator", trust, anchors)
    assert (report.ok, report.epochs) == (True, 1)
    assert report.complete_up_to == report.events - 1  # the anchor was moved to the end
    log = await Log.open(open_store(settings.log))
    assert [event.type async for event in log.read("operator")][:3] == [
        "writer.claimed",
        "agent.planned",
        "agent.applied",
    ]


async def test_the_second_one_takes_over_and_the_first_one_ends(world, process, namespace) -> None:
    _, first = process()
    await world.apply(AGENTS, namespace, "Agent", "a", {})
    await world.pod(namespace, "a")
    second, _ = process()
    await world.apply(AGENTS, namespace, "Agent", "b", {})
    with pytest.raises(ExceptionGroup) as caught:
        await first
    assert caught.group_contains(LogError, match=r"epoch 1 is over|another operator has taken it")
    await world.pod(namespace, "b")
    assert second.why_not_ready() == ""


async def test_a_store_that_is_not_there_is_waited_for(world, process, server, namespace) -> None:
    await world.apply(AGENTS, namespace, "Agent", "dev", {})
    server.kill()
    try:
        waiting, task = process()
        async with asyncio.timeout(20):
            while "waiting for the log's store" not in waiting.why_not_ready():
                await asyncio.wait([task], timeout=0.05)
                assert not task.done()
    finally:
        server.start()
    await world.pod(namespace, "dev")


async def test_an_installation_is_made_once(world, installer, mounted, system) -> None:
    said = []
    await Installer(installer, system, world.now(), said.append).run(first=False)
    await Installer(installer, system, world.now(), said.append).run(first=True)
    assert said == []
    await world.admin.delete(CONFIG_MAPS, system, "rynxs-anchor-operator")
    with pytest.raises(CannotInstall, match="rynxs-anchor-operator is missing"):
        await Installer(installer, system, world.now(), said.append).run(first=True)
