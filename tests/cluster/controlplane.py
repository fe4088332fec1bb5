"""etcd and the Kubernetes API server, and where there are nodes the controller manager and the scheduler."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import urllib.request
from pathlib import Path

from cluster.certificates import Authority
from cluster.process import Processes
from cluster.programs import program

NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")


class ControlPlane:
    """A control plane whose files are in `folder`, serving on `address`:`port` and, for etcd, a port of loopback."""

    def __init__(self, folder: Path, processes: Processes, address: str, port: int) -> None:
        self.folder = folder
        self.pki = folder / "pki"
        self.processes = processes
        self.address = address
        self.server = f"https://{address}:{port}"
        self.port = port

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.pki / "admin.kubeconfig"

    def certify(self, *hosts: str) -> Authority:
        """Make the certificates of the parts here; the API server's holds for `hosts`, too."""
        authority = Authority(self.pki)
        authority.issue("apiserver", "kube-apiserver", (), ("localhost", *NAMES, "127.0.0.1", self.address, *hosts))
        authority.issue("kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",))
        authority.issue("front-proxy", "front-proxy-client")
        authority.key("service-accounts")
        for name, user, groups in (
            ("admin", "admin", ("system:masters",)),
            ("controller-manager", "system:kube-controller-manager", ()),
            ("scheduler", "system:kube-scheduler", ()),
        ):
            authority.issue(name, user, groups)
            authority.kubeconfig(name, self.server)
        return authority

    def start_store(self) -> str:
        """Start etcd and return its URL. Its data need not survive a power failure: it never waits for the disk."""
        url = f"http://127.0.0.1:{free_port()}"
        command = ["etcd", "--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync", "--log-level=warn"]
        command += ["--listen-client-urls", url, "--advertise-client-urls", url]
        self.processes.start("etcd", [*command, "--listen-peer-urls", "http://127.0.0.1:0"])
        return url

    def start_server(self, store: str, services: str, *options: str) -> None:
        """Start the API server over that etcd, and wait until it is ready."""
        pki = self.pki
        command = [
            *(str(program("kube")), "apiserver"),
            *(f"--etcd-servers={store}", f"--service-cluster-ip-range={services}"),
            *(f"--bind-address={self.address}", f"--advertise-address={self.address}", f"--secure-port={self.port}"),
            *(f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key"),
            f"--client-ca-file={pki}/ca.crt",
            f"--service-account-key-file={pki}/service-accounts.pub",
            f"--service-account-signing-key-file={pki}/service-accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            *(
                f"--kubelet-client-certificate={pki}/kubelet-client.crt",
                f"--kubelet-client-key={pki}/kubelet-client.key",
            ),
            f"--kubelet-certificate-authority={pki}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",
            f"--requestheader-client-ca-file={pki}/ca.crt",
            *(f"--proxy-client-cert-file={pki}/front-proxy.crt", f"--proxy-client-key-file={pki}/front-proxy.key"),
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            *("--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User"),
            "--enable-aggregator-routing=true",  # the host of the control plane has no service addresses
            *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"),
            *("--allow-privileged=true", "--profiling=false", *options),
        ]
        self.processes.start("apiserver", command)
        self.processes.wait("apiserver", lambda: self.ready() and self._furnished())

    def start_controllers(self) -> None:
        """Start the controller manager and the scheduler."""
        kube = str(program("kube"))
        manager = [
            *(kube, "controller-manager", f"--kubeconfig={self.pki}/controller-manager.kubeconfig"),
            *(f"--root-ca-file={self.pki}/ca.crt", "--use-service-account-credentials=true"),
            f"--service-account-private-key-file={self.pki}/service-accounts.key",
            *(f"--cluster-signing-cert-file={self.pki}/ca.crt", f"--cluster-signing-key-file={self.pki}/ca.key"),
            *("--allocate-node-cidrs=false", "--leader-elect=false", "--secure-port=0"),
            *("--node-monitor-period=2s", "--node-monitor-grace-period=16s"),
        ]
        self.processes.start("controller-manager", manager)
        scheduler = [kube, "scheduler", f"--kubeconfig={self.pki}/scheduler.kubeconfig"]
        self.processes.start("scheduler", [*scheduler, "--leader-elect=false", "--secure-port=0"])

    def get(self, path: str, seconds: float = 5) -> bytes:
        """What the API server answers to the administrator. Raises OSError."""
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(self.pki / "admin.crt", self.pki / "admin.key")
        with urllib.request.urlopen(self.server + path, timeout=seconds, context=context) as answer:
            content: bytes = answer.read()
            return content

    def ready(self) -> bool:
        """Whether the API server is."""
        with contextlib.suppress(OSError):
            return self.get("/readyz") == b"ok"
        return False

    def _furnished(self) -> bool:
        """Whether the namespaces are there that every cluster has; a new one is ready a moment before."""
        with contextlib.suppress(OSError):
            return all(self.get(f"/api/v1/namespaces/{name}") for name in ("kube-system", "default"))
        return False


def free_port() -> int:
    """A port of loopback that nobody listens on.

    It is below those that the kernel gives to outgoing connections: a server that was killed finds it free again.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10_000, lowest)
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
