import time
import uuid

import pytest

from rynxs.eventlog import time_of, uuid7


def test_is_a_uuid_of_version_7():
    parsed = uuid.UUID(uuid7())
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)


def test_carries_its_time():
    assert time_of(uuid7(1_700_000_000_123)) == 1_700_000_000.123
    assert abs(time_of(uuid7()) - time.time()) < 5


def test_vector_of_the_rfc():
    # RFC 9562 appendix A.6
    assert time_of("017f22e2-79b0-7cc3-98c4-dc0c0c07398f") == 1_645_557_742.0


def test_ids_of_one_millisecond_rise():
    ids = [uuid7(1_700_000_000_000) for _ in range(10_000)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
        "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-78c4-dc0c0c07398f",
        "017f22e279b07cc398c4dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n",
        "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}",
    ],
)
def test_refuses_what_is_not_one(bad):
    with pytest.raises(ValueError, match="not a UUIDv7"):
        time_of(bad)


@pytest.mark.parametrize("bad", [-1, 1 << 48])
def test_refuses_a_time_that_does_not_fit(bad):
    with pytest.raises(ValueError, match="does not fit"):
        uuid7(bad)
