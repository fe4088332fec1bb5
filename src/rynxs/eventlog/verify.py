"""Verifying a stream from its objects, the trust file and the anchor alone: what was changed, and where."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from rynxs.eventlog.anchor import AnchorStore
from rynxs.eventlog.batch import InvalidObject, object_name
from rynxs.eventlog.chain import Chain, Checked, Invalid
from rynxs.eventlog.checkpoint import Checkpoint, open_checkpoint
from rynxs.eventlog.epoch import parse_epoch
from rynxs.eventlog.error import LogError, NotALog
from rynxs.eventlog.key import Trust
from rynxs.eventlog.log import LOG_KEY, Log
from rynxs.eventlog.reader import batch_key, check_stream, epoch_key, number_of
from rynxs.eventlog.store import Missing, ObjectStore


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is not as a correct writer left it.

    `object` is the name of a batch, or another object's key, or `anchor`. `seq` is the first event that
    it concerns, None when there is none. `since` is a time (RFC 3339) at which all was still well with
    it, or "".
    """

    object: str
    seq: int | None
    message: str
    since: str = ""


class Report(Struct, frozen=True, kw_only=True):
    """What a stream holds and what is wrong with it.

    `objects` counts all that are there; `events` and `epochs` are of those that hold by themselves.
    Without findings, nothing is missing up to the event `complete_up_to`, as the anchor of `anchored_at`
    says (None and "" without an anchor). What came behind it may have been cut off.
    """

    stream: str
    objects: int
    events: int
    epochs: int
    findings: list[Finding]
    complete_up_to: int | None
    anchored_at: str

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


async def verify(store: ObjectStore, stream: str, trust: Trust, anchor: AnchorStore | None) -> Report:
    """Read every object of a stream and say what is wrong. Raises StoreError, OSError, ValueError."""
    check_stream(stream)
    findings: list[Finding] = []
    log = await _open(store, trust, findings)
    note = await anchor.read(stream) if anchor is not None else None
    anchored = None
    if note is not None:
        try:
            anchored = open_checkpoint(note, trust, stream)
        except LogError as error:
            findings.append(Finding(object="anchor", seq=None, message=str(error)))
    reading = _Reading(trust, stream, anchored, findings)
    async for key in store.list(f"streams/{stream}/"):
        slot = number_of(key)
        if slot is None or key != batch_key(stream, slot):
            findings.append(Finding(object=key, seq=None, message="no writer makes an object of this name"))
            continue
        try:
            reading.read(slot, await store.get(key))
        except Missing:
            reading.find(slot, slot, "it was there and is gone")
    reading.end()
    shards = log.shards if log else None
    await _check_epochs(store, stream, trust, shards, reading.epochs, findings)
    complete = anchored is not None and anchored.size > 0 and not findings
    return Report(
        stream=stream,
        objects=reading.objects,
        events=reading.events,
        epochs=len(reading.epochs),
        findings=findings,
        complete_up_to=anchored.size - 1 if anchored and complete else None,
        anchored_at=anchored.time if anchored else "",
    )


