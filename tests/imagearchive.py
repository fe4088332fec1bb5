"""Image archives for tests, made of a few words: `name/` is a folder, `name>target` a link, all else an empty file."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

DEBIAN = "usr/bin/sh bin>usr/bin etc/passwd etc/group tmp/"


def layer(words: str) -> bytes:
    """A layer, uncompressed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for word in words.split():
            name, is_link, target = word.partition(">")
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.type = tarfile.SYMTYPE if is_link else tarfile.DIRTYPE if word.endswith("/") else tarfile.REGTYPE
            entry.linkname = target
            tar.addfile(entry)
    return out.getvalue()


def archive(path: Path, parts: dict[str, bytes]) -> Path:
    """An archive of these parts."""
    with tarfile.open(path, "w") as tar:
        for name, content in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def config(architecture: str = "amd64", **settings: Any) -> bytes:
    """An image's config."""
    return json.dumps({"os": "linux", "architecture": architecture, "config": settings, "history": []}).encode()


def docker(path: Path, *layers: bytes, settings: bytes | None = None) -> Path:
    """As `docker save` writes it."""
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["a:1"], "Layers": names}]).encode()
    parts = {"config.json": settings or config(), "manifest.json": manifest}
    return archive(path, dict(zip(names, layers, strict=True)) | parts)


class Layout:
    """An OCI image layout."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}

    def blob(self, content: bytes, **said: Any) -> dict[str, Any]:
        """Add it; gives its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        self.parts[f"blobs/sha256/{digest}"] = content
        return {"digest": f"sha256:{digest}", "size": len(content), **said}

    def manifest(self, *layers: bytes, settings: bytes | None = None, **said: Any) -> dict[str, Any]:
        """Add an image, its layers compressed; gives its descriptor."""
        content = {
            "config": self.blob(settings or config()),
            "layers": [self.blob(gzip.compress(each)) for each in layers],
        }
        return self.blob(json.dumps(content).encode(), **said)

    def index(self, *manifests: dict[str, Any]) -> bytes:
        """An index of these."""
        return json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
