"""What every AnchorStore must do, on each of them; the last one in a real API server."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import uuid

import pytest
from lightkube import KubeConfig

from rynxs.cluster.anchors import PREFIX, ConfigMapAnchors
from rynxs.eventlog import AnchorBackward, BadNote, Checkpoint, FileAnchors, MemoryAnchors, Signer
from rynxs.kube.client import Client
from rynxs.kube.resource import CONFIG_MAPS

SIGNER = Signer.generate("k")


@pytest.fixture(params=["memory", "file", "configmap"])
async def opened(request, tmp_path):
    """A function that opens the same anchors anew, as another process would."""
    if request.param == "memory":
        anchors = MemoryAnchors()
        yield lambda: anchors
    elif request.param == "file":
        yield lambda: FileAnchors(tmp_path / "state" / "anchors")
    else:
        controlplane = request.getfixturevalue("controlplane")
        namespace = f"anchors-{uuid.uuid4().hex[:6]}"
        with contextlib.suppress(subprocess.CalledProcessError):
            controlplane.kubectl("create", "namespace", namespace)
        async with Client(KubeConfig.from_file(controlplane.kubeconfig).get()) as client:
            for stream in ("shard-0", "shard-1"):
                name = {"name": PREFIX + stream}
                await client.create(CONFIG_MAPS, namespace, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name})
            yield lambda: ConfigMapAnchors(client, namespace)


def note(size, epoch=1, incarnation=1):
    return Checkpoint(
        log="test",
        stream="shard-0",
        size=size,
        root=bytes(32),
        last=None,
        epoch=epoch,
        incarnation=incarnation,
        time="2026-11-23T12:00:00.000Z",
    ).sign(SIGNER)


async def test_there_is_none_at_first(opened) -> None:
    assert await opened().read("shard-0") is None


async def test_moves_forward(opened) -> None:
    for step in (note(0, epoch=0), note(5), note(5), note(6, epoch=2), note(2, epoch=3, incarnation=2)):
        await opened().write("shard-0", step)
        assert await opened().read("shard-0") == step
    assert await opened().read("shard-1") is None


@pytest.mark.parametrize("step", [note(4, epoch=3), note(5, epoch=1), note(9, epoch=1), note(9, 9, incarnation=1)])
async def test_never_backward(opened, step) -> None:
    anchors = opened()
    await anchors.write("shard-0", note(5, epoch=2, incarnation=2))
    with pytest.raises(AnchorBackward, match="shard-0 is at size 5"):
        await anchors.write("shard-0", step)
    assert await anchors.read("shard-0") == note(5, epoch=2, incarnation=2)


async def test_a_smaller_size_is_backward_even_in_a_higher_epoch(opened) -> None:
    await opened().write("shard-0", note(5))
    with pytest.raises(AnchorBackward):
        await opened().write("shard-0", note(4, epoch=2))


async def test_takes_checkpoints_only(opened) -> None:
    with pytest.raises(BadNote):
        await opened().write("shard-0", b"anything")
    assert await opened().read("shard-0") is None


async def test_of_many_at_once_the_newest_stays(opened) -> None:
    """Whoever is behind is refused, in whatever order they come."""
    answers = await asyncio.gather(
        *(opened().write("shard-0", note(size)) for size in (3, 1, 9, 4, 9, 2)), return_exceptions=True
    )
    assert all(answer is None or isinstance(answer, AnchorBackward) for answer in answers)
    assert await opened().read("shard-0") == note(9)


async def test_many_writers_leave_the_newest(opened) -> None:
    results = await asyncio.gather(
        *(opened().write("shard-0", note(size)) for size in range(20)), return_exceptions=True
    )
    assert await opened().read("shard-0") == note(19)
    assert all(result is None or isinstance(result, AnchorBackward) for result in results)
