"""The computers of local mode: one bubblewrap sandbox an agent, started by its first action."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from rynxs.action.lifecycle import Action
from rynxs.action.outcome import Ending, Outcome
from rynxs.api.agent import AgentSpec
from rynxs.api.quantity import to_bytes
from rynxs.computer.client import ConnectionLost
from rynxs.computer.limits import Limits
from rynxs.computer.protocol import Fence
from rynxs.gateway.computers import Computer, Computers
from rynxs.gateway.refusal import Unavailable
from rynxs.gateway.registry import Registered
from rynxs.local.workspace import Workspaces
from rynxs.sandbox import boot
from rynxs.sandbox.bubblewrap import Sandbox, SandboxUnavailable, Spec, start
from rynxs.sandbox.wall import WallDown


class LocalComputers(Computers):
    """Sandboxes by agent uid. They live no longer than this process, and their ends can be proven.

    `boots` is the folder of the records by which a later server proves that.
    """

    def __init__(self, workspaces: Workspaces, boots: Path, mounts: Sequence[tuple[Path, str]]) -> None:
        self._workspaces = workspaces
        self._boots = boots
        self._mounts = tuple(mounts)
        self._fence: Fence | None = None
        self._sandboxes: dict[str, Sandbox] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def end_earlier(self) -> None:
        """Kill what an earlier server may have left, and wait until it is proven gone. Raises boot.NotOver."""
        for path in sorted(self._boots.glob("*.json")):
            record = boot.read(path)
            if record is not None:
                await boot.end(record)
            path.unlink()

    def claim(self, fence: Fence) -> None:
        """Take the fence that every computer is claimed with from now on."""
        self._fence = fence

    async def open(self, registered: Registered) -> Computer:
        """The agent's sandbox, started if need be. Raises Unavailable."""
        async with self._locks.setdefault(registered.uid, asyncio.Lock()):
            sandbox = self._sandboxes.get(registered.uid)
            if sandbox is None or not sandbox.alive:
                await self.stop(registered.uid)
                sandbox = await self._start(registered)
        return Computer(
            name=str(registered.ref),
            boot=sandbox.record.boot,
            connection=sandbox.client,
        )

    async def conclude(self, action: Action) -> Outcome:
        """End the action's boot if it is not over: what ran in it is Interrupted, and nothing of it is alive."""
        sandbox = self._sandboxes.get(action.agent.uid)
        if sandbox is not None and sandbox.record.boot == action.boot:
            await self.stop(action.agent.uid)
        return Outcome(
            ending=Ending.INTERRUPTED,
            error="the computer ended before it said how the action ended: it may have happened, in whole or in part",
        )

    async def settle(self, action: Action) -> None:
        """Tell the sandbox, if it is still that of the action."""
        sandbox = self._sandboxes.get(action.agent.uid)
        if sandbox is not None and sandbox.record.boot == action.boot:
            with contextlib.suppress(ConnectionLost):  # the sandbox is gone, and what it kept with it
                await sandbox.client.settle(action.id)

    async def stop(self, uid: str) -> None:
        """End the agent's sandbox, with everything in it."""
        sandbox = self._sandboxes.get(uid)
        if sandbox is None:
            return
        await sandbox.stop()
        if self._sandboxes.get(uid) is sandbox:
            del self._sandboxes[uid]
            self._record(uid).unlink(missing_ok=True)

    async def remove(self, registered: Registered) -> None:
        """End the sandbox; delete the workspace unless the agent retains it."""
        await self.stop(registered.uid)
        self._locks.pop(registered.uid, None)
        if registered.agent.spec.workspace.retain != "Retain":
            await asyncio.to_thread(self._workspaces.delete, registered.ref)

    async def close(self) -> None:
        """End all sandboxes."""
        await asyncio.gather(*(self.stop(uid) for uid in list(self._sandboxes)))

    async def _start(self, registered: Registered) -> Sandbox:
        assert self._fence is not None, "claim() comes before the first action"
        spec = registered.agent.spec
        try:
            workspace, uid = self._workspaces.prepare(registered.ref)
            sandbox = await start(
                Spec(
                    name=str(registered.ref),
                    workspace=workspace,
                    uid=uid,
                    limits=_limits(spec),
                    env={variable.name: variable.value for variable in spec.env},
                    mounts=self._mounts,
                )
            )
        except (SandboxUnavailable, WallDown, OSError) as error:
            raise Unavailable(f"the computer of agent {registered.ref} can't be started: {error}") from error
        self._sandboxes[registered.uid] = sandbox
        try:
            # Durable before anything runs in it: whoever comes after us must be able to prove its end.
            boot.write(self._record(registered.uid), sandbox.record)
            await sandbox.client.claim(self._fence, [])
        except (ConnectionLost, OSError) as error:
            await self.stop(registered.uid)
            raise Unavailable(f"the computer of agent {registered.ref} ended at once: {error}") from error
        return sandbox

    def _record(self, uid: str) -> Path:
        return self._boots / f"{uid}.json"


def _limits(spec: AgentSpec) -> Limits:
    workspace, memory = to_bytes(spec.workspace.size), spec.resources.limits.memory
    return Limits(workspace=workspace) if memory is None else Limits(workspace=workspace, memory=to_bytes(memory))
