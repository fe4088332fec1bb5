import asyncio

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rynxs.action.outcome import Captured, Ending, Outcome
from rynxs.computer.frame import read_frame
from rynxs.computer.protocol import (
    MAX_FRAME,
    Cancel,
    Claim,
    Ended,
    Fence,
    Hello,
    Output,
    ProtocolError,
    Query,
    Refused,
    Run,
    Running,
    Settled,
    decode_to_daemon,
    decode_to_gateway,
    encode,
)

OUTCOME = Outcome(
    ending=Ending.FINISHED, result={"exit_code": 0}, seconds=0.5, stdout=Captured(sha256="ab" * 32, bytes=1, dropped=2)
)
TO_DAEMON = [
    Claim(fence=Fence(1, 2), open=["a"]),
    Run(action="a", fence=Fence(1, 2), boot="b", tool="t", args=b"{}", timeout=1.5, max_output=9),
    Cancel(action="a"),
    Query(action="a"),
    Settled(action="a"),
]
TO_GATEWAY = [
    Hello(protocol=1, boot="b", walls={"pid": "1"}),
    Output(action="a", stream="stderr", data=b"\x00\xff"),
    Ended(action="a", outcome=OUTCOME),
    Running(action="a"),
    Refused(action="a", reason="fence"),
]


async def read(data: bytes) -> bytes | None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await read_frame(reader)


@pytest.mark.parametrize(
    ("decode", "message"), [(decode_to_daemon, m) for m in TO_DAEMON] + [(decode_to_gateway, m) for m in TO_GATEWAY]
)
async def test_every_frame_comes_back_as_it_was(decode, message):
    body = await read(encode(message))
    assert decode(body) == message


@pytest.mark.parametrize("decode", [decode_to_daemon, decode_to_gateway])
@settings(deadline=None)
@given(st.binary(max_size=200))
def test_rubbish_is_a_protocol_error_and_nothing_else(decode, body):
    try:
        decode(body)
    except ProtocolError:
        pass


@pytest.mark.parametrize("decode", [decode_to_daemon, decode_to_gateway])
@settings(deadline=None)
@given(st.data())
def test_a_damaged_frame_is_a_protocol_error_or_a_frame(decode, data):
    message = data.draw(st.sampled_from(TO_DAEMON if decode is decode_to_daemon else TO_GATEWAY))
    body = bytearray(encode(message)[4:])
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(body))
    except ProtocolError:
        pass


@pytest.mark.parametrize("decode", [decode_to_daemon, decode_to_gateway])
def test_deeply_nested_rubbish_is_a_protocol_error(decode):
    body = b"\x82\xa4type\xa5ended\xa7outcome" + b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(ProtocolError):
        decode(body)


def test_each_side_takes_only_the_other_sides_frames():
    with pytest.raises(ProtocolError):
        decode_to_daemon(msgspec.msgpack.encode(TO_GATEWAY[0]))
    with pytest.raises(ProtocolError):
        decode_to_gateway(msgspec.msgpack.encode(TO_DAEMON[0]))


async def test_a_frame_that_is_too_long_is_refused_before_it_is_read():
    with pytest.raises(ProtocolError, match="longer"):
        await read((MAX_FRAME + 1).to_bytes(4, "big"))


@pytest.mark.parametrize("cut", [1, 3, 4, 7])
async def test_a_frame_that_is_cut_short_is_refused(cut):
    with pytest.raises(ProtocolError, match="inside a frame"):
        await read(encode(TO_GATEWAY[3])[:cut])


async def test_the_end_between_frames_is_no_error():
    assert await read(b"") is None
