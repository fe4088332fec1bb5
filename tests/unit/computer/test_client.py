"""The client against daemons that lie: nothing they send hangs it, fills its memory, or raises anything unexpected."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from rynxs.action.outcome import Ending, Outcome
from rynxs.computer.client import MAX_OUTPUT_FRAMES, Client, ConnectionLost
from rynxs.computer.frame import LIMIT, read_frame
from rynxs.computer.protocol import (
    CHUNK,
    MAX_FRAME,
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
    encode,
)

DONE = Outcome(ending=Ending.FINISHED)
HELLO = Hello(protocol=1, boot="b", walls={})
RUN = Run(action="a", fence=Fence(1, 1), boot="b", tool="t", args=b"", timeout=1, max_output=10)


class Daemon:
    """The other end, driven by the test."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def say(self, *messages):
        for message in messages:
            self.writer.write(message if isinstance(message, bytes) else encode(message))

    async def hears(self):
        return decode_to_daemon(await read_frame(self.reader))


async def pair():
    ours, theirs = socket.socketpair()
    daemon = Daemon(*await asyncio.open_connection(sock=theirs))
    return daemon, await asyncio.open_connection(sock=ours, limit=LIMIT)


@pytest.fixture
async def link() -> AsyncIterator[tuple[Client, Daemon]]:
    daemon, streams = await pair()
    daemon.say(HELLO)
    client = await Client.connect(*streams)
    yield client, daemon
    await client.close()
    daemon.writer.transport.abort()


async def collect(client, run=RUN):
    return [item async for item in client.run(run)]


def out(data: bytes = b"x", action: str = "a") -> Output:
    return Output(action=action, stream="stdout", data=data)


def ended(action: str = "a") -> Ended:
    return Ended(action=action, outcome=DONE)


async def test_a_run_gives_its_output_and_its_end(link):
    client, daemon = link
    running = asyncio.create_task(collect(client))
    assert await daemon.hears() == RUN
    daemon.say(out(b"hi"), ended())
    assert await running == [out(b"hi"), ended()]
    await client.settle("a")
    assert await daemon.hears() == Settled(action="a")


async def test_a_refused_run_ends_with_the_reason(link):
    client, daemon = link
    daemon_says = Refused(action="a", reason="fence")
    running = asyncio.create_task(collect(client))
    await daemon.hears()
    daemon.say(daemon_says)
    assert await running == [daemon_says]


async def test_runs_do_not_mix(link):
    client, daemon = link
    runs = [Run(**{**{f: getattr(RUN, f) for f in RUN.__struct_fields__}, "action": name}) for name in "ab"]
    tasks = [asyncio.create_task(collect(client, run)) for run in runs]
    await daemon.hears()
    await daemon.hears()
    daemon.say(out(b"1", "b"), out(b"2", "a"), ended("b"), ended("a"))
    assert await asyncio.gather(*tasks) == [[out(b"2", "a"), ended("a")], [out(b"1", "b"), ended("b")]]


BAD_HELLOS = [
    b"",
    encode(ended()),
    b"\xff\xff\xff\xff",
    (MAX_FRAME + 1).to_bytes(4, "big"),
    b"\x00\x00\x00\x03\xc1\xc1\xc1",
    encode(HELLO)[:-2],
    encode(Hello(protocol=2, boot="b", walls={})),
]


@pytest.mark.parametrize("hello", BAD_HELLOS)
async def test_a_bad_hello_is_no_connection(hello):
    daemon, streams = await pair()
    daemon.say(hello)
    daemon.writer.write_eof()
    with pytest.raises(ConnectionLost):
        await Client.connect(*streams)
    daemon.writer.transport.abort()


LIES = {
    "second hello": [HELLO],
    "output of an unknown action": [out(action="z")],
    "end of an unknown action": [ended("z")],
    "second end": [ended(), ended()],
    "output after the end": [ended(), out()],
    "end after a refusal": [Refused(action="a", reason="fence"), ended()],
    "refusal of what runs": [out(), Refused(action="a", reason="fence")],
    "more output than allowed": [out(b"x" * 6), out(b"x" * 5)],
    "an empty output": [out(b"")],
    "a state nobody asked for": [Running(action="a")],
    "an unknown nobody asked for": [Refused(action="a", reason="unknown")],
    "not a frame": [b"\x00\x00\x00\x02\xc1\xc1"],
    "text that is not UTF-8": [encode(HELLO).replace(b"hello", b"\xff\xff\xff\xff\xff")],
    "a giant frame": [(MAX_FRAME + 1).to_bytes(4, "big")],
    "a frame of the gateway's": [encode(RUN)],
}


@pytest.mark.parametrize("frames", LIES.values(), ids=LIES.keys())
async def test_a_lie_ends_the_connection_for_all(link, frames):
    client, daemon = link
    running = asyncio.create_task(collect(client))
    await daemon.hears()
    asking = asyncio.create_task(client.query("other"))
    await daemon.hears()
    daemon.say(*frames)
    with pytest.raises(ConnectionLost):
        await asking
    await asyncio.wait([running])
    with pytest.raises(ConnectionLost) as lost:
        await client.cancel("a")
    assert isinstance(lost.value.__cause__, ProtocolError)


async def test_an_output_frame_has_a_longest_size(link):
    client, daemon = link
    run = Run(action="a", fence=Fence(1, 1), boot="b", tool="t", args=b"", timeout=1, max_output=10 * CHUNK)
    running = asyncio.create_task(collect(client, run))
    await daemon.hears()
    daemon.say(out(b"x" * (CHUNK + 1)))
    with pytest.raises(ConnectionLost):
        await running


