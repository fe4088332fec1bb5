"""The action pipeline: decide, record, run, record, answer. Callers are authenticated before it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

from rynxs.action.decision import Decision, Effect
from rynxs.action.lifecycle import Key
from rynxs.action.outcome import Ending, Outcome
from rynxs.action.record import decided, finished
from rynxs.action.request import InvalidRequest, Principal, Request, check_id, parse_args
from rynxs.eventlog import uuid7
from rynxs.gateway.computers import Computer, Computers
from rynxs.gateway.execution import Execution, Recorded
from rynxs.gateway.refusal import Busy, Conflict, Denied, Invalid, Unavailable
from rynxs.gateway.registry import Registry
from rynxs.gateway.shard import Late, Shard

MAX_ACTIONS = 256
"""Most actions at once."""

MAX_ACTIONS_OF_AGENT = 32
"""Most actions at once of one agent."""


class Pipeline:
    """The way of every action of one shard."""

    def __init__(self, shard: Shard, registry: Registry, computers: Computers, *, now: Callable[[], datetime]) -> None:
        self._shard = shard
        self._registry = registry
        self._computers = computers
        self._now = now
        self._starting: dict[Key, tuple[Request, asyncio.Task[Execution]]] = {}
        self._running: dict[Key, tuple[Execution, asyncio.Task[None]]] = {}
        self._opening: set[asyncio.Task[Any]] = set()
        self._count: Counter[str] = Counter()
        self._closed = False

    @contextlib.asynccontextmanager
    async def action(
        self,
        principal: Principal,
        namespace: str,
        name: str,
        tool: str,
        args: Any,
        *,
        id_: str | None = None,
        trace_id: str = "",
    ) -> AsyncIterator[Execution | Recorded]:
        """Have one action decided, recorded and run; inside the block it can be followed.

        `args` are JSON values. `id_` (a UUIDv7) makes a retry safe: the same id with the same arguments attaches
        to the running action, or gives its recorded outcome. When the last caller leaves the block before the
        end, the action is cancelled.

        Raises the Refusals: NotFound, Invalid, Conflict, Denied, Busy, Unavailable.
        """
        request = self._request(principal, namespace, name, tool, args, id_)
        execution = self._retried(request) if id_ else None
        if execution is None:
            execution = await self._begin(request, trace_id)
        if isinstance(execution, Recorded):
            yield execution
            return
        execution.followers += 1
        try:
            yield execution
        finally:
            execution.followers -= 1
            if execution.followers == 0 and execution.outcome is None:
                execution.cancel()

    async def drain(self, agent_uid: str | None = None) -> None:
        """Cancel the running actions (of one agent, or all) and wait until their outcomes are durable."""
        if agent_uid is None:
            self._closed = True
        starting = [task for key, (_, task) in self._starting.items() if agent_uid in (None, key[0])]
        await asyncio.gather(*starting, return_exceptions=True)
        running = [pair for key, pair in self._running.items() if agent_uid in (None, key[0])]
        for execution, _ in running:
            execution.cancel()
        await asyncio.gather(*(task for _, task in running))

    async def leave(self) -> None:
        """Stop, and leave what runs to the log's next owner: its callers are told that it goes on.

        What has no decision yet is refused.
        """
        self._closed = True
        for opening in self._opening:
            opening.cancel()
        await asyncio.gather(*(task for _, task in self._starting.values()), return_exceptions=True)
        running = list(self._running.values())
        for execution, task in running:
            execution.leave()
            task.cancel()
        await asyncio.gather(*(task for _, task in running), return_exceptions=True)

    def _request(
        self, principal: Principal, namespace: str, name: str, tool: str, args: Any, id_: str | None
    ) -> Request:
        registered = self._registry.agent(namespace, name)
        try:
            if id_ is not None:
                check_id(id_, self._now().timestamp())
            known, decoded = parse_args(tool, args)
        except InvalidRequest as error:
            raise Invalid(str(error)) from error
        return Request(id=id_ or uuid7(), agent=registered.ref, principal=principal, tool=known, args=decoded)

    def _retried(self, request: Request) -> Execution | Recorded | None:
        """What an action id that was used before leads to, or None for a new one."""
        if request.key in self._starting:
            return None
        running = self._running.get(request.key)
        action = self._shard.lifecycle.get(request.key)
        if action is None:
            return None
        _check_same(request, action.digest)
        if running is not None:
            return running[0]
        if action.decision.effect is Effect.DENY:
            raise Denied(action.id, action.decision)
        if action.outcome is None:
            raise Unavailable(f"action {action.id} is open and being recovered; repeat it in a moment")
        return Recorded(action, action.outcome)

    async def _begin(self, request: Request, trace_id: str) -> Execution:
        """Start the action in a task of its own: a caller who leaves must not leave it half recorded."""
        starting = self._starting.get(request.key)
        if starting is not None:
            earlier, task = starting
            _check_same(request, earlier.digest())
        else:
            self._admit(request)
            self._count[request.agent.uid] += 1
            task = asyncio.create_task(self._start(request, trace_id))
            self._starting[request.key] = (request, task)
            task.add_done_callback(lambda task: self._started(request.key, task))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_cancel_unfollowed)
            raise

    def _started(self, key: Key, task: asyncio.Task[Execution]) -> None:
        """Forget the start; one whose decision may become durable yet keeps its id taken until that is settled."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Late):
            error.closed.add_done_callback(lambda _: self._starting.pop(key))
        else:
            del self._starting[key]

    def _admit(self, request: Request) -> None:
        if self._closed:
            raise _stopping()
        if self._count.total() >= MAX_ACTIONS or self._count[request.agent.uid] >= MAX_ACTIONS_OF_AGENT:
            raise Busy(
                f"{self._count[request.agent.uid]} actions of agent {request.agent} and {self._count.total()} in all "
                f"are running (at most {MAX_ACTIONS_OF_AGENT} and {MAX_ACTIONS}). Nothing was run."
            )

    async def _start(self, request: Request, trace_id: str) -> Execution:
        agent = request.agent.uid
        try:
            execution = await self._decide_and_record(request, trace_id)
        except Late as late:
            late.closed.add_done_callback(lambda _: self._count.subtract([agent]))
            raise
        except BaseException:
            self._count[agent] -= 1
            raise
        task = asyncio.create_task(execution.run())
        self._running[request.key] = (execution, task)

        def ended(_: asyncio.Task[None]) -> None:
            self._count[agent] -= 1
            del self._running[request.key]

        task.add_done_callback(ended)
        return execution

    async def _decide_and_record(self, request: Request, trace_id: str) -> Execution:
        decision = self._decide(request)
        if decision.effect is Effect.ALLOW:
            computer = await self._open(request)
            decision = self._decide(request)  # it may have changed while the computer started
        if decision.effect is Effect.DENY:
            await self._shard.record_soon(decided(request, decision, trace_id=trace_id))
            raise Denied(request.id, decision)
        too_late = Outcome(ending=Ending.CANCELLED, error="the log was too slow; the action was not started")
        event = await self._shard.record_soon(
            decided(request, decision, executor=computer.name, boot=computer.boot, trace_id=trace_id),
            else_record=finished(request.agent, request.id, too_late),
        )
        action = self._shard.lifecycle.open.get(request.key)
        if action is None:
            raise Unavailable(f"event {event.seq} does not open action {request.id}. Nothing was run.")
        return Execution(request, action, computer, self._computers, self._shard)

    async def _open(self, request: Request) -> Computer:
        """The agent's computer, unless `leave` comes first: it cancels this task while it waits here."""
        task = asyncio.current_task()
        assert task is not None
        self._opening.add(task)
        try:
            return await self._computers.open(self._registry.agent(request.agent.namespace, request.agent.name))
        except asyncio.CancelledError:
            raise _stopping() from None
        finally:
            self._opening.discard(task)

    def _decide(self, request: Request) -> Decision:
        registered = self._registry.agent(request.agent.namespace, request.agent.name)
        if registered.uid != request.agent.uid:
            raise Unavailable(f"agent {request.agent} was deleted and made anew meanwhile. Nothing was run.")
        return self._registry.engine().decide(registered.agent, request.principal, request.tool.name, request.args)


def _stopping() -> Unavailable:
    return Unavailable("the gateway is stopping. Nothing was run.")


def _check_same(request: Request, digest: str) -> None:
    if request.digest() != digest:
        raise Conflict(f"action id {request.id} was used with other arguments, or by another caller")


def _cancel_unfollowed(task: asyncio.Task[Execution]) -> None:
    if not task.cancelled() and task.exception() is None and task.result().followers == 0:
        task.result().cancel()
