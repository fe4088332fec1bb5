"""Labels and annotations: the rules of Kubernetes for keys and values (apimachinery validation)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rynxs.api.problem import InvalidField, join, shown

MAX_ANNOTATIONS = 256 * 1024
"""Most bytes of all the annotations of one object, keys and values."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


def check_key(key: str, path: str) -> None:
    """Accept `name` or `prefix/name`. Raises InvalidField at `path`."""
    prefix, slash, name = key.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not (_PREFIX.fullmatch(prefix) and len(prefix) <= 253)):
        raise InvalidField(
            path,
            f"{shown(key)} is not a valid key: at most 63 letters, digits, '-', '_' or '.', beginning and "
            "ending with a letter or digit, after an optional DNS name and '/'",
        )


def check_value(value: str, path: str) -> None:
    """Accept a label's value, which may be empty. Raises InvalidField at `path`."""
    if value and not _NAME.fullmatch(value):
        raise InvalidField(
            path,
            f"{shown(value)} is not a valid label value: at most 63 letters, digits, '-', '_' or '.', "
            "beginning and ending with a letter or digit",
        )


def check_labels(labels: Mapping[str, str], path: str) -> None:
    """Accept labels. Raises InvalidField at `path` or below."""
    check_keys(labels, path)
    for key, value in labels.items():
        check_value(value, join(path, key))


def check_annotations(annotations: Mapping[str, str], path: str) -> None:
    """Accept annotations. Raises InvalidField at `path` or below."""
    check_keys(annotations, path)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > MAX_ANNOTATIONS:
        raise InvalidField(path, f"has {size} bytes, over the limit of {MAX_ANNOTATIONS}")


def check_keys(keys: Iterable[str], path: str) -> None:
    """Accept the keys of labels or annotations. Raises InvalidField at `path`."""
    for key in keys:
        check_key(key, path)
