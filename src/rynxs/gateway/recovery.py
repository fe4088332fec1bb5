"""Recovery: the actions that an earlier owner of the shard left open get their one outcome."""

from __future__ import annotations

import asyncio

from rynxs.action.lifecycle import Action
from rynxs.action.record import finished
from rynxs.gateway.computers import Computers
from rynxs.gateway.shard import Shard


async def recover(shard: Shard, computers: Computers) -> list[Action]:
    """Conclude every open action and record its outcome; gives the actions, in the order of their decisions.

    An action is closed only when its executor says how it ended, or can't act on it any more.
    Raises LogError.
    """
    try:
        return await _close_open(shard, computers)
    except ExceptionGroup as group:  # when the log stops, it stops for all of them
        raise group.exceptions[0] from group


async def _close_open(shard: Shard, computers: Computers) -> list[Action]:
    async def close(action: Action) -> None:
        outcome = await computers.conclude(action)
        await shard.record(finished(action.agent, action.id, outcome))

    actions = list(shard.lifecycle.open.values())
    async with asyncio.TaskGroup() as group:
        for action in actions:
            group.create_task(close(action))
    return actions
