"""The token file: made once, private, and strictly read."""

from __future__ import annotations

import getpass
import os
import stat

import pytest

from rynxs.gateway.refusal import Unauthenticated
from rynxs.local.identity import TokenIdentity


async def test_the_token_is_made_once_and_private(tmp_path) -> None:
    file = tmp_path / "token"
    before = os.umask(0)
    try:
        identity = TokenIdentity.load(file)
    finally:
        os.umask(before)
    token = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(token) >= 43
    again = TokenIdentity.load(file)
    assert file.read_text().strip() == token
    assert await identity.authenticate(token) == await again.authenticate(token)
    assert (await identity.authenticate(token)).name == getpass.getuser()


async def test_every_server_has_another(tmp_path) -> None:
    TokenIdentity.load(tmp_path / "one")
    TokenIdentity.load(tmp_path / "two")
    assert (tmp_path / "one").read_text() != (tmp_path / "two").read_text()


@pytest.mark.parametrize("wrong", ["", "x", "TOKEN\n", "ü", "\udc80".encode("utf-8", "replace").decode()])
async def test_another_token_is_nobody(tmp_path, wrong) -> None:
    identity = TokenIdentity.load(tmp_path / "token")
    with pytest.raises(Unauthenticated) as refused:
        await identity.authenticate(wrong)
    token = (tmp_path / "token").read_text().strip()
    assert token not in str(refused.value)
    with pytest.raises(Unauthenticated):
        await identity.authenticate(token[:-1])


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_token_that_others_may_read_is_refused(tmp_path, mode) -> None:
    file = tmp_path / "token"
    TokenIdentity.load(file)
    file.chmod(mode)
    with pytest.raises(ValueError, match="can be read by others: chmod 600"):
        TokenIdentity.load(file)


@pytest.mark.parametrize("content", ["", "\n", "short\n"])
def test_a_file_without_a_token_is_refused(tmp_path, content) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ValueError, match="holds no token of 32 characters"):
        TokenIdentity.load(file)


async def test_the_one_principal_may_everything(tmp_path) -> None:
    identity = TokenIdentity.load(tmp_path / "token")
    principal = await identity.authenticate((tmp_path / "token").read_text().strip())
    assert await identity.authorize(principal, "delete", "any", "agent") is None


def test_a_user_without_a_name(tmp_path, monkeypatch) -> None:
    def nobody():
        raise KeyError("no such user")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert TokenIdentity.load(tmp_path / "token")._principal.name == f"uid:{os.getuid()}"
