from datetime import UTC, datetime, timedelta, timezone

import pytest

from rynxs.eventlog import TooLarge
from rynxs.eventlog.event import MAX_DEPTH, MAX_LINE, MAX_SEQ, check_time, decode, placed, timestamp, unplaced

TIME = "2026-11-23T12:00:00.000Z"


def nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


def test_a_line_has_the_fields_in_order_and_omits_the_empty(draft):
    event, rest = unplaced(draft(7, id="i"), TIME)
    assert placed(rest, 12) == (
        b'{"seq":12,"id":"i","type":"test.made","time":"2026-11-23T12:00:00.000Z","subject":"a/b","data":{"value":7}}'
    )
    assert event.actor == event.trace_id == ""


def test_a_line_with_everything(draft):
    _, rest = unplaced(draft(id="i", actor="alice", trace_id="4bf9"), TIME)
    assert b'"subject":"a/b","actor":"alice","trace_id":"4bf9","data":' in placed(rest, 0)


def test_the_writer_sees_what_a_reader_will(draft):
    made = draft(data={"tuple": (1, 2), "nan": float("nan"), "when": datetime(2026, 1, 1, tzinfo=UTC), 3: "key"})
    event, rest = unplaced(made, TIME)
    assert decode(placed(rest, 0)) == event
    assert event.data == {"tuple": [1, 2], "nan": None, "when": "2026-01-01T00:00:00Z", "3": "key"}


def test_the_longest_line(draft):
    _, rest = unplaced(draft(data={"text": ""}), TIME)
    room = MAX_LINE - len(placed(rest, MAX_SEQ))
    _, rest = unplaced(draft(data={"text": "x" * room}), TIME)
    assert len(placed(rest, MAX_SEQ)) == MAX_LINE
    with pytest.raises(TooLarge, match="65535"):
        unplaced(draft(data={"text": "x" * (room + 1)}), TIME)


def test_the_deepest_nesting(draft):
    unplaced(draft(data={"deep": nested(MAX_DEPTH - 2)}), TIME)
    for depth in (MAX_DEPTH - 1, 100_000):
        with pytest.raises(TooLarge, match="nests deeper"):
            unplaced(draft(data={"deep": nested(depth)}), TIME)


def test_many_brackets_are_not_deep(draft):
    event, _ = unplaced(draft(data={"wide": [[]] * 1000, "text": '[{"\\' * 1000}), TIME)
    assert len(event.data["wide"]) == 1000


@pytest.mark.parametrize("bad", ["\ud800", object()], ids=["surrogate", "object"])
def test_refuses_data_that_is_not_json(draft, bad):
    with pytest.raises((TypeError, ValueError)):
        unplaced(draft(data={"bad": bad}), TIME)


def test_a_deep_line_is_a_value_error():
    with pytest.raises(ValueError, match="deep"):
        decode(b'{"seq":0,"data":{"a":' + b"[" * 60_000)


def test_timestamp_is_utc_with_milliseconds():
    zone = timezone(timedelta(hours=2))
    assert timestamp(datetime(2026, 11, 23, 14, 2, 11, 200_999, zone)) == "2026-11-23T12:02:11.200Z"


@pytest.mark.parametrize(
    "bad",
    ["", "2026-11-23T12:00:00Z", "2026-11-23T12:00:00.000+00:00", "2026-13-23T12:00:00.000Z", TIME + "\n"],
)
def test_other_times_are_refused(bad):
    check_time(TIME)
    with pytest.raises(ValueError):
        check_time(bad)
