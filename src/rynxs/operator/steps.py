"""Steps of a plan, carried out on the cluster. Each can be repeated: names are fixed, deletes name the uid they mean.

Secrets are created and deleted, never read: the operator has no right to look at those of an agent's namespace.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from rynxs.api.agent import Agent
from rynxs.computer.reach import Target
from rynxs.kube.client import Client
from rynxs.kube.resource import NETWORK_POLICIES, PODS, SECRETS, VOLUME_CLAIMS
from rynxs.operator import resources
from rynxs.operator.certificate import Authority, computer_host
from rynxs.operator.observation import Wanted
from rynxs.operator.plan import EndComputer, MakeNetwork, MakeWorkspace, StartComputer, Step, computer_name
from rynxs.operator.settings import ComputerSettings


class Steps:
    """Carries out steps with the rights of the client.

    `namespace` is the system namespace; `targets` gives what a computer must not reach.
    """

    def __init__(
        self,
        client: Client,
        authority: Authority,
        settings: ComputerSettings,
        namespace: str,
        targets: Callable[[], Awaitable[list[Target]]],
    ) -> None:
        self._client = client
        self._authority = authority
        self._settings = settings
        self._namespace = namespace
        self._targets = targets

    def wanted(self, agent: Agent) -> Wanted:
        """The digests of what the agent must have."""
        return resources.wanted(agent, self._settings, self._namespace)

    async def run(self, step: Step, agent: Agent, uid: str, now: datetime) -> None:
        """Carry out one step for the agent with that uid. Raises httpx2.HTTPError."""
        namespace = agent.metadata.namespace
        match step:
            case MakeWorkspace():
                await self._client.apply(VOLUME_CLAIMS, namespace, resources.volume_claim(agent, uid, step.digest))
            case MakeNetwork():
                policy = resources.network_policy(agent, uid, self._settings, self._namespace)
                await self._client.apply(NETWORK_POLICIES, namespace, policy)
            case StartComputer():
                await self._start(step, agent, uid, now)
            case EndComputer():
                await self._client.delete(SECRETS, namespace, step.name)  # it has read it, or never will
                await self._client.delete(PODS, namespace, step.name, step.uid)

    async def _start(self, step: StartComputer, agent: Agent, uid: str, now: datetime) -> None:
        namespace = agent.metadata.namespace
        if await self._client.get(PODS, namespace, step.name) is not None:
            return  # an earlier try made it; another certificate would not be the one that it has read
        targets = await self._targets()
        # That of the last computer, if it was somebody else who ended it, and that of a try that came to nothing.
        for number in (step.number - 1, step.number):
            await self._client.delete(SECRETS, namespace, computer_name(agent.metadata.name, uid, number))
        files = self._authority.sign(step.name, [computer_host(namespace, step.name)], now)
        await self._client.create(SECRETS, namespace, resources.certificate_secret(agent, uid, step.name, files))
        await self._client.create(PODS, namespace, resources.pod(agent, uid, step, self._settings, targets))
