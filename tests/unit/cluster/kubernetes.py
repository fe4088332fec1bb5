"""A Kubernetes API server in memory, as far as gateways ask it: lists, watches, objects, and reviews."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
from lightkube import KubeConfig

from rynxs.kube.client import Client

Object = dict[str, Any]


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        self._lines = lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for line in self._lines:
            yield line


class Kubernetes(httpx2.AsyncBaseTransport):
    """Objects by the path of their collection. `refuse` breaks requests; `reviews` are those that were asked."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[tuple[str, str], Object]] = {}
        self.version = 1
        self.down = False
        self.silent = False
        self.reviews: list[Object] = []
        self.requests: list[httpx2.Request] = []
        self.review: Callable[[Object], Object] = lambda review: {}
        self._watchers: dict[str, list[asyncio.Queue[Object | None]]] = {}
        self._history: dict[str, list[tuple[int, Object]]] = {}

    def client(self) -> Client:
        """A client of it."""
        cluster = {"name": "c", "cluster": {"server": "http://kubernetes"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        user = {"name": "u", "user": {"token": "t"}}
        config = KubeConfig.from_dict(
            {"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "c"}
        ).get()
        client = Client(config)
        client.http = httpx2.AsyncClient(transport=self, base_url="http://kubernetes")
        return client

    def put(self, collection: str, item: Object) -> Object:
        """Create or change an object; it gets what the server gives."""
        self.version += 1
        metadata = item["metadata"]
        metadata.setdefault("uid", f"uid-{metadata['name']}")
        metadata.setdefault("creationTimestamp", "2026-11-23T14:00:00Z")
        metadata["resourceVersion"] = str(self.version)
        key = metadata.get("namespace", ""), metadata["name"]
        kept = self.objects.setdefault(collection, {})
        type_ = "MODIFIED" if key in kept else "ADDED"
        kept[key] = item
        self._tell(collection, {"type": type_, "object": item})
        return item

    def drop(self, collection: str, namespace: str, name: str) -> None:
        """Delete an object."""
        self.version += 1
        item = self.objects[collection].pop((namespace, name))
        item["metadata"]["resourceVersion"] = str(self.version)
        self._tell(collection, {"type": "DELETED", "object": item})

    def hang_up(self) -> None:
        """End all watches."""
        for queues in self._watchers.values():
            for queue in queues:
                queue.put_nowait(None)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if self.silent:
            raise httpx2.ReadTimeout("no answer", request=request)
        if self.down:
            raise httpx2.ConnectError("connection refused", request=request)
        path, query = request.url.path.strip("/"), dict(request.url.params)
        if request.method == "POST":
            review = json.loads(await request.aread())
            self.reviews.append(review)
            return httpx2.Response(201, json=review | {"status": self.review(review)})
        if query.get("watch"):
            return httpx2.Response(200, stream=_Stream(self._watch(path, int(query["resourceVersion"]))))
        group, _, rest = path.partition("/namespaces/")
        if rest.count("/") == 2:
            namespace, plural, name = rest.split("/")
            found = self.objects.get(f"{group}/{plural}", {}).get((namespace, name))
            if found is None:
                return httpx2.Response(404, json={"message": "not found", "reason": "NotFound"})
            return httpx2.Response(200, json=found)
        items = list(self.objects.get(path, {}).values())
        return httpx2.Response(200, json={"items": items, "metadata": {"resourceVersion": str(self.version)}})

    async def _watch(self, path: str, version: int) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[Object | None] = asyncio.Queue()
        for since, event in self._history.get(path, ()):
            if since > version:
                queue.put_nowait(event)
        self._watchers.setdefault(path, []).append(queue)
        while (event := await queue.get()) is not None:
            yield json.dumps(event).encode() + b"\n"

    def _tell(self, collection: str, event: Object) -> None:
        event = json.loads(json.dumps(event))
        self._history.setdefault(collection, []).append((self.version, event))
        for queue in self._watchers.get(collection, ()):
            queue.put_nowait(event)
