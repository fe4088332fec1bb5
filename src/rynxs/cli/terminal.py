"""The terminal: what others wrote is shown on it, and must not steer it."""

from __future__ import annotations


def one_line(text: str) -> str:
    """The text with all that is not printable escaped: it neither begins a line nor moves the cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
