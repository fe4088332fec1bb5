"""Builds the images, with docker where its daemon answers and with buildah elsewhere, into archives in the cache.

An archive is named for the digest of all that its image is made of, so nothing is built twice. An image's build
context is put together here from just those files, so nothing else can get into it.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import inspect
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import rynxs

ROOT = Path(__file__).parent.parent
IMAGES = Path(__file__).parent
CACHE = Path(os.environ.get("RYNXS_CACHE") or "~/.cache/rynxs").expanduser()
ARCHIVES = CACHE / "images"
SUITE = "bookworm"
DEBIAN = f"registry.test/debian:{SUITE}"

KEPT = 3
"""So many archives of an image stay: those used last."""
STORE_LIMIT = 20_000
"""Megabytes of layers that builds may leave for later builds; the layers of old ones are not told from them."""


class Image(NamedTuple):
    """An image to be built: its name with the tag, the folder of its Dockerfile, and what it is made of.

    `fill` puts the context's files into a folder. `key` is whatever else its content depends on.
    """

    name: str
    folder: str
    inputs: list[Path]
    fill: Callable[[Path], object]
    key: str
    base: str | None = None

    @property
    def archive(self) -> Path:
        """Where its archive is, or will be."""
        digest = hashlib.sha256(f"{self.name} {self.key} {self.base}".encode())
        for file in [IMAGES / self.folder / "Dockerfile", *self.inputs]:
            digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
        return ARCHIVES / f"{re.split('[/:]', self.name)[-2]}-{digest.hexdigest()[:16]}.tar"


def main(arguments: list[str]) -> None:
    """Build what is missing; print every image and its archive."""
    if arguments not in ([], ["--release"]):
        sys.exit("usage: images [--release]")
    settings = _release() if arguments else {}
    registry = os.environ.get("REGISTRY") or settings.get("REGISTRY", "registry.test")
    base = os.environ.get("BASE_IMAGE") or settings.get("BASE_IMAGE")
    tag = os.environ.get("TAG") or rynxs.__version__
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    with (CACHE / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # builds at the same time would do each other's work
        bottom = debian() if base is None else None
        if bottom is not None:
            made(bottom, None)
        common = (registry, tag, base or DEBIAN, bottom.archive.stem if bottom else "")
        for image in (program(*common), computer(*common), store(*common)):
            made(image, bottom)


def debian() -> Image:
    """The base that is made here: Debian's minimal system by debootstrap, from the mirror that this host uses."""
    return Image(DEBIAN, "debian", [], _debootstrap, inspect.getsource(_debootstrap) + SUITE)


def program(registry: str, tag: str, base: str, key: str) -> Image:
    """The operator and the gateway."""
    sources = [ROOT / name for name in ("LICENSE", "README.md", "pyproject.toml")] + _python(ROOT / "src" / "rynxs")
    locked = ROOT / "requirements.txt"

    def fill(context: Path) -> None:
        shutil.copy(locked, context)
        _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(context)], cwd=ROOT)

    return Image(f"{registry}/rynxs:{tag}", "rynxs", [locked, *sources], fill, key, base)


def computer(registry: str, tag: str, base: str, key: str) -> Image:
    """The default computer with the daemon's bundle; it is made of the daemon's modules only."""
    sources = ROOT / "src" / "rynxs"
    files = [sources / "__init__.py", *_python(sources / "action"), *_python(sources / "computer")]
    locked = IMAGES / "rynxs-computer" / "requirements.txt"

    def fill(context: Path) -> None:
        shutil.copy(locked, context)
        for file in files:
            target = context / file.relative_to(ROOT / "src")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)

    return Image(f"{registry}/rynxs-computer:{tag}", "rynxs-computer", [locked, *files], fill, key, base)


def store(registry: str, tag: str, base: str, key: str) -> Image:
    """The bundled object store."""
    command = [sys.executable, str(ROOT / "tests" / "cluster" / "programs.py"), "versitygw"]
    built = Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
    fill = functools.partial(_copy, built, "versitygw")
    return Image(f"{registry}/rynxs-store:{tag}", "rynxs-store", [built], fill, key, base)


def made(image: Image, bottom: Image | None) -> None:
    """Print the image and its archive, built if it is missing; `bottom` is the base if that was made here, too."""
    archive = image.archive
    if not archive.exists():
        archive = _build(image, bottom)
    os.utime(archive)
    same = [file for file in ARCHIVES.glob("*.tar") if file.stem.rpartition("-")[0] == archive.stem.rpartition("-")[0]]
    for old in sorted(same, key=lambda file: file.stat().st_mtime, reverse=True)[KEPT:]:
        old.unlink()
    sys.stdout.write(f"{image.name} {archive}\n")
    sys.stdout.flush()
    _say(f"{image.name}: {archive.stat().st_size / 1e6:.0f} MB")


