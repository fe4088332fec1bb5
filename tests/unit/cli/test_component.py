"""The commands that the chart runs: errors in one line, and no place in the help."""

from __future__ import annotations

import pytest

from rynxs.cli.main import COMPONENTS

CONFIG = """
namespace: sys
log: {url: s3://b/p, endpoint: "http://127.0.0.1:1", credentials: k}
computers: {image: a, daemonImage: b}
"""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No cluster, no home."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "POD_NAME", "POD_IP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("command", COMPONENTS)
def test_they_have_help_but_are_not_in_it(rynxs, command) -> None:
    assert f"Usage: rynxs {command} --config FILE" in rynxs(command, "--help").out.replace("[OPTIONS]", "--config FILE")
    assert f"\n  {command} " not in rynxs("--help").out


@pytest.mark.parametrize("command", COMPONENTS)
def test_a_configuration_that_is_wrong(rynxs, command, tmp_path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.replace("credentials", "credential"))
    done = rynxs(command, "--config", str(path))
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert f"{path}, log.credential: unknown field (did you mean 'credentials'?)" in done.err


@pytest.mark.parametrize("command", COMPONENTS)
def test_no_cluster(rynxs, command, tmp_path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    done = rynxs(command, "--config", str(path))
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
