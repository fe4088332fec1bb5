"""The event log: signed, chained batches in an object store, one writer a stream. It stands alone."""

from rynxs.eventlog.anchor import AnchorStore, FileAnchors, MemoryAnchors
from rynxs.eventlog.checkpoint import Checkpoint
from rynxs.eventlog.disk import DiskStore
from rynxs.eventlog.error import (
    AnchorBackward,
    AnchorMismatch,
    AnchorMissing,
    BadKey,
    BadNote,
    BehindAnchor,
    Corrupted,
    Fenced,
    LogError,
    LogStopped,
    NotALog,
    TooLarge,
    WrongLog,
    WrongShards,
)
from rynxs.eventlog.event import Draft, Event, Position
from rynxs.eventlog.id import time_of, uuid7
from rynxs.eventlog.key import Signer, Trust, TrustedKey
from rynxs.eventlog.log import Log
from rynxs.eventlog.memory import MemoryStore
from rynxs.eventlog.probe import Unfit, probe
from rynxs.eventlog.reader import streams
from rynxs.eventlog.store import Exists, Missing, ObjectStore, StoreBroken, StoreError
from rynxs.eventlog.verify import Finding, Report, verify
from rynxs.eventlog.writer import Writer

__all__ = [
    "AnchorBackward",
    "AnchorMismatch",
    "AnchorMissing",
    "AnchorStore",
    "BadKey",
    "BadNote",
    "BehindAnchor",
    "Checkpoint",
    "Corrupted",
    "DiskStore",
    "Draft",
    "Event",
    "Exists",
    "Fenced",
    "FileAnchors",
    "Finding",
    "Log",
    "LogError",
    "LogStopped",
    "MemoryAnchors",
    "MemoryStore",
    "Missing",
    "NotALog",
    "ObjectStore",
    "Position",
    "Report",
    "Signer",
    "StoreBroken",
    "StoreError",
    "TooLarge",
    "Trust",
    "TrustedKey",
    "Unfit",
    "Writer",
    "WrongLog",
    "WrongShards",
    "probe",
    "streams",
    "time_of",
    "uuid7",
    "verify",
]
