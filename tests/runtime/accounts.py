"""ServiceAccounts on a real API server: their rights, and tokens that it makes for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import yaml

from runtime.cluster_access import log_in
from runtime.errors import NotFoundError
from runtime.kinds import ACCESS_REVIEWS
from runtime.ports import Resource

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contracts.cluster_worlds import RealWorld

ACCOUNTS: Final = Resource("", "v1", "serviceaccounts")
RBAC: Final = "rbac.authorization.k8s.io"
ROLES: Final = Resource(RBAC, "v1", "clusterroles")
ROLE_BINDINGS: Final = Resource(RBAC, "v1", "clusterrolebindings")
DELEGATOR: Final = "system:auth-delegator"
"""Made by Kubernetes itself: may create TokenReviews and SubjectAccessReviews."""
SCRAPE: Final = {"nonResourceAttributes": {"path": "/metrics", "verb": "get"}}
REVIEW: Final = {"resourceAttributes": {"group": "authentication.k8s.io", "resource": "tokenreviews", "verb": "create"}}
LIMIT_SECONDS: Final = 120.0


class Accounts:
    """Accounts of one namespace; `reader` is a role that may get /metrics."""

    def __init__(self, world: RealWorld) -> None:
        self._world = world
        self._cluster = world.cluster
        self.reader = f"{world.namespace}-reader"
        self._made: list[tuple[Resource, str]] = []

    async def make(self, *names: str) -> None:
        """Make accounts, and the role."""
        for name in names:
            await self._cluster.create(ACCOUNTS, self._world.namespace, {"metadata": {"name": name}})
        rules = [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]
        await self._create(ROLES, {"metadata": {"name": self.reader}, "rules": rules})

    async def bind(self, role: str, name: str, question: dict[str, Any]) -> None:
        """Give an account a role, and wait until that is in force: until `question` is answered with yes."""
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self._world.namespace}
        reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
        named = {"name": self._binding(name)}
        await self._create(ROLE_BINDINGS, {"metadata": named, "roleRef": reference, "subjects": [subject]})
        user = f"system:serviceaccount:{self._world.namespace}:{name}"
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                answer = await self._cluster.create(ACCESS_REVIEWS, "", {"spec": {"user": user, **question}})
                if answer["status"]["allowed"]:
                    return
                await asyncio.sleep(0.05)

    async def unbind(self, name: str) -> None:
        """Take the role away again; it is in force a moment longer."""
        await self._delete(ROLE_BINDINGS, "", self._binding(name))

    async def delete(self, name: str) -> None:
        """Delete an account; the API server knows its tokens some seconds longer."""
        await self._delete(ACCOUNTS, self._world.namespace, name)

    async def token(self, name: str, *audiences: str) -> str:
        """Have the API server make a token; without audiences it is for the API server itself."""
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": audiences}}
        path = Resource("", "v1", f"serviceaccounts/{name}/token")
        made = await self._cluster.create(path, self._world.namespace, request)
        token: str = made["status"]["token"]
        return token

    async def kubeconfig(self, name: str, admin: str, folder: Path, *, port: int = 0) -> str:
        """Write the kubeconfig of an account and return its path; `port`: of the API server, when it is another."""
        login = await log_in(admin)
        host = f"https://127.0.0.1:{port}" if port else login.host
        (folder / "ca.crt").write_text(login.ca)
        content = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": host, "certificate-authority": "ca.crt"}}],
            "users": [{"name": "u", "user": {"token": await self.token(name)}}],
        }
        file = folder / f"{name}.kubeconfig"
        file.write_text(yaml.safe_dump(content))
        return str(file)

    async def clean(self) -> None:
        """Delete what is in no namespace."""
        for resource, name in self._made:
            try:
                await self._delete(resource, "", name)
            except NotFoundError:
                continue

    def _binding(self, name: str) -> str:
        return f"{self._world.namespace}-{name}"

    async def _create(self, resource: Resource, body: dict[str, Any]) -> None:
        await self._cluster.create(resource, "", body)
        self._made.append((resource, body["metadata"]["name"]))

    async def _delete(self, resource: Resource, namespace: str, name: str) -> None:
        found = await self._cluster.get(resource, namespace, name)
        await self._cluster.delete(resource, namespace, name, uid=found["metadata"]["uid"])
