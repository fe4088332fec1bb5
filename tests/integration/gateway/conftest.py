"""A gateway as a process with the rights of the chart: a real API server and store, and pods on loopback."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import ssl
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import chartrights
import httpx2
import pytest
import yaml
from cluster import s3
from cluster.controlplane import free_port
from lightkube import KubeConfig
from unit.cluster.world import Pod

from rynxs.cluster.anchors import ConfigMapAnchors
from rynxs.cluster.install import Installer
from rynxs.eventlog import Log, Trust, verify
from rynxs.eventlog.bucket import BucketStore, Credentials
from rynxs.kube.client import Client
from rynxs.kube.resource import CONFIG_MAPS, PODS, SECRETS
from rynxs.operator.certificate import Authority

SYSTEM = "rynxs-gateway-test"
RUN = "import sys; from pathlib import Path; from rynxs.cli.component import _log; from rynxs.cluster import gateway\n"
RUN += "_log(); gateway.run(Path(sys.argv[1]), gateway.Places(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))"
POLICY = """
apiVersion: rynxs.dev/v1alpha1
kind: AgentPolicy
metadata: {{name: coder, namespace: {namespace}}}
spec:
  selector: {{}}
  rules:
  - {{name: all, tools: [shell_exec], when: 'action.args.argv[0] != "no"', effect: Allow}}
"""
ROLES = """
apiVersion: v1
kind: ServiceAccount
metadata: {{name: ci, namespace: {namespace}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: eve, namespace: {namespace}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: user, namespace: {namespace}}}
rules:
- {{apiGroups: [rynxs.dev], resources: [agents], verbs: [get, list, use]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: user, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: user}}
subjects: [{{kind: ServiceAccount, name: ci, namespace: {namespace}}}]
"""


class Process:
    """A gateway's process."""

    def __init__(self, world, config: Path) -> None:
        self.world = world
        self.port, self.health = free_port(), free_port()
        self.errors = (world.folder / f"gateway-{self.port}.log").open("w+")
        command = [sys.executable, "-c", RUN, str(config), str(world.folder), str(self.port), str(self.health)]
        self.process = subprocess.Popen(command, env=world.environment, stderr=self.errors)

    @property
    def said(self) -> str:
        self.errors.flush()
        return Path(self.errors.name).read_text()

    def client(self, token: str) -> httpx2.AsyncClient:
        trusted = ssl.create_default_context(cafile=self.world.folder / "tls" / "ca.crt")

        async def name(request):
            request.extensions = {**request.extensions, "sni_hostname": "rynxs-gateway"}

        return httpx2.AsyncClient(
            base_url=f"https://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {token}", "Host": "rynxs-gateway"},
            verify=trusted,
            event_hooks={"request": [name]},
            timeout=30,
        )

    async def readiness(self) -> tuple[int, str]:
        async with httpx2.AsyncClient() as client:
            response = await client.get(f"http://127.0.0.1:{self.health}/readyz")
            return response.status_code, response.text.strip()

    async def ready(self) -> Process:
        async with asyncio.timeout(30):
            while True:
                assert self.process.poll() is None, self.said
                with contextlib.suppress(httpx2.HTTPError):
                    if (await self.readiness())[0] == 200:
                        return self
                await asyncio.sleep(0.05)

    async def ended(self) -> int:
        """Its exit code."""
        return await asyncio.to_thread(self.process.wait, 30)


