"""Programs that a test cluster is made of, built from Go modules once and kept in the cache.

A folder of `go/` is one program: its module files pin every source, and its `tool` line says which package to build;
without one it is the program in the folder itself. A program's file is named for the digest of all that.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

GO = Path(__file__).parent / "go"
CACHE = Path(os.environ.get("RYNXS_CACHE") or "~/.cache/rynxs").expanduser()
KUBERNETES = ("v1.34.4", "1", "34")

_VERSION = "k8s.io/component-base/version"
_FLAGS = {
    "kube": "".join(
        f" -X {_VERSION}.{name}={value}"
        for name, value in zip(("gitVersion", "gitMajor", "gitMinor"), KUBERNETES, strict=True)
    )
}


def program(name: str) -> Path:
    """The program of that folder, static, built if the cache does not have it. Raises CalledProcessError."""
    module = GO / name
    flags = "-s -w" + _FLAGS.get(name, "")
    digest = hashlib.sha256(flags.encode())
    for file in sorted(module.iterdir()):
        digest.update(file.read_bytes())
    folder = CACHE / "bin"
    built = folder / f"{name}-{digest.hexdigest()[:16]}"
    if built.exists():
        return built
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test processes would otherwise build the same thing at once
        if not built.exists():
            print(f"rynxs: building {name}", file=sys.stderr, flush=True)
            making = built.with_suffix(".making")
            command = ["go", "build", "-trimpath", "-ldflags", flags, "-o", str(making), _package(module)]
            subprocess.run(command, cwd=module, env={**os.environ, "CGO_ENABLED": "0"}, check=True)
            making.rename(built)
    return built


def kubectl() -> Path:
    """kubectl: `kube` under that name."""
    link = CACHE / "bin" / "kubectl"
    built = program("kube")
    if not link.is_symlink() or link.readlink() != Path(built.name):
        making = link.with_suffix(f".{os.getpid()}")
        making.symlink_to(built.name)
        making.rename(link)
    return link


def _package(module: Path) -> str:
    lines = (module / "go.mod").read_text().splitlines()
    return next((line.removeprefix("tool ") for line in lines if line.startswith("tool ")), ".")


if __name__ == "__main__":
    for each in sys.argv[1:] or sorted(folder.name for folder in GO.iterdir()):
        print(program(each))
