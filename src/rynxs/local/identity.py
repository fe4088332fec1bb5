"""Who is asking in local mode: whoever has the token file."""

from __future__ import annotations

import getpass
import hmac
import os
import secrets
from pathlib import Path

from rynxs.action.request import Principal
from rynxs.gateway.identity import Identity, Verb
from rynxs.gateway.refusal import Unauthenticated


class TokenIdentity(Identity):
    """One token, one principal: the user who started the server. The principal may do everything."""

    def __init__(self, token: str, principal: Principal) -> None:
        self._token = token.encode()
        self._principal = principal

    @classmethod
    def load(cls, file: Path) -> TokenIdentity:
        """Read the token, or make it (32 random bytes, mode 0600). Raises OSError, ValueError for an open file."""
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if file.stat().st_mode & 0o077:
                raise ValueError(
                    f"{file} can be read by others: chmod 600 {file}, or delete it for a new token"
                ) from None
        else:
            with os.fdopen(handle, "w") as stream:
                stream.write(secrets.token_urlsafe(32) + "\n")
        token = file.read_text().strip()
        if len(token) < 32:
            raise ValueError(f"{file} holds no token of 32 characters: delete it for a new one")
        return cls(token, Principal(name=_user()))

    async def authenticate(self, token: str) -> Principal:
        """The user, for the token."""
        if not hmac.compare_digest(token.encode(), self._token):
            raise Unauthenticated("this is not the token of this server")
        return self._principal

    async def authorize(self, principal: Principal, verb: Verb, namespace: str = "", agent: str = "") -> None:
        """The one principal may do everything."""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid:{os.getuid()}"
