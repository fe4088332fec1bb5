"""Anchors in ConfigMaps: outside the store, in the hands of the cluster's API server."""

from __future__ import annotations

import httpx2

from rynxs.eventlog.anchor import check_forward
from rynxs.kube.client import ApiError, Client, Object
from rynxs.kube.resource import CONFIG_MAPS

STREAMS = ("shard-0", "operator")
"""The streams of this version, each with an anchor."""

PREFIX = "rynxs-anchor-"
"""What the names of the ConfigMaps begin with; the stream follows."""


class ConfigMapAnchors:
    """An AnchorStore over the ConfigMaps `rynxs-anchor-<stream>` of a namespace, which `rynxs install` makes.

    Two that write at once are ordered by resourceVersion: the second looks again and may be refused.
    """

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def read(self, stream: str) -> bytes | None:
        """See AnchorStore. Also raises OSError where there is no ConfigMap."""
        return _note(await self._get(stream))

    async def write(self, stream: str, note: bytes) -> None:
        """See AnchorStore."""
        while True:
            found = await self._get(stream)
            check_forward(_note(found), note)
            metadata = {"resourceVersion": found["metadata"]["resourceVersion"]}
            patch: Object = {"metadata": metadata, "data": {"note": note.decode()}}
            try:
                await self._client.merge(CONFIG_MAPS, self._namespace, PREFIX + stream, patch)
            except ApiError as error:
                if error.code != httpx2.codes.CONFLICT:
                    raise OSError(str(error)) from error
            except httpx2.HTTPError as error:
                raise OSError(f"{self._where(stream)}: {str(error) or repr(error)}") from error
            else:
                return

    async def _get(self, stream: str) -> Object:
        try:
            found = await self._client.get(CONFIG_MAPS, self._namespace, PREFIX + stream)
        except httpx2.HTTPError as error:
            raise OSError(f"{self._where(stream)}: {str(error) or repr(error)}") from error
        if found is None:
            raise OSError(
                f"{self._where(stream)} does not exist: `rynxs install` makes it at the first installation. If the "
                "log is older than that, somebody deleted it: restore it from a backup"
            )
        return found

    def _where(self, stream: str) -> str:
        return f"configmap {self._namespace}/{PREFIX}{stream}"


def _note(found: Object) -> bytes | None:
    """The note; an empty one was never written."""
    text: str = (found.get("data") or {}).get("note", "")
    return text.encode() or None
