"""Decisions: what policy says of one action, and by which rule."""

from __future__ import annotations

import enum

from msgspec import Struct


class Effect(enum.StrEnum):
    """What a rule, or a decision, says."""

    ALLOW = "Allow"
    DENY = "Deny"


class Decision(Struct, frozen=True, kw_only=True):
    """What policy says of one action.

    `rule` is `<policy>/<rule>`, or empty when no rule matched. `message` is for the caller. `policies` is the
    SHA-256 (`sha256:<hex>`) of all the policies that apply to the agent.
    """

    effect: Effect
    rule: str
    message: str
    policies: str
