"""Who is asking: what the API server says, for a short while, and never anything else."""

from __future__ import annotations

import asyncio

import pytest
from unit.cluster.kubernetes import Kubernetes

from rynxs.action.request import Principal
from rynxs.cluster import identity as identity_module
from rynxs.cluster.identity import ACCESS_SECONDS, TOKEN_SECONDS, ClusterIdentity
from rynxs.gateway.refusal import Forbidden, Unauthenticated, Unavailable

pytestmark = pytest.mark.looptime
CI = Principal(name="system:serviceaccount:team-a:ci", groups=["system:serviceaccounts", "system:authenticated"])


@pytest.fixture
def kubernetes():
    made = Kubernetes()
    made.review = good
    return made


@pytest.fixture
async def identity(kubernetes):
    async with kubernetes.client() as client:
        yield ClusterIdentity(client)


def good(review):
    """Tokens are names, and everybody but eve may do everything."""
    spec = review["spec"]
    if review["kind"] == "TokenReview":
        if spec["token"] == "expired":
            return {"authenticated": False, "error": "token has expired"}
        return {
            "authenticated": True,
            "user": {"username": spec["token"], "uid": "1", "groups": ["g"], "extra": {"x": ["y"]}},
        }
    return {"allowed": spec["user"] != "eve"}


async def test_a_token_is_the_users(identity, kubernetes) -> None:
    assert await identity.authenticate("alice") == Principal(name="alice", groups=["g"])
    [review] = kubernetes.reviews
    assert (review["apiVersion"], review["kind"], review["spec"]) == (
        "authentication.k8s.io/v1",
        "TokenReview",
        {"token": "alice"},
    )
    assert kubernetes.requests[0].url.path == "/apis/authentication.k8s.io/v1/tokenreviews"


@pytest.mark.parametrize(
    "status",
    [
        {"authenticated": False},
        {},
        {"authenticated": True},
        {"authenticated": True, "user": {"username": ""}},
        {"authenticated": False, "user": {"username": "alice"}},
    ],
)
async def test_who_is_not_known(identity, kubernetes, status) -> None:
    kubernetes.review = lambda review: status
    for _ in range(2):
        with pytest.raises(Unauthenticated, match="the cluster does not know this token"):
            await identity.authenticate("x")
    assert len(kubernetes.reviews) == 2  # a token may become good


async def test_a_good_token_is_good_for_a_short_while(identity, kubernetes) -> None:
    await identity.authenticate("alice")
    await asyncio.sleep(TOKEN_SECONDS - 0.1)
    await identity.authenticate("alice")
    assert len(kubernetes.reviews) == 1
    kubernetes.review = lambda review: {"authenticated": False}
    await asyncio.sleep(0.2)
    with pytest.raises(Unauthenticated):
        await identity.authenticate("alice")


async def test_tokens_are_not_kept(identity) -> None:
    await identity.authenticate("alice-s-secret")
    assert b"secret" not in b"".join(identity._principals._answers)


@pytest.mark.parametrize(
    ("asked", "attributes"),
    [
        (("use", "team-a", "dev"), ("agents", "use", "team-a", "dev")),
        (("get", "team-a", "dev"), ("agents", "get", "team-a", "dev")),
        (("list", "team-a"), ("agents", "list", "team-a", "")),
        (("list",), ("agents", "list", "", "")),
        (("read-log",), ("logs", "get", "", "")),
    ],
)
async def test_what_is_asked_of_rights(identity, kubernetes, asked, attributes) -> None:
    await identity.authorize(CI, *asked)
    [review] = kubernetes.reviews
    assert (review["apiVersion"], review["kind"]) == ("authorization.k8s.io/v1", "SubjectAccessReview")
    assert (review["spec"]["user"], review["spec"]["groups"]) == (CI.name, CI.groups)
    resource, verb, namespace, name = attributes
    assert review["spec"]["resourceAttributes"] == {
        "group": "rynxs.dev",
        "resource": resource,
        "verb": verb,
        "namespace": namespace,
        "name": name,
    }


@pytest.mark.parametrize("status", [{"allowed": False}, {}, {"allowed": True, "denied": True}])
async def test_who_may_not(identity, kubernetes, status) -> None:
    kubernetes.review = lambda review: status
    for _ in range(2):
        with pytest.raises(Forbidden) as refused:
            await identity.authorize(CI, "use", "team-a", "dev")
    assert str(refused.value) == (
        "system:serviceaccount:team-a:ci may not use agents dev in namespace team-a: "
        "that needs a role with the verb use on agents.rynxs.dev"
    )
    with pytest.raises(Forbidden, match=r"may not get logs in the whole cluster: .* the verb get on logs\.rynxs\.dev"):
        await identity.authorize(CI, "read-log")
    assert len(kubernetes.reviews) == 3


async def test_a_right_counts_for_a_short_while_and_for_nothing_else(identity, kubernetes) -> None:
    await identity.authorize(CI, "use", "team-a", "dev")
    await identity.authorize(CI, "use", "team-a", "dev")
    assert len(kubernetes.reviews) == 1
    kubernetes.review = lambda review: {"allowed": False}
    others = [
        (CI, "use", "team-a", "web"),
        (CI, "use", "team-b", "dev"),
        (CI, "get", "team-a", "dev"),
        (CI, "list", "team-a"),
        (CI, "read-log"),
        (Principal(name="eve", groups=CI.groups), "use", "team-a", "dev"),
        (Principal(name=CI.name, groups=["other"]), "use", "team-a", "dev"),
    ]
    for other in others:
        with pytest.raises(Forbidden):
            await identity.authorize(*other)
    await identity.authorize(CI, "use", "team-a", "dev")
    await asyncio.sleep(ACCESS_SECONDS + 0.1)
    with pytest.raises(Forbidden):
        await identity.authorize(CI, "use", "team-a", "dev")


@pytest.mark.parametrize("trouble", ["down", "silent"])
async def test_nobody_is_let_in_when_the_api_does_not_answer(identity, kubernetes, trouble) -> None:
    await identity.authenticate("alice")
    setattr(kubernetes, trouble, True)
    assert (await identity.authenticate("alice")).name == "alice"
    with pytest.raises(Unavailable, match="can't say who may do what") as refused:
        await identity.authenticate("bob")
    assert "bob" not in str(refused.value)
    with pytest.raises(Unavailable, match="Nothing was run"):
        await identity.authorize(CI, "use", "team-a", "dev")
    await asyncio.sleep(TOKEN_SECONDS + 0.1)
    with pytest.raises(Unavailable):
        await identity.authenticate("alice")


async def test_what_is_remembered_is_bounded(identity, kubernetes, monkeypatch) -> None:
    monkeypatch.setattr(identity_module, "MAX_REMEMBERED", 2)
    for name in ("a", "b", "c"):
        await identity.authenticate(name)
    assert len(identity._principals._answers) == 2
    await identity.authenticate("c")
    assert len(kubernetes.reviews) == 3
    await identity.authenticate("a")
    assert len(kubernetes.reviews) == 4
