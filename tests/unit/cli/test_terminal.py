import pytest

from rynxs.cli.terminal import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [("größe 7", "größe 7"), ("a\nb", "a\\nb"), ("\x1b[2J", "\\x1b[2J"), ("\u202eevil", "\\u202eevil")],
)
def test_nothing_steers_it(text, shown):
    assert one_line(text) == shown
