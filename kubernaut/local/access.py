"""How a process finds the parts of a local stack, and who it is there. Must never start or end anything."""

from dataclasses import dataclass
from pathlib import Path

from kubernaut.local.nats import NatsServer
from kubernaut.local.postgres import PostgresServer
from kubernaut.local.service_accounts import ServiceAccounts
from kubernaut.local.services import AUDITOR, Service
from schemas.rbac import SETUP, Role


@dataclass(kw_only=True)
class Access:
    """What is known of the parts so far: an address once a part is ready, a server of our own once it is begun.

    Servers of the user's know no roles of ours: what was given says who everybody is there.
    """

    nats_url: str | None
    database_url: str | None
    kubeconfig: Path | None
    nats: NatsServer | None = None
    postgres: PostgresServer | None = None
    accounts: ServiceAccounts | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a service or a client needs to find the parts."""
        addresses = {
            "NATS_URL": self.nats_url,
            "DATABASE_URL": self.database_url,
            "KUBECONFIG": None if self.kubeconfig is None else str(self.kubeconfig),
        }
        return {name: value for name, value in addresses.items() if value is not None}

    def environment_of(self, role: Role | None) -> dict[str, str]:
        """The same with the rights of a role on the Kubernetes API and on NATS; None: an administrator's."""
        environment = self.environment
        if role is not None and self.accounts is not None:
            environment["KUBECONFIG"] = str(self.accounts.kubeconfig(role))
        return environment if role is None else environment | self.nats_login(role.name)

    def nats_login(self, user: str) -> dict[str, str]:
        """What a process needs to be one of our users on the embedded NATS; a server of somebody else knows none."""
        return {} if self.nats is None else self.nats.login(user)

    def installer_environment(self) -> dict[str, str]:
        """What the installer needs: its own role, and the owner of the tables."""
        return self.environment_of(SETUP) | ({} if self.postgres is None else self.postgres.login("owner"))

    def service_environment(self, service: Service) -> dict[str, str]:
        """Only the auditor is told where the database is, and logs in as the role that may add rows."""
        environment = self.environment_of(service.role)
        address = environment.pop("DATABASE_URL", None)
        if service.module != AUDITOR.module or address is None:
            return environment
        if self.postgres is None:
            return environment | {"DATABASE_URL": address}
        login = self.postgres.login if service.code is None else self.postgres.login_of_old
        return environment | login("writer")
