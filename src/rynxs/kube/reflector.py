"""Reflectors: a resource as it stands on the API server, kept here by list and watch.

KEP-956 (bookmarks) and the API concepts on efficient detection of changes. A watch ends after WATCH_SECONDS and is
taken up again: each start is a sign of life, which a silent open connection is not.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from typing import NoReturn

import httpx2

from rynxs.kube.client import ApiError, Client, Object, Resource

Key = tuple[str, str]
"""Namespace (empty for cluster-scoped resources) and name."""

WATCH_SECONDS = 15
"""How long the server holds a watch open."""

STEADY = 1.0
"""Seconds after which a watch counts as one that worked: sooner ones are waited for longer and longer."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Most seconds before the first, and before any, new try."""

_logger = logging.getLogger(__name__)


class Reflector:
    """One resource: `objects` by key. `changed` is called with a key after each change, also for one that is gone."""

    def __init__(
        self, client: Client, resource: Resource, *, labels: str = "", changed: Callable[[Key], None] | None = None
    ) -> None:
        """Of all namespaces; `labels` is a label selector."""
        self.objects: dict[Key, Object] = {}
        self.synced = asyncio.Event()
        self._client = client
        self._resource = resource
        self._labels = labels
        self._changed = changed
        self._version = ""
        self._seen = float("-inf")
        self._began = float("inf")

    @property
    def age(self) -> float:
        """Seconds since the server was last heard; infinite before the first list."""
        return self._time() - self._seen

    async def run(self) -> NoReturn:
        """List, then watch, for ever. Errors are logged, and answered by trying again."""
        pause = FIRST_PAUSE
        while True:
            self._began = float("inf")
            problem = await self._follow()
            steady = self._time() - self._began >= STEADY
            if steady:
                pause = FIRST_PAUSE
                if not problem:
                    continue
            _logger.warning("%s: %s", self._resource.plural, problem or "the watch ended at once")
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - not for secrecy
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _follow(self) -> str:
        """List if need be, and watch once; gives what went wrong."""
        try:
            if not self._version:
                await self._list()
            await self._watch()
        except ApiError as error:
            self._version = ""  # most often the server has lost the history behind it: 410 Gone
            return str(error)
        except httpx2.HTTPError as error:
            return str(error) or repr(error)  # nothing was lost: the watch goes on from the version that we have
        return ""

    async def _list(self) -> None:
        items, version = await self._client.snapshot(self._resource, labels=self._labels)
        before, self.objects = self.objects, {_key(item): item for item in items}
        self._version = version
        self._hear()
        self.synced.set()
        # What was deleted while we could not watch has no event: it shows by its absence.
        keys = before.keys() | self.objects.keys()
        self._tell(key for key in keys if _version(before.get(key)) != _version(self.objects.get(key)))

    async def _watch(self) -> None:
        async with self._client.watch(self._resource, self._version, WATCH_SECONDS, labels=self._labels) as events:
            self._hear()
            self._began = self._time()
            async for event in events:
                self._take(event["type"], event["object"])

    def _take(self, type_: str, item: Object) -> None:
        self._hear()
        self._version = item["metadata"]["resourceVersion"]
        if type_ == "BOOKMARK":
            return
        key = _key(item)
        if type_ == "DELETED":
            self.objects.pop(key, None)
        else:
            self.objects[key] = item
        self._tell([key])

    def _hear(self) -> None:
        self._seen = self._time()

    def _time(self) -> float:
        return asyncio.get_running_loop().time()

    def _tell(self, keys: Iterable[Key]) -> None:
        if self._changed:
            for key in keys:
                self._changed(key)


def _key(item: Object) -> Key:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _version(item: Object | None) -> tuple[str, str] | None:
    return (item["metadata"]["uid"], item["metadata"]["resourceVersion"]) if item else None
