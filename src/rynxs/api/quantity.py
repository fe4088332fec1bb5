"""Quantities of resources as Kubernetes writes them (`250m`, `512Mi`, `1.5G`), read exactly."""

from __future__ import annotations

import re
from fractions import Fraction

Quantity = str | int | float
"""How a manifest gives a quantity: a string with an optional suffix, or a plain number."""

MAX_QUANTITY = 2**63 - 1
"""The largest quantity, as in Kubernetes."""

PATTERN = r"^([0-9]{1,32}(\.[0-9]{0,32})?|\.[0-9]{1,32})([eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkMGTPE]?)$"
"""What `parse` takes, for other people's validators."""

_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_QUANTITY = re.compile(
    r"(?P<number>[0-9]{1,32}(?:\.[0-9]{0,32})?|\.[0-9]{1,32})"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,2})|(?P<suffix>[KMGTPE]i|[numkMGTPE]|))"
)


def parse(quantity: Quantity) -> Fraction:
    """Read a quantity as an exact number. Raises ValueError that says what a quantity looks like."""
    text = str(quantity)
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:64]!r} is not a quantity: write a number and a suffix, as 250m, 2, 512Mi or 1.5G")
    number = Fraction(f"0{match['number']}" if match["number"].startswith(".") else match["number"].rstrip("."))
    if match["exponent"]:
        number *= Fraction(10) ** int(match["exponent"])
    elif match["suffix"] in _BINARY:
        number *= 2 ** _BINARY[match["suffix"]]
    else:
        number *= Fraction(10) ** _SUFFIXES[match["suffix"]]
    if number > MAX_QUANTITY:
        raise ValueError(f"{text!r} is over the largest quantity, {MAX_QUANTITY}")
    return number


def to_bytes(quantity: Quantity) -> int:
    """Read a size in bytes. Raises ValueError, also for a fraction of a byte (`512m` is half a byte)."""
    number = parse(quantity)
    if number.denominator != 1:
        raise ValueError(f"{str(quantity)!r} is not a whole number of bytes: for mebibytes write Mi, as 512Mi")
    return number.numerator


def to_millicores(quantity: Quantity) -> int:
    """Read processor time in thousandths of a core. Raises ValueError, also for less than a thousandth."""
    number = parse(quantity) * 1000
    if number.denominator != 1:
        raise ValueError(f"{str(quantity)!r} is finer than a thousandth of a core (1m)")
    return number.numerator
