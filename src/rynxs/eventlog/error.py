"""Errors of the log. Each message says what happened, to which object, and what to do."""

from __future__ import annotations


class LogError(Exception):
    """Something is wrong with the log, its keys or its anchor."""


class NotALog(LogError):
    """There is no log at this place, or it has a format that this version does not know."""


class WrongLog(LogError):
    """The log is another one than the caller, its trust file or its anchor means."""


class WrongShards(LogError):
    """The log was made with another number of shards."""


class BadKey(LogError):
    """A key or trust file can't be used."""


class BadNote(LogError):
    """A signed note or checkpoint is malformed, or no trusted key signed it."""


class AnchorMissing(LogError):
    """The stream has events, but no anchor says how many it must have."""


class AnchorMismatch(LogError):
    """The stream does not contain what its anchor says."""


class BehindAnchor(LogError):
    """The stream ends before its anchor: it was cut or rolled back."""


class AnchorBackward(LogError):
    """An anchor may only move forward; a newer one is there."""


class Corrupted(LogError):
    """The stream holds what no correct writer wrote. A writer that finds it stops for good."""


class Fenced(LogError):
    """A higher epoch exists: this writer stops for good, and another one owns the stream."""


class TooLarge(LogError):
    """The events are larger than the log takes. Nothing was queued."""


class LogStopped(LogError):
    """The writer has ended, or ended before these events were known to be durable."""
