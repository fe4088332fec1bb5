"""The routes that only local mode has: apply and delete. On a cluster the Kubernetes API does this."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rynxs.action.record import INLINE_ARGS, abridged
from rynxs.api.agent import Agent, local_notes
from rynxs.api.manifest import Item, ManifestErrors, parse
from rynxs.api.summary import hash_of, name_of, note_of
from rynxs.eventlog import Draft
from rynxs.gateway.http import Json, body_of
from rynxs.gateway.identity import Identity
from rynxs.gateway.pipeline import Pipeline
from rynxs.gateway.refusal import Invalid, Unavailable
from rynxs.gateway.shard import Shard
from rynxs.local.computers import LocalComputers
from rynxs.local.registry import LocalRegistry
from rynxs.policy.engine import check


class InvalidManifests(Invalid):
    """Manifests with errors, each as a line that names file, document, path and reason."""

    def __init__(self, errors: ManifestErrors) -> None:
        super().__init__(str(errors))
        self._errors = [str(error) for error in errors.errors]

    def problem(self) -> dict[str, Any]:
        """Also lists the errors."""
        return super().problem() | {"errors": self._errors}


class Manifests:
    """Applies and deletes objects: checked as a whole, recorded, then done."""

    def __init__(
        self,
        registry: LocalRegistry,
        identity: Identity,
        shard: Shard,
        pipeline: Pipeline,
        computers: LocalComputers,
    ) -> None:
        self._registry = registry
        self._identity = identity
        self._shard = shard
        self._pipeline = pipeline
        self._computers = computers
        self._told: set[tuple[str, str]] = set()
        self._turn = asyncio.Lock()
        self.routes = [
            Route("/v1/manifests", self._apply, methods=["POST"]),
            Route("/v1/namespaces/{namespace}/agents/{name}", self._delete_agent, methods=["DELETE"]),
            Route("/v1/namespaces/{namespace}/policies/{name}", self._delete_policy, methods=["DELETE"]),
            Route("/v1/policies/{name}", self._delete_policy, methods=["DELETE"]),
        ]

    async def _apply(self, request: Request) -> Response:
        source = request.query_params.get("source", "the request's body")
        text = await body_of(request)
        try:
            manifests = parse(text, source, check)
        except ManifestErrors as errors:
            raise InvalidManifests(errors) from errors
        for namespace in sorted({manifest.metadata.namespace for manifest in manifests}):
            await self._identity.authorize(request.state.principal, "apply", namespace)
        async with self._one_change():
            changes = self._registry.plan(manifests)
            changed = [change for change in changes if change.result != "unchanged"]
            for change in changed:
                await self._record(request, change.result, change.object)
            self._registry.commit(changed)
            for change in changed:
                if isinstance(change.object, Agent) and change.result == "configured":
                    await self._restart(change.object)
        items = [
            {
                "object": name_of(change.object),
                "namespace": change.object.metadata.namespace,
                "result": change.result,
                "note": note_of(change.object),
                "warnings": self._warnings(change.object),
            }
            for change in changes
        ]
        return Json({"items": items})

    async def _delete_agent(self, request: Request) -> Response:
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        await self._identity.authorize(request.state.principal, "delete", namespace, name)
        async with self._one_change():
            registered = self._registry.agent(namespace, name)
            await self._record(request, "deleted", registered.agent)
            self._registry.delete(registered.agent)
            await self._pipeline.drain(registered.uid)
            await self._computers.remove(registered)
            self._registry.forget(registered.uid)
        return Json({"object": f"agent/{name}", "namespace": namespace, "result": "deleted"})

    async def _delete_policy(self, request: Request) -> Response:
        namespace, name = request.path_params.get("namespace", ""), request.path_params["name"]
        await self._identity.authorize(request.state.principal, "apply", namespace)
        async with self._one_change():
            policy = self._registry.policy(namespace, name)
            await self._record(request, "deleted", policy)
            self._registry.delete(policy)
        return Json({"object": name_of(policy), "namespace": namespace, "result": "deleted"})

    @contextlib.asynccontextmanager
    async def _one_change(self) -> AsyncIterator[None]:
        """One after the other: the log has them in the order in which they came to count."""
        async with self._turn:
            try:
                yield
            except OSError as error:
                raise Unavailable(f"the change is recorded, and could not be carried out whole: {error}") from error

    async def _restart(self, agent: Agent) -> None:
        """A changed agent's computer ends; its next action starts one as it is described now."""
        registered = self._registry.agent(agent.metadata.namespace, agent.metadata.name)
        await self._pipeline.drain(registered.uid)
        await self._computers.stop(registered.uid)

    async def _record(self, request: Request, operation: str, item: Item) -> None:
        data: dict[str, Any] = {
            "operation": operation,
            "hash": hash_of(item),
            "manifest": abridged(msgspec.to_builtins(item), INLINE_ARGS),
        }
        type_ = "agent.applied" if isinstance(item, Agent) else "policy.loaded"
        namespace, name = item.metadata.namespace, item.metadata.name
        subject = f"{namespace}/{name}" if namespace else f"cluster:{name}"
        draft = Draft(type=type_, subject=subject, data=data, actor=request.state.principal.name)
        await self._shard.record_soon(draft)

    def _warnings(self, item: Item) -> list[str]:
        """What means nothing here, said once for each agent and field."""
        notes = local_notes(item) if isinstance(item, Agent) else []
        fresh = [note for note in notes if (name_of(item), note) not in self._told]
        self._told |= {(name_of(item), note) for note in fresh}
        return fresh
