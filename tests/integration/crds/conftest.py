"""Our definitions on a real API server, asked as kubectl asks: with strict validation."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
import yaml
from lightkube import KubeConfig

from rynxs.kube.client import Client

CRDS = Path(__file__).parents[3] / "charts/rynxs/files/crds"
PATHS = {
    "Agent": "namespaces/default/agents",
    "AgentPolicy": "namespaces/default/agentpolicies",
    "ClusterAgentPolicy": "clusteragentpolicies",
}
STRICT = {"fieldValidation": "Strict"}


class Server:
    """Answers as JSON; a refusal is the server's message."""

    def __init__(self, client: Client, controlplane) -> None:
        self.client = client
        self.http = client.http
        self.controlplane = controlplane

    async def create(self, text: str, *, keep: bool = False, **query: str):
        """The object as the server would keep it, or its message."""
        item = yaml.safe_load(text)
        item["metadata"].pop("namespace", None)
        query = {**STRICT, **query} if keep else {**STRICT, "dryRun": "All", **query}
        path = f"/apis/rynxs.dev/v1alpha1/{PATHS[item['kind']]}"
        return said(await self.http.post(path, json=item, params=query))

    async def patch(self, kind: str, name: str, patch, sub: str = ""):
        path = f"/apis/rynxs.dev/v1alpha1/{PATHS[kind]}/{name}{sub}"
        headers = {"Content-Type": "application/merge-patch+json"}
        return said(await self.http.patch(path, json=patch, headers=headers, params=STRICT))


def said(response: httpx2.Response):
    return response.json() if response.is_success else response.json()["message"]


@pytest.fixture(scope="module")
def definitions(controlplane):
    files = [f"--filename={path}" for path in sorted(CRDS.glob("*.yaml"))]
    controlplane.kubectl("apply", "--server-side", *files)
    controlplane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *files)
    return controlplane


@pytest.fixture
async def server(definitions):
    async with Client(KubeConfig.from_file(definitions.kubeconfig).get()) as client:
        yield Server(client, definitions)
