import itertools

import pytest

from rynxs.eventlog import Signer, Trust
from rynxs.eventlog.batch import Header, encode
from rynxs.eventlog.slot import Verdict, settle

OURS, OTHER, STRANGER = Signer.generate("ours"), Signer.generate("other"), Signer.generate("ours")
TRUST = Trust(log="test", keys=[OURS.trusted(["shard-*"]), OTHER.trusted(["shard-*"])])


def batch(incarnation=2, epoch=5, first=7, log="test", stream="shard-0", signer=OURS, put="p"):
    header = Header(
        format=1,
        log=log,
        stream=stream,
        first=first,
        count=1,
        epoch=epoch,
        incarnation=incarnation,
        writer="w",
        put=put,
        prev="",
        time="2026-11-23T12:00:00.000Z",
    )
    return encode(header, [b"{}"], signer)


def judge(found):
    return settle(found, batch(), slot=7, log="test", stream="shard-0", fence=(2, 5), trust=TRUST)


def test_nothing_is_missing():
    assert judge(None) is Verdict.MISSING


def test_the_same_bytes_are_ours():
    assert judge(batch()) is Verdict.OURS


@pytest.mark.parametrize("incarnation", [1, 2, 3])
@pytest.mark.parametrize("epoch", [4, 5, 6])
def test_every_other_batch(incarnation, epoch):
    for first, log, stream, signer, whole in itertools.product(
        (6, 7), ("test", "else"), ("shard-0", "shard-1"), (OURS, OTHER, STRANGER), (True, False)
    ):
        found = batch(incarnation, epoch, first, log, stream, signer, put="another")
        belongs = (first, log, stream) == (7, "test", "shard-0") and signer is not STRANGER and whole
        if not belongs or (incarnation, epoch) == (2, 5):
            expected = Verdict.FOREIGN
        elif incarnation > 2 or (incarnation == 2 and epoch > 5):
            expected = Verdict.NEWER
        else:
            expected = Verdict.OLDER
        assert judge(found if whole else found[:-1]) is expected


@pytest.mark.parametrize("found", [b"", b"\n", b"{}\n", batch()[:-1], batch() + b"\n", batch().replace(b"p", b"q", 1)])
def test_what_is_no_batch_is_foreign(found):
    assert judge(found) is Verdict.FOREIGN
