import pytest

from rynxs.computer.limits import GIB, MIB, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (5 * GIB, "5 GiB"),
        (int(1.5 * MIB), "1.5 MiB"),
        (4096 * GIB, "4096 GiB"),
    ],
)
def test_sizes_for_people(count, text):
    assert size(count) == text
