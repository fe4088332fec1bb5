"""The status of a policy is written when it is another."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from unit.cluster.kubernetes import Kubernetes
from unit.operator.test_policies import CLUSTER, NAMESPACES, OWN, namespace, policy

from rynxs.operator.policies import Policies
from rynxs.operator.review import Review

NOW = datetime(2026, 11, 23, 14, 2, 11, tzinfo=UTC)


class Patched:
    """A client that remembers what it was to write, and writes it."""

    def __init__(self, kubernetes) -> None:
        self.kubernetes = kubernetes
        self.patches = []

    async def merge(self, resource, namespace, name, patch, sub):
        self.patches.append((namespace, name, patch["metadata"]["uid"], sub))
        collection = OWN if namespace else CLUSTER
        item = self.kubernetes.objects[collection][(namespace, name)]
        self.kubernetes.put(collection, {**item, "status": patch["status"]})


@pytest.mark.looptime
async def test_it_is_written_once_for_each_change() -> None:
    kubernetes = Kubernetes()
    kubernetes.put(NAMESPACES, namespace("team-a"))
    kubernetes.put(OWN, policy("a"))
    kubernetes.put(CLUSTER, policy("b", namespace=""))
    client = Patched(kubernetes)
    async with kubernetes.client() as reading:
        policies = Policies(reading)
        review = Review(client, policies, lambda: NOW)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(policies.run())]
            await policies.synced()
            running.append(group.create_task(review.run()))
            await asyncio.sleep(5)
            assert sorted(client.patches) == [("", "b", "uid-b", "status"), ("team-a", "a", "uid-a", "status")]
            client.patches.clear()
            kubernetes.put(OWN, policy("a", when="tru"))
            await asyncio.sleep(5)
            assert client.patches == [("team-a", "a", "uid-a", "status")]
            status = kubernetes.objects[OWN][("team-a", "a")]["status"]
            assert status["conditions"][0]["status"] == "False"
            kubernetes.drop(OWN, "team-a", "a")
            await asyncio.sleep(5)
            assert len(client.patches) == 1
            for task in running:
                task.cancel()
