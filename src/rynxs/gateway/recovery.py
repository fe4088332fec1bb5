"""Recovery: the actions that an earlier owner of the shard left open get their one outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from rynxs.action.lifecycle import Action
from rynxs.action.record import finished
from rynxs.gateway.computers import Computers
from rynxs.gateway.shard import Shard


def recover(shard: Shard, computers: Computers) -> Coroutine[None, None, list[Action]]:
    """Conclude the actions that are open at the time of the call; gives them, in the order of their decisions.

    Each gets its outcome when its executor says how it ended, or can't act on it any more. New actions may run
    meanwhile. Raises LogError.
    """
    return _recover(list(shard.lifecycle.open.values()), shard, computers)


async def _recover(actions: list[Action], shard: Shard, computers: Computers) -> list[Action]:
    async def close(action: Action) -> None:
        outcome = await computers.conclude(action)
        await shard.record(finished(action.agent, action.id, outcome))
        await computers.settle(action)

    try:
        async with asyncio.TaskGroup() as group:
            for action in actions:
                group.create_task(close(action))
    except ExceptionGroup as group_:  # when the log stops, it stops for all of them
        raise group_.exceptions[0] from group_
    return actions
