"""The gateway of a cluster: everything between its callers, the API server, the log, and the daemons in the pods."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import uuid
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import uvloop

from rynxs import __version__
from rynxs.action.lifecycle import Violation
from rynxs.cluster.anchors import ConfigMapAnchors
from rynxs.cluster.computers import ClusterComputers
from rynxs.cluster.health import Health
from rynxs.cluster.identity import ClusterIdentity
from rynxs.cluster.registry import ClusterRegistry
from rynxs.cluster.store import open_log
from rynxs.computer.protocol import GATEWAY
from rynxs.eventlog import AnchorStore, Log, LogError, Signer, StoreError, Trust
from rynxs.gateway.app import create_app
from rynxs.gateway.pipeline import Pipeline
from rynxs.gateway.recovery import recover
from rynxs.gateway.server import CannotServe, Server
from rynxs.gateway.shard import Shard
from rynxs.kube.client import Client, ConfigError
from rynxs.operator.certificate import gateway_hosts
from rynxs.operator.config import BadConfig, Config
from rynxs.operator.walls import HEALTH

STREAM = "shard-0"

_PAUSE = 5.0
_logger = logging.getLogger(__name__)


class Places(NamedTuple):
    """Where the chart puts things: `mounted` has `tls` (our certificate), `key` (for signing) and `trust`."""

    mounted: Path = Path("/etc/rynxs")
    port: int = 8443
    health: int = HEALTH


def run(config: Path, places: Places = Places()) -> None:  # noqa: B008 - it never changes
    """Serve until SIGTERM or SIGINT. Raises CannotServe, also when the log has stopped or has another owner."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_told(_watch(Config.load(config), places)))
    except (BadConfig, ConfigError, ValueError, OSError, LogError, Violation) as error:
        raise CannotServe(f"the gateway stops: {error}") from error


async def _until_told(serving: Coroutine[None, None, None]) -> None:
    """Let signals end it while it starts, too; once it serves, the server takes them."""
    task = asyncio.ensure_future(serving)
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _watch(config: Config, places: Places) -> None:
    """Serve beside the watches; when one of them fails, so does all."""
    try:
        async with Client(manager=GATEWAY) as client, asyncio.TaskGroup() as group:
            registry = ClusterRegistry(client)
            computers = ClusterComputers(
                client, registry.standing, port=config.computers.port, certificates=places.mounted / "tls"
            )
            watches = [group.create_task(each.run()) for each in (registry, computers)]
            await _serve(config, places, client, registry, computers)
            for watch in watches:
                watch.cancel()
    except ExceptionGroup as errors:  # of one, but for bugs
        raise errors.exceptions[0] from errors


async def _serve(
    config: Config, places: Places, client: Client, registry: ClusterRegistry, computers: ClusterComputers
) -> None:
    mounted = places.mounted
    async with AsyncExitStack() as stack:
        waiting = _Waiting()
        ready = Health(lambda: waiting.why or registry.problem)
        await stack.enter_async_context(ready.listening(places.health))
        trust = Trust.load(mounted / "trust" / "trust.json")
        log = await open_log(config.log, trust.log, waiting.for_)
        waiting.for_("agents, policies and pods have not been read yet")
        await asyncio.gather(registry.synced(), computers.synced())
        key = mounted / "key" / "signing.key"
        signer = Signer.parse(key.read_bytes(), str(key))
        shard = await _claim(log, signer, trust, ConfigMapAnchors(client, config.namespace), waiting.for_)
        stack.push_async_callback(shard.close)
        computers.claim(shard)
        stack.push_async_callback(computers.close)
        recovering = asyncio.create_task(_recover(shard, computers))
        stack.callback(recovering.cancel)
        identity = ClusterIdentity(client)
        pipeline = Pipeline(shard, registry, computers, now=_now)
        app = create_app(pipeline, registry, identity, log, shard, hosts=gateway_hosts(config.namespace))
        server = Server(
            app,
            end=pipeline.leave,
            failed=lambda: shard.stopped or _failed(recovering),
            ssl_certfile=mounted / "tls" / "tls.crt",
            ssl_keyfile=mounted / "tls" / "tls.key",
        )
        listening = _listen(places.port)
        stack.callback(listening.close)
        _logger.info(
            "rynxs %s  gateway  port %d  log %s  %s epoch %d  %d actions open",
            __version__,
            listening.getsockname()[1],
            log.store.url,
            STREAM,
            shard.fence.epoch,
            len(shard.lifecycle.open),
        )
        waiting.for_("")
        await server.serve(sockets=[listening])
        if _failed(recovering):
            recovering.result()
        if shard.stopped:
            raise CannotServe(f"the log has stopped, or another gateway has taken {STREAM} ({log.store.url})")


class _Waiting:
    """What a start waits for; nothing once it serves."""

    def __init__(self) -> None:
        self.why = "starting"

    def for_(self, why: str) -> None:
        self.why = why


async def _claim(log: Log, signer: Signer, trust: Trust, anchor: AnchorStore, waiting: Callable[[str], None]) -> Shard:
    """Own the stream. What may pass is waited for. Raises LogError, Violation."""
    writer = f"{os.environ.get('POD_NAME') or socket.gethostname()}/{uuid.uuid4().hex[:4]}"
    while True:
        try:
            return await Shard.claim(log, STREAM, writer=writer, signer=signer, trust=trust, anchor=anchor, now=_now)
        except (StoreError, OSError) as error:
            _logger.warning("%s can't be claimed yet: %s", STREAM, error)
            waiting(f"{STREAM} can't be claimed yet: {error}")
        await asyncio.sleep(_PAUSE)


async def _recover(shard: Shard, computers: ClusterComputers) -> None:
    """Beside the serving: an action whose computer can't be reached must not keep the others waiting."""
    with contextlib.suppress(LogError):  # then the shard has stopped, which ends the server
        for action in await recover(shard, computers):
            _logger.info("action %s of %s was open and is concluded now", action.id, action.agent)


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _listen(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _now() -> datetime:
    return datetime.now(UTC)
