"""Agents and policies of local mode: applied manifests, kept in one file so that a change is all or nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from rynxs.api.agent import Agent
from rynxs.api.manifest import Item
from rynxs.api.policy import AgentPolicy, ClusterAgentPolicy, Policy
from rynxs.eventlog.file import replace as write
from rynxs.gateway.refusal import NotFound
from rynxs.gateway.registry import Registered, Registry
from rynxs.policy.engine import Engine


class _StoredAgent(Struct, frozen=True):
    uid: str
    created: str
    agent: Agent


class _Objects(Struct, frozen=True):
    agents: list[_StoredAgent] = []
    policies: list[AgentPolicy] = []
    leaving: list[_StoredAgent] = []
    cluster_policies: list[ClusterAgentPolicy] = []

    def all_policies(self) -> list[Policy]:
        return [*self.cluster_policies, *self.policies]

    def with_policies(self, policies: Iterable[Policy]) -> _Objects:
        kept = list(policies)
        return replace(
            self,
            policies=[policy for policy in kept if isinstance(policy, AgentPolicy)],
            cluster_policies=[policy for policy in kept if isinstance(policy, ClusterAgentPolicy)],
        )


class Change(Struct, frozen=True):
    """What applying one manifest does: `result` is created, configured or unchanged."""

    object: Item
    result: str


class LocalRegistry(Registry):
    """The objects in memory, and their file."""

    def __init__(self, file: Path) -> None:
        """Read the file. Raises OSError, and ValueError naming the file when it is not ours."""
        self._file = file
        try:
            self._objects = msgspec.json.decode(file.read_bytes(), type=_Objects)
        except FileNotFoundError:
            self._objects = _Objects()
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{file} can't be read ({error}): restore it from a backup, or delete it and apply again"
            ) from error
        self._load()

    def agent(self, namespace: str, name: str) -> Registered:
        """The agent of that name. Raises NotFound."""
        try:
            return self._agents[(namespace, name)]
        except KeyError:
            raise NotFound(f"there is no agent {name} in namespace {namespace}: rynxs get agents") from None

    def agents(self) -> Sequence[Registered]:
        """Every agent, sorted by namespace and name."""
        return [self._agents[key] for key in sorted(self._agents)]

    def engine(self) -> Engine:
        """The compiled policies; never out of date, since this process is their only source."""
        return self._engine

    def policy(self, namespace: str, name: str) -> Policy:
        """The policy of that name; one of the cluster is in namespace "". Raises NotFound."""
        for policy in self._objects.all_policies():
            if (policy.metadata.namespace, policy.metadata.name) == (namespace, name):
                return policy
        where = f"policy {name} in namespace {namespace}" if namespace else f"cluster policy {name}"
        raise NotFound(f"there is no {where}")

    def plan(self, manifests: Sequence[Item]) -> list[Change]:
        """What applying the manifests would change."""
        present: dict[_Key, Item] = {}
        for stored in self._objects.agents:
            present[_key(stored.agent)] = stored.agent
        for policy in self._objects.all_policies():
            present[_key(policy)] = policy
        changes = []
        for manifest in manifests:
            before = present.get(_key(manifest))
            result = "created" if before is None else "unchanged" if before == manifest else "configured"
            changes.append(Change(manifest, result))
        return changes

    def commit(self, changes: Sequence[Change]) -> None:
        """Carry out a plan, durably and all at once. Raises OSError; then nothing has changed."""
        agents = {_key(stored.agent): stored for stored in self._objects.agents}
        policies = {_key(policy): policy for policy in self._objects.all_policies()}
        for change in changes:
            item, key = change.object, _key(change.object)
            if not isinstance(item, Agent):
                policies[key] = item
            elif key in agents:
                agents[key] = replace(agents[key], agent=item)
            else:
                created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
                agents[key] = _StoredAgent(str(uuid.uuid4()), created, item)
        self._save(replace(self._objects, agents=list(agents.values())).with_policies(policies.values()))

    def delete(self, item: Item) -> None:
        """Delete an object, durably; an agent is `leaving` until it is forgotten. Raises OSError, changing nothing."""
        key = _key(item)
        going = [stored for stored in self._objects.agents if _key(stored.agent) == key]
        kept = replace(
            self._objects,
            agents=[stored for stored in self._objects.agents if _key(stored.agent) != key],
            leaving=self._objects.leaving + going,
        )
        self._save(kept.with_policies(policy for policy in kept.all_policies() if _key(policy) != key))

    def leaving(self) -> list[Registered]:
        """Deleted agents that may still own something, as a crash leaves them."""
        return [_registered(stored) for stored in self._objects.leaving]

    def forget(self, uid: str) -> None:
        """A deleted agent owns nothing any more. Raises OSError; then nothing has changed."""
        self._save(replace(self._objects, leaving=[s for s in self._objects.leaving if s.uid != uid]))

    def _save(self, objects: _Objects) -> None:
        write(self._file, msgspec.json.format(msgspec.json.encode(objects), indent=2))
        self._objects = objects
        self._load()

    def _load(self) -> None:
        registered = [_registered(stored) for stored in self._objects.agents]
        self._agents = {(r.ref.namespace, r.ref.name): r for r in registered}
        self._engine = Engine(self._objects.all_policies())


_Key = tuple[str, str, str]


def _key(item: Item) -> _Key:
    return (type(item).__name__, item.metadata.namespace, item.metadata.name)


def _registered(stored: _StoredAgent) -> Registered:
    return Registered(uid=stored.uid, created=stored.created, agent=stored.agent)
