"""The reflector against a real API server, through a connection that the test can break."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import pytest

from rynxs.kube.client import Client
from rynxs.kube.reflector import Reflector
from rynxs.kube.resource import CONFIG_MAPS


def config_map(name, **data):
    labels = {"test": "reflector"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": data}


class Watched:
    def __init__(self, client, namespace) -> None:
        self.namespace = namespace
        self.news = asyncio.Event()
        self.reflector = Reflector(client, CONFIG_MAPS, labels="test=reflector", changed=lambda _: self.news.set())

    @property
    def data(self):
        objects = self.reflector.objects.items()
        return {name: item.get("data", {}) for (namespace, name), item in objects if namespace == self.namespace}

    async def until(self, data) -> None:
        async with asyncio.timeout(30):
            while self.data != data:
                self.news.clear()
                await self.news.wait()


class Wire:
    """The connection to a port, which can be cut and held; TLS passes through."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections: set[asyncio.Task[None]] = set()
        self.whole = asyncio.Event()
        self.whole.set()

    def cut(self) -> None:
        """Break what is connected; who connects now gets nothing until `whole` is set."""
        self.whole.clear()
        for task in set(self.connections):
            task.cancel()

    async def serve(self, reader, writer) -> None:
        task = asyncio.current_task()
        self.connections.add(task)
        writers = [writer]
        try:
            await self.whole.wait()
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.port)
            writers.append(there_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self.pass_on(reader, there_writer))
                group.create_task(self.pass_on(there_reader, writer))
        except (asyncio.CancelledError, OSError, ExceptionGroup):
            pass
        finally:
            for each in writers:
                each.transport.abort()
                with contextlib.suppress(OSError):
                    await each.wait_closed()
            self.connections.discard(task)

    async def pass_on(self, reader, writer) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@pytest.fixture
async def wire(controlplane):
    made = Wire(controlplane.control.port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()
    made.cut()
    await asyncio.gather(*made.connections)


@pytest.fixture
async def watched(client, namespace, wire):
    await client.create(CONFIG_MAPS, namespace, config_map("there", k="1"))
    cluster = msgspec.structs.replace(client.config.cluster, server=wire.address)
    async with Client(client.config._replace(cluster=cluster)) as broken, watching(broken, namespace) as made:
        yield made


@contextlib.asynccontextmanager
async def watching(client, namespace):
    made = Watched(client, namespace)
    task = asyncio.create_task(made.reflector.run())
    await made.reflector.synced.wait()
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_it_has_what_the_server_has(client, namespace, watched) -> None:
    assert watched.data == {"there": {"k": "1"}}
    await client.create(CONFIG_MAPS, namespace, config_map("new"))
    await client.merge(CONFIG_MAPS, namespace, "there", {"data": {"k": "2"}})
    await watched.until({"there": {"k": "2"}, "new": {}})
    await client.delete(CONFIG_MAPS, namespace, "new")
    await watched.until({"there": {"k": "2"}})
    unlabelled = {"metadata": {"labels": {"test": None}}}
    await client.merge(CONFIG_MAPS, namespace, "there", unlabelled)
    await watched.until({})
    assert watched.reflector.age < 30


async def test_lines_end_where_the_server_ends_them(client, namespace, watched) -> None:
    text = "one\x85two\u2028three\x0bfour"
    await client.merge(CONFIG_MAPS, namespace, "there", {"data": {"k": text}})
    await client.create(CONFIG_MAPS, namespace, config_map("after"))
    await watched.until({"there": {"k": text}, "after": {}})
    assert watched.reflector._version


async def test_a_connection_that_is_cut_loses_nothing(client, namespace, watched, wire) -> None:
    listed = watched.reflector._version
    wire.cut()
    await client.merge(CONFIG_MAPS, namespace, "there", {"data": {"k": "2"}})
    await client.create(CONFIG_MAPS, namespace, config_map("short"))
    await client.delete(CONFIG_MAPS, namespace, "short")
    wire.whole.set()
    await watched.until({"there": {"k": "2"}})
    assert int(watched.reflector._version) > int(listed)


async def test_history_that_the_server_has_lost(controlplane, client, namespace, watched, wire, caplog) -> None:
    """A server that has just started knows nothing of what was before."""
    await client.create(CONFIG_MAPS, namespace, config_map("deleted"))
    await watched.until({"there": {"k": "1"}, "deleted": {}})
    wire.cut()
    await client.delete(CONFIG_MAPS, namespace, "deleted")
    for value in "234":
        await client.merge(CONFIG_MAPS, namespace, "there", {"data": {"k": value}})
    controlplane.kill("apiserver")
    controlplane.start("apiserver")  # in this thread: it ends with the one that started it
    wire.whole.set()
    await watched.until({"there": {"k": "4"}})
    assert "too old resource version" in caplog.text
