"""Plain scalars: what an unquoted word of YAML means.

The reading is kubectl's (sigs.k8s.io/yaml): YAML 1.1 as go-yaml v2 resolves it, then JSON. So `yes` is true,
`010` is 8 and `1e3` is 1000, but `1:30` and dates are strings.
"""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_CONSTANTS: dict[str, bool | None] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
for _words, _value in ((("y", "yes", "true", "on"), True), (("n", "no", "false", "off"), False)):
    for _word in _words:
        _CONSTANTS |= dict.fromkeys((_word, _word.capitalize(), _word.upper()), _value)

_INT = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))")
_BASES = (16, 2, 8, 10)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def plain(text: str) -> Scalar:
    """Read an unquoted scalar. Raises ValueError for what has no JSON value (`.inf`, `.nan`)."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a number in JSON")
    if text[0] not in "+-.0123456789":
        return text
    digits = text if text[0] == "." else text.replace("_", "")
    whole = _whole(digits)
    if whole is not None:
        return whole
    if _FLOAT.fullmatch(digits) and math.isfinite(number := float(digits)):
        # JSON has one kind of number, and Go writes it without a point or an exponent up to here.
        return int(number) if number.is_integer() and abs(number) < 1e21 else number
    return text


def _whole(digits: str) -> int | None:
    """Read a whole number of 64 bits as Go's ParseInt does with base 0; None for anything else."""
    match = _INT.fullmatch(digits)
    if match is None or len(digits) > 80:
        return None
    sign, *bodies = match.groups()
    body, base = next((body, base) for body, base in zip(bodies, _BASES, strict=True) if body)
    number = int(sign + body, base)
    return number if -(2**63) <= number < 2**64 else None
