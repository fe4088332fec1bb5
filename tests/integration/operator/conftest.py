"""An operator with the rights that the chart gives it, against an API server alone: the test plays the kubelet."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import uuid
from datetime import UTC, datetime

import chartrights
import pytest
from lightkube import KubeConfig
from lightkube.config.models import User

from rynxs.api.resource import AGENTS, CLUSTER_POLICIES, POLICIES
from rynxs.computer.reach import Target
from rynxs.kube.client import Client
from rynxs.kube.reflector import Reflector
from rynxs.kube.resource import NETWORK_POLICIES, PODS, VOLUME_CLAIMS
from rynxs.operator.certificate import Authority
from rynxs.operator.reconcile import Operator
from rynxs.operator.settings import ComputerSettings
from rynxs.operator.steps import Steps

SYSTEM = "rynxs-system"
SETTINGS = ComputerSettings(image="registry.test/rynxs-computer:test", daemon_image="registry.test/rynxs-computer:test")
PATIENCE = 20


class World:
    """The cluster as its administrator sees it. `until` waits for something to be so."""

    def __init__(self, admin):
        self.admin = admin
        self.changed = asyncio.Event()
        self.agents, self.pods, self.claims, self.networks, self.policies, self.cluster_policies = (
            Reflector(admin, resource, changed=self._change)
            for resource in (AGENTS, PODS, VOLUME_CLAIMS, NETWORK_POLICIES, POLICIES, CLUSTER_POLICIES)
        )
        self.recorded = []

    def now(self):
        return datetime.now(UTC)

    @property
    def reflectors(self):
        return (self.agents, self.pods, self.claims, self.networks, self.policies, self.cluster_policies)

    def _change(self, _):
        self.changed.set()

    async def record(self, draft):
        self.recorded.append(draft)
        self.changed.set()
        return []

    async def until(self, found):
        """What `found` gives once it is true; it is asked again after each change."""
        async with asyncio.timeout(PATIENCE):
            while not (value := found()):
                self.changed.clear()
                await self.changed.wait()
            return value

    async def agent(self, namespace, name, found=lambda item: item):
        """The agent, once that is true of it."""
        return await self.until(lambda: (item := self.agents.objects.get((namespace, name))) and found(item) and item)

    async def pod(self, namespace, name, found=lambda item: True):
        """The agent's one pod, once there is one and that is true of it."""

        def one():
            mine = [
                item
                for (where, _), item in self.pods.objects.items()
                if where == namespace and item["metadata"]["labels"].get("rynxs.dev/agent") == name and found(item)
            ]
            return mine[0] if len(mine) == 1 else None

        return await self.until(one)

    async def report(self, pod, **status):
        """Be the kubelet."""
        metadata = pod["metadata"]
        await self.admin.merge(PODS, metadata["namespace"], metadata["name"], {"status": status}, "status")

    async def ready(self, pod):
        """Let the pod be ready, its walls having been tried."""
        await self.report(
            pod,
            phase="Running",
            podIP="10.244.1.9",
            conditions=[{"type": "Ready", "status": "True"}],
        )

    async def apply(self, resource, namespace, kind, name, spec, **metadata):
        """Create or change an object of ours."""
        item = {
            "apiVersion": "rynxs.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, **({"namespace": namespace} if namespace else {}), **metadata},
            "spec": spec,
        }
        return await self.admin.apply(resource, namespace, item)


@pytest.fixture(scope="session")
def system():
    """The system namespace."""
    return SYSTEM


@pytest.fixture
def computer_settings():
    return SETTINGS


@pytest.fixture(scope="session")
def rendered():
    """A function from templates of the chart to what they make."""
    return functools.partial(chartrights.rendered, SYSTEM)


@pytest.fixture(scope="module")
def installed(controlplane):
    """An API server with our kinds, and the chart's rights for the operator; gives the operator's token."""
    return chartrights.install(controlplane, SYSTEM, "operator")


@pytest.fixture
def config(controlplane):
    """The administrator's."""
    return KubeConfig.from_file(controlplane.kubeconfig).get()


@pytest.fixture
def namespace(controlplane, installed):
    """A namespace where Pod Security is restricted, as everywhere that agents should be."""
    name = f"t-operator-{uuid.uuid4().hex[:6]}"
    controlplane.kubectl("create", "namespace", name)
    controlplane.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    for kind in ("agents", "agentpolicies", "pods", "persistentvolumeclaims", "networkpolicies"):
        controlplane.kubectl("delete", kind, "--all", "-n", name, "--wait=false", "--force", "--grace-period=0")


@pytest.fixture
async def operator(config, installed):
    """A client with the operator's rights, and no others."""
    async with Client(config._replace(user=User(token=installed)), manager="rynxs-operator") as client:
        yield client


@pytest.fixture
async def world(config):
    async with Client(config, manager="administrator") as admin:
        world = World(admin)
        running = [asyncio.create_task(reflector.run()) for reflector in world.reflectors]
        for reflector in world.reflectors:
            await reflector.synced.wait()
        yield world
        for task in running:
            task.cancel()


@pytest.fixture
async def start(operator, world):
    """A function that starts an operator; `world.recorded` is what it records."""
    tasks = []

    async def targets():
        return [Target(name="the kubelet", host="$(HOST_IP)", port=10250)]

    def begin(record=world.record):
        authority = Authority.create("Rynxs", world.now())
        steps = Steps(operator, authority, SETTINGS, SYSTEM, targets)
        tasks.append(asyncio.create_task(Operator(operator, steps, record, world.now).run()))
        return tasks[-1]

    yield begin
    for task in tasks:
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def secrets(controlplane):
    """A function that gives the names of a namespace's Secrets, asked as the administrator."""
    return lambda namespace: [
        item["metadata"]["name"]
        for item in json.loads(controlplane.kubectl("get", "secrets", "-n", namespace, "-o", "json"))["items"]
    ]
