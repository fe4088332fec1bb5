"""Anchors in ConfigMaps: what goes wrong. What every AnchorStore must do is in tests/contract."""

from __future__ import annotations

import httpx2
import pytest

from rynxs.cluster.anchors import ConfigMapAnchors
from rynxs.eventlog import AnchorBackward, Checkpoint, Signer
from rynxs.kube.client import ApiError
from rynxs.kube.resource import CONFIG_MAPS

SIGNER = Signer.generate("k")


def note(size):
    checkpoint = Checkpoint(
        log="l",
        stream="shard-0",
        size=size,
        root=bytes(32),
        last=None,
        epoch=1,
        incarnation=1,
        time="2026-11-23T12:00:00.000Z",
    )
    return checkpoint.sign(SIGNER)


@pytest.fixture
async def anchors(api):
    await api.create(CONFIG_MAPS, "sys", {"metadata": {"name": "rynxs-anchor-shard-0"}, "data": {}})
    return ConfigMapAnchors(api, "sys")


async def test_one_that_is_not_there_is_no_new_one(anchors) -> None:
    for call in (anchors.read("operator"), anchors.write("operator", note(1))):
        with pytest.raises(OSError, match=r"configmap sys/rynxs-anchor-operator does not exist.*backup"):
            await call


async def test_the_second_of_two_looks_again(api, anchors) -> None:
    other = ConfigMapAnchors(api, "sys")
    api.before["merge", "configmaps"] = lambda: other.write("shard-0", note(5))
    await anchors.write("shard-0", note(6))
    assert await anchors.read("shard-0") == note(6)
    api.before["merge", "configmaps"] = lambda: other.write("shard-0", note(9))
    with pytest.raises(AnchorBackward):
        await anchors.write("shard-0", note(7))
    assert await anchors.read("shard-0") == note(9)


@pytest.mark.parametrize(
    "error", [ApiError("GET", "/x", 503, "", "overloaded"), httpx2.ConnectError("connection refused")]
)
async def test_what_may_pass_is_an_oserror(api, anchors, error) -> None:
    api.refuse["get", "configmaps"] = error
    with pytest.raises(OSError, match=r"overloaded|connection refused"):
        await anchors.read("shard-0")
    with pytest.raises(OSError, match=r"overloaded|connection refused"):
        await anchors.write("shard-0", note(1))
    del api.refuse["get", "configmaps"]
    api.refuse["merge", "configmaps"] = error
    with pytest.raises(OSError, match=r"overloaded|connection refused"):
        await anchors.write("shard-0", note(1))
