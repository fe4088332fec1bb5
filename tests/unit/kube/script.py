"""An API server that answers what the test has written down, one answer a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
from lightkube import SingleConfig
from lightkube.config.models import Cluster, Context, User

from rynxs.kube.client import Resource

THINGS = Resource("apis/example.com/v1", "things")
CONFIG = SingleConfig("test", Context(cluster="test"), Cluster(server="http://server.test"), User())

Answer = Callable[[httpx2.Request], Awaitable[httpx2.Response]]


class Stream(httpx2.AsyncByteStream):
    """A body: bytes, pauses (seconds), and errors, which end it."""

    def __init__(self, *parts: bytes | float | Exception) -> None:
        self.parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
            elif isinstance(part, Exception):
                raise part
            else:
                await asyncio.sleep(part)


class Script:
    """The answers in their order; `requests` are those that came. A request waits until there is an answer."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.times: list[float] = []
        self.answers: list[Answer] = []
        self._more = asyncio.Event()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        while not self.answers:
            self._more.clear()
            await self._more.wait()
        return await self.answers.pop(0)(request)

    def queries(self) -> list[dict[str, str]]:
        return [dict(request.url.params) for request in self.requests]

    def raw(self, content: bytes | Stream, code: int = 200, after: float = 0.0) -> None:
        """Those bytes, after so many seconds."""

        async def answer(_: httpx2.Request) -> httpx2.Response:
            await asyncio.sleep(after)
            if isinstance(content, Stream):
                return httpx2.Response(code, stream=content)
            return httpx2.Response(code, content=content)

        self._will(answer)

    def _will(self, answer: Answer) -> None:
        self.answers.append(answer)
        self._more.set()

    def json(self, value: object, code: int = 200) -> None:
        self.raw(json.dumps(value).encode(), code)

    def refuse(self, code: int, reason: str, message: str = "no") -> None:
        self.json({"kind": "Status", "code": code, "reason": reason, "message": message}, code)

    def fail(self, error: Exception) -> None:
        async def answer(_: httpx2.Request) -> httpx2.Response:
            raise error

        self._will(answer)

    def page(self, *items: object, version: str, more: str = "") -> None:
        self.json({"items": items, "metadata": {"resourceVersion": version, "continue": more}})

    def watch(self, *parts: object) -> None:
        """A watch's events: dicts, and what Stream takes between them."""
        self.raw(Stream(*(json.dumps(part).encode() + b"\n" if isinstance(part, dict) else part for part in parts)))


def thing(name: str, version: str, *, uid: str = "", namespace: str = "n", **more: object) -> dict[str, object]:
    metadata = {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}", "resourceVersion": version}
    return {"metadata": {**metadata, **more}}


def event(type_: str, item: dict[str, object]) -> dict[str, object]:
    return {"type": type_, "object": item}
