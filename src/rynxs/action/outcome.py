"""Outcomes: how an allowed action ended, and what it gave."""

from __future__ import annotations

import enum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A number of bytes."""


class Ending(enum.StrEnum):
    """How an allowed action ended."""

    FINISHED = "Finished"
    """The tool ran to its end. A program's exit code other than 0 is Finished, too."""
    FAILED = "Failed"
    """The tool could not do it: no such file, no such program, over the workspace's size."""
    TIMED_OUT = "TimedOut"
    """The deadline came first; everything the action started was killed."""
    CANCELLED = "Cancelled"
    """The caller gave up; everything the action started was killed."""
    INTERRUPTED = "Interrupted"
    """The computer or its connection ended under it: it may have happened, in whole or in part."""


class Captured(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a program wrote to one of its output streams.

    `sha256` (hex) and `bytes` are of what was kept; `dropped` counts the bytes over the limit.
    """

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    bytes: Count
    dropped: Count = 0


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an action ended: `error` says why it did not finish, `result` is the tool's result as JSON values.

    `seconds` is how long it ran. `stdout` and `stderr` are set for tools that run programs. The bounds keep what an
    untrusted computer says fit for an event of the log.
    """

    ending: Ending
    error: Annotated[str, Meta(max_length=65_536)] = ""
    result: dict[str, Any] | None = None
    seconds: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    stdout: Captured | None = None
    stderr: Captured | None = None


def credible(outcome: Outcome, result: type[Struct]) -> Outcome:
    """The outcome with a result of the tool's type, or without one if it did not finish.

    The computer is not trusted: an end that is none of this tool is Interrupted, since it may have happened.
    """
    if outcome.ending is not Ending.FINISHED:
        return msgspec.structs.replace(outcome, result=None)
    try:
        # By way of JSON, so that what JSON can't say (NaN, bytes) is found here and not in the log.
        typed = msgspec.json.decode(msgspec.json.encode(outcome.result), type=result)
    except (ValueError, TypeError, NotImplementedError, RecursionError) as error:
        problem = f"what the computer said of its end is no {result.__name__} ({error}): it may have happened"
        return Outcome(ending=Ending.INTERRUPTED, error=problem, seconds=outcome.seconds)
    return msgspec.structs.replace(outcome, result=msgspec.to_builtins(typed))
