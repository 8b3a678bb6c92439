"""Where the commands find the cluster and the event log: options, KUBECONFIG, else the running local stack."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
import yaml

from kubernaut.local.claims import scratch
from kubernaut.local.home import DEFAULT_NAME, Home
from kubernaut.local.state import StackState, read_state
from runtime.cluster import ClusterClient, connect
from runtime.errors import KubernautError
from runtime.nats_address import nats_address, same_system
from runtime.settings import Settings

USERS_KUBECONFIG: Final = "~/.kube/config"
_SILENT: Final = 50
"""Level of a logger that says nothing (critical)."""


class NoClusterError(KubernautError):
    """Nothing says where the cluster or the log is; the text says how to get one."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go."""

    kubeconfig: str
    """One path or several, as in KUBECONFIG."""
    context: str = ""
    """Context to use instead of the current one."""
    namespace: str = "default"
    """Namespace where no other is named."""
    stack: str = ""
    """Name of the local stack that this is; empty when it is none of ours."""

    @property
    def options(self) -> str:
        """What a command needs to get to the same place again, with a space before it; empty when it needs nothing."""
        if self.stack:
            return "" if self.stack == DEFAULT_NAME else f" --stack {self.stack}"
        return f" --context {self.context}" if self.context else ""


def find(
    environment: Mapping[str, str], *, kubeconfig: str | None, context: str | None, stack: str = DEFAULT_NAME
) -> Target:
    """Return where the cluster is: the option, KUBECONFIG, the local stack, and with a context the user's own file.

    Raises NoClusterError.
    """
    paths = kubeconfig or environment.get("KUBECONFIG", "").strip()
    if paths:
        return _target(paths, context)
    if context:
        return _target(USERS_KUBECONFIG, context)
    state = running_stack(stack)
    if state is None or state.kubeconfig is None:
        option = "" if stack == DEFAULT_NAME else f" --name {stack}"
        raise NoClusterError(
            f"no cluster: neither --kubeconfig nor KUBECONFIG is given, and no local stack named {stack!r} is running; "
            f"start one with `kubernaut up{option}`"
        )
    return msgspec.structs.replace(_target(state.kubeconfig, None), stack=stack)


def find_nats(environment: Mapping[str, str], *, nats_url: str | None, stack: str = DEFAULT_NAME) -> str:
    """Return the address of NATS, with the login: the option, NATS_URL, else the local stack's.

    Raises NoClusterError, or SettingsError where what is given makes no sense.
    """
    given = nats_address(environment, nats_url)
    if given:
        return given
    state = running_stack(stack)
    if state is None or state.nats_url is None:
        raise NoClusterError(
            f"no event log: neither --nats nor NATS_URL is given, and no local stack named {stack!r} is running; "
            "start one with `kubernaut up`"
        )
    return state.nats_url


def quiet_logger() -> structlog.typing.FilteringBoundLogger:
    """Return a logger that says nothing: the commands tell by themselves what went wrong."""
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr), wrapper_class=structlog.make_filtering_bound_logger(_SILENT)
    )
    return logger


def running_stack(name: str) -> StackState | None:
    """Return what a local stack says of itself; None when none of that name runs."""
    home = Home(name)
    return read_state(home) if home.is_running() else None


def is_of_stack(state: StackState, nats: str | None) -> bool:
    """Whether an address of NATS leads to the NATS of this local stack."""
    return bool(nats and state.nats_url) and same_system(str(nats), str(state.nats_url))


@asynccontextmanager
async def cluster_at(target: Target) -> AsyncIterator[ClusterClient]:
    """Connect to the cluster. Raises SettingsError or UnavailableError when there are no credentials."""
    with scratch("context") as folder:
        paths = _with_context(target, folder)
        # The client asks for a NATS address that it never uses; its settings are those of a service.
        cluster = await connect(Settings(nats_url="", kubeconfig=paths))
        try:
            yield cluster
        finally:
            await cluster.close()


def _target(paths: str, context: str | None) -> Target:
    files = [_yaml(path) for path in paths.split(os.pathsep) if path]
    current = context or next((file["current-context"] for file in files if file.get("current-context")), "")
    contexts = [one for file in files for one in file.get("contexts") or ()]
    found: Any = next((one.get("context") for one in contexts if one.get("name") == current), None)
    if context and found is None:
        known = ", ".join(sorted(str(one.get("name")) for one in contexts)) or "none"
        raise NoClusterError(f"{paths} has no context {context!r}; it has: {known}")
    several = len(files) > 1
    return Target(
        kubeconfig=paths,
        context=current if context or several else "",
        namespace=(found or {}).get("namespace") or "default",
    )


def _yaml(path: str) -> dict[str, Any]:
    file = Path(path).expanduser()
    try:
        body = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoClusterError(f"no cluster: there is no kubeconfig {file}; is KUBECONFIG right?") from None
    except (OSError, yaml.YAMLError) as error:
        raise NoClusterError(f"no cluster: the kubeconfig {file} cannot be read: {error}") from error
    if not isinstance(body, dict):
        raise NoClusterError(f"no cluster: {file} is no kubeconfig")
    return body


def _with_context(target: Target, folder: Path) -> str:
    """Return the paths with a file that sets the context at both ends: readers differ in which of several wins."""
    if not target.context:
        return target.kubeconfig
    file = folder / "context"
    body = {"apiVersion": "v1", "kind": "Config", "current-context": target.context}
    file.write_text(yaml.safe_dump(body), encoding="utf-8")
    return os.pathsep.join([str(file), target.kubeconfig, str(file)])
