"""The credentials for the Kubernetes API: read as kubernetes_asyncio reads them, and named when they make no sense."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from runtime import cluster_plain
from runtime.cluster import connect
from runtime.cluster_access import log_in
from runtime.errors import SettingsError
from runtime.settings import read


def a_kubeconfig(user: dict[str, object], **cluster: object) -> dict[str, object]:
    """A kubeconfig with one context."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://example.test:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }


READ_AGAIN = ("token_file", "ca_file")
"""What only our reading knows, because the files stay."""


@pytest.mark.parametrize(
    ("user", "cluster"),
    [
        pytest.param({"token": "t"}, {"certificate-authority-data": "Q0E="}, id="a token"),
        pytest.param({"tokenFile": "token"}, {"certificate-authority": "ca"}, id="a token in a file"),
        pytest.param(
            {"client-certificate-data": "Q0VSVA==", "client-key": "key"},
            {"tls-server-name": "kubernetes", "proxy-url": "http://proxy.test:3128"},
            id="a certificate",
        ),
        pytest.param({}, {"insecure-skip-tls-verify": True}, id="nobody"),
    ],
)
async def test_plain_credentials_are_read_as_kubernetes_asyncio_reads_them(
    tmp_path: Path, user: dict[str, object], cluster: dict[str, object]
) -> None:
    """Our reading of a plain kubeconfig and that of the library, in its process, are one."""
    for name in ("token", "ca", "key"):
        (tmp_path / name).write_text(f"{name} text")
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(a_kubeconfig(user, **cluster)))

    ours = await log_in(str(file))
    # A second file, though it is empty, makes it less than plain.
    (tmp_path / "more").write_text(yaml.safe_dump({"contexts": [], "clusters": [], "users": []}))
    theirs = await log_in(f"{file}:{tmp_path / 'more'}")

    token_file = str(tmp_path / "token") if "tokenFile" in user else ""
    assert ours.token_file == token_file
    assert ours.ca_file == (str(tmp_path / "ca") if token_file else "")  # to be read again, as the token is (F21)
    assert cluster_plain.Login.__struct_fields__ == theirs.__struct_fields__
    assert {f: getattr(ours, f) for f in ours.__struct_fields__ if f not in READ_AGAIN} == {
        f: getattr(theirs, f) for f in theirs.__struct_fields__ if f not in READ_AGAIN
    }


async def test_an_exec_plugin_is_asked_for_a_token(tmp_path: Path) -> None:
    """Its token is used, and how long it lasts is known."""
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-plugin", "expirationTimestamp": "2999-01-01T00:00:00Z"},
    }
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", f"print({json.dumps(json.dumps(credential))})"],
    }
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(a_kubeconfig({"exec": plugin})))

    login = await log_in(str(file))

    assert login.authorization == "Bearer from-plugin"
    assert login.lasts > 1e9


@pytest.mark.parametrize(
    "content", ["", "current-context: none", "{", None], ids=["empty", "no context", "no yaml", "-"]
)
async def test_a_kubeconfig_that_makes_no_sense_is_named(tmp_path: Path, content: str | None) -> None:
    """The error names the file, what is wrong and an example."""
    file = tmp_path / "config"
    if content is not None:
        file.write_text(content)

    with pytest.raises(SettingsError, match=r"KUBECONFIG=.*config.*Example"):
        await connect(read({"KUBECONFIG": str(file), "NATS_URL": "nats://nowhere"}))


def test_a_pod_reads_its_service_account(tmp_path: Path) -> None:
    """Host from the environment, token and CA from the folder; outside of a pod it says what to set."""
    (tmp_path / "token").write_text("pod-token\n")
    (tmp_path / "ca.crt").write_text("CA")
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}

    login = cluster_plain.of_pod(environment, tmp_path)

    assert (login.host, login.authorization, login.ca) == ("https://[fd00::1]:443", "Bearer pod-token", "CA")
    with pytest.raises(SettingsError, match="KUBECONFIG is not set"):
        cluster_plain.of_pod({}, tmp_path)
