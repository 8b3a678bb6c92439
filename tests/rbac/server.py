"""A real API server with the roles of deploy/rbac as they are shipped, bound to accounts with real tokens."""

from __future__ import annotations

import asyncio
import copy
import time
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec
import yaml

from runtime.cluster_access import log_in, tls
from schemas.rbac import SERVICES, WIDE_SUFFIX, Role
from tests.schemas.api import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.cluster_plain import Login

FOLDER: Final = Path(__file__).resolve().parents[2] / "deploy" / "rbac"
STRANGER: Final = "stranger"
"""An account that nothing is bound to."""
RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS: Final = "/apis/authorization.k8s.io/v1"
_AT_ONCE: Final = 24
_SECONDS: Final = 60
Attributes = dict[str, str]


class Server:
    """The API server, asked by its administrator or with the token of an account."""

    def __init__(self, session: aiohttp.ClientSession, login: Login) -> None:
        self._session = session
        self._login = login
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._made: list[str] = []
        self.mark = uuid.uuid4().hex[:8]
        self.home = f"rbac-{self.mark}"
        """Namespace of the accounts."""
        self.tokens: dict[str, str] = {}

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        account: str = "",
        kind: str = "application/json",
        **more: str,
    ) -> tuple[int, Any]:
        """Send one request; return the status and the object. `more` are headers, with `_` for `-`."""
        authorization = f"Bearer {self.tokens[account]}" if account else self._login.authorization
        headers = {"Authorization": authorization} | {name.replace("_", "-"): value for name, value in more.items()}
        data = None if body is None else msgspec.json.encode(body)
        request = self._session.request(
            method, self._login.host + path, data=data, headers=headers | {"Content-Type": kind}
        )
        async with self._places, request as answer:
            return answer.status, msgspec.json.decode(await answer.read())

    async def done(self, method: str, path: str, body: Any = None) -> Any:
        """Do something as the administrator, and return the object."""
        code, found = await self.call(method, path, body)
        assert code < 300, (code, found.get("message"))
        return found

    async def may(self, account: str, attributes: Attributes) -> bool:
        """Ask the API server whether an account may do something, by a SubjectAccessReview."""
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{self.home}", "system:authenticated"]
        user = f"system:serviceaccount:{self.home}:{account}"
        return await self._reviewed("subjectaccessreviews", {"user": user, "groups": groups, **_asked(attributes)})

    async def may_itself(self, account: str, attributes: Attributes) -> bool:
        """Let an account ask it for itself, with its own token."""
        return await self._reviewed("selfsubjectaccessreviews", _asked(attributes), account)

    async def _reviewed(self, kind: str, spec: dict[str, Any], account: str = "") -> bool:
        code, found = await self.call("POST", f"{REVIEWS}/{kind}", {"spec": spec}, account=account)
        assert code == 201, found.get("message")
        return bool(found["status"]["allowed"])

    async def settle(self, narrowed_to: str = "") -> None:
        """Make the accounts, and bind the shipped roles to them; only in one namespace, as far as that can be."""
        await self.make("/api/v1/namespaces", {"metadata": {"name": self.home}})
        if narrowed_to:
            await self.make("/api/v1/namespaces", {"metadata": {"name": narrowed_to}})
        for role in SERVICES:
            await self._account(role.full_name)
            for made in yaml.safe_load_all((FOLDER / f"{role.full_name}.yaml").read_text("utf-8")):
                await self._bind(role, made, narrowed_to)
        await self._account(STRANGER)
        await self._in_force(narrowed_to)

    async def make(self, path: str, body: Any) -> None:
        """Make something that is gone with the server's fixture."""
        await self.done("POST", path, body)
        self._made.append(f"{path}/{body['metadata']['name']}")

    async def leave(self) -> None:
        """Take away all that was made."""
        for path in reversed(self._made):
            await self.done("DELETE", path)

    async def _account(self, name: str) -> None:
        path = f"/api/v1/namespaces/{self.home}/serviceaccounts"
        await self.done("POST", path, {"metadata": {"name": name}})
        self.tokens[name] = (await self.done("POST", f"{path}/{name}/token", {"spec": {}}))["status"]["token"]

    async def _bind(self, role: Role, made: dict[str, Any], narrowed_to: str) -> None:
        ours = copy.deepcopy(made)
        ours["metadata"] = {"name": f"{made['metadata']['name']}-{self.mark}"}
        await self.make(f"{RBAC}/clusterroles", ours)
        part = made["metadata"]["name"].endswith(WIDE_SUFFIX)
        if part and not narrowed_to:
            return  # it is in the other one
        narrow = narrowed_to and not part and any(right.reach == "namespaced" for right in role.rights)
        place = f"namespaces/{narrowed_to}/rolebindings" if narrow else "clusterrolebindings"
        subject = {"kind": "ServiceAccount", "name": role.full_name, "namespace": self.home}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ours["metadata"]["name"]}
        body = {"metadata": ours["metadata"], "subjects": [subject], "roleRef": reference}
        await self.make(f"{RBAC}/{place}", body)

    async def _in_force(self, namespace: str) -> None:
        end = time.monotonic() + _SECONDS
        for role in SERVICES:
            for right in (role.rights[0], role.rights[-1]):
                asked = {"verb": right.verbs[-1], "group": right.group, "resource": right.resource}
                asked |= {"namespace": namespace or "default"} if right.reach == "namespaced" else {}
                asked |= {"name": right.names[0]} if right.names else {}
                while not await self.may(role.full_name, asked):
                    assert time.monotonic() < end, f"not in force: {role.full_name} {asked}"
                    await asyncio.sleep(0.05)


def _asked(attributes: Attributes) -> dict[str, Any]:
    if "path" in attributes:
        return {"nonResourceAttributes": attributes}
    resource, _, subresource = attributes["resource"].partition("/")
    return {"resourceAttributes": attributes | {"resource": resource, "subresource": subresource}}


@asynccontextmanager
async def a_server(kubeconfig: str, *, narrowed_to: str = "") -> AsyncIterator[Server]:
    """Give the server of an administrator's kubeconfig with the shipped roles in force."""
    login = await log_in(kubeconfig)
    with serving(kubeconfig) as admin:
        admin.install()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls(login))) as session:
        server = Server(session, login)
        try:
            await server.settle(narrowed_to and f"{narrowed_to}-{server.mark}")
            yield server
        finally:
            await server.leave()
