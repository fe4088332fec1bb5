"""Summaries: what people and the log are told of an object."""

from __future__ import annotations

import hashlib

import msgspec

from rynxs.api.agent import Agent
from rynxs.api.manifest import Item


def name_of(item: Item) -> str:
    """`agentpolicy/coder`."""
    return f"{type(item).__name__.lower()}/{item.metadata.name}"


def hash_of(item: Item) -> str:
    """`sha256:<hex>` over the object as JSON with sorted keys."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(item, order="sorted")).hexdigest()


def note_of(item: Item) -> str:
    """What is said beside a policy's name: the beginning of its hash, and how many rules it has. Empty for agents."""
    if isinstance(item, Agent):
        return ""
    count = len(item.spec.rules)
    return f"policy {hash_of(item)[:15]}... ({count} rule{'s' * (count != 1)})"
