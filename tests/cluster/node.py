"""A node: containerd, kubelet, kube-proxy and kube-router in namespaces of their own.

The first process of a node, its holder, has a mount namespace where /run, /var/log and /var/lib/kubelet are the
node's, a network namespace with one cable, and a host name. Everything else of the node enters these; so when its last
process has ended, the node's mounts, addresses, routes and packet filter rules are gone with it.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

from cluster import cgroup
from cluster.layout import Layout
from cluster.network import Network
from cluster.process import Processes, kill, marked
from cluster.programs import program

PAUSE = "registry.test/pause:3.10"
PARTS = ("containerd", "kubelet", "proxy", "router")
CTR = ("ctr", "--namespace", "k8s.io")
IMAGES, CONTAINERS = (*CTR, "images"), (*CTR, "containers")
OWN = {"kubelet": "/var/lib/kubelet", "cni": "/var/lib/cni", "log": "/var/log"}


class Node:
    """One node of a layout. Its certificates must be in `pki` before it starts."""

    def __init__(self, name: str, layout: Layout, processes: Processes, pki: Path) -> None:
        self.name = name
        self.layout = layout
        self.processes = processes
        self.pki = pki
        self.folder = layout.folder / name
        self.address = layout.node_address(name)

    def start_runtime(self, network: Network) -> None:
        """Make the node's namespaces and start its containerd; the API server is not needed for that."""
        self._write_files()
        cgroup.create(self.layout.cgroup(self.name))
        for own, path in OWN.items():
            (self.folder / own).mkdir(exist_ok=True)
            Path(path).mkdir(parents=True, exist_ok=True)
        script = ["mount --make-rshared /", "mount -t tmpfs tmpfs /run", f"hostname {self.name}"]
        script += [f"mount --bind {self.folder / own} {path}" for own, path in OWN.items()]
        holder = f"{self.name}-holder"
        command = ["unshare", "--mount", "--net", "--uts", "sh", "-ec", "\n".join([*script, "exec sleep infinity"])]
        self.processes.start(holder, command)
        self.processes.wait(holder, lambda: Path(f"/proc/{self._pid()}/comm").read_text() == "sleep\n")
        network.attach(self.name, self._pid())
        self._start("containerd", "containerd", "--config", str(self.folder / "containerd.toml"))
        self.processes.wait(f"{self.name}-containerd", self._answers)

    def start_kubelet(self) -> None:
        """Start the rest; the API server must be ready and know the node's object."""
        kube, folder, own = str(program("kube")), self.folder, f"--hostname-override={self.name}"
        kubelet = [f"--config={folder}/kubelet.json", f"--kubeconfig={self.pki}/{self.name}.kubeconfig"]
        self._start("kubelet", kube, "kubelet", *kubelet, f"--node-ip={self.address}", own)
        proxy = [f"--kubeconfig={self.pki}/proxy.kubeconfig", "--proxy-mode=nftables", "--conntrack-max-per-core=0"]
        self._start("proxy", kube, "proxy", *proxy, f"--cluster-cidr={self.layout.pods}", own)
        router = [f"--kubeconfig={self.pki}/router.kubeconfig", "--run-firewall=true", "--run-router=false"]
        router += ["--run-service-proxy=false", "--run-loadbalancer=false", own]
        router += [f"--service-cluster-ip-range={self.layout.services}"]
        self._start("router", str(program("kube-router")), *router)

    def load(self, archive: Path) -> None:
        """Import an image archive, unless the node has just these images. Raises RuntimeError."""
        facts = archive.stat()
        done = self.folder / "loaded" / f"{archive.name}-{facts.st_size}-{facts.st_mtime_ns}"
        if done.exists():
            known = {tuple(line.split()) for line in done.read_text().splitlines()}
            if known and known <= {(name, digest) for name, _, digest, *_ in self._images()}:
                return
        said = self.enter(*IMAGES, "import", str(archive))
        imported = re.findall(r"^unpacking (\S+) \((\S+)\)", said, re.MULTILINE)
        done.parent.mkdir(exist_ok=True)
        done.write_text("".join(f"{name} {digest}\n" for name, digest in imported))

    def forget(self) -> None:
        """Drop what an earlier cluster left with containerd: containers, and images that have no name any more."""
        containers = self.enter(*CONTAINERS, "list", "--quiet").split()
        images = self._images()
        named = {digest for name, _, digest, *_ in images if not name.startswith("sha256:")}
        unnamed = [name for name, _, digest, *_ in images if digest not in named]
        if containers:
            self.enter(*CONTAINERS, "rm", *containers)
        if unnamed:
            self.enter(*IMAGES, "rm", *unnamed)
        if containers or unnamed:
            self.processes.kill(f"{self.name}-containerd")  # else its CRI part goes on with what it found
            shutil.rmtree(self.folder / "containerd" / "io.containerd.grpc.v1.cri", ignore_errors=True)
            self.processes.restart(f"{self.name}-containerd")
            self.processes.wait(f"{self.name}-containerd", self._answers)

    def enter(self, *command: str) -> str:
        """Run a command on the node and return what it prints. Raises RuntimeError."""
        done = subprocess.run([*self._inside(), *command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def kill(self) -> None:
        """End everything that runs on the node at once, pods too, as when its power fails."""
        prefix = f"{self.name}-"
        while True:  # what is being started while we look is seen the next time
            ours = [pid for pid, part in marked(self.processes.mark) if part.startswith(prefix)]
            ours += cgroup.pids(self.layout.cgroup(self.name))
            if not ours:
                break
            kill(ours)
        cgroup.remove(self.layout.cgroup(self.name))

    def _images(self) -> list[list[str]]:
        """Name, type, digest and more of each."""
        return [line.split() for line in self.enter(*IMAGES, "list").splitlines()[1:]]

    def _start(self, part: str, *command: str) -> None:
        self.processes.start(f"{self.name}-{part}", [*self._inside(), *command])

    def _inside(self) -> list[str]:
        return ["nsenter", "--target", str(self._pid()), "--mount", "--net", "--uts"]

    def _pid(self) -> int:
        pid = self.processes.pid(f"{self.name}-holder")
        if pid is None:
            raise RuntimeError(f"{self.name} does not run")
        return pid

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(f"/proc/{self._pid()}/root/run/containerd/containerd.sock") == 0

    def _write_files(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "net.d").mkdir(exist_ok=True)
        ranges = [[{"subnet": self.layout.node_pods(self.name)}]]
        ipam = {"type": "host-local", "dataDir": "/run/cni", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
        bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": ipam}
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        plugins = {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}
        (self.folder / "net.d" / "pods.conflist").write_text(json.dumps(plugins))
        (self.folder / "resolv.conf").write_text(f"nameserver {self.layout.address}\n")
        (self.folder / "containerd.toml").write_text(CONTAINERD.format(folder=self.folder, pause=PAUSE))
        kubelet = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{self.pki}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{self.pki}/{self.name}.crt",
            "tlsPrivateKeyFile": f"{self.pki}/{self.name}.key",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.layout.cgroup(self.name)}",
            "failSwapOn": False,
            "failCgroupV1": False,
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "clusterDNS": [self.layout.dns],
            "clusterDomain": "cluster.local",
            "resolvConf": f"{self.folder}/resolv.conf",
            "evictionHard": {"imagefs.available": "1%", "nodefs.available": "1%", "memory.available": "100Mi"},
            "imageGCHighThresholdPercent": 100,  # nothing can be pulled again here
            "localStorageCapacityIsolation": False,
            "volumePluginDir": "/var/lib/kubelet/volume-plugins",
            "maxPods": 200,
            "registryPullQPS": 0,
            "nodeStatusUpdateFrequency": "4s",
        }
        (self.folder / "kubelet.json").write_text(json.dumps(kubelet, indent=1))


CONTAINERD = """version = 2
root = "{folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{pause}"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{folder}/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
"""
