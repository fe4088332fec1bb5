"""The chart's rights on an API server that runs alone: integration tests act with exactly these."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from cluster.components import Components
from cluster.programs import program

CHART = Path(__file__).parents[1] / "charts" / "rynxs"


def rendered(system: str, *templates: str) -> str:
    """What these templates of the chart make in that system namespace."""
    done = subprocess.run(
        [
            *(str(program("helm")), "template", "rynxs", str(CHART), "--namespace", system),
            "--set=image.registry=registry.test,image.tag=test",
            *(f"--show-only={template}" for template in templates),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def install(controlplane: Components, system: str, component: str) -> str:
    """Install our kinds and the rights of `gateway` or `operator`; gives the token of its service account."""
    with contextlib.suppress(subprocess.CalledProcessError):
        controlplane.kubectl("create", "namespace", system)
    for crd in sorted((CHART / "files" / "crds").glob("*.yaml")):
        controlplane.apply(crd.read_text())
    controlplane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    controlplane.apply(rendered(system, f"templates/{component}-rbac.yaml"))
    return controlplane.kubectl("create", "token", f"rynxs-{component}", "--namespace", system).strip()
