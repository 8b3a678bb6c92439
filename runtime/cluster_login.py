"""A program of its own: reads credentials for the Kubernetes API that are not plain, and prints them as JSON.

`python -m runtime.cluster_login KUBECONFIG`. kubernetes_asyncio knows every kind of kubeconfig (exec plugins, OIDC,
several files), but importing any part of it loads its whole generated client: 73 MiB and a second of CPU. In a process
that ends, no service carries that for life, and an exec plugin that hangs can be killed. Must never be imported by a
service, and must print nothing but the credentials on its output, which is a pipe.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException, load_kube_config

from runtime.cluster_plain import Login

REFUSED = 2
"""Exit code for a configuration that makes no sense."""


def _text(path: str | None) -> str:
    return Path(path).read_text(encoding="utf-8") if path else ""


def _exists(kubeconfig: str) -> bool:
    return any(Path(part).expanduser().is_file() for part in kubeconfig.split(os.pathsep) if part)


def _login(configuration: Any, lasts: float) -> Login:
    """Certificates go as text: the files that kubernetes_asyncio makes of inline data end with this process."""
    return Login(
        host=configuration.host.rstrip("/"),
        authorization=configuration.api_key.get("BearerToken", "").strip(),
        ca=_text(configuration.ssl_ca_cert),
        certificate=_text(configuration.cert_file),
        key=_text(configuration.key_file),
        verify=configuration.verify_ssl,
        server_name=configuration.tls_server_name or "",
        proxy=configuration.proxy or "",
        lasts=lasts,
    )


async def read(kubeconfig: str) -> Login:
    """Return the credentials of the current context. Raises whatever the library raises: ConfigException, mostly."""
    configuration = Configuration()
    if not _exists(kubeconfig):
        raise ConfigException(f"no such file: {kubeconfig}")
    loader = await load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    expiry: datetime | None = getattr(loader, "exec_plugin_expiry", None)
    lasts = (expiry - datetime.now(UTC)).total_seconds() if expiry else 0.0
    return _login(configuration, max(lasts, 0.0))


def main() -> int:
    """Print the credentials; say on the error output, in one line, why there are none."""
    try:
        login = asyncio.run(read(sys.argv[1]))
    except Exception as error:  # noqa: BLE001 - kubeconfigs fail in many ways, and each must be told in one line
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return REFUSED
    sys.stdout.buffer.write(msgspec.json.encode(login))
    return 0


if __name__ == "__main__":
    sys.exit(main())
