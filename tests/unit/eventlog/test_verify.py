"""Any single change to a clean log is found, and blamed on the object that was changed."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rynxs.eventlog import Draft, Log, MemoryAnchors, MemoryStore, Signer, Trust, verify
from rynxs.eventlog.batch import parse, seal, unseal

KEY, OPERATOR = Signer.generate("gateway-2026"), Signer.generate("operator-2026")
TRUST = Trust(log="test", keys=[KEY.trusted(["shard-*"]), OPERATOR.trusted(["operator"])])
ANCHORS = MemoryAnchors()
START = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


async def _write():
    """Three epochs; batches of one to five events; closed, so that the anchor is at the end."""
    store, seconds = MemoryStore(), count()
    log = await Log.create_or_open(store, "test", shards=2)
    for epoch in range(3):
        writer = await log.claim(
            "shard-0",
            writer=f"w{epoch}",
            signer=KEY,
            trust=TRUST,
            anchor=ANCHORS,
            observe=lambda events: None,
            now=lambda: START + timedelta(seconds=next(seconds)),
        )
        for size in range(1, 4):
            await writer.append(*(Draft(type="t", subject="s", data={"n": number}) for number in range(size)))
        await writer.close()
    return store.objects


CLEAN = asyncio.run(_write())
KEYS = sorted(CLEAN)
BATCHES = [key for key in KEYS if key.startswith("streams/")]


def check(objects, anchors=ANCHORS, trust=TRUST):
    store = MemoryStore()
    store.objects = dict(objects)
    return asyncio.run(verify(store, "shard-0", trust, anchors))


def name(key):
    return key[-10:] if key.startswith("streams/") else key


def blamed(report):
    return {finding.object for finding in report.findings}


def test_a_clean_log_has_no_findings():
    report = check(CLEAN)
    assert report.findings == []
    assert report.ok
    assert (report.objects, report.events, report.epochs) == (12, 21, 3)
    assert report.complete_up_to == 20
    assert re.fullmatch(r"2026-11-23T14:00:\d\d\.000Z", report.anchored_at)


@given(keep=st.integers(0, len(BATCHES)))
def test_a_clean_log_without_an_anchor_is_not_blamed_nor_called_complete(keep):
    objects = {key: data for key, data in CLEAN.items() if key not in BATCHES[keep:]}
    report = check(objects, anchors=None)
    assert report.ok
    assert (report.complete_up_to, report.anchored_at) == (None, "")


@given(key=st.sampled_from(KEYS), index=st.integers(0), flip=st.integers(1, 255))
def test_a_changed_byte(key, index, flip):
    data = bytearray(CLEAN[key])
    data[index % len(data)] ^= flip
    assert blamed(check(CLEAN | {key: bytes(data)})) == {name(key)}


@given(key=st.sampled_from(KEYS), index=st.integers(0))
def test_an_object_cut_short(key, index):
    data = CLEAN[key]
    assert blamed(check(CLEAN | {key: data[: index % len(data)]})) == {name(key)}


@given(key=st.sampled_from(KEYS), index=st.integers(0), added=st.binary(min_size=1, max_size=3))
def test_added_bytes(key, index, added):
    data = CLEAN[key]
    at = index % (len(data) + 1)
    assert blamed(check(CLEAN | {key: data[:at] + added + data[at:]})) == {name(key)}


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_object(key):
    objects = {other: data for other, data in CLEAN.items() if other != key}
    report = check(objects)
    assert blamed(report) == {name(key)}
    assert report.complete_up_to is None


@given(cut=st.integers(0, len(BATCHES) - 1))
def test_a_truncated_stream(cut):
    objects = {key: data for key, data in CLEAN.items() if key not in BATCHES[cut:]}
    objects = {key: data for key, data in objects.items() if not key.startswith("epochs/")} | {
        key: data for key, data in CLEAN.items() if key.startswith("epochs/")
    }
    [finding] = check(objects).findings
    assert finding.object == name(BATCHES[cut])
    assert re.search(r"events \d+ to 20 are missing: the anchor of .* has them", finding.message)


@given(pair=st.lists(st.sampled_from(KEYS), min_size=2, max_size=2, unique=True))
def test_two_objects_swapped(pair):
    one, other = pair
    report = check(CLEAN | {one: CLEAN[other], other: CLEAN[one]})
    assert blamed(report) == {name(one), name(other)}


@given(pair=st.lists(st.sampled_from(KEYS), min_size=2, max_size=2, unique=True))
def test_one_object_over_another(pair):
    one, other = pair
    assert blamed(check(CLEAN | {one: CLEAN[other]})) == {name(one)}


@given(key=st.sampled_from(BATCHES), slot=st.integers(0, 40))
def test_an_object_repeated_in_another_slot(key, slot):
    copy = f"streams/shard-0/{slot:010d}"
    if copy not in CLEAN:
        assert blamed(check(CLEAN | {copy: CLEAN[key]})) == {name(copy)}


@given(pair=st.lists(st.integers(1, 5), min_size=2, max_size=2, unique=True), key=st.sampled_from(BATCHES))
def test_lines_reordered_or_repeated_inside_an_object(pair, key):
    lines = CLEAN[key].split(b"\n")
    one, other = (index % len(lines) for index in pair)
    swapped = list(lines)
    swapped[one], swapped[other] = lines[other], lines[one]
    repeated = [*lines[:one], lines[one], *lines[one:]]
    for changed in (b"\n".join(swapped), b"\n".join(repeated)):
        if changed != CLEAN[key]:
            assert blamed(check(CLEAN | {key: changed})) == {name(key)}


@pytest.mark.parametrize("signer", [Signer.generate("gateway-2026"), Signer.generate("stranger"), OPERATOR])
@pytest.mark.parametrize("key", [key for key in KEYS if key != "log.json"])
def test_a_wrong_signature(key, signer):
    forged = seal(unseal(CLEAN[key]).lines, signer)
    assert blamed(check(CLEAN | {key: forged})) == {name(key)}


@given(key=st.sampled_from(BATCHES), value=st.integers(100, 999))
def test_an_object_rewritten_by_the_key_s_holder(key, value):
    sealed = unseal(CLEAN[key])
    last = sealed.lines[-1].replace(b'"id":"', b'"id":"%d' % value)
    report = check(CLEAN | {key: seal([*sealed.lines[:-1], last], KEY)})
    assert blamed(report) == ({name(key)} if key != BATCHES[-1] else {"anchor"})


HEADERS = [
    ({"log": "other"}, "object 0000000001 of stream shard-0 in log other"),
    ({"stream": "shard-1"}, "of stream shard-1"),
    ({"first": 2}, "it is the object 0000000002"),
    ({"count": 2}, "says 2 events, it has 1"),
    ({"epoch": 2}, "epoch 2 begins without"),
    ({"epoch": 0}, "comes behind"),
    ({"time": "yesterday"}, "not a time"),
]


@pytest.mark.parametrize(("changes", "message"), HEADERS)
def test_a_header_that_does_not_tell_the_truth(changes, message):
    batch = parse(CLEAN[BATCHES[1]])
    header = msgspec.json.encode(msgspec.structs.replace(batch.header, **changes))
    report = check(CLEAN | {BATCHES[1]: seal([header, *batch.lines], KEY)})
    assert name(BATCHES[1]) in blamed(report)
    assert any(message in finding.message for finding in report.findings)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"seq":1', b'"seq":2', "it has event 2 in the place of event 1"),
        (b'"seq":1,', b"", "event 1 can't be read"),
        (b"14:00", b"24:00", "hour"),
    ],
)
def test_an_event_that_does_not_tell_the_truth(old, new, message):
    batch = parse(CLEAN[BATCHES[1]])
    header = msgspec.json.encode(batch.header)
    forged = seal([header, batch.lines[0].replace(old, new)], KEY)
    [finding] = check(CLEAN | {BATCHES[1]: forged}).findings
    assert (finding.object, finding.seq) == ("0000000001", 1)
    assert message in finding.message


@pytest.mark.parametrize("foreign", ["streams/shard-0/1", "streams/shard-0/x/0000000005", "epochs/shard-0/last"])
def test_foreign_names(foreign):
    assert blamed(check(CLEAN | {foreign: b"anything"})) == {foreign}


def test_the_message_says_which_hash_and_since_when():
    data = bytearray(CLEAN[BATCHES[2]])
    data[150] ^= 1
    [finding] = check(CLEAN | {BATCHES[2]: bytes(data)}).findings
    after = parse(CLEAN[BATCHES[3]]).header
    assert finding.message.startswith(f"bytes differ from the hash in {name(BATCHES[3])} (written {after.time[11:19]})")
    assert (finding.object, finding.seq, finding.since) == (name(BATCHES[2]), 2, after.time)


def test_a_cut_last_object_is_called_so():
    [finding] = check(CLEAN | {BATCHES[-1]: CLEAN[BATCHES[-1]][:-30]}).findings
    assert finding.object == name(BATCHES[-1])
    assert "cut short" in finding.message


def test_other_shards_are_found():
    changed = CLEAN["log.json"].replace(b'"shards":2', b'"shards":3')
    [finding] = check(CLEAN | {"log.json": changed}).findings
    assert finding.message == "it says 3 shards, but stream shard-0 was claimed with 2"


def test_a_forged_anchor_is_found():
    anchors = MemoryAnchors()
    anchors.notes = {"shard-0": ANCHORS.notes["shard-0"].replace(b"\n21\n", b"\n20\n")}
    report = check(CLEAN, anchors)
    assert blamed(report) == {"anchor"}
    assert report.complete_up_to is None


def test_another_log_s_trust_file_blames_the_log():
    report = check(CLEAN, anchors=None, trust=Trust(log="other", keys=TRUST.keys))
    assert "log.json" in blamed(report)


def test_a_stream_that_is_not_there_is_empty():
    store = MemoryStore()
    store.objects = dict(CLEAN)
    report = asyncio.run(verify(store, "shard-7", TRUST, ANCHORS))
    assert (report.ok, report.events, report.complete_up_to) == (True, 0, None)
