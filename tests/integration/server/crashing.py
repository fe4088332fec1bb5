"""`rynxs`, which kills itself (SIGKILL) when it reaches the step of an action that CRASH_AT names."""

from __future__ import annotations

import os
import signal
from typing import Any

from rynxs.cli.main import main
from rynxs.computer.client import Client
from rynxs.computer.protocol import Ended, Output, Run, Settled
from rynxs.gateway.shard import Shard

STEPS = (
    "decided",
    "decision recorded",
    "sending the run",
    "run sent",
    "first output",
    "ended",
    "recording the outcome",
    "outcome recorded",
    "settled",
)


def reached(name: str) -> None:
    """Die here, if this is the step."""
    if name == os.environ["CRASH_AT"]:
        os.kill(os.getpid(), signal.SIGKILL)


record_soon, record, send, take = Shard.record_soon, Shard.record, Client._send, Client._take


async def crashing_record_soon(self: Shard, draft: Any, **more: Any) -> Any:
    if draft.type == "action.decided":
        reached("decided")
    event = await record_soon(self, draft, **more)
    if draft.type == "action.decided":
        reached("decision recorded")
    return event


async def crashing_record(self: Shard, draft: Any) -> Any:
    reached("recording the outcome")
    event = await record(self, draft)
    reached("outcome recorded")
    return event


async def crashing_send(self: Client, message: Any) -> None:
    if isinstance(message, Run):
        reached("sending the run")
    await send(self, message)
    if isinstance(message, Run):
        reached("run sent")
    if isinstance(message, Settled):
        reached("settled")


def crashing_take(self: Client, frame: Any) -> None:
    if isinstance(frame, Output):
        reached("first output")
    if isinstance(frame, Ended):
        reached("ended")
    take(self, frame)


if __name__ == "__main__":
    Shard.record_soon, Shard.record = crashing_record_soon, crashing_record  # type: ignore[method-assign]
    Client._send, Client._take = crashing_send, crashing_take  # type: ignore[method-assign]
    main()
