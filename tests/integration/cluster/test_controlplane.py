"""The API server alone."""

from __future__ import annotations

import asyncio

from lightkube import AsyncClient, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap


def test_objects_can_be_written_and_read(controlplane) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "objects"}}
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "objects"}}
    controlplane.apply([namespace, {**settings, "data": {"key": "value"}}])
    assert controlplane.get("configmap", "a", "--namespace=objects")["data"] == {"key": "value"}


def test_pods_are_admitted_without_a_controller(controlplane) -> None:
    container = {"name": "main", "image": "registry.test/none"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}
    controlplane.apply([pod])
    assert controlplane.get("pod", "p")["status"]["phase"] == "Pending"


def test_its_kubeconfig_serves_lightkube(controlplane) -> None:
    async def write() -> str:
        client = AsyncClient(KubeConfig.from_file(controlplane.kubeconfig))
        try:
            made = await client.create(ConfigMap(metadata=ObjectMeta(generateName="b-", namespace="default")))
            return made.metadata.name
        finally:
            await client.close()

    assert asyncio.run(write()).startswith("b-")


def test_it_goes_on_where_it_was_killed(controlplane) -> None:
    controlplane.kubectl("create", "configmap", "kept")
    controlplane.kill("apiserver")
    controlplane.start("apiserver")
    assert controlplane.get("configmap", "kept")["metadata"]["name"] == "kept"
