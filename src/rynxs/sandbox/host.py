"""What the host has of what a sandbox shows: system folders, Python, and the daemon's packages."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import msgspec

import rynxs
from rynxs.sandbox import layout


def source(workspace: Path, mounts: tuple[tuple[Path, str], ...], env: dict[str, str]) -> layout.Source:
    """The source of a sandbox on this host, with the Python that runs now. Raises OSError."""
    tops = [top for top in layout.TOP if os.path.lexists(top)]
    return layout.Source(
        python=Path(sys.executable).resolve(),
        prefix=Path(sys.base_prefix).resolve(),
        packages=tuple(Path(str(package.__file__)).resolve().parent for package in (rynxs, msgspec)),
        workspace=workspace.resolve(strict=True),
        links={top: os.readlink(top) for top in tops if Path(top).is_symlink()},
        folders=(
            *(top for top in tops if not Path(top).is_symlink()),
            *(path for path in layout.ETC if Path(path).exists()),
        ),
        mounts=tuple((path.resolve(strict=True), inside) for path, inside in mounts),
        env=env,
        shared_python=bool(sysconfig.get_config_var("Py_ENABLE_SHARED")),
    )
