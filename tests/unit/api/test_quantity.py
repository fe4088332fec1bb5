from fractions import Fraction

import pytest

from rynxs.api.quantity import MAX_QUANTITY, parse, to_bytes, to_millicores


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("250m", Fraction(1, 4)), ("2", 2), (2, 2), (0.1, Fraction(1, 10)), ("1.5G", 1_500_000_000),
        ("512Mi", 512 * 2**20), ("0.5Ki", 512), ("1E", 10**18), ("1e3", 1000), ("1E3", 1000),
        ("1e-3", Fraction(1, 1000)),
        ("5.", 5), (".5", Fraction(1, 2)), ("100n", Fraction(1, 10**7)), ("7u", Fraction(7, 10**6)), ("3k", 3000),
        ("7Ei", 7 * 2**60), (MAX_QUANTITY, MAX_QUANTITY), ("0", 0),
    ],
)  # fmt: skip
def test_quantities_are_exact(text, number):
    assert parse(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5Gb",
        "5 Gi",
        "-1",
        "+1",
        "Gi",
        "1KB",
        "1K",
        "0x10",
        "1e",
        "1e100",
        ".",
        "1.2.3",
        "٣",
        "1\n",
        "nan",
    ],
)
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError) as error:
        parse(text)
    assert str(error.value) == f"{text!r} is not a quantity: write a number and a suffix, as 250m, 2, 512Mi or 1.5G"


def test_a_quantity_over_the_limit():
    with pytest.raises(ValueError, match="'8Ei' is over the largest quantity, 9223372036854775807"):
        parse("8Ei")


def test_bytes_are_whole():
    assert to_bytes("1.5Gi") == 1610612736
    with pytest.raises(ValueError) as error:
        to_bytes("512m")
    assert str(error.value) == "'512m' is not a whole number of bytes: for mebibytes write Mi, as 512Mi"


def test_processor_time_is_in_thousandths():
    assert to_millicores("2") == 2000
    assert to_millicores(0.25) == 250
    with pytest.raises(ValueError, match=r"'0.0001' is finer than a thousandth of a core \(1m\)"):
        to_millicores("0.0001")
