import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from rynxs.action.outcome import Captured
from rynxs.computer.output import Capture


def test_the_limit_is_for_both_streams_together():
    capture = Capture(5)
    assert capture.take("stdout", b"abc") == b"abc"
    assert capture.take("stderr", b"def") == b"de"
    assert capture.take("stdout", b"g") == b""
    assert capture.captured("stdout") == Captured(sha256=hashlib.sha256(b"abc").hexdigest(), bytes=3, dropped=1)
    assert capture.captured("stderr") == Captured(sha256=hashlib.sha256(b"de").hexdigest(), bytes=2, dropped=1)


@settings(deadline=None)
@given(st.integers(0, 30), st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=9))))
def test_what_is_kept_and_dropped_adds_up(limit, writes):
    capture = Capture(limit)
    kept = {"stdout": b"", "stderr": b""}
    given_ = {"stdout": b"", "stderr": b""}
    for stream, data in writes:
        given_[stream] += data
        kept[stream] += capture.take(stream, data)
    for stream in ("stdout", "stderr"):
        captured = capture.captured(stream)
        assert captured.bytes + captured.dropped == len(given_[stream])
        assert given_[stream].startswith(kept[stream])
        assert captured.sha256 == hashlib.sha256(kept[stream]).hexdigest()
    total = len(given_["stdout"]) + len(given_["stderr"])
    assert len(kept["stdout"]) + len(kept["stderr"]) == min(limit, total)
