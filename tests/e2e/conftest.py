"""Rynxs on the test cluster: the real images, installed by the chart, and people who use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SYSTEM = "rynxs-system"
TAG = "test"
REGISTRY = "registry.test"
MINE = "rynxs-test=e2e"
"""Label of the namespaces of these tests."""
PATIENCE = 120.0


def pytest_collection_modifyitems(items):
    """A test waits for pods, and the first one for the images."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))


@dataclass
class Caller:
    """Somebody with a service account's token, and what `rynxs` says to them."""

    name: str
    namespace: str
    token: str
    kubeconfig: Path

    def rynxs(self, *args: str, code: int | None = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the command line; `code` is what it must end with, None for any."""
        done = subprocess.run(self.command(*args), env=self.environment(), capture_output=True, text=True, **options)
        if code is not None:
            assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def command(self, *args: str) -> list[str]:
        """The command line as an argument list."""
        end = args.index("--") if "--" in args else len(args)
        return [str(Path(sys.executable).parent / "rynxs"), *args[:end], "--context", "test", *args[end:]]

    def environment(self) -> dict[str, str]:
        """Its environment: the kubeconfig, and nothing of a local server."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RYNXS_")}
        return kept | {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.kubeconfig.parent)}


@dataclass
class Installation:
    """The installed release, and helpers to look at it."""

    cluster: Any
    values: dict[str, Any]
    folder: Path
    callers: dict[str, Caller] = field(default_factory=dict)

    def clear(self) -> None:
        """Remove what a run that was cut off has left."""
        self.cluster.helm("uninstall", "rynxs", "-n", SYSTEM, "--ignore-not-found", "--wait")
        self.cluster.kubectl("delete", "namespace", "-l", MINE, "--wait")

    def install(self) -> str:
        """`helm install`, waiting until all of it is ready; gives what helm printed."""
        values = self.folder / "values.yaml"
        values.write_text(yaml.safe_dump(self.values))
        said = self.cluster.helm(
            *("install", "rynxs", str(ROOT / "charts" / "rynxs"), "-n", SYSTEM),
            *("-f", str(values), "--wait", "--timeout", "5m"),
        )
        return str(said)

    def uninstall(self) -> None:
        """`helm uninstall`, waiting until its objects are gone."""
        self.cluster.helm("uninstall", "rynxs", "-n", SYSTEM, "--wait", "--timeout", "3m")

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        """An object, or None."""
        found = self.cluster.kubectl("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        return json.loads(found) if found.strip() else None

    def list(self, kind: str, namespace: str, labels: str = "") -> list[dict[str, Any]]:
        """Objects of a kind."""
        selector = ["-l", labels] if labels else []
        items: list[dict[str, Any]] = json.loads(
            self.cluster.kubectl("get", kind, "-n", namespace, *selector, "-o", "json")
        )["items"]
        return items

    def wait(self, what: str, done: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Look until it is so; gives what `done` gave. `what` is for the failure's message."""
        deadline = time.monotonic() + patience
        while not (found := done()):
            assert time.monotonic() < deadline, f"{what}: not within {patience:.0f} s"
            time.sleep(0.2)
        return found

    def ready(self, name: str, namespace: str) -> dict[str, Any]:
        """The Agent once it is Ready."""

        def look() -> dict[str, Any] | None:
            agent = self.get("agent", name, namespace)
            return agent if agent and agent.get("status", {}).get("phase") == "Ready" else None

        try:
            return self.wait(f"agent {namespace}/{name} is ready", look)
        except AssertionError:
            print(self.cluster.kubectl("describe", "agent", name, "-n", namespace))
            raise

    def condition(self, name: str, namespace: str, type_: str) -> dict[str, Any]:
        """A condition of the Agent, empty while there is none."""
        agent = self.get("agent", name, namespace) or {}
        return next((each for each in agent.get("status", {}).get("conditions", []) if each["type"] == type_), {})

    def caller(self, name: str, namespace: str, *roles: str) -> Caller:
        """A service account that may `use` the agents of its namespace if `user` is among the roles.

        `reach` lets it forward ports to the gateway, `audit` lets it read the log and verify it.
        """
        cluster = self.cluster
        cluster.apply(yaml.safe_dump_all(_account(name, namespace, roles)))
        token = cluster.kubectl("create", "token", name, "-n", namespace, "--duration=2h").strip()
        return Caller(name, namespace, token, _kubeconfig(cluster, self.folder / f"{namespace}-{name}", token))


def _account(name: str, namespace: str, roles: tuple[str, ...]) -> list[dict[str, Any]]:
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    made: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
    ]

    def bind(role: str, where: str | None, kind_of_role: str = "ClusterRole") -> None:
        kind = "RoleBinding" if where else "ClusterRoleBinding"
        metadata = {"name": f"{namespace}-{name}-{role}"} | ({"namespace": where} if where else {})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind_of_role, "name": role}
        made.append(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": kind,
                "metadata": metadata,
                "roleRef": reference,
                "subjects": [subject],
            }
        )

    for role in roles:
        match role:
            case "user":
                bind("rynxs-user", namespace)
            case "reach":
                bind("rynxs-reach", SYSTEM, "Role")
            case "audit":
                bind("rynxs-log-reader", None)
                bind("rynxs-auditor", SYSTEM, "Role")
    return made


def _kubeconfig(cluster: Any, folder: Path, token: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    context = next(each for each in config["contexts"] if each["name"] == config["current-context"])
    config["users"] = [{"name": "caller", "user": {"token": token}}]
    config["contexts"] = [{"name": "test", "context": {"cluster": context["context"]["cluster"], "user": "caller"}}]
    config["current-context"] = "test"
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    file.chmod(0o600)
    return file


def _namespace(cluster: Any, name: str) -> None:
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, MINE, "pod-security.kubernetes.io/enforce=restricted")


@pytest.fixture(scope="session")
def rynxs(cluster, tmp_path_factory):
    """Rynxs, installed by its chart with the images of this checkout."""
    environment = {**os.environ, "TAG": TAG, "REGISTRY": REGISTRY}
    made = subprocess.run([ROOT / "scripts" / "images"], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    for line in made.stdout.splitlines():
        cluster.load(Path(line.split()[1]))
    values = {"image": {"registry": REGISTRY, "tag": TAG}}
    installation = Installation(cluster, values, tmp_path_factory.mktemp("rynxs"))
    installation.clear()
    _namespace(cluster, SYSTEM)
    installation.install()
    yield installation
    installation.clear()


@pytest.fixture
def team(rynxs):
    """A namespace of this test."""
    name = f"team-{uuid.uuid4().hex[:6]}"
    _namespace(rynxs.cluster, name)
    yield name
    rynxs.cluster.kubectl("delete", "namespace", name, "--wait=false")
