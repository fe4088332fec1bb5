"""The settle rule: what a slot's bytes mean to a writer whose PUT had no plain answer. Pure."""

from __future__ import annotations

import enum

from rynxs.eventlog.batch import InvalidObject, check_signature, parse
from rynxs.eventlog.key import Trust


class Verdict(enum.Enum):
    """What a slot holds, as seen by the writer that wants it."""

    OURS = "the bytes that we sent: success"
    MISSING = "nothing: send the same bytes again"
    OLDER = "a batch of a lower epoch: it came first, if we are claiming; else corruption"
    NEWER = "a batch of a higher epoch: we are fenced"
    FOREIGN = "anything else: corruption"


def settle(
    found: bytes | None,
    sent: bytes,
    *,
    slot: int,
    log: str,
    stream: str,
    fence: tuple[int, int],
    trust: Trust,
) -> Verdict:
    """Judge the bytes found in the slot (None: no object) for the writer of that fence which sent `sent`."""
    if found is None:
        return Verdict.MISSING
    if found == sent:
        return Verdict.OURS
    try:
        batch = parse(found)
        check_signature(batch.sealed, stream, trust)
    except InvalidObject:
        return Verdict.FOREIGN
    header = batch.header
    if (header.log, header.stream, header.first) != (log, stream, slot) or header.fence == fence:
        return Verdict.FOREIGN
    return Verdict.NEWER if header.fence > fence else Verdict.OLDER