async def test_tiny_output_frames_are_bounded_too(link):
    client, daemon = link
    run = Run(action="a", fence=Fence(1, 1), boot="b", tool="t", args=b"", timeout=1, max_output=1 << 30)
    running = asyncio.create_task(collect(client, run))
    await daemon.hears()
    daemon.say(encode(out()) * (MAX_OUTPUT_FRAMES + 1))
    with pytest.raises(ConnectionLost, match="more output"):
        await running


async def test_output_comes_before_the_loss(link):
    client, daemon = link
    items = []

    async def follow():
        async for item in client.run(RUN):
            items.append(item)  # noqa: PERF401 - what came before the loss is to be kept

    following = asyncio.create_task(follow())
    await daemon.hears()
    daemon.say(out())
    daemon.writer.close()
    with pytest.raises(ConnectionLost, match="closed"):
        await following
    assert items == [out()]


async def test_every_call_after_the_loss_raises(link):
    client, daemon = link
    daemon.writer.transport.abort()
    with pytest.raises(ConnectionLost):
        await client.query("a")
    for call in (
        client.claim(Fence(1, 1), []),
        client.cancel("a"),
        client.settle("a"),
        client.wait("a"),
        collect(client),
    ):
        with pytest.raises(ConnectionLost):
            await call


async def test_a_run_that_is_left_early_is_waited_for(link):
    client, daemon = link
    run = client.run(RUN)
    first = asyncio.create_task(anext(run))
    await daemon.hears()
    daemon.say(out())
    assert await first == out()
    await run.aclose()
    waiting = asyncio.create_task(client.wait("a"))
    assert await daemon.hears() == Query(action="a")
    daemon.say(Running(action="a"), out(b"ignored"), ended())
    assert await waiting == ended()


async def test_an_end_that_crosses_a_query_is_not_a_second_end(link):
    client, daemon = link
    running = asyncio.create_task(collect(client))
    await daemon.hears()
    asking = asyncio.create_task(client.query("a"))
    await daemon.hears()
    daemon.say(ended(), ended())  # the run's own, and the answer
    assert await running == [ended()]
    assert await asking == ended()


async def test_waiting_for_what_runs_from_before(link):
    client, daemon = link
    waiting = asyncio.create_task(client.wait("a"))
    await daemon.hears()
    daemon.say(Running(action="a"))
    asking = asyncio.create_task(client.query("a"))
    await daemon.hears()
    daemon.say(Running(action="a"), ended())
    assert await asking == Running(action="a")
    assert await waiting == ended()


async def test_an_unknown_action_is_told(link):
    client, daemon = link
    waiting = asyncio.create_task(client.wait("a"))
    await daemon.hears()
    daemon.say(Refused(action="a", reason="unknown"))
    assert await waiting == Refused(action="a", reason="unknown")


async def test_an_action_is_not_sent_twice(link):
    client, daemon = link
    running = asyncio.create_task(collect(client))
    await daemon.hears()
    with pytest.raises(ValueError, match="sent to this computer already"):
        await collect(client)
    daemon.say(ended())
    await running


# After a takeover: what the log holds open may run from before


async def claimed(link, *open_ids):
    client, daemon = link
    await client.claim(Fence(1, 2), open_ids)
    await daemon.hears()


async def test_output_of_what_is_open_is_dropped(link):
    client, daemon = link
    await claimed(link, "a")
    daemon.say(*(out(b"x" * CHUNK) for _ in range(100)))
    waiting = asyncio.create_task(client.wait("a"))
    assert await daemon.hears() == Query(action="a")
    daemon.say(out(), Running(action="a"), *(out(b"x" * CHUNK) for _ in range(100)), ended())
    assert await waiting == ended()
    assert client.alive


async def test_an_end_that_nobody_has_asked_for_yet_is_said_again(link):
    client, daemon = link
    await claimed(link, "a")
    daemon.say(ended())
    waiting = asyncio.create_task(client.wait("a"))
    await daemon.hears()
    daemon.say(ended())
    assert await waiting == ended()


async def test_an_end_that_crosses_the_query_after_a_takeover(link):
    client, daemon = link
    await claimed(link, "a")
    waiting = asyncio.create_task(client.wait("a"))
    await daemon.hears()
    daemon.say(ended(), ended())  # it has just ended, and the answer
    assert await waiting == ended()
    asking = asyncio.create_task(client.query("b"))
    await daemon.hears()
    daemon.say(Refused(action="b", reason="unknown"))
    assert await asking == Refused(action="b", reason="unknown")


async def test_only_what_is_open_may_speak_unasked(link):
    client, daemon = link
    await claimed(link, "a")
    daemon.say(out(action="b"))
    with pytest.raises(ConnectionLost, match="sent output of action b, which does not run"):
        await client.wait("a")


async def test_what_is_settled_is_not_open_any_more(link):
    client, daemon = link
    await claimed(link, "a")
    await client.settle("a")
    daemon.say(ended())
    with pytest.raises(ConnectionLost, match="a state of action a that nobody asked for"):
        await client.wait("b")


@pytest.mark.parametrize("frame", [Running(action="a"), Refused(action="a", reason="unknown")])
async def test_other_states_of_what_is_open_are_still_asked_for(link, frame):
    client, daemon = link
    await claimed(link, "a")
    daemon.say(frame)
    with pytest.raises(ConnectionLost, match="nobody asked for"):
        await client.wait("b")


async def test_what_runs_from_before_is_bounded_too(link):
    client, daemon = link
    await claimed(link, "a")
    waiting = asyncio.create_task(client.wait("a"))
    await daemon.hears()
    daemon.say(Running(action="a"), *(out() for _ in range(MAX_OUTPUT_FRAMES + 1)))
    with pytest.raises(ConnectionLost, match="more output of action a than it may"):
        await waiting
