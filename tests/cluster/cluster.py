"""A cluster of this machine: up, down, and everything that can be done to it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from cluster import addons, images, packages
from cluster.components import Components
from cluster.controlplane import ControlPlane
from cluster.layout import Layout
from cluster.leftovers import leftovers, remove
from cluster.network import Network
from cluster.node import PARTS, PAUSE, Node
from cluster.process import Processes
from cluster.programs import CACHE, kubectl, program

PROGRAMS = ("kube", "helm", "coredns", "kube-router", "local-path-provisioner")
HOST_PARTS = ("etcd", "apiserver", "controller-manager", "scheduler", "dns", "volumes")


class Cluster(Components):
    """The cluster of a layout, running or not. A component is one of HOST_PARTS, `kwok` or `<node>-<PARTS>`."""

    def __init__(self, layout: Layout | None = None) -> None:
        self.layout = layout or Layout()
        self.network = Network(self.layout)
        processes = Processes(self.layout.folder, self.layout.name)
        control = ControlPlane(self.layout.folder, processes, self.layout.address, 6443)
        self._nodes = {name: Node(name, self.layout, processes, control.pki) for name in self.layout.nodes}
        super().__init__(control, processes)

    @property
    def nodes(self) -> list[str]:
        """The names of its nodes, without fake ones."""
        return list(self._nodes)

    @property
    def components(self) -> list[str]:
        """What must run."""
        return [*HOST_PARTS, *(f"{node}-{part}" for node in self._nodes for part in ("holder", *PARTS))]

    def up(self) -> bool:
        """Make sure that it runs; whatever is there and is not a healthy cluster made by this code is removed first.

        Returns whether it had to be started. Raises RuntimeError saying what is missing or did not start.
        """
        with self._locked():
            note, code = self.layout.folder / "code", _code()
            if note.exists() and note.read_text() == code and self.healthy():
                return False
            self.build()
            self._clean()
            self._start()
            note.write_text(code)
            return True

    def build(self) -> None:
        """Install and build what a cluster is made of, all that takes long."""
        packages.install()
        kubectl()
        for name in PROGRAMS:
            program(name)
        images.pause(PAUSE)
        images.busybox()

    def down(self) -> None:
        """Remove it, but for the images on its nodes. Raises RuntimeError listing what could not be removed."""
        with self._locked():
            self._clean()

    def healthy(self) -> bool:
        """Whether every part runs, the API server answers and all nodes are ready."""
        whole = all(map(self.processes.running, self.components)) and all(map(self.network.whole, self._nodes))
        return whole and self._ready()

    def load(self, *archives: Path) -> None:
        """Import image archives (docker-archive or oci-archive) on all nodes; those imported before cost nothing."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for archive in archives:
                list(pool.map(lambda node, archive=archive: node.load(archive), self._nodes.values()))

    def end_container(self, namespace: str, pod: str, container: str) -> None:
        """Kill the first process of a container from its node, as when it runs out of memory."""
        found = self.get("pod", pod, f"--namespace={namespace}")
        states = [*found["status"]["containerStatuses"], *found["status"].get("initContainerStatuses", ())]
        name = next(state["containerID"] for state in states if state["name"] == container).removeprefix(
            "containerd://"
        )
        self._nodes[found["spec"]["nodeName"]].enter(
            *("ctr", "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", name)
        )

    def partition(self, node: str) -> None:
        """Cut the node off: nothing reaches it, and its pods go on."""
        self.network.cut(node)

    def heal(self, node: str) -> None:
        """Undo `partition`."""
        self.network.mend(node)

    def kill_node(self, node: str) -> None:
        """End everything on the node at once, as when its power fails."""
        self._nodes[node].kill()
        self.network.detach(node)

    def start_node(self, node: str) -> None:
        """Start a node that was killed; its images and volumes are still there."""
        self._nodes[node].start_runtime(self.network)
        self._nodes[node].start_kubelet()

    def mend(self, seconds: float = 60) -> None:
        """Undo all of the above, and return when the cluster is healthy. Raises RuntimeError when it stays ill."""
        for component in self.processes.names():
            if self.processes.alive(component):
                self.cont(component)
        for component in HOST_PARTS:
            self.start(component)
        for node in self._nodes:
            if not self.processes.alive(f"{node}-holder"):
                self.kill_node(node)
                self.start_node(node)
            for part in PARTS:
                self.start(f"{node}-{part}")
            self.heal(node)
        self._wait(seconds)

    def add_fake_nodes(self, count: int) -> list[str]:
        """Add nodes played by kwok, and return their names. Pods on them are Running and contain nothing."""
        if not self.processes.alive("kwok"):
            addons.start_fakes(self.layout, self.processes, self.kubeconfig)
        made = addons.fakes(count)
        self.apply(made)
        names = [str(node["metadata"]["name"]) for node in made]
        self.kubectl("wait", "--for=condition=Ready", "--timeout=60s", *(f"node/{name}" for name in names))
        return names

    def remove_fake_nodes(self) -> None:
        """Remove them and stop kwok."""
        self.kubectl("delete", "nodes", "--selector=type=kwok", "--wait=false")
        self.processes.kill("kwok")

    def _start(self) -> None:
        layout, control, nodes = self.layout, self.control, self._nodes.values()
        layout.folder.mkdir(parents=True, exist_ok=True)
        self.network.up()
        authority = control.certify(layout.kubernetes)
        for node in nodes:
            authority.issue(node.name, f"system:node:{node.name}", ("system:nodes",), (node.name, node.address))
        authority.issue("proxy", "system:kube-proxy")
        authority.issue("router", "kube-router", ("system:masters",))
        for name in (*self._nodes, "proxy", "router"):
            authority.kubeconfig(name, control.server)
        archives = images.pause(PAUSE), images.busybox()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            runtimes = [pool.submit(self._start_runtime, node, archives) for node in nodes]
            control.start_server(control.start_store(), layout.services)
            control.start_controllers()
            self._start_addons()
            for runtime in runtimes:
                runtime.result()
        for node in nodes:
            node.start_kubelet()
        self._wait(60)

    def _start_runtime(self, node: Node, archives: tuple[Path, ...]) -> None:
        node.start_runtime(self.network)
        node.forget()
        for archive in archives:
            node.load(archive)

    def _start_addons(self) -> None:
        objects = addons.nodes(self.layout)
        for start in (addons.start_dns, addons.start_volumes):
            objects += start(self.layout, self.processes, self.kubeconfig)
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.kubectl("create", "--validate=false", "--filename=-", input=items)

    def _clean(self) -> None:
        remove(self.layout)
        for path in self.layout.folder.glob("*"):
            if path.name not in self._nodes:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for node in self._nodes:
            for path in (self.layout.folder / node).glob("*"):
                if path.name not in ("containerd", "loaded"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        if left := leftovers(self.layout):
            raise RuntimeError("\n".join(["could not be removed:", *left]))

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self.healthy():
            ended = [name for name in self.components if not self.processes.alive(name)]
            if ended or time.monotonic() > deadline:
                what = f"ended: {', '.join(ended)}" if ended else f"nodes are not ready after {seconds:.0f} s"
                raise RuntimeError(f"the cluster is not healthy: {what}. The logs are in {self.processes.logs}")
            time.sleep(0.1)

    def _ready(self) -> bool:
        with contextlib.suppress(OSError):
            ready = {
                node["metadata"]["name"]
                for node in json.loads(self.control.get("/api/v1/nodes"))["items"]
                for condition in node["status"].get("conditions", ())
                if condition["type"] == "Ready" and condition["status"] == "True"
            }
            return ready.issuperset(self._nodes)
        return False

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / f"{self.layout.folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _code() -> str:
    """The digest of the files that a cluster is made by."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(file.read_bytes())
    return digest.hexdigest()
