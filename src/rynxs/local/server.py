"""The server of local mode: everything in one process, from the claim of the log to the last outcome."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from rynxs import __version__
from rynxs.action.lifecycle import Violation
from rynxs.eventlog import DiskStore, FileAnchors, Log, LogError, Signer, StoreError, Trust
from rynxs.gateway.app import create_app
from rynxs.gateway.pipeline import Pipeline
from rynxs.gateway.recovery import recover
from rynxs.gateway.server import CannotServe, Server
from rynxs.gateway.shard import Shard
from rynxs.local import state
from rynxs.local.computers import LocalComputers
from rynxs.local.folder import DataFolder, FolderInUse
from rynxs.local.identity import TokenIdentity
from rynxs.local.manifests import Manifests
from rynxs.local.registry import LocalRegistry
from rynxs.local.workspace import Workspaces
from rynxs.sandbox import bubblewrap
from rynxs.sandbox.boot import NotOver

STREAM = "shard-0"


@dataclass(frozen=True)
class Options:
    """Where to keep everything, where to listen, and what to show read-only in every computer."""

    data: Path
    host: str
    port: int
    mounts: Sequence[tuple[Path, str]] = ()


def run(options: Options) -> None:
    """Serve until SIGINT or SIGTERM. Raises CannotServe."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(options))
    except (
        FolderInUse,
        ValueError,
        OSError,
        LogError,
        StoreError,
        Violation,
        NotOver,
        bubblewrap.SandboxUnavailable,
    ) as error:
        raise CannotServe(f"refusing to start: {error}") from error


async def _serve(options: Options) -> None:
    async with AsyncExitStack() as stack:
        listening = _listen(options.host, options.port)
        stack.callback(listening.close)
        sandbox = await bubblewrap.check()
        folder = DataFolder(options.data)
        stack.callback(folder.close)
        identity = TokenIdentity.load(folder.token)
        registry = LocalRegistry(folder.objects)
        log = await Log.create_or_open(DiskStore(folder.log))
        workspaces = Workspaces(folder.workspaces)
        workspaces.empty_bin()
        computers = LocalComputers(workspaces, folder.boots, options.mounts)
        await computers.end_earlier()
        for registered in registry.leaving():
            await computers.remove(registered)
            registry.forget(registered.uid)
        shard = await _claim(folder, log)
        stack.push_async_callback(shard.close)
        computers.claim(shard.fence)
        stack.push_async_callback(computers.close)
        recovered = await recover(shard, computers)
        pipeline = Pipeline(shard, registry, computers, now=_now)
        manifests = Manifests(registry, identity, shard, pipeline, computers)
        app = create_app(
            pipeline,
            registry,
            identity,
            log,
            shard,
            hosts=[_shown(options.host), "localhost"],
            more_routes=manifests.routes,
        )
        url = f"http://{_shown(options.host)}:{listening.getsockname()[1]}"
        state.record_server(state.Server(url=url, data=str(options.data)))
        print(
            f"rynxs {__version__}  local mode  {url}  log {folder.log.as_uri()}  sandbox bubblewrap {sandbox}",
            flush=True,
        )
        for action in recovered:
            print(f"rynxs: action {action.id} of {action.agent} was open and is Interrupted now", flush=True)
        await Server(app, end=pipeline.drain, failed=lambda: shard.stopped).serve(sockets=[listening])
        if shard.stopped:
            raise CannotServe(
                f"the log is stopped ({log.store.url}): look at it with rynxs log verify, then start again"
            )


async def _claim(folder: DataFolder, log: Log) -> Shard:
    kept = state.log_folder(log.id)
    trust_file = kept / "trust.json"
    if folder.key.exists():
        signer = Signer.load(folder.key)
    else:
        signer = Signer.generate(f"gateway-{_now().year}")
        signer.save(folder.key)
    if trust_file.exists():
        trust = Trust.load(trust_file)
    else:
        trust = Trust(log=log.id, keys=[signer.trusted(["*"])])
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        trust.save(trust_file)
    return await Shard.claim(
        log,
        STREAM,
        writer=f"{socket.gethostname()}/{os.getpid()}-{uuid.uuid4().hex[:4]}",
        signer=signer,
        trust=trust,
        anchor=FileAnchors(kept / "anchors"),
        now=_now,
    )


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket on a loopback address: the token and everything else travel in the clear."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ValueError(f"{host!r} is not an IP address: listen on 127.0.0.1") from None
    if not address.is_loopback:
        raise ValueError(f"{host} is not a loopback address, and local mode does not encrypt: listen on 127.0.0.1")
    listening = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((str(address), port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ValueError(f"can't listen on {host}:{port}: {error.strerror}; choose another with --listen") from error
    return listening


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _now() -> datetime:
    return datetime.now(UTC)
