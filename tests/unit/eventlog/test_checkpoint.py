import base64

import pytest

from rynxs.eventlog import BadNote, Checkpoint, Position, Signer, Trust, WrongLog
from rynxs.eventlog.checkpoint import open_checkpoint, read_checkpoint
from rynxs.eventlog.merkle import EMPTY_ROOT
from rynxs.eventlog.note import sign

SIGNER = Signer.generate("gateway-2026")
TRUST = Trust(log="prod", keys=[SIGNER.trusted(["shard-*"])])
HASH = "sha256:" + "5" * 64


def checkpoint(**changes):
    fields = {
        "log": "prod",
        "stream": "shard-3",
        "size": 414,
        "root": bytes(range(32)),
        "last": Position(stream="shard-3", batch=412, seq=413, hash=HASH),
        "epoch": 7,
        "incarnation": 1,
        "time": "2026-11-23T14:02:21.000Z",
    }
    return Checkpoint(**(fields | changes))


def test_is_a_c2sp_checkpoint_with_extension_lines():
    text, _, signature = checkpoint().sign(SIGNER).decode().partition("\n\n")
    assert text.split("\n") == [
        "rynxs.dev/log/prod/shard-3",
        "414",
        base64.b64encode(bytes(range(32))).decode(),
        f"last 0000000412 {HASH}",
        "epoch 7",
        "incarnation 1",
        "time 2026-11-23T14:02:21.000Z",
    ]
    assert signature.startswith("— gateway-2026 ")


@pytest.mark.parametrize("changes", [{}, {"size": 0, "root": EMPTY_ROOT, "last": None, "epoch": 0}])
def test_what_is_signed_is_opened(changes):
    made = checkpoint(**changes)
    assert open_checkpoint(made.sign(SIGNER), TRUST, "shard-3") == made
    assert read_checkpoint(made.sign(SIGNER)) == made


def test_another_signer_is_refused():
    with pytest.raises(BadNote, match="no trusted key"):
        open_checkpoint(checkpoint().sign(Signer.generate("gateway-2026")), TRUST, "shard-3")


@pytest.mark.parametrize("changes", [{"log": "test"}, {"stream": "shard-4"}])
def test_another_stream_is_refused(changes):
    with pytest.raises(WrongLog, match="anchor is of log"):
        open_checkpoint(checkpoint(**changes).sign(SIGNER), TRUST, "shard-3")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("414", "0414"),
        ("414", "-1"),
        ("epoch 7\n", ""),
        ("incarnation 1", "incarnation 0"),
        ("time 2026", "time 02026"),
        ("T14", "T25"),
        ("last 0000000412", "last 412"),
        ("rynxs.dev", "example.com"),
    ],
)
def test_another_text_is_no_checkpoint(old, new):
    text = checkpoint().sign(SIGNER).decode().partition("\n\n")[0] + "\n"
    with pytest.raises(BadNote, match="not a checkpoint"):
        open_checkpoint(sign(text.replace(old, new), SIGNER), TRUST, "shard-3")
