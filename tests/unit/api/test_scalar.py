import pytest

from rynxs.api.scalar import plain

# Read from `kubectl annotate --local -o json` (v1.32) unless a comment says otherwise.
KUBECTL = {
    "yes": True, "y": True, "Y": True, "on": True, "TRUE": True, "True": True,
    "No": False, "n": False, "OFF": False, "false": False,
    "tRUE": "tRUE", "yEs": "yEs",
    "~": None, "": None, "Null": None, "nULL": "nULL",
    "1:30": "1:30", "190:20:30": "190:20:30",
    "2001-12-14": "2001-12-14", "2001-12-14t21:59:43.10-05:00": "2001-12-14t21:59:43.10-05:00",
    "0o7": 7, "0O7": 7, "-0o7": -7, "0o8": "0o8",
    "010": 8, "-010": -8, "0_7": 7, "09": 9, "0": 0, "-0": 0,
    "0x1F": 31, "0X1F": 31, "+0x1F": 31, "-0x1f": -31, "0x": "0x",
    "0b11": 3, "0B1": 1, "-0b11": -3, "0b12": "0b12",
    "+12": 12, "1_000": 1000, "1__0": 10, "_1": "_1",
    ".5": 0.5, "+.5": 0.5, "-.5": -0.5, "1.": 1, "1.0": 1, "0.1": 0.1, "+1.5": 1.5,
    "1e3": 1000, "1E+3": 1000, "1.e3": 1000, "12e03": 12000, ".5e3": 500, "1e": "1e", "1e21": 1e21,
    "685_230.15": 685230.15, "1_0.5": 10.5, "._5": "._5", ".5.": ".5.",
    "1e400": "1e400", "100000000000000000000": 100000000000000000000,
    "18446744073709551615": 18446744073709551615,
    "=": "=", "250m": "250m", "1.5G": "1.5G", "-": "-", "٣": "٣",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), KUBECTL.items())
def test_plain_scalars_mean_what_they_mean_to_kubectl(text, value):
    read = plain(text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("text", [".inf", "-.Inf", "+.INF", ".nan", ".NaN"])
def test_what_json_cannot_say_is_refused(text):
    with pytest.raises(ValueError, match=r"is not a number in JSON"):
        plain(text)


def test_a_very_long_number_is_no_work():
    assert plain("1" * 100_000) == "1" * 100_000
