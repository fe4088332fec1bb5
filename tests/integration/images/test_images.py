"""The built images: what they say of themselves, and that their programs run as nobody on a read-only root."""

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from integration.images.conftest import unpack

import rynxs
from rynxs.computer.check import check, fits
from rynxs.computer.image import read

NOBODY = 65532


@pytest.mark.parametrize("name", ["rynxs", "rynxs-computer", "rynxs-store"])
def test_what_they_say(archives: dict[str, Path], name: str):
    with tarfile.open(archives[name]) as archive:
        [manifest] = json.load(archive.extractfile("manifest.json"))
        config = json.load(archive.extractfile(manifest["Config"]))["config"]
    assert manifest["RepoTags"] == [f"registry.test/{name}:test"]
    assert config["User"] == f"{NOBODY}:{NOBODY}"
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert (labels["title"], labels["version"], labels["licenses"]) == (name, rynxs.__version__, "Apache-2.0")
    assert labels["description"]


@pytest.mark.parametrize("name", ["debian", "rynxs-computer"])
def test_they_can_be_computers(archives: dict[str, Path], name: str):
    findings = check(read(archives[name]))
    assert fits(findings)
    missing = {finding.about for finding in findings if finding.state == "missing"}
    assert missing == ({"git", "Python", "browser", "certificates"} if name == "debian" else set())


@pytest.mark.parametrize(("name", "command"), [("rynxs", ["rynxs"]), ("rynxs-store", ["versitygw"])])
def test_their_programs_run(archives: dict[str, Path], scratch: Path, name: str, command: list[str]):
    root = scratch / f"{name}-root"
    unpack(archives[name], root)
    with tarfile.open(archives[name]) as archive:
        [manifest] = json.load(archive.extractfile("manifest.json"))
        config = json.load(archive.extractfile(manifest["Config"]))["config"]
    assert config["Entrypoint"] == command
    environment = dict(variable.split("=", 1) for variable in config["Env"])
    argv = ["bwrap", "--unshare-all", "--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev", "--clearenv"]
    for key, value in environment.items():
        argv += ["--setenv", key, value]
    rights = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    done = subprocess.run([*argv, *command, "--version"], capture_output=True, text=True, check=True, **rights)
    assert done.stdout
    if name == "rynxs":
        python = [*argv, "/opt/venv/bin/python", "-v", "-c", "import rynxs.cli.serve, rynxs.gateway.app, cryptography"]
        loaded = subprocess.run(python, capture_output=True, text=True, check=True, **rights).stderr
        assert "/opt/venv" in loaded
        assert not re.findall(r"code object from '/.*\.py'", loaded), "modules were compiled at its start"


def test_an_unfilled_release_is_refused():
    script = Path(__file__).parents[3] / "scripts" / "images"
    kept = {key: value for key, value in os.environ.items() if key not in ("REGISTRY", "TAG", "BASE_IMAGE")}
    done = subprocess.run([script, "--release"], env=kept, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "BASE_IMAGE, REGISTRY" in done.stderr
