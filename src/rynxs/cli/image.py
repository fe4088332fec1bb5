"""`rynxs image`: find out whether an image can be an agent's computer."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import click
import msgspec

from rynxs.cli.connection import output_option
from rynxs.cli.main import Failure
from rynxs.cli.terminal import one_line

UNCHECKED = 2
"""Exit code when the image could not be checked."""

_SAVE = {
    "docker": ["docker", "save", "-o", "{path}", "--", "{name}"],
    "podman": ["podman", "save", "-q", "--format", "docker-archive", "-o", "{path}", "--", "{name}"],
    "buildah": ["buildah", "push", "-q", "--", "{name}", "docker-archive:{path}"],
}


@click.group("image")
def image_command() -> None:
    """Find out about images."""


@image_command.command("check")
@click.argument("image")
@output_option
def check(image: str, output: str) -> int:
    """Find out whether an image can be an agent's computer, and what its programs will miss.

    IMAGE is an archive (of docker save, or OCI), a folder with a root file system, or the name of an image that
    docker, podman or buildah has on this machine. Nothing of it is run. Exit code 0: it can; 1: it can't; 2: could
    not check.

    \b
    rynxs image check team-a/tools:3
    docker save -o tools.tar tools:3 && rynxs image check tools.tar
    """
    from rynxs.computer import check
    from rynxs.computer import image as images

    try:
        path = Path(image)
        if path.exists():
            found = images.read(path)
        else:
            with tempfile.TemporaryDirectory() as folder:
                found = images.read(_save(image, Path(folder)))
    except (images.Unreadable, OSError) as error:
        raise Failure(f"{image} could not be checked: {error}", UNCHECKED) from error
    findings = check.check(found)
    fits = check.fits(findings)
    if output == "json":
        said = {"image": image, "fits": fits, "findings": findings}
        print(msgspec.json.format(msgspec.json.encode(said), indent=2).decode())
        return 0 if fits else 1
    print(f"{image} {'can' if fits else 'can NOT'} be an agent's computer")
    width = max(len(finding.about) for finding in findings)
    for finding in findings:
        print(one_line(f"  {finding.state:<7}  {finding.about:<{width}}  {finding.message}"))
    return 0 if fits else 1


def _save(name: str, folder: Path) -> Path:
    """Let the first program that has the image save it there. Raises Failure."""
    reasons = []
    for program, command in _SAVE.items():
        if shutil.which(program) is None:
            continue
        path = folder / f"{program}.tar"
        arguments = [part.format(path=path, name=name) for part in command]
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return path
        path.unlink(missing_ok=True)
        reasons.append(f"{program}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
    if not reasons:
        raise Failure(
            f"there is no file {name}, and none of {', '.join(_SAVE)} is here to ask for an image of that name: give "
            "an archive of it",
            UNCHECKED,
        )
    raise Failure(f"there is no file {name}, and no image of that name here ({'; '.join(reasons)})", UNCHECKED)
