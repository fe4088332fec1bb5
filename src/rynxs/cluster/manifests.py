"""Agents and policies of a cluster: applied, listed and deleted by way of its API, with the caller's rights."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx2
import msgspec
from msgspec import Struct

from rynxs.api.manifest import Item
from rynxs.api.resource import AGENTS, CLUSTER_POLICIES, POLICIES
from rynxs.api.summary import name_of, note_of
from rynxs.kube.client import ApiError, Client, Object, Resource

MANAGER = "rynxs-cli"
"""Who owns the fields that `rynxs apply` sets."""

RESOURCES: dict[str, Resource] = {"Agent": AGENTS, "AgentPolicy": POLICIES, "ClusterAgentPolicy": CLUSTER_POLICIES}


class Applied(Struct, frozen=True, kw_only=True):
    """What became of one object: `result` is created, configured or unchanged."""

    object: str
    namespace: str
    result: str
    note: str


class NotApplied(Exception):
    """The API server refused an object; the message says which, and what had been applied before it."""


async def apply(client: Client, items: Sequence[Item]) -> list[Applied]:
    """Apply objects in their order, once the API server has accepted all of them in a dry run.

    Server-side apply with strict validation. Raises NotApplied, and httpx2.HTTPError when there is no answer.
    """
    before = await asyncio.gather(*(_look(client, item) for item in items))
    for item in items:
        await _send(client, item, [], dryRun="All")
    done: list[Applied] = []
    for item, version in zip(items, before, strict=True):
        now = (await _send(client, item, done))["metadata"]["resourceVersion"]
        result = "created" if version is None else "unchanged" if version == now else "configured"
        done.append(Applied(object=name_of(item), namespace=item.metadata.namespace, result=result, note=note_of(item)))
    return done


async def agents(client: Client, namespace: str) -> list[Object]:
    """The Agents of a namespace, or all, sorted. Raises httpx2.HTTPError."""
    found = await client.list(AGENTS, namespace)
    return sorted(found, key=lambda item: (item["metadata"]["namespace"], item["metadata"]["name"]))


async def delete(client: Client, kind: str, namespace: str, name: str) -> bool:
    """Delete an object; whether there was one. Raises httpx2.HTTPError."""
    resource = RESOURCES[kind]
    found = await client.get(resource, namespace, name)
    if found is None:
        return False
    await client.delete(resource, namespace, name, found["metadata"]["uid"])
    return True


async def _look(client: Client, item: Item) -> str | None:
    """The version of the object that is there."""
    found = await client.get(RESOURCES[item.kind], item.metadata.namespace, item.metadata.name)
    return None if found is None else str(found["metadata"]["resourceVersion"])


async def _send(client: Client, item: Item, done: Sequence[Applied], **options: str) -> Object:
    try:
        return await client.apply(
            RESOURCES[item.kind], item.metadata.namespace, _body(item), fieldValidation="Strict", **options
        )
    except ApiError as error:
        hint = ""
        if error.code == httpx2.codes.NOT_FOUND and "could not find the requested resource" in error.message:
            hint = ". Is Rynxs installed in this cluster?"
        if done:
            hint += f". Applied before it: {', '.join(each.object for each in done)}"
        elif options:
            hint += ". Nothing was applied"
        raise NotApplied(f"{name_of(item)}: {error.message}{hint}") from error


def _body(item: Item) -> Object:
    """The object as it was written: only what it says is ours afterwards."""
    body: Object = msgspec.to_builtins(item)
    body["metadata"] = {key: value for key, value in body["metadata"].items() if value}
    return body
