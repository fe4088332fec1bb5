"""A Kubernetes API in memory, as far as our client uses it."""

from __future__ import annotations

import copy
import itertools

import msgspec
import pytest

from rynxs.kube.client import ApiError


class FakeApi:
    """Stands in for a Client: objects by kind, namespace and name, and the `calls` that changed any.

    `refuse` maps a call such as ("create", "pods") to the error that it ends with.
    """

    def __init__(self):
        self.objects = {}
        self.calls = []
        self.refuse = {}
        self.before = {}
        self._versions = itertools.count(1)

    async def get(self, resource, namespace, name):
        await self._called("get", resource)
        return copy.deepcopy(self.objects.get((resource.plural, namespace, name)))

    async def list(self, resource, namespace="", labels=""):
        await self._called("list", resource)
        wanted = dict(part.split("=", 1) for part in labels.split(",")) if labels else {}
        return [
            copy.deepcopy(item)
            for (plural, where, _), item in self.objects.items()
            if plural == resource.plural
            and namespace in ("", where)
            and wanted.items() <= item["metadata"].get("labels", {}).items()
        ]

    async def create(self, resource, namespace, item, sub=""):
        await self._called("create", resource, item["metadata"]["name"])
        key = (resource.plural, namespace, item["metadata"]["name"])
        if key in self.objects:
            raise ApiError("POST", resource.path(namespace), 409, "AlreadyExists", "exists")
        return self._store(key, item)

    async def apply(self, resource, namespace, item, **options):
        dry = options.get("dryRun") == "All"
        await self._called("try" if dry else "apply", resource, item["metadata"]["name"])
        if dry:
            return item
        return self._store((resource.plural, namespace, item["metadata"]["name"]), item)

    async def merge(self, resource, namespace, name, patch, sub=""):
        await self._called("merge", resource, name)
        key = (resource.plural, namespace, name)
        if key not in self.objects:
            raise ApiError("PATCH", resource.path(namespace, name), 404, "NotFound", "not found")
        item = self.objects[key]
        wanted = patch.get("metadata", {})
        for field in ("resourceVersion", "uid"):
            if wanted.get(field, item["metadata"][field]) != item["metadata"][field]:
                raise ApiError("PATCH", resource.path(namespace, name), 409, "Conflict", "it has changed")
        merged = {**item, **({"status": patch["status"]} if sub == "status" else {})}
        if not sub:
            merged["data"] = {**item.get("data", {}), **patch.get("data", {})}
        return self._store(key, merged)

    async def delete(self, resource, namespace, name, uid=""):
        await self._called("delete", resource, name)
        key = (resource.plural, namespace, name)
        if key in self.objects and uid in ("", self.objects[key]["metadata"]["uid"]):
            del self.objects[key]

    async def _called(self, verb, resource, name=""):
        if name:
            self.calls.append((verb, resource.plural, name))
        if hook := self.before.pop((verb, resource.plural), None):
            await hook()
        if error := self.refuse.get((verb, resource.plural)):
            raise error

    def _store(self, key, item):
        item = msgspec.json.decode(msgspec.json.encode(item))
        version = str(next(self._versions))
        old = self.objects.get(key, {"metadata": {"uid": f"uid-{version}", "generation": 1}})
        item["metadata"] = {"namespace": key[1], **old["metadata"], **item["metadata"], "resourceVersion": version}
        self.objects[key] = item
        return copy.deepcopy(item)


@pytest.fixture
def api():
    return FakeApi()
