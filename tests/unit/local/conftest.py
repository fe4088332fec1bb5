"""Local mode's parts in a folder of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from rynxs.computer.client import ConnectionLost
from rynxs.computer.fence import Register
from rynxs.computer.protocol import Ended, Refused
from rynxs.eventlog import Log, MemoryAnchors, MemoryStore, Signer, Trust
from rynxs.gateway.app import create_app
from rynxs.gateway.pipeline import Pipeline
from rynxs.gateway.shard import Shard
from rynxs.local import computers as computers_module
from rynxs.local.computers import LocalComputers
from rynxs.local.identity import TokenIdentity
from rynxs.local.manifests import Manifests
from rynxs.local.registry import LocalRegistry
from rynxs.local.workspace import Workspaces
from rynxs.sandbox import boot

SIGNER = Signer.generate("gateway-2026")


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder, and the rights of a user who is not root: file modes hold."""
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    yield folder
    os.seteuid(os.getuid())
    shutil.rmtree(folder)


class FakeSandbox:
    """A sandbox without walls: a register, runs that last until they are cancelled, and a life that can end."""

    def __init__(self, spec, number: int) -> None:
        self.spec = spec
        self.record = boot.Record(boot=f"boot-{number}", pid=number, start_time=1, machine_boot="m")
        self.register = Register(self.record.boot)
        self.alive = True
        self.over = asyncio.Event()
        self.client = self
        self.stops = 0
        self.cancels: dict[str, asyncio.Event] = {}

    async def claim(self, fence, open_ids) -> None:
        if not self.alive:
            raise ConnectionLost("it ended")
        self.register.claim(fence, open_ids)

    async def run(self, run):
        reason = self.register.admit(run)
        if reason is not None:
            yield Refused(action=run.action, reason=reason)
            return
        waits = [asyncio.ensure_future(event.wait()) for event in (self._cancelled(run.action), self.over)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self.over.is_set():
            raise ConnectionLost("the computer ended")
        outcome = computers_module.Outcome(ending=computers_module.Ending.INTERRUPTED, error="cancelled")
        self.register.ended(run.action, outcome)
        yield Ended(action=run.action, outcome=outcome)

    async def cancel(self, action: str) -> None:
        self._cancelled(action).set()

    async def settle(self, action: str) -> None:
        self.register.settled(action)

    async def stop(self) -> None:
        self.stops += 1
        await asyncio.sleep(0)
        self.alive = False
        self.over.set()

    def _cancelled(self, action: str) -> asyncio.Event:
        return self.cancels.setdefault(action, asyncio.Event())


class World:
    """Everything of local mode but HTTP and bubblewrap."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = MemoryStore()
        self.sandboxes: list[FakeSandbox] = []
        self.failure: Exception | None = None
        (path / "boots").mkdir()
        (path / "workspaces").mkdir()
        self.workspaces = Workspaces(path / "workspaces")
        self.computers = LocalComputers(self.workspaces, path / "boots", [(path, "/opt/it")])
        self.identity = TokenIdentity.load(path / "token")
        self.registry = LocalRegistry(path / "objects.json")

    async def start(self, spec) -> FakeSandbox:
        """In the place of bubblewrap's."""
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        self.sandboxes.append(FakeSandbox(spec, len(self.sandboxes)))
        return self.sandboxes[-1]

    async def claim(self) -> None:
        self.log = await Log.create_or_open(self.store, "test")
        self.shard = await Shard.claim(
            self.log,
            "shard-0",
            writer="w",
            signer=SIGNER,
            trust=Trust(log="test", keys=[SIGNER.trusted(["*"])]),
            anchor=MemoryAnchors(),
            now=lambda: datetime.now(UTC),
        )
        self.computers.claim(self.shard.fence)
        self.pipeline = Pipeline(self.shard, self.registry, self.computers, now=lambda: datetime.now(UTC))
        self.manifests = Manifests(self.registry, self.identity, self.shard, self.pipeline, self.computers)

    @contextlib.asynccontextmanager
    async def http(self) -> AsyncIterator[httpx2.AsyncClient]:
        app = create_app(
            self.pipeline,
            self.registry,
            self.identity,
            self.log,
            self.shard,
            hosts=["localhost"],
            more_routes=self.manifests.routes,
        )
        token = (self.path / "token").read_text().strip()
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app),
            base_url="http://localhost",
            headers={"Authorization": f"Bearer {token}"},
        ) as client:
            yield client

    async def events(self):
        return [event async for event in self.log.read("shard-0", after=0)]


@pytest.fixture
async def world(tmp_path, monkeypatch) -> AsyncIterator[World]:
    made = World(tmp_path)
    monkeypatch.setattr(computers_module, "start", made.start)
    await made.claim()
    yield made
    await made.pipeline.drain()
    await made.computers.close()
    await made.shard.close()
