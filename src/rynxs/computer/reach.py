"""What a computer can reach: tried from inside its pod before anything untrusted runs there.

The rules that close a pod's network are put in place by the node some time after the pod has its address. So a
round is repeated until nothing answers, or the patience is over.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NoReturn

import msgspec
from msgspec import Struct

TIMEOUT = 1.0
"""Seconds that one try waits for an answer: far more than any of these needs when it can be reached."""

PATIENCE = 30.0
"""Seconds until a target that still answers counts as a hole."""

QUIET_ROUNDS = 2
"""So many rounds in a row must stay without any answer."""

_MESSAGE = Path("/dev/termination-log")


class Target(Struct, frozen=True, kw_only=True):
    """Something that must not answer: `name` says what it is to a person.

    `tcp` counts a connection that is accepted: one that is refused does not, since a network policy may refuse, too.
    `dns` sends a query (RFC 1035) by UDP and counts any answer.
    """

    name: str
    host: str
    port: int
    kind: Literal["tcp", "dns"] = "tcp"


def main(targets: str) -> NoReturn:
    """Exit 0 when nothing of the JSON list of Targets answers, else 1; the pod's termination message says what."""
    wanted = msgspec.json.decode(targets, type=list[Target])
    answering = watch(wanted)
    if not answering:
        sys.exit(0)
    said = "; ".join(f"{target.name} answers at {target.host}:{target.port}" for target in answering)
    _MESSAGE.write_text(said)
    sys.exit(said)


def watch(targets: list[Target], *, patience: float = PATIENCE) -> list[Target]:
    """The targets that still answer after `patience` seconds; empty as soon as all have been silent."""
    deadline = time.monotonic() + patience
    quiet = 0
    with ThreadPoolExecutor(max(1, len(targets))) as pool:
        while True:
            answers = list(pool.map(answers_at, targets))
            answering = [target for target, answered in zip(targets, answers, strict=True) if answered]
            quiet = 0 if answering else quiet + 1
            if quiet >= QUIET_ROUNDS:
                return []
            if answering and time.monotonic() >= deadline:
                return answering
            if answering:
                time.sleep(0.1)


def answers_at(target: Target) -> bool:
    """Whether the target can be reached from here."""
    try:
        return _dns(target) if target.kind == "dns" else _tcp(target)
    except OSError:
        return False


def _tcp(target: Target) -> bool:
    with socket.create_connection((target.host, target.port), timeout=TIMEOUT):
        return True


def _dns(target: Target) -> bool:
    family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
    query = (
        struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + b"\x0akubernetes\x07default\x03svc\x00" + struct.pack(">2H", 1, 1)
    )
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(TIMEOUT)
        asking.connect((target.host, target.port))
        asking.send(query)
        return bool(asking.recv(512))
