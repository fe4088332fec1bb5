"""What counts as an answer, and how long one waits for silence."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import msgspec
import pytest

from rynxs.computer import reach
from rynxs.computer.reach import Target, answers_at, watch


@pytest.fixture
def listening() -> Iterator[Target]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Target(name="a server", host="127.0.0.1", port=server.getsockname()[1])


@pytest.fixture
def refusing() -> Target:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return Target(name="nobody", host="127.0.0.1", port=port)


@contextlib.contextmanager
def resolver(answer: bytes | None) -> Iterator[Target]:
    """A name server for one question."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def run() -> None:
            question, sender = server.recvfrom(512)
            if answer is not None:
                server.sendto(question[:2] + answer, sender)

        thread = threading.Thread(target=run)
        thread.start()
        yield Target(name="DNS", host="127.0.0.1", port=server.getsockname()[1], kind="dns")
        thread.join()


def test_who_accepts_answers(listening):
    assert answers_at(listening)


def test_who_refuses_does_not_answer(refusing):
    assert not answers_at(refusing)


def test_a_name_server_that_knows_nothing_answers():
    with resolver(b"\x81\x83" + bytes(8)) as target:  # NXDOMAIN
        assert answers_at(target)


def test_a_name_server_that_is_silent_does_not(monkeypatch):
    monkeypatch.setattr(reach, "TIMEOUT", 0.05)
    with resolver(None) as target:
        assert not answers_at(target)


def test_a_name_server_that_is_not_there_does_not(refusing):
    assert not answers_at(msgspec.structs.replace(refusing, kind="dns"))


def answers(monkeypatch, rounds: list[bool]) -> list[str]:
    """Let each round of one target find this; gives the names as they are asked."""
    asked = []

    def next_answer(target):
        asked.append(target.name)
        return rounds.pop(0)

    monkeypatch.setattr(reach, "answers_at", next_answer)
    return asked


ONE = [Target(name="one", host="192.0.2.1", port=1)]


def test_silence_must_last(monkeypatch):
    asked = answers(monkeypatch, [True, False, True, False, False])
    assert watch(ONE) == []
    assert len(asked) == 5


def test_a_hole_is_told_after_patience(monkeypatch):
    answers(monkeypatch, [True])
    assert watch(ONE, patience=0) == ONE


def test_nothing_to_try_is_silent():
    assert watch([]) == []


def test_the_pod_is_told_what_answers(listening, monkeypatch, tmp_path):
    monkeypatch.setattr(reach, "_MESSAGE", tmp_path / "message")
    monkeypatch.setattr(reach, "watch", lambda targets: targets)
    said = f"a server answers at 127.0.0.1:{listening.port}"
    with pytest.raises(SystemExit) as ended:
        reach.main(msgspec.json.encode([listening]).decode())
    assert ended.value.code == said == (tmp_path / "message").read_text()


def test_all_silent_ends_well(monkeypatch):
    monkeypatch.setattr(reach, "watch", lambda targets: [])
    with pytest.raises(SystemExit) as ended:
        reach.main("[]")
    assert ended.value.code == 0
