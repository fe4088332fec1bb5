"""A cluster from outside: kubectl and helm with its administrator's rights."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any


class Client:
    """Whatever cluster that kubeconfig leads to."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig

    @property
    def nodes(self) -> list[str]:
        """The names of its nodes."""
        return self.kubectl("get", "nodes", "--output=jsonpath={.items[*].metadata.name}").split()

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        """What kubectl prints. Raises CalledProcessError with its message as a note."""
        return self._run(self._program("kubectl"), *arguments, given=input)

    def helm(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        """What helm prints. Raises CalledProcessError with its message as a note."""
        return self._run(self._program("helm"), *arguments, given=input)

    def apply(self, manifest: str | dict[str, Any] | list[dict[str, Any]], *arguments: str) -> str:
        """Apply YAML text, an object or a list of objects, server-side."""
        if isinstance(manifest, list):
            manifest = {"apiVersion": "v1", "kind": "List", "items": manifest}
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        return self.kubectl("apply", "--server-side", "--filename=-", *arguments, input=text)

    def get(self, *arguments: str) -> dict[str, Any]:
        """The object, or the list of objects, that `kubectl get` finds."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output=json"))
        return found

    def load(self, *archives: Path) -> None:
        """Nothing: the nodes of a cluster that is not ours pull their images themselves."""

    def collect(self, folder: Path) -> None:
        """Write what helps to understand a failure into that folder: objects, events, and the logs of pods."""
        folder.mkdir(parents=True, exist_ok=True)
        dump = ("cluster-info", "dump", "--all-namespaces", f"--output-directory={folder}/objects", "--output=yaml")
        events = ("get", "events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp")
        for name, command in (("pods", ("get", "pods", "-A", "--output=wide")), ("events", events), ("dump", dump)):
            try:
                said = self.kubectl(*command, "--request-timeout=20s")
            except subprocess.CalledProcessError as error:  # the cluster may be what is broken
                said = f"{error}\n{error.stderr}"
            (folder / f"{name}.txt").write_text(said)

    def _program(self, name: str) -> str:
        return name

    def _run(self, *command: str, given: str | None) -> str:
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
            error.add_note(done.stderr.strip())
            raise error
        return done.stdout
