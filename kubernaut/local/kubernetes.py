"""etcd, kube-apiserver and kube-controller-manager on this machine, with RBAC and one administrator.

There is no kubelet and no scheduler of pods: objects are real, containers do not run.
"""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import yaml

from kubernaut.local.ports import LOOPBACK, PortPool
from kubernaut.local.probes import AliveProbe, HttpProbe
from kubernaut.local.process import ProcessSpec
from kubernaut.local.secret_file import write_secret

# A third of the API server's CPU under load is garbage collection (measured); half as often is enough on one machine.
_GARBAGE_PERCENT = "200"
ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"

# RFC 5915 ECPrivateKey for P-256 (OID 1.2.840.10045.3.1.7) without the optional public key, which readers compute.
_EC_KEY_BEFORE = bytes.fromhex("30310201010420")
_EC_KEY_AFTER = bytes.fromhex("a00a06082a8648ce3d030107")
_EC_KEY_BYTES = 32
_CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "deployment-controller",
    "replicaset-controller",
    "job-controller",
    "ttl-after-finished-controller",
)
# Reads of administrators are left out: they are most of the traffic, and nothing is ever refused to them.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"], "userGroups": ["system:masters"]},
        {"level": "None", "nonResourceURLs": ["/livez*", "/readyz*"]},
        {"level": "Metadata"},
    ],
}
_AUDIT_LOG_MEGABYTES = 4096  # it rotates at 100 by default, and a count over one file would then be short


class Kubernetes:
    """The files and the command lines of one control plane; `programs` maps each program to how it is called."""

    def __init__(
        self,
        folder: Path,
        logs: Path,
        ports: PortPool,
        programs: Mapping[str, tuple[str, ...]],
        *,
        audit_log: bool = False,
    ) -> None:
        """Choose the ports; nothing is written yet."""
        self._folder = folder
        self._logs = logs
        self._programs = programs
        self._ports = {name: ports.take() for name in ("etcd-client", "etcd-peer", "api")}
        self._token = secrets.token_urlsafe(32)
        self.audit_log = logs / "kubernetes-audit.log" if audit_log else None

    @property
    def url(self) -> str:
        """Where the API server answers."""
        return f"https://{LOOPBACK}:{self._ports['api']}"

    @property
    def _certificate(self) -> Path:
        return self._folder / "certificates" / "apiserver.crt"

    def prepare(self) -> tuple[ProcessSpec, ProcessSpec]:
        """Write what etcd and the API server read, and return how they are run, in the order to start them."""
        (self._folder / "certificates").mkdir(parents=True, exist_ok=True)
        write_secret(self._folder / "service-account.key", _new_signing_key())
        write_secret(self._folder / "tokens.csv", f'{self._token},admin,admin,"system:masters"\n')
        (self._folder / "audit-policy.yaml").write_text(yaml.safe_dump(_AUDIT_POLICY))
        return self._etcd(), self._api_server()

    def write_kubeconfig(self, file: Path) -> None:
        """Write the administrator's kubeconfig; the API server must be ready, as it makes its certificate itself."""
        certificate = base64.b64encode(self._certificate.read_bytes()).decode()
        name = "kubernaut-local"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": self.url, "certificate-authority-data": certificate}}],
            "users": [{"name": "admin", "user": {"token": self._token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "admin", "namespace": "default"}}],
            "current-context": name,
        }
        write_secret(file, yaml.safe_dump(content, sort_keys=False))

    def controller_manager(self, kubeconfig: Path) -> ProcessSpec | None:
        """Return how the controller manager is run; None when there is no such program."""
        if CONTROLLER_MANAGER not in self._programs:
            return None
        flags = {
            "kubeconfig": kubeconfig,
            "leader-elect": "false",
            "secure-port": "0",
            "service-account-private-key-file": self._folder / "service-account.key",
            "controllers": ",".join(_CONTROLLERS),
            "profiling": "false",
        }
        return self._spec(CONTROLLER_MANAGER, flags, {}, AliveProbe())

    def _etcd(self) -> ProcessSpec:
        client = f"http://{LOOPBACK}:{self._ports['etcd-client']}"
        peer = f"http://{LOOPBACK}:{self._ports['etcd-peer']}"
        flags = {
            "name": "local",
            "data-dir": self._folder / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"local={peer}",
            # What is written outlives kill -9 all the same; only a machine that loses power loses it.
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }
        ports = {"client": self._ports["etcd-client"], "peer": self._ports["etcd-peer"]}
        return self._spec(ETCD, flags, ports, HttpProbe(url=f"{client}/health"))

    def _api_server(self) -> ProcessSpec:
        key = self._folder / "service-account.key"
        flags: dict[str, object] = {
            "etcd-servers": f"http://{LOOPBACK}:{self._ports['etcd-client']}",
            "secure-port": self._ports["api"],
            "bind-address": LOOPBACK,
            # Else it looks for a default route and refuses to start on a machine without network.
            "advertise-address": LOOPBACK,
            "endpoint-reconciler-type": "none",
            "cert-dir": self._certificate.parent,
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
            "service-cluster-ip-range": "10.0.0.0/24",
            "token-auth-file": self._folder / "tokens.csv",
            "authorization-mode": "RBAC",
            "disable-admission-plugins": "ServiceAccount",
            # As OpenShift has it: whoever makes an object that blocks the end of its owner must be allowed to.
            "enable-admission-plugins": "OwnerReferencesPermissionEnforcement",
            # Else its end waits for open watches until a minute is over.
            "shutdown-watch-termination-grace-period": "10s",
            "profiling": "false",
        }
        if self.audit_log is not None:
            flags["audit-policy-file"] = self._folder / "audit-policy.yaml"
            flags["audit-log-path"] = self.audit_log
            flags["audit-log-maxsize"] = _AUDIT_LOG_MEGABYTES
        probe = HttpProbe(url=f"{self.url}/readyz", ca_file=str(self._certificate))
        return self._spec(API_SERVER, flags, {"api": self._ports["api"]}, probe)

    def _spec(
        self,
        name: str,
        flags: Mapping[str, object],
        ports: Mapping[str, int],
        probe: HttpProbe | AliveProbe,
    ) -> ProcessSpec:
        return ProcessSpec(
            name=name,
            command=(*self._programs[name], *(f"--{flag}={value}" for flag, value in flags.items())),
            log=self._logs / f"{name}.log",
            # For systems without a death signal: localcluster looks after its parent itself.
            environment={"LOCALCLUSTER_PARENT_PID": str(os.getpid()), "GOGC": os.environ.get("GOGC", _GARBAGE_PERCENT)},
            ports=ports,
            probe=probe,
        )


def _new_signing_key() -> str:
    """Return a new private key in PEM. Any 32 random bytes below the order of the curve are one (all but 1 in 2^32)."""
    # The first byte stays below 0xff, so the number is below the order ffffffff00000000...
    number = bytes([secrets.randbelow(0xFF)]) + secrets.token_bytes(_EC_KEY_BYTES - 1)
    encoded = base64.b64encode(_EC_KEY_BEFORE + number + _EC_KEY_AFTER).decode()
    lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
    return "\n".join(["-----BEGIN EC PRIVATE KEY-----", *lines, "-----END EC PRIVATE KEY-----", ""])
