"""Whether an image can be an agent's computer, and what programs there will find in it.

The daemon's bundle has its own interpreter and C library: of the image it needs the processor, and free places for its
volumes (`operator.resources.pod` mounts them).
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from rynxs.computer.image import Image

PLATFORM = "linux/amd64"
"""What the daemon's bundle is built for."""

FOLDERS = ("/opt/rynxs", "/run/rynxs", "/workspace", "/tmp")  # noqa: S108 - inside
"""Where a computer's pod mounts volumes, and /etc/passwd and /etc/group, files of its own."""

_FILES = ("/etc/passwd", "/etc/group")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What runtimes set for an image without PATH."""

_PROGRAMS = {
    "shell": (["sh"], "scripts can't run, nor can most programs"),
    "git": (["git"], "repositories can't be cloned or changed"),
    "Python": (["python3", "python"], "Python programs can't run"),
    "browser": (["chromium", "chromium-browser", "google-chrome"], "there is no browser for its programs"),
}
_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class Finding(Struct, frozen=True, kw_only=True):
    """What was found about one thing: `wrong` keeps the image from being a computer, `missing` and `note` do not."""

    about: str
    state: Literal["ok", "note", "missing", "wrong"]
    message: str


def check(image: Image) -> list[Finding]:
    """The findings, those about what a computer needs first."""
    return [_platform(image), *_places(image), *_settings(image), *_programs(image), _authorities(image)]


def fits(findings: list[Finding]) -> bool:
    """Whether the image can be a computer."""
    return all(finding.state != "wrong" for finding in findings)


def _platform(image: Image) -> Finding:
    if not image.platform:
        return Finding(about="platform", state="note", message="nothing in the folder says what processor it is for")
    if image.platform != PLATFORM:
        return Finding(about="platform", state="wrong", message=f"is {image.platform}; computers are {PLATFORM}")
    return Finding(about="platform", state="ok", message=image.platform)


def _places(image: Image) -> list[Finding]:
    made = []
    for place in (*FOLDERS, *_FILES):
        found = image.files.find(place)
        if found.kind == "blocked" or (found.kind != "missing" and (found.kind == "file") != (place in _FILES)):
            message = f"{found.path} is a {'folder' if found.kind == 'folder' else 'file, or a link without end'}"
            made.append(Finding(about=place, state="wrong", message=f"{message}: nothing can be mounted here"))
        elif found.folder:
            entries = "1 entry" if len(found.folder) == 1 else f"{len(found.folder)} entries"
            made.append(Finding(about=place, state="note", message=f"has {entries}, which the computer's own hides"))
        else:
            made.append(Finding(about=place, state="ok", message="can be mounted"))
    return made


def _settings(image: Image) -> list[Finding]:
    made = []
    if image.environment.get("LD_PRELOAD"):
        message = f"is {image.environment['LD_PRELOAD']}: the daemon loads it, too, and may not start with it"
        made.append(Finding(about="LD_PRELOAD", state="note", message=message))
    for volume in image.volumes:
        if not any(f"{volume.rstrip('/')}/".startswith(f"{place}/") for place in FOLDERS):
            message = "is a volume of the image: it is writable, and not limited"
            made.append(Finding(about=volume, state="note", message=message))
    return made


def _programs(image: Image) -> list[Finding]:
    folders = image.environment.get("PATH", _PATH).split(":")
    made = []
    for about, (names, without) in _PROGRAMS.items():
        places = [f"{folder}/{name}" for name in names for folder in folders]
        there = next((place for place in places if image.files.find(place).kind == "file"), None)
        if there is None:
            message = f"there is no {names[0]} in PATH: {without}"
            made.append(Finding(about=about, state="missing", message=message))
        else:
            made.append(Finding(about=about, state="ok", message=there))
    return made


def _authorities(image: Image) -> Finding:
    there = next((place for place in _AUTHORITIES if image.files.find(place).kind == "file"), None)
    if there is None:
        message = "there are none where programs look for them: they can't check whom they talk to by TLS"
        return Finding(about="certificates", state="missing", message=message)
    return Finding(about="certificates", state="ok", message=there)
