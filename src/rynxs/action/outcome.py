"""Outcomes: how an allowed action ended, and what it gave."""

from __future__ import annotations

import enum
from typing import Any

from msgspec import Struct


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

    sha256: str
    bytes: int
    dropped: int = 0


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an action ended: `error` says why it did not finish, `result` is the tool's result as JSON values.

    `seconds` is how long it ran. `stdout` and `stderr` are set for tools that run programs.
    """

    ending: Ending
    error: str = ""
    result: dict[str, Any] | None = None
    seconds: float = 0.0
    stdout: Captured | None = None
    stderr: Captured | None = None
