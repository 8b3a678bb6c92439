"""Credentials that stand in files: those of a pod, and kubeconfigs with certificates or tokens. No plugin, no request.

What is less plain (exec plugins, OIDC, several files, passwords) is left to kubernetes_asyncio, which knows it all, in
`runtime.cluster_login`. These cases are read here because they are nearly all there are and importing any part of that
library takes a second of CPU and 73 MiB; a test holds both readings to the same result.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import yaml

from runtime.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

POD_FOLDER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts the token and the CA of a service account."""

_CLUSTER: Final = frozenset(
    {
        "server",
        "certificate-authority",
        "certificate-authority-data",
        "insecure-skip-tls-verify",
        "tls-server-name",
        "proxy-url",
        "extensions",
        "disable-compression",
    }
)
_USER: Final = frozenset(
    {"client-certificate", "client-certificate-data", "client-key", "client-key-data", "token", "tokenFile"}
)


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Where the API is and who we are there. Certificates and keys are PEM text; empty is none."""

    host: str
    authorization: str = ""
    """Value of the header, such as `Bearer ...`."""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    verify: bool = True
    server_name: str = ""
    proxy: str = ""
    token_file: str = ""
    """Where `authorization` comes from, to be read again: whoever put it there rotates it in place."""
    ca_file: str = ""
    lasts: float = 0.0
    """Seconds until the credential ends; 0 when that is not known."""

    def __repr__(self) -> str:
        """Name the host only, so that no log can hold a key."""
        return f"Login(host={self.host!r})"


def of_pod(environment: Mapping[str, str], folder: Path = POD_FOLDER) -> Login:
    """Return the credentials of the pod's service account. Raises SettingsError outside of a pod."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "")
    token_file, ca_file = folder / "token", folder / "ca.crt"
    problem = "" if host and port else "KUBERNETES_SERVICE_HOST is not set"
    token = authority = ""
    try:
        token, authority = _text(token_file).strip(), _text(ca_file)
    except (OSError, UnicodeDecodeError) as error:
        problem = problem or str(error)
    if problem:
        raise SettingsError(f"KUBECONFIG is not set and this is no pod: {problem}. Example: KUBECONFIG=~/.kube/config")
    return Login(
        host=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        authorization=f"Bearer {token}",
        ca=authority,
        token_file=str(token_file),
        ca_file=str(ca_file),
    )


def of_file(kubeconfig: str) -> Login | None:
    """Return the credentials of a kubeconfig's current context; None when it is not plain. Raises SettingsError."""
    if os.pathsep in kubeconfig:
        return None
    path = Path(kubeconfig).expanduser()
    try:
        config = yaml.safe_load(_text(path))
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"])["user"] or {} if context.get("user") else {}
        if not cluster.keys() <= _CLUSTER or not user.keys() <= _USER:
            return None
        return _login(cluster, user, path.absolute().parent)
    except OSError as error:
        raise SettingsError(f"KUBECONFIG={kubeconfig}: {error}. Example: KUBECONFIG=~/.kube/config") from error
    except (LookupError, TypeError, AttributeError, ValueError, yaml.YAMLError):
        # What is wrong with it is for the library to say, which knows all of the format.
        return None


def _login(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: Path) -> Login:
    host, token = cluster["server"].rstrip("/"), user.get("token", "")
    token_file = "" if token or "tokenFile" not in user else str(folder / user["tokenFile"])
    if token_file:
        token = _text(Path(token_file)).strip()
    secure = host.startswith("https")
    return Login(
        host=host,
        authorization=f"Bearer {token}" if token else "",
        ca=_pem(cluster, "certificate-authority", folder) if secure else "",
        certificate=_pem(user, "client-certificate", folder) if secure else "",
        key=_pem(user, "client-key", folder) if secure else "",
        verify=not cluster.get("insecure-skip-tls-verify", False),
        server_name=cluster.get("tls-server-name") or "",
        proxy=cluster.get("proxy-url") or "",
        token_file=token_file,
        # Whoever puts new tokens into a file puts new authorities into one, too.
        ca_file=_path_of(cluster, "certificate-authority", folder) if secure and token_file else "",
    )


def _named(config: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [item for item in config[kind] if item["name"] == name]
    if len(found) != 1:
        raise LookupError(f"{kind} holds {name} {len(found)} times")
    return found[0]


def _pem(part: Mapping[str, Any], name: str, folder: Path) -> str:
    if data := part.get(f"{name}-data"):
        try:
            return base64.b64decode(data).decode()
        except binascii.Error as error:
            raise ValueError(name) from error
    return _text(folder / part[name]) if part.get(name) else ""


def _path_of(part: Mapping[str, Any], name: str, folder: Path) -> str:
    """Return where a certificate stands; nothing when it stands in the configuration itself, which counts first."""
    return str(folder / part[name]) if part.get(name) and not part.get(f"{name}-data") else ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