def _build(image: Image, bottom: Image | None) -> Path:
    started = time.monotonic()
    _say(f"building {image.name}")
    builder = _builder()
    # Loaded each time: what is called so in the builder's store may be an older one.
    if bottom is not None:
        _run([*builder.load, builder.archive.format(path=bottom.archive)])
    with tempfile.TemporaryDirectory(dir=ARCHIVES, prefix=".") as folder:
        context, secrets, making = Path(folder, "context"), Path(folder, "secrets"), Path(folder, "image.tar")
        secrets.mkdir()
        archive = None
        # Somebody who edits the files must not get half of an edit under the name of another.
        while archive != image.archive:
            archive = image.archive
            shutil.rmtree(context, ignore_errors=True)
            context.mkdir()
            image.fill(context)
        given = []
        for name, content in _secrets().items():
            (secrets / name).write_text(content)
            given += ["--secret", f"id={name},src={secrets / name}"]
        for name, value in {"BASE_IMAGE": image.base, "VERSION": rynxs.__version__}.items():
            given += ["--build-arg", f"{name}={value}"]
        dockerfile = IMAGES / image.folder / "Dockerfile"
        _run([*builder.build, *given, "-t", image.name, "-f", str(dockerfile), str(context)])
        _run([part.format(path=making, name=image.name) for part in builder.save])
        making.rename(archive)
    _say(f"built {image.name} in {time.monotonic() - started:.0f} s")
    return archive


class _Builder(NamedTuple):
    """The commands of docker or buildah."""

    build: list[str]
    save: list[str]
    load: list[str]
    archive: str


@functools.cache
def _builder() -> _Builder:
    if _works(["docker", "info"]):
        proxies = [name for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ]
        arguments = [part for name in proxies for part in ("--build-arg", name)]
        build = ["docker", "build", "-q", *arguments]
        return _Builder(build, ["docker", "save", "-o", "{path}", "{name}"], ["docker", "load", "-q", "-i"], "{path}")
    _debian_package("buildah")
    for driver in ("overlay", "vfs"):  # the second one copies everything, and works everywhere
        root = CACHE / "containers" / driver
        buildah = ["buildah", "--storage-driver", driver, "--root", str(root), "--runroot", str(root / "run")]
        if _works([*buildah, "info"]):
            break
    if root.exists() and int(_run(["du", "-sm", str(root)]).split()[0]) > STORE_LIMIT:
        _run([*buildah, "rmi", "--all", "--force"])
    return _Builder(
        [*buildah, "bud", "--isolation", "chroot", "--layers"],
        [*buildah, "push", "{name}", "docker-archive:{path}:{name}"],
        [*buildah, "pull"],
        "docker-archive:{path}",
    )


def _secrets() -> dict[str, str]:
    """What builds need to know of this host to install packages, and images must not keep."""
    authorities = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
    pip = _run([str(CACHE / "uv" / "bin" / "pip"), "config", "list"]).splitlines()
    settings = re.findall(
        r"^[\w:]+\.\.?(index-url|extra-index-url|trusted-host|proxy|retries)='(.*)'$", "\n".join(pip), re.MULTILINE
    )
    apt = _run(["apt-config", "dump"]) if shutil.which("apt-config") else ""
    return {
        "ca": authorities.read_text() if authorities.exists() else "",
        "pip": "\n".join(
            ["[global]", *(["cert=/run/secrets/ca"] * authorities.exists()), *map("=".join, settings), ""]
        ),
        "apt": "\n".join(
            [
                'Acquire::https::CaInfo "/run/secrets/ca";' if authorities.exists() else "",
                *re.findall(r"^Acquire::(?:https?::Proxy|Check-|Retries).*", apt, re.MULTILINE),
                "",
            ]
        ),
    }


def _debootstrap(context: Path) -> None:
    _debian_package("debootstrap")
    listed = [
        "apt-get",
        "indextargets",
        "--format",
        "$(CODENAME) $(REPO_URI)",
        "Created-By: Packages",
        "Component: main",
    ]
    lines = _run([*listed, "Origin: Debian"]).splitlines() if shutil.which("apt-get") else []
    mirrors = [(suite, uri) for suite, _, uri in (line.partition(" ") for line in lines) if suite.startswith(SUITE)]
    root = context.parent / "root"
    command = [
        "debootstrap",
        "--variant=minbase",
        SUITE,
        str(root),
        *[uri for suite, uri in mirrors if suite == SUITE][:1],
    ]
    _run(command)
    if mirrors:
        (root / "etc/apt/sources.list").write_text("".join(f"deb {uri} {suite} main\n" for suite, uri in mirrors))
    left_out = (
        "dev/*",
        "proc/*",
        "sys/*",
        "tmp/*",
        "var/cache/apt/*",
        "var/lib/apt/lists/*",
        "var/log/*",
        "etc/hostname",
    )
    excluded = [f"--exclude=./{each}" for each in (*left_out, "etc/resolv.conf")]
    _run(["tar", "-C", str(root), "--numeric-owner", *excluded, "-cf", str(context / "root.tar"), "."])
    shutil.rmtree(root)


def _release() -> dict[str, str]:
    lines = (IMAGES / "release.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    if empty := [name for name, value in settings.items() if not value]:
        sys.exit(f"rynxs: images/release.env says nothing for {', '.join(empty)}: a release fills it in")
    return settings


def _python(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc")


def _copy(source: Path, name: str, context: Path) -> None:
    shutil.copy(source, context / name)


def _debian_package(name: str) -> None:
    if shutil.which(name) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _say(f"installing the Debian package {name}")
        _run(["apt-get", "-qq", "update"])
        _run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", name])
    if shutil.which(name) is None:
        sys.exit(f"rynxs: {name} is missing, and could not be installed here: install the package {name} and try again")


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _run(command: list[str], cwd: Path | None = None) -> str:
    """Run it and give what it prints; what it says is shown only if it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.stderr.write(f"{done.stdout[-20_000:]}\n{done.stderr[-20_000:]}\n")
        sys.exit(f"rynxs: {' '.join(command[:6])} ... failed with exit code {done.returncode}")
    return done.stdout


def _say(what: str) -> None:
    sys.stderr.write(f"rynxs: {what}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
