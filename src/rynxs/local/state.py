"""The user's state folder: what must not live beside the log, or must be found without knowing the data folder.

`$XDG_STATE_HOME/rynxs` (`~/.local/state/rynxs`): `logs/<log id>/` holds the trust file and the anchors of a log,
`servers/<address>.json` says which data folder the server at an address uses.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct


class Server(Struct, frozen=True, kw_only=True):
    """A server that was started here: its address and its data folder."""

    url: str
    data: str

    @property
    def token_file(self) -> Path:
        """Where its token is (mode 0600)."""
        return Path(self.data) / "token"

    @property
    def log_url(self) -> str:
        """Where its log is."""
        return (Path(self.data) / "log").as_uri()


def state_folder() -> Path:
    """The folder; it is made by those who write into it."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "rynxs"


def log_folder(log_id: str) -> Path:
    """Where the trust file and the anchors of that log are kept."""
    return state_folder() / "logs" / log_id


def record_server(server: Server) -> None:
    """Remember which data folder the server at this address uses."""
    file = _server_file(server.url)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.encode(server))


def find_server(url: str) -> Server | None:
    """The server that was last started at this address, if any was."""
    try:
        return msgspec.json.decode(_server_file(url).read_bytes(), type=Server)
    except (OSError, ValueError):  # also for what is no URL, or no record of ours
        return None


def _server_file(url: str) -> Path:
    return state_folder() / "servers" / f"{urlsplit(url).netloc}.json"
