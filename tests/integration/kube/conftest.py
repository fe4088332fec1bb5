"""A client of a real API server, and a namespace that no other test uses."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from lightkube import KubeConfig

from rynxs.kube.client import Client
from rynxs.kube.resource import NAMESPACES


@pytest.fixture
async def client(controlplane) -> AsyncIterator[Client]:
    async with Client(KubeConfig.from_file(controlplane.kubeconfig).get(), manager="rynxs-test") as made:
        yield made


@pytest.fixture
async def namespace(client) -> str:
    name = f"kube-{uuid.uuid4().hex[:8]}"
    await client.create(NAMESPACES, "", {"metadata": {"name": name}})
    return name
