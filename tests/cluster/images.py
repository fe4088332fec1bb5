"""Image archives that the cluster itself needs: the pause program, and busybox for its own tests."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

from cluster.programs import CACHE, program

BUSYBOX = "registry.test/busybox:test"
FOLDER = CACHE / "images"


def pause(tag: str) -> Path:
    """An image whose only process holds a pod's namespaces open."""
    built = program("pause")
    return _archive(tag, built.name, {"pause": built.read_bytes()}, {}, ["/pause"])


def busybox() -> Path:
    """Debian's static busybox with a name for each of its commands."""
    with tempfile.TemporaryDirectory() as folder:
        if not (found := sorted(FOLDER.glob("busybox-static_*.deb"))):
            FOLDER.mkdir(parents=True, exist_ok=True)
            subprocess.run(["apt-get", "download", "-qq", "busybox-static"], cwd=FOLDER, check=True)
            found = sorted(FOLDER.glob("busybox-static_*.deb"))
        subprocess.run(["dpkg-deb", "-x", found[-1], folder], check=True)
        binary = next(Path(folder).glob("**/bin/busybox"))
        names = subprocess.run([binary, "--list"], capture_output=True, text=True, check=True).stdout.split()
        links = {f"bin/{name}": "busybox" for name in names if name != "busybox"}
        return _archive(BUSYBOX, found[-1].stem, {"bin/busybox": binary.read_bytes()}, links, ["/bin/sh"])


def _archive(tag: str, source: str, files: dict[str, bytes], links: dict[str, str], command: list[str]) -> Path:
    """An archive in Docker's format, which containerd imports under its tag."""
    path = FOLDER / f"{tag.rpartition('/')[2].replace(':', '-')}-{hashlib.sha256(source.encode()).hexdigest()[:8]}.tar"
    if path.exists():
        return path
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in sorted({str(Path(name).parent) for name in (*files, "tmp/x")} - {"."}):
            _add(tar, folder, tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755)
        for name, content in files.items():
            _add(tar, name, tarfile.REGTYPE, content, mode=0o755)
        for name, target in links.items():
            _add(tar, name, tarfile.SYMTYPE, target=target)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/bin"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=FOLDER, delete=False) as made:
        with tarfile.open(fileobj=made, mode="w") as tar:
            _add(tar, "layer.tar", tarfile.REGTYPE, layer.getvalue())
            _add(tar, "config.json", tarfile.REGTYPE, json.dumps(config).encode())
            _add(tar, "manifest.json", tarfile.REGTYPE, json.dumps(manifest).encode())
        Path(made.name).rename(path)
    return path


def _add(
    tar: tarfile.TarFile, name: str, kind: bytes, content: bytes = b"", target: str = "", mode: int = 0o644
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.linkname, entry.mode = kind, len(content), target, mode
    tar.addfile(entry, io.BytesIO(content))
