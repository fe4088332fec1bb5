"""Measurements: `python -m bench [name...]`. They print; nothing asserts a time."""
