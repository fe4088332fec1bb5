"""The Merkle tree of a stream (RFC 6962 section 2.1). A leaf is an event's line. Pure."""

from __future__ import annotations

import hashlib

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree without leaves."""


def leaf(entry: bytes) -> bytes:
    """Hash of an entry as a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Hash of two subtrees' hashes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: the hashes of its perfect subtrees, the largest first.

    34 hashes at most for a full stream; enough to add leaves and to compute the root.
    """

    def __init__(self) -> None:
        self.size = 0
        self.hashes: list[bytes] = []

    def append(self, entry: bytes) -> None:
        """Add an entry as the last leaf."""
        hash_ = leaf(entry)
        size = self.size
        while size & 1:
            hash_ = node(self.hashes.pop(), hash_)
            size >>= 1
        self.hashes.append(hash_)
        self.size += 1

    def root(self) -> bytes:
        """The tree's root hash, 32 bytes."""
        if not self.hashes:
            return EMPTY_ROOT
        hash_ = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            hash_ = node(left, hash_)
        return hash_
