"""Requests: validation, canonical form, ids."""

from __future__ import annotations

import msgspec
import pytest

from rynxs.action.request import (
    RETRY_WINDOW,
    AgentRef,
    InvalidRequest,
    Principal,
    Request,
    check_id,
    parse_args,
)
from rynxs.eventlog import uuid7

AGENT = AgentRef(namespace="team-a", name="dev", uid="u1")


def request(args: dict, *, agent: AgentRef = AGENT, principal: str = "alice") -> Request:
    tool, parsed = parse_args("shell_exec", args)
    return Request(id=uuid7(), agent=agent, principal=Principal(name=principal), tool=tool, args=parsed)


def test_unknown_tool_names_the_tools() -> None:
    with pytest.raises(InvalidRequest, match="there is no tool 'rm'; the tools are file_delete, file_list"):
        parse_args("rm", {})


def test_wrong_arguments_name_tool_and_field() -> None:
    with pytest.raises(InvalidRequest, match=r"arguments of shell_exec: .*\$.argv\[1\]"):
        parse_args("shell_exec", {"argv": ["ls", 1]})


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="arguments of file_write"):
        parse_args("file_write", {"path": "a", "content": "\ud800"})


def test_digest_is_of_agent_principal_tool_and_arguments() -> None:
    one = request({"argv": ["ls"], "cwd": "."})
    assert one.digest() == request({"argv": ["ls"]}).digest()  # defaults filled in
    assert one.digest() != request({"argv": ["ls", "-l"]}).digest()
    assert one.digest() != request({"argv": ["ls"]}, principal="bob").digest()
    other = msgspec.structs.replace(AGENT, uid="u2")
    assert one.digest() != request({"argv": ["ls"]}, agent=other).digest()


def test_order_of_environment_does_not_matter() -> None:
    one = request({"argv": ["ls"], "env": {"A": "1", "B": "2"}})
    assert one.digest() == request({"argv": ["ls"], "env": {"B": "2", "A": "1"}}).digest()


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("id_", "reason"),
    [
        ("", "is not a UUIDv7"),
        ("0199", "is not a UUIDv7"),
        ("7d444840-9dc0-11d1-b245-5ffdce74fad2", "is not a UUIDv7"),
    ],
)
def test_ids_that_are_refused(id_, reason) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        check_id(id_, NOW)


def test_ids_in_the_window_are_taken() -> None:
    for age in (-200, 0, RETRY_WINDOW - 1):
        check_id(uuid7(int((NOW - age) * 1000)), NOW)


@pytest.mark.parametrize(
    ("age", "reason"), [(RETRY_WINDOW + 1, "older than the retry window"), (-3600, "in the future")]
)
def test_times_that_are_refused(age, reason) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        check_id(uuid7(int((NOW - age) * 1000)), NOW)


def test_ids_have_one_spelling() -> None:
    with pytest.raises(InvalidRequest, match="is not a UUIDv7"):
        check_id(uuid7(int(NOW * 1000)).upper(), NOW)