class World:
    """What outlives the gateways. It is what a unit test's `Pod` needs of its world, too."""

    def __init__(self, folder: Path, controlplane, server, admin: Client, namespace: str, token: str) -> None:
        self.folder, self.controlplane, self.server, self.admin = folder, controlplane, server, admin
        self.namespace = namespace
        self.port = free_port()
        self.refused: list[str] = []
        self.pods: list[Pod] = []
        self.processes: list[Process] = []
        self.authority: Authority
        self._numbers = itertools.count(2)
        kubeconfig = yaml.safe_load(Path(controlplane.kubeconfig).read_text())
        kubeconfig["users"][0]["user"] = {"token": token}
        (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
        self.environment = os.environ | {
            "KUBECONFIG": str(folder / "kubeconfig"),
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "POD_NAME": "rynxs-gateway-x",
        }
        self.url = f"s3://{s3.BUCKET}/{uuid.uuid4()}"
        config = {
            "namespace": SYSTEM,
            "log": {"url": self.url, "endpoint": server.endpoint, "credentials": "keys"},
            "computers": {"image": "i", "daemonImage": "i", "port": self.port},
        }
        self.config = folder / "config.yaml"
        self.config.write_text(yaml.safe_dump(config))

    async def gateway(self) -> Process:
        self.processes.append(Process(self, self.config))
        return await self.processes[-1].ready()

    def token(self, name: str) -> str:
        return self.controlplane.kubectl("create", "token", name, "-n", self.namespace).strip()

    async def agent(self, name: str = "dev") -> str:
        """An Agent; gives its uid."""
        item = {
            "apiVersion": "rynxs.dev/v1alpha1",
            "kind": "Agent",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {},
        }
        self.controlplane.apply(item)
        return self.controlplane.get("agent", name, "-n", self.namespace)["metadata"]["uid"]

    async def pod(self, name: str = "dev-1") -> Pod:
        """A Ready pod of the agent, whose daemon is here."""
        uid = await self.agent()
        pod = Pod(self, f"127.0.0.{next(self._numbers)}", name, self.namespace)
        await pod.listen()
        self.pods.append(pod)
        item = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": {"app.kubernetes.io/managed-by": "rynxs"},
                "ownerReferences": [
                    {
                        "apiVersion": "rynxs.dev/v1alpha1",
                        "kind": "Agent",
                        "name": "dev",
                        "uid": uid,
                        "controller": True,
                    }
                ],
            },
            "spec": {"containers": [{"name": "computer", "image": "i"}]},
        }
        await self.admin.create(PODS, self.namespace, item)
        await self.report(name, podIP=pod.address, conditions=[{"type": "Ready", "status": "True"}])
        return pod

    async def report(self, name: str, **status) -> None:
        """Be the kubelet."""
        await self.admin.merge(PODS, self.namespace, name, {"status": {"phase": "Running", **status}}, "status")

    @property
    def store(self) -> BucketStore:
        keys = Credentials(self.server.access_key, self.server.secret_key)
        return BucketStore(self.url, endpoint=self.server.endpoint, credentials=keys)

    async def events(self):
        log = await Log.open(self.store)
        return [event async for event in log.read("shard-0") if event.type.startswith("action.")]

    async def verified(self):
        trust = Trust.load(self.folder / "trust" / "trust.json")
        return await verify(self.store, "shard-0", trust, ConfigMapAnchors(self.admin, SYSTEM))

    async def close(self) -> None:
        for process in self.processes:
            if process.process.poll() is None:
                process.process.kill()
            process.process.wait()
            process.errors.close()
        for pod in self.pods:
            pod.go.set()
            await pod.shut()


@pytest.fixture(scope="module")
def server():
    with s3.versitygw() as server:
        yield server


@pytest.fixture(scope="module")
def installed(controlplane):
    """Our kinds, and the chart's rights for the gateway; gives the gateway's token."""
    return chartrights.install(controlplane, SYSTEM, "gateway")


@pytest.fixture
async def world(controlplane, installed, server, tmp_path):
    namespace = f"t-gateway-{uuid.uuid4().hex[:6]}"
    controlplane.kubectl("create", "namespace", namespace)
    controlplane.apply(ROLES.format(namespace=namespace))
    controlplane.apply(POLICY.format(namespace=namespace))
    async with Client(KubeConfig.from_file(controlplane.kubeconfig).get()) as admin:
        await Installer(admin, SYSTEM, datetime.now(UTC), print).run(first=True)
        made = World(tmp_path, controlplane, server, admin, namespace, installed)
        for resource, name, folder in (
            (SECRETS, "rynxs-ca", "ca"),
            (SECRETS, "rynxs-gateway-tls", "tls"),
            (SECRETS, "rynxs-gateway-key", "key"),
            (CONFIG_MAPS, "rynxs-trust", "trust"),
        ):
            (tmp_path / folder).mkdir()
            for file, value in (await admin.get(resource, SYSTEM, name))["data"].items():
                data = base64.b64decode(value) if resource is SECRETS else value.encode()
                (tmp_path / folder / file).write_bytes(data)
        made.authority = Authority.load(tmp_path / "ca")
        yield made
        await made.close()
        for resource, name in (
            *((SECRETS, f"rynxs-{name}") for name in ("ca", "gateway-tls", "gateway-key", "operator-key")),
            *((CONFIG_MAPS, f"rynxs-{name}") for name in ("trust", "anchor-shard-0", "anchor-operator")),
        ):
            await admin.delete(resource, SYSTEM, name)
