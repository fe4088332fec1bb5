"""The user's state folder: where trust, anchors and servers are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from rynxs.local.state import Server, find_server, log_folder, record_server, state_folder


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "rynxs"


def test_where_it_is(state, monkeypatch, tmp_path) -> None:
    assert state_folder() == state
    assert log_folder("abc") == state / "logs" / "abc"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder() == tmp_path / ".local" / "state" / "rynxs"
    assert not state.exists()


def test_a_server_is_found_by_its_address() -> None:
    first = Server(url="http://127.0.0.1:8765", data="/data/one two")
    record_server(first)
    record_server(Server(url="http://[::1]:8765", data="/data/six"))
    assert find_server("http://127.0.0.1:8765") == first
    assert find_server("http://127.0.0.1:8765/") == first
    assert find_server("http://127.0.0.1:1") is None
    assert (first.token_file, first.log_url) == (Path("/data/one two/token"), "file:///data/one%20two/log")
    record_server(Server(url=first.url, data="/data/two"))
    assert find_server(first.url).data == "/data/two"


@pytest.mark.parametrize("url", ["", "http://[", "http://" + "x" * 5000, "http://a\x00b", "http://../../etc"])
def test_what_is_no_address_is_no_server(url) -> None:
    assert find_server(url) is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"url": 1}'])
def test_a_damaged_record_is_none(state, content) -> None:
    record_server(Server(url="http://h:1", data="/d"))
    (state / "servers" / "h:1.json").write_bytes(content)
    assert find_server("http://h:1") is None
