"""The services' ServiceAccounts on the embedded Kubernetes API: their roles, bindings, tokens and kubeconfigs.

So the local stack, and every test that stands on it, runs under the rights that deploy/rbac grants and no others. Must
never touch a cluster of the user's: there the kubeconfig that was given says who the services are.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from kubernaut.local.errors import LocalStackError
from kubernaut.local.secret_file import write_secret
from runtime.backoff import Backoff
from runtime.cluster import ClusterClient, connect_to
from runtime.errors import AlreadyExistsError, KubernautError
from runtime.kinds import ACCESS_REVIEWS
from runtime.ports import Resource
from schemas.rbac import NAMESPACE, SERVICES, Role, roles_of

TOKEN_SECONDS = 3600
"""What the kubelet asks for, too. The API server gives none for less than ten minutes."""
_LOOK_SECONDS = 15.0
"""By the wall clock, which goes on while a machine sleeps."""
_FORCE_SECONDS = 30.0
"""Longest time until rights that were granted are in force; the API server takes some milliseconds."""
_POLL_SECONDS = 0.02
_LOGGER = logging.getLogger("kubernaut.local")

_RBAC = "rbac.authorization.k8s.io"
_NAMESPACES = Resource("", "v1", "namespaces")
_ACCOUNTS = Resource("", "v1", "serviceaccounts")
_ROLES = Resource(_RBAC, "v1", "clusterroles")
_BINDINGS = Resource(_RBAC, "v1", "clusterrolebindings")


class ServiceAccounts:
    """An account for each role of a service, with a token that is renewed from `start` to `close`."""

    def __init__(
        self,
        kubeconfig: Path,
        folder: Path,
        *,
        namespace: str = NAMESPACE,
        clock: Callable[[], float] = time.time,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """`kubeconfig`: of an administrator; `folder`: for what the services read; `clock` gives seconds since 1970."""
        self._administrator = kubeconfig
        self._folder = folder
        self._namespace = namespace
        self._clock = clock
        self._look_seconds = look_seconds
        self._renew_at = 0.0
        self._renewing: asyncio.Task[None] | None = None

    def kubeconfig(self, role: Role) -> Path:
        """Where the kubeconfig of an account is."""
        return self._folder / f"{role.full_name}.kubeconfig"

    def user(self, role: Role) -> str:
        """Return the name by which the API server knows an account."""
        return f"system:serviceaccount:{self._namespace}:{role.full_name}"

    async def start(self) -> None:
        """Make all of them, and return once their rights are in force. What is there already is brought up to date."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        cluster = await connect_to(str(self._administrator))
        try:
            await _put(cluster, _NAMESPACES, "", {"metadata": {"name": self._namespace}})
            await asyncio.gather(*(self._make(cluster, role) for role in SERVICES))
            await self._renew(cluster)
            await asyncio.gather(*(self._in_force(cluster, role) for role in SERVICES))
        finally:
            await cluster.close()
        administrator = yaml.safe_load(self._administrator.read_text(encoding="utf-8"))
        for role in SERVICES:
            content = _kubeconfig(administrator, role.full_name, self._token_file(role))
            write_secret(self.kubeconfig(role), yaml.safe_dump(content, sort_keys=False))
        self._renewing = asyncio.create_task(self._renew_loop())

    def close(self) -> None:
        """Renew no more; what was made goes with the cluster, and the files with their folder."""
        if self._renewing is not None:
            self._renewing.cancel()

    async def _renew_loop(self) -> None:
        """Renew the tokens when half of their time is over, for ever; an API server that is away is waited for."""
        backoff = Backoff(most=self._look_seconds)
        while True:
            await asyncio.sleep(self._look_seconds)
            while self._clock() >= self._renew_at:
                try:
                    await self._renew_all()
                except (KubernautError, OSError) as error:
                    _LOGGER.warning("the tokens of the services are not renewed: %s", error)
                    await asyncio.sleep(backoff.next())
            backoff.reset()

    async def _renew_all(self) -> None:
        cluster = await connect_to(str(self._administrator))
        try:
            await self._renew(cluster)
        finally:
            await cluster.close()
        _LOGGER.info("the tokens of the services are renewed")

    async def _make(self, cluster: ClusterClient, role: Role) -> None:
        account = {"metadata": {"name": role.full_name}, "automountServiceAccountToken": False}
        await _put(cluster, _ACCOUNTS, self._namespace, account)
        for made in roles_of(role):
            await _put(cluster, _ROLES, "", made)
        subject = {"kind": "ServiceAccount", "name": role.full_name, "namespace": self._namespace}
        binding = {
            "metadata": {"name": role.full_name},
            "subjects": [subject],
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role.full_name},
        }
        await _put(cluster, _BINDINGS, "", binding)

    async def _renew(self, cluster: ClusterClient) -> None:
        asked = self._clock()
        await asyncio.gather(*(self._renew_one(cluster, role) for role in SERVICES))
        self._renew_at = asked + TOKEN_SECONDS / 2

    async def _renew_one(self, cluster: ClusterClient, role: Role) -> None:
        tokens = Resource("", "v1", f"serviceaccounts/{role.full_name}/token")
        answer = await cluster.create(tokens, self._namespace, {"spec": {"expirationSeconds": TOKEN_SECONDS}})
        write_secret(self._token_file(role), answer["status"]["token"])

    async def _in_force(self, cluster: ClusterClient, role: Role) -> None:
        right = role.rights[-1]
        attributes = {"group": right.group, "resource": right.resource, "verb": right.verbs[-1]}
        named = {"name": right.names[0]} if right.names else {}
        review = {"spec": {"user": self.user(role), "resourceAttributes": attributes | named}}
        try:
            async with asyncio.timeout(_FORCE_SECONDS):
                while not (await cluster.create(ACCESS_REVIEWS, "", review))["status"]["allowed"]:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            message = f"the rights of {self.user(role)} are not in force {_FORCE_SECONDS:g} s after they were granted"
            raise LocalStackError(message) from None

    def _token_file(self, role: Role) -> Path:
        return self._folder / f"{role.full_name}.token"


async def _put(cluster: ClusterClient, resource: Resource, namespace: str, body: dict[str, Any]) -> None:
    try:
        await cluster.create(resource, namespace, body)
    except AlreadyExistsError:
        await cluster.patch(resource, namespace, body["metadata"]["name"], body)


def _kubeconfig(administrator: dict[str, Any], user: str, token_file: Path) -> dict[str, Any]:
    """Return one for the same cluster. The token is in a file of its own, which its reader reads again."""
    (cluster,) = administrator["clusters"]
    context = {"cluster": cluster["name"], "user": user, "namespace": "default"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": user, "user": {"tokenFile": str(token_file)}}],
        "contexts": [{"name": user, "context": context}],
        "current-context": user,
    }