class _Reading:
    """The batches of a stream in the order of their slots."""

    def __init__(self, trust: Trust, stream: str, anchored: Checkpoint | None, findings: list[Finding]) -> None:
        self.objects = self.events = 0
        self.epochs: dict[int, int] = {}  # to the first seq of each
        self._chain = Chain(trust.log, stream)
        self._trust = trust
        self._anchored = anchored
        self._findings = findings
        self._whole = True  # every object so far holds and follows the one before
        self._readable = True  # the last object says where the next one is

    def find(self, slot: int, seq: int, message: str, since: str = "") -> None:
        """Note what is wrong with the object of a slot."""
        self._whole = False
        self._findings.append(Finding(object=object_name(slot), seq=seq, message=message, since=since))

    def read(self, slot: int, data: bytes) -> None:
        """Check the next object that is there."""
        chain = self._chain
        self.objects += 1
        if self._readable and slot < chain.size:
            self.find(slot, slot, "the object before it has these events already")
            return
        try:
            checked = chain.check(slot, data, self._trust)
        except Invalid as error:
            self.find(slot, error.seq, str(error))
            self._readable = False
            chain.skip(slot, data)
            return
        if self._readable and slot > chain.size:
            self.find(chain.size, chain.size, f"events {chain.size} to {slot - 1} are missing")
        else:
            self._compare(slot, checked)
        self._add(checked, data)

    def end(self) -> None:
        """Compare the end with the anchor."""
        chain, anchored = self._chain, self._anchored
        if anchored is not None and self._readable and chain.size < anchored.size:
            missing = f"events {chain.size} to {anchored.size - 1} are missing"
            message = f"{missing}: the anchor of {anchored.time} has them"
            self.find(chain.size, chain.size, message, anchored.time)

    def _compare(self, slot: int, checked: Checked) -> None:
        """Compare a good object with the one before it, whatever that one is."""
        chain, header = self._chain, checked.batch.header
        if header.prev != chain.hash:
            if chain.last is None:
                self.find(slot, slot, "it is the first object, but names one before it")
            else:
                self._blame(chain.last.batch, f"{object_name(slot)} (written {header.time[11:19]})", header.time)
        if self._whole:
            try:
                chain.check_fence(checked)
            except Invalid as error:
                self.find(slot, error.seq, str(error))

    def _blame(self, slot: int, by: str, since: str) -> None:
        """The next object holds another hash: say so, with what was found in the object itself."""
        message = f"bytes differ from the hash in {by}"
        if self._findings and self._findings[-1].object == object_name(slot):
            last = self._findings.pop()
            self._findings.append(replace(last, message=f"{message}; {last.message}", since=since))
        else:
            self.find(slot, slot, message, since)

    def _add(self, checked: Checked, data: bytes) -> None:
        chain, anchored, header = self._chain, self._anchored, checked.batch.header
        before = chain.size
        chain.add(header, checked.batch.lines, data)
        self._readable = True
        self.events += header.count
        self.epochs.setdefault(header.epoch, header.first)
        reached = anchored is not None and self._whole and before < anchored.size <= chain.size
        if anchored is not None and reached and not chain.is_at(anchored):
            message = f"the first {anchored.size} events are not those that the anchor of {anchored.time} has"
            self._findings.append(Finding(object="anchor", seq=None, message=message, since=anchored.time))


async def _open(store: ObjectStore, trust: Trust, findings: list[Finding]) -> Log | None:
    try:
        log = await Log.open(store)
    except NotALog as error:
        findings.append(Finding(object=LOG_KEY, seq=None, message=str(error)))
        return None
    if log.id != trust.log:
        message = f"it is of log {log.id}, the trust file of log {trust.log}"
        findings.append(Finding(object=LOG_KEY, seq=None, message=message))
    return log


async def _check_epochs(
    store: ObjectStore,
    stream: str,
    trust: Trust,
    shards: int | None,
    used: dict[int, int],
    findings: list[Finding],
) -> None:
    """Check the epochs' objects; `used` are the epochs that wrote, and `shards` what the log says."""
    missing = dict(used)
    claimed_with = shards
    async for key in store.list(f"epochs/{stream}/"):
        number = number_of(key)
        if number is None or key != epoch_key(stream, number):
            findings.append(Finding(object=key, seq=None, message="no writer makes an object of this name"))
            continue
        seq = missing.pop(number, None)
        try:
            epoch = parse_epoch(await store.get(key), stream, number, trust)
        except (InvalidObject, Missing) as error:
            findings.append(Finding(object=key, seq=seq, message=str(error)))
        else:
            claimed_with = epoch.shards
    for number, seq in missing.items():
        message = f"epoch {number} wrote from event {seq} on, but its object is missing"
        findings.append(Finding(object=epoch_key(stream, number), seq=seq, message=message))
    if shards != claimed_with and shards is not None:
        message = f"it says {shards} shards, but stream {stream} was claimed with {claimed_with}"
        findings.append(Finding(object=LOG_KEY, seq=None, message=message))
