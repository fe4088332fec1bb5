"""Who is asking on a cluster: its API server says whose a token is, and what they may do.

TokenReview (authentication.k8s.io/v1) and SubjectAccessReview (authorization.k8s.io/v1). Rights are given with Roles
on `agents` and `logs` of the group `rynxs.dev`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import Generic, TypeVar

import httpx2

from rynxs.action.request import Principal
from rynxs.gateway.identity import Identity, Verb
from rynxs.gateway.refusal import Forbidden, Unauthenticated, Unavailable
from rynxs.kube.client import Client, Object, Resource
from rynxs.kube.resource import ACCESS_REVIEWS, TOKEN_REVIEWS

GROUP = "rynxs.dev"

TOKEN_SECONDS = 5.0
"""How long a token that was good counts as good, without asking again."""

ACCESS_SECONDS = 10.0
"""How long a right that was there counts as there."""

MAX_REMEMBERED = 4096
"""Most tokens, and most rights, that are remembered."""

K = TypeVar("K")
V = TypeVar("V")


class ClusterIdentity(Identity):
    """Asks the API server, and fails closed: when it does not answer, nobody is let in.

    Good answers are remembered for TOKEN_SECONDS and ACCESS_SECONDS (a token by its SHA-256): so long may what was
    taken back still work. Refusals are never remembered.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._principals: _Remembered[bytes, Principal] = _Remembered(TOKEN_SECONDS)
        self._rights: _Remembered[tuple[object, ...], bool] = _Remembered(ACCESS_SECONDS)

    async def authenticate(self, token: str) -> Principal:
        """The user whose token it is, with its groups; uid and extra attributes are not kept."""
        digest = hashlib.sha256(token.encode()).digest()
        if (known := self._principals.get(digest)) is not None:
            return known
        status = await self._ask(TOKEN_REVIEWS, "TokenReview", {"token": token})
        user = status.get("user") or {}
        if not status.get("authenticated") or not user.get("username"):
            raise Unauthenticated("the cluster does not know this token: it may have expired")
        principal = Principal(name=user["username"], groups=user.get("groups") or [])
        self._principals.put(digest, principal)
        return principal

    async def authorize(self, principal: Principal, verb: Verb, namespace: str = "", agent: str = "") -> None:
        """`read-log` needs the right to `get` `logs`, all else its verb on `agents`, in the namespace or by name."""
        asked, resource = ("get", "logs") if verb == "read-log" else (verb, "agents")
        key = (principal.name, tuple(principal.groups), asked, resource, namespace, agent)
        if self._rights.get(key):
            return
        wanted = {"group": GROUP, "resource": resource, "verb": asked, "namespace": namespace, "name": agent}
        spec = {"user": principal.name, "groups": principal.groups, "resourceAttributes": wanted}
        status = await self._ask(ACCESS_REVIEWS, "SubjectAccessReview", spec)
        if not status.get("allowed") or status.get("denied"):
            what = f"{resource} {agent}".strip()
            where = f"in namespace {namespace}" if namespace else "in the whole cluster"
            raise Forbidden(
                f"{principal.name} may not {asked} {what} {where}: "
                f"that needs a role with the verb {asked} on {resource}.{GROUP}"
            )
        self._rights.put(key, value=True)

    async def _ask(self, resource: Resource, kind: str, spec: Object) -> Object:
        """The status of a new review. Raises Unavailable."""
        review = {"apiVersion": resource.group.removeprefix("apis/"), "kind": kind, "spec": spec}
        try:
            answer = await self._client.create(resource, "", review)
        except httpx2.HTTPError as error:
            said = str(error) or repr(error)
            raise Unavailable(f"the Kubernetes API can't say who may do what: {said}. Nothing was run.") from error
        status: Object = answer.get("status") or {}
        return status


class _Remembered(Generic[K, V]):
    """Answers with an age; the oldest go first when there are too many."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The answer, while it counts."""
        found = self._answers.get(key)
        if found is None or found[0] < asyncio.get_running_loop().time():
            return None
        return found[1]

    def put(self, key: K, value: V) -> None:
        """Remember it from now on."""
        self._answers.pop(key, None)
        self._answers[key] = (asyncio.get_running_loop().time() + self._seconds, value)
        if len(self._answers) > MAX_REMEMBERED:
            self._answers.popitem(last=False)
