"""Reviews: what each policy's own status says, for whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from rynxs.api.resource import CLUSTER_POLICIES, POLICIES
from rynxs.kube.client import Client
from rynxs.kube.controller import Controller
from rynxs.kube.reflector import Key
from rynxs.operator.policies import Policies
from rynxs.operator.status import policy_status, show, time_of


class Review:
    """Keeps the status of every policy as the policy is."""

    def __init__(self, client: Client, policies: Policies, now: Callable[[], datetime]) -> None:
        self._client = client
        self._policies = policies
        self._now = now
        self._controller = Controller(self._reconcile)
        policies.review(self._controller.queue.add)

    async def run(self) -> None:
        """Work for ever, once the policies were read."""
        await self._controller.run(workers=1)

    async def _reconcile(self, key: Key) -> None:
        found = self._policies.find(key)
        if found is not None:
            item, compiled = found
            resource = POLICIES if key[0] else CLUSTER_POLICIES
            await show(self._client, resource, item, policy_status(item, compiled, time_of(self._now())))
